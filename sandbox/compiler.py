"""The C compiler as the service sees it: each text in a jailed process of its own, which was
started beforehand and ends with it.

The compiler is zig, of the `ziglang` package, an optional extra. What is wrong with the text is a
value; a compiler that is not there, hangs or dies is `SandboxUnavailable`, unless the text made it
so: that is told as a text that cannot be compiled.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import Process

from bluecode.sandbox import directives
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.outcome import CompilerLate, SandboxUnavailable
from bluecode.sandbox.turns import REQUEST, Turns

START_SECONDS, COMPILE_SECONDS = 20.0, 6.0
MODULE_BYTES = 4 * 1024**2
LINE_BYTES = 4_096
AT_ONCE = 2
MOST_TRIES = 5  # of a text whose compiler is killed from outside each time
ERROR = re.compile(rb"^program:(\d+):\d+: (?:fatal )?error: (.*)$", re.MULTILINE)
UNLINKED = re.compile(rb"undefined symbol: (\w+)")


def found_zig() -> Path | None:
    """The compiler of the `ziglang` package; None where that is not installed."""
    spec = importlib.util.find_spec("ziglang")
    if spec is None or spec.origin is None:
        return None
    zig = Path(spec.origin).parent / "zig"
    return zig if zig.is_file() else None


@dataclass(frozen=True, slots=True)
class Uncompiled(Exception):
    """The text does not compile; that is its own doing."""

    line: int
    why: str


class JailLost(Exception):
    """A compiler process ended before it had answered, which no text can bring about."""


class Compiler:
    """Jailed compilers, one a text; `close` ends the one that waits. Requests take turns here, too,
    and each text waits so many seconds."""

    def __init__(
        self, zig: Path, headers: Path | None = None, *, queue: int = 256, wait: float = 5.0
    ) -> None:
        self._tools = [str(zig), *([str(headers)] if headers else [])]
        self._wait = wait
        self._places: Turns[int] = Turns(queue)
        for place in range(AT_ONCE):
            self._places.give(place)
        self._spare: Jail | None = None
        self._closed = False

    async def close(self) -> None:
        self._closed = True
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.stop()

    async def ahead(self) -> None:
        """Start the next process, unless one waits already. One that does not come is missed, and
        told, by the next text."""
        if self._spare is not None:
            return
        try:
            jail = await Jail.start(self._tools)
        except SandboxUnavailable:
            return
        if self._spare is None and not self._closed:
            self._spare = jail
        else:
            await jail.stop()

    async def compile(self, program: Program) -> bytes:
        """A module. Raises `Uncompiled`, or `SandboxUnavailable`: `CompilerLate` if all compilers
        are busy for too long."""
        assert program.source is not None
        if why := directives.refusal(program.source):
            raise Uncompiled(0, why)
        place = await self._places.take(REQUEST.get(), self._wait)
        if place is None:
            raise CompilerLate(f"no compiler was free within {self._wait} s")
        try:
            return await self._compiled(program)
        finally:
            self._places.give(place)

    async def _compiled(self, program: Program) -> bytes:
        for _ in range(MOST_TRIES):
            jail, self._spare = self._spare, None
            jail = jail or await Jail.start(self._tools)
            try:
                return await jail.compile(program)
            except JailLost:  # killed from outside: nothing speaks against the text
                pass
            finally:
                await jail.stop()
        raise SandboxUnavailable(f"{MOST_TRIES} compilers were killed")


class Jail:
    """One compiler process, and its folder."""

    def __init__(self, process: Process, folder: Path) -> None:
        assert process.stdin is not None and process.stdout is not None
        self._process, self._folder = process, folder
        self._input, self._output = process.stdin, process.stdout
        self._read = bytearray()

    @classmethod
    async def start(cls, tools: Sequence[str]) -> Jail:
        """A process that waits for a text. Raises `SandboxUnavailable` if it does not come."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="bluecode-"))
        except OSError as error:
            raise SandboxUnavailable(f"no folder for a compiler: {error.strerror}") from error
        command = [sys.executable, "-I", "-m", "bluecode.sandbox.compiler_process"]
        command += [str(os.getpid()), str(folder), *tools]
        try:
            with anyio.CancelScope(shield=True):  # a process that nobody knows would stay
                process = await anyio.open_process(
                    command, stderr=subprocess.DEVNULL, cwd="/", env={}, start_new_session=True
                )
        except OSError as error:
            remove(folder)
            raise SandboxUnavailable(f"no compiler process: {error.strerror}") from error
        jail = cls(process, folder)
        try:
            with anyio.fail_after(START_SECONDS):
                greeting = await jail._line()
        except (TimeoutError, anyio.EndOfStream, anyio.BrokenResourceError, ValueError) as error:
            await jail.stop()
            raise SandboxUnavailable("a compiler process did not start") from error
        except BaseException:
            await jail.stop()
            raise
        if greeting != b"ready":
            await jail.stop()
            raise SandboxUnavailable("a compiler process did not start")
        return jail

    @property
    def pid(self) -> int:
        return self._process.pid

    async def compile(self, program: Program) -> bytes:
        """A module. Raises `Uncompiled`, or `JailLost`."""
        job = json.dumps({"code": program.source, "dialect": program.dialect}).encode() + b"\n"
        try:
            with anyio.fail_after(COMPILE_SECONDS):
                await self._input.send(job)
                head = json.loads(await self._line())
                answer = await self._exactly(int(head["bytes"]))
        except TimeoutError as error:
            raise Uncompiled(0, "the compiler was at it for too long") from error
        except (anyio.EndOfStream, anyio.BrokenResourceError) as error:
            raise JailLost from error
        except (ValueError, KeyError) as error:
            raise Uncompiled(0, "the compiler broke down") from error
        if head.get("came") == "ok":
            return answer
        raise complaint(answer)

    async def stop(self) -> None:
        """End the process and all that it started, and remove its folder."""
        with anyio.CancelScope(shield=True):
            try:
                os.killpg(self._process.pid, 9)
            except ProcessLookupError:
                pass  # it has ended
            await self._process.aclose()
            await anyio.to_thread.run_sync(remove, self._folder)

    async def _line(self) -> bytes:
        while b"\n" not in self._read:
            if len(self._read) > LINE_BYTES:
                raise ValueError("a line that does not end")
            self._read += await self._output.receive()
        line, _, rest = bytes(self._read).partition(b"\n")
        self._read = bytearray(rest)
        return line

    async def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= MODULE_BYTES:
            raise ValueError("an absurd length")
        while len(self._read) < size:
            self._read += await self._output.receive()
        return bytes(self._read[:size])


def complaint(said: bytes) -> Uncompiled:
    """The first error of a compiler or linker, without names of this machine's files."""
    if found := ERROR.search(said):
        return Uncompiled(int(found[1]), found[2].decode("utf-8", "replace")[:200])
    if found := UNLINKED.search(said):
        return Uncompiled(0, f"nothing defines `{found[1].decode()[:80]}`")
    return Uncompiled(0, "the compiler refused it")


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
