"""Sentences out of patterns: `{name}` is filled from a list, `((a|b))` is one of several.

The same random numbers give the same sentence. Braces that hold no name stay as they are, and `{{`
and `}}` become single ones, so that patterns may hold code.
"""

import re
from collections.abc import Mapping, Sequence
from random import Random
from typing import TypeVar

_CHOICE = re.compile(r"\(\(((?:[^()|]|\([^()]*\))*(?:\|(?:[^()|]|\([^()]*\))*)+)\)\)")
_SLOT = re.compile(r"\{\{|\}\}|\{([a-z_]+)\}")
_DEEPEST = 6
Lists = Mapping[str, Sequence[str]]
Item = TypeVar("Item")


def say(pattern: str, lists: Lists, chance: Random, bound: Mapping[str, str] | None = None) -> str:
    """One sentence of a pattern; `bound` fixes what some names stand for. Raises `KeyError` for a
    name that is nowhere."""
    fixed = {} if bound is None else dict(bound)
    return _filled(pattern, lists, chance, fixed, _DEEPEST)


def _filled(
    pattern: str, lists: Lists, chance: Random, bound: Mapping[str, str], depth: int
) -> str:
    chosen = _CHOICE.sub(lambda found: chance.choice(found[1].split("|")), pattern)

    def fill(found: re.Match[str]) -> str:
        name = found[1]
        if name is None:
            return found[0][0]
        if name in bound:
            return bound[name]
        drawn = chance.choice(lists[name])
        return _filled(drawn, lists, chance, bound, depth - 1) if depth else drawn

    return _SLOT.sub(fill, chosen)


def half(entries: Sequence[Item], frozen: bool) -> Sequence[Item]:
    """Every third entry is kept for the frozen set; the others are for all else. Where there is
    only one or two, both get them."""
    kept = [item for at, item in enumerate(entries) if (at % 3 == 2) is frozen]
    return kept or entries


def capital(text: str) -> str:
    """The text with its first letter large; what begins otherwise is left alone."""
    return text[:1].upper() + text[1:]
