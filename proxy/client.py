"""The client's side of one request: what was sent to it, and when."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from starlette.types import Send

from bluecode.proxy import gate
from bluecode.proxy.framing import framing_of
from bluecode.proxy.wire.wire import Wire

Headers = Sequence[tuple[bytes, bytes]]


class Client:
    """Sends one answer; each call hands over whole events, so calls may come from two tasks."""

    def __init__(self, send: Send, request_id: str, wire: Wire) -> None:
        self._send = send
        self._wire = wire
        self._framing = framing_of(wire)
        self._id = (b"x-bluecode-request-id", request_id.encode())
        self._opened = False
        self.served = False
        """Was all that it waits for handed over, or is just now?"""
        self._last = time.monotonic()

    def due(self, interval: float) -> float:
        """Seconds until the client should hear something."""
        return interval - (time.monotonic() - self._last)

    async def open(self, status: int, headers: Headers) -> None:
        self._opened = True
        await self._send(gate.start(status, [*headers, self._id]))

    async def data(self, data: bytes) -> None:
        self._last = time.monotonic()
        await self._send(gate.piece(data, more=True))

    async def events(self, events: Sequence[bytes]) -> None:
        if events:
            await self.data(self._framing.sent(events))

    async def close(self) -> None:
        self.served = True
        await self._send(gate.piece(b"", more=False))

    async def whole(self, status: int, headers: Headers, body: bytes) -> None:
        self._opened = self.served = True
        length = (b"content-length", str(len(body)).encode())
        await gate.send_body(self._send, status, [*headers, self._id, length], body)

    async def json(self, status: int, payload: Mapping[str, Any], headers: Headers = ()) -> None:
        kind = (b"content-type", b"application/json")
        await self.whole(status, [*headers, kind], json.dumps(payload).encode())

    async def error(
        self,
        status: int,
        message: str,
        *,
        code: str,
        kind: str = "invalid_request_error",
        headers: Headers = (),
    ) -> None:
        """An error answer; in the middle of one that has begun, an error event and a clean end."""
        if not self._opened:
            told = self._wire.error(message, code=code, kind=kind, status=status)
            await self.json(status, told, headers)
            return
        await self.events([self.error_event(message, code=code, kind=kind)])
        await self.close()

    def error_event(self, message: str, *, code: str, kind: str) -> bytes:
        """An error within a stream."""
        return self._wire.error_event(self._wire.error(message, code=code, kind=kind, status=502))

    async def blocked(self, text: str, told: Mapping[str, Any], headers: Headers) -> None:
        """A verdict as an error, for scripts and CI."""
        kind = "content_policy_violation"
        error = self._wire.error(text, code="bluecode_blocked", kind=kind, status=400)
        await self.json(400, {**error, "bluecode": told}, headers)


def raw(headers: Sequence[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    """Headers as they go over the wire."""
    return [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers]
