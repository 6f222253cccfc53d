"""All fitted models side by side, as a few matrices: one reading of a text serves them all.

What `features.dense` lays out for the fit, products of concepts above all, is here summed without
being laid out: a product of two that are present or absent is an entry of a quadratic form.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from bluecode.defenses.detectors.features import (
    LETTER_SCALE,
    Survey,
    Windows,
    concepts,
    words,
)
from bluecode.defenses.detectors.lexicon import Array, Floats, Lexicon
from bluecode.defenses.detectors.neighbours import NOBODY, Neighbours
from bluecode.defenses.terms import parts


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One fitted model and its calibration."""

    dense: Floats
    words: Floats
    letters: Floats
    """For each bucket of parts of words."""
    bias: float
    slope: float
    """Calibrated log-odds are `slope * logit + shift`, and what the neighbours pull."""
    shift: float
    neighbours: Neighbours = NOBODY


@dataclass(frozen=True, eq=False)
class Stack:
    """Weights of several models; the last axis of each array is the model."""

    models: Sequence[str]
    lexicon: Lexicon
    alone: Floats
    """For each concept and group."""
    pairs: Floats
    """For each concept or group, for each model, for each concept or group: half of a pair's
    weight, since a pair is met from both its ends."""
    triples: Sequence[tuple[int, int, int]]
    """Three concepts or groups each."""
    tripled: Sequence[Floats]
    """For each triple, its weight in each model."""
    words: Floats
    """For each bucket."""
    spelling: "Spelling"
    bias: Floats

    @classmethod
    def build(
        cls, weights: Mapping[str, Weights], tasks: Mapping[str, str], lexicon: Lexicon
    ) -> "Stack":
        """From the weights of each model, and the task of each."""
        width = len(lexicon.names) + len(lexicon.bounds)
        pairs = np.zeros((width, len(weights), width), dtype=np.float32)
        alone, tripled = [], list[Floats]()
        triples: list[tuple[int, int, int]] = []
        for at, (name, model) in enumerate(weights.items()):
            task = tasks[name]
            alone.append(model.dense[:width] * lexicon.strengths[task])
            scaled = model.dense[width:] * np.float32(lexicon.scales[task] / 2)
            for (a, b, c), weight in zip(lexicon.products[task].tolist(), scaled, strict=True):
                if b == c:
                    pairs[a, at, b] += weight / 2
                    pairs[b, at, a] += weight / 2
                else:
                    triples.append((a, b, c))
                    tripled.append(weight * np.eye(len(weights), dtype=np.float32)[at])
        return cls(
            models=tuple(weights),
            lexicon=lexicon,
            alone=np.stack(alone, axis=1),
            pairs=pairs,
            triples=triples,
            tripled=tripled,
            words=np.stack([model.words for model in weights.values()], axis=1),
            spelling=Spelling(np.stack([model.letters for model in weights.values()], axis=1)),
            bias=np.array([model.bias for model in weights.values()], dtype=np.float32),
        )

    def logits(self, found: Survey, at: Windows) -> Floats:
        """A row for each window, a column for each model."""
        value = concepts(found, at, self.lexicon)
        met = np.flatnonzero(value.any(axis=0))
        value = value.take(met, axis=1)
        present = (value > 0).astype(np.float32)
        # A text holds few of the concepts, and what is not there adds nothing.
        shape = len(met), len(self.models) * len(met)
        half = _product(present, self.pairs[met][:, :, met].reshape(shape))
        half = half.reshape(len(value), len(self.models), len(met))
        total: Floats = _product(value, self.alone[met]) + self.bias
        total += np.matmul(half, present[:, :, np.newaxis])[:, :, 0]
        for row, weights in self._met_triples(met):
            total += present[:, row].prod(axis=1, keepdims=True) * weights
        return total + words(found, at, self.words, self.spelling.weigh(found.terms.stems))

    def _met_triples(self, met: Array) -> Iterator[tuple[list[int], Floats]]:
        """Triples of which all three are there, by their places in `met`."""
        place = {concept: at for at, concept in enumerate(met.tolist())}
        for (a, b, c), weights in zip(self.triples, self.tripled, strict=True):
            if a in place and b in place and c in place:
                yield [place[a], place[b], place[c]], weights


class Spelling(dict[str, int]):
    """What the parts of a word weigh in each model; summed once for each word met lately.

    The values are row numbers in a table of sums."""

    def __init__(self, letters: Floats) -> None:
        super().__init__()
        self._letters = letters
        self._sums = np.zeros((_KEPT, letters.shape[1]), dtype=np.float32)

    def weigh(self, stems: Sequence[str]) -> Floats:
        """A row for each stem, a column for each model."""
        if len(self) + len(stems) > _KEPT:
            self.clear()
        rows = np.fromiter(map(self.__getitem__, stems), np.int64, len(stems))
        sums: Floats = self._sums.take(rows, axis=0)
        return sums

    def __missing__(self, stem: str) -> int:
        row = self[stem] = len(self)
        found = parts(stem)
        scale = LETTER_SCALE / max(len(found), 1) ** 0.5
        self._sums[row] = self._letters[found].sum(axis=0) * np.float32(scale)
        return row


_KEPT = 2**17
"""More words than the longest text that is read has."""


_SMALL = 2**18
"""Multiplications below which BLAS stays in one thread: more would only wait for each other here,
and take the processor from those who serve other requests."""


def _product(left: Floats, right: Floats) -> Floats:
    step = max(1, _SMALL // max(right.size, 1))
    if len(left) <= step:
        return left @ right
    return np.concatenate([left[at : at + step] @ right for at in range(0, len(left), step)])
