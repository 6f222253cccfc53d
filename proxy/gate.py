"""What every route shares: reading a bounded body, proxy keys, headers that go on, errors."""

from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from bluecode.proxy.config import Config
from bluecode.proxy.upstream import KEY_HEADERS, Reply, UpstreamError, forwardable
from bluecode.proxy.wire.reading import WireError

_OURS = frozenset(
    {"host", "content-length", "accept-encoding", "expect", "x-bluecode-key", "x-bluecode-explain"}
)
_REPLY_OURS = frozenset({"content-length", "content-encoding", "date", "server"})


class Incoming(Headers):
    """A request's headers, read once: many of them are asked for, and few are there."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(scope=scope)
        self._pairs = super().items()
        self._first = dict(reversed(self._pairs))

    def items(self) -> list[tuple[str, str]]:  # type: ignore[override]
        return self._pairs

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower()]

    def get(self, key: str, default: Any = None) -> Any:
        return self._first.get(key.lower(), default)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and key.lower() in self._first


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The whole body. Raises `WireError` 413 over the limit, and `ClientGone`."""
    told = headers.get("content-length", "")
    if told.isdigit() and int(told) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def read_reply(reply: Reply, limit: int) -> bytes:
    """The provider's whole answer. Raises `UpstreamError` for one over the limit."""
    parts: list[bytes] = []
    size = 0
    while data := await reply.chunk():
        size += len(data)
        if size > limit:
            raise UpstreamError(502, "The model provider's answer is too large.", kind="broken")
        parts.append(data)
    return b"".join(parts)


class ClientGone(Exception):
    """The client left before its request was whole."""


def _too_large(limit: int) -> WireError:
    return WireError(
        413, f"The request body is over the limit of {limit} bytes.", code="request_too_large"
    )


def admit(headers: Headers, config: Config) -> str | None:
    """The name of the proxy key presented; None where the config sets none. Raises `WireError`."""
    if not config.proxy_keys:
        return None
    for given in _keys(headers).values():
        if (name := config.name_of(given)) is not None:
            return name
    raise WireError(401, "The proxy key is missing or wrong.", code="invalid_api_key")


def _keys(headers: Headers) -> dict[str, str]:
    """The keys a client presents, by header: protocols differ in where they put it."""
    given = {name: headers.get(name, "") for name in ("x-bluecode-key", *KEY_HEADERS)}
    return {**given, "authorization": bearer(headers)}


def bearer(headers: Headers) -> str:
    """The token in `Authorization`; empty where there is none."""
    kind, _, value = headers.get("authorization", "").partition(" ")
    return value.strip() if kind.lower() == "bearer" else ""


def headers_for_upstream(
    headers: Headers, config: Config, key_header: str = "authorization"
) -> tuple[tuple[str, str], ...]:
    """The client's headers, less ours; a proxy key never leaves the house. With several providers
    their keys come later, once it is known who is asked."""
    drop = _OURS
    extra = [("Accept-Encoding", "identity")]
    if config.upstream_key is not None and not config.upstreams:
        key = config.upstream_key.get()
        extra.append((key_header, f"Bearer {key}" if key_header == "authorization" else key))
        drop = drop | KEY_HEADERS
    elif config.proxy_keys:
        given = _keys(headers).items()
        drop = drop | {name for name, key in given if config.name_of(key) is not None}
    return (*forwardable(headers.items(), drop), *extra)


def headers_for_client(reply: Reply) -> list[tuple[bytes, bytes]]:
    """The provider's headers, less those of its connection and encoding, and those that are ours
    to set."""
    return [
        (name.lower().encode("utf-8", "surrogateescape"), _as_sent(value))
        for name, value in forwardable(reply.headers, _REPLY_OURS)
        if not name.lower().startswith("x-bluecode-")
    ]


def _as_sent(value: str) -> bytes:
    try:
        return value.encode("latin-1")
    except UnicodeEncodeError:  # the client library read the bytes as UTF-8
        return value.encode("utf-8", "surrogateescape")


async def send_body(
    send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    await send(start(status, headers))
    await send({"type": "http.response.body", "body": body})


def start(status: int, headers: list[tuple[bytes, bytes]]) -> Message:
    return {"type": "http.response.start", "status": status, "headers": headers}


def piece(body: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": body, "more_body": more}
