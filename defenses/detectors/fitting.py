"""Logistic regression over concepts, words and parts of words, at the size of a knowledge base.

Rows are windows of texts. Of a long unsafe text only the window that makes it so is learned from,
which is found out while fitting. Needs numpy and some seconds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from bluecode.defenses.detectors.features import (
    LETTER_SCALE,
    Survey,
    Windows,
    bags,
    dense,
)
from bluecode.defenses.detectors.lexicon import Array, Floats, Lexicon
from bluecode.defenses.terms import BUCKETS, EVERYWHERE, grams, parts, read

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_EVERYWHERE = np.concatenate([grams(read(word))[0][:1] for word in sorted(EVERYWHERE)])
"""Buckets of words that tell of a writer's manner: safe and unsafe cases have few writers."""
CONSTANT = 3.0
"""The column that becomes the bias: large, so that the penalty hardly touches it."""
_MEMORY = 10
"""Steps that the search remembers."""


@dataclass(frozen=True, slots=True)
class Bag:
    """A sparse matrix: what of which column stands in each row, and for how much."""

    rows: Array
    columns: Array
    values: Doubles
    shape: tuple[int, int]

    def times(self, weights: Doubles) -> Doubles:
        """The matrix by a column of weights."""
        summed = np.bincount(self.rows, weights[self.columns] * self.values, self.shape[0])
        return np.asarray(summed, dtype=np.float64)

    def back(self, slopes: Doubles) -> Doubles:
        """A row of slopes by the matrix."""
        summed = np.bincount(self.columns, slopes[self.rows] * self.values, self.shape[1])
        return np.asarray(summed, dtype=np.float64)

    def without(self, columns: Array) -> "Bag":
        """The matrix with nothing in some columns."""
        kept = ~np.isin(self.columns, columns)
        return Bag(self.rows[kept], self.columns[kept], self.values[kept], self.shape)

    def only(self, kept: Array) -> "Bag":
        """The matrix of some of the rows, which are ascending."""
        number = np.full(self.shape[0], -1)
        number[kept] = np.arange(len(kept))
        inside = number[self.rows] >= 0
        rows = number[self.rows[inside]]
        shape = (len(kept), self.shape[1])
        return Bag(rows, self.columns[inside], self.values[inside], shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Windows of texts as rows of features."""

    dense: Floats
    words: Bag
    stems: Bag
    """Which stems stand in each window."""
    letters: Bag
    """Which parts of words each stem has."""
    owner: Array
    """For each row, the text that it belongs to."""

    @classmethod
    def lay(cls, texts: Sequence[tuple[Survey, Windows]], task: str, lexicon: Lexicon) -> "Table":
        """Lay out texts that were read and cut in windows."""
        numbers: dict[str, int] = {}
        pieces = [
            bags(found, at, lambda stem: numbers.setdefault(stem, len(numbers)))
            for found, at in texts
        ]
        counts = [at.count for _, at in texts]
        first = np.cumsum([0, *counts])
        words = _joined([piece[0] for piece in pieces], first, BUCKETS).without(_EVERYWHERE)
        stems = _joined([piece[1] for piece in pieces], first, len(numbers))
        return cls(
            dense=np.concatenate([dense(found, at, task, lexicon) for found, at in texts]),
            words=words,
            stems=stems,
            letters=_spelling(list(numbers)),
            owner=np.repeat(np.arange(len(texts)), counts),
        )

    @property
    def width(self) -> int:
        return int(self.dense.shape[1]) + 2 * BUCKETS + 1

    def only(self, kept: Array) -> "Table":
        """Some of the rows."""
        return replace(
            self,
            dense=self.dense[kept],
            words=self.words.only(kept),
            stems=self.stems.only(kept),
            owner=self.owner[kept],
        )

    def logits(self, weights: Doubles) -> Doubles:
        """Raw log-odds of each row."""
        alone, words, letters, constant = self.split(weights)
        spelled = self.stems.times(self.letters.times(letters))
        total: Doubles = self.dense @ alone + self.words.times(words) + spelled
        return total + constant * CONSTANT

    def slopes(self, errors: Doubles) -> Doubles:
        """How the sum of the rows' logits, each by its error, changes with the weights."""
        letters = self.letters.back(self.stems.back(errors))
        constant = [errors.sum() * CONSTANT]
        return np.concatenate(
            (errors @ self.dense, self.words.back(errors), letters, constant), dtype=np.float64
        )

    def split(self, weights: Doubles) -> tuple[Doubles, Doubles, Doubles, float]:
        """Weights of concepts and products, of words, of parts of words, and the constant's."""
        width = self.dense.shape[1]
        alone, words, letters, constant = np.split(
            weights, [width, width + BUCKETS, width + 2 * BUCKETS]
        )
        return alone, words, letters, float(constant[0])


def bias(weights: Doubles) -> float:
    """What the constant contributes."""
    return float(weights[-1]) * CONSTANT


def _joined(pieces: Sequence[tuple[Array, Array, Doubles]], first: Array, width: int) -> Bag:
    """Pieces of a matrix, one a text, below each other."""
    rows = np.concatenate([piece[0] + at for piece, at in zip(pieces, first, strict=False)])
    columns, values = (np.concatenate([piece[side] for piece in pieces]) for side in (1, 2))
    return Bag(rows, columns, values, (int(first[-1]), width))


def _spelling(stems: Sequence[str]) -> Bag:
    """For each stem, its parts, which share one whole."""
    spelled = [parts(stem) for stem in stems]
    count = [len(piece) for piece in spelled]
    rows = np.repeat(np.arange(len(stems)), count)
    values = np.repeat([LETTER_SCALE / max(number, 1) ** 0.5 for number in count], count)
    return Bag(rows, np.concatenate(spelled), values, (len(stems), BUCKETS))


def fit(
    table: Table, unsafe: Mask, weight: Doubles, penalty: float, start: Doubles | None = None
) -> Doubles:
    """Weights fitted to texts; `unsafe` and `weight` have one entry for each text.

    With the weights of a like fit as its `start` it takes fewer steps."""
    kept = np.arange(len(table.owner))
    weights = np.zeros(table.width)
    if start is not None:
        weights, kept = start, _loudest(table.owner, table.logits(start), unsafe)
    for _ in range(3):
        part = table.only(kept)
        weights = _solve(part, unsafe[part.owner], weight[part.owner], penalty, weights)
        kept = _loudest(table.owner, table.logits(weights), unsafe)
    return weights


def _loudest(owner: Array, logits: Doubles, unsafe: Mask) -> Array:
    """All rows of safe texts, and of each unsafe one the row with the highest logit."""
    best: dict[int, int] = {int(owner[row]): int(row) for row in np.argsort(logits)}
    chosen = {row for text, row in best.items() if unsafe[text]}
    return np.array(sorted(chosen | set(np.flatnonzero(~unsafe[owner]).tolist())))


def _solve(table: Table, wanted: Mask, weight: Doubles, penalty: float, start: Doubles) -> Doubles:
    def loss(weights: Doubles) -> tuple[float, Doubles]:
        logits = table.logits(weights)
        chance = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        total = weight @ (np.logaddexp(0, logits) - wanted * logits)
        slopes = table.slopes(weight * (chance - wanted))
        return float(total + penalty / 2 * weights @ weights), slopes + penalty * weights

    return minimise(loss, start)


def minimise(
    loss: Callable[[Doubles], tuple[float, Doubles]], start: Doubles, *, rounds: int = 150
) -> Doubles:
    """Where a convex function, given with its slopes, is least: by limited-memory BFGS."""
    at = start
    value, slopes = loss(at)
    steps: list[tuple[Doubles, Doubles]] = []
    for _ in range(rounds):
        move = _direction(slopes, steps)
        length = 1.0 if steps else 1 / max(float(np.abs(slopes).sum()), 1.0)
        for _ in range(20):
            then, new = at - length * move, (0.0, slopes)
            new = loss(then)
            if new[0] <= value - 1e-4 * length * float(slopes @ move):
                break
            length /= 2
        step, change = then - at, new[1] - slopes
        if step @ change > 1e-12:
            steps = [*steps, (step, change)][-_MEMORY:]
        done = abs(value - new[0]) < 3e-6 * max(1.0, abs(value))
        at, value, slopes = then, *new
        if done:
            break
    return at


def _direction(slopes: Doubles, steps: Sequence[tuple[Doubles, Doubles]]) -> Doubles:
    """The slopes, straightened by what the last steps told of the curvature."""
    move = slopes.copy()
    shares = []
    for step, change in reversed(steps):
        share = float(step @ move) / float(step @ change)
        move -= share * change
        shares.append(share)
    if steps:
        step, change = steps[-1]
        move *= float(step @ change) / float(change @ change)
    for (step, change), share in zip(steps, reversed(shares), strict=True):
        move += (share - float(change @ move) / float(step @ change)) * step
    return move
