"""Where Redis is, and one of its own for a test. `REDIS` names the folder that holds `redis-server`
as Debian's packages lay it out; without it, it is looked for on the path."""

import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from replicas import free_port

FOLDER = os.environ.get("REDIS")
SERVER = shutil.which("redis-server", path=f"{FOLDER}/usr/bin" if FOLDER else None)

needs_redis = pytest.mark.skipif(SERVER is None, reason="Redis is not here; see CONTRIBUTING.md")


class Store:
    """A Redis that a test stops, starts and kills as it likes."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        self._spawn()
        with anyio.fail_after(30):
            while not await self._answers():
                await anyio.sleep(0.02)

    def _spawn(self) -> None:
        assert SERVER is not None
        libraries = ":".join(str(path) for path in Path(FOLDER or "/").glob("usr/lib/*-linux-gnu"))
        command = [SERVER, "--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "LD_LIBRARY_PATH": libraries} if FOLDER else None,
        )

    async def _answers(self) -> bool:
        try:
            async with await anyio.connect_tcp("127.0.0.1", self.port) as stream:
                await stream.send(b"PING\r\n")
                return await stream.receive(7) == b"+PONG\r\n"
        except OSError:
            return False

    def kill(self) -> None:
        """At once, as a machine dies."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def halt(self, *, on: bool) -> None:
        """Stop it where it stands: connections stay, nothing is answered."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if on else signal.SIGCONT)


@asynccontextmanager
async def store() -> AsyncIterator[Store]:
    """A store that runs, and ends with the block at the latest."""
    one = Store()
    await one.start()
    try:
        yield one
    finally:
        one.kill()
