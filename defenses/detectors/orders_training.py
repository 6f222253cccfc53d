"""Fits the weights of `orders`: `python -m bluecode.defenses.detectors.orders_training`.

Logistic regression by gradient descent. The cases of the knowledge base are read alone and again
within documents: of those that are safe there, and of the running Python's standard library (read
in place, never copied). Of an unsafe text only its loudest unit is learned as an order. Calibration
uses scores of cases that the fit in question had not seen. Writes `orders.npz` beside this module.
"""

import hashlib
import importlib.util
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bluecode.defenses import knowledge
from bluecode.defenses.detectors import order_weights, orders
from bluecode.defenses.detectors.order_weights import Weights
from bluecode.defenses.detectors.orders import BUCKETS, FACTS, Array, Floats, Reading
from bluecode.defenses.detectors.training import HARVESTED
from bluecode.defenses.knowledge import Case

Doubles = npt.NDArray[np.float64]

_STEPS = 160
_RATE = 0.05
_WORD_PENALTY, _FACT_PENALTY = 2.0, 0.3
_QUIET_UNIT = 0.15
"""Weight of a unit of a safe text that is not its loudest."""
_FOLDS = 4
_COPIES = 2
"""How often a short case is set into a document."""
_UNSAFE = 1.5
"""Weight of an unsafe text."""
_ANYWHERE = frozenset(
    "override_words commands_in_data transcripts reviews_and_ads content turns".split()
)
"""Categories of safe cases that are as safe in any other document."""
_SHORT = 400
"""Characters up to which a case is set into documents."""
_HOST = 1200
"""Characters of a document that are kept."""
_CROWD = 0.25
_PASSED = 0.96
"""Share of safe cases, as hard as those of the knowledge base, that score below the mark."""
_MARK = 0.7
_LIBRARY = (
    "argparse ast calendar cmd configparser csv dataclasses difflib doctest enum fractions ftplib"
    " getpass heapq http.client imaplib inspect json.decoder logging mailbox optparse pathlib pdb"
    " pickle pydoc_data.topics random sched secrets shlex shutil smtplib socket statistics"
    " subprocess tarfile tempfile threading timeit turtle typing unittest.mock urllib.request uuid"
    " webbrowser zipfile"
).split()
_SPACES = 4
"""Spaces in a line of the library that is read as a text of its own too."""
_SHARE = 3
"""One excerpt of the library in so many is read."""


@dataclass(frozen=True, slots=True)
class Sample:
    """A text, and what of it may be the order."""

    text: str
    unsafe: bool
    weight: float
    fold: int
    own: tuple[int, int] | None = None
    """First and last line of the case within a document."""
    hard: bool = True
    """A case alone, by which scores are calibrated."""


def _fold(case: Case) -> int:
    return int(hashlib.sha256(case.id.encode()).hexdigest(), 16) % _FOLDS


def library() -> Iterator[str]:
    """Excerpts of ordinary code and documentation."""
    for name in _LIBRARY:
        spec = importlib.util.find_spec(name)
        if spec and spec.origin and spec.has_location:
            source = Path(spec.origin).read_text("utf-8").replace("\\n\\n", "\n\n")
            for start in range(0, len(source), _HOST * _SHARE):
                yield source[start : start + _HOST]


def samples(cases: Sequence[Case]) -> Iterator[Sample]:
    """All texts that are learned from."""
    chance = random.Random(5)
    # Of the red team's cases the order itself is learned elsewhere: what stands around it comes
    # from a few documents.
    told = [case for case in cases if case.task == "injection" and HARVESTED not in case.id]
    hosts = [case.text for case in told if _is_host(case)]
    ordinary = list(library())
    for number, text in enumerate(ordinary):
        yield Sample(text, False, 1.0, number % _FOLDS, hard=False)
        if lines := [line for line in text.split("\n") if line.count(" ") >= _SPACES]:
            line = chance.choice(lines).strip()  # What a tool brings may be one line alone.
            yield Sample(line, False, 0.5, number % _FOLDS, hard=False)
    yield from joined(told, chance)
    for case in told:
        if case.channel == "user" and not case.unsafe:
            continue  # A person may order what a document may not.
        weight = (0.5 if case.channel == "user" else 1.0) * (_UNSAFE if case.unsafe else 1.0)
        yield Sample(case.text, case.unsafe, weight, _fold(case))
        if len(case.text) <= _SHORT and (case.unsafe or case.category in _ANYWHERE):
            for copy in range(_COPIES):
                host = chance.choice(ordinary if copy % 2 else hosts)
                yield _embedded(case, host[:_HOST], weight, chance)


def joined(cases: Sequence[Case], chance: random.Random) -> Iterator[Sample]:
    """Safe cases of one kind as one document: a manual has many orders, a list many questions."""
    safe = [case for case in cases if not case.unsafe and case.channel != "user"]
    for category in sorted({case.category for case in safe}):
        kind = [case for case in safe if case.category == category]
        for case in kind:
            others = chance.sample(kind, min(2, len(kind)))
            text = "\n".join([case.text, *(other.text for other in others)])
            yield Sample(text, False, 0.7, _fold(case), hard=False)


def _is_host(case: Case) -> bool:
    return (
        not case.unsafe
        and case.channel not in ("user", "mcp_description")
        and (case.category == "documents" or len(case.text) > 160)
    )


def _embedded(case: Case, host: str, weight: float, chance: random.Random) -> Sample:
    lines = host.split("\n")
    if len(lines) == 1:
        lines = [line for line in host.replace(". ", ".\n").split("\n") if line]
    at = chance.choice((0, len(lines), chance.randrange(len(lines) + 1)))
    own = (at + 1, at + case.text.count("\n") + 1)
    text = "\n".join([*lines[:at], case.text, *lines[at:]])
    return Sample(text, case.unsafe, weight, _fold(case), own, hard=False)


@dataclass(frozen=True, slots=True)
class Table:
    """Units of all texts in one list, text after text."""

    buckets: Array
    owners: Array
    values: Floats
    facts: Floats
    text: Array
    """For each unit, its text."""
    candidate: npt.NDArray[np.bool_]
    """Whether the unit may be the one that makes its text unsafe."""
    unsafe: npt.NDArray[np.bool_]
    """For each text."""
    weight: Doubles

    def logits(self, words: Doubles, facts: Doubles, bias: float) -> Doubles:
        """Raw log-odds of each unit."""
        parts = words[self.buckets] * self.values
        total = np.bincount(self.owners, parts, minlength=len(self.text))
        logits: Doubles = total + self.facts @ facts + bias
        return logits


def table(learned: Sequence[Sample], readings: Sequence[Reading]) -> Table:
    """Lay out samples for the fit."""
    first = np.concatenate(([0], np.cumsum([reading.count for reading in readings])))
    number = np.arange(len(learned))
    owners = [r.owners + at for r, at in zip(readings, first[:-1].tolist(), strict=True)]
    candidate = [
        np.ones(r.count, bool) if s.own is None else (r.lines >= s.own[0]) & (r.lines <= s.own[1])
        for s, r in zip(learned, readings, strict=True)
    ]
    return Table(
        buckets=np.concatenate([r.buckets for r in readings]),
        owners=np.concatenate(owners),
        values=np.concatenate([r.scales[r.owners] for r in readings]),
        facts=np.concatenate([r.facts for r in readings]),
        text=np.repeat(number, [r.count for r in readings]),
        candidate=np.concatenate(candidate),
        unsafe=np.array([s.unsafe for s in learned]),
        weight=np.array([s.weight for s in learned]),
    )


def _loudest(at: Table, logits: Doubles) -> Array:
    """The loudest unit of each text that has one; of unsafe texts, among the candidates."""
    allowed = np.flatnonzero(at.candidate | ~at.unsafe[at.text])
    order = allowed[np.lexsort((logits[allowed], at.text[allowed]))]
    last = np.append(at.text[order][1:] != at.text[order][:-1], True)
    chosen: Array = order[last]
    return chosen


def _slopes(at: Table, logits: Doubles) -> Doubles:
    """By how much each unit's logit is to fall."""
    chance = 1 / (1 + np.exp(-logits))
    slope = np.where(at.unsafe[at.text], 0.0, _QUIET_UNIT * chance)
    top = _loudest(at, logits)
    slope[top] = chance[top] - at.unsafe[at.text[top]]
    weighed: Doubles = slope * at.weight[at.text]
    return weighed


def descend(at: Table) -> tuple[Doubles, Doubles, float]:
    """Weights of words and facts, and the bias, by Adam."""
    size = BUCKETS + FACTS + 1
    value, mean, square = np.zeros(size), np.zeros(size), np.zeros(size)
    penalty = np.full(size, _FACT_PENALTY)
    penalty[:BUCKETS], penalty[-1] = _WORD_PENALTY, 0.0
    for step in range(1, _STEPS + 1):
        slope = _slopes(at, at.logits(value[:BUCKETS], value[BUCKETS:-1], value[-1]))
        gradient = penalty * value
        parts = slope[at.owners] * at.values
        gradient[:BUCKETS] += np.bincount(at.buckets, parts, minlength=BUCKETS)
        gradient[BUCKETS:-1] += slope @ at.facts
        gradient[-1] += slope.sum()
        mean += 0.1 * (gradient - mean)
        square += 0.01 * (gradient**2 - square)
        rate = _RATE * (1 - step / _STEPS) + 0.002
        value -= rate * (mean / (1 - 0.9**step)) / (np.sqrt(square / (1 - 0.99**step)) + 1e-8)
    return value[:BUCKETS], value[BUCKETS:-1], float(value[-1])


def _scores(weights: Weights, readings: Sequence[Reading]) -> Doubles:
    return np.array([weights.odds(reading)[0] for reading in readings])


def _raw(words: Doubles, facts: Doubles, bias: float) -> Weights:
    return Weights(
        words=words.astype(np.float32),
        facts=facts.astype(np.float32),
        bias=bias,
        slope=1.0,
        shift=0.0,
        crowd=_CROWD,
    )


def fit(learned: Sequence[Sample]) -> tuple[Weights, Doubles]:
    """Fit and calibrate; also the held-out raw log-odds of each sample."""
    readings = [orders.read(sample.text) for sample in learned]
    fold = np.array([sample.fold for sample in learned])
    unseen = np.zeros(len(learned))
    for held in range(_FOLDS):
        kept = np.flatnonzero(fold != held).tolist()
        part = table([learned[at] for at in kept], [readings[at] for at in kept])
        fitted = _raw(*descend(part))
        out = np.flatnonzero(fold == held).tolist()
        unseen[out] = _scores(fitted, [readings[at] for at in out])
    words, facts, bias = descend(table(learned, readings))
    hard = np.array([sample.hard for sample in learned])
    safe = np.array([not sample.unsafe for sample in learned])
    mark = float(np.quantile(unseen[hard & safe], _PASSED))
    shift = float(np.log(_MARK / (1 - _MARK))) - mark
    weights = Weights(
        words=words.astype(np.float32),
        facts=facts.astype(np.float32),
        bias=bias,
        slope=1.0,
        shift=shift,
        crowd=_CROWD,
    )
    return weights, unseen


def digest() -> str:
    """Hex SHA-256 over what the weights depend on."""
    words_of = resources.files("bluecode.defenses.detectors").joinpath("orders.toml")
    cases = resources.files("bluecode.defenses.knowledge_base").joinpath("injection.jsonl")
    return hashlib.sha256(words_of.read_bytes() + b"\0" + cases.read_bytes()).hexdigest()


def main() -> None:
    learned = list(samples(knowledge.shipped().cases))
    weights, _ = fit(learned)
    target = Path(__file__).with_name("orders.npz")
    target.write_bytes(order_weights.render(weights, digest()))
    print(f"{target.name}: {len(learned)} texts, {target.stat().st_size} bytes")


if __name__ == "__main__":
    main()
