"""What cases near a text say: the kernel machine, its fit, and its part in a score."""

from dataclasses import replace

import numpy as np
import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import classifier, lexicon, neighbours_training, training
from bluecode.defenses.detectors.classifier import Classifier
from bluecode.defenses.detectors.neighbours import NOBODY, Neighbours, kernel
from bluecode.defenses.knowledge import KnowledgeBase
from bluecode.defenses.terms import read

SHIPPED = classifier.parse(classifier.stored())[0]


def test_a_case_pulls_by_all_of_its_weight_where_it_is_the_text_and_less_further_away() -> None:
    near = Neighbours(np.array([2.0, 0.0], np.float32), 2.0, 1.0)

    pulls = [near.pull(np.array([alike, 1.0])) for alike in (1.0, 0.5, 0.0)]

    assert pulls[0] == pytest.approx(2.0) and pulls == sorted(pulls, reverse=True)
    assert pulls[2] == pytest.approx(2.0 * float(kernel(np.zeros(1))[0]))


def test_cases_that_came_after_the_fit_do_not_pull() -> None:
    near = Neighbours(np.array([1.0], np.float32), 1.0, 1.0)

    assert near.pull(np.array([0.3, 1.0])) == near.pull(np.array([0.3]))
    assert NOBODY.pull(np.array([1.0, 1.0])) == 0.0


def test_what_a_fit_without_some_cases_says_is_what_such_a_fit_would_say() -> None:
    chance = np.random.default_rng(3)
    places = chance.normal(size=(40, 3)).astype(np.float32)
    kernels = np.exp(-((places[:, None] - places) ** 2).sum(-1) / 4).astype(np.float32)
    unsafe, weight = places[:, 0] > 0, chance.uniform(0.2, 1.0, 40)
    held = np.array([1, 5, 30])
    kept = np.setdiff1d(np.arange(40), held)

    weights, inverse = neighbours_training.solve(kernels, unsafe, weight)
    said = neighbours_training.without(weights, inverse, unsafe, held)

    alone, _ = neighbours_training.solve(kernels[np.ix_(kept, kept)], unsafe[kept], weight[kept])
    assert said == pytest.approx(kernels[np.ix_(held, kept)] @ alone, abs=1e-3)


def test_unsafe_cases_have_neighbours_that_pull_up_and_safe_ones_such_as_pull_down() -> None:
    base, near = knowledge.shipped(), SHIPPED["malice"].neighbours
    assert near.share > 0 and len(near.weights) == len(base.cases)

    def pulls(unsafe: bool) -> list[float]:
        some = [case for case in base.cases if case.task == "malice" and case.unsafe is unsafe]
        return [near.pull(base.likeness(read(case.text))) for case in some[::40]]

    assert min(np.mean(pulls(True)), -np.mean(pulls(False))) > 0.5


def test_what_the_neighbours_say_is_part_of_a_score() -> None:
    text = next(c.text for c in knowledge.shipped().cases if c.task == "malice" and c.unsafe)
    alone = {**SHIPPED, "malice": replace(SHIPPED["malice"], neighbours=NOBODY)}
    base, words_of = knowledge.shipped(), lexicon.shipped()

    heeded = Classifier(SHIPPED, base, words_of).judge(text, "malice").score

    assert heeded > Classifier(alone, base, words_of).judge(text, "malice").score


def test_weights_keep_their_neighbours_when_they_are_written_and_read() -> None:
    near = Neighbours(np.array([0.5, -0.25], np.float32), 1.5, 4.0)
    models = {**SHIPPED, "malice": replace(SHIPPED["malice"], neighbours=near)}

    found, digest = classifier.parse(classifier.render(models, "d"))

    assert digest == "d" and found["injection_said"].neighbours.weights.size == 0
    again = found["malice"].neighbours
    assert (again.weights.tolist(), again.reach, again.share) == ([0.5, -0.25], 1.5, 4.0)


def test_no_case_is_pulled_up_further_than_the_reach() -> None:
    cases = [case for case in knowledge.shipped().cases if case.task == "malice"][::30]
    base = KnowledgeBase(cases)
    crowd = training.Crowd.gather(training.lessons("malice", base), base)

    near = crowd.neighbours(base, 4.0)

    pulls = [near.pull(base.likeness(read(case.text))) for case in cases]
    assert max(pulls) <= near.reach + 1e-3
