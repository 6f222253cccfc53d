"""The fitted judgement on a text: logistic models over concepts, words and parts of words.

`weights.npz` is written by `bluecode.defenses.detectors.training` from the knowledge base and the
lexicon. A score is a calibrated probability for the windows of one message; the window that speaks
loudest decides, with what the cases near it say; the nearest of them are the evidence.
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
    passages,
    sentences,
    stretches,
    survey,
)
from bluecode.defenses.detectors.lexicon import Array, Floats, Lexicon
from bluecode.defenses.detectors.neighbours import Neighbours
from bluecode.defenses.detectors.stack import Stack, Weights
from bluecode.defenses.knowledge import Doubles, KnowledgeBase, Nearest, Task
from bluecode.defenses.terms import Terms, code

_OWN = 3
"""Windows in which the loudest sentence stands: its own, and one with each neighbour."""
_SILENCE = -4.0
"""Log-odds of a background that says nothing."""
_APART = 0.3
"""E-folds of a crowd that the first and the last paragraph count as."""
_QUIET = 0.0
"""Log-odds of no finding: below, nearest cases are not looked up."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model judges, and in which windows it reads."""

    task: Task
    cut: Callable[[Survey], Windows]
    crowd: float = 0.0
    """Caution for each e-fold of windows: of many, one is loud by chance."""
    contrast: float = 0.0
    """Share of the log-odds of the background that is taken off: a manual is full of orders, and
    one order in a page without others stands out."""

    ends: int = 0
    """How many windows at the end of the list are a layer apart, which asks for less caution: the
    first and the last paragraph stand out by their place."""

    def hear(self, logits: Floats) -> tuple[float, int]:
        """The log-odds of a whole text, and its loudest window, from those of each window."""
        if self.ends and len(logits) > self.ends:
            rest = len(logits) - self.ends
            caution = np.full(len(logits), self.crowd * _APART, np.float32)
            caution[:rest] = self.crowd * log(rest)
            logits = logits - caution
        elif self.crowd:
            logits = logits - self.crowd * log(len(logits))
        loudest = int(logits.argmax())
        return float(logits[loudest]) - self.offset(logits), loudest

    def offset(self, logits: Floats) -> float:
        """What the background takes off the log-odds of each window."""
        return self.contrast * self._background(logits) if self.contrast else 0.0

    def _background(self, logits: Floats) -> float:
        """What nine tenths of the windows stay below, but for those that the loudest makes."""
        at = max(_OWN, len(logits) // 10)
        if len(logits) <= at:
            return _SILENCE
        return max(float(np.partition(logits, -at - 1)[-at - 1]), _SILENCE)


_ONE_WINDOW = 64
"""Terms; a text as short is one window to every model of what a person says."""
_LONG = partial(passages, size=192, short=_ONE_WINDOW)
_SHORT = partial(stretches, size=_ONE_WINDOW)
_SAID = (_LONG, _SHORT)
"""How what a person said is cut, for one model or another."""

SHAPES: Mapping[str, Shape] = {
    "malice": Shape("malice", _LONG, crowd=0.8, ends=3),
    "bias": Shape("bias", _LONG, crowd=0.8, ends=3),
    # What a person writes: an attack on the rules takes a few sentences.
    "injection_said": Shape("injection", _SHORT, crowd=0.8),
    # What a tool brings: one sentence in a long text may be an order.
    "injection_brought": Shape("injection", partial(sentences, size=40), contrast=0.5),
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


Heard = tuple[Windows, Floats]
"""Windows, and for each of them and each model its raw log-odds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """How unsafe each line of a text is, by its loudest window."""

    odds: Floats
    """Calibrated log-odds of each line."""
    windows: Array
    """The loudest window of each; -1 for a line without words."""
    at: Windows
    terms: Terms


class Classifier:
    """All fitted models over one knowledge base and lexicon."""

    def __init__(
        self, weights: Mapping[str, Weights], base: KnowledgeBase, words_of: Lexicon
    ) -> None:
        self._weights = weights
        self._base = base
        self._lexicon = words_of
        self._stack = Stack.build(weights, {name: SHAPES[name].task for name in weights}, words_of)
        self._column = {model: at for at, model in enumerate(self._stack.models)}
        self._all = lru_cache(maxsize=8)(self._listen_to_person)
        self._alike = lru_cache(maxsize=4)(self._likeness)

    def judge(self, text: str, model: str, *, caution: float = 0.0) -> Judgement:
        """Judge a text; the log-odds must overcome `caution`, for where false alarms are easy."""
        shape, weights = SHAPES[model], self._weights[model]
        found = survey(text, self._lexicon)
        at, logits = self._listen(found, shape.cut)
        said, loudest = shape.hear(logits[:, self._column[model]])
        bounds = at.bounds(loudest)
        odds = weights.slope * said + weights.shift - caution
        nearest = _NOBODY
        if odds + weights.neighbours.reach >= _QUIET:
            likeness = self._alike(found, bounds)
            odds += weights.neighbours.pull(likeness)
            if odds >= _QUIET:
                nearest = self._base.most_like(likeness, shape.task)
        score = 1 / (1 + exp(-odds))
        return Judgement(score=score, terms=found.terms, bounds=bounds, nearest=nearest)

    def by_line(self, text: str, model: str) -> Lines:
        """Judge each line of a text by itself, in the light of all."""
        shape, weights = SHAPES[model], self._weights[model]
        found = survey(text, self._lexicon)
        at, logits = self._listen(found, shape.cut)
        said = logits[:, self._column[model]]
        windows = _loudest(found.terms, at, said)
        heard = np.where(windows < 0, _SILENCE, said[windows]) - shape.offset(said)
        odds = (weights.slope * heard + weights.shift).astype(np.float32)
        return Lines(odds=odds, windows=windows, at=at, terms=found.terms)

    def judgement(self, lines: Lines, line: int, score: float, task: Task) -> Judgement:
        """The judgement on a text whose likeliest order stands on a line, from 1."""
        window = int(lines.windows[min(line, len(lines.windows)) - 1])
        bounds = lines.at.bounds(max(window, 0))
        nearest = self._base.nearest(lines.terms.part(*bounds), task)
        return Judgement(score=score, terms=lines.terms, bounds=bounds, nearest=nearest)

    def nearest(self, terms: Terms, task: Task) -> Nearest:
        """The cases most like some terms."""
        return self._base.nearest(terms, task)

    def _likeness(self, found: Survey, bounds: tuple[int, int]) -> Doubles:
        """How alike each case is to a window; several models often hear the same one loudest."""
        return self._base.likeness(found.terms.part(*bounds))

    def _listen(self, found: Survey, cut: Callable[[Survey], Windows]) -> Heard:
        """What a person said is read once for all models, whatever their windows."""
        if cut in _SAID:
            return self._all(found)[_SAID.index(cut)]
        at = cut(found)
        return at, self._stack.logits(found, at)

    def _listen_to_person(self, found: Survey) -> tuple[Heard, ...]:
        cuts = [cut(found) for cut in _SAID]
        if found.length <= _ONE_WINDOW:
            return ((cuts[0], self._stack.logits(found, cuts[0])),) * len(cuts)
        every = Windows(tuple(layer for at in cuts for layer in at.layers), found.length)
        logits, first = self._stack.logits(found, every), 0
        heard: list[Heard] = []
        for at in cuts:
            heard.append((at, logits[first : first + at.count]))
            first += at.count
        return tuple(heard)


_NOBODY = Nearest((), ())


def _loudest(terms: Terms, at: Windows, said: Floats) -> Array:
    """For each line of a text, its window with the highest log-odds; -1 where it has none."""
    ends = terms.hashes == _LINE_END
    line = np.cumsum(ends) - ends
    windows = np.full(int(ends.sum()) + 1, -1)
    if not len(line):
        return windows
    first, after = at.edges
    begins = line[first]
    span = line[np.maximum(after - 1, first)] - begins + 1
    quietest_first = np.argsort(said, kind="stable")
    span = span[quietest_first]
    order = np.repeat(quietest_first, span)
    within = np.arange(len(order)) - np.repeat(np.cumsum(span) - span, span)
    windows[begins[order] + within] = order  # of several on one line, the last stays
    return windows


_LINE_END = np.uint64(code("\n"))


def parse(data: bytes) -> tuple[dict[str, Weights], str]:
    """Read fitted models, and the digest of what they were fitted to."""
    with np.load(io.BytesIO(data)) as stored:
        models = {
            name: Weights(
                dense=stored[f"{name}.dense"],
                words=stored[f"{name}.words"].astype(np.float32),
                letters=stored[f"{name}.letters"].astype(np.float32),
                **dict(zip(_NUMBERS, stored[f"{name}.numbers"].tolist(), strict=True)),
                neighbours=Neighbours(
                    stored[f"{name}.neighbours"].astype(np.float32),
                    *stored[f"{name}.reach"].tolist(),
                ),
            )
            for name in SHAPES
        }
        return models, str(stored["digest"])


_NUMBERS = ("bias", "slope", "shift")


def render(models: Mapping[str, Weights], digest: str) -> bytes:
    """The opposite of `parse`."""
    columns: dict[str, object] = {"digest": np.array(digest)}
    for name, weights in models.items():
        columns[f"{name}.dense"] = weights.dense.astype(np.float32)
        columns[f"{name}.words"] = weights.words.astype(np.float16)
        columns[f"{name}.letters"] = weights.letters.astype(np.float16)
        columns[f"{name}.neighbours"] = weights.neighbours.weights.astype(np.float16)
        columns[f"{name}.reach"] = np.array([weights.neighbours.reach, weights.neighbours.share])
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
