"""The user's own records: proposed by anyone, in force once a person approves.

Texts are never changed: what is edited becomes a new version. What is in force follows from a log
of decisions that is only ever added to, so that every state can be had again. A decision holds the
digest of what was approved: a text that was changed behind the log's back is not in force. They lie
in one SQLite file, or in a database that replicas share.
"""

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from bluecode.defenses import constitution, terms
from bluecode.defenses.knowledge import TASKS, Case
from bluecode.defenses.tables import Row, Rows, SqliteFile, Tables, TablesError

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
    """See the module. Every method is one transaction and raises `StoreError`.

    With a `seal` no decision counts that was not made with it: whoever can write to the tables, but
    does not have it, can put nothing in force that was not in force once.
    """

    def __init__(self, tables: Tables, *, seal: bytes | None = None) -> None:
        self._tables = tables
        self._seal = seal
        self._records = f"{tables.prefix}records"
        self._decisions = f"{tables.prefix}decisions"

    @classmethod
    def at(cls, path: Path, *, create: bool = False, wait: float = 5.0) -> "RecordStore":
        """Open a file, or begin one; `wait` is how many seconds others may take to write.

        Raises `StoreError` where there is none or it is no store."""
        if not create and not path.exists():
            raise StoreError(f"There is no store at `{path}`; `bluecode knowledge add` begins one.")
        file = SqliteFile(path, wait=wait)
        store = cls(file)
        with _as_store_error():
            if create:
                file.prepare(_SCHEMA)
            with file.begin() as rows:
                rows.execute("SELECT id, version, fields, by, at FROM records LIMIT 1")
                rows.execute("SELECT revision, approved, digest FROM decisions LIMIT 1")
        return store

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self._tables.place

    @contextmanager
    def _begin(self, *, writing: bool = False) -> Iterator[Rows]:
        with _as_store_error(), self._tables.begin(writing=writing) as rows:
            yield rows

    def propose(self, case: Case, by: str) -> Record:
        """Write down a record, or a new version of one. It is not in force by that."""
        check(case)
        _person(by)
        fields = _fields(case)
        with self._begin(writing=True) as rows:
            last = rows.execute(
                f"SELECT version, fields FROM {self._records} WHERE id = :id"
                " ORDER BY version DESC LIMIT 1",
                id=case.id,
            )
            if last and last[0][1] == fields:
                raise StoreError(f"`{case.id}` is there already, word for word.")
            version, at = (last[0][0] + 1 if last else 1), _now()
            rows.execute(
                f"INSERT INTO {self._records} VALUES (:id, :version, :fields, :by, :at)",
                **{"id": case.id, "version": version, "fields": fields, "by": by, "at": at},
            )
        return Record(case=case, version=version, state="proposed", by=by, at=at)

    def approve(self, name: str, by: str, version: int | None = None) -> int:
        """Put a version, the last where none is named, in force; the revision that this makes."""
        _person(by)
        with self._begin(writing=True) as rows:
            found = rows.execute(
                f"SELECT version, fields FROM {self._records} WHERE id = :id ORDER BY version DESC",
                id=name,
            )
            wanted = [row for row in found if version in (None, row[0])]
            if not wanted:
                told = f"`{name}`" if version is None else f"`{name}` in version {version}"
                raise StoreError(f"There is no record {told}.")
            number, fields = wanted[0]
            check(_case(name, fields))
            return self._decide(rows, name, number, True, self._digest(name, number, fields), by)

    def withdraw(self, name: str, by: str) -> int:
        """Take a record out of force; the revision that this makes."""
        _person(by)
        with self._begin(writing=True) as rows:
            before = self._latest(rows, _ALL).get(name)
            if before is None or not before.approved:
                raise StoreError(f"`{name}` is not in force.")
            return self._decide(rows, name, before.version, False, before.digest, by)

    def rollback(self, revision: int, by: str) -> list[str]:
        """Have in force again what was after a revision; the ids for which that changes something.

        The log is not cut: going back is a decision, too, and can itself be taken back."""
        _person(by)
        with self._begin(writing=True) as rows:
            now, last = self._latest(rows, _ALL), self._last(rows)
            if not 0 <= revision < last:
                raise StoreError(f"{revision} is no earlier revision; the last is {last}.")
            then = self._latest(rows, revision)
            changed = []
            for name, current in now.items():
                wanted = then.get(name)
                target = wanted if wanted is not None and wanted.approved else None
                if target is None and current.approved:
                    self._decide(rows, name, current.version, False, current.digest, by)
                elif target is not None and (current.version, current.approved) != (
                    target.version,
                    True,
                ):
                    self._decide(rows, name, target.version, True, target.digest, by)
                else:
                    continue
                changed.append(name)
        return changed

    @property
    def revision(self) -> int:
        """The number of the last decision."""
        with self._begin() as rows:
            return self._last(rows)

    def records(self) -> list[Record]:
        """Every version of every record, in the order of their ids."""
        with self._begin() as rows:
            latest = self._latest(rows, _ALL)
            found = rows.execute(
                f"SELECT id, version, fields, by, at FROM {self._records} ORDER BY 1, 2"
            )
        return [self._record(row, latest.get(row[0])) for row in found]

    def decisions(self, name: str) -> list[tuple[int, int, bool, str, str]]:
        """The log of one record: revision, version, whether approved, by whom, when."""
        with self._begin() as rows:
            found = rows.execute(
                f"SELECT revision, version, approved, by, at FROM {self._decisions} WHERE id = :id"
                " ORDER BY revision",
                id=name,
            )
        return [(row[0], row[1], bool(row[2]), row[3], row[4]) for row in found]

    def enforced(self) -> list[Case]:
        """What is in force: the approved version of each record, as it was approved."""
        return [record.case for record in self.records() if record.state == "enforced"]

    def _decide(
        self, rows: Rows, name: str, version: int, approved: bool, digest: str, by: str
    ) -> int:
        ((revision,),) = rows.execute(
            f"INSERT INTO {self._decisions} (id, version, approved, digest, by, at)"
            " VALUES (:id, :version, :approved, :digest, :by, :at) RETURNING revision",
            **{"id": name, "version": version, "approved": int(approved), "digest": digest},
            **{"by": by, "at": _now()},
        )
        return int(revision)

    def _latest(self, rows: Rows, revision: int) -> dict[str, _Decided]:
        """The last decision on each record, of those up to a revision."""
        found = rows.execute(
            "SELECT d.id, d.version, d.approved, d.digest, d.by, d.at"
            f" FROM {self._decisions} d JOIN (SELECT id, MAX(revision) AS last"
            f" FROM {self._decisions} WHERE revision <= :revision GROUP BY id) l"
            " ON d.revision = l.last",
            revision=revision,
        )
        return {row[0]: _Decided(row[1], bool(row[2]), row[3], row[4], row[5]) for row in found}

    def _last(self, rows: Rows) -> int:
        ((last,),) = rows.execute(f"SELECT COALESCE(MAX(revision), 0) FROM {self._decisions}")
        return int(last)

    def _record(self, row: Row, decided: _Decided | None) -> Record:
        name, version, fields, by, at = row
        case = _case(name, fields)
        if decided is None or version > decided.version:
            return Record(case=case, version=version, state="proposed", by=by, at=at)
        state: State = "earlier"
        if version == decided.version:
            whole = hmac.compare_digest(self._digest(name, version, fields), decided.digest)
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

    def _digest(self, name: str, version: int, fields: str) -> str:
        if self._seal is None:
            return hashlib.sha256(fields.encode()).hexdigest()
        told = json.dumps(["bluecode: a record", name, version, fields]).encode()
        return hmac.digest(self._seal, told, "sha256").hex()


@contextmanager
def _as_store_error() -> Iterator[None]:
    try:
        yield
    except TablesError as error:
        raise StoreError(str(error)) from error


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


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def named(task: str, text: str) -> str:
    """An id for a text that has none."""
    return f"own-{task}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"


def of_state(records: Sequence[Record], state: State) -> list[Record]:
    return [record for record in records if record.state == state]
