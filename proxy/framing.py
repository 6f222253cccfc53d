"""How a protocol's streams are cut into events and put together again.

Inside BlueCode every event is a server-sent one. Protocols that send lines of JSON come in as such
events and leave as lines again, each as it came.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from bluecode.proxy.sse import BrokenStream, EventSplitter
from bluecode.proxy.wire.wire import Wire


class Splitter(Protocol):
    """Bytes as they come in, whole events out."""

    def feed(self, data: bytes) -> list[bytes]:
        """Raises `BrokenStream` when one event grows past the limit."""
        ...

    def rest(self) -> bytes:
        """What came after the last whole event."""
        ...


class Framing(Protocol):
    """The outer form of a stream."""

    @property
    def content_type(self) -> str: ...

    def splitter(self, limit: int) -> Splitter:
        """For one stream; `limit` is the bytes of one event."""
        ...

    def sent(self, events: Sequence[bytes]) -> bytes:
        """Events as they go over the wire."""
        ...


class ServerSentEvents:
    """See `Framing`."""

    content_type = "text/event-stream"

    def splitter(self, limit: int) -> Splitter:
        return EventSplitter(limit)

    def sent(self, events: Sequence[bytes]) -> bytes:
        return b"".join(events)


class _LineSplitter:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        seen = len(self._rest)
        self._rest += data
        end = self._rest.rfind(b"\n", seen)
        if end >= 0:
            lines = bytes(self._rest[:end]).split(b"\n")
            del self._rest[: end + 1]
        else:
            lines = []
        if max((len(line) for line in (self._rest, *lines)), default=0) > self._limit:
            raise BrokenStream("one line is larger than the limit")
        return [_event(line) for line in lines]

    def rest(self) -> bytes:
        return _event(bytes(self._rest)) if self._rest.strip() else b""


def _event(line: bytes) -> bytes:
    """A line as an event; one that another reader would take for several lines is none."""
    if b"\r" in line.rstrip(b"\r"):
        raise BrokenStream("a line holds the end of another")
    return b"data: " + line.rstrip(b"\r") + b"\n\n"


class Lines:
    """Lines of JSON. See `Framing`."""

    content_type = "application/x-ndjson"

    def splitter(self, limit: int) -> Splitter:
        return _LineSplitter(limit)

    def sent(self, events: Sequence[bytes]) -> bytes:
        told = (event.removeprefix(b"data: ").strip() for event in events)
        return b"".join(line + b"\n" for line in told if line)


EVENTS: Final = ServerSentEvents()
LINES: Final = Lines()


def framing_of(wire: Wire) -> Framing:
    """A wire's `framing`; one that names none sends server-sent events."""
    framing: Framing = getattr(wire, "framing", EVENTS)
    return framing
