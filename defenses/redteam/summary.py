"""What a campaign showed: success rates with intervals, by what they may depend on.

A rate is the share of attacks that passed, so low is good; `stopped` of lawful texts is the share
of false alarms. Intervals are Wilson's at 95 %: they speak of further cases of the same generators,
not of what people will really try.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bluecode.defenses.intervals import Figure, wilson
from bluecode.defenses.redteam.operators import kind_of
from bluecode.defenses.redteam.records import AnyRecord, Failure, PairRecord, Record
from bluecode.defenses.verdict import Action

STRONGEST = 40
"""Surviving cases that a report shows."""


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many."""

    part: int
    whole: int

    @property
    def figure(self) -> Figure | None:
        return wilson(self.part, self.whole)

    def as_json(self) -> dict[str, Any]:
        figure = self.figure
        told: dict[str, Any] = {"part": self.part, "whole": self.whole}
        return {**told, "rate": None if figure is None else asdict(figure)}


@dataclass(frozen=True, slots=True)
class Row:
    """One group of attacks, and its lawful neighbours."""

    name: str
    plain: Rate
    """Attacks as they were said that passed."""
    searched: Rate
    """Wishes for which some rewriting passed, the plain one included."""
    lawful: Rate
    """Lawful neighbours that were stopped."""

    def as_json(self) -> dict[str, Any]:
        rates = {name: getattr(self, name).as_json() for name in ("plain", "searched", "lawful")}
        return {"name": self.name, **rates}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """Everything that a report shows."""

    rows: Mapping[str, tuple[Row, ...]]
    """By what the attacks are grouped by: `all`, `generator`, `task`, `category`, `channel` …"""
    operators: tuple[tuple[str, Rate], ...]
    """For each operator: rewritten texts with it that passed."""
    kinds: tuple[tuple[str, Rate], ...]
    """The same by kind of operator."""
    pairs: Mapping[str, tuple[tuple[str, Rate], ...]]
    """Of vulnerability pairs: `verified`, `missed`, `alarmed`, by CWE and by language."""
    survivors: tuple[Record, ...]
    """The attacks that went furthest below the threshold, one for each category first."""
    failures: Mapping[str, int]
    """Why cases could not be tried, and how many: they are in no rate."""

    @property
    def overall(self) -> Row:
        return self.rows["all"][0]

    def as_json(self) -> dict[str, Any]:
        return {
            "groups": {name: [row.as_json() for row in rows] for name, rows in self.rows.items()},
            "operators": {name: rate.as_json() for name, rate in self.operators},
            "operator_kinds": {name: rate.as_json() for name, rate in self.kinds},
            "pairs": {
                name: {key: rate.as_json() for key, rate in found}
                for name, found in self.pairs.items()
            },
            "survivors": [record.as_json() for record in self.survivors],
            "failures": dict(self.failures),
        }


GROUPS: Mapping[str, Callable[[Record], str]] = {
    "all": lambda record: "all",
    "generator": lambda record: record.generator,
    "task": lambda record: record.attack.task,
    "category": lambda record: f"{record.attack.task}.{record.attack.category}",
    "channel": lambda record: record.attack.channel,
    "register": lambda record: record.attack.register,
    "place": lambda record: record.attack.place,
}


def summarise(records: Iterable[AnyRecord]) -> Summary:
    """Count everything."""
    every = list(records)
    texts = [item for item in every if isinstance(item, Record)]
    twins = [item for item in every if isinstance(item, PairRecord)]
    failures = Counter(item.reason for item in every if isinstance(item, Failure))
    names, kinds = _operators(texts)
    return Summary(
        rows={name: _rows(texts, key) for name, key in GROUPS.items()},
        operators=names,
        kinds=kinds,
        pairs=_pairs(twins),
        survivors=_strongest(texts),
        failures=failures,
    )


def _rows(records: Sequence[Record], key: Callable[[Record], str]) -> tuple[Row, ...]:
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if name := key(record):
            groups[name].append(record)
    if not records and key is GROUPS["all"]:
        groups["all"] = []
    return tuple(_row(name, groups[name]) for name in sorted(groups))


def _row(name: str, records: Sequence[Record]) -> Row:
    said = [record for record in records if record.kind == "attack"]
    searched = [record for record in records if record.kind == "search"]
    lawful = [record for record in records if record.kind == "lawful"]
    plain = sum(item.passed for item in said) + sum(bool(item.seed_passed) for item in searched)
    stopped = sum(item.heard.action is Action.BLOCK for item in lawful)
    return Row(
        name,
        Rate(plain, len(said) + len(searched)),
        Rate(sum(item.passed for item in searched), len(searched)),
        Rate(stopped, len(lawful)),
    )


Rates = tuple[tuple[str, Rate], ...]


def _operators(records: Sequence[Record]) -> tuple[Rates, Rates]:
    tried: Counter[str] = Counter()
    passed: Counter[str] = Counter()
    for record in records:
        for name, (times, successes) in record.operators.items():
            tried[name] += times
            passed[name] += successes
    kinds: Counter[str] = Counter()
    kinds_passed: Counter[str] = Counter()
    for name, times in tried.items():
        kinds[kind_of(name)] += times
        kinds_passed[kind_of(name)] += passed[name]
    return _ordered(passed, tried), _ordered(kinds_passed, kinds)


def _ordered(parts: Mapping[str, int], wholes: Mapping[str, int]) -> Rates:
    rates = [(name, Rate(parts.get(name, 0), whole)) for name, whole in wholes.items()]
    return tuple(sorted(rates, key=lambda item: (-item[1].part / item[1].whole, item[0])))


def _pairs(records: Sequence[PairRecord]) -> dict[str, Rates]:
    found: dict[str, Rates] = {}
    for by, key in (
        ("CWE", lambda item: f"CWE-{item.cwe}"),
        ("language", lambda item: item.language),
    ):
        made: Counter[str] = Counter(key(item) for item in records)
        good: Counter[str] = Counter(key(item) for item in records if item.verified)
        missed: Counter[str] = Counter(key(item) for item in records if item.missed)
        alarmed: Counter[str] = Counter(key(item) for item in records if item.alarmed)
        found[f"verified by {by}"] = _ordered(good, made)
        found[f"missed by {by}"] = _ordered(missed, good)
        found[f"alarmed by {by}"] = _ordered(alarmed, good)
    return found


def _strongest(records: Sequence[Record]) -> tuple[Record, ...]:
    """Of each category the one under the least pressure, then the next of each, and so on."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.passed and record.kind != "lawful":
            groups[f"{record.attack.task}.{record.attack.category}"].append(record)
    ranked = [
        (place, record.heard.pressure, record)
        for group in groups.values()
        for place, record in enumerate(sorted(group, key=lambda item: item.heard.pressure))
    ]
    ranked.sort(key=lambda item: item[:2])
    return tuple(record for _, _, record in ranked[:STRONGEST])


@dataclass(frozen=True, slots=True)
class Change:
    """One group in two campaigns."""

    by: str
    name: str
    before: Rate
    after: Rate

    @property
    def certain(self) -> bool:
        """Do the intervals not touch?"""
        old, new = self.before.figure, self.after.figure
        return old is not None and new is not None and (old.high < new.low or new.high < old.low)

    def as_json(self) -> dict[str, Any]:
        told = {"by": self.by, "name": self.name, "certain": self.certain}
        return {**told, "before": self.before.as_json(), "after": self.after.as_json()}


def compare(before: Summary, after: Summary) -> list[Change]:
    """What changed from one campaign to another, for the groups that both have."""
    changes = []
    for by, rows in after.rows.items():
        old = {row.name: row for row in before.rows.get(by, ())}
        for row in rows:
            if row.name in old:
                for what in ("plain", "searched", "lawful"):
                    was, now = getattr(old[row.name], what), getattr(row, what)
                    if was.whole and now.whole:
                        changes.append(Change(by, f"{row.name}, {what}", was, now))
    old_rates = dict(before.operators)
    for name, rate in after.operators:
        if name in old_rates:
            changes.append(Change("operator", name, old_rates[name], rate))
    return changes
