"""Who gets a worker next: requests take turns, however many runs each of them waits for.

Within a request the order is that of coming. The queue is bounded; when it is full, the request
that waits for most gives up its newest place to one that waits for less.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from contextvars import ContextVar
from typing import Generic, TypeVar

import anyio

from bluecode.sandbox.outcome import SandboxUnavailable

Worker = TypeVar("Worker")

REQUEST: ContextVar[Hashable] = ContextVar("bluecode_request", default=None)
"""Whose runs these are; set once where a request comes in. Tasks that it starts inherit it."""


class Wait(Generic[Worker]):
    """One run's place in the queue."""

    def __init__(self) -> None:
        self.over = anyio.Event()
        self.worker: Worker | None = None
        self.refusal: str | None = None

    def end(self, *, worker: Worker | None = None, refusal: str | None = None) -> None:
        self.worker, self.refusal = worker, refusal
        self.over.set()


class Turns(Generic[Worker]):
    """Free workers, and the runs that wait for one. At no time are there both."""

    def __init__(self, most: int) -> None:
        self.waiting = 0
        self._most = most
        self._free: deque[Worker] = deque()
        self._queues: dict[Hashable, deque[Wait[Worker]]] = {}  # in the order of their turns
        self._closed = False

    def give(self, worker: Worker) -> None:
        """A worker is free: it goes to the request whose turn it is."""
        if self._closed:
            return
        if not self._queues:
            self._free.append(worker)
            return
        owner, queue = next(iter(self._queues.items()))
        wait = queue.popleft()
        self._left(owner, queue)
        if queue:  # to the end of the row
            self._queues[owner] = self._queues.pop(owner)
        wait.end(worker=worker)

    def withdraw(self, worker: Worker) -> None:
        """A worker that is free will not be given to anyone."""
        if worker in self._free:
            self._free.remove(worker)

    async def take(self, owner: Hashable, seconds: float) -> Worker | None:
        """The next free worker; None if there was none in time.

        Raises `SandboxUnavailable` if the queue is full or the sandbox is closed."""
        if self._closed:
            raise SandboxUnavailable("the sandbox is closed")
        if self._free:
            return self._free.popleft()
        wait = self._queued(owner)
        try:
            with anyio.move_on_after(seconds):
                await wait.over.wait()
        except BaseException:  # cancelled
            self._drop(owner, wait)
            if wait.worker is not None:  # it came at the same moment
                self.give(wait.worker)
            raise
        if wait.refusal is not None:
            raise SandboxUnavailable(wait.refusal)
        self._drop(owner, wait)
        return wait.worker

    def close(self) -> None:
        """All that wait are told so."""
        self._closed = True
        for queue in self._queues.values():
            for wait in queue:
                wait.end(refusal="the sandbox is closed")
        self._queues.clear()
        self._free.clear()
        self.waiting = 0

    def _queued(self, owner: Hashable) -> Wait[Worker]:
        if self.waiting >= self._most:
            self._make_room(owner)
        wait: Wait[Worker] = Wait()
        self._queues.setdefault(owner, deque()).append(wait)
        self.waiting += 1
        return wait

    def _make_room(self, owner: Hashable) -> None:
        """At the cost of the request that waits for most; if that is this one, it is refused."""
        refusal = f"{self._most} runs wait for a worker already"
        most = max(self._queues, key=lambda name: len(self._queues[name]), default=owner)
        if most == owner or len(self._queues[most]) <= len(self._queues.get(owner, ())) + 1:
            raise SandboxUnavailable(refusal)
        queue = self._queues[most]
        queue.pop().end(refusal=refusal)
        self._left(most, queue)

    def _drop(self, owner: Hashable, wait: Wait[Worker]) -> None:
        queue = self._queues.get(owner, deque())
        if wait in queue:
            queue.remove(wait)
            self._left(owner, queue)

    def _left(self, owner: Hashable, queue: deque[Wait[Worker]]) -> None:
        self.waiting -= 1
        if not queue:
            del self._queues[owner]
