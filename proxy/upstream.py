"""The model provider behind BlueCode: raw bytes out, raw bytes back.

`HttpUpstream` speaks to anything that serves the OpenAI protocol and never parses a body.
`LiteLLMUpstream` serves every other provider; litellm takes seconds to import, so it is imported
only when such an upstream is opened.
"""

import json
import os
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from bluecode.proxy.translated import TRANSLATED, Translated, whole

HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer"
    " transfer-encoding upgrade".split()
)
"""RFC 9110 section 7.6.1: these belong to one connection and are never passed on."""


KEY_HEADERS = frozenset({"authorization", "x-api-key", "x-goog-api-key", "api-key"})
"""Where clients put the key of their provider."""


class UpstreamError(Exception):
    """The provider could not be used; `status` is what the client gets, the message is safe."""

    def __init__(self, status: int, message: str, *, kind: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        """One of `connect`, `timeout`, `broken`, `provider`: a metric label."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to the provider."""

    method: str
    path: str
    """Below the API root, for example `/chat/completions`."""
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    model: str = ""
    """As the client names it; empty where the request names none."""


class Reply(Protocol):
    """The provider's answer while it arrives."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> tuple[tuple[str, str], ...]: ...

    async def chunk(self) -> bytes:
        """The next bytes, empty at the end. May be cancelled and called again."""
        ...


class Upstream(Protocol):
    """Where requests go. Opening and closing belong to the application's lifespan."""

    @property
    def state(self) -> str:
        """`untried`, `reachable` or `unreachable`, as the last request found it."""
        ...

    def send(self, call: Call) -> AbstractAsyncContextManager[Reply]:
        """Send one request. Raises `UpstreamError`; leaving the context closes the connection."""
        ...

    async def close(self) -> None: ...


class _HttpReply:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = tuple(response.headers.items())

    async def chunk(self) -> bytes:
        try:
            return await self._response.content.readany()
        except TimeoutError as error:
            raise UpstreamError(504, "The model provider fell silent.", kind="timeout") from error
        except aiohttp.ClientError as error:
            raise UpstreamError(502, "The model provider broke off.", kind="broken") from error


class _Sending:
    """One request to an `HttpUpstream`, and its answer for as long as that is read."""

    def __init__(self, upstream: "HttpUpstream", call: Call) -> None:
        self._upstream = upstream
        self._call = call

    async def __aenter__(self) -> Reply:
        self._response = await self._upstream.connect(self._call)
        return _HttpReply(self._response)

    async def __aexit__(self, *raised: object) -> None:
        self._response.release()
        await self._response.wait_for_close()


class HttpUpstream:
    """An OpenAI-compatible API root, for example `https://api.openai.com/v1`."""

    def __init__(self, root: str, *, connect: float = 10.0, read: float = 600.0) -> None:
        self._root = root.rstrip("/")
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=read)
        self._session: aiohttp.ClientSession | None = None
        self._proxy = _proxy_for(root)
        self.state = "untried"

    def send(self, call: Call) -> AbstractAsyncContextManager[Reply]:
        return _Sending(self, call)

    async def connect(self, call: Call) -> aiohttp.ClientResponse:
        """The answer as soon as its head is there, to be released by the caller."""
        # Ollama has its own protocol beside OpenAI's, and not below the same root.
        own = call.path.startswith("/api/")
        root = self._root.removesuffix("/v1") if own else self._root
        url = f"{root}{call.path}" + (f"?{call.query}" if call.query else "")
        try:
            response = await self._open().request(
                call.method,
                url,
                headers=call.headers,
                data=call.body,
                allow_redirects=False,
                proxy=self._proxy,
            )
        except TimeoutError as error:
            self.state = "unreachable"
            message = "The model provider did not answer in time."
            raise UpstreamError(504, message, kind="timeout") from error
        except (aiohttp.ClientError, ValueError) as error:
            self.state = "unreachable"
            message = "The model provider cannot be reached."
            raise UpstreamError(502, message, kind="connect") from error
        self.state = "reachable"
        return response

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
                read_bufsize=2**18,
            )
        return self._session


def _proxy_for(root: str) -> str | None:
    """The way out that `HTTPS_PROXY` names, unless `NO_PROXY` names the host; read once,
    since aiohttp's own reading costs as much as the rest of a request."""
    parts = urlsplit(root)
    if not parts.hostname or urllib.request.proxy_bypass(parts.hostname):
        return None
    return urllib.request.getproxies().get(parts.scheme)


class _ModelReply:
    def __init__(
        self, status: int, content_type: str, source: MemoryObjectReceiveStream[bytes | Exception]
    ) -> None:
        self.status = status
        self.headers = (("content-type", content_type),)
        self._source = source

    async def chunk(self) -> bytes:
        try:
            item = await self._source.receive()
        except anyio.EndOfStream:
            return b""
        if isinstance(item, Exception):
            raise UpstreamError(502, "The model provider broke off.", kind="broken") from item
        return item


class WholeReply:
    """See `Reply`. An answer of ours."""

    status = 200
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)

    def __init__(self, body: bytes) -> None:
        self._body = body

    async def chunk(self) -> bytes:
        body, self._body = self._body, b""
        return body


class LiteLLMUpstream:
    """A model by its litellm name, for example `anthropic/claude-sonnet-4-5`; a `*` in it stands
    for the model that is asked for."""

    def __init__(self, model: str, *, key: str | None = None, read: float = 600.0) -> None:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
        import litellm

        litellm.suppress_debug_info = True  # it prints advice to standard output otherwise
        self._litellm: Any = litellm
        self._model = model
        self._key = key
        self._read = read
        self.state = "untried"

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        if call.path == "/models" and call.method == "GET":
            yield WholeReply(json.dumps(self._models()).encode())
            return
        translated = TRANSLATED.get(call.path)
        if translated is None:
            raise UpstreamError(404, "This upstream serves no such path.", kind="provider")
        body = json.loads(call.body)
        answer = await self._ask(call, translated, body)
        if not body.get("stream"):
            yield WholeReply(whole(answer))
            return
        async with _streamed(answer, translated) as reply:
            yield reply

    async def close(self) -> None:
        """litellm keeps its own clients and closes them itself."""

    def _models(self) -> dict[str, Any]:
        model = {"id": self._model, "object": "model", "created": 0, "owned_by": "litellm"}
        return {"object": "list", "data": [] if "*" in self._model else [model]}

    async def _ask(self, call: Call, translated: Translated, body: dict[str, Any]) -> Any:
        headers = {name.lower(): value for name, value in call.headers}
        bearer = headers.get("authorization", "").removeprefix("Bearer ").strip()
        key = self._key or headers.get("x-api-key") or bearer or None
        ask = translated.ask(self._litellm)
        asked = translated.allowed(body)
        try:
            model = self._model.replace("*", call.model)
            answer = await ask(**asked, model=model, api_key=key, timeout=self._read)
        except self._litellm.exceptions.Timeout as error:
            self.state = "unreachable"
            raise UpstreamError(
                504, "The model provider did not answer in time.", kind="timeout"
            ) from error
        except Exception as error:  # litellm's errors share no base class; this edge names them all
            status = getattr(error, "status_code", None)
            self.state = "reachable" if isinstance(status, int) else "unreachable"
            given = status if isinstance(status, int) and 400 <= status <= 599 else 502
            raise UpstreamError(
                given, f"The model provider refused ({type(error).__name__}).", kind="provider"
            ) from error
        self.state = "reachable"
        return answer


@asynccontextmanager
async def _streamed(answer: Any, translated: Translated) -> AsyncIterator[_ModelReply]:
    """litellm's generator, read ahead by a task so that waiting for a chunk may be cancelled."""
    send, receive = anyio.create_memory_object_stream[bytes | Exception](16)
    try:
        async with anyio.create_task_group() as tasks, receive:
            tasks.start_soon(_pump, answer, translated, send)
            yield _ModelReply(200, "text/event-stream", receive)
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:  # what the reader of the reply raised, alone
        raise group.exceptions[0] from group


async def _pump(
    answer: Any, translated: Translated, target: MemoryObjectSendStream[bytes | Exception]
) -> None:
    async with target:
        try:
            async for piece in answer:
                await target.send(translated.event(piece))
        except (
            Exception
        ) as error:  # whatever litellm raises is handed to the reader, which names it
            await target.send(error)
            return
        finally:
            with anyio.CancelScope(shield=True):
                if (close := getattr(answer, "aclose", None)) is not None:
                    await close()
        if translated.done:
            await target.send(translated.done)


def forwardable(
    headers: Sequence[tuple[str, str]], drop: frozenset[str]
) -> tuple[tuple[str, str], ...]:
    """The headers that are passed on: all but hop-by-hop ones, those they name, and `drop`."""
    small = [name.lower() for name, _ in headers]
    gone = _gone(drop)
    if _NAMING in small:
        named = [value for name, (_, value) in zip(small, headers, strict=True) if name == _NAMING]
        gone = gone | {name.strip().lower() for name in ",".join(named).split(",")}
    return tuple(header for name, header in zip(small, headers, strict=True) if name not in gone)


_NAMING = "connection"


@lru_cache(maxsize=64)
def _gone(drop: frozenset[str]) -> frozenset[str]:
    return HOP_BY_HOP | drop
