"""How long the provider takes until its answer begins, told apart from what BlueCode takes; and
where somebody counts them, the tokens that its answer used."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from bluecode.proxy.limits import METER, Meter
from bluecode.proxy.upstream import Call, Reply, Upstream


class TimedUpstream:
    """Another upstream, each of whose answers is timed to its first byte."""

    def __init__(self, upstream: Upstream, observe: Callable[[float], None]) -> None:
        self._upstream = upstream
        self._observe = observe

    @property
    def state(self) -> str:
        return self._upstream.state

    def send(self, call: Call) -> AbstractAsyncContextManager[Reply]:
        return _Timed(self._upstream.send(call), self._observe)

    async def close(self) -> None:
        await self._upstream.close()


class _Timed:
    """One answer, timed to its first byte and metered to its last."""

    def __init__(
        self, sending: AbstractAsyncContextManager[Reply], observe: Callable[[float], None]
    ) -> None:
        self._sending = sending
        self._observe = observe
        self._meter: Meter | None = None

    async def __aenter__(self) -> Reply:
        started = time.perf_counter()
        reply = await self._sending.__aenter__()
        self._observe(time.perf_counter() - started)
        self._meter = METER.get()
        return reply if self._meter is None else self._meter.watch(reply)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        try:
            if self._meter is not None:
                self._meter.end()
        finally:
            ended = await self._sending.__aexit__(kind, error, trace)
        return ended
