"""Several providers behind one BlueCode: each request goes to the one that has its model.

Where a provider cannot answer (it is out of reach, says 429 or fails), its fallbacks are asked in
their order, as long as nothing of an answer has come; once a provider begins to answer, its answer
is the one that the client gets. What a client brought as its provider's key goes to the provider of
the model that it named, and to nobody else.
"""

import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from bluecode.proxy.config import Protocol, UpstreamConfig
from bluecode.proxy.listing import listed
from bluecode.proxy.renamed import RenamedReply, renamed
from bluecode.proxy.upstream import KEY_HEADERS, Call, Reply, Upstream, UpstreamError, WholeReply

log = logging.getLogger("bluecode.routing")
Count = Callable[[str, str], None]
"""Told the upstream's name, and how the try ended."""
_KEY_HEADER: Final[Mapping[Protocol, str]] = {
    "openai": "authorization",
    "anthropic": "x-api-key",
    "gemini": "x-goog-api-key",
    "ollama": "authorization",
}


def protocol_of(path: str) -> Protocol:
    """Whose protocol a path below the API root belongs to."""
    if path.startswith("/api/"):
        return "ollama"
    if path.startswith("/messages"):
        return "anthropic"
    return "gemini" if path.startswith("/models/") and ":" in path else "openai"


@dataclass(frozen=True, slots=True)
class Way:
    """One provider."""

    told: UpstreamConfig
    upstream: Upstream
    key: str | None = None
    """Sent in place of the client's own."""

    @property
    def origin(self) -> str:
        """Whom a key is told that is sent there."""
        parts = urlsplit(self.told.upstream)
        return f"{parts.scheme}://{parts.netloc}" if parts.netloc else self.told.upstream


class RoutedUpstream:
    """See `Upstream`."""

    def __init__(self, ways: Sequence[Way], count: Count, *, limit: int) -> None:
        """`limit` is the bytes of an answer that may be kept to put another name in it."""
        self._ways = ways
        self._by_name = {way.told.name: way for way in ways}
        self._count = count
        self._limit = limit

    @property
    def state(self) -> str:
        states = {way.upstream.state for way in self._ways}
        return next((one for one in ("reachable", "unreachable") if one in states), "untried")

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        if call.method == "GET" and call.path in ("/models", "/api/tags"):
            lists = [(way.told, way.upstream, _with_key(way, call)) for way in self._ways]
            yield WholeReply(json.dumps(await listed(lists, call)).encode())
            return
        async with AsyncExitStack() as stack:
            yield await self._first_answer(self._ways_for(call), call, stack)

    async def close(self) -> None:
        for way in self._ways:
            await way.upstream.close()

    async def _first_answer(self, ways: Sequence[Way], call: Call, stack: AsyncExitStack) -> Reply:
        """The answer of the first that gives one; what the last says, where none does."""
        for at, way in enumerate(ways):
            last = at == len(ways) - 1
            own = self._own_call(way, call, ways[0])
            tried = await stack.enter_async_context(AsyncExitStack())
            try:
                reply = await tried.enter_async_context(way.upstream.send(own))
            except UpstreamError as error:
                self._count(way.told.name, error.kind)
                if last or not _passes(error.status):
                    raise
            else:
                self._count(way.told.name, _outcome(reply.status))
                if last or not _passes(reply.status):
                    return self._told(reply, way, call)
                await tried.aclose()
            log.info("fallback: %s -> %s", way.told.name, ways[at + 1].told.name)
        raise UpstreamError(404, "No upstream has the model that was asked for.", kind="provider")

    def _ways_for(self, call: Call) -> list[Way]:
        """Who has the model, and its fallbacks that speak the protocol."""
        protocol = protocol_of(call.path)
        able = [way for way in self._ways if way.told.speaks(protocol)]
        if not call.model and call.method == "GET":
            return able[-1:] if able and able[-1].told.name == "default" else able[:1]
        first = next((way for way in able if way.told.has(call.model, protocol)), None)
        if first is None:
            return []
        others = (self._by_name[name] for name in first.told.fallbacks)
        return [first, *(way for way in others if way in able)]

    def _own_call(self, way: Way, call: Call, first: Way) -> Call:
        """The call as this provider takes it."""
        asked = way.told.aliases.get(call.model, call.model)
        own = replace(_with_key(way, call, trusted=way.origin == first.origin), model=asked)
        if asked == call.model:
            return own
        if call.path.startswith("/models/"):
            rest = call.path.removeprefix(f"/models/{call.model}")
            return replace(own, path=f"/models/{asked}{rest}")
        return replace(own, body=renamed(call.body, asked))

    def _told(self, reply: Reply, way: Way, call: Call) -> Reply:
        """The answer, in which the model is called as the client called it."""
        asked = way.told.aliases.get(call.model, call.model)
        if not call.model or reply.status >= 300:
            return reply
        if asked == call.model and not way.told.by_litellm:
            return reply
        a_model = call.method == "GET" and call.path.startswith("/models/")
        return RenamedReply(reply, call.model, self._limit, listed=a_model)


def _with_key(way: Way, call: Call, *, trusted: bool = False) -> Call:
    """The call with the provider's key; the client's own goes to the provider that it meant, which
    is `trusted`, and to no other."""
    if way.key is None and trusted:
        return call
    kept = [item for item in call.headers if item[0].lower() not in KEY_HEADERS]
    asked = [part for part in call.query.split("&") if not part.startswith("key=")]
    headers = (*kept, *_key(way, protocol_of(call.path)))
    return replace(call, headers=headers, query="&".join(asked))


def _key(way: Way, protocol: Protocol) -> Iterator[tuple[str, str]]:
    if way.key is None:
        return
    spoken = way.told.protocols
    header = _KEY_HEADER[protocol if not spoken or protocol in spoken else spoken[0]]
    yield header, f"Bearer {way.key}" if header == "authorization" else way.key


def _passes(status: int) -> bool:
    """May another be asked?"""
    return status == 429 or status >= 500


def _outcome(status: int) -> str:
    if status == 429:
        return "limited"
    return "answered" if status < 400 else "refused" if status < 500 else "failed"
