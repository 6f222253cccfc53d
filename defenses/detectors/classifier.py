"""The fitted judgement on a text: logistic models over concepts and words, tempered by retrieval.

`weights.npz` is written by `bluecode.defenses.detectors.training` from the knowledge base and the
lexicon. A score is a calibrated probability for the windows of one message; the window that speaks
loudest decides, and the cases nearest to it are the evidence.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from math import exp, log

import numpy as np

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import lexicon
from bluecode.defenses.detectors.features import (
    Survey,
    Windows,
    dense,
    sentences,
    stretches,
    survey,
    words,
)
from bluecode.defenses.detectors.lexicon import Floats, Lexicon
from bluecode.defenses.knowledge import KnowledgeBase, Nearest, Task

_QUIET = -0.5
"""Log-odds of no finding; where no margin could lift a text above, nothing is looked up."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model judges, and in which windows it reads."""

    task: Task
    cut: Callable[[Survey], Windows]
    crowd: float = 0.0
    """Caution for each e-fold of windows: of many, one is loud by chance."""


SHAPES: Mapping[str, Shape] = {
    "malice": Shape("malice", partial(stretches, size=192), crowd=0.8),
    "bias": Shape("bias", partial(stretches, size=192), crowd=0.8),
    # What a person writes: an attack on the rules takes a few sentences.
    "injection_said": Shape("injection", partial(stretches, size=64), crowd=0.8),
    # What a tool brings: one sentence in a long text may be an order.
    "injection_brought": Shape("injection", partial(sentences, size=40)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One fitted model and its calibration."""

    dense: Floats
    words: Floats
    bias: float
    slope: float
    """Calibrated log-odds are `slope * logit + pull * margin + shift`."""
    pull: float
    """What the retrieval margin adds: nearer unsafe cases raise, nearer safe ones lower."""
    shift: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How unsafe the loudest window of a text is, and where it stands."""

    score: float
    lines: tuple[int, int]
    """First and last line, from 1."""
    nearest: Nearest


class Classifier:
    """All fitted models over one knowledge base and lexicon."""

    def __init__(
        self, weights: Mapping[str, Weights], base: KnowledgeBase, words_of: Lexicon
    ) -> None:
        self._weights = weights
        self._base = base
        self._lexicon = words_of

    def judge(self, text: str, model: str, *, caution: float = 0.0) -> Judgement:
        """Judge a text; the log-odds must overcome `caution`, for where false alarms are easy."""
        shape, weights = SHAPES[model], self._weights[model]
        found = survey(text, self._lexicon)
        at = shape.cut(found)
        logits = self.logits(found, at, model)
        loudest = int(logits.argmax())
        first, last = at.bounds(loudest)
        odds = weights.slope * float(logits[loudest]) + weights.shift - caution
        odds -= shape.crowd * log(at.count)
        nearest = Nearest((), ())
        if odds + weights.pull > _QUIET:
            nearest = self._base.nearest(found.terms.part(first, last), shape.task)
        return Judgement(
            score=1 / (1 + exp(-(odds + weights.pull * nearest.margin))),
            lines=(found.terms.line(first), found.terms.line(max(last - 1, first))),
            nearest=nearest,
        )

    def logits(self, found: Survey, at: Windows, model: str) -> Floats:
        """Raw log-odds of each window, before calibration."""
        weights = self._weights[model]
        rows = dense(found, at, SHAPES[model].task, self._lexicon)
        total: Floats = rows @ weights.dense + words(found, at, weights.words) + weights.bias
        return total


def parse(data: bytes) -> tuple[dict[str, Weights], str]:
    """Read fitted models, and the digest of what they were fitted to."""
    with np.load(io.BytesIO(data)) as stored:
        models = {
            name: Weights(
                dense=stored[f"{name}.dense"],
                words=stored[f"{name}.words"].astype(np.float32),
                **dict(zip(_NUMBERS, stored[f"{name}.numbers"].tolist(), strict=True)),
            )
            for name in SHAPES
        }
        return models, str(stored["digest"])


_NUMBERS = ("bias", "slope", "pull", "shift")


def render(models: Mapping[str, Weights], digest: str) -> bytes:
    """The opposite of `parse`."""
    columns: dict[str, object] = {"digest": np.array(digest)}
    for name, weights in models.items():
        columns[f"{name}.dense"] = weights.dense.astype(np.float32)
        columns[f"{name}.words"] = weights.words.astype(np.float16)
        columns[f"{name}.numbers"] = np.array([getattr(weights, key) for key in _NUMBERS])
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **columns)  # type: ignore[arg-type]
    return buffer.getvalue()


@cache
def shipped() -> Classifier:
    """The models that come with BlueCode, loaded once."""
    data = resources.files("bluecode.defenses.detectors").joinpath("weights.npz").read_bytes()
    return Classifier(parse(data)[0], knowledge.shipped(), lexicon.shipped())
