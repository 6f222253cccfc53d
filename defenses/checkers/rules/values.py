"""What is known of a value while the code is followed: who decides it, and what was done to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum


class Level(IntEnum):
    """Who decides a value, surest danger last."""

    NONE = 0
    """The code itself, or a value that can do no harm: a number, an entry of a fixed list."""
    UNKNOWN = 1
    """Nobody knows: a global, a field, what a function elsewhere returns."""
    PARAMETER = 2
    """The caller of the function."""
    INPUT = 3
    """Who runs the program: arguments, environment, standard input, files, sockets."""
    REQUEST = 4
    """Anyone who can send a request."""


SOURCES = {
    Level.NONE: "elsewhere",
    Level.UNKNOWN: "outside the snippet",
    Level.PARAMETER: "a parameter",
    Level.INPUT: "the program's input",
    Level.REQUEST: "a request",
}
"""How a note names the origin."""

HOLE = "\0"
"""Stands in `Value.text` for a part that is not known."""

_OWN_SITE = frozenset({"rooted", "no_host"})
"""An address that begins with one slash and not with two stays on the site."""
_LONGEST = 2_000
"""Characters of a known text that are kept."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value."""

    level: Level = Level.NONE
    clean: frozenset[str] = frozenset()
    """Kinds of harm it can no longer do: `sql`, `shell`, `html`, `path`, `url`, `line` …"""
    eased: frozenset[str] = frozenset()
    """Kinds of harm that only its lesser parts can do: what nobody knows, not what others send."""
    text: str | None = None
    """Its text with `HOLE` for unknown parts; None where nothing of it is known."""
    path: str = ""
    """What it is: a module, a type, the call that made it."""
    marks: frozenset[str] = frozenset()
    """What was done to it: `joined`, `resolved`, `built`; `listed` is an object of nothing but
    named entries."""
    items: tuple["Value", ...] = ()
    """Elements of a collection written out in the code."""
    fields: Mapping[str, "Value"] = field(default_factory=dict)
    """Entries of an object written out in the code."""

    def level_for(self, label: str) -> Level:
        """Who decides what of it can still do this kind of harm."""
        if label in self.clean:
            return Level.NONE
        return min(self.level, Level.UNKNOWN) if label in self.eased else self.level

    def without(self, labels: Iterable[str]) -> "Value":
        """The value after it was made safe in these ways; `all` makes it harmless."""
        given = frozenset(labels)
        if not given:
            return self
        if "all" in given:
            return replace(self, level=Level.NONE, text=None, items=(), fields={})
        clean = self.clean | given
        if clean >= _OWN_SITE:
            clean |= {"redirect"}
        return replace(self, clean=clean)

    def marked(self, *marks: str) -> "Value":
        """The value with more said of it."""
        return replace(self, marks=self.marks | set(marks))

    @property
    def known(self) -> str | None:
        """The whole text where all of it is known."""
        return None if self.text is None or HOLE in self.text else self.text

    @property
    def shape(self) -> str:
        """The text, or one hole where nothing is known."""
        return HOLE if self.text is None else self.text


NOTHING = Value()
"""A value that can do no harm and of which nothing is known."""
UNKNOWN = Value(Level.UNKNOWN)


def literal(text: str) -> Value:
    """A text that stands in the code."""
    return Value(text=text[:_LONGEST])


def _clean_of(values: list[Value]) -> tuple[frozenset[str], frozenset[str]]:
    """What all of them together cannot do, and what only the lesser ones can."""
    dirty = [value for value in values if value.level > Level.NONE]
    if not dirty:
        return _NONE, _NONE
    if len(dirty) == 1:
        return dirty[0].clean, dirty[0].eased
    clean = frozenset.intersection(*(value.clean for value in dirty))
    worse = [value.clean | value.eased for value in dirty if value.level > Level.UNKNOWN]
    return clean, frozenset.intersection(*worse) if worse else _NONE


_NONE: frozenset[str] = frozenset()


def together(values: Iterable[Value]) -> Value:
    """All of them in one: as dangerous as the worst."""
    given = list(values)
    if len(given) == 1:
        return given[0]
    if not given:
        return NOTHING
    return Value(
        max(value.level for value in given),
        *_clean_of(given),
        marks=frozenset().union(*(value.marks for value in given)),
    )


def either(left: Value, right: Value) -> Value:
    """One or the other, after branches meet."""
    if left is right or left == right:
        return left
    worst = left if left.level >= right.level else right
    return Value(
        worst.level,
        *_clean_of([left, right]),
        text=left.text if left.text == right.text else _open_text(left, right),
        path=left.path if left.path == right.path else (worst.path or left.path or right.path),
        marks=left.marks | right.marks,
    )


def _open_text(left: Value, right: Value) -> str | None:
    """The worse text, if it is not wholly known: a known one may not be the one that is used.
    Of two that are as bad, the one that leaves more open."""
    level = max(left.level, right.level)
    texts = [value.text or "" for value in (left, right) if value.level == level]
    text = max(texts, key=lambda one: one.count(HOLE))
    return text if HOLE in text else None


def concatenated(values: Iterable[Value]) -> Value:
    """One text made of several."""
    given = list(values)
    whole = "".join(value.shape for value in given)[:_LONGEST]
    marks: set[str] = {"built"} if len(given) > 1 else set()
    for value in given:
        marks |= value.marks
    return Value(
        max((value.level for value in given), default=Level.NONE),
        *_clean_of(given),
        text=whole,
        marks=frozenset(marks),
    )
