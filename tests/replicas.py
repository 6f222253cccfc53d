"""BlueCode as processes, as many as a test wants, and a balancer in front of them."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import aiohttp
import anyio
from anyio.abc import ByteReceiveStream, ByteSendStream, SocketStream

from bluecode.defenses.checkers import CHECKERS
from bluecode.defenses.detectors import DETECTORS

NOBODY_LOOKS = f"disabled = {json.dumps(['dynamic', *DETECTORS, *CHECKERS])}\n"
"""A policy for tests that are about processes and start many of them."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


class Replica:
    """One process. It needs no sandbox where its policy disables `dynamic`."""

    def __init__(self, folder: Path, upstream: str, **settings: str) -> None:
        self.port = free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{self.port}.log"
        given = {"listen": f"127.0.0.1:{self.port}", "upstream": upstream, "audit": "none"}
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("BLUECODE_")}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "bluecode.proxy", "serve"],
                env=inherited | {f"BLUECODE_{k.upper()}": v for k, v in (given | settings).items()},
                stderr=log,
            )

    async def ready(self, root: str | None = None) -> None:
        """Wait until it says that it is. Raises `TimeoutError`, or `AssertionError` if it ended."""
        with anyio.fail_after(90):
            while True:
                assert self.process.poll() is None, self.log.read_text("utf-8")
                try:
                    if (await fetched(f"{root or self.root}/readyz"))[0] == 200:
                        return
                except aiohttp.ClientError:
                    pass
                await anyio.sleep(0.05)

    def signal(self, which: signal.Signals) -> None:
        self.process.send_signal(which)

    async def ended(self) -> int:
        """Wait for its end; the exit status."""
        with anyio.fail_after(30):
            while self.process.poll() is None:
                await anyio.sleep(0.02)
        return self.process.returncode


@contextmanager
def replica(folder: Path, upstream: str, **settings: str) -> Iterator[Replica]:
    """A replica that ends with the block at the latest."""
    one = Replica(folder, upstream, **settings)
    try:
        yield one
    finally:
        one.process.kill()
        one.process.wait()


async def fetched(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


class Balancer:
    """Hands each connection to the next backend; a refused one goes to another."""

    def __init__(self) -> None:
        self.backends: list[int] = []
        self._next = 0

    async def serve(self, client: SocketStream) -> None:
        async with client:
            self._next += 1
            first = self._next % len(self.backends)
            for port in (*self.backends[first:], *self.backends[:first]):
                try:
                    backend = await anyio.connect_tcp("127.0.0.1", port)
                except OSError:
                    continue
                async with backend, anyio.create_task_group() as tasks:
                    tasks.start_soon(_pump, client, backend)
                    await _pump(backend, client)
                    tasks.cancel_scope.cancel()
                return


async def _pump(source: ByteReceiveStream, target: ByteSendStream) -> None:
    try:
        async for data in source:
            await target.send(data)
    except (anyio.ClosedResourceError, anyio.BrokenResourceError):
        return


@asynccontextmanager
async def balanced() -> AsyncIterator[tuple[Balancer, str]]:
    """A balancer on a free port, with no backend yet; its root URL."""
    balancer = Balancer()
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, balancer.serve)
            try:
                yield balancer, f"http://127.0.0.1:{port}"
            finally:
                tasks.cancel_scope.cancel()
