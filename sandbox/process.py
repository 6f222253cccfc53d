"""One worker process as the service sees it: start it, give it a job, stop it.

Whatever the process does wrong, die, hang or talk rubbish, is a `WorkerLost`; the one who holds it
then kills it and starts another.
"""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import anyio
from anyio.abc import Process

from bluecode.sandbox.frames import (
    TEXT_BYTES,
    BadFrame,
    Broken,
    Buffer,
    Job,
    Ready,
    Result,
    answer_bytes,
    read_answer,
    write_cancel,
    write_job,
)
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Recording, SandboxUnavailable

START_SECONDS = 20.0
GRACE_SECONDS = 1.0  # beyond the guest's own deadline, which the worker itself watches
SEND_SECONDS = 1.0
STOP_SECONDS = 5.0
GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
KEPT_ENVIRONMENT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")


class WorkerLost(Exception):
    """The worker is of no use any more; `died` if its process ended by itself or was killed."""

    def __init__(self, reason: str, died: bool) -> None:
        super().__init__(reason)
        self.died = died
        self.killed = False
        """Did somebody outside end it?"""


class WorkerProcess:
    """A process that waits for jobs; one at a time."""

    def __init__(self, process: Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process = process
        self._input, self._output = process.stdin, process.stdout
        self._buffer = Buffer()
        self._number = 0
        self._limits = Limits()
        self._settled = 0  # bytes of memory once the first runs were done
        self.retired = False
        """It was stopped because it had served long enough."""

    @classmethod
    async def start(cls, guests: Mapping[str, Path]) -> WorkerProcess:
        """A worker that has loaded the guests. Raises `SandboxUnavailable` if it does not come."""
        named = [f"{name}={path}" for name, path in guests.items()]
        command = [sys.executable, "-I", "-m", "bluecode.sandbox.worker", str(os.getpid()), *named]
        # Nothing of the service's environment, which holds its keys.
        environment = {n: os.environ[n] for n in KEPT_ENVIRONMENT if n in os.environ}
        # With an arena for each thread, glibc opens a file of /proc when it gives memory back.
        environment["MALLOC_ARENA_MAX"] = "1"
        try:
            with anyio.CancelScope(shield=True):  # a process that nobody knows would stay
                process = await anyio.open_process(
                    command,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env=environment,
                    start_new_session=True,  # an interrupt at the terminal is the service's to take
                )
        except OSError as error:
            raise SandboxUnavailable(f"no worker process: {error.strerror}") from error
        worker = cls(process)
        try:
            await worker._greeted()
        except BaseException:
            await worker.stop()
            raise
        return worker

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> int:
        """Jobs that it was given."""
        return self._number

    @property
    def ended(self) -> bool:
        """Has its process ended, as far as that is known here?"""
        return self._process.returncode is not None

    def growth(self) -> int:
        """Bytes of memory beyond those at the first call; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        except (OSError, IndexError, ValueError):
            return 0
        now = pages * os.sysconf("SC_PAGE_SIZE")
        self._settled = self._settled or now
        return now - self._settled

    async def run(self, program: Program, limits: Limits) -> Recording:
        """Run the program to its end. Raises `WorkerLost`, after which the worker must be stopped,
        or `SandboxUnavailable`, after which it is as good as before. If cancelled, `settle`."""
        self._number, self._limits = self._number + 1, limits
        job = Job(self._number, program.language, program.job, limits)
        with anyio.CancelScope(shield=True):  # half a frame would spoil the next
            await self._send(write_job(job))
        return await self._answered(limits.seconds + GRACE_SECONDS)

    async def settle(self, seconds: float) -> None:
        """End what a cancelled `run` left running. Raises `WorkerLost` if it takes longer."""
        await self._send(write_cancel(self._number))
        try:
            await self._answered(seconds)
        except SandboxUnavailable:
            return  # broken or not, the job is over

    def kill(self) -> None:
        """End the process; `stop` must follow."""
        if self.ended:
            return
        try:
            # Not by `subprocess`, which would first ask the kernel how the process ended: the event
            # loop waits for that answer, there is only one, and without it `was_killed` is wrong.
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it was quicker

    async def was_killed(self) -> bool:
        """Did somebody outside end the process, which has ended? No guest can send that signal."""
        with anyio.move_on_after(STOP_SECONDS):
            await self._process.wait()
        return self._process.returncode == -signal.SIGKILL

    async def wait(self) -> None:
        """Until the process has ended, for whatever reason."""
        await self._process.wait()

    async def stop(self) -> None:
        """Kill the process and wait until it is gone."""
        with anyio.CancelScope(shield=True), anyio.move_on_after(STOP_SECONDS):
            self.kill()
            await self._process.aclose()

    async def _greeted(self) -> None:
        try:
            with anyio.fail_after(START_SECONDS):
                greeting = await self._read(TEXT_BYTES + 16)
        except (TimeoutError, WorkerLost) as error:
            raise SandboxUnavailable("a worker process did not start") from error
        if isinstance(greeting, Broken):
            raise SandboxUnavailable(greeting.reason)
        if not isinstance(greeting, Ready):
            raise SandboxUnavailable("a worker process did not greet")

    async def _answered(self, seconds: float) -> Recording:
        try:
            with anyio.fail_after(seconds):
                answer = await self._read(answer_bytes(self._limits))
        except TimeoutError as error:
            raise WorkerLost("it did not answer in time", died=False) from error
        if isinstance(answer, Ready) or answer.number != self._number:
            raise WorkerLost("it answered what was not asked", died=False)
        if isinstance(answer, Broken):
            raise SandboxUnavailable(answer.reason)
        return checked(answer, self._limits)

    async def _send(self, frame: bytes) -> None:
        try:
            with anyio.fail_after(SEND_SECONDS):
                await self._input.send(frame)
        except TimeoutError as error:  # before OSError, whose child it is
            raise WorkerLost("it does not read", died=False) from error
        except GONE as error:
            raise WorkerLost("it is gone", died=True) from error

    async def _read(self, at_most: int) -> Ready | Result | Broken:
        try:
            while (body := self._buffer.take(at_most)) is None:
                self._buffer.feed(await self._output.receive())
            return read_answer(body)
        except BadFrame as error:
            raise WorkerLost("it talks rubbish", died=False) from error
        except GONE as error:
            raise WorkerLost("it is gone", died=True) from error


def checked(result: Result, limits: Limits) -> Recording:
    """The recording, if a sound worker could have made it under these limits."""
    recording = result.recording
    bytes_told = sum(len(text) for _, text in recording.events)
    sound = (
        len(recording.events) <= limits.events
        and bytes_told <= limits.event_bytes
        and recording.fuel_used <= limits.fuel
        and recording.memory_peak <= limits.memory
        and math.isfinite(recording.seconds)
    )
    if not sound:
        raise WorkerLost("it answered what the limits do not allow", died=False)
    return recording
