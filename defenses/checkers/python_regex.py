"""What a regular expression lets through, and whether it can take exponential time.

Read from the syntax tree of the standard library's own parser. Polynomial time is not reported:
it is too common in harmless expressions.
"""

import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

codes: Any = import_module("re._constants")
parser: Any = import_module("re._parser")

_ALL = (1 << 129) - 1
"""One bit for each ASCII character, and one for all others."""
_NEWLINE = 1 << 10
_MANY = 12
"""A repetition that may go at least this far counts as unbounded."""


def _bits(characters: Iterable[str]) -> int:
    total = 0
    for character in characters:
        total |= 1 << min(ord(character), 128)
    return total


_CATEGORIES = {
    codes.CATEGORY_DIGIT: _bits("0123456789"),
    codes.CATEGORY_SPACE: _bits(" \t\n\r\f\v"),
    codes.CATEGORY_WORD: _bits(c for c in map(chr, range(128)) if c.isalnum() or c == "_")
    | 1 << 128,
}
_OPPOSITE = {
    codes.CATEGORY_NOT_DIGIT: codes.CATEGORY_DIGIT,
    codes.CATEGORY_NOT_SPACE: codes.CATEGORY_SPACE,
    codes.CATEGORY_NOT_WORD: codes.CATEGORY_WORD,
}
_REPEATS = (codes.MAX_REPEAT, codes.MIN_REPEAT)


@lru_cache(maxsize=1024)
def _parsed(pattern: str) -> Any | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return parser.parse(pattern)
    except (re.error, OverflowError, RecursionError):
        return None


@lru_cache(maxsize=512)
def admits(pattern: str) -> int | None:
    """Bits of the characters that a whole match may contain; None when it cannot be read."""
    tree = _parsed(pattern)
    return None if tree is None else _reach(tree)


@lru_cache(maxsize=1024)
def lets_through(pattern: str, characters: str) -> bool:
    """Whether text that matches in whole may contain one of the characters."""
    allowed = admits(pattern)
    return True if allowed is None else bool(allowed & _bits(characters))


def anchored(pattern: str, call: str) -> bool:
    """Whether a match by `re.match`, `search` or `fullmatch` covers the whole text."""
    if call == "fullmatch":
        return True
    ends = pattern.endswith(("$", r"\Z", "$)")) and not pattern.endswith(r"\$")
    starts = call == "match" or pattern.startswith(("^", r"\A", "(^"))
    return ends and starts and not _loose_alternation(pattern)


def _loose_alternation(pattern: str) -> bool:
    tree = _parsed(pattern)
    return tree is not None and len(tree) == 1 and tree[0][0] is codes.BRANCH


@lru_cache(maxsize=1024)
def removes(pattern: str, characters: str) -> bool:
    """Whether `re.sub` with this pattern takes every one of the characters out."""
    tree = _parsed(pattern)
    if tree is None:
        return False
    wide = 0
    items = list(tree)
    if len(items) == 1 and items[0][0] in _REPEATS:
        items = list(items[0][1][2])
    if len(items) == 1:
        wide = _single(items[0]) or 0
    return bool(wide) and _bits(characters) & ~wide == 0


def _reach(tree: Any) -> int:
    total = 0
    for item in tree:
        single = _single(item)
        if single is not None:
            total |= single
            continue
        for inner in _children(item):
            total |= _reach(inner)
    return total


def _children(item: Any) -> list[Any]:
    code, content = item
    if code in _REPEATS or code is codes.POSSESSIVE_REPEAT:
        return [content[2]]
    if code is codes.SUBPATTERN:
        return [content[3]]
    if code is codes.BRANCH:
        return list(content[1])
    if code is codes.ATOMIC_GROUP:
        return [content]
    return []


def _single(item: Any) -> int | None:
    """Characters of an item that takes exactly one; None for other items."""
    code, content = item
    if code is codes.LITERAL:
        return 1 << min(int(content), 128)
    if code is codes.NOT_LITERAL:
        return _ALL & ~(1 << min(int(content), 128)) | 1 << 128
    if code is codes.ANY:
        return _ALL & ~_NEWLINE
    if code is codes.IN:
        return _class(content)
    return None


def _class(content: Any) -> int:
    total = 0
    negated = False
    for code, value in content:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            total |= 1 << min(value, 128)
        elif code is codes.RANGE:
            low, high = (min(end, 128) for end in value)
            total |= (1 << high + 1) - (1 << low)
        elif code is codes.CATEGORY:
            opposite = _OPPOSITE.get(value)
            total |= (
                _CATEGORIES.get(value, _ALL)
                if opposite is None
                else _ALL & ~_CATEGORIES[opposite] | 1 << 128
            )
    return _ALL & ~total | 1 << 128 if negated else total


@lru_cache(maxsize=512)
def explodes(pattern: str) -> bool:
    """Whether some text can make the matcher backtrack exponentially."""
    tree = _parsed(pattern)
    return tree is not None and _any_exploding(tree, following=False)


def _any_exploding(tree: Any, *, following: bool) -> bool:
    items = list(tree)
    for index, item in enumerate(items):
        can_fail = following or index + 1 < len(items)
        if item[0] in _REPEATS and item[1][1] >= _MANY and can_fail:
            if _ambiguous(item[1][2]):
                return True
        if any(_any_exploding(inner, following=can_fail) for inner in _children(item)):
            return True
    return False


def _ambiguous(body: Any) -> bool:
    """Whether repeating the body can spell one text in several ways."""
    items = _flat(body)
    if len(items) == 1 and items[0][0] is codes.BRANCH:
        return _overlapping(items[0][1][1]) or any(_ambiguous(b) for b in items[0][1][1])
    for index, item in enumerate(items):
        if item[0] not in _REPEATS or item[1][1] < 2 or item[1][0] == item[1][1]:
            continue
        inner = _first(item[1][2])
        rest = [*items[index + 1 :], *items[:index]]
        if _nullable_run(rest) or inner & _meets(rest, item) and _all_within(rest, inner):
            return True
    return False


def _flat(body: Any) -> list[Any]:
    items = list(body)
    while len(items) == 1 and items[0][0] is codes.SUBPATTERN:
        items = list(items[0][1][3])
    return items


def _overlapping(branches: Any) -> bool:
    seen = 0
    for branch in branches:
        items = list(branch)
        if len(items) != 1:
            continue
        item = items[0]
        own = _single(item)
        if own is None and item[0] in _REPEATS:
            own = _first(item[1][2])
        if own is None:
            continue
        if own & seen:
            return True
        seen |= own
    return False


def _nullable_run(items: list[Any]) -> bool:
    return all(_nullable(item) for item in items)


def _nullable(item: Any) -> bool:
    code, content = item
    if code in _REPEATS:
        return content[0] == 0 or _nullable_run(list(content[2]))
    if code is codes.SUBPATTERN:
        return _nullable_run(list(content[3]))
    if code is codes.BRANCH:
        return any(_nullable_run(list(branch)) for branch in content[1])
    return code in (codes.AT, codes.ASSERT, codes.ASSERT_NOT)


def _meets(rest: list[Any], item: Any) -> int:
    total = 0
    for other in rest:
        total |= _reach([other])
        if not _nullable(other):
            return total
    return total | _first(item[1][2])


def _all_within(rest: list[Any], allowed: int) -> bool:
    """Whether everything that must come between two rounds can be read as one more round."""
    return all(_nullable(item) or _reach([item]) & allowed for item in rest)


def _first(tree: Any) -> int:
    total = 0
    for item in tree:
        single = _single(item)
        if single is not None:
            return total | single
        for inner in _children(item):
            total |= _first(inner)
        if not _nullable(item):
            return total
    return total


@dataclass(frozen=True, slots=True)
class Pump:
    """A text on which a matcher may labour: the piece, over and over, behind the prefix."""

    prefix: str
    piece: str


def pumps(pattern: str) -> list[Pump]:
    """Texts that begin like a match and go on within one of its unbounded repetitions, those with a
    choice inside first; none for what cannot be read."""
    tree = _parsed(pattern)
    found: list[tuple[bool, Pump]] = []
    if tree is not None:
        _pumped(list(tree), "", found)
    found.sort(key=lambda item: not item[0])
    return list(dict.fromkeys(pump for _, pump in found))


def _pumped(items: list[Any], prefix: str, found: list[tuple[bool, Pump]]) -> None:
    for operation, argument in items:
        if operation in _REPEATS:
            body = list(argument[2])
            if argument[1] is codes.MAXREPEAT or argument[1] > _MANY:
                nested = any(
                    item[0] in (*_REPEATS, codes.SUBPATTERN, codes.BRANCH) for item in body
                )
                found.append((nested, Pump(prefix, _sample(body) or "a")))
            _pumped(body, prefix, found)
        elif operation is codes.SUBPATTERN:
            _pumped(list(argument[-1]), prefix, found)
        elif operation is codes.BRANCH:
            for branch in argument[1]:
                _pumped(list(branch), prefix, found)
        prefix += _sample([(operation, argument)])


def _sample(items: list[Any]) -> str:
    """A short text that a part of a pattern matches, near enough."""
    text = ""
    for operation, argument in items:
        if operation in _REPEATS:
            low, high, body = argument
            times = max(low, 1) if high is codes.MAXREPEAT else low
            text += _sample(list(body)) * min(times, 8)
        elif operation is codes.SUBPATTERN:
            text += _sample(list(argument[-1]))
        elif operation is codes.BRANCH:
            text += _sample(list(argument[1][0]))
        elif (allowed := _single((operation, argument))) is not None:
            text += _character(allowed)
    return text


def _character(allowed: int) -> str:
    """One of some characters, a letter or digit if there is one among them."""
    inside = [chr(at) for at in range(32, 127) if allowed >> at & 1]
    plain = [character for character in inside if character.isalnum()]
    return (["a"] if "a" in plain else plain or inside or ["\u00e9"])[0]
