"""The user's own records in a database that replicas share, as they were last read there.

Nobody waits for the database: it is looked at beside the requests. While it is away what was in
force stays in force; where it was never reached nobody knows what is, and verdicts say so.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import anyio
import anyio.to_thread

from bluecode.defenses.record_store import RecordStore, StoreError
from bluecode.defenses.records import Records, in_force
from bluecode.proxy.beside import beside
from bluecode.proxy.database import Database

log = logging.getLogger("bluecode.records")

PAUSE: Final = 2.0
"""Seconds between two looks."""


class SharedRecords:
    """See `SharedRecords.open`."""

    def __init__(self, store: RecordStore, pause: float) -> None:
        self._store = store
        self._pause = pause
        self._records: Records | None = None
        self._revision = -1
        """That of what was read; none yet where it is negative."""
        self._lost = False
        self.up = False
        """Was the database reached at the last look?"""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, *, seal: bytes | None, pause: float = PAUSE
    ) -> AsyncIterator["SharedRecords"]:
        """Look there now, and every few seconds from now on."""
        database = Database(url)
        records = cls(RecordStore(database, seal=seal), pause)
        try:
            await records.look()
            async with beside(records.run):
                yield records
        finally:
            database.close()

    @property
    def unseen(self) -> bool:
        return self._revision < 0

    def current(self) -> Records | None:
        return self._records

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await anyio.sleep(self._pause)
            await self.look()

    async def look(self) -> None:
        """Take up what was decided since; what cannot be read leaves all as it was."""
        try:
            await anyio.to_thread.run_sync(self._read)
        except StoreError as error:
            if not self._lost:
                log.error("The records are as they were: %s", error)
            self._lost, self.up = True, False
            return
        if self._lost:
            log.warning("The database of the records is back.")
        self._lost, self.up = False, True

    def _read(self) -> None:
        revision = self._store.revision
        if revision != self._revision:
            self._records = in_force(self._store)
            self._revision = revision
