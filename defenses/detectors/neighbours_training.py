"""Kernel ridge regression over the knowledge base: the weights of `neighbours`.

Solves for some thousands of cases at once, in a few seconds and 500 MB.
"""

from functools import lru_cache

import numpy as np

from bluecode.defenses.detectors.fitting import Doubles, Mask
from bluecode.defenses.detectors.lexicon import Array, Floats
from bluecode.defenses.detectors.neighbours import kernel
from bluecode.defenses.knowledge import KnowledgeBase
from bluecode.defenses.terms import read

_RIDGE = 0.5
"""The penalty for a case that counts 1; one that counts less is heeded less."""


@lru_cache(maxsize=1)
def kernels(base: KnowledgeBase) -> Floats:
    """The kernel between each two cases: a row and a column for each."""
    alike = np.empty((len(base.cases), len(base.cases)), dtype=np.float32)
    for at, case in enumerate(base.cases):
        alike[at] = kernel(base.likeness(read(case.text)))
    mean: Floats = (alike + alike.T) * np.float32(0.5)
    return mean


def solve(kernels: Floats, unsafe: Mask, weight: Doubles) -> tuple[Floats, Floats]:
    """The weight of each case, and the inverse they came from, for `without`.

    `kernels` has a row and a column for each case that is learned from."""
    ridge = (_RIDGE / weight).astype(np.float32)
    inverse: Floats = np.linalg.inv(kernels + np.diag(ridge))
    weights: Floats = inverse @ _labels(unsafe)
    return weights, inverse


def without(weights: Floats, inverse: Floats, unsafe: Mask, held: Array) -> Floats:
    """What a fit without some of the cases says of them (Cook and Weisberg 1982, for blocks)."""
    block = inverse[np.ix_(held, held)]
    said: Floats = _labels(unsafe)[held] - np.linalg.solve(block, weights[held])
    return said


def _labels(unsafe: Mask) -> Floats:
    labels: Floats = np.where(unsafe, np.float32(1), np.float32(-1))
    return labels
