"""The full text of requests and answers, sealed for one who is not here; only where somebody
switched it on.

It is sealed in memory with a public key before a byte of it is written, so whoever takes the disk,
or this process's own files, reads nothing. Writing is done beside the requests: what does not fit
into memory or cannot be written is lost and counted, and stops no request.
"""

import base64
import json
import logging
import os
import secrets
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from bluecode.proxy.beside import beside
from bluecode.proxy.capture_keys import Seal
from bluecode.proxy.taken import Taken

log = logging.getLogger("bluecode.capture")

ENDING: Final = ".sealed"
WAITING: Final = 64 * 1024**2
"""Bytes that wait to be sealed."""
_FILE: Final = 64 * 1024**2
"""Bytes of a file; a new one is begun beyond, and each day."""
_DAY: Final = 86_400
_PAUSE: Final = 0.5
_TIDY: Final = 3_600.0
"""Seconds between two removals of what is too old or too much."""
_END: Final = 5.0
"""Seconds for what is left at the end."""


class Capture:
    """See `Capture.open`."""

    def __init__(self, folder: "Folder", seal: Seal, lost: Callable[[], None]) -> None:
        self._folder = folder
        self._seal = seal
        self._lost = lost
        self._waiting: deque[tuple[Mapping[str, Any], Taken]] = deque()
        self._size = 0
        self._told = False
        self._tidied = -_TIDY

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, key: str, *, days: int, most: int, lost: Callable[[], None]
    ) -> AsyncIterator["Capture"]:
        """Write into a folder from now on. Files older than `days` are removed, and the oldest
        while all take more than `most` bytes."""
        capture = cls(Folder(folder, days=days, most=most), Seal(key), lost)
        try:
            async with beside(capture.run):
                yield capture
        finally:
            with anyio.CancelScope(shield=True):
                await capture.end()

    def add(self, line: Mapping[str, Any], taken: Taken) -> None:
        """Take a request with its line of the audit; never waits."""
        if self._size + taken.kept > WAITING:
            self._lose("more waits than can")
            return
        self._size += taken.kept
        self._waiting.append((line, taken))

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._write_waiting()
            await anyio.sleep(_PAUSE)

    async def end(self) -> None:
        """Write what is left; what cannot be written soon is lost."""
        with anyio.move_on_after(_END):
            await self._write_waiting()
        for _ in self._waiting:
            self._lose("the end came first")
        self._folder.close()

    async def _write_waiting(self) -> None:
        if time.monotonic() - self._tidied >= _TIDY:
            self._tidied = time.monotonic()
            await anyio.to_thread.run_sync(self._tidy)
        while self._waiting:
            line, taken = self._waiting[0]
            try:
                await anyio.to_thread.run_sync(self._write, line, taken)
            except OSError as error:
                self._lose(error.strerror or type(error).__name__)
            else:
                self._told = False
            self._waiting.popleft()
            self._size -= taken.kept

    def _write(self, line: Mapping[str, Any], taken: Taken) -> None:
        sealed = base64.b64encode(self._seal.seal(packed(line, taken))).decode()
        told = {"time": line["time"], "request_id": line["request_id"], "key": self._seal.name}
        self._folder.write(json.dumps({**told, "sealed": sealed}).encode() + b"\n")

    def _tidy(self) -> None:
        try:
            self._folder.tidy()
        except OSError as error:
            told = error.strerror or type(error).__name__
            log.error("Captures that are too old cannot be removed: %s.", told)

    def _lose(self, why: str) -> None:
        self._lost()
        if not self._told:
            log.error("Requests are not captured (%s).", why)
        self._told = True


def packed(line: Mapping[str, Any], taken: Taken) -> bytes:
    """What is sealed: its parts one behind the other, made smaller."""
    reply = b"".join(taken.parts)
    head = {
        "line": line,
        "path": taken.path,
        "status": taken.status,
        "kind": taken.kind,
        "whole": taken.whole,
        "body": len(taken.body),
        "reply": len(reply),
    }
    return zlib.compress(json.dumps(head).encode() + b"\n" + taken.body + reply, 1)


class Folder:
    """Files of sealed lines, which several replicas may write to, each its own."""

    def __init__(self, path: Path, *, days: int, most: int) -> None:
        self._path = path
        self._days = days
        self._most = most
        self._file = -1
        self._size = 0
        self._day = 0

    def write(self, line: bytes) -> None:
        """Raises `OSError`; what was then written in part stands on a line of its own."""
        today = int(time.time() // _DAY)
        if self._is_over(today, len(line)):
            self._begin(today)
        self._size += len(line)
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError:
            self.close()
            raise

    def _is_over(self, today: int, more: int) -> bool:
        """Is there no file that this may be written to? Another replica may have removed it."""
        if self._file < 0 or self._day != today:
            return True
        return self._size + more > min(_FILE, self._most // 8) or not os.fstat(self._file).st_nlink

    def _begin(self, today: int) -> None:
        self.close()
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{datetime.now(UTC):%Y-%m-%dT%H%M%S}-{secrets.token_hex(4)}{ENDING}"
        self._file = os.open(self._path / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._day, self._size = today, 0
        self.tidy()

    def tidy(self) -> None:
        """Remove what is too old, whoever wrote it, and the oldest of what is too much."""
        told = []
        for path in self._path.glob(f"*{ENDING}"):
            try:
                found = path.stat()
            except FileNotFoundError:  # another replica was faster
                continue
            told.append((found.st_mtime, found.st_size, path))
        total = sum(size for _, size, _ in told)
        oldest = time.time() - self._days * _DAY
        for at, size, path in sorted(told):
            if at >= oldest and total <= self._most:
                break
            path.unlink(missing_ok=True)
            total -= size

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
