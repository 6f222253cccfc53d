"""The sandbox as the service uses it: never more than N worker processes, work handed to the first
that is free, and a lost one replaced.

A run holds one worker; requests wait in order of their coming, as many and as long as allowed. Only
the request that a worker was running suffers from its end. Not promised: fairness between clients.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import ByteReceiveStream, TaskGroup

from bluecode.sandbox.cache import Cache, default_folder
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.languages.language import Language, Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome, Recording, SandboxUnavailable
from bluecode.sandbox.process import WorkerLost, WorkerProcess

Report = Callable[[str], None]

GONE = (anyio.ClosedResourceError, anyio.EndOfStream)
MOST_WORKERS = 2
PROGRAM_BYTES = 1024**2
BUILD_SECONDS = 300.0
COMPLAINT = 2_000  # characters of a builder's error message that are worth keeping
SETTLE_SECONDS = 0.02
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0


@dataclass(slots=True)
class Counters:
    """What happened so far, for metrics."""

    outcomes: Counter[str] = field(default_factory=Counter)
    """Runs by how they ended."""
    unavailable: int = 0
    """Requests that got `SandboxUnavailable`."""
    cancelled: int = 0
    replaced: int = 0
    """Workers that were lost and replaced."""


class Sandbox:
    """A pool of workers. Made by `Sandbox.open`; the first start takes seconds, see `warm`."""

    def __init__(self, tasks: TaskGroup, size: int, queue: int, wait: float) -> None:
        self.size = size
        self._tasks = tasks
        self.counters = Counters()
        self._queue = queue
        self._wait = wait
        self._waiting = 0
        self._closed = False
        self._guests: dict[str, Path] = {}
        self._workers: set[WorkerProcess] = set()
        self._give, self._take = anyio.create_memory_object_stream[WorkerProcess](size)
        self._warm = anyio.Event()
        self._failure: SandboxUnavailable | None = None  # why the last worker did not come

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        *,
        cache: Path | None = None,
        workers: int | None = None,
        harness: Path | None = None,
        queue: int = 256,
        wait: float = 5.0,
        report: Report = lambda step: None,
    ) -> AsyncIterator[Sandbox]:
        """A sandbox that gets ready in the background and whose processes end with the block.

        `queue` requests may wait, each `wait` seconds; `report` hears the steps of a first start.
        `harness` stands in for the languages' own, for tests of the sandbox itself."""
        size = workers or min(os.cpu_count() or 1, MOST_WORKERS)
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            sandbox = cls(tasks, size, queue, wait)
            tasks.start_soon(sandbox._start, cache, harness, report)
            try:
                yield sandbox
            except Exception as error:  # the block's own, raised below: the group would wrap it
                failure = error
            finally:
                tasks.cancel_scope.cancel()
                await sandbox._stop()
        if failure is not None:
            raise failure

    @property
    def ready(self) -> bool:
        """True while at least one worker lives."""
        return bool(self._workers)

    @property
    def waiting(self) -> int:
        """Requests that have no worker yet."""
        return self._waiting

    async def warm(self) -> None:
        """Wait for the first worker. Raises `SandboxUnavailable` if it did not come; it may come
        later, if the reason goes away."""
        await self._warm.wait()
        if self._failure is not None and not self.ready:
            raise self._failure

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        """Run a program and say what came of it.

        Raises `SandboxUnavailable` if no worker is free in time, or the one that ran it was lost.
        """
        try:
            recording = await self._recorded(program, limits or Limits())
        except SandboxUnavailable:
            self.counters.unavailable += 1
            raise
        except anyio.get_cancelled_exc_class():
            self.counters.cancelled += 1
            raise
        self.counters.outcomes[recording.ended] += 1
        return recording.outcome()

    async def _recorded(self, program: Program, limits: Limits) -> Recording:
        if len(program.job) > PROGRAM_BYTES:
            raise SandboxUnavailable(
                f"the program has {len(program.job)} bytes, more than {PROGRAM_BYTES}"
            )
        try:
            return await self._tried(program, limits)
        except WorkerLost as lost:
            # Killed from outside, say for memory: nothing speaks against the program. Once only,
            # since a program that kills its worker would kill the next one, too.
            if not lost.died:
                raise SandboxUnavailable(f"the worker was lost: {lost}") from lost
        try:
            return await self._tried(program, limits)
        except WorkerLost as lost:
            raise SandboxUnavailable(f"the worker was lost twice: {lost}") from lost

    async def _tried(self, program: Program, limits: Limits) -> Recording:
        worker = await self._worker()
        try:
            recording = await worker.run(program, limits)
        except WorkerLost:
            self._care(self._replace, worker)
            raise
        except SandboxUnavailable:
            self._free(worker)
            raise
        except BaseException:  # cancelled: the guest still runs
            self._care(self._settle, worker)
            raise
        self._free(worker)
        return recording

    def _free(self, worker: WorkerProcess) -> None:
        if not self._closed:
            self._give.send_nowait(worker)

    def _care(
        self, how: Callable[[WorkerProcess], Coroutine[Any, Any, None]], worker: WorkerProcess
    ) -> None:
        if not self._closed:  # then all workers are stopped already
            self._tasks.start_soon(how, worker)

    async def _worker(self) -> WorkerProcess:
        if self._failure is not None and not self._guests:
            raise self._failure
        try:
            return self._take.receive_nowait()
        except anyio.WouldBlock:
            return await self._awaited()
        except GONE as error:
            raise SandboxUnavailable("the sandbox is closed") from error

    async def _awaited(self) -> WorkerProcess:
        if self._waiting >= self._queue:
            raise SandboxUnavailable(f"{self._queue} requests wait for a worker already")
        self._waiting += 1
        try:
            with anyio.fail_after(self._wait):
                return await self._take.receive()
        except TimeoutError as error:
            if self._failure is not None and not self.ready:
                raise self._failure from error
            state = "free" if self.ready else "ready"
            raise SandboxUnavailable(f"no worker was {state} within {self._wait} s") from error
        except GONE as error:
            raise SandboxUnavailable("the sandbox is closed") from error
        finally:
            self._waiting -= 1

    # --- the workers' lives ---

    async def _start(self, folder: Path | None, harness: Path | None, report: Report) -> None:
        try:
            self._guests = await prepared(Cache(folder or default_folder()), harness, report)
        except SandboxUnavailable as unavailable:
            self._failure = unavailable
            self._warm.set()
            return
        for _ in range(self.size):
            self._tasks.start_soon(self._add)

    async def _add(self) -> None:
        """Start a worker, however often it takes."""
        pause = FIRST_PAUSE
        while True:
            try:
                worker = await WorkerProcess.start(self._guests)
            except SandboxUnavailable as unavailable:
                self._failure = unavailable
                self._warm.set()
                await anyio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                self._workers.add(worker)
                self._free(worker)
                self._warm.set()
                return

    async def _replace(self, worker: WorkerProcess) -> None:
        self.counters.replaced += 1
        self._workers.discard(worker)
        await worker.stop()
        await self._add()

    async def _settle(self, worker: WorkerProcess) -> None:
        try:
            await worker.settle(SETTLE_SECONDS)
        except WorkerLost:
            await self._replace(worker)
        else:
            self._free(worker)

    async def _stop(self) -> None:
        self._closed = True
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for worker in self._workers:
                    tasks.start_soon(worker.stop)
        self._give.close()
        self._take.close()


async def prepared(cache: Cache, harness: Path | None, report: Report) -> dict[str, Path]:
    """The compiled guest of each language, built if it is not in the cache."""
    return {
        language.name: await prepare(language, cache, harness, report)
        for language in LANGUAGES.values()
    }


async def prepare(language: Language, cache: Cache, harness: Path | None, report: Report) -> Path:
    source = await anyio.to_thread.run_sync(GuestSource.load, language, harness)
    key = await anyio.to_thread.run_sync(source.key)
    found = cache.find(key)
    if found is not None:
        return found
    command = [sys.executable, "-I", "-m", "bluecode.sandbox.builder"]
    command += [str(cache.folder), language.name, *([str(harness)] if harness else [])]
    await build(command, report)
    found = cache.find(key)
    if found is None:
        raise SandboxUnavailable(f"the `{language.name}` guest was built, but not as expected")
    return found


async def build(command: list[str], report: Report) -> None:
    """Run the builder in a process of its own and pass on its steps."""
    complaint = b""
    with anyio.move_on_after(BUILD_SECONDS):
        async with await anyio.open_process(command) as process:
            assert process.stdout is not None and process.stderr is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pass_on, process.stdout, report)
                async for data in process.stderr:
                    complaint += data
            if await process.wait() == 0:
                return
    reason = complaint.decode("utf-8", "replace").strip()[-COMPLAINT:]
    raise SandboxUnavailable(f"the guest could not be built: {reason or 'it took too long'}")


async def pass_on(steps: ByteReceiveStream, report: Report) -> None:
    async for data in steps:
        for step in data.decode().splitlines():
            report(step)
