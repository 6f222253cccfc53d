"""Workers come, go and are replaced; a request suffers only from what happens to its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from bluecode.sandbox.cache import IMAGE, Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.languages.python import program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Event, Outcome, SandboxUnavailable
from bluecode.sandbox.process import WorkerLost, WorkerProcess
from bluecode.sandbox.workers import Sandbox

OpenSandbox = Callable[..., AbstractAsyncContextManager[Sandbox]]

HELLO = program("tell('hello')")
LOOP = program("while True: pass")
LONG = Limits(fuel=10**13, seconds=30)
HARNESS = Path(__file__).parent / "data" / "harness"
LINUX = sys.platform == "linux"


def hello(outcome: Outcome) -> bool:
    return Event("told", ("hello",), False) in outcome.events


async def test_a_program_runs_in_a_worker(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox() as sandbox:
        outcome = await sandbox.run(HELLO)

        assert outcome.ended == "exited" and outcome.finished and hello(outcome)
        assert sandbox.counters.outcomes == {"exited": 1}


async def test_the_first_worker_is_there_when_the_sandbox_is_warm(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox() as sandbox:
        assert not sandbox.ready
        await sandbox.warm()
        assert sandbox.ready


async def test_there_are_never_more_processes_than_workers(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=2) as sandbox:
        async with anyio.create_task_group() as tasks:
            for _ in range(12):
                tasks.start_soon(sandbox.run, HELLO)

        assert len(sandbox.processes) <= 2
        assert sandbox.counters.outcomes == {"exited": 12}


async def test_a_killed_worker_is_replaced_and_its_program_runs_again(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        (before,) = sandbox.processes
        outcomes: list[Outcome] = []

        async def run() -> None:
            outcomes.append(await sandbox.run(LOOP, Limits(fuel=10**13, seconds=0.4)))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            await anyio.sleep(0.1)
            os.kill(before, signal.SIGKILL)

        assert [outcome.ended for outcome in outcomes] == ["timed_out"]
        assert sandbox.counters.replaced == 1
        assert before not in children()


async def test_others_get_their_outcomes_while_a_worker_is_killed(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=2) as sandbox:
        await sandbox.warm()
        outcomes: list[Outcome] = []

        async def run() -> None:
            outcomes.append(await sandbox.run(HELLO))

        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(run)
            await anyio.sleep(0.01)
            os.kill(children()[0], signal.SIGKILL)

        assert len(outcomes) == 40 and all(map(hello, outcomes))


async def end_each(how: signal.Signals, most: int) -> None:
    """End one worker after the other, each once it has had time to begin with the program."""
    ended: set[int] = set()
    while len(ended) < most:
        for victim in set(children()) - ended:
            os.kill(victim, how)
            ended.add(victim)
        await anyio.sleep(1.0)


async def test_a_program_whose_worker_crashes_twice_is_unavailable(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_each, signal.SIGABRT, 20)
            with pytest.raises(SandboxUnavailable, match="lost for good"):
                await sandbox.run(LOOP, LONG)
            tasks.cancel_scope.cancel()

        assert hello(await sandbox.run(HELLO))
        assert sandbox.counters.unavailable == 1


async def test_a_program_whose_worker_is_killed_twice_from_outside_keeps_its_verdict(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(end_each, signal.SIGKILL, 2)
            outcome = await sandbox.run(LOOP, Limits(fuel=10**13, seconds=2.5))

        assert outcome.ended == "timed_out"
        assert sandbox.counters.unavailable == 0


@pytest.mark.skipif(not LINUX, reason="stops a process the Linux way")
async def test_a_worker_that_hangs_is_replaced(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        os.kill(children()[0], signal.SIGSTOP)

        with pytest.raises(SandboxUnavailable, match="did not answer in time"):
            await sandbox.run(HELLO, Limits(seconds=0.1))

        assert hello(await sandbox.run(HELLO))


async def test_a_cancelled_run_frees_its_worker_within_milliseconds(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        with anyio.move_on_after(0.1):
            await sandbox.run(LOOP, LONG)

        began = time.monotonic()
        assert hello(await sandbox.run(HELLO))
        assert time.monotonic() - began < 0.5  # 20 ms, or a new worker if the machine is busy
        assert sandbox.counters.cancelled == 1


async def test_a_cancelled_wait_for_a_worker_takes_none(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sandbox.run, LOOP, Limits(fuel=10**13, seconds=0.3))
            await anyio.sleep(0.05)
            with anyio.move_on_after(0.05):
                await sandbox.run(HELLO)

        assert hello(await sandbox.run(HELLO))
        assert sandbox.waiting == 0


async def test_more_requests_than_may_wait_are_refused_at_once(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=1, queue=1) as sandbox:
        await sandbox.warm()
        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(sandbox.run, LOOP, Limits(fuel=10**13, seconds=0.2))
            await anyio.sleep(0.05)
            with pytest.raises(SandboxUnavailable, match="wait for a worker already"):
                await sandbox.run(HELLO)


async def test_a_request_does_not_wait_longer_than_it_may(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=1, wait=0.1) as sandbox:
        await sandbox.warm()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sandbox.run, LOOP, Limits(fuel=10**13, seconds=0.4))
            await anyio.sleep(0.05)
            with pytest.raises(SandboxUnavailable, match="no worker was free within"):
                await sandbox.run(HELLO)


@pytest.mark.parametrize("it", [Program("latin", b"{}"), Program("python", b" " * 2_000_000)])
async def test_what_cannot_be_run_is_unavailable_and_harms_no_worker(
    open_sandbox: OpenSandbox, it: Program
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        with pytest.raises(SandboxUnavailable):
            await sandbox.run(it)

        assert hello(await sandbox.run(HELLO))
        assert sandbox.counters.replaced == 0


async def test_a_sandbox_without_a_guest_says_why(tmp_path: Path) -> None:
    async with Sandbox.open(cache=tmp_path, harness=tmp_path) as sandbox:
        with pytest.raises(SandboxUnavailable, match=r"no harness\.py"):
            await sandbox.warm()
        with pytest.raises(SandboxUnavailable, match=r"no harness\.py"):
            await sandbox.run(HELLO)
        assert not sandbox.ready


async def test_a_harness_that_does_not_load_is_told_with_its_error(tmp_path: Path) -> None:
    (tmp_path / "harness.py").write_text("import nothing_of_this_name")
    (tmp_path / "cache").mkdir(mode=0o700)

    async with Sandbox.open(cache=tmp_path / "cache", harness=tmp_path) as sandbox:
        with pytest.raises(SandboxUnavailable, match="nothing_of_this_name"):
            await sandbox.warm()


async def test_a_compiled_guest_that_does_not_load_is_told_until_it_does(
    cache_folder: Path, source: GuestSource, guest: object, tmp_path: Path
) -> None:
    sound = Cache(cache_folder).find(source.key())
    assert sound is not None
    memory = sound.with_suffix(IMAGE).read_bytes()
    kept = Cache(tmp_path).put(source.key(), b"no code", memory)

    async with Sandbox.open(cache=tmp_path, harness=HARNESS, workers=1) as sandbox:
        with pytest.raises(SandboxUnavailable, match="does not load"):
            await sandbox.warm()
        shutil.copyfile(sound, tmp_path / "sound")
        os.replace(tmp_path / "sound", kept)

        assert hello(await sandbox.run(HELLO))


async def test_errors_of_the_block_come_out_as_they_are(open_sandbox: OpenSandbox) -> None:
    with pytest.raises(LookupError):
        async with open_sandbox():
            raise LookupError


async def test_a_closed_sandbox_is_unavailable(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.warm()

    with pytest.raises(SandboxUnavailable, match="closed"):
        await sandbox.run(HELLO)


async def test_requests_that_wait_when_the_sandbox_closes_are_told(
    open_sandbox: OpenSandbox,
) -> None:
    told: list[str] = []

    async def run(sandbox: Sandbox) -> None:
        try:
            await sandbox.run(LOOP, LONG)
        except SandboxUnavailable as unavailable:
            told.append(str(unavailable))

    async with anyio.create_task_group() as tasks:
        async with open_sandbox(workers=1) as sandbox:
            await sandbox.warm()
            for _ in range(3):
                tasks.start_soon(run, sandbox)
            await anyio.sleep(0.1)

    assert told == ["the sandbox is closed"] * 3


async def test_no_process_is_left_when_the_sandbox_closes(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox() as sandbox:
        await sandbox.warm()
        with anyio.move_on_after(0.05):
            await sandbox.run(LOOP, LONG)

    assert children() == []


@pytest.mark.skipif(not LINUX, reason="needs PR_SET_PDEATHSIG and /proc")
def test_no_process_is_left_when_the_service_is_killed(cache_folder: Path, guest: object) -> None:
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE, str(cache_folder), str(HARNESS)], stdout=subprocess.PIPE
    )
    assert service.stdout is not None
    with service, service.stdout as output:
        worker = int(output.readline())
        service.kill()

    deadline = time.monotonic() + 2
    while alive(worker):
        assert time.monotonic() < deadline
        time.sleep(0.01)


SERVICE = """
import sys, anyio
from pathlib import Path
from bluecode.sandbox.languages.python import program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.workers import Sandbox

async def main():
    cache, harness = map(Path, sys.argv[1:3])
    async with Sandbox.open(cache=cache, harness=harness, workers=1) as sandbox:
        await sandbox.warm()
        print(*(worker.pid for worker in sandbox._workers), flush=True)
        await sandbox.run(program("while True: pass"), Limits(fuel=10**13, seconds=60))

anyio.run(main)
"""


async def test_a_kill_from_outside_is_known_as_one_also_if_our_own_follows() -> None:
    for _ in range(20):
        worker = WorkerProcess(await anyio.open_process(["sleep", "60"]))
        os.kill(worker.pid, signal.SIGKILL)
        worker.kill()

        assert await worker.was_killed()
        await worker.stop()


RUBBISH = {
    "silence": ("import time; time.sleep(60)", "did not answer"),
    "its end": ("", "gone"),
    "text": ("print('hello, world'); import time; time.sleep(60)", "rubbish"),
    "an endless frame": ("import os; os.write(1, b'\\xff' * 9)", "rubbish"),
    "another's answer": ("import os; os.write(1, b'\\5\\0\\0\\0\\4\\7\\0\\0\\0')", "not asked"),
}


@pytest.mark.parametrize(("code", "reason"), RUBBISH.values(), ids=RUBBISH)
async def test_a_worker_that_talks_rubbish_is_lost(code: str, reason: str) -> None:
    worker = WorkerProcess(await anyio.open_process([sys.executable, "-c", code]))
    try:
        with pytest.raises(WorkerLost, match=reason):
            await worker.run(HELLO, Limits(seconds=0.1))
    finally:
        await worker.stop()


LIGHT = [
    ("bluecode.sandbox.worker", ["anyio", "asyncio", "numpy", "openai", "importlib.metadata"]),
    ("bluecode.sandbox.workers", ["wasmtime"]),
]


@pytest.mark.parametrize(("module", "heavy"), LIGHT)
def test_neither_side_loads_what_only_the_other_needs(module: str, heavy: list[str]) -> None:
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"

    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)

    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.skipif(not LINUX, reason="reads /proc")
async def test_a_worker_has_no_environment_and_few_rights(
    open_sandbox: OpenSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        pid = children()[0]
        folder = Path("/proc", str(pid))

        assert b"secret" not in (folder / "environ").read_bytes()
        status = (folder / "status").read_text()
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
        limits = (folder / "limits").read_text()
        assert [line.split()[-3] for line in limits.splitlines() if "core file" in line] == ["0"]
        opened = {path.name: os.readlink(path) for path in (folder / "fd").iterdir()}
        others = [target for name, target in opened.items() if name not in "012"]
        own = (".cwasm", ".memory", f"/proc/{pid}/pagemap")
        assert all(target.endswith(own) for target in others)


@pytest.mark.skipif(not LINUX, reason="reads /proc")
async def test_many_runs_leave_no_descriptor_and_no_memory_behind(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        (worker,) = children()
        for _ in range(50):
            await sandbox.run(HELLO)
        before = descriptors(os.getpid()), descriptors(worker), resident(worker)

        for _ in range(300):
            await sandbox.run(HELLO)

        assert (descriptors(os.getpid()), descriptors(worker)) == before[:2]
        assert resident(worker) - before[2] < 4 * 1024**2


def children() -> list[int]:
    """The processes of this one, oldest first."""
    found = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout
    return [int(line.split()[0]) for line in found.splitlines() if "sandbox.worker" in line]


def alive(process: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def descriptors(process: int) -> int:
    return len(os.listdir(f"/proc/{process}/fd"))


def resident(process: int) -> int:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
