"""What the defence makes of new cases: the models fitted anew, in memory, beside those that serve.

Nothing here writes into the package or touches a running guard. A fit takes some minutes of one
core, so its parts are shared over processes.
"""

import multiprocessing
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from bluecode.defenses import knowledge
from bluecode.defenses.conversation import Message
from bluecode.defenses.detectors import (
    DETECTORS,
    classifier,
    fitting,
    lexicon,
    order_weights,
    orders,
    orders_training,
    training,
)
from bluecode.defenses.detectors.classifier import SHAPES, Classifier
from bluecode.defenses.detectors.fitting import Doubles
from bluecode.defenses.detectors.injection import Injection
from bluecode.defenses.detectors.obfuscation import Obfuscation
from bluecode.defenses.detectors.order_weights import Weights as Standing
from bluecode.defenses.detectors.prompts import Prompts
from bluecode.defenses.detectors.stack import Weights
from bluecode.defenses.knowledge import Case, KnowledgeBase
from bluecode.defenses.verdict import Detector


@dataclass(frozen=True, slots=True)
class Learned:
    """A knowledge base, and the models that were fitted to it."""

    base: KnowledgeBase
    weights: Mapping[str, Weights]
    standing: Standing

    def detectors(self) -> list[Detector[Message]]:
        """The detectors of prompts with these models."""
        models = Classifier(self.weights, self.base, lexicon.shipped())
        return [self._with(make(), models) for make in DETECTORS.values()]

    def reverted(self, tasks: Collection[str], old: "Learned") -> "Learned":
        """The same, but for the models of some tasks, which stay as they were."""
        weights = {
            model: (old if SHAPES[model].task in tasks else self).weights[model] for model in SHAPES
        }
        standing = (old if "injection" in tasks else self).standing
        return Learned(self.base, weights, standing)

    def _with(self, detector: Detector[Message], models: Classifier) -> Detector[Message]:
        if isinstance(detector, Injection):
            return replace(detector, models=models, standing=self.standing)
        if isinstance(detector, Prompts | Obfuscation):
            return replace(detector, models=models)
        return detector


def shipped() -> Learned:
    """What serves now."""
    weights = classifier.parse(classifier.stored())[0]
    return Learned(knowledge.shipped(), weights, order_weights.shipped())


def learn(cases: Sequence[Case], *, jobs: int = 1, like: Learned | None = None) -> Learned:
    """Fit all models to cases, the shipped ones among them.

    Calibration takes most of the time, since it fits to parts of the cases again and again. With
    `like` it is taken over from there instead, which is near enough to see where a change leads;
    the search for weights begins where it ended there, and models stay as they are that would learn
    from the same cases.
    """
    every = tuple(cases)
    models, orders_too = _to_fit(every, like)
    kept = None if like is None else replace(like, base=KnowledgeBase(()))
    start = like or shipped()
    if jobs == 1:
        fitted = {model: _fit(model, every, kept) for model in models}
        standing = _fit_orders(every, kept) if orders_too else start.standing
    else:
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
            # The longest first, so that the others share the other process.
            last = pool.submit(_fit_orders, every, kept) if orders_too else None
            parts = {model: pool.submit(_fit, model, every, kept) for model in reversed(models)}
            fitted = {model: part.result() for model, part in parts.items()}
            standing = start.standing if last is None else last.result()
    weights = {model: fitted.get(model, start.weights[model]) for model in SHAPES}
    return Learned(KnowledgeBase(every), weights, standing)


def _to_fit(cases: Sequence[Case], like: Learned | None) -> tuple[list[str], bool]:
    """Models that must be fitted, and whether the one of orders must be."""
    if like is None:
        return list(SHAPES), True
    old, new = {case.id for case in like.base.cases}, {case.id for case in cases}
    changed = [case for case in (*cases, *like.base.cases) if case.id in old ^ new]
    tasks = {case.task for case in changed}
    by_hand = {case.task for case in changed if training.HARVESTED not in case.id}
    return [model for model in SHAPES if SHAPES[model].task in tasks], "injection" in by_hand


def _fit(model: str, cases: Sequence[Case], like: Learned | None) -> Weights:
    base = KnowledgeBase(cases)
    if like is None:
        return training.fit(model, base)
    learned = training.lessons(model, base)
    table = training.lay(model, learned)
    start = _laid(like.weights[model])
    fitted = fitting.fit(table, *training.truth(learned), training.PENALTY, start)
    alone, words, letters, _ = table.split(fitted)
    near = like.weights[model].neighbours
    if near.share:
        near = training.Crowd.gather(learned, base).neighbours(base, near.share)
    return replace(
        like.weights[model],
        neighbours=near,
        dense=alone.astype(np.float32),
        words=words.astype(np.float32),
        letters=letters.astype(np.float32),
        bias=fitting.bias(fitted),
    )


def _laid(weights: Weights) -> Doubles:
    """Weights as the fit has them: one after the other."""
    constant = [weights.bias / fitting.CONSTANT]
    parts = (weights.dense, weights.words, weights.letters, constant)
    return np.concatenate([np.asarray(part, np.float64) for part in parts])


def _fit_orders(cases: Sequence[Case], like: Learned | None) -> Standing:
    samples = list(orders_training.samples(cases))
    if like is None:
        return orders_training.fit(samples)[0]
    readings = [orders.read(sample.text) for sample in samples]
    words, facts, bias = orders_training.descend(orders_training.table(samples, readings))
    return replace(
        like.standing,
        words=words.astype(np.float32),
        facts=facts.astype(np.float32),
        bias=bias,
    )
