"""Concepts: what the words, phrases and signs in a text stand for.

The lists are in `lexicon.toml`. Words alone do not judge intent; the classifier weighs concepts and
their pairs, so that "brute force" beside "detect" is one thing and beside "their account" another.
"""

import re
import tomllib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import combinations, compress, count, filterfalse
from typing import Any

import numpy as np
import numpy.typing as npt

from bluecode.defenses.detectors.signs import Signs
from bluecode.defenses.terms import Terms, read

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

Array = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hits:
    """Where which concept was found: parallel columns of term index and concept number."""

    places: Array
    concepts: Array


class Phrase:
    """A node of the tree of phrases: what ends here, and how it may go on."""

    __slots__ = ("concepts", "longer")

    def __init__(self) -> None:
        self.concepts: tuple[int, ...] = ()
        self.longer: dict[str, Phrase] = {}

    def add(self, stems: Sequence[str], concept: int) -> None:
        """Enter a phrase below this node."""
        node = self
        for stem in stems:
            node = node.longer.setdefault(stem, Phrase())
        if concept not in node.concepts:
            node.concepts += (concept,)


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Concept names in the order of their numbers, phrases, and signs."""

    names: tuple[str, ...]
    anywhere: Phrase
    """Phrases wherever they stand."""
    opening: Phrase
    """Phrases that count where they open a sentence."""
    signs: Signs
    """Their concept numbers follow those of the phrases."""
    members: Array
    """The concepts of all groups, one group after the other; a group's number follows those of the
    signs, and it is present where any of its concepts is."""
    bounds: Array
    """Where each group begins in `members`."""
    products: Mapping[str, Array]
    """For each task, rows of three concepts or groups weighed together; pairs repeat one."""
    strengths: Mapping[str, Floats]
    """For each task, how much each concept and group counts alone: 0, a quarter, or whole."""
    scales: Mapping[str, float]
    """For each task, what a whole concept counts; a product counts half of it."""

    @classmethod
    def parse(cls, text: str) -> "Lexicon":
        """Read a lexicon in TOML."""
        table = tomllib.loads(text)
        concepts: Mapping[str, str] = table["concepts"]
        signs = Signs(table["signs"].values())
        names = (*concepts, *table["signs"])
        numbers = {name: at for at, name in enumerate((*names, *table["groups"]))}
        groups = [[numbers[item] for item in row] for row in table["groups"].values()]
        members = np.array([number for row in groups for number in row], dtype=np.int64)
        bounds = np.cumsum([0, *map(len, groups)])[:-1]
        products = {task: _products(task, table, numbers) for task in table["combinations"]}
        strengths = {task: _strengths(task, table, numbers) for task in table["combinations"]}
        trees = _trees(concepts.values())
        return cls(names, *trees, signs, members, bounds, products, strengths, table["scales"])

    def find(self, terms: Terms) -> Hits:
        """All concepts in a text."""
        number = len(self.names) - len(self.signs)
        found = {place << _SHIFT | number + sign for place, sign in self.signs.find(terms)}
        kept = [at for at, small in enumerate(map(_SMALL.__contains__, terms.stems)) if not small]
        read = list(filterfalse(_SMALL.__contains__, terms.stems))
        opens = _openings(kept, terms)
        known = map(self.anywhere.longer.__contains__, read)
        _walk(self.anywhere, read, kept, compress(count(), known), found)
        _walk(self.opening, read, kept, opens, found)
        if not _BETWEEN.isdisjoint(read):
            spare = [at for at, stem in enumerate(read) if stem not in _BETWEEN]
            places, starts = [kept[at] for at in spare], _before_gaps(spare)
            read = [read[at] for at in spare]
            _walk(self.anywhere, read, places, starts, found)
            _walk(self.opening, read, places, (at for at in starts if spare[at] in opens), found)
        pairs = np.array(sorted(found), dtype=np.int64)
        return Hits(pairs >> _SHIFT, pairs & ((1 << _SHIFT) - 1))


def _openings(kept: list[int], terms: Terms) -> frozenset[int]:
    """Which of the kept terms open a sentence, but for small words before them."""
    starts = terms.opens.nonzero()[0].tolist()
    at = (bisect_left(kept, start) for start in starts)
    return frozenset(place for place in at if place < len(kept))


def _walk(
    tree: Phrase, stems: list[str], places: list[int], starts: Iterable[int], found: set[int]
) -> None:
    """Add place and concept, packed into one number, of each phrase that begins at `starts`."""
    last = len(stems) - 1
    for start in starts:
        at, node = start, tree.longer.get(stems[start])
        place = places[start] << _SHIFT
        while node is not None:
            for concept in node.concepts:
                found.add(place | concept)
            if at == last or not node.longer:
                break
            at += 1
            node = node.longer.get(stems[at])


def _before_gaps(kept: list[int]) -> list[int]:
    """Which of the kept places have one that was left out within the length of a phrase."""
    gaps = [at for at in range(len(kept) - 1) if kept[at + 1] - kept[at] > 1]
    return sorted({start for at in gaps for start in range(max(at - _LONGEST + 2, 0), at + 1)})


def _trees(lists: Iterable[str]) -> tuple[Phrase, Phrase]:
    """Phrases that count anywhere, and those after ^, from the lists of the concepts."""
    anywhere, opening = Phrase(), Phrase()
    for concept, phrases in enumerate(lists):
        for phrase in re.split(r"[,\n]", phrases):
            stems = [stem for stem in read(phrase).stems if stem not in _SMALL][:_LONGEST]
            if stems:
                (opening if phrase.strip().startswith("^") else anywhere).add(stems, concept)
    return anywhere, opening


def _products(task: str, table: Mapping[str, Any], numbers: Mapping[str, int]) -> Array:
    pairs = [(a, b, b) for a, b in combinations(table["combinations"][task], 2)]
    triples = [tuple(row.split()) for row in table["triples"][task]]
    return np.array([[numbers[name] for name in row] for row in [*pairs, *triples]], np.int64)


def _strengths(task: str, table: Mapping[str, Any], numbers: Mapping[str, int]) -> Floats:
    faint = frozenset(table["faint"][task])
    unused = tuple(table["unused"][task])
    values = [0.0 if name.startswith(unused) else 0.25 if name in faint else 1 for name in numbers]
    return np.array(values, dtype=np.float32) * np.float32(table["scales"][task])


@cache
def shipped() -> Lexicon:
    """The lexicon that comes with BlueCode."""
    folder = resources.files("bluecode.defenses.detectors")
    return Lexicon.parse(folder.joinpath("lexicon.toml").read_text("utf-8"))
