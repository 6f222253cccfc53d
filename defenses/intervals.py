"""Shares with the range that chance leaves them: Wilson's interval, and the bootstrap.

An interval says what a figure could have been on other records of the same kind. It says nothing
of records of another kind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
import numpy.typing as npt

NORMAL: Final = 1.959964
"""Standard deviations on either side that hold 95 of 100 values."""
DRAWS: Final = 1000
SEED: Final = 20_251
Floats = npt.NDArray[np.float64]
Share = Callable[[Floats], Floats]
"""From rows of counts to a share of each row; NaN where the counts give none."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A share and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def wilson(part: float, whole: int) -> Figure | None:
    """A share of records that stand each for itself; None where there are none."""
    if not whole:
        return None
    share, square = part / whole, NORMAL**2
    middle = (share + square / (2 * whole)) / (1 + square / whole)
    spread = sqrt(share * (1 - share) / whole + square / (4 * whole**2))
    half = NORMAL * spread / (1 + square / whole)
    return Figure(share, max(0.0, middle - half), min(1.0, middle + half))


def resampled(counts: Floats, shares: Mapping[str, Share]) -> dict[str, Figure | None]:
    """Shares of the sums of `counts`, with intervals from drawing its rows anew with return.

    A row is what stands or falls together: a pair, or all records of a cluster. The draws are the
    same each time. Where all draws agree, Wilson's interval over the units stands in. None where
    the sums give no share.
    """
    units = len(counts)
    draw = np.random.default_rng(SEED)
    often = draw.multinomial(units, np.full(units, 1 / units), size=DRAWS) if units else None
    drawn = np.zeros((0, counts.shape[1])) if often is None else often @ counts
    whole = counts.sum(axis=0, keepdims=True)
    return {
        name: _figure(float(share(whole)[0]), share(counts), share(drawn))
        for name, share in shares.items()
    }


def _figure(value: float, units: Floats, draws: Floats) -> Figure | None:
    """From the share of the whole, those of the units and those of the draws."""
    if np.isnan(value):
        return None
    # A draw without a record that the share counts says nothing of it.
    told = draws[~np.isnan(draws)]
    low, high = np.percentile(told, (2.5, 97.5)) if len(told) else (value, value)
    if low == high:
        # Units that are all alike leave the bootstrap no doubt, though there may be few of them.
        counted = int((~np.isnan(units)).sum())
        return wilson(value * counted, counted)
    return Figure(value, float(low), float(high))


def ratio(part: Floats, whole: Floats) -> Floats:
    """Element by element; NaN where the whole is nothing."""
    shares: Floats = np.full(part.shape, np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
