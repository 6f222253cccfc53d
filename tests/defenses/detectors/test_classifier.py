"""The fitted models: in step with what they were fitted to, small, and fast."""

import time
from importlib import resources

from bluecode.defenses.detectors import classifier, training


def _stored() -> bytes:
    return resources.files("bluecode.defenses.detectors").joinpath("weights.npz").read_bytes()


def test_the_weights_were_fitted_to_the_shipped_cases_and_lexicon() -> None:
    _, digest = classifier.parse(_stored())

    message = "run `python -m bluecode.defenses.detectors.training`"
    assert digest == training.digest(), message


def test_stored_models_survive_a_round_trip() -> None:
    models, digest = classifier.parse(_stored())

    again, same = classifier.parse(classifier.render(models, digest))

    assert same == digest
    assert all((again[name].dense == models[name].dense).all() for name in models)
    assert len(_stored()) < 500_000


def test_a_prompt_of_two_kilobytes_takes_few_milliseconds() -> None:
    models = classifier.shipped()
    texts = [f"Please refactor the service number {n} and add tests. " * 38 for n in range(20)]
    models.judge(texts[0], "malice")

    started = time.perf_counter()
    for text in texts[1:]:
        models.judge(text, "malice")

    assert (time.perf_counter() - started) / 19 < 0.05


def test_folds_do_not_depend_on_the_process() -> None:
    cases = [
        sample.case for sample in training.samples("bias", classifier.knowledge.shipped().cases)
    ]

    folds = {training._fold(training.family(case)) for case in cases}
    assert folds == set(range(training._FOLDS))
