"""What the guest reported, read strictly: events are untrusted and may be forged, cut or too many.

An event that does not have the form that the harness gives it is dropped and counted; nothing is
guessed. What a forger can gain is limited in `proof.py`: evidence for safety needs more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluecode.sandbox.outcome import Event

TEXT_LIMIT = 2_000
MODES = frozenset({"benign", "attack", "pump"})
ROLES = frozenset({"handler", "function", "method", "module"})


@dataclass(frozen=True, slots=True)
class Sink:
    """Data arrived where it does something."""

    kind: str
    api: str
    line: int
    text: str
    sources: tuple[int, ...]
    """Indexes of the sources whose data is visible in it."""
    detail: dict[str, Any]
    judged: bool = False
    """Did something unknown, by its name a check, see the data before?"""
    asked: bool = False
    """Did anything unknown decide on the data before?"""


@dataclass(slots=True)
class Call:
    """One call of an entry point, benign or with a payload in one source."""

    mode: str
    setting: str = ""
    """How all values but the payload were made; equal settings make equal values."""
    source: str = ""
    index: int = 0
    """Of the attacked source: its letter in markers."""
    kind: str = ""
    probe: str = ""
    payload: str = ""
    sinks: list[Sink] = field(default_factory=list)
    ended: bool = False
    error: str = ""
    deliberate: bool = False
    """The snippet itself turned the input away."""
    line: int = 0
    doubts: int = 0
    """Times that something unknown judged the data, and might have stopped it."""
    judged: bool = False
    asked: bool = False
    """What came so far, as for a sink."""


@dataclass(slots=True)
class Entry:
    """A function, method, handler or the module, with all its calls."""

    name: str
    role: str
    first: int
    last: int
    calls: list[Call] = field(default_factory=list)
    sources: tuple[str, ...] = ()
    """Names of its sources, in the order of their indexes."""

    def leaves_room(self, index: int) -> bool:
        """May a source be any text, rather than a number or a date?"""
        return not (index < len(self.sources) and self.sources[index].endswith("#"))

    def names(self, indexes: Iterable[int]) -> str:
        """The names of some sources, together."""
        return " ".join(self.sources[at] for at in indexes if 0 <= at < len(self.sources))


@dataclass(slots=True)
class Observations:
    """One run."""

    entries: list[Entry] = field(default_factory=list)
    readable: str = ""
    """How the code was made readable: `whole`, `dedented` or `wrapped`; empty where it was not."""
    finished: bool = False
    dropped: int = 0
    forged: bool = False
    """The snippet tried to speak in the harness's name."""

    @property
    def last_call(self) -> Call | None:
        calls = self.entries[-1].calls if self.entries else []
        return calls[-1] if calls else None


def read(events: Iterable[Event]) -> Observations:
    """Put the events together."""
    seen = Observations()
    for event in events:
        if event.trusted:
            seen.forged = seen.forged or event.kind == "guard.forgery"
        elif not _take(seen, event.kind, event.args):
            seen.dropped += 1
    return seen


def _take(seen: Observations, kind: str, args: Sequence[Any]) -> bool:
    match kind, list(args):
        case "readable", [str(how)]:
            seen.readable = how
        case "entry", [str(name), str(role), int(first), int(last)] if role in ROLES:
            seen.entries.append(Entry(name[:200], role, first, last))
        case "call", [str(mode), str(how), str(name), int(at), str(into), str(probe), str(text)]:
            return _begin(seen, Call(mode, how, name, at, into, probe, text[:TEXT_LIMIT]))
        case "sink", [str(into), str(api), int(line), str(text), list(sources), dict(detail)]:
            return _reach(seen, into, api, line, text, sources, detail)
        case "end", [str(error), bool(deliberate), int(line), int(doubts)]:
            return _end(seen, error, deliberate, line, doubts)
        case "sources", names if seen.entries and all(isinstance(item, str) for item in names):
            seen.entries[-1].sources = tuple(names)
        case "done", []:
            seen.finished = True
        case "doubt", [str()]:
            return _doubt(seen, True)
        case "doubt", [str(), bool(hard)]:
            return _doubt(seen, hard)
        case (("context" | "flood" | "unreadable"), _):
            return True
        case _:
            return False
    return True


def _open_call(seen: Observations) -> Call | None:
    call = seen.last_call
    return None if call is None or call.ended else call


def _begin(seen: Observations, call: Call) -> bool:
    if not seen.entries or call.mode not in MODES:
        return False
    seen.entries[-1].calls.append(call)
    return True


def _reach(
    seen: Observations,
    kind: str,
    api: str,
    line: int,
    text: str,
    sources: list[Any],
    detail: dict[str, Any],
) -> bool:
    call = _open_call(seen)
    indexes = tuple(item for item in sources if isinstance(item, int))
    if call is None or len(indexes) != len(sources):
        return False
    given = text[:TEXT_LIMIT], indexes, detail, call.judged, call.asked
    call.sinks.append(Sink(kind, api[:80], line, *given))
    return True


def _doubt(seen: Observations, hard: bool) -> bool:
    call = _open_call(seen)
    if call is not None:
        call.asked, call.judged = True, call.judged or hard
    return call is not None


def _end(seen: Observations, error: str, deliberate: bool, line: int, doubts: int) -> bool:
    call = _open_call(seen)
    if call is None:
        return False
    call.ended, call.error, call.deliberate = True, error[:80], deliberate
    call.line, call.doubts = line, doubts
    return True
