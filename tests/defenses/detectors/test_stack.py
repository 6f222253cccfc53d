"""What is summed without being laid out equals what the fit laid out."""

import numpy as np
import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import classifier, lexicon
from bluecode.defenses.detectors.classifier import SHAPES
from bluecode.defenses.detectors.features import survey
from bluecode.defenses.detectors.fitting import Table
from bluecode.defenses.detectors.stack import Stack

TEXTS = [case.text for case in knowledge.shipped().cases[::60]]
TEXTS += ["", "one", "\n".join(TEXTS)]


@pytest.mark.parametrize("model", SHAPES)
def test_the_quick_way_and_the_way_of_the_fit_agree(model: str) -> None:
    weights, _ = classifier.parse(classifier.stored())
    own, words_of, shape = weights[model], lexicon.shipped(), SHAPES[model]
    stack = Stack.build(weights, {name: SHAPES[name].task for name in weights}, words_of)
    read = [survey(text, words_of) for text in TEXTS]
    cut = [(found, shape.cut(found)) for found in read]
    columns = (own.dense, own.words, own.letters, [own.bias / 3])

    laid_out = Table.lay(cut, shape.task, words_of).logits(np.concatenate(columns))
    quick = [stack.logits(found, at)[:, stack.models.index(model)] for found, at in cut]

    assert np.allclose(np.concatenate(quick), laid_out, atol=2e-2, rtol=1e-3)
