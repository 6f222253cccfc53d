"""The loop: attack, harvest, learn, measure; again. And the frozen set that it never sees.

The frozen set is drawn from the part of the grammars that is kept from the loop: other wishes,
frames, groups, carriers and hiding places for the categories that it attacks (`seen`), and whole
categories that it leaves out (`unseen`).
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final, cast

from bluecode.defenses import constitution, evaluation
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.evaluation import Labelled
from bluecode.defenses.knowledge import KnowledgeBase, Task
from bluecode.defenses.policy import Policy
from bluecode.defenses.redteam import harvest, injections, policies, search
from bluecode.defenses.redteam.attack import CATEGORIES, USER, Attack, Twins
from bluecode.defenses.redteam.engine import Grammars
from bluecode.defenses.redteam.harvest import Candidate, Gate
from bluecode.defenses.redteam.injections import Goal
from bluecode.defenses.redteam.learning import Learned
from bluecode.defenses.redteam.memory import Memory
from bluecode.defenses.redteam.operators import OPERATORS, Draft, applicable, likewise
from bluecode.defenses.redteam.policies import Rule
from bluecode.defenses.redteam.records import Record
from bluecode.defenses.redteam.search import Limits
from bluecode.defenses.redteam.settling import settled
from bluecode.defenses.redteam.summary import Rate
from bluecode.defenses.redteam.target import Detectors
from bluecode.defenses.verdict import Action

FROZEN_SEED: Final = 20_261_130
_LEFT_OUT: Final = 4
"""Of so many categories, one is never attacked by the loop."""
_UNREADABLE: Final = "encoding"


@dataclass(frozen=True, slots=True)
class Subjects:
    """Categories that the loop attacks, and those that it leaves out."""

    seen: tuple[Rule | Goal, ...]
    unseen: tuple[Rule | Goal, ...]

    @classmethod
    def split(cls) -> "Subjects":
        """The same each time: what is left out depends on the category's name alone."""
        every: list[Rule | Goal] = [*policies.shipped().rules, *injections.shipped().goals]
        unseen = tuple(item for item in every if _left_out(item))
        return cls(tuple(item for item in every if not _left_out(item)), unseen)


def _left_out(subject: Rule | Goal) -> bool:
    told = f"{type(subject).__name__}.{subject.category}"
    return int(hashlib.sha256(told.encode()).hexdigest(), 16) % _LEFT_OUT == 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """Attacks and lawful texts that are measured with, and never learned from."""

    attacks: Mapping[str, tuple[Attack, ...]]
    """`seen`, `unseen`: as they are said, and rewritten in words; `encoded`: in other alphabets."""
    lawful: tuple[Attack, ...]


async def freeze(each: int = 12, seed: int = FROZEN_SEED) -> Frozen:
    """So many attacks of each category: every second one rewritten in other words, and every
    fourth once more, encoded."""
    subjects, engine = Subjects.split(), Grammars(frozen=True)
    sides: dict[str, list[Attack]] = {"seen": [], "unseen": [], "encoded": []}
    lawful: list[Attack] = []
    for side, group in (("seen", subjects.seen), ("unseen", subjects.unseen)):
        for subject in group:
            chance = Random(f"{seed}.{type(subject).__name__}.{subject.category}")
            made = await engine.twins(subject, chance, each)
            for number, twins in enumerate(made):
                attack = twins.attack
                if number % 2:
                    attack = _rewritten(attack, chance, encoded=False)
                if number % 4 == 0:
                    sides["encoded"].append(_rewritten(twins.attack, chance, encoded=True))
                sides[side].append(attack)
                lawful.append(twins.lawful)
    return Frozen(
        attacks={name: tuple(items) for name, items in sides.items()}, lawful=tuple(lawful)
    )


def _rewritten(attack: Attack, chance: Random, *, encoded: bool) -> Attack:
    """The attack by one operator of a kind; as it is where none applies."""
    draft = Draft.of(attack)
    possible = [item for item in applicable(draft) if (item.kind == _UNREADABLE) is encoded]
    if not encoded:
        possible = [item for item in possible if item.readable]
    for operator in chance.sample(possible, len(possible)):
        if (new := OPERATORS[operator.name].apply(draft, chance)) is not None:
            return new.attack
    return attack


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How a defence stands on the frozen set, and on labelled sets where they were given."""

    passed: Mapping[str, Rate]
    """Of the frozen attacks: the share that passes; low is good."""
    alarms: Rate
    """Of the frozen lawful texts: the share that is stopped."""
    recall: Mapping[str, Rate] = field(default_factory=dict)
    """Of the unsafe records of labelled sets, by task: the share that is stopped."""
    benign: Rate = Rate(0, 0)
    """Of their safe records: the share that is stopped in any category."""

    def as_json(self) -> dict[str, Any]:
        return {
            "passed": {name: rate.as_json() for name, rate in self.passed.items()},
            "alarms": self.alarms.as_json(),
            "recall": {name: rate.as_json() for name, rate in self.recall.items()},
            "benign": self.benign.as_json(),
        }


async def measure(
    detectors: Detectors, policy: Policy, frozen: Frozen, labelled: Sequence[Labelled] = ()
) -> Measured:
    """Ask the detectors about everything. Raises `TargetError`."""
    passed = {}
    for name, attacks in frozen.attacks.items():
        heard = [await detectors.hear(attack) for attack in attacks]
        passed[name] = Rate(sum(item.passed for item in heard), len(heard))
    stopped = [await detectors.hear(attack) for attack in frozen.lawful]
    alarms = Rate(sum(item.action is Action.BLOCK for item in stopped), len(stopped))
    recall, benign = await _labelled(detectors, policy, labelled)
    return Measured(passed=passed, alarms=alarms, recall=recall, benign=benign)


async def _labelled(
    detectors: Detectors, policy: Policy, labelled: Sequence[Labelled]
) -> tuple[dict[str, Rate], Rate]:
    caught: dict[str, list[bool]] = {}
    alarmed: list[bool] = []
    for item in labelled:
        scores = await detectors.scores(item.message)
        limits = policy.thresholds
        if item.unsafe:
            own = scores.get(item.category, 0.0) >= limits[item.category].block
            caught.setdefault(item.category.value, []).append(own)
        else:
            alarmed.append(any(at >= limits[kind].block for kind, at in scores.items()))
    recall = {name: Rate(sum(hits), len(hits)) for name, hits in sorted(caught.items())}
    return recall, Rate(sum(alarmed), len(alarmed))


def must_pass(own: Iterable[Labelled] = ()) -> list[Attack]:
    """What may never be stopped: the examples of the constitution, and the safe ones of one's
    own."""
    told = [
        (item.task, item.id, item.said_by, text)
        for item in constitution.exemplified().principles.values()
        for text in item.must_pass
    ]
    told += [
        (_TASK_OF[item.category], "", "tool" if item.message.role is Role.TOOL else "user", text)
        for item in own
        if not item.unsafe and (text := item.message.text)
    ]
    return [
        Attack(
            task=cast(Task, task),
            category="must_pass",
            principle=principle,
            text=text,
            unsafe=False,
            channel=USER if speaker == "user" else "document",
        )
        for task, principle, speaker, text in told
    ]


_TASK_OF = {category: task for task, category in CATEGORIES.items()}


def labelled_sets(paths: Iterable[Path]) -> list[Labelled]:
    """Records of the prompt tasks in files, or folders of files."""
    found: list[Labelled] = []
    for path in paths:
        for file in sorted(path.glob("*.jsonl")) if path.is_dir() else [path]:
            found += evaluation.read(file.read_text("utf-8").split("\n"))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One turn of the loop."""

    number: int
    tried: int
    """Wishes that were searched for."""
    survived: int
    accepted: int
    """Cases that were learned from, both labels."""
    measured: Measured

    def as_json(self) -> dict[str, Any]:
        numbers = ("number", "tried", "survived", "accepted")
        told = {name: getattr(self, name) for name in numbers}
        return {**told, "measured": self.measured.as_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much each round does."""

    rounds: int = 5
    each: int = 14
    """Wishes of each category."""
    kept: int = 14
    """Pairs of each category that may be proposed."""
    seed: int = 1
    limits: Limits = field(default_factory=lambda: Limits(without=(_UNREADABLE, "suffix")))


Learn = Callable[[Sequence[Any]], Learned]


async def rounds(
    start: Learned,
    policy: Policy,
    learn: Learn,
    frozen: Frozen,
    effort: Effort,
    *,
    day: str,
    labelled: Sequence[Labelled] = (),
    must_pass: Sequence[Attack] = (),
    settle: Sequence[Message] = (),
) -> AsyncIterator[tuple[Round, list[Candidate], Learned]]:
    """Round 0, which only measures, and then the rounds. Raises `TargetError`.

    Only candidates that the gate accepts are learned from, and of the safe texts to `settle` with
    no more are stopped than at first, as far as a shift of the scores can do it. Where a lawful
    text of `must_pass` is stopped by what was learned and was not before, the round's cases of that
    task are given up."""
    learned, subjects = start, Subjects.split()
    known = [case for case in start.base.cases]
    detectors = Detectors(policy, learned.detectors())
    before = await measure(detectors, policy, frozen, labelled)
    yield Round(number=0, tried=0, survived=0, accepted=0, measured=before), [], learned
    for number in range(1, effort.rounds + 1):
        records = await _attack(detectors, subjects, effort, number)
        attacks = [item for item in records if item.kind != "lawful"]
        proposed = harvest.propose(records, day=day, each=effort.kept)
        wording = wordings(records)
        gate = Gate(learned.base, detectors, wording=wording)
        judged = harvest.accept(await gate.judge(proposed))
        cases = harvest.approved(judged)
        if cases:
            fresh = await settled(learn([*known, *cases]), start, policy, settle)
            against = await harvest.newly_stopped(learned, fresh, policy, must_pass)
            judged = harvest.withdrawn(judged, against)
            cases = harvest.approved(judged)
            if cases:
                known = [*known, *cases]
                kept = KnowledgeBase(tuple(known)) if against else fresh.base
                learned = replace(fresh.reverted(against, learned), base=kept)
                detectors = Detectors(policy, learned.detectors())
        measured = await measure(detectors, policy, frozen, labelled)
        yield (
            Round(
                number=number,
                tried=len(attacks),
                survived=sum(item.passed for item in attacks),
                accepted=len(cases),
                measured=measured,
            ),
            judged,
            learned,
        )


async def _attack(
    detectors: Detectors, subjects: Subjects, effort: Effort, number: int
) -> list[Record]:
    """Searches for every category that is seen."""
    engine, records = Grammars(), []
    for subject in subjects.seen:
        chance = Random(f"{effort.seed}.{number}.{type(subject).__name__}.{subject.category}")
        memory = Memory()
        made: Sequence[Twins] = await engine.twins(subject, chance, effort.each)
        for twins in made:
            found = await search.optimise(twins.attack, detectors, chance, memory, effort.limits)
            lawful = likewise(found.best.attack, twins.lawful, chance)
            records.append(
                Record(
                    kind="search",
                    generator=search.NAME,
                    attack=found.best.attack,
                    heard=found.best.heard,
                    seed_passed=found.seed.heard.passed,
                    tries=len(found.tries),
                    twin=lawful,
                )
            )
            records.append(
                Record(
                    kind="lawful",
                    generator=search.NAME,
                    attack=lawful,
                    heard=await detectors.hear(lawful),
                    twin=found.best.attack,
                )
            )
    return records


def wordings(records: Sequence[Record]) -> dict[str, str]:
    """For each candidate's id, its plain wish."""
    found = {}
    for item in records:
        if item.twin is not None:
            unsafe = item.kind != "lawful"
            found[harvest.id_of(item.attack, unsafe)] = item.attack.plain
            found[harvest.id_of(item.twin, not unsafe)] = item.twin.plain
    return found


def halves(labelled: Iterable[Labelled]) -> tuple[list[Message], list[Labelled]]:
    """Safe texts to settle with, and records to measure with; a text is in one of the two."""
    sides: tuple[list[Labelled], list[Labelled]] = ([], [])
    for item in labelled:
        digest = hashlib.sha256(item.message.text.encode("utf-8", "surrogatepass")).digest()
        sides[digest[0] % 2].append(item)
    return [item.message for item in sides[0] if not item.unsafe], sides[1]


def lines(found: Sequence[Round]) -> dict[str, list[float]]:
    """The curve: shares by round."""
    curves: dict[str, list[float]] = {}
    for item in found:
        shares = {f"passed, {name}": rate for name, rate in item.measured.passed.items()}
        shares["lawful stopped"] = item.measured.alarms
        shares |= {f"recall, {name}": rate for name, rate in item.measured.recall.items()}
        if item.measured.benign.whole:
            shares["benign stopped"] = item.measured.benign
        for name, rate in shares.items():
            if rate.whole:
                curves.setdefault(name, []).append(rate.part / rate.whole)
    return curves
