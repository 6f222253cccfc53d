"""Fits the prompt classifiers: `python -m bluecode.defenses.detectors.training`.

Kernel logistic regression, by iteratively reweighted least squares, over the features of every case
of the knowledge base, and of the running Python's standard library as ordinary code and prose
(read in place, never copied; the stored weights keep nothing of it). Calibration uses scores of
cases that the fit in question had not seen. Writes `weights.npz` beside this module; a test
compares its digest with what is shipped.
"""

import hashlib
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import lexicon
from bluecode.defenses.detectors.classifier import SHAPES, render
from bluecode.defenses.detectors.features import bag, dense, survey
from bluecode.defenses.detectors.lexicon import Array, Floats
from bluecode.defenses.detectors.stack import Weights
from bluecode.defenses.knowledge import Case, KnowledgeBase
from bluecode.defenses.terms import BUCKETS, read

Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_PENALTY = 2.0
_ROUNDS = 8
_FOLDS = 4
_CONSTANT = 3.0
"""The column that becomes the bias: large, so that the penalty hardly touches it."""
_PRIOR = {"malice": 0.1, "bias": 0.1, "injection_said": 0.12, "injection_brought": 0.22}
"""Share of unsafe texts that the calibration assumes among texts as hard as the safe cases.

Real traffic is far more benign, but also far easier than the neighbours in the knowledge base;
easiest of all is what tools bring, of which nearly every sentence is addressed to nobody."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A case as one model sees it."""

    number: int
    case: Case
    unsafe: bool
    weight: float


_ORDINARY = (
    "argparse ast bdb calendar cgi cmd code configparser contextlib csv dataclasses"
    " difflib email.message enum fractions ftplib getpass heapq html.parser http.client"
    " http.cookiejar imaplib inspect json.decoder logging.handlers mailbox nntplib optparse"
    " pathlib pdb pickle poplib pydoc_data.topics random sched secrets shlex shutil smtplib"
    " socket socketserver sqlite3.dump statistics subprocess tarfile tempfile threading"
    " timeit tkinter.simpledialog traceback turtle unittest.mock urllib.request uuid wave"
    " webbrowser xmlrpc.client zipfile"
).split()
_ORDINARY_LENGTH = 600
"""Characters of an excerpt: about a window."""
_ORDINARY_SHARE = 20
"""One excerpt in so many is learned from."""


def ordinary(base: KnowledgeBase) -> Iterator[Sample]:
    """Excerpts of ordinary code and documentation, as safe as can be, under every model."""
    stand_in = base.cases[0]
    for name in _ORDINARY:
        spec = importlib.util.find_spec(name)
        source = ""
        if spec and spec.origin and spec.has_location:
            source = Path(spec.origin).read_text("utf-8")
        step = _ORDINARY_LENGTH * _ORDINARY_SHARE
        for start in range(0, len(source), step):
            text = source[start : start + _ORDINARY_LENGTH]
            case = replace(stand_in, id=f"ordinary-{name}-{start}", text=text, unsafe=False)
            yield Sample(-1, case, False, 0.3)


@dataclass(frozen=True, slots=True)
class Table:
    """Samples as rows of features, one a window, with the likeness of every pair of rows."""

    rows: Floats
    kernel: Doubles
    owner: Array
    """For each row, the sample that it belongs to."""
    unsafe: Mask
    weight: Doubles


def samples(model: str, cases: Sequence[Case]) -> Iterator[Sample]:
    """The cases that a model learns from."""
    for number, case in enumerate(cases):
        weight = _brought(case) if model == "injection_brought" else _said(case, model)
        if weight:
            yield Sample(number, case, case.unsafe and case.task == SHAPES[model].task, weight)


def _said(case: Case, model: str) -> float:
    """A request by a person. Unsafe requests of another kind count as safe of this one."""
    if case.task == "injection" and (case.channel != "user" or (case.unsafe and model == "malice")):
        return 0.0
    return 1.0 if case.task == SHAPES[model].task else 0.7


def _brought(case: Case) -> float:
    """Content of files, pages and tools. What attacks as a request does so here too."""
    if case.task != "injection":
        code = "command" in case.category or case.category == "stubs"
        return 0.3 if code and not case.unsafe else 0.0
    if case.channel != "user":
        return 1.0
    return 0.5 if case.unsafe or case.category == "false_authority" else 0.0


def _table(model: str, learned: Sequence[Sample]) -> Table:
    rows, owner = [], []
    shape, words_of = SHAPES[model], lexicon.shipped()
    for number, sample in enumerate(learned):
        found = survey(sample.case.text, words_of)
        at = shape.cut(found)
        constant = np.full((at.count, 1), _CONSTANT, dtype=np.float32)
        row = np.concatenate((dense(found, at, shape.task, words_of), bag(found, at), constant), 1)
        rows.append(row)
        owner += [number] * at.count
    stacked, owners = np.concatenate(rows), np.array(owner)
    return Table(
        rows=stacked,
        kernel=(stacked @ stacked.T).astype(np.float64),
        owner=owners,
        unsafe=np.array([sample.unsafe for sample in learned])[owners],
        weight=np.array([sample.weight for sample in learned])[owners],
    )


def _solve(table: Table, kept: Array) -> Doubles:
    """Dual coefficients of the rows in `kept`."""
    kernel = table.kernel[np.ix_(kept, kept)]
    wanted, weight = table.unsafe[kept].astype(np.float64), table.weight[kept]
    logit: Doubles = np.zeros(len(kept))
    dual: Doubles = np.zeros(len(kept))
    for _ in range(_ROUNDS):
        chance = 1 / (1 + np.exp(-logit))
        slack = np.maximum(weight * chance * (1 - chance), 1e-5)
        target = logit + weight * (wanted - chance) / slack
        dual = np.asarray(
            np.linalg.solve(kernel + _PENALTY * np.diag(1 / slack), target), dtype=np.float64
        )
        logit = kernel @ dual
    return dual


def _loudest(table: Table, logit: Doubles) -> Array:
    """All rows of safe samples, and of each unsafe one the row with the highest logit."""
    best: dict[int, int] = {}
    for row in np.argsort(logit):
        best[int(table.owner[row])] = int(row)
    chosen = [row for row in range(len(logit)) if not table.unsafe[row]]
    return np.array(sorted({*chosen, *(row for row in best.values() if table.unsafe[row])}))


def _choose(table: Table) -> Array:
    """Rows to learn from: of a long unsafe text only the part that makes it so."""
    kept = np.arange(len(table.owner))
    for _ in range(2):
        logit = table.kernel[:, kept] @ _solve(table, kept)
        kept = _loudest(table, logit)
    return kept


def _unseen(table: Table, kept: Array, folds: Array) -> Doubles:
    """Logit of every row by a fit without its fold."""
    logit = np.zeros(len(table.owner))
    for fold in range(_FOLDS):
        learned = kept[folds[kept] != fold]
        held = np.flatnonzero(folds == fold)
        logit[held] = table.kernel[np.ix_(held, learned)] @ _solve(table, learned)
    return logit


def _calibrate(model: str, facts: Doubles, unsafe: Mask) -> tuple[float, float, float]:
    """Slope, pull and shift by a small logistic regression on logit and margin."""
    prior = _PRIOR[model]
    weight = np.where(unsafe, prior / unsafe.mean(), (1 - prior) / (1 - unsafe.mean()))
    design = np.column_stack((facts, np.ones(len(facts))))
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ beta))
        slack = weight * chance * (1 - chance) + 1e-9
        slope = design.T @ (weight * (unsafe - chance)) - 1e-3 * beta
        beta += np.linalg.solve((design.T * slack) @ design + 1e-3 * np.eye(len(beta)), slope)
    return float(beta[0]), float(max(beta[1], 0.0)), float(beta[2])


def fit(model: str, base: KnowledgeBase) -> Weights:
    """Fit and calibrate one model."""
    learned = list(samples(model, base.cases))
    if model != "injection_brought":  # Its windows are sentences, and the cases have plenty.
        learned += ordinary(base)
    table = _table(model, learned)
    kept = _choose(table)
    weights = table.rows[kept].T @ _solve(table, kept).astype(np.float32)
    folds = np.array([_fold(sample.case) for sample in learned])
    logit = _unseen(table, kept, folds[table.owner])
    loudest = np.array([logit[table.owner == number].max() for number in range(len(learned))])
    margins = [_margin(model, base, sample) for sample in learned]
    facts = np.column_stack((loudest, margins))
    unsafe = np.array([sample.unsafe for sample in learned])
    hard = np.array([sample.number >= 0 for sample in learned])
    slope, pull, shift = _calibrate(model, facts[hard], unsafe[hard])
    split = len(weights) - 1 - BUCKETS
    return Weights(
        dense=weights[:split],
        words=weights[split:-1],
        bias=float(weights[-1]) * _CONSTANT,
        slope=slope,
        pull=pull,
        shift=shift,
    )


def _fold(case: Case) -> int:
    return int(hashlib.sha256(case.id.encode()).hexdigest(), 16) % _FOLDS


def _margin(model: str, base: KnowledgeBase, sample: Sample) -> float:
    terms = read(sample.case.text)
    without = [sample.number] if sample.number >= 0 else []
    return base.nearest(terms, SHAPES[model].task, without=without).margin


def digest() -> str:
    """Hex SHA-256 over what the weights depend on."""
    words_of = resources.files("bluecode.defenses.detectors").joinpath("lexicon.toml").read_bytes()
    return hashlib.sha256(words_of + knowledge.digest().encode()).hexdigest()


def main() -> None:
    base = knowledge.shipped()
    models = {model: fit(model, base) for model in SHAPES}
    target = Path(__file__).with_name("weights.npz")
    target.write_bytes(render(models, digest()))
    print(f"{target.name}: {len(models)} models, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
