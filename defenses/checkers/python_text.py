"""How text is put together: `%`, `.format`, f-strings, `join`, and what numbers do to a hole."""

import re
import string
from collections.abc import Mapping, Sequence

from bluecode.defenses.checkers.python_values import (
    NO_TAGS,
    Part,
    Value,
    all_tags,
    numbered,
    parts_of,
    piece,
    text,
    union,
)

_PERCENT = re.compile(r"%(?:\((\w*)\))?[#0\- +]*(?:\*|\d+)?(?:\.(?:\*|\d+))?[hlL]?([a-zA-Z%])")
_NUMBERS = frozenset("diouxXeEfFgGc")


def number_hole(value: Value) -> Part:
    """What is left of a value that is printed as a number."""
    return numbered(value.tags)


def percent(template: Value, arguments: Value) -> Value:
    """`template % arguments`."""
    given = list(arguments.items) if arguments.items is not None else [arguments]
    single = arguments.items is None
    pieces: list[Part] = []
    used = 0
    for part in parts_of(template):
        if not isinstance(part, str):
            pieces.append(part)
            continue
        end = 0
        for found in _PERCENT.finditer(part):
            pieces.append(part[end : found.start()])
            end = found.end()
            key, kind = found.groups()
            if kind == "%":
                pieces.append("%")
                continue
            value = _percent_argument(arguments, given, single, key, used)
            used += key is None
            pieces.extend((number_hole(value),) if kind in _NUMBERS else _filled(value))
        pieces.append(part[end:])
    return text(pieces, template.marks)


def _percent_argument(
    arguments: Value, given: Sequence[Value], single: bool, key: str | None, index: int
) -> Value:
    if key is not None:
        return arguments.field(key) or Value(tags=all_tags(arguments))
    if single or index >= len(given):
        return Value(tags=all_tags(arguments)) if index else given[0]
    return given[index]


def _filled(value: Value) -> tuple[Part, ...]:
    if value.items is not None or value.fields is not None:
        return (all_tags(value),)
    return parts_of(value) or (NO_TAGS,)


def formatted(template: Value, positional: Sequence[Value], named: Mapping[str, Value]) -> Value:
    """`template.format(...)`."""
    everything = union([all_tags(v) for v in (*positional, *named.values())])
    pieces: list[Part] = []
    automatic = 0
    for part in parts_of(template):
        if not isinstance(part, str):
            pieces.extend((part, everything) if everything else (part,))
            continue
        try:
            chunks = list(string.Formatter().parse(part))
        except ValueError:
            pieces.extend((part, everything))
            continue
        for literal, field, spec, _ in chunks:
            pieces.append(literal)
            if field is None:
                continue
            value, automatic = _format_argument(field, positional, named, automatic)
            if value is None:
                pieces.append(everything)
            else:
                pieces.extend(_with_spec(value, spec or ""))
    return text(pieces, template.marks)


def _format_argument(
    field: str, positional: Sequence[Value], named: Mapping[str, Value], automatic: int
) -> tuple[Value | None, int]:
    head = re.split(r"[.\[]", field, maxsplit=1)[0]
    if head == "":
        value = positional[automatic] if automatic < len(positional) else None
        return value, automatic + 1
    if head.isdigit():
        index = int(head)
        return (positional[index] if index < len(positional) else None), automatic
    return named.get(head), automatic


def _with_spec(value: Value, spec: str) -> tuple[Part, ...]:
    if spec and spec[-1] in _NUMBERS:
        return (number_hole(value),)
    return _filled(value)


def interpolated(pieces: Sequence[tuple[Value, str]]) -> Value:
    """An f-string: values with their format specifications."""
    return text(part for value, spec in pieces for part in _with_spec(value, spec))


def joined(separator: Value, iterable: Value) -> Value:
    """`separator.join(iterable)`."""
    between = parts_of(separator)
    items = iterable.items
    if items is None:
        own = piece(iterable, "each").tags
        return text((own, *between, own) if own else between)
    if "repeated" in iterable.marks:
        items = items * 2
    pieces: list[Part] = []
    for index, item in enumerate(items):
        if index:
            pieces.extend(between)
        pieces.extend(parts_of(item))
    return text(pieces)
