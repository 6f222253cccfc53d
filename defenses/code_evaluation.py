"""How often the checking of code is right on labelled sets, and how sure that figure is.

Right is judged by the record: it counts as flagged when a finding about code reaches the action
asked for, whatever its CWE or line. What nobody could look at is never counted as a safe answer:
an unsafe record is then missed, a safe one leaves the false-positive rate, and no pair is right
by it. Sets of the `vulnerable` task only; prompts are scored by `evaluation.py`.
"""

import json
import random
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from bluecode.defenses import carriers, language
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.intervals import Figure, Floats, Share, ratio, resampled
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Verdict, merge

TASK: Final = "vulnerable"
OF_CODE: Final = frozenset({Category.VULNERABLE_CODE, Category.MALICIOUS_CODE})
NO_CODE: Final = "no code"
"""Why a record went unchecked whose prose holds no code."""
_FENCE: Final = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
_SEED: Final = 7

Check = Callable[[Snippet], Awaitable[Verdict]]


class SetError(Exception):
    """A line of a set that is no record; the message says which, and quotes nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One labelled text."""

    id: str
    source: str
    unsafe: bool
    text: str
    language: str | None
    cwe: str
    """`CWE-` and its number, or `none`."""
    kind: str
    pair: str | None
    """The same for the unsafe and the safe version of one piece."""
    cluster: str | None
    """The same for records that are alike and so stand or fall together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one arm said of a record."""

    action: Action
    """The strictest that a finding about code leads to."""
    rules: tuple[str, ...]
    """Rules of the findings that lead to a warning or more."""
    failed: tuple[str, ...]
    unchecked: tuple[str, ...]

    @property
    def seen(self) -> bool:
        """Was all looked at, or all that can be read of it?"""
        return not self.failed and not set(self.unchecked) - {"partial", "fragment"}


@dataclass(frozen=True, slots=True)
class Judged:
    """A record, its text let go, with what each arm said."""

    record: Record
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Figures of some records, in one arm, at one action."""

    name: str
    arm: str
    at: Action
    unsafe: int
    safe: int
    pairs: int
    failed: int
    """Records at which a checker or the sandbox failed."""
    unchecked: int
    """Records of which no checker could read some part."""
    figures: Mapping[str, Figure | None]


def read(lines: Iterable[str], name: str) -> list[Record]:
    """The records of the `vulnerable` task. Raises `SetError`.

    `name` is the source of records that name none.
    """
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            given = parsed(line, f"{name}, line {number}")
            if given["task"] == TASK:
                found.append(_record(given, name, number))
    return found


def parsed(line: str, place: str) -> dict[str, Any]:
    """A line as a record of any task. Raises `SetError`."""
    try:
        given = json.loads(line)
    except ValueError as error:
        raise SetError(f"{place} is not JSON.") from error
    if not isinstance(given, dict):
        raise SetError(f"{place} is no JSON object.")
    for key in ("task", "label", "text"):
        if key not in given:
            raise SetError(f"{place} has no `{key}`.")
    if given["label"] not in (0, 1) or not isinstance(given["text"], str):
        raise SetError(f"{place}: `label` must be 0 or 1, and `text` a text.")
    return given


def _record(given: Mapping[str, Any], name: str, number: int) -> Record:
    extra = given.get("extra") or {}
    spoken = given.get("language")
    source = str(given.get("source") or name)
    return Record(
        id=str(given.get("id") or f"{name}:{number}"),
        source=source,
        unsafe=given["label"] == 1,
        text=given["text"],
        language=None if spoken is None else language.canonical(str(spoken)) or str(spoken).lower(),
        cwe=_cwe(given.get("cwe")),
        kind=str(given.get("kind") or "code"),
        pair=_key(source, extra.get("pair_id")),
        cluster=_key(source, extra.get("cluster")),
    )


def _key(source: str, given: Any) -> str | None:
    return None if given is None else f"{source}:{given}"


def _cwe(given: Any) -> str:
    """The first of several."""
    number = re.search(r"\d+", json.dumps(given))
    return f"CWE-{int(number[0])}" if number else "none"


def sample(records: Sequence[Record], limit: int | None) -> list[Record]:
    """About `limit` records of each source, the same each time, pairs kept whole."""
    if limit is None:
        return list(records)
    chosen: list[Record] = []
    for source in dict.fromkeys(record.source for record in records):
        units: dict[str, list[Record]] = {}
        for record in records:
            if record.source == source:
                units.setdefault(record.pair or record.id, []).append(record)
        names = list(units)
        random.Random(_SEED).shuffle(names)
        taken: list[Record] = []
        for name in names:
            if len(taken) < limit:
                taken += units[name]
        chosen += taken
    return chosen


def snippets(record: Record) -> Sequence[Snippet]:
    """A record's code: the text as it stands, or what its prose or its patch holds."""
    if record.kind == "diff":
        return carriers.in_input(record.text)
    if _FENCE.search(record.text) and not language.parses_as_program(record.text):
        return carriers.in_text(record.text)
    spoken = record.language or language.decide(record.text)
    return [Snippet(code=record.text, language=spoken, origin="fence")]


async def judge(record: Record, arms: Mapping[str, Check], policy: Policy) -> Judged:
    """What each arm says of a record."""
    pieces = snippets(record)
    outcomes = {}
    for name, check in arms.items():
        verdict = merge([await check(piece) for piece in pieces])
        outcomes[name] = _outcome(verdict, policy, bool(pieces))
    return Judged(replace(record, text=""), outcomes)


def _outcome(verdict: Verdict, policy: Policy, has_code: bool) -> Outcome:
    found = [finding for finding in verdict.findings if finding.category in OF_CODE]
    actions = [policy.action_for(finding) for finding in found]
    telling = [item.rule for item in found if policy.action_for(item) >= Action.WARN]
    return Outcome(
        action=max(actions, default=Action.ALLOW),
        rules=tuple(dict.fromkeys(telling)),
        failed=verdict.failed,
        unchecked=verdict.unchecked if has_code else (NO_CODE,),
    )


# Columns of the counts of one unit.
TP, FN, FP, TN, PAIRS, RIGHT = range(6)


def _precision(counts: Floats) -> Floats:
    return ratio(counts[:, TP], counts[:, TP] + counts[:, FP])


def _recall(counts: Floats) -> Floats:
    return ratio(counts[:, TP], counts[:, TP] + counts[:, FN])


def _f1(counts: Floats) -> Floats:
    """NaN without unsafe records, for then it would mean nothing."""
    unsafe = counts[:, TP] + counts[:, FN]
    f1 = ratio(2 * counts[:, TP], 2 * counts[:, TP] + counts[:, FP] + counts[:, FN])
    return np.where(unsafe > 0, f1, np.nan)


def _false_positive_rate(counts: Floats) -> Floats:
    return ratio(counts[:, FP], counts[:, FP] + counts[:, TN])


def _paired(counts: Floats) -> Floats:
    return ratio(counts[:, RIGHT], counts[:, PAIRS])


SHARES: Final[Mapping[str, Share]] = {
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "false_positive_rate": _false_positive_rate,
    "paired_accuracy": _paired,
}
"""Paired accuracy is the share of pairs whose unsafe version alone is flagged."""


def measure(name: str, judged: Sequence[Judged], arm: str, at: Action) -> Group:
    """The figures of some records."""
    outcomes = [item.outcomes[arm] for item in judged]
    counts = _counts(judged, arm, at)
    return Group(
        name=name,
        arm=arm,
        at=at,
        unsafe=sum(item.record.unsafe for item in judged),
        safe=sum(not item.record.unsafe for item in judged),
        pairs=int(counts[:, PAIRS].sum()),
        failed=sum(bool(outcome.failed) for outcome in outcomes),
        unchecked=sum(bool(outcome.unchecked) for outcome in outcomes),
        figures=resampled(counts, SHARES),
    )


def _counts(judged: Sequence[Judged], arm: str, at: Action) -> Floats:
    """A row for each cluster, pair or single record."""
    pairs: dict[str, list[Judged]] = {}
    for item in judged:
        if item.record.pair is not None:
            pairs.setdefault(item.record.pair, []).append(item)
    rows: dict[str, Floats] = {}
    for item in judged:
        row = rows.setdefault(_unit(item.record), np.zeros(6))
        column = _column(item, arm, at)
        if column is not None:
            row[column] += 1
    for pair in pairs.values():
        if {item.record.unsafe for item in pair} == {True, False}:
            row = rows[_unit(pair[0].record)]
            row[PAIRS] += 1
            row[RIGHT] += all(_column(item, arm, at) in (TP, TN) for item in pair)
    return np.array(list(rows.values())) if rows else np.zeros((0, 6))


def _unit(record: Record) -> str:
    return record.cluster or record.pair or f"{record.source}:{record.id}"


def _column(item: Judged, arm: str, at: Action) -> int | None:
    """Where a record counts; None for a safe one that nobody could look at."""
    outcome = item.outcomes[arm]
    if outcome.action >= at:
        return TP if item.record.unsafe else FP
    if item.record.unsafe:
        return FN
    return TN if outcome.seen else None


def wrong(judged: Iterable[Judged], arm: str, at: Action) -> list[Judged]:
    """Unsafe records that were missed and safe ones that were flagged."""
    return [item for item in judged if _column(item, arm, at) in (FN, FP)]


Key = Callable[[Record], str]


def groups(judged: Sequence[Judged], key: Key, arms: Sequence[str]) -> list[Group]:
    """Figures for each value of a key, in each arm, at the thresholds of warning and blocking."""
    shared: dict[str, list[Judged]] = {}
    for item in judged:
        shared.setdefault(key(item.record), []).append(item)
    return [
        measure(name, shared[name], arm, at)
        for name in sorted(shared, key=_order)
        for at in (Action.WARN, Action.BLOCK)
        for arm in arms
    ]


def _order(name: str) -> tuple[str, int]:
    """CWEs by number."""
    head, _, tail = name.partition("-")
    return (head, int(tail)) if tail.isdecimal() else (name, 0)


def by_source(record: Record) -> str:
    return record.source


def by_source_and_language(record: Record) -> str:
    return f"{record.source}, {by_language(record)}"


def by_language(record: Record) -> str:
    return record.language or "unknown"


def by_cwe(record: Record) -> str:
    return record.cwe


KEYS: Final[Mapping[str, Key]] = {
    "all": lambda record: "all",
    "source": by_source,
    "source and language": by_source_and_language,
    "language": by_language,
    "cwe": by_cwe,
}
"""How records are grouped, in the order in which the groups are shown."""
