"""What replicas share through a Redis or Valkey: verdicts, and the counts behind limits.

It helps and is never needed. A lookup takes a few milliseconds at most, all else is done beside
the requests; while the store cannot be reached nobody asks it, and each replica goes on alone.
Nothing in it is believed without the seal of a replica with the same key: whoever can write to the
store can make BlueCode work more, and can raise or lower counts, but cannot make a verdict. No text
is in it, and no name of a key.
"""

import hmac
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from bluecode.defenses.conversation import digest
from bluecode.defenses.verdict import Verdict
from bluecode.proxy.beside import beside
from bluecode.proxy.limits import Counted, Limits, Window
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.sealed import NotSealed, Sealer

log = logging.getLogger("bluecode.shared")

PAUSE: Final = 0.2
"""Seconds between two exchanges of counts and of new verdicts."""
_PATIENCE: Final = 2.0
"""Seconds that anything beside the requests may take."""
_LATE: Final = 3
"""Lookups that come late one after the other before nobody asks any more."""
_ASKING: Final = 32
"""Lookups at the same time."""
_KEPT: Final = 86_400
"""Seconds that a verdict is kept there."""
_WAITING: Final = 2_000
"""New verdicts that wait to be written; the oldest are let go."""
_AT_ONCE: Final = 200
_LOST: Final = (RedisError, OSError, TimeoutError, ValueError, RecursionError)
"""How it shows that the store cannot be used; the last two, that what answers there is none."""


class Shared:
    """See `Shared.open`."""

    def __init__(
        self,
        store: redis.asyncio.Redis,
        key: bytes,
        limits: Limits,
        metrics: Metrics,
        *,
        wait: float,
    ) -> None:
        self._store = store
        self._sealer = Sealer(key)
        self._names = hmac.digest(key, b"bluecode: names of what is shared", "sha256")
        self._limits = limits
        self._metrics = metrics
        self._wait = wait
        self._waiting: OrderedDict[str, Verdict] = OrderedDict()
        self._asking = 0
        self._late = 0
        self._up = False
        self._show(False)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, url: str, key: bytes, limits: Limits, metrics: Metrics, *, wait: float
    ) -> AsyncIterator["Shared"]:
        """Use the store at an address such as `redis://host:6379/0`, now or once it is there.

        `key` is what the replicas have in common, `wait` the seconds that a lookup may take.
        """
        store = _opened(url)
        shared = cls(store, key, limits, metrics, wait=wait)
        try:
            async with beside(shared.run):
                yield shared
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await store.aclose()

    @property
    def up(self) -> bool:
        """Is the store asked?"""
        return self._up

    async def get(self, key: str) -> Verdict | None:
        """A verdict that a replica left; None where there is none, or none in time."""
        if not self._up or self._asking >= _ASKING:
            self._told("skipped")
            return None
        self._asking += 1
        try:
            with anyio.move_on_after(self._wait) as scope:
                raw = await self._store.get(self._name("verdict", key))
        except _LOST as error:
            self._lose(error)
            self._told("failed")
            return None
        finally:
            self._asking -= 1
        if scope.cancelled_caught:
            self._late += 1
            if self._late >= _LATE:
                self._lose(TimeoutError("late"))
            self._told("late")
            return None
        self._late = 0
        if not isinstance(raw, bytes):
            self._told("miss")
            return None
        return self._read(key, raw)

    def put(self, key: str, verdict: Verdict) -> None:
        """Leave a verdict for the others, before long; nobody waits for it."""
        if not self._up:
            return
        self._waiting[key] = verdict
        while len(self._waiting) > _WAITING:
            self._waiting.popitem(last=False)

    async def run(self) -> None:
        """Exchange until cancelled; while the store is lost, see whether it is back."""
        while True:
            try:
                with anyio.fail_after(_PATIENCE):
                    await (self._exchange() if self._up else self._seek())
            except _LOST as error:
                self._lose(error)
            await anyio.sleep(PAUSE)

    async def _seek(self) -> None:
        """The first word may have to make a connection; the second must come in time."""
        await self._store.ping()
        with anyio.fail_after(self._wait):
            await self._store.ping()
        log.info("The shared store is reached.")
        self._late = 0
        self._show(True)

    def _lose(self, error: Exception) -> None:
        if self._up:
            log.warning("The shared store is lost (%s); on alone.", type(error).__name__)
        self._waiting.clear()
        self._show(False)

    def _show(self, up: bool) -> None:
        self._up = up
        self._metrics.shared_up.labels("redis").set(up)

    def _told(self, result: str) -> None:
        self._metrics.shared_lookups.labels(result).inc()

    def _read(self, key: str, raw: bytes) -> Verdict | None:
        try:
            verdict = self._sealer.opened(key, raw)
        except NotSealed:
            log.warning("An entry of the shared store carries no seal of ours and is not used.")
            self._told("forged")
            return None
        self._told("hit")
        return verdict

    async def _exchange(self) -> None:
        """Leave what is new, hear what the others counted."""
        stirred = [(key, window) for key, window in self._limits.windows.items() if window.stirred]
        for at in range(0, len(stirred), _AT_ONCE):
            await self._exchange_counts(stirred[at : at + _AT_ONCE])
        await self._leave_verdicts()

    async def _leave_verdicts(self) -> None:
        if not self._waiting:
            await self._store.ping()
            return
        new = [self._waiting.popitem(last=False) for _ in range(min(_AT_ONCE, len(self._waiting)))]
        pipe = self._store.pipeline(transaction=False)
        for key, verdict in new:
            pipe.set(self._name("verdict", key), self._sealer.sealed(key, verdict), ex=_KEPT)
        await pipe.execute()

    async def _exchange_counts(self, stirred: list[tuple[Counted, Window]]) -> None:
        pipe = self._store.pipeline(transaction=False)
        sent = []
        for key, window in stirred:
            name, before = (self._count(key, window.number - back) for back in (0, 1))
            pipe.incrby(name, window.unsent)
            pipe.expire(name, 2 * window.seconds)
            pipe.get(before)
            sent.append((window, window.number, window.unsent))
        told = await pipe.execute(raise_on_error=False)
        for at, (window, number, amount) in enumerate(sent):
            window.heard(number, amount, _number(told[3 * at]), _number(told[3 * at + 2]))

    def _count(self, key: Counted, number: int) -> str:
        return self._name("count", *key, str(number))

    def _name(self, *parts: str) -> str:
        """What neither tells a text nor can be guessed without the key."""
        told = hmac.digest(self._names, digest(*parts).encode(), "sha256")
        return f"bluecode:{told.hex()[:40]}"


class StoreLost(Exception):
    """There is no store that can be used; the message says how that shows."""


async def answer_time(url: str) -> float:
    """Seconds that the store takes for a word, once there is a connection. Raises `StoreLost`."""
    store = _opened(url)
    try:
        await store.ping()
        started = time.perf_counter()
        await store.ping()
        return time.perf_counter() - started
    except _LOST as error:
        raise StoreLost(type(error).__name__) from error
    finally:
        await store.aclose()


def _opened(url: str) -> redis.asyncio.Redis:
    return redis.asyncio.Redis.from_url(
        url,
        socket_timeout=_PATIENCE,
        socket_connect_timeout=_PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )


def _number(told: Any) -> int | None:
    """A count; None for whatever else stands there, which others may have written."""
    try:
        return max(0, int(told))
    except (TypeError, ValueError):
        return None
