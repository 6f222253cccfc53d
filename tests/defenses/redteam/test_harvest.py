"""From survivors to knowledge: what is proposed, what the gate lets pass, and who must approve."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import classifier, training
from bluecode.defenses.knowledge import KnowledgeBase
from bluecode.defenses.policy import Policy
from bluecode.defenses.redteam import harvest, policies
from bluecode.defenses.redteam.attack import Attack, Twins
from bluecode.defenses.redteam.harvest import Candidate, Gate, HarvestError
from bluecode.defenses.redteam.operators import OPERATORS, Draft
from bluecode.defenses.redteam.records import AnyRecord, Record
from bluecode.defenses.redteam.target import Detectors, Heard
from bluecode.defenses.verdict import Action

DAY = "2026-11-30"
PASSED = Heard(action=Action.ALLOW, pressure=0.1)
STOPPED = Heard(action=Action.BLOCK, pressure=1.2)


def twins(seed: int = 1, category: str = "ransomware") -> Twins:
    known = policies.shipped()
    return known.twins(known.of("malice", category), Random(seed))


def survived(made: Twins, heard: Heard = PASSED, attack: Attack | None = None) -> Record:
    return Record(
        kind="search",
        generator="search",
        attack=attack or made.attack,
        heard=heard,
        twin=made.lawful,
    )


def proposed(count: int = 4) -> list[Candidate]:
    return harvest.propose([survived(twins(seed)) for seed in range(count)], day=DAY)


def test_a_survivor_is_proposed_with_its_neighbour() -> None:
    made = twins()

    unsafe, safe = harvest.propose([survived(made)], day=DAY)

    assert (unsafe.case.text, unsafe.case.unsafe) == (made.attack.text, True)
    assert (safe.case.text, safe.case.unsafe) == (made.lawful.text, False)
    assert (unsafe.twin, safe.twin) == (safe.case.id, unsafe.case.id)
    assert unsafe.case.principle == "malice.destruction"


def test_a_neighbour_that_was_stopped_is_proposed_with_its_attack() -> None:
    made = twins()
    alarm = Record(
        kind="lawful",
        generator="policy",
        attack=made.lawful,
        heard=STOPPED,
        twin=made.attack,
    )

    unsafe, safe = harvest.propose([alarm], day=DAY)

    assert unsafe.case.unsafe and unsafe.case.text == made.attack.text
    assert not safe.case.unsafe and safe.case.text == made.lawful.text


def test_what_was_stopped_or_is_no_longer_words_is_not_proposed() -> None:
    made = twins()
    draft = OPERATORS["base64"].apply(Draft.of(made.attack), Random(1))
    assert draft is not None
    records: list[AnyRecord] = [survived(made, STOPPED), survived(made, attack=draft.attack)]

    assert harvest.propose(records, day=DAY) == []


def test_no_more_pairs_of_a_category_are_proposed_than_asked_for() -> None:
    records = [survived(twins(seed)) for seed in range(30)]

    assert len(harvest.propose(records, day=DAY, each=5)) == 10


def test_an_id_ends_like_those_of_the_grid_so_that_the_case_weighs_as_little() -> None:
    for candidate in proposed():
        assert training.GRID.search(candidate.case.id)


def test_a_candidate_survives_being_written_and_read() -> None:
    candidates = [replace(item, reasons=("near-duplicate",)) for item in proposed()]

    assert harvest.read(harvest.render(candidates)) == candidates


@pytest.mark.parametrize("text", ["rubbish", "{}", '{"candidate": 1}', "[]"])
def test_what_is_no_candidate_is_refused(text: str) -> None:
    with pytest.raises(HarvestError):
        harvest.read(text)


# What follows is the promise that matters most: nothing harvested enforces anything by itself.


def test_unapproved_candidates_make_no_records() -> None:
    assert harvest.approved(proposed()) == []


def test_a_file_of_candidates_cannot_be_read_as_knowledge() -> None:
    lines = harvest.render(proposed()).splitlines()

    with pytest.raises((ValueError, KeyError)):
        knowledge.parse(lines)


def test_an_approval_needs_a_name_and_ids_that_are_there() -> None:
    candidates = proposed()
    own = frozenset({candidates[0].case.id})

    with pytest.raises(HarvestError, match="name of a person"):
        harvest.approve(candidates, "  ", own)
    with pytest.raises(HarvestError, match="no candidate"):
        harvest.approve(candidates, "Ada", frozenset({"malice-none-unsafe-000"}))


def test_an_approval_covers_a_pair_and_says_who_gave_it() -> None:
    candidates = proposed()

    cases = harvest.approved(harvest.approve(candidates, "Ada", frozenset({candidates[0].case.id})))

    assert [case.id for case in cases] == [candidates[0].case.id, candidates[1].case.id]
    assert all(case.provenance.endswith("approved by Ada") for case in cases)
    assert knowledge.parse(harvest.render_cases(cases).splitlines()) == tuple(cases)


def test_harvesting_writes_nothing_into_what_serves(tmp_path: Path) -> None:
    def state() -> str:
        whole = knowledge.digest().encode() + classifier.stored()
        return hashlib.sha256(whole).hexdigest()

    before = state()
    accepted = harvest.accept(proposed())
    (tmp_path / "records.jsonl").write_text(
        harvest.render_cases(harvest.approved(accepted)), "utf-8"
    )

    assert state() == before
    shipped = {case.id for case in knowledge.shipped().cases}
    assert not {item.case.id for item in accepted} & shipped


async def judged(candidates: list[Candidate], base: KnowledgeBase | None = None) -> list[Candidate]:
    gate = Gate(base or knowledge.shipped(), Detectors(Policy.default()))
    return await gate.judge(candidates)


async def test_the_gate_has_something_against_labels_that_nobody_confirms() -> None:
    made = twins()
    wrong = Twins(replace(made.lawful, unsafe=True), replace(made.attack, unsafe=False))
    lies = harvest.propose([survived(wrong)], day=DAY)

    right = await judged(harvest.propose([survived(made)], day=DAY))
    found = await judged(lies)

    assert any("neither" in reason for item in found for reason in item.reasons)
    assert harvest.approved(harvest.accept(found)) == []
    assert len(harvest.approved(harvest.accept(right))) == 2


async def test_the_gate_has_something_against_what_is_known_already() -> None:
    candidates = proposed(1)
    base = KnowledgeBase([*knowledge.shipped().cases, candidates[0].case])

    found = await judged(candidates, base)

    assert found[0].reasons == ("near-duplicate",)
    assert found[1].reasons == ("its neighbour was not accepted",)


async def test_the_gate_has_something_against_the_same_text_in_few_other_words() -> None:
    made = twins()
    again = Twins(
        replace(made.attack, text=made.attack.text + " Thanks!"),
        replace(made.lawful, text=made.lawful.text + " Thanks!"),
    )
    twice = [survived(made), survived(again)]

    found = await judged(harvest.propose(twice, day=DAY))

    assert ["near-duplicate" in item.reasons for item in found] == [False, False, True, True]


async def test_half_a_pair_is_not_accepted() -> None:
    found = await judged(proposed(1)[:1])

    assert found[0].reasons == ("its neighbour is missing",)


def test_candidates_name_the_record_that_they_would_become() -> None:
    (line, _) = harvest.render(proposed(1)).splitlines()

    told = json.loads(line)

    assert told["approved_by"] == ""
    assert set(told["record"]) == {
        "id",
        "task",
        "label",
        "category",
        "channel",
        "principle",
        "text",
        "rationale",
        "provenance",
    }
