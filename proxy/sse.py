"""Server-sent events as raw bytes: cut apart, never rewritten."""

import json
import re
from typing import Any

_BOUNDARY = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")

_BLANK = b" \t\x0b\x0c\xef\xbb\xbf"


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
        if not self._parts and _is_one_event(data):
            return [data]
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


def _is_one_event(data: bytes) -> bool:
    """Are they one event to the byte, as they come from providers that write each as it is made?

    Without a carriage return only two line feeds end an event.
    """
    return data.endswith(b"\n\n") and data.find(b"\n\n") == len(data) - 2 and b"\r" not in data


def data_of(event: bytes) -> bytes | None:
    """The event's data lines joined, or None where it has none (comments, ids).

    Lines with blanks or a byte order mark before `data` count, since lenient clients read them.
    """
    if event.startswith(b"data:") and event.count(b"\n") + event.count(b"\r") == 2:
        return event[5:].strip()
    lines = [line.lstrip(_BLANK) for line in re.split(rb"\r\n|\n|\r", event) if _is_data(line)]
    values = [line[5:].removeprefix(b" ") for line in lines]
    return b"\n".join(values).strip() if values else None


def with_member(event: bytes, name: str, value: Any) -> bytes:
    """The event with one more member at the end of its JSON object, its values as they were."""
    data = data_of(event)
    assert data is not None and data.endswith(b"}")
    comma = b"," if data[1:-1].strip() else b""
    told = json.dumps({name: value}, separators=(",", ":")).encode()[1:]
    other = [line for line in re.split(rb"\r\n|\n|\r", event) if line and not _is_data(line)]
    lines = (data[:-1].rstrip() + comma + told).split(b"\n")
    return b"\n".join([*other, *(b"data: " + line for line in lines)]) + b"\n\n"


def _is_data(line: bytes) -> bool:
    return line.lstrip(_BLANK).startswith(b"data:")
