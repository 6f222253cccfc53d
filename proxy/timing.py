"""How long the provider takes until its answer begins, told apart from what BlueCode takes; and
where somebody counts them, the tokens that its answer used."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bluecode.proxy.limits import METER
from bluecode.proxy.upstream import Call, Reply, Upstream


class TimedUpstream:
    """Another upstream, each of whose answers is timed to its first byte."""

    def __init__(self, upstream: Upstream, observe: Callable[[float], None]) -> None:
        self._upstream = upstream
        self._observe = observe

    @property
    def state(self) -> str:
        return self._upstream.state

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        started = time.perf_counter()
        async with self._upstream.send(call) as reply:
            self._observe(time.perf_counter() - started)
            if (meter := METER.get()) is None:
                yield reply
                return
            try:
                yield meter.watch(reply)
            finally:
                meter.end()

    async def close(self) -> None:
        await self._upstream.close()
