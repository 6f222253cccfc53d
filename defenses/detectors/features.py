"""Windows of a text as numbers: concepts, products of concepts, hashed words and word pairs.

Everything is laid out over the whole text once and summed by window, so that a long text costs
little more for each window than the reading of it. The same code serves training and screening.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from bluecode.defenses.detectors.lexicon import Array, Floats, Hits, Lexicon
from bluecode.defenses.terms import Terms, grams, read

_WORD_SCALE, LETTER_SCALE = 2.0, 2.0
"""How readily the fit makes use of words, and of parts of words."""
_SHORTEST = 4
"""Terms; a shorter sentence goes with the one before."""
_SHORTEST_PARAGRAPH = 8
"""Terms; a shorter paragraph goes with its neighbour."""


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """A text, read: terms, concepts, and the buckets of its words."""

    terms: Terms
    hits: Hits
    buckets: Array
    """Bucket of each word, then of each pair, then of each sentence opening."""
    openings: Array
    """Index of each term that opens a sentence."""

    @property
    def length(self) -> int:
        return len(self.terms.words)

    @property
    def places(self) -> Array:
        """Index of the term at which each bucket stands."""
        every = np.arange(self.length)
        return np.concatenate((every, every[:-1], self.openings))


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Stretches of terms, in layers; those of one layer follow each other without overlap."""

    layers: tuple[Array, ...]
    """For each layer: where its stretches start, ascending."""
    length: int

    @property
    def count(self) -> int:
        return sum(len(layer) for layer in self.layers)

    @property
    def edges(self) -> tuple[Array, Array]:
        """First term, and the one after the last, of each window."""
        first = np.concatenate(self.layers)
        after = np.empty_like(first)
        after[:-1] = first[1:]
        after[list(accumulate(map(len, self.layers), initial=-1))[1:]] = self.length
        return first, after

    def bounds(self, number: int) -> tuple[int, int]:
        """First term, and the one after the last, of a window."""
        for layer in self.layers:
            if number < len(layer):
                last = number + 1 == len(layer)
                return int(layer[number]), self.length if last else int(layer[number + 1])
            number -= len(layer)
        raise IndexError(number)


@lru_cache(maxsize=8)
def survey(text: str, lexicon: Lexicon) -> Survey:
    """Read a text. The last few are kept, since several detectors read the same message."""
    terms = read(text)
    return Survey(terms, lexicon.find(terms), *grams(terms))


def stretches(found: Survey, size: int) -> Windows:
    """Windows of `size` terms, twice over: the second layer stands half a window further on."""
    length = found.length
    layers = [np.arange(0, max(length, 1), size)]
    if length > size:
        layers.append(np.arange(size // 2, length, size))
    return Windows(tuple(layers), length)


def passages(found: Survey, size: int, short: int) -> Windows:
    """Windows of `size` terms as in `stretches`, and a last layer of three: the first paragraph,
    what lies between, and the last. A request opens or closes a message, whatever else is in it.

    A paragraph is cut after `short` terms; a text that is no longer is one window."""
    if found.length <= short:
        return Windows((np.zeros(1, dtype=np.int64),), found.length)
    blank = found.terms.breaks
    after = blank[(blank >= _SHORTEST_PARAGRAPH) & (blank <= short)]
    before = blank[(blank >= found.length - short) & (blank <= found.length - _SHORTEST_PARAGRAPH)]
    first = min(int(after[0]) if len(after) else short, found.length - 2 * _SHORTEST_PARAGRAPH)
    last = int(before[-1]) if len(before) else found.length - short
    ends = np.array([0, first, max(last, first + _SHORTEST_PARAGRAPH)], dtype=np.int64)
    return Windows((*stretches(found, size).layers, ends), found.length)


def sentences(found: Survey, size: int) -> Windows:
    """Windows of one sentence or line each, then of two; none much longer than `size` terms."""
    ends = found.terms.ends.nonzero()[0] + 1
    starts = _spaced(np.concatenate(([0], ends)), found.length, size)
    layers = [starts]
    if len(starts) > 1:
        layers += [starts[::2], starts[1::2]]
    return Windows(tuple(layers), found.length)


def _spaced(starts: Array, length: int, size: int) -> Array:
    """Drop starts that would leave fewer than four terms, add some where a stretch is too long."""
    kept = [0]
    for start in starts.tolist():
        while start - kept[-1] > size:
            kept.append(kept[-1] + size)
        if start - kept[-1] >= _SHORTEST and length - start >= _SHORTEST:
            kept.append(start)
    while length - kept[-1] > size:
        kept.append(kept[-1] + size)
    return np.array(kept, dtype=np.int64)


def dense(found: Survey, at: Windows, task: str, lexicon: Lexicon) -> Floats:
    """One row a window: concepts and groups, then the products that the task weighs."""
    value = concepts(found, at, lexicon)
    present = (value > 0).astype(np.float32)
    rows = lexicon.products[task]
    product = present[:, rows[:, 0]] * present[:, rows[:, 1]] * present[:, rows[:, 2]]
    joined: Floats = np.concatenate(
        (value * lexicon.strengths[task], product * np.float32(lexicon.scales[task] / 2)), axis=1
    )
    return joined


def concepts(found: Survey, at: Windows, lexicon: Lexicon) -> Floats:
    """How much of each concept, sign and group stands in each window: 0, 1, or up to 2 if often."""
    width = len(lexicon.names)
    if at.count == 1:
        count = np.bincount(found.hits.concepts, minlength=width)[np.newaxis]
    else:
        window, place = _inside(found.hits.places, at)
        packed = window * width + found.hits.concepts.take(place)
        count = np.bincount(packed, minlength=at.count * width).reshape(-1, width)
    value = _OFTEN[np.minimum(count, 3)]
    groups = np.maximum.reduceat(value.take(lexicon.members, axis=1), lexicon.bounds, axis=1)
    stacked: Floats = np.concatenate((value, groups), axis=1)
    return stacked


_OFTEN = np.log2(np.array([1, 2, 3, 4], dtype=np.float32))
"""What a concept counts that stands once, twice, or more often."""


def words(found: Survey, at: Windows, weights: Floats, spelled: Floats) -> Floats:
    """For each window, the sums of its words' weights, each by the root of their number.

    `weights` has a row for each bucket, `spelled` one for each term; a column is a model."""
    length = max(found.length, 1)
    each = weights.take(found.buckets, axis=0)
    if at.count == 1:
        number = np.float32(max(len(found.buckets), 1) ** 0.5)
        whole: Floats = each.sum(axis=0, keepdims=True) * (_WORD_SCALE / number)
        whole += spelled.sum(axis=0, keepdims=True) / np.float32(length**0.5)
        return whole
    by_term, count = each[:length], np.full(length, 2)
    by_term[:-1] += each[length : 2 * length - 1]
    by_term[found.openings] += each[2 * length - 1 :]
    count[-1] = 1
    count[found.openings] += 1
    models, (first, after) = weights.shape[1], at.edges
    laid = np.concatenate((by_term, spelled, count[:, np.newaxis]), axis=1, dtype=np.float32)
    total = _sums(laid, first, after)
    mean: Floats = total[:, :models] * np.float32(_WORD_SCALE)
    mean /= np.sqrt(total[:, -1:])
    mean += total[:, models:-1] / np.sqrt(after - first).astype(np.float32)[:, np.newaxis]
    return mean


def _sums(laid: Floats, first: Array, after: Array) -> Floats:
    """The sum of the rows of each window."""
    if len(laid) * len(first) <= _FEW:
        at = np.arange(len(laid))
        inside = (at >= first[:, np.newaxis]) & (at < after[:, np.newaxis])
        whole: Floats = inside.astype(np.float32) @ laid
        return whole
    so_far = np.zeros((len(laid) + 1, laid.shape[1]))
    np.cumsum(laid, axis=0, out=so_far[1:])
    return (so_far[after] - so_far[first]).astype(np.float32)


Entries = tuple[Array, Array, npt.NDArray[np.float64]]


def bags(found: Survey, at: Windows, number: Callable[[str], int]) -> tuple[Entries, Entries]:
    """The same for the fit, as entries of sparse matrices, a row for each window.

    The first has a column for each bucket, the second one for each stem, by its number."""
    stems = np.array([number(stem) for stem in found.terms.stems], dtype=np.int64)
    words = _entries(found.places, found.buckets, at, _WORD_SCALE)
    return words, _entries(np.arange(found.length), stems, at, 1.0)


def _entries(places: Array, columns: Array, at: Windows, scale: float) -> Entries:
    window, place = _memberships(places, at)
    number = np.maximum(np.bincount(window, minlength=at.count), 1)
    return window, columns[place], scale / np.sqrt(number)[window]


def _inside(places: Array, at: Windows) -> tuple[Array, Array]:
    """The same as `_memberships`, in another order; quicker where there are few of both."""
    if len(places) * at.count > _FEW:
        return _memberships(places, at)
    first, after = at.edges
    inside = (places >= first[:, np.newaxis]) & (places < after[:, np.newaxis])
    window, place = inside.nonzero()
    return window, place


_FEW = 2**15
"""Pairs of a window and a place, or a term, that are all looked at."""


def _memberships(places: Array, at: Windows) -> tuple[Array, Array]:
    """Pairs of a window and the index of a place that lies in it."""
    every = np.arange(len(places))
    windows, inside = [], []
    first = 0
    for layer in at.layers:
        window = np.searchsorted(layer, places, "right") - 1
        windows.append(window[window >= 0] + first)
        inside.append(every[window >= 0])
        first += len(layer)
    return np.concatenate(windows), np.concatenate(inside)
