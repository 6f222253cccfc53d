"""What the user's own approved records say of a message, without anything being fitted anew.

A record is found where nearly all of its words and word pairs stand together; rare ones count more.
An unsafe record is a finding of its own. A safe one lowers what the detectors found in just that
text: the lines that are nearly the record, and nothing else, are taken out, and what remains of the
message is judged by itself, so that an attack cannot hide beside a harmless text.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from bluecode.defenses import constitution, knowledge, terms
from bluecode.defenses.conversation import Message
from bluecode.defenses.detectors import obfuscation
from bluecode.defenses.detectors.segments import split
from bluecode.defenses.knowledge import Case, KnowledgeBase, Nearest, Task
from bluecode.defenses.record_store import RecordStore, StoreError, of_state
from bluecode.defenses.terms import Terms
from bluecode.defenses.verdict import Category, Evidence, Finding

NAME = "records"
NEAR = 0.8
"""Share of a record's weight that must stand together in a text."""
SAME = 0.9
"""The share both ways from which lines are the record, for a safe record to speak for them."""
PAUSE = 2.0
"""Seconds between two looks at the store's file."""
_WAIT = 0.2
"""Seconds that requests wait for one who is writing there."""
_WIDER = 1.3
"""Terms of a text, to those of the record, in which it is looked for."""
_MOST = 8
"""Unsafe records that are looked at closely for one text, and as many safe ones: else a text full
of these would hide one of those."""
_FOREIGN = 6
"""Words and word pairs that lines may hold beside a safe record's: two other words, however long
the record is."""
_OVER = 0.5
"""Share of an unsafe record's words from which a safe one that stands in them speaks for them."""

log = logging.getLogger("bluecode.records")
Keys = npt.NDArray[np.uint64]
Doubles = npt.NDArray[np.float64]

_HEARD = {
    "malice": frozenset({"said", "wrapped", "set"}),
    "bias": frozenset({"said", "wrapped", "set"}),
    "injection": frozenset({"said", "wrapped", "brought"}),
}
"""Whose words each task concerns, as its detector has it."""


@dataclass(frozen=True, slots=True)
class Near:
    """A record that was found, and where."""

    case: Case
    similarity: float
    lines: tuple[int, int]
    """First and last line, from 1."""
    words: tuple[int, int]
    """Its first term, and the one after its last."""
    same: bool
    """Are these lines the record, and hardly anything else?"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A record as it is looked for."""

    case: Case
    keys: Keys
    """Sorted."""
    weights: Doubles
    length: int

    @property
    def total(self) -> float:
        return float(self.weights.sum())


class Records:
    """Approved records with an index over their words."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self.cases = tuple(cases)
        parts = [f"{case.id}\0{case.unsafe}\0{case.text}" for case in cases]
        self.version = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12] if parts else ""
        self._rows = [_row(case) for case in self.cases]
        self._unsafe = np.array([case.unsafe for case in self.cases], dtype=np.bool_)
        self._totals = np.array([row.total for row in self._rows])
        every = np.concatenate([_NONE, *(row.keys for row in self._rows)])
        order = np.argsort(every, kind="stable")
        self._known = every[order]
        self._owners = np.repeat(np.arange(len(cases)), [len(row.keys) for row in self._rows])[
            order
        ]
        self._weights = np.concatenate([_NOTHING, *(row.weights for row in self._rows)])[order]
        self._base = KnowledgeBase(self.cases) if self.cases else None

    def found(self, text: str) -> list[Near]:
        """Records that a text holds, the most similar first."""
        read = terms.read(text)
        keys, positions = _keys(read)
        share = self._share(np.unique(keys)) / self._totals
        likely = np.flatnonzero(share >= NEAR)
        likely = likely[np.argsort(-share[likely], kind="stable")]
        sides = (likely[self._unsafe[likely]][:_MOST], likely[~self._unsafe[likely]][:_MOST])
        found = [_together(self._rows[at], read, keys, positions) for side in sides for at in side]
        return sorted((item for item in found if item), key=lambda item: -item.similarity)

    def _share(self, present: Keys) -> Doubles:
        """For each record, the weight of those of its words that are present."""
        first = np.searchsorted(self._known, present, side="left")
        length = np.searchsorted(self._known, present, side="right") - first
        starts = np.repeat(first - np.concatenate(([0], np.cumsum(length)[:-1])), length)
        entries = np.arange(int(length.sum())) + starts
        weights = self._weights[entries]
        return np.bincount(self._owners[entries], weights, len(self.cases)).astype(np.float64)

    def findings(self, message: Message) -> list[Finding]:
        """What the unsafe records say, less where a safe one is as near."""
        told = []
        for segment in split(message).segments:
            plain = obfuscation.normalise(segment.text)
            for text, hidden in ((plain.text, False), *((text, True) for text in plain.decoded)):
                for near in _loudest(self.found(text)):
                    if segment.voice in _HEARD[near.case.task]:
                        first, last = (segment.line + line - 1 for line in near.lines)
                        told.append(_finding(near, None if hidden else (first, last)))
        return told

    def harmless(self, message: Message, task: Task) -> list[tuple[str, tuple[int, int]]]:
        """Ids of safe records, and the lines of the message that are nothing but they."""
        return [
            (near.case.id, (segment.line + near.lines[0] - 1, segment.line + near.lines[1] - 1))
            for segment in split(message).segments
            for near in self.found(obfuscation.normalise(segment.text).text)
            if near.case.task == task and not near.case.unsafe and near.same
        ]

    def nearest(self, read: Terms, task: Task, k: int) -> Nearest:
        """The nearest of the shipped cases and of these."""
        shipped = knowledge.shipped().nearest(read, task, k)
        if self._base is None:
            return shipped
        own = self._base.nearest(read, task, k)
        both = ((*own.unsafe, *shipped.unsafe), (*own.safe, *shipped.safe))
        unsafe, safe = (sorted(side, key=lambda it: -it.similarity)[:k] for side in both)
        return Nearest(tuple(unsafe), tuple(safe))


_NONE: Keys = np.zeros(0, dtype=np.uint64)
_NOTHING: Doubles = np.zeros(0)


def _keys(read: Terms) -> tuple[Keys, npt.NDArray[np.int64]]:
    """Words and pairs of words, whatever stands between them, and the term where each begins."""
    words = np.flatnonzero(~read.ends)
    bare = replace(read, hashes=read.hashes[words], opens=np.zeros(len(words), dtype=np.bool_))
    joined = terms.prints(bare)[0]
    return joined, np.concatenate((words, words[:-1]))


def _row(case: Case) -> _Row:
    read = terms.read(obfuscation.normalise(case.text).text)
    keys = np.unique(_keys(read)[0])
    return _Row(case, keys, knowledge.shipped().rarity(keys), len(read.words))


def _together(row: _Row, read: Terms, keys: Keys, positions: npt.NDArray[np.int64]) -> Near | None:
    """The stretch of a text that holds most of a record, where that is enough."""
    at = np.searchsorted(row.keys, keys)
    at[at == len(row.keys)] = 0
    hits = np.flatnonzero(row.keys[at] == keys)
    order = hits[np.argsort(positions[hits], kind="stable")]
    where, which = positions[order].tolist(), at[order].tolist()
    share, first, last = _densest(row, where, which)
    if share < NEAR * row.total:
        return None
    last = min(last, len(read.words) - 1)
    lines = read.line(first), read.line(last)
    return Near(
        row.case, round(share / row.total, 3), lines, (first, last + 1), _are(row, read, lines)
    )


def _densest(row: _Row, where: list[int], which: list[int]) -> tuple[float, int, int]:
    """Weight of the best window, each word counted once, and its first and last term."""
    size, weights = int(row.length * _WIDER) + 2, row.weights.tolist()
    counts: dict[int, int] = {}
    inside, start = 0.0, 0
    best = (0.0, 0, 0)
    for end, key in enumerate(which):
        if not counts.get(key):
            inside += weights[key]
        counts[key] = counts.get(key, 0) + 1
        while where[end] - where[start] >= size or counts[which[start]] > 1:
            gone = which[start]
            counts[gone] -= 1
            inside -= weights[gone] if not counts[gone] else 0.0
            start += 1
        if inside > best[0] + 1e-9:
            best = (inside, where[start], where[end] + 1)
    return best


def _are(row: _Row, read: Terms, lines: tuple[int, int]) -> bool:
    """Are these lines the record, and hardly anything else?"""
    within = "\n".join(read.text.split("\n")[lines[0] - 1 : lines[1]])
    keys = np.unique(_keys(terms.read(within))[0])
    weights = knowledge.shipped().rarity(keys)
    own = np.isin(keys, row.keys)
    if int((~own).sum()) > _FOREIGN:
        return False
    common = float(weights[own].sum())
    return common >= SAME * float(weights.sum()) and common >= SAME * row.total


def _loudest(found: Sequence[Near]) -> list[Near]:
    """The nearest unsafe record of each task that no safe record is nearer than in its place."""
    kept = []
    for task in knowledge.TASKS:
        own = [near for near in found if near.case.task == task]
        safe = [near for near in own if not near.case.unsafe]
        for near in own:
            if near.case.unsafe and not any(_outdoes(other, near) for other in safe):
                kept.append(near)
                break
    return kept


def _outdoes(safe: Near, near: Near) -> bool:
    """Does a safe record stand in the words of an unsafe one, and is it as near?"""
    first, last = max(safe.words[0], near.words[0]), min(safe.words[1], near.words[1])
    most = near.words[1] - near.words[0]
    return safe.similarity >= near.similarity and last - first >= _OVER * most


def _finding(near: Near, span: tuple[int, int] | None) -> Finding:
    principle = constitution.shipped().principle(near.case.principle)
    return Finding(
        detector=NAME,
        rule=principle.id,
        category=Category(near.case.task),
        score=round(min(0.6 + 2 * (near.similarity - NEAR), 0.95), 3),
        reason=principle.reason,
        span=span,
        advice=f"It is safe when {principle.safe}.",
        evidence=Evidence(cases=(near.case.id,), principle=principle.id),
    )


def in_force(store: RecordStore) -> Records | None:
    """The records in force; None where there are none. Those that were changed after their approval
    are told of in the log. Raises `StoreError`."""
    records = store.records()
    for record in of_state(records, "altered"):
        log.error("Record %s was changed after its approval: not in force.", record.case.id)
    cases = [record.case for record in of_state(records, "enforced")]
    return Records(cases) if cases else None


class RecordSource(Protocol):
    """Where the records in force come from."""

    @property
    def unseen(self) -> bool:
        """Could they never be read, so that nobody knows which there are?"""
        ...

    def current(self) -> Records | None:
        """What is in force now; None where that is nothing. Does not wait."""
        ...


class RecordFile:
    """The records in force in one file, which may be written while BlueCode serves."""

    unseen = False

    def __init__(
        self, path: Path, *, pause: float = PAUSE, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Reads the file where there is one. Raises `StoreError` where it cannot be used."""
        self._path = path
        self._pause = pause
        self._clock = clock
        self._looked = clock()
        self._told = False
        self._records: Records | None = None
        self._seen = self._written()
        self._records = self._read(self._seen)

    def current(self) -> Records | None:
        """What is in force now; None where that is nothing. The file is looked at now and then."""
        now = self._clock()
        if now - self._looked >= self._pause:
            self._looked = now
            self._look()
        return self._records

    def _look(self) -> None:
        """Read a file that was written; one that cannot be read is tried again at the next look."""
        try:
            written = self._written()
            if written != self._seen:
                self._records = self._read(written)
                self._seen = written
            self._told = False
        except StoreError as error:
            if not self._told:
                log.error("The records are as they were: %s", error)
            self._told = True

    def _read(self, written: tuple[int, int] | None) -> Records | None:
        if written is None:
            if self._records is not None:
                raise StoreError("their file is gone.")
            return None
        return in_force(RecordStore.at(self._path, wait=_WAIT))

    def _written(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            told = error.strerror or type(error).__name__
            raise StoreError(f"`{self._path}` cannot be looked at: {told}.") from error
        return found.st_mtime_ns, found.st_size
