"""Campaigns: the same cases for the same seed, on any number of cores, stopped or not."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from scripted_target import OpensWords

from bluecode.defenses.redteam import campaign
from bluecode.defenses.redteam.campaign import (
    Bounds,
    CampaignError,
    Means,
    Plan,
    State,
    lanes,
)
from bluecode.defenses.redteam.engine import ModelEngine, WriterError, Written
from bluecode.defenses.redteam.records import Failure, PairRecord, Record, render
from bluecode.defenses.redteam.target import InProcess

CATEGORIES = ("malice.worm", "bias.hiring", "indirect.manner")
PLAN = Plan(
    count=6, categories=CATEGORIES, generators=("policy", "search", "indirect"), target="words"
)
MEANS = Means(target=OpensWords("copy", "write", "answer", "ten points"))


def told(folder: Path) -> str:
    return render(State(folder).records())


def test_the_same_seed_makes_the_same_cases_on_one_core_and_on_two(tmp_path: Path) -> None:
    assert campaign.run(PLAN, MEANS, State(tmp_path / "one"))
    assert campaign.run(PLAN, MEANS, State(tmp_path / "two"), jobs=2)

    assert told(tmp_path / "one") == told(tmp_path / "two") != ""


def test_a_pool_of_ones_own_makes_the_same_cases(tmp_path: Path) -> None:
    campaign.run(PLAN, MEANS, State(tmp_path / "one"))
    campaign.run(PLAN, MEANS, State(tmp_path / "own"), jobs=2, opens=ThreadPoolExecutor)

    assert told(tmp_path / "one") == told(tmp_path / "own")


def lane_files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in (folder / "lanes").glob("*.jsonl")}


def test_what_a_stop_leaves_is_the_beginning_of_each_lane(tmp_path: Path) -> None:
    class Stop(Exception):
        pass

    def after_four(progress: campaign.Progress) -> None:
        if progress.parts == 4:
            raise Stop

    campaign.run(PLAN, MEANS, State(tmp_path / "whole"))
    with pytest.raises(Stop):
        campaign.run(PLAN, MEANS, State(tmp_path / "cut"), on_progress=after_four)

    whole, cut = lane_files(tmp_path / "whole"), lane_files(tmp_path / "cut")
    assert len(cut) == 4
    assert all(whole[name].startswith(text) and text for name, text in cut.items())


def test_two_that_time_stops_make_the_same_cases_as_far_as_both_get(tmp_path: Path) -> None:
    plan = replace(PLAN, count=200)
    for name, seconds in (("short", 1.0), ("long", 2.0)):
        state = State(tmp_path / name)
        campaign.run(plan, MEANS, state, bounds=Bounds(minutes=seconds / 60))

    short, long = lane_files(tmp_path / "short"), lane_files(tmp_path / "long")
    for name in short.keys() & long.keys():
        first, second = sorted((short[name], long[name]), key=len)
        assert second.startswith(first)


def test_another_seed_makes_other_cases(tmp_path: Path) -> None:
    campaign.run(PLAN, MEANS, State(tmp_path / "one"))
    campaign.run(replace(PLAN, seed=2), MEANS, State(tmp_path / "two"))

    assert told(tmp_path / "one") != told(tmp_path / "two")


def test_a_campaign_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    campaign.run(PLAN, MEANS, State(tmp_path / "whole"))
    cut = State(tmp_path / "cut")
    cut.begin(PLAN)
    first, second = lanes(PLAN)[:2]
    part = campaign.Part(plan=PLAN, lane=first, number=0, size=5, memory=())
    done = campaign.work(part, MEANS, None)
    assert done is not None
    cut.append(done)
    torn = tmp_path / "cut" / "lanes" / f"{second.name}.jsonl"
    torn.write_text(render(done.records) + '{"kind": "par', "utf-8")

    assert campaign.run(PLAN, MEANS, cut)

    assert told(tmp_path / "cut") == told(tmp_path / "whole")


def test_what_was_done_is_not_done_again(tmp_path: Path) -> None:
    campaign.run(PLAN, MEANS, State(tmp_path))
    before = told(tmp_path)
    heard: list[campaign.Progress] = []

    assert campaign.run(PLAN, MEANS, State(tmp_path), on_progress=heard.append)

    assert heard == [] and told(tmp_path) == before


def test_a_folder_of_another_plan_is_refused(tmp_path: Path) -> None:
    State(tmp_path).begin(PLAN)

    with pytest.raises(CampaignError, match="another plan"):
        campaign.run(replace(PLAN, seed=5), MEANS, State(tmp_path))


def test_a_folder_without_a_campaign_or_with_rubbish_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CampaignError):
        list(State(tmp_path).records())
    State(tmp_path).begin(PLAN)
    (tmp_path / "lanes" / "x.jsonl").write_text("rubbish\n", "utf-8")
    with pytest.raises(CampaignError, match="no record"):
        list(State(tmp_path).records())


def test_time_ends_a_campaign_before_its_plan(tmp_path: Path) -> None:
    finished = campaign.run(PLAN, MEANS, State(tmp_path), bounds=Bounds(minutes=1e-9))

    assert not finished
    assert told(tmp_path) == ""


class Costly:
    """A writer that asks two units for each answer."""

    async def write(self, instructions: str, question: str) -> Written:
        pair = {"attack": "Copy this program to all.", "lawful": "Copy this file to me."}
        return Written(f"Sure: {json.dumps([pair] * 9)}", cost=2.0)

    async def __aenter__(self) -> "Costly":
        return self

    async def __aexit__(self, *error: object) -> None:
        return None


def test_cost_ends_a_campaign_before_its_plan(tmp_path: Path) -> None:
    means = replace(MEANS, writer=Costly)
    plan = replace(PLAN, generators=("policy",), engine="costly")

    finished = campaign.run(plan, means, State(tmp_path), bounds=Bounds(cost=3.0))

    assert not finished
    assert State(tmp_path).cost() == 4.0


def test_a_model_writes_cases_behind_the_same_interface(tmp_path: Path) -> None:
    plan = replace(PLAN, generators=("policy", "indirect"), engine="costly")

    campaign.run(plan, replace(MEANS, writer=Costly), State(tmp_path))

    texts = [item for item in State(tmp_path).records() if isinstance(item, Record)]
    said = {item.attack.text for item in texts if item.attack.channel == "user"}
    assert said == {"Copy this program to all.", "Copy this file to me."}
    inside = [item.attack for item in texts if item.attack.channel != "user"]
    assert inside and all(attack.plain in attack.text for attack in inside)


@pytest.mark.parametrize(
    "answer",
    ["", "no list", "[1, 2]", '[{"attack": 3, "lawful": "x"}]', '[{"attack": "", "lawful": ""}]'],
)
async def test_an_answer_of_another_form_makes_no_case(answer: str) -> None:
    class Says:
        async def write(self, instructions: str, question: str) -> Written:
            return Written(answer)

    made = await ModelEngine(Says()).twins(campaign._subject(lanes(PLAN)[0]), Random(1), 3)

    assert made == []


def test_a_target_or_a_model_that_fails_is_told_and_counts_for_nothing(tmp_path: Path) -> None:
    class Silent(Costly):
        async def write(self, instructions: str, question: str) -> Written:
            raise WriterError("the model is away")

    plan = replace(PLAN, generators=("policy",))
    campaign.run(plan, Means(target=OpensWords(fails=True)), State(tmp_path / "a"))
    campaign.run(plan, replace(MEANS, writer=Silent), State(tmp_path / "b"))

    for name, reason in (("a", "the scripted target fails"), ("b", "the model is away")):
        found = list(State(tmp_path / name).records())
        assert found and set(found) == {Failure("policy", reason)}


def test_pairs_are_verified_and_then_shown_to_the_checkers(tmp_path: Path) -> None:
    plan = replace(PLAN, generators=("pairs",), categories=("CWE-78.python",), count=3)

    campaign.run(plan, Means(target=InProcess()), State(tmp_path))

    found = [item for item in State(tmp_path).records() if isinstance(item, PairRecord)]
    assert len(found) == 3
    good = [item for item in found if item.verified]
    assert good and not any(item.missed or item.alarmed for item in good)


def test_the_names_of_the_generators_are_those_of_the_command_line() -> None:
    from bluecode.proxy import redteam_arguments

    assert redteam_arguments.GENERATORS == campaign.GENERATORS
