"""Where rows of the user's own are kept: one SQLite file here, a database that replicas share in
`proxy`, both by the same statements of SQL.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

Row = tuple[Any, ...]


class TablesError(Exception):
    """What holds the rows cannot be used; the message says why, and quotes none of them."""


class Rows(Protocol):
    """The rows within one transaction."""

    def execute(self, statement: str, **values: Any) -> list[Row]:
        """Run one statement, with `:name` where a value is meant; the rows that it gives."""
        ...


class Tables(Protocol):
    """A place for rows. Every method raises `TablesError`."""

    @property
    def place(self) -> str:
        """What people are told of where it is: no address, which may hold a password."""
        ...

    @property
    def prefix(self) -> str:
        """What the name of each table begins with."""
        ...

    def prepare(self, schema: str) -> None:
        """Make the tables of a schema where they are missing, unless that is done elsewhere."""
        ...

    def begin(self, *, writing: bool = False) -> AbstractContextManager[Rows]:
        """One transaction, undone where its block raises. Those that write come one by one."""
        ...


class SqliteFile:
    """One file for one user; `wait` is how many seconds others may take to write."""

    prefix = ""

    def __init__(self, path: Path, *, wait: float = 5.0) -> None:
        self.path = path
        self.place = f"`{path}`"
        self._wait = wait

    def prepare(self, schema: str) -> None:
        """Begin the file where there is none."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            told = error.strerror or type(error).__name__
            raise TablesError(f"{self.place} cannot be written: {told}.") from error
        with self._connected() as base:
            base.executescript(schema)

    @contextmanager
    def begin(self, *, writing: bool = False) -> Iterator[Rows]:
        with self._connected() as base:
            base.execute("BEGIN IMMEDIATE" if writing else "BEGIN")
            yield _SqliteRows(base)

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        base = None
        try:
            base = sqlite3.connect(self.path, timeout=self._wait)
            with base:
                yield base
        except sqlite3.Error as error:
            raise TablesError(f"{self.place} cannot be used as a store: {error}.") from error
        finally:
            if base is not None:
                base.close()


class _SqliteRows:
    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base

    def execute(self, statement: str, **values: Any) -> list[Row]:
        return self._base.execute(statement, values).fetchall()
