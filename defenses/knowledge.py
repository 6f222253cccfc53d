"""Red-team cases and their hard neighbours, nearest first.

Similarity is lexical (weighted words and word pairs), needs no model and no network, and is
evidence, not a verdict: two texts that share their words may differ in intent. The classifiers
learn from the same cases; a finding names the nearest of them, so that a person can see what it was
likened to.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from bluecode.defenses.terms import Terms, prints, read

Task = Literal["injection", "malice", "bias"]
TASKS: tuple[Task, ...] = ("injection", "malice", "bias")

_FIELDS = frozenset("id task label text category channel principle rationale provenance".split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One record of the knowledge base."""

    id: str
    task: Task
    unsafe: bool
    text: str
    category: str
    """Kind of harm, or of the harmless neighbour."""
    channel: str
    """Where the text stands: `user`, `tool_result`, `file`, `mcp_description` …"""
    principle: str
    """Id of the constitution's principle that decides the case."""
    rationale: str
    provenance: str


@dataclass(frozen=True, slots=True)
class Match:
    """A case and how alike it is, 0 to 1."""

    case: Case
    similarity: float


@dataclass(frozen=True, slots=True)
class Nearest:
    """The cases most like a text, of each label."""

    unsafe: tuple[Match, ...]
    safe: tuple[Match, ...]

    @property
    def margin(self) -> float:
        """How much nearer the best unsafe case is than the best safe one."""
        return _best(self.unsafe) - _best(self.safe)


Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
_Row = tuple[Numbers, Numbers]
_Index = tuple[Numbers, Numbers, Doubles]
_LAST: Hashes = np.array([2**64 - 1], dtype=np.uint64)
"""Above every key, so that a search always ends on one."""


class KnowledgeBase:
    """Cases with an index over their words. Raises `ValueError` for records that lack a field."""

    def __init__(self, cases: Iterable[Case]) -> None:
        self.cases = tuple(cases)
        rows = [_counts(read(case.text)) for case in self.cases]
        self._known = np.unique(np.concatenate([_LAST, *(row[0] for row in rows)]))
        known = [(np.searchsorted(self._known, keys), counts) for keys, counts in rows]
        self._weights = _rarity(known, len(self._known))
        self._index = _invert([self._weigh(*row) for row in known], len(self._known))
        unsafe = np.array([case.unsafe for case in self.cases], dtype=bool)
        tasks = np.array([case.task for case in self.cases])
        self._sides = {
            (task, side): np.flatnonzero((tasks == task) & (unsafe == side))
            for task in TASKS
            for side in (True, False)
        }

    def nearest(
        self, terms: Terms, task: Task, k: int = 3, *, without: Sequence[int] = ()
    ) -> Nearest:
        """The k most similar unsafe and safe cases of a task; `without` leaves some out."""
        likeness = self.likeness(terms)
        likeness[list(without)] = -1
        return self.most_like(likeness, task, k)

    def most_like(self, likeness: Doubles, task: Task, k: int = 3) -> Nearest:
        """The same from how alike each case is."""
        return Nearest(
            self._top(likeness, self._sides[task, True], k),
            self._top(likeness, self._sides[task, False], k),
        )

    def rarity(self, keys: Hashes) -> Doubles:
        """What each word or word pair tells: the rarer among the cases, the more."""
        return self._weights[self._recognised(keys, np.zeros(0, np.int64))[0]]

    def likeness(self, terms: Terms) -> Doubles:
        """How alike each case is, in the order of the cases."""
        found, weights = self._weigh(*self._recognised(*_counts(terms)))
        starts, owners, values = self._index
        begins, ends = starts[found], starts[found + 1]
        cuts = [slice(*cut) for cut in zip(begins.tolist(), ends.tolist(), strict=True)]
        if not cuts:
            return np.zeros(len(self.cases))
        parts = np.concatenate([values[cut] for cut in cuts])
        parts *= np.repeat(weights, ends - begins)
        held = np.concatenate([owners[cut] for cut in cuts])
        return np.bincount(held, parts, minlength=len(self.cases)).astype(np.float64, copy=False)

    def _top(self, likeness: Doubles, side: Numbers, k: int) -> tuple[Match, ...]:
        order = side[np.argsort(-likeness[side], kind="stable")[:k]]
        return tuple(
            Match(self.cases[at], round(float(likeness[at]), 3)) for at in order if likeness[at] > 0
        )

    def _recognised(self, keys: Hashes, counts: Numbers) -> _Row:
        """Numbers of the words that some case has. Others count as often as the rarest, nowhere."""
        at = np.searchsorted(self._known, keys)
        at[self._known[at] != keys] = len(self._known)
        return at, counts

    def _weigh(self, found: Numbers, counts: Numbers) -> tuple[Numbers, Doubles]:
        weights = np.log1p(counts) * self._weights[found]
        norm = float(np.sqrt((weights**2).sum()))
        return found, weights / norm if norm else weights


def _counts(terms: Terms) -> tuple[Hashes, Numbers]:
    keys, counts = np.unique(prints(terms)[0], return_counts=True)
    return keys, counts


def _rarity(rows: Sequence[_Row], size: int) -> Doubles:
    """Weight of each word: the rarer among the cases, the more it tells; last, of unknown ones."""
    every = np.concatenate([found for found, _ in rows]) if rows else np.zeros(0, np.int64)
    seen = np.bincount(every, minlength=size + 1)
    return np.asarray(np.log((1 + len(rows)) / (1 + seen)) + 0.1)


def _invert(rows: Sequence[tuple[Numbers, Doubles]], size: int) -> _Index:
    """For each word, the cases that have it: where they start, which, and how much."""
    found = np.concatenate([np.zeros(0, np.int64), *(row[0] for row in rows)])
    values = np.concatenate([np.zeros(0), *(row[1] for row in rows)])
    owners = np.repeat(np.arange(len(rows)), [len(row[0]) for row in rows])
    order = np.argsort(found, kind="stable")
    starts = np.searchsorted(found[order], np.arange(size + 2))
    return starts, owners[order], values[order]


def _best(matches: Sequence[Match]) -> float:
    return matches[0].similarity if matches else 0.0


def parse(lines: Iterable[str]) -> tuple[Case, ...]:
    """Read cases, one JSON object a line. Raises `ValueError` for a record out of form."""
    return tuple(_case(json.loads(line)) for line in lines if line.strip())


def _case(record: dict[str, Any]) -> Case:
    if record.keys() != _FIELDS or record["label"] not in ("unsafe", "safe"):
        wrong = sorted(record.keys() ^ _FIELDS) or ["label"]
        raise ValueError(f"Case `{record.get('id')}`: wrong or missing {', '.join(wrong)}.")
    rest = {key: value for key, value in record.items() if key != "label"}
    return Case(unsafe=record["label"] == "unsafe", **rest)


def _files() -> dict[str, str]:
    folder = resources.files("bluecode.defenses.knowledge_base")
    return {task: folder.joinpath(f"{task}.jsonl").read_text("utf-8") for task in TASKS}


def digest() -> str:
    """Hex SHA-256 over the shipped files: what was trained on is what is shipped."""
    return hashlib.sha256("\0".join(_files().values()).encode()).hexdigest()


@cache
def shipped() -> KnowledgeBase:
    """The knowledge base that comes with BlueCode, read once."""
    return KnowledgeBase(case for text in _files().values() for case in parse(text.splitlines()))
