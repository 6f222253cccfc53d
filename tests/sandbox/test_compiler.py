"""A compiler's process reads its own headers, writes to its own folder and runs its compiler; a
kill from outside loses no text."""

from __future__ import annotations

import os
import platform
import random
import signal
import subprocess
import sys
from pathlib import Path

import anyio
import pytest

from bluecode.sandbox.compiler import Compiler, Uncompiled, found_zig
from bluecode.sandbox.landlock import version
from bluecode.sandbox.languages.c import program
from bluecode.sandbox.outcome import SandboxUnavailable

pytestmark = [
    pytest.mark.skipif(found_zig() is None, reason="the extra `c` is not installed"),
    pytest.mark.skipif(
        sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
        reason="the walls of other systems are fewer",
    ),
]
needs_landlock = pytest.mark.skipif(version() == 0, reason="this kernel has no Landlock")

KILLS = int(os.environ.get("BLUECODE_KILLS", "20"))
SEED = 20_261
EMPTY = "void __bluecode_main(void) {}"
NO_RIGHTS, NO_ENTRY = "errno 1", "errno 13"
REFUSED = {
    "a socket": ("socket.socket()", NO_RIGHTS),
    "a signal to the service": ("os.kill(os.getppid(), 0)", NO_RIGHTS),
    "limits of the service": (
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
        NO_RIGHTS,
    ),
    "a link out of its folder": ("os.symlink('/etc', 'out')", NO_RIGHTS),
}
UNSEEN = {
    "a file of the host": "open('/etc/passwd')",
    "the service's own state": "open(f'/proc/{os.getppid()}/environ')",
    "a file beside its folder": "open('../beside', 'w')",
    "another program": "subprocess.run(['/bin/true'])",
}


def jailed(code: str, folder: Path) -> str:
    """What came of code in a process that is confined as a compiler's is: an error, or nothing."""
    script = f"""
import os, resource, socket, subprocess, sys
from pathlib import Path
from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.compiler_process import Toolchain, confine
os.chdir({str(folder)!r})
confine({os.getpid()}, Path({str(folder)!r}), Toolchain(found_zig()))
try:
    {code}
except OSError as error:
    sys.exit(f"errno {{error.errno}}")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return done.stderr.strip()


@pytest.mark.parametrize(("code", "error"), REFUSED.values(), ids=REFUSED)
def test_what_reaches_beyond_the_process_is_refused(code: str, error: str, tmp_path: Path) -> None:
    assert jailed(code, tmp_path) == error


@needs_landlock
@pytest.mark.parametrize("code", UNSEEN.values(), ids=UNSEEN)
def test_other_files_and_programs_are_out_of_reach(code: str, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()

    assert jailed(code, tmp_path / "own") == NO_ENTRY


@pytest.mark.parametrize(
    "code", ["open('mine', 'w').write('x')", "subprocess.run([found_zig(), 'version'], check=True)"]
)
def test_what_a_compiler_needs_is_allowed(code: str, tmp_path: Path) -> None:
    assert jailed(code, tmp_path) == ""


async def test_compilers_that_are_killed_lose_no_text() -> None:
    zig = found_zig()
    assert zig is not None
    compiler = Compiler(zig, wait=60.0)
    chance = random.Random(SEED)
    came: list[bytes] = []
    over = False

    async def compile_on() -> None:
        while not over:
            came.append(await compiler.compile(program(EMPTY, [])))

    async with anyio.create_task_group() as tasks:
        for _ in range(2):
            tasks.start_soon(compile_on)
        killed = 0
        while killed < KILLS:
            await anyio.sleep(chance.uniform(0.1, 0.5))
            if victims := running():
                killed += kill(chance.choice(victims))
        over = True
    await compiler.close()

    assert len(came) > 2 and len(set(came)) == 1


async def test_a_compiler_that_is_always_killed_is_not_the_texts_doing() -> None:
    zig = found_zig()
    assert zig is not None
    compiler = Compiler(zig)
    over = False

    async def kill_all() -> None:
        while not over:
            for victim in running():
                kill(victim)
            await anyio.sleep(0.002)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(kill_all)
        with pytest.raises(SandboxUnavailable, match="killed"):
            await compiler.compile(program(EMPTY, []))
        over = True
    await compiler.close()


async def test_a_text_that_uses_up_its_compiler_is_told_so() -> None:
    zig = found_zig()
    assert zig is not None
    compiler = Compiler(zig)
    doubled = "".join(
        f"#define A{at} A{at - 1} A{at - 1} A{at - 1} A{at - 1}\n" for at in range(1, 20)
    )

    with pytest.raises(Uncompiled):
        await compiler.compile(program(f"#define A0 1,\n{doubled}int x[] = {{ A19 }};", []))

    await compiler.close()


def running() -> list[int]:
    """Processes of compilers that have a text: each jail, and what it runs."""
    jails = {jail: children(jail) for jail in children(os.getpid())}
    return [pid for jail, compilers in jails.items() if compilers for pid in (jail, *compilers)]


def children(process: int) -> list[int]:
    try:
        return [
            int(pid) for pid in Path(f"/proc/{process}/task/{process}/children").read_text().split()
        ]
    except OSError:
        return []  # it has ended


def kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False  # it was quicker
    return True
