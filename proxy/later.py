"""Work beside a request that few requests need: it begins only once the request has taken a while.

Most of what takes time in an answer at once would be the task for watching over it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

import anyio


class Later:
    """Within it, `work` begins after `seconds` in a task of its own, which ends at the exit.

    What `work` raises is raised at the exit, unless something else is.
    """

    def __init__(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        self._seconds = seconds
        self._work = work
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(self._seconds, self._begin)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        task = self._task
        if task is None:
            return
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        if error is None and not task.cancelled() and (failed := task.exception()) is not None:
            raise failed

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._run())

    async def _run(self) -> None:
        await self._work()
