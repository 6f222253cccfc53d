"""A user's own records, in one SQLite file: proposed by anyone, in force once a person approves.

Texts are never changed: what is edited becomes a new version. What is in force follows from a log
of decisions that is only ever added to, so that every state can be had again. A decision holds the
digest of what was approved: a text that was changed behind the log's back is not in force.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from bluecode.defenses import constitution, terms
from bluecode.defenses.knowledge import TASKS, Case

State = Literal["proposed", "enforced", "earlier", "withdrawn", "altered"]
STATES: Final[tuple[State, ...]] = ("proposed", "enforced", "earlier", "withdrawn", "altered")
"""`earlier`: another version of the record is in force; `altered`: approved, but its text is no
longer the one that was."""
LONGEST: Final = 4_000
"""Characters of a record's text."""
FEWEST: Final = 4
"""Different words of a record's text: fewer would be found everywhere."""

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{2,79}")
_NAME = re.compile(r"[\w][\w .@+-]{0,79}")
_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    id TEXT NOT NULL, version INTEGER NOT NULL, fields TEXT NOT NULL,
    by TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (id, version)
);
CREATE TABLE IF NOT EXISTS decisions (
    revision INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, version INTEGER NOT NULL,
    approved INTEGER NOT NULL, digest TEXT NOT NULL, by TEXT NOT NULL, at TEXT NOT NULL
);
"""
_LATEST = """
SELECT d.id, d.version, d.approved, d.digest, d.by, d.at, d.revision FROM decisions d
JOIN (SELECT id, MAX(revision) AS last FROM decisions WHERE revision <= ? GROUP BY id) l
ON d.revision = l.last
"""
_ALL = 2**62


class StoreError(Exception):
    """A store, a record or a decision that cannot be used; the message says what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One version of one record."""

    case: Case
    version: int
    state: State
    by: str
    """Who proposed it."""
    at: str
    approved_by: str = ""
    approved_at: str = ""


@dataclass(frozen=True, slots=True)
class _Decided:
    """The last decision on a record."""

    version: int
    approved: bool
    digest: str
    by: str
    at: str


class RecordStore:
    """See the module. Every method is one transaction and raises `StoreError`."""

    def __init__(self, path: Path, *, create: bool = False, wait: float = 5.0) -> None:
        """Open a file, or begin one; `wait` is how many seconds others may take to write.

        Raises `StoreError` where there is none or it is no store."""
        self._path = path
        self._wait = wait
        if not create and not path.exists():
            raise StoreError(f"There is no store at `{path}`; `bluecode knowledge add` begins one.")
        try:
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            with self._connected() as base:
                if create:
                    base.executescript(_SCHEMA)
                base.execute("SELECT id, version, fields, by, at FROM records LIMIT 1")
                base.execute("SELECT revision, approved, digest FROM decisions LIMIT 1")
        except OSError as error:
            raise StoreError(f"`{path}` cannot be written: {error.strerror or error}.") from error

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        base = None
        try:
            base = sqlite3.connect(self._path, timeout=self._wait)
            with base:
                yield base
        except sqlite3.Error as error:
            raise StoreError(f"`{self._path}` cannot be used as a store: {error}.") from error
        finally:
            if base is not None:
                base.close()

    def propose(self, case: Case, by: str) -> Record:
        """Write down a record, or a new version of one. It is not in force by that."""
        check(case)
        _person(by)
        fields = _fields(case)
        with self._connected() as base:
            last = base.execute(
                "SELECT version, fields FROM records WHERE id = ? ORDER BY version DESC LIMIT 1",
                (case.id,),
            ).fetchone()
            if last is not None and last[1] == fields:
                raise StoreError(f"`{case.id}` is there already, word for word.")
            version, at = (1 if last is None else last[0] + 1), _now()
            base.execute(
                "INSERT INTO records VALUES (?, ?, ?, ?, ?)", (case.id, version, fields, by, at)
            )
        return Record(case=case, version=version, state="proposed", by=by, at=at)

    def approve(self, name: str, by: str, version: int | None = None) -> int:
        """Put a version, the last where none is named, in force; the revision that this makes."""
        _person(by)
        with self._connected() as base:
            wanted = "ORDER BY version DESC LIMIT 1" if version is None else "AND version = ?"
            row = base.execute(
                f"SELECT version, fields FROM records WHERE id = ? {wanted}",
                (name,) if version is None else (name, version),
            ).fetchone()
            if row is None:
                told = f"`{name}`" if version is None else f"`{name}` in version {version}"
                raise StoreError(f"There is no record {told}.")
            check(_case(name, row[1]))
            return _decide(base, name, row[0], True, _digest(row[1]), by)

    def withdraw(self, name: str, by: str) -> int:
        """Take a record out of force; the revision that this makes."""
        _person(by)
        with self._connected() as base:
            before = _latest(base, _ALL).get(name)
            if before is None or not before.approved:
                raise StoreError(f"`{name}` is not in force.")
            return _decide(base, name, before.version, False, before.digest, by)

    def rollback(self, revision: int, by: str) -> list[str]:
        """Have in force again what was after a revision; the ids for which that changes something.

        The log is not cut: going back is a decision, too, and can itself be taken back."""
        _person(by)
        with self._connected() as base:
            now = _latest(base, _ALL)
            if not 0 <= revision < _last(base):
                raise StoreError(f"{revision} is no earlier revision; the last is {_last(base)}.")
            then = _latest(base, revision)
            changed = []
            for name, current in now.items():
                wanted = then.get(name)
                target = wanted if wanted is not None and wanted.approved else None
                if target is None and current.approved:
                    _decide(base, name, current.version, False, current.digest, by)
                elif target is not None and (current.version, current.approved) != (
                    target.version,
                    True,
                ):
                    _decide(base, name, target.version, True, target.digest, by)
                else:
                    continue
                changed.append(name)
        return changed

    @property
    def revision(self) -> int:
        """How many decisions were made."""
        with self._connected() as base:
            return _last(base)

    def records(self) -> list[Record]:
        """Every version of every record, in the order of their ids."""
        with self._connected() as base:
            latest = _latest(base, _ALL)
            rows = base.execute("SELECT id, version, fields, by, at FROM records ORDER BY 1, 2")
            return [_record(row, latest.get(row[0])) for row in rows]

    def decisions(self, name: str) -> list[tuple[int, int, bool, str, str]]:
        """The log of one record: revision, version, whether approved, by whom, when."""
        with self._connected() as base:
            rows = base.execute(
                "SELECT revision, version, approved, by, at FROM decisions WHERE id = ?"
                " ORDER BY revision",
                (name,),
            )
            return [(row[0], row[1], bool(row[2]), row[3], row[4]) for row in rows]

    def enforced(self) -> list[Case]:
        """What is in force: the approved version of each record, as it was approved."""
        return [record.case for record in self.records() if record.state == "enforced"]


def _decide(
    base: sqlite3.Connection, name: str, version: int, approved: bool, digest: str, by: str
) -> int:
    made = base.execute(
        "INSERT INTO decisions (id, version, approved, digest, by, at) VALUES (?, ?, ?, ?, ?, ?)",
        (name, version, approved, digest, by, _now()),
    )
    return int(made.lastrowid or 0)


def _latest(base: sqlite3.Connection, revision: int) -> dict[str, _Decided]:
    rows = base.execute(_LATEST, (revision,))
    return {row[0]: _Decided(row[1], bool(row[2]), row[3], row[4], row[5]) for row in rows}


def _last(base: sqlite3.Connection) -> int:
    return int(base.execute("SELECT COALESCE(MAX(revision), 0) FROM decisions").fetchone()[0])


def _record(row: tuple[str, int, str, str, str], decided: _Decided | None) -> Record:
    name, version, fields, by, at = row
    case = _case(name, fields)
    if decided is None or version > decided.version:
        return Record(case=case, version=version, state="proposed", by=by, at=at)
    state: State = "earlier"
    if version == decided.version:
        whole = _digest(fields) == decided.digest
        state = "withdrawn" if not decided.approved else "enforced" if whole else "altered"
    return Record(
        case=case,
        version=version,
        state=state,
        by=by,
        at=at,
        approved_by=decided.by if state in ("enforced", "altered") else "",
        approved_at=decided.at if state in ("enforced", "altered") else "",
    )


def check(case: Case) -> None:
    """Raises `StoreError` for a record that cannot be used, with what would do."""
    if not _ID.fullmatch(case.id):
        raise StoreError("An id has 3-80 lower-case letters, digits or . _ -, a letter first.")
    if case.task not in TASKS:
        raise StoreError(f"`{case.task}` is no task; known are {', '.join(TASKS)}.")
    known = [principle.id for principle in constitution.shipped().of(case.task)]
    if case.principle not in known:
        raise StoreError(f"`{case.principle}` is no principle; known are {', '.join(known)}.")
    if len(case.text) > LONGEST:
        raise StoreError(f"The text has {len(case.text)} characters; at most {LONGEST} can be.")
    if len(set(word for word in terms.read(case.text).stems if word.isalnum())) < FEWEST:
        raise StoreError(f"The text needs {FEWEST} different words; fewer are found everywhere.")


def _person(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise StoreError("Say who decides: a name of 1-80 letters, digits, blanks or . _ @ + -.")


def _fields(case: Case) -> str:
    fields = {key: value for key, value in asdict(case).items() if key != "id"}
    return json.dumps(fields, sort_keys=True, ensure_ascii=True)


def _case(name: str, fields: str) -> Case:
    try:
        given: dict[str, Any] = json.loads(fields)
        return Case(id=name, **given)
    except (ValueError, TypeError) as error:
        raise StoreError(f"Record `{name}` of the store cannot be read.") from error


def _digest(fields: str) -> str:
    return hashlib.sha256(fields.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def named(task: str, text: str) -> str:
    """An id for a text that has none."""
    return f"own-{task}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def of_state(records: Sequence[Record], state: State) -> list[Record]:
    return [record for record in records if record.state == state]
