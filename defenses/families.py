"""Does it generalise? Each family of the knowledge base, judged by models that never saw it.

Every category, channel, human language or register is left out in turn, and what was left out is
judged by a new fit: by the area under the ROC curve, which by chance is one half. Cases name
language and register at the end of their id; those that do not are plain English.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rich.table import Table as Shown

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import training
from bluecode.defenses.detectors.classifier import SHAPES
from bluecode.defenses.detectors.fitting import Mask, fit
from bluecode.defenses.detectors.training import GRID, PENALTY, Crowd, Sample
from bluecode.defenses.knowledge import Case, KnowledgeBase

_SMALLEST = 10
"""Cases of each label; fewer tell nothing."""


def language(case: Case) -> str:
    """The human language of a case."""
    found = GRID.search(case.id)
    return found[1] if found else "en"


def register(case: Case) -> str:
    """The way in which it speaks: terse, polite, buried …"""
    found = GRID.search(case.id)
    return found[2] if found else "plain"


AXES: Mapping[str, Callable[[Case], str]] = {
    "category": lambda case: case.category,
    "channel": lambda case: case.channel,
    "language": language,
    "register": register,
}
"""What families are made by."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family left out."""

    model: str
    name: str
    size: int
    area: float
    """Area under the ROC curve, unsafe cases of the family against safe ones."""


def leave_out(model: str, axis: str, base: KnowledgeBase | None = None) -> Iterator[Family]:
    """Fit without each family of an axis, and judge it.

    A category often has one label only, and a language few cases of each: unsafe cases of a family
    are then compared with safe cases of the task that the same fit had not seen either."""
    base = base or knowledge.shipped()
    learned = training.lessons(model, base)
    table = training.lay(model, learned)
    unsafe, weight = training.truth(learned)
    groups = np.array([_group(model, sample, axis) for sample in learned])
    reserve = _reserve(learned, groups)
    names = sorted(set(groups) - {""})
    if len(names) < 2:  # Nothing would be left to learn from.
        return
    crowd = Crowd.gather(learned, base) if model in training.NEIGHBOURS else None
    slope, *share, _ = training.calibration(model, learned, crowd) if crowd else (1.0, 0.0)
    for name in names:
        held = groups == name
        if min(held.sum() - unsafe[held].sum(), unsafe[held].sum()) < _SMALLEST:
            held = held | reserve
        if unsafe[groups == name].sum() >= _SMALLEST:
            kept = np.flatnonzero(~held[table.owner])
            weights = fit(table.only(kept), unsafe, weight, PENALTY)
            said = slope * training.heard(model, table, table.logits(weights))[held]
            if crowd is not None:
                said[crowd.members[held]] += share[0] * crowd.without(held & crowd.members)
            area = auc(unsafe[held], said)
            assert area is not None, "both labels are in what was left out"
            yield Family(model, str(name), int(held.sum()), area)


def _group(model: str, sample: Sample, axis: str) -> str:
    own = sample.number >= 0 and sample.case.task == SHAPES[model].task
    return AXES[axis](sample.case) if own else ""


def _reserve(learned: Sequence[Sample], groups: npt.NDArray[np.str_]) -> Mask:
    """Every fifth safe case of the task."""
    safe: Mask = np.array([not sample.unsafe for sample in learned]) & (groups != "")
    fifth: Mask = np.cumsum(safe) % 5 == 0
    return safe & fifth


def report(axis: str) -> Shown:
    """The mean and the lowest areas of each model, for a terminal."""
    return shown(axis, [family for model in SHAPES for family in leave_out(model, axis)])


def shown(axis: str, families: Sequence[Family]) -> Shown:
    """Families that were left out, for a terminal; the last row is the mean over all."""
    table = Shown("model", "families", "mean AUC", "lowest", title=f"Left out: each {axis}")
    for model in SHAPES:
        if own := [family for family in families if family.model == model]:
            table.add_row(model, *_figures(own))
    if families:
        table.add_row("all", *_figures(families))
    return table


def _figures(families: Sequence[Family]) -> tuple[str, str, str]:
    areas = [family.area for family in families]
    lowest = sorted(families, key=lambda family: family.area)[:4]
    worst = ", ".join(f"{family.name} {family.area:.2f} ({family.size})" for family in lowest)
    return str(len(families)), f"{np.mean(areas):.3f}", worst


def auc(truth: npt.NDArray[np.bool_], score: npt.NDArray[np.float64]) -> float | None:
    """Area under the ROC curve by ranks, ties counted half."""
    positives, negatives = int(truth.sum()), int((~truth).sum())
    if not positives or not negatives:
        return None
    values, inverse, counts = np.unique(score, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    above = float(ranks[truth].sum()) - positives * (positives + 1) / 2
    return above / (positives * negatives)
