"""Workers are killed at random moments, worn out, and asked for too much at once.

`BLUECODE_KILLS=200` makes the first test the long run of the release check."""

from __future__ import annotations

import os
import random
import signal
import statistics
import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import anyio
import pytest

from bluecode.sandbox.languages.python import program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Event
from bluecode.sandbox.turns import REQUEST
from bluecode.sandbox.workers import Sandbox, Service

OpenSandbox = Callable[..., AbstractAsyncContextManager[Sandbox]]

KILLS = int(os.environ.get("BLUECODE_KILLS", "20"))
LOOP = program("while True: pass")
SEED = 20_261


def told(number: int) -> Event:
    return Event("told", (number,), False)


async def test_kills_at_random_moments_lose_no_verdict(open_sandbox: OpenSandbox) -> None:
    chance = random.Random(SEED)
    asked = answered = 0
    took: list[float] = []
    over = False

    async def run(sandbox: Sandbox) -> None:
        nonlocal asked, answered
        while not over:
            asked = number = asked + 1
            outcome = await sandbox.run(program(f"tell({number})"))
            answered += told(number) in outcome.events

    async def kill(sandbox: Sandbox, victim: int) -> None:
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        while len(sandbox.processes) < 2 or victim in sandbox.processes:
            await anyio.sleep(0.002)
        took.append(time.monotonic() - began)

    async with open_sandbox(workers=2, wait=60.0) as sandbox:
        await sandbox.warm()
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(run, sandbox)
            for _ in range(KILLS):
                await anyio.sleep(chance.uniform(0.0, 0.15))
                await kill(sandbox, chance.choice(sandbox.processes))
            over = True
        assert sandbox.counters.unavailable == 0
        assert sandbox.counters.replaced == KILLS

    median, slowest = (round(1000 * each(took)) for each in (statistics.median, max))
    print(f"{KILLS} kills, {asked} runs, load {os.getloadavg()[0]:.1f}: ", end="")
    print(f"replaced after {median} ms (median), {slowest} ms at most")
    assert answered == asked > KILLS
    assert median < 1000 and slowest < 5000  # the machine may be a busy one


async def test_a_spare_takes_the_place_of_a_worker_that_was_killed(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        (victim,) = sandbox.processes
        spare = await spare_of(sandbox)
        os.kill(victim, signal.SIGKILL)

        assert told(1) in (await sandbox.run(program("tell(1)"))).events
        assert sandbox.processes == (spare,)
        assert await spare_of(sandbox) not in (victim, spare)


async def test_a_spare_that_dies_is_replaced(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        (worker,) = sandbox.processes
        spare = await spare_of(sandbox)
        os.kill(spare, signal.SIGKILL)

        assert await spare_of(sandbox, spare) != worker
        assert sandbox.processes == (worker,)
        assert sandbox.counters.replaced == 1


async def test_a_worker_that_dies_in_its_sleep_is_replaced_before_anyone_asks(
    open_sandbox: OpenSandbox,
) -> None:
    async with open_sandbox(workers=1) as sandbox:
        await sandbox.warm()
        (before,) = workers()
        os.kill(before, signal.SIGKILL)

        with anyio.fail_after(10):
            while sandbox.counters.replaced < 1 or not workers() or before in workers():
                await anyio.sleep(0.02)


async def test_a_worker_that_has_served_its_time_is_replaced(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=1, service=Service(runs=5)) as sandbox:
        for number in range(12):
            assert told(number) in (await sandbox.run(program(f"tell({number})"))).events

        assert sandbox.counters.recycled == 2
        assert sandbox.counters.replaced == 0


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="reads /proc")
async def test_a_worker_that_has_grown_is_replaced(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=1, service=Service(look=2, growth=-1)) as sandbox:
        for number in range(4):
            await sandbox.run(program(f"tell({number})"))

        assert sandbox.counters.recycled >= 1


async def test_one_request_with_a_hundred_runs_does_not_keep_another_waiting(
    open_sandbox: OpenSandbox,
) -> None:
    finished: list[str] = []

    async def ask(sandbox: Sandbox, owner: str) -> None:
        REQUEST.set(owner)
        await sandbox.run(program("tell(1)"))
        finished.append(owner)

    async with open_sandbox(workers=1, wait=60.0) as sandbox:
        await sandbox.warm()
        async with anyio.create_task_group() as tasks:
            for _ in range(100):
                tasks.start_soon(ask, sandbox, "many")
            tasks.start_soon(ask, sandbox, "one")

    assert "one" in finished[:5]


async def test_cancelled_runs_do_not_wear_out_the_pool(open_sandbox: OpenSandbox) -> None:
    async with open_sandbox(workers=2) as sandbox:
        await sandbox.warm()
        for _ in range(10):
            with anyio.move_on_after(0.03):
                await sandbox.run(LOOP, Limits(fuel=10**13, seconds=30))

        assert told(1) in (await sandbox.run(program("tell(1)"))).events
        assert sandbox.counters.cancelled == 10


async def spare_of(sandbox: Sandbox, *but: int) -> int:
    """The process of its spare, once there is one and it is not of those."""
    with anyio.fail_after(20):
        while not (found := {worker.pid for worker in sandbox._spares} - {*but}):
            await anyio.sleep(0.02)
    (spare,) = found
    return spare


def workers() -> list[int]:
    """The worker processes of this one that are alive."""
    found = subprocess.run(
        ["ps", "-o", "pid=,stat=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True
    ).stdout
    rows = [line.split(None, 2) for line in found.splitlines()]
    return [int(row[0]) for row in rows if row[1][0] != "Z" and "sandbox.worker" in row[2]]
