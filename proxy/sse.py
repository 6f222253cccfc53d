"""Server-sent events as raw bytes: cut apart, never rewritten."""

import re

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")


class BrokenStream(Exception):
    """An event that is larger than allowed, or data that no client could read."""


class EventSplitter:
    """Bytes as they come in, whole events (with their blank line) out."""

    def __init__(self, limit: int) -> None:
        self._parts = bytearray()
        self._limit = limit
        self._seen = 0

    def feed(self, data: bytes) -> list[bytes]:
        """Raises `BrokenStream` when one event grows past the limit."""
        self._parts += data
        events = []
        start = 0
        for end in _BOUNDARY.finditer(self._parts, max(0, self._seen - 3)):
            events.append(bytes(self._parts[start : end.end()]))
            start = end.end()
        if start:
            del self._parts[:start]
        self._seen = len(self._parts)
        if self._seen > self._limit:
            raise BrokenStream("one event is larger than the limit")
        return events

    def rest(self) -> bytes:
        """What came after the last whole event; a provider that ends well leaves nothing."""
        return bytes(self._parts)


def data_of(event: bytes) -> bytes | None:
    """The event's data lines joined, or None where it has none (comments, ids)."""
    if event.startswith(b"data:") and event.count(b"\n") + event.count(b"\r") == 2:
        return event[5:].strip()
    lines = [line for line in re.split(rb"\r\n|\n|\r", event) if line.startswith(b"data")]
    values = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(values).strip() if values else None
