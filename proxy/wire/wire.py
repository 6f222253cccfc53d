"""What a wire protocol is to the guard: a body becomes a request, an answer is judged in its form.

One file a protocol beside this one, registered in `WIRES`; the routes come from there.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bluecode.defenses.conversation import Conversation, Message, Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import Notes

Check = Callable[[Sequence[Snippet]], Awaitable[Verdict]]
"""Decides on snippets; counts and remembers what it decided."""


Trace = Callable[[Sequence[str]], Verdict]
"""Decides on where the words of tool calls come from; told what the calls are given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """What takes the place of blocked code."""

    text: str
    """The model's new answer behind a note."""
    verdict: Verdict
    """On the new answer."""


Mend = Callable[[str, Verdict], Awaitable[Mended | None]]
"""Has the model repair all that it said, of which the verdict is told; None where that stays
blocked."""


async def _never_mended(_: str, __: Verdict) -> Mended | None:
    return None


def _nothing_told(_: Verdict) -> Mapping[str, Any]:
    return {}


def _nothing_traced(_: Sequence[str]) -> Verdict:
    return merge([])


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request, parsed as far as screening needs."""

    payload: dict[str, Any]
    """The body; changed in place where a message is replaced."""
    conversation: Conversation
    extras: tuple[Message, ...] = ()
    """What else the model reads: tool descriptions, schemas, predictions, unknown fields."""
    stream: bool = False
    choices: int = 1
    places: tuple[Any, ...] = ()
    """Where each message of the conversation stands in the body; the wire's own affair."""
    include_usage: bool = False
    """Is the rest of a stream worth reading, for its usage, when all of it was cut?"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What an answer is judged with."""

    check: Check
    policy: Policy
    notes: Notes
    limit: int
    """Characters of code held back at most."""
    prompt: Verdict
    """The verdict on what the model was asked."""
    trace: Trace = _nothing_traced
    """Asked of tool calls before they are passed on."""
    mend: Mend = _never_mended
    """Asked once, where code in a text is blocked."""
    aside: Callable[[Verdict], Mapping[str, Any]] = _nothing_told
    """What else the `bluecode` object of the answer says; told the verdict on it at its end."""
    explain: bool = False
    """Tell the verdict even where all is well."""


class Answer(Protocol):
    """What both kinds of answer know after they were judged."""

    @property
    def verdict(self) -> Verdict:
        """Of all that was checked so far."""
        ...

    @property
    def unseen(self) -> set[str]:
        """Reasons for `unchecked` that lie in the answer, not in a snippet."""
        ...

    def delivered(self) -> list[str]:
        """What the client got and sends back, as `parse` will read it from the history."""
        ...


class WholeAnswer(Answer, Protocol):
    """An answer in one piece."""

    async def judge(self) -> Verdict:
        """Check all of it, and change it where the verdict asks for it."""
        ...

    def with_verdict(self, told: Mapping[str, Any]) -> bytes:
        """The answer as it now is, with the `bluecode` object. Raises `BrokenStream`."""
        ...


class AnswerStream(Answer, Protocol):
    """Raw events in, raw events out."""

    @property
    def holding(self) -> bool:
        """Is something held that the client is waiting for?"""
        ...

    @property
    def done(self) -> bool:
        """Has the provider said that it has ended?"""
        ...

    @property
    def over(self) -> bool:
        """Was all that follows cut, so that it is of no use but for its usage?"""
        ...

    @property
    def complete(self) -> bool:
        """Has the answer come to its end, as far as the provider announced one?"""
        ...

    @property
    def failed(self) -> bool:
        """Did the provider say, in the stream, that it failed?"""
        ...

    async def push(self, raw: bytes) -> list[bytes]:
        """Take one event; the events that may leave now. Raises `BrokenStream`."""
        ...

    async def finish(self, done: bytes, *, early: bool = False) -> list[bytes]:
        """The provider has ended, or with `early` broken off; everything that may still leave,
        and `done` at its end. Nothing where it has ended already."""
        ...


class Wire(Protocol):
    """One client protocol."""

    @property
    def paths(self) -> tuple[str, ...]:
        """Routes below the API root; a name in braces stands for one segment."""
        ...

    @property
    def key_header(self) -> str:
        """The header that carries the provider's key, in lower case."""
        ...

    @property
    def keep_alive(self) -> bytes:
        """What a client of this protocol hears, and ignores, while it waits; empty where it would
        not ignore anything."""
        ...

    @property
    def done(self) -> bytes:
        """What ends a stream."""
        ...

    def parse(self, body: bytes, path: str) -> Request:
        """`path` is the request's own, below the API root.

        Raises `WireError` for a body that the provider would refuse too, and for one that two
        readers would not read alike."""
        ...

    def replace_message(self, request: Request, at: int, text: str) -> None:
        """Put `text` in the place of a message; role and position stay."""
        ...

    def refusal(self, request: Request, text: str) -> dict[str, Any]:
        """An ordinary answer that says this."""
        ...

    def refusal_events(self, request: Request, text: str, told: Mapping[str, Any]) -> list[bytes]:
        """The same as a stream that is well formed, with the `bluecode` object on its last event
        before the end."""
        ...

    def error(self, message: str, *, code: str, kind: str, status: int) -> dict[str, Any]:
        """An error in the protocol's own shape."""
        ...

    def error_event(self, error: Mapping[str, Any]) -> bytes:
        """An error within a stream that has begun."""
        ...

    def whole(self, request: Request, body: bytes, judging: Judging) -> WholeAnswer:
        """Raises `BrokenStream` for what no client could read."""
        ...

    def stream(self, request: Request, judging: Judging) -> AnswerStream: ...
