"""Fits the prompt classifiers: `python -m bluecode.defenses.detectors.training`.

Logistic regression over the features of every case of the knowledge base, and of the running
Python's standard library as ordinary code and prose (read in place, never copied; the stored
weights keep nothing of it). Calibration uses scores of cases of whose family, the kind of harm or
of its neighbour, the fit had seen nothing. Writes `weights.npz` beside this module; a test
compares its digest with what is shipped.
"""

import hashlib
import importlib.util
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path

import numpy as np

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import lexicon, neighbours_training
from bluecode.defenses.detectors.classifier import SHAPES, render
from bluecode.defenses.detectors.features import survey
from bluecode.defenses.detectors.fitting import Doubles, Mask, Table, bias
from bluecode.defenses.detectors.fitting import fit as fit_rows
from bluecode.defenses.detectors.lexicon import Array, Floats
from bluecode.defenses.detectors.neighbours import NOBODY, Neighbours
from bluecode.defenses.detectors.stack import Weights
from bluecode.defenses.knowledge import Case, KnowledgeBase

PENALTY = 2.0
NEIGHBOURS = frozenset({"malice", "bias"})
"""Models that heed neighbours, for they gain by it: injected texts are told by a few words, and by
the line, better than by what they are like as a whole."""
_FOLDS = 4
PRIOR = {"malice": 0.275, "bias": 0.1, "injection_said": 0.14, "injection_brought": 0.22}
"""Share of unsafe texts that the calibration assumes among texts as hard as the safe cases.

Real traffic is far more benign, but also far easier than the neighbours in the knowledge base;
easiest of all is what tools bring, of which nearly every sentence is addressed to nobody."""


GRID = re.compile(r"-([a-z]{2})-([a-z]+)$")
"""Ends the id of a case from the grid: its human language, and its register."""
_GRID, _OTHER = 0.15, 0.25
"""What a case of the grid counts, and one of another task.

The grid sets the hardest safe neighbour beside every unsafe case. Real traffic is far from that:
at full weight the fit unlearns that a subject is dangerous at all, and misses what others write."""


HARVESTED = "-redteam-"
"""In the id of a case that the red team found."""
_HARVESTED = {True: 0.5, False: 0.9}
"""What such a case counts, by whether it is unsafe.

They are many and alike, and chosen because this very detector was wrong about them: its model
learns from them, no other, and calibration, which asks how hard texts are, leaves them out."""
_HARVESTED_MOST = 0.55
_HARVESTED_BROUGHT = 0.2
"""What they count together, at most, for each unit of weight of the other cases of their task: a
model learns from what got past it without forgetting what was written by hand. Documents of the
grammars are so few that what stands around an order would be learned with it."""


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


def samples(model: str, cases: Sequence[Case]) -> Iterator[Sample]:
    """The cases that a model learns from."""
    brought = model == "injection_brought"
    weights = [_brought(case) if brought else _said(case, model) for case in cases]
    less = _restraint(model, cases, weights)
    for number, (case, weight) in enumerate(zip(cases, weights, strict=True)):
        if weight:
            unsafe = case.unsafe and case.task == SHAPES[model].task
            counts = weight * less if HARVESTED in case.id else weight
            yield Sample(number, case, unsafe and not _wish(case, model), counts)


def _restraint(model: str, cases: Sequence[Case], weights: Sequence[float]) -> float:
    """By what the weight of harvested cases is multiplied."""
    own = harvested = 0.0
    for case, weight in zip(cases, weights, strict=True):
        if HARVESTED in case.id:
            harvested += weight
        elif case.task == SHAPES[model].task:
            own += weight
    most = _HARVESTED_BROUGHT if model == "injection_brought" else _HARVESTED_MOST
    return min(1.0, most * own / harvested) if own and harvested else 1.0


def _wish(case: Case, model: str) -> bool:
    """An order from data that would be a mere wish if the person had said it."""
    return model == "injection_said" and case.channel != "user" and case.category in _WISHES


_WISHES = frozenset({"manner", "foreign_order", "promotion", "docs"})


def _said(case: Case, model: str) -> float:
    """A request by a person. Unsafe requests of another kind count as safe of this one."""
    if _wish(case, model) and case.unsafe:
        return 1.0
    if case.task == "injection" and (case.channel != "user" or (case.unsafe and model == "malice")):
        return 0.0
    if HARVESTED in case.id:
        return _HARVESTED[case.unsafe] if case.task == SHAPES[model].task else 0.0
    if case.task != SHAPES[model].task:
        return _OTHER
    return _GRID if case.task != "injection" and GRID.search(case.id) else 1.0


def _brought(case: Case) -> float:
    """Content of files, pages and tools. What attacks as a request does so here too."""
    if case.task != "injection":
        if HARVESTED in case.id:
            return 0.0
        code = "command" in case.category or case.category == "stubs"
        return 0.3 if code and not case.unsafe else 0.0
    if case.channel != "user":
        return 1.0
    return 0.5 if case.unsafe or case.category == "false_authority" else 0.0


def lay(model: str, learned: Sequence[Sample]) -> Table:
    """What a model learns from, as rows of features."""
    shape, words_of = SHAPES[model], lexicon.shipped()
    found = [survey(sample.case.text, words_of) for sample in learned]
    return Table.lay([(text, shape.cut(text)) for text in found], shape.task, words_of)


def truth(learned: Sequence[Sample]) -> tuple[Mask, Doubles]:
    """Which samples are unsafe, and how much each counts."""
    unsafe = np.array([sample.unsafe for sample in learned])
    return unsafe, np.array([sample.weight for sample in learned])


def unseen(model: str, learned: Sequence[Sample], families: Sequence[str]) -> Doubles:
    """For each sample, what a fit without its family makes of it, as log-odds."""
    table = lay(model, learned)
    unsafe, weight = truth(learned)
    group = np.array([_fold(family) for family in families])
    said = np.zeros(len(learned))
    for fold in np.unique(group):
        kept = np.flatnonzero(group[table.owner] != fold)
        weights = fit_rows(table.only(kept), unsafe, weight, PENALTY)
        held = group == fold
        said[held] = heard(model, table, table.logits(weights))[held]
    return said


@dataclass(frozen=True, slots=True)
class Crowd:
    """Samples that are cases, as neighbours of each other."""

    members: Mask
    """Which of the samples."""
    numbers: Array
    """Their places in the knowledge base."""
    unsafe: Mask
    weights: Floats
    inverse: Floats

    @classmethod
    def gather(cls, learned: Sequence[Sample], base: KnowledgeBase) -> "Crowd":
        """Fit the neighbours to the samples."""
        unsafe, weight = truth(learned)
        every = np.array([sample.number for sample in learned], dtype=np.int64)
        members = every >= 0
        numbers = every[members]
        alike = neighbours_training.kernels(base)[np.ix_(numbers, numbers)]
        solved = neighbours_training.solve(alike, unsafe[members], weight[members])
        return cls(members, numbers, unsafe[members], *solved)

    def without(self, held: Mask) -> Doubles:
        """What a fit without some samples says of those of them that are cases."""
        at = np.flatnonzero(held[self.members])
        said = neighbours_training.without(self.weights, self.inverse, self.unsafe, at)
        return said.astype(np.float64)

    def neighbours(self, base: KnowledgeBase, share: float) -> Neighbours:
        """What serves, at so many log-odds for each unit."""
        every = np.zeros(len(base.cases), dtype=np.float32)
        every[self.numbers] = self.weights * np.float32(share)
        fitted = neighbours_training.kernels(base)[self.numbers] @ every
        return Neighbours(every, float(fitted.max(initial=0.0)), share)


def heard(model: str, table: Table, logits: Doubles) -> Doubles:
    """What is made of the windows of each text of a table."""
    ends = np.flatnonzero(np.diff(table.owner)) + 1
    pieces = np.split(logits.astype(np.float32), ends)
    return np.array([SHAPES[model].hear(piece)[0] for piece in pieces])


def _calibrate(model: str, said: Doubles, unsafe: Mask) -> Doubles:
    """A factor for each column of what cases not seen were said to be, and a shift.

    By a small logistic regression."""
    prior = PRIOR[model]
    weight = np.where(unsafe, prior / unsafe.mean(), (1 - prior) / (1 - unsafe.mean()))
    design = np.column_stack((said, np.ones(len(said))))
    beta = np.zeros(design.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-design @ beta))
        slack = weight * chance * (1 - chance) + 1e-9
        slope = design.T @ (weight * (unsafe - chance)) - 1e-3 * beta
        beta += np.linalg.solve((design.T * slack) @ design + 1e-3 * np.eye(len(beta)), slope)
    return beta


def lessons(model: str, base: KnowledgeBase) -> list[Sample]:
    """All that a model learns from."""
    own = list(samples(model, base.cases))
    # What a tool brings is read by the sentence, and the cases have plenty of ordinary ones.
    return own if model == "injection_brought" else [*own, *ordinary(base)]


def fit(model: str, base: KnowledgeBase) -> Weights:
    """Fit and calibrate one model."""
    learned = lessons(model, base)
    table = lay(model, learned)
    unsafe, weight = truth(learned)
    weights = fit_rows(table, unsafe, weight, PENALTY)
    crowd = Crowd.gather(learned, base) if model in NEIGHBOURS else None
    slope, *share, shift = calibration(model, learned, crowd)
    alone, words, letters, _ = table.split(weights)
    return Weights(
        dense=alone.astype(np.float32),
        words=words.astype(np.float32),
        letters=letters.astype(np.float32),
        bias=bias(weights),
        slope=slope,
        shift=shift,
        neighbours=crowd.neighbours(base, *share) if crowd is not None else NOBODY,
    )


def calibration(model: str, learned: Sequence[Sample], crowd: Crowd | None) -> list[float]:
    """A factor for what the linear model says, one for what the neighbours say, and a shift."""
    families = [family(sample.case) for sample in learned]
    said = unseen(model, learned, families)[:, np.newaxis]
    if crowd is not None:
        said = np.column_stack((said, _pulled(crowd, families)))
    hard = np.array([s.number >= 0 and HARVESTED not in s.case.id for s in learned])
    factors: list[float] = _calibrate(model, said[hard], truth(learned)[0][hard]).tolist()
    return factors


def _pulled(crowd: Crowd, families: Sequence[str]) -> Doubles:
    """For each sample, what neighbours of other families say; nothing where it is no case."""
    group = np.array([_fold(family) for family in families])
    said = np.zeros(len(families))
    for fold in np.unique(group[crowd.members]):
        held = (group == fold) & crowd.members
        said[held] = crowd.without(held)
    return said


def family(case: Case) -> str:
    """Cases of one family are learned from together, or not at all."""
    return f"{case.task}.{case.category}"


def _fold(name: str) -> int:
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % _FOLDS


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
