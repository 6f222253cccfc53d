"""What came of a run: values that describe the guest's doing, and the one exception that says the
sandbox itself could not look.

Events come from inside the guest and are untrusted input: they are parsed strictly, and what does
not parse is counted, never guessed at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, get_args

Ended = Literal["exited", "trapped", "timed_out", "out_of_fuel", "out_of_memory", "flooded"]
"""How a run came to its end; `exited` is the only one that the guest chose."""

ENDINGS: tuple[Ended, ...] = get_args(Ended)


class SandboxUnavailable(Exception):
    """The sandbox could not run the program; nothing is known about it."""


class CompilerLate(SandboxUnavailable):
    """No compiler was done with the program in time, so it was not run."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that the guest reported, with JSON values as arguments."""

    kind: str
    args: tuple[Any, ...]
    trusted: bool
    """True if it came from the interpreter's audit hook, which guest code cannot switch off. Guest
    code can still add such an event by `sys.audit`: it may lie to its own harm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run, from its start to its end."""

    ended: Ended
    finished: bool
    """True if the harness returned; False if the guest left early by whatever way."""

    events: tuple[Event, ...]
    """In the order of their reporting; on `flooded`, those before the flood."""

    malformed: int
    """Events that were not a JSON array with a kind; a sound harness sends none."""

    fuel_used: int
    seconds: float
    """Wall-clock seconds in the guest."""

    memory_peak: int
    """Bytes of linear memory at the end; linear memory never shrinks."""

    output: str = ""
    """The first characters that the guest wrote to its standard streams; untrusted."""

    detail: str = ""
    """A trap's name or an exit status, in our words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """A run as the engine saw it, its events not yet parsed: (trusted, JSON text) pairs."""

    ended: Ended
    finished: bool
    events: tuple[tuple[bool, bytes], ...]
    fuel_used: int
    seconds: float
    memory_peak: int
    output: bytes = b""
    detail: str = ""

    def outcome(self) -> Outcome:
        events = tuple(parse_events(self.events))
        return Outcome(
            ended=self.ended,
            finished=self.finished,
            events=events,
            malformed=len(self.events) - len(events),
            fuel_used=self.fuel_used,
            seconds=self.seconds,
            memory_peak=self.memory_peak,
            output=self.output.decode("utf-8", "replace"),
            detail=self.detail,
        )


def parse_events(events: Iterable[tuple[bool, bytes]]) -> Iterable[Event]:
    for trusted, text in events:
        event = parse_event(text, trusted)
        if event is not None:
            yield event


def parse_event(text: bytes, trusted: bool) -> Event | None:
    """Read `["kind", argument, …]`; None if it is anything else."""
    try:
        values = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        return None
    if not isinstance(values, list) or not values or not isinstance(values[0], str):
        return None
    return Event(values[0], tuple(values[1:]), trusted)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and Infinity are no JSON
