"""The audit in a database that replicas share: PostgreSQL, or SQLite by the same code.

Lines are written beside the requests, several at a time. While the database cannot be reached they
wait, so many and no more; what does not fit, or is left at the end, is lost and counted. A line
whose writing broke off is written again and stands there once.
"""

import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from bluecode.proxy.beside import beside
from bluecode.proxy.database import BROKEN, engine_of, kind_of, migrate

log = logging.getLogger("bluecode.audit")

WAITING: Final = 20_000
"""Lines that wait at most."""
_AT_ONCE: Final = 500
_PAUSE: Final = 0.1
_AGAIN: Final = 2.0
"""Seconds until it is tried again."""
_END: Final = 5.0
"""Seconds for what is left at the end."""
_OLD: Final = 3_600.0
"""Seconds between two removals of what is too old."""
_ROWS: Final = 1_000
TABLE: Final = sa.Table(
    "bluecode_audit",
    sa.MetaData(),
    sa.Column("request_id", sa.String(40), primary_key=True),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("key_name", sa.String(64), index=True),
    sa.Column("route", sa.String(200), nullable=False),
    sa.Column("client", sa.String(64), nullable=False),
    sa.Column("decision", sa.String(20), nullable=False, index=True),
    sa.Column("scope", sa.String(40), nullable=False),
    sa.Column("policy", sa.String(20), nullable=False),
    sa.Column("line", sa.Text, nullable=False),
)

Line = Mapping[str, Any]


def lines(url: str) -> Iterator[bytes]:
    """Every line, oldest first. Raises `OSError` where the database cannot be read."""
    asked = sa.select(TABLE.c.line).order_by(TABLE.c.at, TABLE.c.request_id)
    engine = engine_of(url)
    try:
        with engine.connect() as connection:
            rows = connection.execution_options(yield_per=_ROWS).execute(asked)
            for (line,) in rows:
                yield line.encode()
    except BROKEN as error:
        raise OSError(0, kind_of(error), "the database") from error
    finally:
        engine.dispose()


class AuditDatabase:
    """See `AuditDatabase.open`."""

    def __init__(self, engine: sa.Engine, days: int, lost: Callable[[], None]) -> None:
        self._engine = engine
        self._days = days
        self._lost = lost
        self._waiting: deque[Line] = deque()
        self._migrated = False
        self._down = False
        self._told_full = False
        self._removed = -_OLD

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, days: int, lost: Callable[[], None]
    ) -> AsyncIterator["AuditDatabase"]:
        """Write there from now on, or from when it can be reached. Lines older than `days` are
        removed; none where that is 0."""
        engine = engine_of(url)
        audit = cls(engine, days, lost)
        try:
            async with beside(audit.run):
                yield audit
        finally:
            with anyio.CancelScope(shield=True):
                await audit.end()

    @property
    def up(self) -> bool:
        """Could it be written to when that was last tried?"""
        return not self._down

    def add(self, line: Line) -> None:
        """Take a line; never waits."""
        if len(self._waiting) < WAITING:
            self._waiting.append(line)
            return
        self._lost()
        if not self._told_full:
            log.error("More lines of the audit wait than can; those that follow are lost.")
        self._told_full = True

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            went_well = await self._tried()
            await anyio.sleep(_PAUSE if went_well else _AGAIN)

    async def end(self) -> None:
        """Write what is left; what cannot be written soon is lost."""
        with anyio.move_on_after(_END):
            while self._waiting and await self._tried():
                pass
        for _ in self._waiting:
            self._lost()
        with anyio.move_on_after(_END):
            await anyio.to_thread.run_sync(self._engine.dispose, abandon_on_cancel=True)

    async def _tried(self) -> bool:
        """Write what waits; did that go well?"""
        some = [self._waiting[at] for at in range(min(_AT_ONCE, len(self._waiting)))]
        try:
            # A thread is never left behind with lines that are then written twice by another.
            await anyio.to_thread.run_sync(self._write, some)
        except BROKEN as error:
            self._tell_down(error)
            return False
        for _ in some:
            self._waiting.popleft()
        self._told_full = False
        if self._down:
            log.warning("The database of the audit is back.")
        self._down = False
        return True

    def _tell_down(self, error: Exception) -> None:
        if not self._down:
            log.error("The audit's database cannot be written (%s); lines wait.", kind_of(error))
        self._down = True

    def _write(self, some: list[Line]) -> None:
        if not self._migrated:
            migrate(self._engine)
            self._migrated = True
        self._remove_old()
        if some:
            with self._engine.begin() as connection:
                connection.execute(_insert(self._engine), [_row(line) for line in some])

    def _remove_old(self) -> None:
        now = time.monotonic()
        if not self._days or now - self._removed < _OLD:
            return
        since = datetime.now(UTC) - timedelta(days=self._days)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(TABLE).where(TABLE.c.at < since))
        self._removed = now


def _insert(engine: sa.Engine) -> Any:
    """What is there already stays as it is."""
    dialect = postgresql if engine.dialect.name == "postgresql" else sqlite
    return dialect.insert(TABLE).on_conflict_do_nothing(index_elements=["request_id"])


def _row(line: Line) -> dict[str, Any]:
    return {
        "request_id": line["request_id"],
        "at": datetime.fromisoformat(line["time"]),
        "key_name": line["key"],
        "route": line["route"][:200],
        "client": line["client"],
        "decision": line["decision"],
        "scope": line["scope"],
        "policy": line["policy"],
        "line": json.dumps(line, separators=(",", ":")),
    }
