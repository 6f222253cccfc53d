"""The sandbox as the service uses it: never more than N worker processes that run something, work
handed to the first that is free, and a lost one replaced by a spare that was started before.

A run holds one worker. Only the run that a worker was doing suffers from its end, and of a death
from outside not even that one: it is run again. Who waits gets a worker by `turns.py`.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import anyio
from anyio.abc import TaskGroup

from bluecode.sandbox.cache import Cache, default_folder
from bluecode.sandbox.compiler import Compiler, Uncompiled, found_zig
from bluecode.sandbox.languages.c import pack, unpack
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import MEBIBYTE, Limits
from bluecode.sandbox.outcome import CompilerLate, Event, Outcome, Recording, SandboxUnavailable
from bluecode.sandbox.preparation import prepared
from bluecode.sandbox.process import WorkerLost, WorkerProcess
from bluecode.sandbox.processors import processors
from bluecode.sandbox.turns import REQUEST, Turns

Report = Callable[[str], None]

PROGRAM_BYTES = 1024**2
MOST_TRIES = 5  # of a run whose worker is killed from outside each time
SETTLE_SECONDS = 0.02
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0
RUN_SECONDS = 0.5  # of a caller's time are kept for the run of what is compiled first
SPARE_AFTER = 1.0  # seconds from the start: a spare is for those who stay, and takes from the first


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How long a worker process serves before another takes its place."""

    runs: int = 50_000
    growth: int = 256 * MEBIBYTE
    """Bytes of resident memory beyond those after its first runs; Linux only."""
    look: int = 500
    """Runs between two looks at its memory."""


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
    recycled: int = 0
    """Workers that had served their time."""


class Sandbox:
    """A pool of workers. Made by `Sandbox.open`; the first start takes seconds, see `warm`."""

    def __init__(
        self, tasks: TaskGroup, size: int, queue: int, wait: float, service: Service
    ) -> None:
        self.size = size
        self._tasks = tasks
        self.counters = Counters()
        self._queue = queue
        self._wait = wait
        self._service = service
        self._closed = False
        self._guests: Mapping[str, Path] = {}
        self._missing: Mapping[str, SandboxUnavailable] = {}
        self._workers: set[WorkerProcess] = set()
        self._spares: deque[WorkerProcess] = deque()  # started, and without work until one ends
        self._turns: Turns[WorkerProcess] = Turns(queue)
        self._warm = anyio.Event()
        self._failure: SandboxUnavailable | None = None  # why the last worker did not come
        self._zig = found_zig()
        self._compiler: Compiler | None = None  # there once the guests are

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
        service: Service | None = None,
        report: Report = lambda step: None,
    ) -> AsyncIterator[Sandbox]:
        """A sandbox that gets ready in the background and whose processes end with the block.

        It has so many `workers`, or one for each processor that this process may use.
        `queue` runs may wait, each `wait` seconds; `report` hears the steps of a first start.
        `harness` stands in for Python's own, for tests of the sandbox itself."""
        size = workers or processors()
        failure: Exception | None = None
        async with anyio.create_task_group() as tasks:
            sandbox = cls(tasks, size, queue, wait, service or Service())
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
    def processes(self) -> tuple[int, ...]:
        """Ids of the worker processes that get work."""
        return tuple(worker.pid for worker in self._workers)

    @property
    def compiles(self) -> bool:
        """Is there a compiler, for the languages that need one?"""
        return self._zig is not None

    @property
    def waiting(self) -> int:
        """Runs that have no worker yet."""
        return self._turns.waiting

    async def warm(self) -> None:
        """Wait for the first worker. Raises `SandboxUnavailable` if it did not come; it may come
        later, if the reason goes away."""
        await self._warm.wait()
        if self._failure is not None and not self.ready:
            raise self._failure

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        """Run a program and say what came of it.

        Raises `SandboxUnavailable` if no worker is free in time, or the one that ran it was lost;
        `CompilerLate` if a compiler would leave no time to run the program before the deadline of
        the caller's cancel scope.
        Runs of one `REQUEST` never keep those of another waiting for more than their turn.
        """
        try:
            if program.source is not None:
                program = await self._compiled(program)
            recording = await self._recorded(program, limits or Limits())
        except Uncompiled as wrong:
            return uncompiled(wrong)
        except SandboxUnavailable:
            self.counters.unavailable += 1
            raise
        except anyio.get_cancelled_exc_class():
            self.counters.cancelled += 1
            raise
        self.counters.outcomes[recording.ended] += 1
        return recording.outcome()

    async def _compiled(self, program: Program) -> Program:
        """The program as a job for a worker. Raises `Uncompiled`, or `SandboxUnavailable`."""
        if self._zig is None:
            raise SandboxUnavailable(f"there is no compiler for `{program.language}`")
        with anyio.move_on_after(self._wait):
            await self._warm.wait()
        if program.language in self._missing:
            raise self._missing[program.language]
        if self._compiler is None:
            raise self._failure or SandboxUnavailable(f"no guest was ready in {self._wait} s")
        module = b""
        with anyio.CancelScope(deadline=anyio.current_effective_deadline() - RUN_SECONDS) as scope:
            try:
                module = await self._compiler.compile(program)
            finally:
                if not self._closed:
                    self._tasks.start_soon(self._compiler.ahead)
        if scope.cancelled_caught:
            raise CompilerLate("the compiler was not done in time")
        return Program(program.language, pack([module, *unpack(program.job)]))

    async def _recorded(self, program: Program, limits: Limits) -> Recording:
        if len(program.job) > PROGRAM_BYTES:
            raise SandboxUnavailable(
                f"the program has {len(program.job)} bytes, more than {PROGRAM_BYTES}"
            )
        for tried in range(1, MOST_TRIES + 1):
            try:
                return await self._tried(program, limits)
            except WorkerLost as lost:
                # Killed from outside, say for memory: nothing speaks against the program. One that
                # ends its worker in another way would end the next one, too.
                if tried == (MOST_TRIES if lost.killed else 2 if lost.died else 1):
                    raise SandboxUnavailable(f"the worker was lost for good: {lost}") from lost
        raise AssertionError("the last try returns or raises")

    async def _tried(self, program: Program, limits: Limits) -> Recording:
        worker = await self._worker()
        try:
            recording = await worker.run(program, limits)
        except WorkerLost as lost:
            worker.kill()  # if it lives; its place notices
            lost.killed = lost.died and await worker.was_killed()
            raise
        except SandboxUnavailable:
            self._free(worker)
            raise
        except BaseException:  # cancelled: the guest still runs
            if not self._closed:  # then all workers are stopped already
                self._tasks.start_soon(self._settle, worker)
            raise
        self._free(worker)
        return recording

    def _free(self, worker: WorkerProcess) -> None:
        if worker.ended:
            return  # its place notices
        if self._has_served(worker):
            self.counters.recycled += 1
            worker.retired = True
            worker.kill()
        else:
            self._turns.give(worker)

    def _has_served(self, worker: WorkerProcess) -> bool:
        if len(self._workers) < self.size:
            return False  # one at a time
        if worker.runs >= self._service.runs:
            return True
        look = worker.runs % self._service.look == 0 and worker.runs > 0
        return look and worker.growth() > self._service.growth

    async def _worker(self) -> WorkerProcess:
        if self._failure is not None and not self._guests:
            raise self._failure
        worker = await self._turns.take(REQUEST.get(), self._wait)
        if worker is not None:
            return worker
        if self._failure is not None and not self.ready:
            raise self._failure
        state = "free" if self.ready else "ready"
        raise SandboxUnavailable(f"no worker was {state} within {self._wait} s")

    async def _settle(self, worker: WorkerProcess) -> None:
        try:
            await worker.settle(SETTLE_SECONDS)
        except WorkerLost:
            worker.kill()
        else:
            self._free(worker)

    # --- the workers' lives ---

    async def _start(self, folder: Path | None, harness: Path | None, report: Report) -> None:
        try:
            cache = Cache(folder or default_folder())
            ready = await prepared(cache, harness, report)
        except SandboxUnavailable as unavailable:
            self._failure = unavailable
            self._warm.set()
            return
        self._guests, self._missing = ready.guests, ready.missing
        if self._zig is not None and "c" in self._guests:
            headers = cache.headers(self._guests["c"])
            self._compiler = Compiler(self._zig, headers, queue=self._queue, wait=self._wait)
        for _ in range(self.size):
            self._tasks.start_soon(self._place)
        await anyio.sleep(SPARE_AFTER)
        self._tasks.start_soon(self._place)

    async def _place(self) -> None:
        """One worker after the other, each until its process ends."""
        while not self._closed:
            worker = await self._started()
            self._spares.append(worker)
            self._fill()
            try:
                await worker.wait()
                if not self._closed:
                    self._left(worker)
            finally:  # one that came while the sandbox was closing is known here alone
                await worker.stop()

    def _fill(self) -> None:
        """Who was started first gets work first, as far as there is room."""
        while self._spares and len(self._workers) < self.size:
            worker = self._spares.popleft()
            self._workers.add(worker)
            self._turns.give(worker)
            self._warm.set()

    def _left(self, worker: WorkerProcess) -> None:
        self.counters.replaced += not worker.retired
        if worker in self._spares:
            self._spares.remove(worker)
            return
        self._workers.discard(worker)
        self._turns.withdraw(worker)
        self._fill()

    async def _started(self) -> WorkerProcess:
        """A new worker, however often it takes."""
        pause = FIRST_PAUSE
        while True:
            try:
                return await WorkerProcess.start(self._guests)
            except SandboxUnavailable as unavailable:
                self._failure = unavailable
                self._warm.set()
                await anyio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _stop(self) -> None:
        self._closed = True
        self._turns.close()
        if self._compiler is not None:
            await self._compiler.close()
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tasks:
                for worker in (*self._workers, *self._spares):
                    tasks.start_soon(worker.stop)


def uncompiled(wrong: Uncompiled) -> Outcome:
    """What came of a text that does not compile: it never ran."""
    return Outcome(
        ended="exited",
        finished=False,
        events=(Event("unreadable", (wrong.line, wrong.why), True),),
        malformed=0,
        fuel_used=0,
        seconds=0.0,
        memory_peak=0,
        detail="it does not compile",
    )
