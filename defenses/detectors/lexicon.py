"""Concepts: what the words, phrases and signs in a text stand for.

The lists are in `lexicon.toml`. Words alone do not judge intent; the classifier weighs concepts and
their pairs, so that "brute force" beside "detect" is one thing and beside "their account" another.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt

from bluecode.defenses.terms import Terms, code, read

_SMALL = frozenset(
    "the a an of this that these those is are be it its please just and do does".split()
)
_BETWEEN = frozenset(
    "all any your my our their his her every some other prior you were given entire whole"
    " them".split()
)
_LONGEST = 4
_SHIFT = 10
"""Bits for the concept number in a packed place and concept."""
_MIX = np.uint64(0x100000001B3)
_OPENING = np.uint64(0x9E3779B97F4A7C15)
"""Sets the first word of a phrase that counts only where a sentence opens apart from others."""

Array = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hits:
    """Where which concept was found: parallel columns of term index and concept number."""

    places: Array
    concepts: Array


@dataclass(frozen=True, slots=True)
class Sign:
    """A regular expression, tried only on texts that hold one of its literals."""

    pattern: re.Pattern[str]
    literals: tuple[tuple[str, frozenset[str]], ...]
    """Each with its characters that are no letters: most texts lack one of them."""

    def tried_on(self, text: str, marks: frozenset[str]) -> bool:
        """Does the text, which consists of these characters, hold a literal?"""
        return any(rare <= marks and literal in text for literal, rare in self.literals)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Concept names in the order of their numbers, phrases by length, and signs."""

    names: tuple[str, ...]
    keys: tuple[Hashes, ...]
    """For each phrase length: sorted hashes of the phrases."""
    owners: tuple[Array, ...]
    """For each phrase length: the concept of the phrase in the same place of `keys`."""
    signs: tuple[Sign, ...]
    """Their concept numbers follow those of the phrases."""
    members: Array
    """The concepts of all groups, one group after the other; a group's number follows those of the
    signs, and it is present where any of its concepts is."""
    bounds: Array
    """Where each group begins in `members`."""
    products: Mapping[str, Array]
    """For each task, rows of three concepts or groups weighed together; pairs repeat one."""
    strengths: Mapping[str, Floats]
    """For each task, how much each concept and group counts alone: 0, a quarter, or 1."""

    @classmethod
    def parse(cls, text: str) -> "Lexicon":
        """Read a lexicon in TOML."""
        table = tomllib.loads(text)
        concepts: Mapping[str, str] = table["concepts"]
        signs = {name: _sign(entry) for name, entry in table["signs"].items()}
        keys, owners = _index(concepts.values())
        names = (*concepts, *signs)
        numbers = {name: at for at, name in enumerate((*names, *table["groups"]))}
        groups = [[numbers[item] for item in row] for row in table["groups"].values()]
        members = np.array([number for row in groups for number in row], dtype=np.int64)
        bounds = np.cumsum([0, *map(len, groups)])[:-1]
        products = {task: _products(task, table, numbers) for task in table["combinations"]}
        strengths = {task: _strengths(task, table, numbers) for task in table["combinations"]}
        return cls(names, keys, owners, tuple(signs.values()), members, bounds, products, strengths)

    def find(self, terms: Terms) -> Hits:
        """All concepts in a text."""
        plain = _without(terms.hashes, _SMALL)
        spare = _without(terms.hashes, _SMALL | _BETWEEN)
        opening = terms.hashes * (_OPENING * terms.opens)
        packed = [
            *self._phrases(terms, terms.hashes, plain),
            *self._phrases(terms, terms.hashes, spare),
            *self._phrases(terms, opening, plain),
        ]
        packed.append(np.array(list(self._signs(terms)), dtype=np.int64))
        pairs = np.unique(np.concatenate(packed))
        return Hits(pairs >> _SHIFT, pairs & ((1 << _SHIFT) - 1))

    def _phrases(self, terms: Terms, first: Hashes, kept: Array) -> Iterator[Array]:
        """Place and concept of each phrase that begins with `first`, packed into one number.

        Only the terms at `kept` are read."""
        hashes = terms.hashes[kept]
        key = first[kept]
        for length, keys, owners in zip(range(_LONGEST), self.keys, self.owners, strict=True):
            if length:
                key = _join(key[: len(hashes) - length], hashes[length:])
            left = np.searchsorted(keys, key, "left")
            count = np.searchsorted(keys, key, "right") - left
            hit = np.flatnonzero(count)
            for more in range(int(count[hit].max(initial=0))):
                hit = hit[count[hit] > more]
                yield kept[hit] << _SHIFT | owners[left[hit] + more]

    def _signs(self, terms: Terms) -> Iterator[int]:
        first = len(self.names) - len(self.signs)
        marks = frozenset(terms.text)
        for number, sign in enumerate(self.signs, first):
            if sign.tried_on(terms.text, marks):
                for match in sign.pattern.finditer(terms.text):
                    place = bisect_right(terms.starts, match.start())
                    yield min(place, max(len(terms.stems) - 1, 0)) << _SHIFT | number


def _without(hashes: Hashes, stems: frozenset[str]) -> Array:
    """Places of the terms that are none of these."""
    table = _hashes(stems)
    near = np.minimum(np.searchsorted(table, hashes), len(table) - 1)
    return np.flatnonzero(table[near] != hashes)


@cache
def _hashes(stems: frozenset[str]) -> Hashes:
    return np.array(sorted(code(stem) for stem in stems), dtype=np.uint64)


def _join(left: Hashes, right: Hashes) -> Hashes:
    joined: Hashes = left * _MIX ^ right
    return joined


def _products(task: str, table: Mapping[str, Any], numbers: Mapping[str, int]) -> Array:
    pairs = [(a, b, b) for a, b in combinations(table["combinations"][task], 2)]
    triples = [tuple(row.split()) for row in table["triples"][task]]
    return np.array([[numbers[name] for name in row] for row in [*pairs, *triples]], np.int64)


def _strengths(task: str, table: Mapping[str, Any], numbers: Mapping[str, int]) -> Floats:
    faint = frozenset(table["faint"][task])
    unused = tuple(table["unused"][task])
    values = [0.0 if name.startswith(unused) else 0.25 if name in faint else 1 for name in numbers]
    return np.array(values, dtype=np.float32)


def _sign(entry: Mapping[str, Any]) -> Sign:
    rare = [(word, frozenset(re.sub(r"[^\W\d_]", "", word))) for word in entry["literals"]]
    return Sign(re.compile(entry["pattern"]), tuple(rare))


def _index(lists: Iterable[str]) -> tuple[tuple[Hashes, ...], tuple[Array, ...]]:
    rows: list[list[tuple[int, int]]] = [[] for _ in range(_LONGEST)]
    for owner, phrases in enumerate(lists):
        for phrase in re.split(r"[,\n]", phrases):
            key, length = _key(phrase)
            if length:
                rows[length - 1].append((key, owner))
    tables = [sorted(set(row)) for row in rows]
    keys = tuple(np.array([key for key, _ in table], dtype=np.uint64) for table in tables)
    owners = tuple(np.array([owner for _, owner in table], dtype=np.int64) for table in tables)
    return keys, owners


def _key(phrase: str) -> tuple[int, int]:
    """A phrase's hash and length, at most four terms long."""
    terms = read(phrase.strip())
    kept = [i for i, stem in enumerate(terms.stems) if stem not in _SMALL][:_LONGEST]
    hashes = terms.hashes[kept]
    key = hashes[:1] * (_OPENING if phrase.strip().startswith("^") else np.uint64(1))
    for at in range(1, len(hashes)):
        key = _join(key, hashes[at : at + 1])
    return (int(key[0]), len(kept)) if kept else (0, 0)


@cache
def shipped() -> Lexicon:
    """The lexicon that comes with BlueCode."""
    folder = resources.files("bluecode.defenses.detectors")
    return Lexicon.parse(folder.joinpath("lexicon.toml").read_text("utf-8"))
