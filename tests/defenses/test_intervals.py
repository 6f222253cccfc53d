"""Intervals: known values, their edges, and what is drawn together."""

import numpy as np
import pytest

from bluecode.defenses.intervals import Floats, ratio, resampled, wilson


def share(counts: Floats) -> Floats:
    return ratio(counts[:, 0], counts[:, 1])


@pytest.mark.parametrize(
    ("part", "whole", "low", "high"),
    [(8, 10, 0.490, 0.943), (0, 10, 0.0, 0.278), (10, 10, 0.722, 1.0), (50, 100, 0.404, 0.596)],
)
def test_wilsons_interval_has_the_published_ends(
    part: int, whole: int, low: float, high: float
) -> None:
    figure = wilson(part, whole)

    assert figure is not None
    assert figure.value == part / whole
    assert (figure.low, figure.high) == pytest.approx((low, high), abs=0.001)


def test_a_share_of_nothing_is_no_figure() -> None:
    assert wilson(0, 0) is None
    assert resampled(np.zeros((0, 2)), {"share": share}) == {"share": None}
    assert resampled(np.zeros((3, 2)), {"share": share}) == {"share": None}


def test_the_bootstrap_agrees_with_wilson_where_records_stand_alone() -> None:
    counts = np.array([[1.0, 1.0]] * 60 + [[0.0, 1.0]] * 40)

    figure, known = resampled(counts, {"share": share})["share"], wilson(60, 100)

    assert figure is not None and known is not None
    assert figure.value == known.value
    assert (figure.low, figure.high) == pytest.approx((known.low, known.high), abs=0.02)


def test_records_that_fall_together_leave_more_doubt() -> None:
    alone = np.array([[1.0, 1.0], [0.0, 1.0]] * 50)
    together = np.array([[10.0, 10.0], [0.0, 10.0]] * 5)

    one, other = (resampled(item, {"share": share})["share"] for item in (alone, together))

    assert one is not None and other is not None
    assert one.value == other.value == 0.5
    assert other.high - other.low > 2 * (one.high - one.low)


def test_the_same_counts_have_the_same_interval_each_time() -> None:
    counts = np.array([[1.0, 1.0], [0.0, 1.0], [1.0, 1.0]])

    assert resampled(counts, {"share": share}) == resampled(counts, {"share": share})


def test_a_few_units_that_agree_are_no_certainty() -> None:
    figure = resampled(np.array([[1.0, 1.0]] * 3), {"share": share})["share"]

    assert figure == wilson(3, 3)
    assert figure is not None and figure.low < 0.5
