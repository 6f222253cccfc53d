"""Events on hold, and what one of them becomes when a choice of it is cut short."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bluecode.defenses.snippets import SnippetExtractor
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.shape import Part, Payload, Shape


@dataclass(slots=True)
class Event:
    """One event on hold, with the text it adds to each choice and where that text starts."""

    raw: bytes
    payload: Payload | None = None
    starts: dict[int, int] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    waits: set[int] = field(default_factory=set)
    """Choices of which it holds something that is judged only when they are whole."""
    finishes: set[int] = field(default_factory=set)
    """Choices that end with it."""

    def end(self, index: int) -> int:
        return self.starts[index] + len(self.texts[index])


@dataclass(slots=True)
class Choice:
    """One choice of the answer while it comes in."""

    extractor: SnippetExtractor = field(default_factory=SnippetExtractor)
    base: int = 0
    """Offset of the text that the extractor reads."""
    received: int = 0
    text: list[str] = field(default_factory=list)
    calls: reading.Calls = field(default_factory=reading.Calls)
    whole_calls: reading.Calls = field(default_factory=reading.Calls)
    asides: dict[str, list[str]] = field(default_factory=dict)
    held: int = 0
    """Characters of calls and asides."""
    waiting: bool = False
    """Is there something that waits for the end?"""
    passed: bool = False
    """Did all of it pass?"""
    finished: bool = False
    resumes: int = 0
    open: bool = False
    """Held past the limit and let through by policy: nothing more is looked at."""
    cut: int | None = None
    """Offset of the first character that the client does not get."""

    @property
    def settled(self) -> int:
        """Offset up to which the text is prose or code that passed."""
        return self.base + self.extractor.settled

    @property
    def ended(self) -> bool:
        return self.finished or self.cut is not None

    def forget_unfinished(self) -> None:
        """Drop what waits for an end that does not come."""
        self.waiting = False
        self.calls.clear()
        self.whole_calls.clear()
        self.asides.clear()

    def collect(self, part: Part) -> None:
        """Take what is judged only when the choice is whole."""
        self.passed, self.waiting = False, True
        for piece in part.pieces:
            self.held += self.calls.add(piece)
        for piece in part.whole_calls:
            self.held += self.whole_calls.add({**piece, "index": len(self.whole_calls)})
        for place, text in part.asides.items():
            self.asides.setdefault(place, []).append(text)
            self.held += len(text)


def cut_off(shape: Shape, events: Sequence[Event], index: int, at: int) -> list[Event]:
    """The events less what a choice says from offset `at` on, and what waits for its end."""
    kept = []
    whole = True
    for event in events:
        if event.payload is not None and index in event.starts:
            held = index in event.finishes or index in event.waits
            whole = whole and event.end(index) <= at and not held
            if not whole:
                event = shortened(shape, event, index, at)
        if event.raw:
            kept.append(event)
    return kept


def shortened(shape: Shape, event: Event, index: int, end: int) -> Event:
    """The event with the choice's text up to offset `end` and nothing else of the choice."""
    start = event.starts.get(index, end)
    text = event.texts.get(index, "")[: max(0, end - start)]
    return _rebuilt(shape, event, index, start, text)


def rest(shape: Shape, event: Event, index: int, start: int) -> Event:
    """The event less a choice's text before offset `start`."""
    text = event.texts[index][max(0, start - event.starts[index]) :]
    begin = max(start, event.starts[index])
    return _rebuilt(shape, event, index, begin, text, rest=True)


def _rebuilt(
    shape: Shape, event: Event, index: int, start: int, text: str, *, rest: bool = False
) -> Event:
    """The event with one choice changed, or without it; an event of no use has no bytes."""
    assert event.payload is not None
    payload = shape.shortened(event.payload, index, text, rest=rest)
    if payload is None:
        return Event(b"")
    try:
        new = Event(shape.event(payload), payload)
    except ValueError as error:
        raise BrokenStream("an event holds a number that JSON cannot hold") from error
    kept = rest or bool(text)
    new.starts = {at: begin for at, begin in event.starts.items() if at != index}
    new.texts = {at: event.texts[at] for at in new.starts}
    if kept:
        new.starts[index], new.texts[index] = start, text
    new.waits = {at for at in event.waits if rest or at != index}
    new.finishes = {at for at in event.finishes if rest or at != index}
    return new
