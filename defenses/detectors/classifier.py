"""The fitted judgement on a text: logistic models over concepts and words, tempered by retrieval.

`weights.npz` is written by `bluecode.defenses.detectors.training` from the knowledge base and the
lexicon. A score is a calibrated probability for the windows of one message; the window that speaks
loudest decides, and the cases nearest to it are the evidence.
"""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from importlib import resources
from math import exp, log

import numpy as np

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import lexicon
from bluecode.defenses.detectors.features import (
    Survey,
    Windows,
    sentences,
    stretches,
    survey,
)
from bluecode.defenses.detectors.lexicon import Lexicon
from bluecode.defenses.detectors.stack import Stack, Weights
from bluecode.defenses.knowledge import KnowledgeBase, Nearest, Task
from bluecode.defenses.terms import Terms

_QUIET = -0.5
"""Log-odds of no finding; where no margin could lift a text above, nothing is looked up."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model judges, and in which windows it reads."""

    task: Task
    cut: Callable[[Survey], Windows]
    crowd: float = 0.0
    """Caution for each e-fold of windows: of many, one is loud by chance."""


_LONG, _SHORT = partial(stretches, size=192), partial(stretches, size=64)

SHAPES: Mapping[str, Shape] = {
    "malice": Shape("malice", _LONG, crowd=0.8),
    "bias": Shape("bias", _LONG, crowd=0.8),
    # What a person writes: an attack on the rules takes a few sentences.
    "injection_said": Shape("injection", _SHORT, crowd=0.8),
    # What a tool brings: one sentence in a long text may be an order.
    "injection_brought": Shape("injection", partial(sentences, size=40)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How unsafe the loudest window of a text is, and where it stands."""

    score: float
    terms: Terms
    bounds: tuple[int, int]
    """First term of the window, and the one after its last."""
    nearest: Nearest

    @property
    def lines(self) -> tuple[int, int]:
        """First and last line, from 1."""
        first, last = self.bounds
        return self.terms.line(first), self.terms.line(max(last - 1, first))


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """The windows of a text, and which of them is loudest to each model: its logit and number."""

    windows: Windows
    loudest: Mapping[str, tuple[float, int]]


class Classifier:
    """All fitted models over one knowledge base and lexicon."""

    def __init__(
        self, weights: Mapping[str, Weights], base: KnowledgeBase, words_of: Lexicon
    ) -> None:
        self._weights = weights
        self._base = base
        self._lexicon = words_of
        self._stack = Stack.build(weights, {name: SHAPES[name].task for name in weights}, words_of)
        self._read = lru_cache(maxsize=8)(self._listen)

    def judge(self, text: str, model: str, *, caution: float = 0.0) -> Judgement:
        """Judge a text; the log-odds must overcome `caution`, for where false alarms are easy."""
        shape, weights = SHAPES[model], self._weights[model]
        found = survey(text, self._lexicon)
        heard = self._read(
            found, _SHORT if found.length <= 64 and shape.cut is _LONG else shape.cut
        )
        logit, loudest = heard.loudest[model]
        bounds = heard.windows.bounds(loudest)
        odds = weights.slope * logit + weights.shift - caution
        odds -= shape.crowd * log(heard.windows.count)
        nearest = _NOBODY
        if odds + weights.pull > _QUIET:
            nearest = self._base.nearest(found.terms.part(*bounds), shape.task)
        score = 1 / (1 + exp(-(odds + weights.pull * nearest.margin)))
        return Judgement(score=score, terms=found.terms, bounds=bounds, nearest=nearest)

    def _listen(self, found: Survey, cut: Callable[[Survey], Windows]) -> Heard:
        at = cut(found)
        logits = self._stack.logits(found, at)
        loudest = logits.argmax(axis=0).tolist()
        each = zip(self._stack.models, logits.max(axis=0).tolist(), loudest, strict=True)
        return Heard(at, {model: (logit, window) for model, logit, window in each})


_NOBODY = Nearest((), ())


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


def stored() -> bytes:
    """The models that come with BlueCode, as they are stored."""
    return resources.files("bluecode.defenses.detectors").joinpath("weights.npz").read_bytes()


@cache
def shipped() -> Classifier:
    """The models that come with BlueCode, loaded once."""
    return Classifier(parse(stored())[0], knowledge.shipped(), lexicon.shipped())
