"""Who waits for a worker, and in which order they get one."""

from __future__ import annotations

import anyio
import pytest

from bluecode.sandbox.outcome import SandboxUnavailable
from bluecode.sandbox.turns import Turns


class Queue:
    """Runs that wait for one worker, `w`, and the order in which they got it."""

    def __init__(self, most: int = 100) -> None:
        self.turns: Turns[str] = Turns(most)
        self.served: list[str] = []
        self.refused: list[str] = []

    async def ask(self, owner: str, seconds: float = 5.0) -> None:
        try:
            worker = await self.turns.take(owner, seconds)
        except SandboxUnavailable:
            self.refused.append(owner)
            return
        if worker is not None:
            self.served.append(owner)
            self.turns.give(worker)


async def served(queue: Queue, owners: str) -> list[str]:
    async with anyio.create_task_group() as tasks:
        for owner in owners:
            tasks.start_soon(queue.ask, owner)
        await anyio.wait_all_tasks_blocked()
        queue.turns.give("w")
    return queue.served


async def test_a_request_with_many_runs_does_not_starve_the_others() -> None:
    order = await served(Queue(), "a" * 50 + "b" + "c")

    assert order[:4] == ["a", "b", "c", "a"]
    assert len(order) == 52


async def test_requests_take_turns_and_keep_their_own_order() -> None:
    assert await served(Queue(), "aabbc") == ["a", "b", "c", "a", "b"]


async def test_a_full_queue_takes_from_the_request_that_waits_for_most() -> None:
    queue = Queue(most=4)

    order = await served(queue, "aaaab")

    assert queue.refused == ["a"]
    assert sorted(order) == ["a", "a", "a", "b"]


async def test_a_full_queue_refuses_the_request_that_filled_it() -> None:
    queue = Queue(most=2)

    await served(queue, "aaa")

    assert queue.refused == ["a"] and queue.served == ["a", "a"]


async def test_small_requests_do_not_push_one_another_out() -> None:
    queue = Queue(most=2)

    await served(queue, "abc")

    assert queue.refused == ["c"]


async def test_who_waits_too_long_gets_none_and_leaves_no_place_behind() -> None:
    queue = Queue()

    assert await queue.turns.take("a", 0.01) is None
    assert queue.turns.waiting == 0


async def test_a_worker_given_to_one_who_left_goes_to_the_next() -> None:
    queue = Queue()
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(queue.ask, "a")
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
        tasks.start_soon(queue.ask, "b")
        await anyio.wait_all_tasks_blocked()
        queue.turns.give("w")

    assert queue.served == ["a", "b"] and queue.turns.waiting == 0


async def test_a_cancelled_wait_passes_on_the_worker_that_came_with_it() -> None:
    queue = Queue()
    left = anyio.CancelScope()

    async def leave() -> None:
        with left:
            await queue.ask("a")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leave)
        await anyio.wait_all_tasks_blocked()
        queue.turns.give("w")
        left.cancel()  # before the one who waits has noticed

    assert await queue.turns.take("b", 0.0) == "w"


async def test_a_withdrawn_worker_is_given_to_nobody() -> None:
    queue = Queue()
    queue.turns.give("w")
    queue.turns.withdraw("w")

    assert await queue.turns.take("a", 0.0) is None


async def test_closing_tells_those_who_wait_and_those_who_come() -> None:
    queue = Queue()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(queue.ask, "a")
        await anyio.wait_all_tasks_blocked()
        queue.turns.close()

    assert queue.refused == ["a"]
    with pytest.raises(SandboxUnavailable, match="closed"):
        await queue.turns.take("b", 1)
