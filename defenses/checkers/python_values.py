"""Abstract values of the Python checker: where a value came from and what text it is made of.

A value keeps the tags of every untrusted source that went into it, the pieces of its text as far as
they are known, and the dotted name of what made it. Everything is immutable; unknown is not safe.
"""

import ast
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

Constant = str | bytes | int | float | complex | bool | None


class Level(IntEnum):
    """How surely somebody else decides a value, least surely first."""

    NONE = 0
    UNKNOWN = 1
    """A name or result that the snippet does not explain."""
    FIELD = 2
    """An attribute of the object a method belongs to."""
    PRIVATE = 3
    """A parameter of a helper that the snippet itself calls."""
    PARAMETER = 4
    STORED = 5
    """Read from a file, a database, the environment or another service."""
    INPUT = 6
    """Typed by whoever starts the program."""
    REQUEST = 7
    """Sent by a client over the network."""


DANGERS = frozenset(
    "shell sql nosql html path url code header log ldap xpath regex template data xml name".split()
)
"""What a value may be dangerous to; a cleaner or a guard removes some of them."""


class Tag(NamedTuple):
    """One source that went into a value."""

    root: str
    """Names the source; its parts add `>` and a word: a check of the whole covers them."""
    level: Level
    cleared: frozenset[str] = frozenset()
    kind: str = "input"
    """`input`, or a property that travels the same way: `random`, `secret`, `error`, and `number`
    for input that can only be one."""
    line: int = 0


Tags = frozenset[Tag]
Part = str | Tags
"""A known piece of text, or a hole with the tags of what fills it (none: harmless)."""

NO_TAGS: Final[Tags] = frozenset()
NO_MARKS: Final[frozenset[str]] = frozenset()
_MOST_PARTS = 24
_MOST_TAGS = 16
_MOST_ITEMS = 40


class Unset:
    """Stands for "no constant", since `None` is one."""


UNSET: Final = Unset()


class Value(NamedTuple):
    """What is known of a value."""

    tags: Tags = NO_TAGS
    name: str = ""
    """Dotted origin: `os.system`, `sqlite3.connect().cursor`; empty where none is known."""
    parts: tuple[Part, ...] = ()
    items: "tuple[Value, ...] | None" = None
    fields: "tuple[tuple[str, Value], ...] | None" = None
    const: Constant | Unset = UNSET
    marks: frozenset[str] = NO_MARKS
    """Facts: `number`, `path` (a pathlib object), `normal` (resolved path), `request`, `shell` …"""
    code: "ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | None" = None

    @property
    def composed(self) -> bool:
        """Text glued from a known piece and something else."""
        return len(self.parts) > 1

    @property
    def literal(self) -> str | None:
        """The whole text, where it is known."""
        if isinstance(self.const, str):
            return self.const
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], str) else None

    def field(self, key: str) -> "Value | None":
        for name, value in self.fields or ():
            if name == key:
                return value
        return None


NOTHING: Final = Value()
NUMBER: Final = Value(marks=frozenset({"number"}))


def constant(content: Constant) -> Value:
    if isinstance(content, str):
        return Value(const=content, parts=(content,))
    if isinstance(content, (int, float)) and content is not None:
        return Value(const=content, marks=NUMBER.marks)
    return Value(const=content)


def is_constant(value: Value) -> bool:
    return not isinstance(value.const, Unset)


def source(root: str, level: Level, *, name: str = "", line: int = 0) -> Value:
    return Value(tags=frozenset({Tag(root, level, line=line)}), name=name)


def parts_of(value: Value) -> tuple[Part, ...]:
    """The value as it looks when it is put into text."""
    if value.parts:
        return value.parts
    if "number" in value.marks and not is_constant(value):
        return (keep_kinds(value.tags),)
    if is_constant(value):
        content = value.const
        return (content.decode("latin-1") if isinstance(content, bytes) else str(content),)
    return (value.tags,)


def numbered(tags: Tags) -> Tags:
    """Tags of a value that is only ever written as a number: it came from outside all the same."""
    if not tags:
        return tags
    return frozenset(tag._replace(kind="number") if tag.kind == "input" else tag for tag in tags)


def keep_kinds(tags: Tags) -> Tags:
    """What is left of tags when a number was made of the value."""
    if not tags:
        return tags
    return frozenset(tag for tag in tags if tag.kind != "input")


def text(parts: Iterable[Part], marks: frozenset[str] = NO_MARKS, name: str = "") -> Value:
    """Text of the given pieces, neighbouring literals merged."""
    merged: list[Part] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif part != "":
            merged.append(part)
    tags = union(part for part in merged if not isinstance(part, str))
    if len(merged) > _MOST_PARTS:
        merged = [*merged[: _MOST_PARTS - 1], tags]
    if not tags and all(isinstance(part, str) for part in merged):
        literal = str(merged[0]) if merged else ""
        return Value(const=literal, parts=(literal,), marks=marks, name=name)
    return Value(tags=tags, parts=tuple(merged), marks=marks, name=name)


def glue(values: Iterable[Value], between: str = "") -> Value:
    pieces: list[Part] = []
    for index, value in enumerate(values):
        if index and between:
            pieces.append(between)
        pieces.extend(parts_of(value))
    return text(pieces)


def union(sets: Iterable[Tags]) -> Tags:
    found: set[Tag] = set()
    for tags in sets:
        found.update(tags)
    if len(found) > _MOST_TAGS:
        found = set(sorted(found, key=lambda tag: (-tag.level, tag.root, tag.kind))[:_MOST_TAGS])
    return frozenset(found) if found else NO_TAGS


def all_tags(value: Value) -> Tags:
    """Tags of the value and of what it holds."""
    if value.items is None and value.fields is None:
        return value.tags
    held = [value.tags, *(all_tags(item) for item in value.items or ())]
    held.extend(all_tags(item) for _, item in value.fields or ())
    return union(held)


def sequence(items: Iterable[Value], name: str = "") -> Value:
    kept = tuple(items)
    if len(kept) > _MOST_ITEMS:
        return Value(tags=union(all_tags(item) for item in kept), name=name)
    return Value(tags=union(all_tags(item) for item in kept), items=kept, name=name)


def blend(values: Iterable[Value], name: str = "") -> Value:
    """Something made of all values in a way that is not known."""
    return Value(tags=union(all_tags(value) for value in values), name=name)


def clear(tags: Tags, dangers: frozenset[str]) -> Tags:
    if not tags:
        return tags
    return frozenset(tag._replace(cleared=tag.cleared | dangers) for tag in tags)


def cleaned(value: Value, dangers: frozenset[str]) -> Value:
    """The value after something made it harmless for `dangers`."""
    parts = tuple(p if isinstance(p, str) else clear(p, dangers) for p in value.parts)
    return value._replace(tags=clear(value.tags, dangers), parts=parts, items=None, fields=None)


def piece(value: Value, word: str, name: str = "", marks: frozenset[str] = NO_MARKS) -> Value:
    """A part of the value: a check of the part says nothing of the whole."""
    whole = all_tags(value)
    if not whole:
        return Value(name=name, marks=marks) if name or marks else NOTHING
    tags = frozenset([_part(tag, word) for tag in whole])
    return Value(tags=tags, name=name, marks=marks)


def _part(tag: Tag, word: str) -> Tag:
    return Tag(_extended(tag.root, word), tag.level, tag.cleared, tag.kind, tag.line)


def _extended(root: str, word: str) -> str:
    return root if root.count(">") > 2 else f"{root}>{word}"


def decoded(value: Value) -> Value:
    """The value after a decoding, which can bring back whatever a check or a cleaner took out."""
    tags = frozenset(_afresh(tag) for tag in all_tags(value))
    return Value(tags=tags, name=value.name) if tags else value


def _afresh(tag: Tag) -> Tag:
    if tag.kind != "input" or tag.root.endswith("%decoded"):
        return tag._replace(cleared=frozenset())
    return tag._replace(root=f"{tag.root}%decoded", cleared=frozenset())


def weakened(tags: Tags) -> Tags:
    """Tags after a function that nobody here can read."""
    out = set()
    for tag in tags:
        level = Level.PARAMETER if tag.level is Level.REQUEST else min(tag.level, Level.UNKNOWN)
        out.add(Tag(_extended(tag.root, "call"), level, tag.cleared, tag.kind, tag.line))
    return frozenset(out) if out else NO_TAGS


def merge(first: Value, second: Value) -> Value:
    """What holds of a value that is one of two, as after an `if`."""
    if first is second or first == second:
        return first
    worse = second if _weight(second) > _weight(first) else first
    return Value(
        tags=union((first.tags, second.tags)),
        name=first.name or second.name,
        parts=worse.parts,
        items=worse.items if worse.items is not None else None,
        fields=worse.fields,
        marks=first.marks & second.marks,
        code=first.code or second.code,
    )


def _weight(value: Value) -> tuple[int, int, int]:
    top = max((tag.level for tag in value.tags), default=0)
    return top, len(value.parts), len(value.items or ())
