"""What a protocol's streamed events are to the hold: what each adds, and how one is changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from bluecode.proxy.wire.reading import Calls

Payload = Mapping[str, Any]


@dataclass(slots=True)
class Part:
    """What one event adds to one choice; or the whole of a choice of a whole answer."""

    index: int
    text: str = ""
    asides: dict[str, str] = field(default_factory=dict)
    """Text in other places than the protocol's own, by place."""
    pieces: Sequence[Payload] = ()
    whole_calls: Sequence[Payload] = ()
    """Calls that stand whole beside the pieces of calls."""
    reasoning: str = ""
    finish: str | None = None
    unread: tuple[str, ...] = ()
    """Reasons for `unchecked`."""
    breaks: bool = False
    """Does a text of its own begin here, or end?"""
    hold: bool = False
    """Does the event belong to something that is judged only when the choice is whole?"""

    @property
    def waits(self) -> bool:
        """Is there something that is judged only when the choice is whole?"""
        return bool(self.hold or self.pieces or self.asides or self.whole_calls)


class Shape(Protocol):
    """The events of one stream. It may remember what went by."""

    def read(self, data: bytes) -> dict[str, Any] | None:
        """An event's payload; None for the one that ends the stream. Raises `BrokenStream`."""
        ...

    def failed(self, payload: Payload) -> bool:
        """Does the provider say here that it failed?"""
        ...

    def parts(self, payload: Payload) -> list[Part]:
        """What the event adds, choice by choice; asked once for each event, in their order.

        Raises `BrokenStream` where it cannot be told which choice something belongs to.
        """
        ...

    def final(self, payload: Payload) -> bool:
        """Is this the event that ends the stream, with something to say of its own?"""
        ...

    def leaving(self, payload: Payload, raw: bytes) -> tuple[Payload, bytes]:
        """The event as it goes to the client now: as it came, unless what stands before it was
        changed and it says so."""
        ...

    def shortened(
        self, payload: Payload, index: int, text: str, *, rest: bool = False
    ) -> dict[str, Any] | None:
        """The event with this text as all that one choice says; None where nothing is left.

        With `rest` the choice keeps what else it had: its end, its tool calls.
        """
        ...

    def note(self, index: int, text: str, before: Sequence[Payload]) -> list[dict[str, Any]]:
        """Events that add text to a choice, behind those that left and those in `before`."""
        ...

    def ending(self, index: int, before: Sequence[Payload]) -> list[dict[str, Any]]:
        """Events that end a choice well, likewise."""
        ...

    def nothing(self) -> dict[str, Any]:
        """An event that adds nothing, to carry the verdict."""
        ...

    def event(self, payload: Payload) -> bytes:
        """Raises ValueError for numbers that JSON cannot hold."""
        ...

    def said(self, index: int, text: str, calls: Calls) -> str:
        """A choice as it will be read when it comes back in the history."""
        ...
