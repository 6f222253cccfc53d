"""Which rules a call meets: patterns of names, indexed by the last part of the name."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Generic, TypeVar

from bluecode.defenses.checkers.rules.rule import (
    Check,
    Cleaner,
    Language,
    Property,
    Setting,
    Sink,
    Source,
    Store,
    Writer,
)  # fmt: skip

Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class Callee:
    """A call's name with everything that its receiver may be called."""

    name: str
    heads: tuple[str, ...]
    """Dotted names of the receiver: as written, by type, by import; empty for none."""
    new: bool = False


@dataclass(frozen=True, slots=True)
class _Pattern:
    head: str
    """What the receiver must be: empty for nothing, `*` for anything."""
    expression: re.Pattern[str] | None
    new: bool

    def fits(self, callee: Callee) -> bool:
        """Is this the call that the pattern names?"""
        if self.new:
            return callee.new and (not self.head or self._named(callee.heads))
        if self.expression is not None:
            return any(self.expression.search(head) for head in callee.heads)
        if self.head == "*":
            return bool(callee.heads)
        if not self.head:
            return not callee.heads and not callee.new
        return self._named(callee.heads)

    def _named(self, heads: Iterable[str]) -> bool:
        tail = "." + self.head
        return any(head == self.head or head.endswith(tail) for head in heads)


class Index(Generic[Thing]):
    """Rules by the last part of the calls they name."""

    def __init__(self, things: Sequence[tuple[str, Thing]], receivers: "dict[str, str]") -> None:
        self._by_name: dict[str, list[tuple[_Pattern, Thing]]] = {}
        for patterns, thing in things:
            for pattern in patterns.split():
                head, _, last = pattern.rpartition(".")
                made = _pattern(head, receivers)
                self._by_name.setdefault(last, []).append((made, thing))

    def of(self, callee: Callee) -> list[Thing]:
        """Everything that names this call."""
        found = self._by_name.get(callee.name)
        if found is None:
            return []
        return [thing for pattern, thing in found if pattern.fits(callee)]


def _pattern(head: str, receivers: "dict[str, str]") -> _Pattern:
    new = head == "new" or head.startswith("new.")
    if new:
        return _Pattern(head.removeprefix("new").lstrip("."), None, True)
    if head.startswith("@"):
        return _Pattern(head, re.compile(receivers[head[1:]], re.I), False)
    return _Pattern(head, None, False)


@dataclass(frozen=True, slots=True)
class Matcher:
    """A language's rules, ready to be asked."""

    language: Language
    sinks: Index[Sink]
    properties: Index[Property]
    cleaners: Index[Cleaner]
    checks: Index[Check]
    writers: Index[Writer]
    givers: Index[Source]
    formats: Index[bool]
    joins: Index[bool]
    resolves: Index[bool]
    ends: Index[bool]
    settings: dict[str, list[tuple[Setting, re.Pattern[str]]]]
    stores: dict[str, list[tuple[Store, re.Pattern[str]]]]
    paths: tuple[tuple[re.Pattern[str], Source], ...]
    parameters: tuple[tuple[re.Pattern[str], Source], ...]
    types: tuple[tuple[re.Pattern[str], Source], ...]
    harmless: re.Pattern[str]
    trusted: re.Pattern[str]
    globals: re.Pattern[str]


_NEVER = r"(?!)"


@cache
def matcher(language: Language) -> Matcher:
    """Built once for each language, when its first snippet comes."""
    receivers = dict(language.receivers)

    def index(things: Iterable[Thing], calls: Iterable[str]) -> Index[Thing]:
        return Index(list(zip(calls, things, strict=True)), receivers)

    def flag(calls: str) -> Index[bool]:
        return Index([(calls, True)], receivers)

    given = [source for source in language.sources if source.calls]
    return Matcher(
        language,
        sinks=index(language.sinks, (item.calls for item in language.sinks)),
        properties=index(language.properties, (item.calls for item in language.properties)),
        cleaners=index(language.cleaners, (item.calls for item in language.cleaners)),
        checks=index(language.checks, (item.calls for item in language.checks)),
        writers=index(language.writers, (item.calls for item in language.writers)),
        givers=index(given, (item.calls for item in given)),
        formats=flag(language.formats),
        joins=flag(language.joins),
        resolves=flag(language.resolves),
        ends=flag(language.ends),
        settings=_fields([(item.keys, item.within, item) for item in language.settings]),
        stores=_fields([(item.fields, item.within, item) for item in language.stores]),
        paths=_expressions(language.sources, "paths"),
        parameters=_expressions(language.sources, "parameters"),
        types=_expressions(language.sources, "types"),
        harmless=re.compile(language.harmless or _NEVER),
        trusted=re.compile(language.trusted or _NEVER, re.I),
        globals=re.compile(language.globals or _NEVER),
    )


def _fields(
    things: Sequence[tuple[str, str, Thing]],
) -> dict[str, list[tuple[Thing, re.Pattern[str]]]]:
    found: dict[str, list[tuple[Thing, re.Pattern[str]]]] = {}
    for names, within, thing in things:
        for name in names.split():
            found.setdefault(name, []).append((thing, re.compile(within, re.I)))
    return found


def _expressions(
    sources: Sequence[Source], part: str
) -> tuple[tuple[re.Pattern[str], Source], ...]:
    return tuple(
        (re.compile(text), source) for source in sources if (text := getattr(source, part))
    )
