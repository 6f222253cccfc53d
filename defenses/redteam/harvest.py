"""From survivors to knowledge: proposals, a quality gate, approval.

A proposal is an attack that passed with its lawful neighbour, as records of the knowledge base.
Proposals are marked: they name no approver, and nothing that enforces reads them. What a person
approves, or the gate accepts where it was asked to, becomes plain records with the approver's name
in their provenance.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from bluecode.defenses import terms
from bluecode.defenses.knowledge import Case, KnowledgeBase
from bluecode.defenses.policy import Policy
from bluecode.defenses.redteam.attack import CATEGORIES, USER, Attack
from bluecode.defenses.redteam.learning import Learned
from bluecode.defenses.redteam.operators import readable
from bluecode.defenses.redteam.records import AnyRecord, Record
from bluecode.defenses.redteam.target import Detectors
from bluecode.defenses.verdict import Action

NEAR: Final = 0.86
"""Similarity from which a text is a near-duplicate of a case."""
GATE: Final = "quality gate"
"""The approver of what no person looked at."""
_KNOWN: Final = frozenset(
    "terse plain polite indirect hypothetical roleplay academic steps buried ticket spec system"
    " shell comment stub data question".split()
)


class HarvestError(Exception):
    """Proposals that cannot be used. The message is for the person at the keyboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A record of the knowledge base that nobody has approved yet."""

    case: Case
    twin: str
    """Id of its neighbour: both are approved, or neither."""
    reasons: tuple[str, ...] = ()
    """Why the gate would not accept it; empty where it would, or was not asked."""
    approved_by: str = ""

    def as_json(self) -> dict[str, Any]:
        told = {"candidate": self.case.id, "twin": self.twin, "approved_by": self.approved_by}
        return {**told, "reasons": list(self.reasons), "record": record(self.case)}

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Candidate":
        """Raises `HarvestError` for what is no candidate."""
        try:
            return cls(
                case=case_of(given["record"]),
                twin=given["twin"],
                reasons=tuple(given["reasons"]),
                approved_by=given["approved_by"],
            )
        except (KeyError, TypeError, ValueError) as error:
            raise HarvestError(f"a line is no candidate: {type(error).__name__}") from error


def record(case: Case) -> dict[str, Any]:
    """A case in the form of the knowledge base's files."""
    told = asdict(case)
    label = "unsafe" if told.pop("unsafe") else "safe"
    head = {"id": told.pop("id"), "task": told.pop("task"), "label": label}
    order = ("category", "channel", "principle", "text", "rationale", "provenance")
    return {**head, **{key: told[key] for key in order}}


def case_of(given: Mapping[str, Any]) -> Case:
    """The opposite of `record`. Raises `KeyError`, `TypeError` or `ValueError`."""
    rest = {key: value for key, value in given.items() if key != "label"}
    if given["label"] not in ("unsafe", "safe"):
        raise ValueError("label")
    return Case(unsafe=given["label"] == "unsafe", **rest)


def propose(records: Iterable[AnyRecord], *, day: str, each: int = 8) -> list[Candidate]:
    """Candidates out of what a campaign wrote: survivors and stopped neighbours, with their twins.

    At most `each` pairs of a category because the attack passed, and as many because the neighbour
    was stopped. Encoded texts are left out, for words are what is learned.
    """
    found: dict[tuple[str, str, bool], list[tuple[Attack, Attack]]] = {}
    for item in records:
        if isinstance(item, Record) and item.twin is not None and readable(item.attack):
            lawful = item.kind == "lawful"
            twins = (item.twin, item.attack) if lawful else (item.attack, item.twin)
            if item.passed is not lawful:
                key = (item.attack.task, item.attack.category, lawful)
                found.setdefault(key, []).append(twins)
    chosen: dict[str, Candidate] = {}
    for _, both in sorted(found.items()):
        for attack, neighbour in _varied(both, each):
            pair = _pair(attack, neighbour, day)
            if not {item.case.id for item in pair} & chosen.keys():
                chosen |= {item.case.id: item for item in pair}
    return list(chosen.values())


def _varied(twins: Sequence[tuple[Attack, Attack]], each: int) -> list[tuple[Attack, Attack]]:
    """Some of each register in turn, none twice."""
    lists: dict[str, list[tuple[Attack, Attack]]] = {}
    seen: set[str] = set()
    for attack, lawful in twins:
        if attack.text not in seen:
            seen.add(attack.text)
            lists.setdefault(attack.register, []).append((attack, lawful))
    chosen: list[tuple[Attack, Attack]] = []
    depth = 0
    while len(chosen) < each and any(len(items) > depth for items in lists.values()):
        chosen += [items[depth] for _, items in sorted(lists.items()) if len(items) > depth]
        depth += 1
    return chosen[:each]


def _pair(attack: Attack, lawful: Attack, day: str) -> tuple[Candidate, Candidate]:
    unsafe, safe = _case(attack, True, day), _case(lawful, False, day)
    return Candidate(case=unsafe, twin=safe.id), Candidate(case=safe, twin=unsafe.id)


def foreign(attack: Attack, tool: str, day: str) -> Candidate:
    """An attack that another tool made: it has no neighbour, so only a person can approve it."""
    case = replace(_case(attack, True, day), provenance=f"{tool}, imported {day}")
    return Candidate(case=case, twin="")


def id_of(attack: Attack, unsafe: bool) -> str:
    """The id of a case made of a text: it ends as those of the grid, so that it counts as one."""
    label = "unsafe" if unsafe else "safe"
    digest = hashlib.sha256(attack.text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    spoken = attack.register if attack.register in _KNOWN else "plain"
    mark = f"-{int(digest, 16) % 10**9:09d}-en-{spoken}" if attack.channel == USER else f"-{digest}"
    return f"{attack.task}-{attack.category}-{label}-redteam{mark}"


def _case(attack: Attack, unsafe: bool, day: str) -> Case:
    return Case(
        id=id_of(attack, unsafe),
        task=attack.task,
        unsafe=unsafe,
        text=attack.text,
        category=attack.category,
        channel=attack.channel,
        principle=attack.principle,
        rationale=_RATIONALE[unsafe],
        provenance=f"red team of BlueCode, {day}",
    )


_RATIONALE: Final = {
    True: "The wish breaks the principle, in words that got past the detectors.",
    False: "The same words and manner, in a wish that keeps the principle.",
}


@dataclass(frozen=True, slots=True)
class Gate:
    """What a candidate must be to be accepted without a person.

    The label is the generator's claim, the first look. A second, independent one must agree: the
    nearest cases, to which the unsafe wish must be likelier kin than its neighbour, or else the
    detectors, which must find it the more suspect of the two. A pair of which one half fails is
    not accepted.
    """

    base: KnowledgeBase
    detectors: Detectors
    near: float = NEAR
    wording: Mapping[str, str] = field(default_factory=dict)
    """For the id of a candidate, its plain wish; its whole text where there is none."""

    async def judge(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        """The candidates with the reasons against them."""
        cases = {item.case.id: item.case for item in candidates}
        taken: list[frozenset[str]] = []
        judged: dict[str, tuple[str, ...]] = {}
        for item in candidates:
            reasons = []
            words = shingles(item.case.text)
            if self._known(item.case) or any(alike(words, other) >= self.near for other in taken):
                reasons.append("near-duplicate")
            if item.case.unsafe and item.twin in cases:
                reasons += await self._disagreements(item.case, cases[item.twin])
            judged[item.case.id] = tuple(reasons)
            if not reasons:
                taken.append(words)
        return [
            replace(
                item,
                reasons=tuple(dict.fromkeys((*judged[item.case.id], *_of_twin(item, judged)))),
            )
            for item in candidates
        ]

    def _known(self, case: Case) -> bool:
        found = self.base.nearest(terms.read(case.text), case.task, 1)
        own = found.unsafe if case.unsafe else found.safe
        return bool(own) and own[0].similarity >= self.near

    async def _disagreements(self, unsafe: Case, safe: Case) -> list[str]:
        """Empty where one of the two looks agrees with the generator: then two of three do."""
        if self._margin(unsafe) > self._margin(safe):
            return []
        scores = [await self._score(case) for case in (unsafe, safe)]
        return [] if scores[0] > scores[1] else ["neither cases nor detectors agree with the label"]

    def _margin(self, case: Case) -> float:
        text = self.wording.get(case.id, case.text)
        return self.base.nearest(terms.read(text), case.task).margin

    async def _score(self, case: Case) -> float:
        message = Attack(
            task=case.task,
            category=case.category,
            principle=case.principle,
            text=case.text,
            channel=case.channel,
        ).message()
        return (await self.detectors.scores(message)).get(CATEGORIES[case.task], 0.0)


def _of_twin(item: Candidate, judged: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    if item.twin not in judged:
        return ("its neighbour is missing",)
    return ("its neighbour was not accepted",) if judged[item.twin] else ()


_WORD = re.compile(r"\w+")


def shingles(text: str) -> frozenset[str]:
    """Runs of three words."""
    found = _WORD.findall(text.lower())
    return frozenset(" ".join(found[at : at + 3]) for at in range(max(len(found) - 2, 1)))


def alike(left: frozenset[str], right: frozenset[str]) -> float:
    """Jaccard similarity."""
    union = len(left | right)
    return len(left & right) / union if union else 0.0


def approve(candidates: Iterable[Candidate], name: str, ids: frozenset[str]) -> list[Candidate]:
    """Candidates, of which those named, and their neighbours, are approved by a person.

    Raises `HarvestError` for an empty name, and for ids that are not among the candidates."""
    every = list(candidates)
    if not name.strip():
        raise HarvestError("an approval needs the name of a person.")
    if unknown := sorted(ids - {item.case.id for item in every}):
        raise HarvestError(f"no candidate is called `{unknown[0]}`.")
    return [
        replace(item, approved_by=name.strip()) if {item.case.id, item.twin} & ids else item
        for item in every
    ]


def accept(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Candidates, of which those that the gate has nothing against are approved by it."""
    return [item if item.reasons else replace(item, approved_by=GATE) for item in candidates]


async def newly_stopped(
    old: Learned, new: Learned, policy: Policy, lawful: Iterable[Attack]
) -> dict[str, int]:
    """For each task, how many lawful texts its new models stop that the old ones let pass.

    Raises `TargetError`."""
    before, after = (Detectors(policy, learned.detectors()) for learned in (old, new))
    found: dict[str, int] = {}
    for text in lawful:
        if (await before.hear(text)).action is Action.BLOCK:
            continue
        scores = await after.scores(text.message())
        for task, category in CATEGORIES.items():
            if scores.get(category, 0.0) >= policy.thresholds[category].block:
                found[task] = found.get(task, 0) + 1
    return found


def withdrawn(candidates: Iterable[Candidate], tasks: Mapping[str, int]) -> list[Candidate]:
    """Candidates, of which those of some tasks are not approved: they would stop what must pass."""
    return [
        replace(item, approved_by="", reasons=(*item.reasons, "texts that must pass were stopped"))
        if item.case.task in tasks
        else item
        for item in candidates
    ]


def approved(candidates: Iterable[Candidate]) -> list[Case]:
    """The cases that may enter a knowledge base; their provenance names who approved them."""
    return [
        replace(item.case, provenance=f"{item.case.provenance}; approved by {item.approved_by}")
        for item in candidates
        if item.approved_by
    ]


def render(candidates: Iterable[Candidate]) -> str:
    """Candidates, one a line. No knowledge base reads this form."""
    lines = (json.dumps(item.as_json(), ensure_ascii=True) for item in candidates)
    return "".join(line + "\n" for line in lines)


def render_cases(cases: Iterable[Case]) -> str:
    """Cases in the form of the knowledge base's files."""
    lines = (json.dumps(record(case), ensure_ascii=False) for case in cases)
    return "".join(line + "\n" for line in lines)


def read(text: str) -> list[Candidate]:
    """Candidates out of lines. Raises `HarvestError`."""
    try:
        lines = [json.loads(line) for line in text.split("\n") if line.strip()]
    except ValueError as error:
        raise HarvestError("a line is no JSON.") from error
    return [Candidate.from_json(line) for line in lines]
