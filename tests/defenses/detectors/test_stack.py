"""What is summed without being laid out equals what the fit laid out."""

import numpy as np
import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import classifier, lexicon
from bluecode.defenses.detectors.classifier import SHAPES
from bluecode.defenses.detectors.features import bag, dense, survey
from bluecode.defenses.detectors.stack import Stack

TEXTS = [case.text for case in knowledge.shipped().cases[::40]]
TEXTS += ["", "one", "\n".join(TEXTS)]


@pytest.mark.parametrize("model", SHAPES)
def test_the_quick_way_and_the_way_of_the_fit_agree(model: str) -> None:
    weights, _ = classifier.parse(classifier.stored())
    words_of = lexicon.shipped()
    stack = Stack.build(weights, {name: SHAPES[name].task for name in weights}, words_of)

    for text in TEXTS:
        found = survey(text, words_of)
        at = SHAPES[model].cut(found)
        own = weights[model]
        laid_out = dense(found, at, SHAPES[model].task, words_of) @ own.dense
        laid_out += bag(found, at) @ own.words + own.bias

        quick = stack.logits(found, at)[:, stack.models.index(model)]

        assert np.allclose(quick, laid_out, atol=1e-3)
