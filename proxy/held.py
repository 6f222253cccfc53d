"""Events on hold, and what one of them becomes when a choice of it is cut short."""

from dataclasses import dataclass, field
from typing import Any

from bluecode.defenses.snippets import SnippetExtractor
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import openai_answer as chat
from bluecode.proxy.wire import reading


@dataclass(slots=True)
class Event:
    """One event on hold, with the text it adds to each choice and where that text starts."""

    raw: bytes
    payload: dict[str, Any] | None = None
    starts: dict[int, int] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)
    waits: set[int] = field(default_factory=set)
    """Choices of which it holds something that is judged only when they are whole."""
    last: bool = False

    def end(self, index: int) -> int:
        return self.starts[index] + len(self.texts[index])


@dataclass(slots=True)
class Choice:
    """One choice of the answer while it comes in."""

    extractor: SnippetExtractor = field(default_factory=SnippetExtractor)
    received: int = 0
    text: list[str] = field(default_factory=list)
    calls: reading.Calls = field(default_factory=reading.Calls)
    whole_calls: reading.Calls = field(default_factory=reading.Calls)
    asides: dict[str, list[str]] = field(default_factory=dict)
    held: int = 0
    """Characters of calls and asides."""
    passed: bool = False
    """Did everything that waits for the end pass?"""
    finished: bool = False
    resumes: int = 0
    open: bool = False
    """Held past the limit and let through by policy: nothing more is looked at."""
    cut: int | None = None
    """Offset of the first character that the client does not get."""

    @property
    def ended(self) -> bool:
        return self.finished or self.cut is not None

    def forget_unfinished(self) -> None:
        self.calls.clear()
        self.whole_calls.clear()
        self.asides.clear()

    def collect(self, part: chat.Part) -> None:
        """Take what is judged only when the choice is whole."""
        self.passed = False
        for piece in part.pieces:
            self.held += self.calls.add(piece)
        for piece in part.whole_calls:
            self.held += self.whole_calls.add({**piece, "index": len(self.whole_calls)})
        for place, text in part.asides.items():
            self.asides.setdefault(place, []).append(text)
            self.held += len(text)


def cut_off(event: Event, index: int, at: int) -> Event:
    if event.payload is None or index not in event.starts:
        return event
    if event.end(index) <= at and not event.last and index not in event.waits:
        return event
    return shortened(event, index, at)


def shortened(event: Event, index: int, end: int) -> Event:
    """The event with the choice's text up to offset `end` and nothing else of the choice."""
    start = event.starts.get(index, end)
    text = event.texts.get(index, "")[: max(0, end - start)]
    return _rebuilt(event, index, start, text)


def rest(event: Event, index: int, start: int) -> Event:
    """The event less a choice's text before offset `start`."""
    text = event.texts[index][max(0, start - event.starts[index]) :]
    return _rebuilt(event, index, max(start, event.starts[index]), text, rest=True)


def _rebuilt(event: Event, index: int, start: int, text: str, *, rest: bool = False) -> Event:
    """The event with one choice changed, or without it; an event of no use has no bytes."""
    assert event.payload is not None
    payload = chat.shortened(event.payload, index, text, rest=rest)
    if payload is None:
        return Event(b"")
    try:
        new = Event(chat.event(payload), payload)
    except ValueError as error:
        raise BrokenStream("an event holds a number that JSON cannot hold") from error
    for at, choice in chat.choices_of(payload):
        if at == index:
            new.starts[at], new.texts[at] = start, text
        elif at in event.starts:
            new.starts[at], new.texts[at] = event.starts[at], event.texts[at]
        new.last = new.last or bool(choice.get("finish_reason"))
    new.waits = {at for at in event.waits if at in new.starts and (rest or at != index)}
    return new
