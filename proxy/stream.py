"""Code held back from a streamed answer. Prose already sent cannot be recalled; code never leaves
unchecked.

Events are kept as they came, in their order, and leave unchanged as soon as all the text in them
is settled prose or belongs to code that passed. Where code is blocked, the event that holds its
first character is cut there, a note takes the code's place and the choice ends with `stop`.
Tool calls of a choice wait until the choice is finished: half a call sends assistants into loops.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluecode.defenses import carriers
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.snippets import Block, SnippetExtractor
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import Notes, as_json
from bluecode.proxy.sse import BrokenStream, data_of
from bluecode.proxy.wire import openai_chat as chat

Check = Callable[[Sequence[Snippet]], Awaitable[Verdict]]
"""Decides on snippets; counts and remembers what it decided."""


@dataclass(slots=True)
class _Event:
    """One event on hold. `ends` says how far each choice's text had come with it."""

    raw: bytes
    payload: dict[str, Any] | None = None
    starts: dict[int, int] = field(default_factory=dict)
    ends: dict[int, int] = field(default_factory=dict)
    tools: bool = False
    last: bool = False


@dataclass(slots=True)
class _Choice:
    """One choice of the answer while it comes in."""

    extractor: SnippetExtractor = field(default_factory=SnippetExtractor)
    received: int = 0
    text: list[str] = field(default_factory=list)
    calls: dict[Any, chat.ToolCall] = field(default_factory=dict)
    call_bytes: int = 0
    tools_passed: bool = False
    finished: bool = False
    open: bool = False
    """Held past the limit and let through by policy: nothing more is looked at."""
    cut: int | None = None
    """Offset of the first character that the client does not get."""


class HeldStream:
    """Raw events in, raw events out; `await check(...)` is the only thing it waits for."""

    def __init__(
        self,
        check: Check,
        policy: Policy,
        notes: Notes,
        *,
        limit: int,
        choices: int = 1,
        prompt: Verdict | None = None,
        explain: bool = False,
    ) -> None:
        self._check = check
        self._policy = policy
        self._notes = notes
        self._limit = limit
        self._expected = choices
        self._choices: dict[int, _Choice] = {}
        self._queue: list[_Event] = []
        self._like: dict[str, Any] = {}
        self._done = False
        self._explain = explain
        self._prompt = [] if prompt is None else [prompt]
        self.verdict = merge([])
        """Of all that was checked so far."""
        self.unseen: set[str] = set()
        """Reasons for `unchecked` that lie in the stream, not in a snippet."""

    @property
    def holding(self) -> bool:
        """Is something held that the client is waiting for?"""
        return bool(self._queue)

    @property
    def done(self) -> bool:
        """Has the provider said that it has ended?"""
        return self._done

    @property
    def over(self) -> bool:
        """Every choice was cut: the rest of the answer is of no use but for its usage."""
        cut = [choice.cut is not None for choice in self._choices.values()]
        return len(cut) >= self._expected and all(cut)

    async def push(self, raw: bytes) -> list[bytes]:
        """Take one event; the events that may leave now. Raises `BrokenStream`."""
        event = self._read(raw)
        if event is None:
            return [raw] if not self._queue else self._keep(_Event(raw))
        if event.payload is None:
            return await self.finish(done=raw)
        self._queue.append(event)
        for delta in chat.deltas(event.payload):
            if (choice := self._choices.get(delta.index)) and choice.cut is not None:
                event = self._replace(event, _trim(event, delta.index, choice.cut))
            else:
                await self._take(event, delta)
        return self._release()

    async def finish(self, done: bytes = chat.DONE) -> list[bytes]:
        """The provider has ended, in good order or not; everything that is left."""
        if self._done:
            return []
        self._done = True
        for index, choice in self._choices.items():
            await self._finish_choice(index, choice)
        ready = self._release()
        tail = [event for event in self._queue if event.raw]
        self._queue = []
        return [*ready, *self._closing(tail), done]

    def delivered(self) -> list[str]:
        """What each choice that passed whole said: its text, then its tool calls' arguments."""
        return [
            "\n".join(
                filter(None, ("".join(choice.text), *(c.text for c in choice.calls.values())))
            )
            for choice in self._choices.values()
            if choice.finished and choice.cut is None
        ]

    def _read(self, raw: bytes) -> _Event | None:
        data = data_of(raw)
        if data is None:
            return None
        if data == b"[DONE]":
            return _Event(raw)
        try:
            payload = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise BrokenStream("an event's data is not JSON") from error
        if not isinstance(payload, dict):
            raise BrokenStream("an event's data is not an object")
        self._like = self._like or payload
        return _Event(raw, payload)

    def _replace(self, old: _Event, new: _Event) -> _Event:
        self._queue = [new if event is old else event for event in self._queue]
        return new

    def _keep(self, event: _Event) -> list[bytes]:
        self._queue.append(event)
        return []

    async def _take(self, event: _Event, delta: chat.ChoiceDelta) -> None:
        choice = self._choices.setdefault(delta.index, _Choice())
        event.starts.setdefault(delta.index, choice.received)
        choice.received += len(delta.text)
        choice.text.append(delta.text)
        event.ends[delta.index] = choice.received
        event.last = event.last or delta.finish is not None
        if choice.open:
            return
        if delta.opaque:
            self._note_unseen("other")
        if "```" in delta.reasoning:
            self._note_unseen("reasoning")
        if delta.tools:
            event.tools = True
            self._collect(choice, delta)
        blocks = choice.extractor.feed(delta.text)
        await self._judge(delta.index, choice, blocks)
        if delta.finish is not None:
            await self._finish_choice(delta.index, choice)
        if choice.extractor.held + choice.call_bytes > self._limit and not choice.finished:
            self._overflow(delta.index, choice)

    def _collect(self, choice: _Choice, delta: chat.ChoiceDelta) -> None:
        choice.tools_passed = False
        for piece in delta.tools:
            index = piece.get("index")
            at = index if isinstance(index, int) else piece.get("id", len(choice.calls))
            chat.add_to(choice.calls.setdefault(at, chat.ToolCall()), piece)
        choice.call_bytes += sum(len(json.dumps(piece)) for piece in delta.tools)

    async def _finish_choice(self, index: int, choice: _Choice) -> None:
        if choice.cut is not None or choice.open or choice.finished:
            return
        choice.finished = True
        await self._judge(index, choice, choice.extractor.close())
        if choice.cut is None and choice.calls:
            await self._judge_calls(index, choice)

    async def _judge(self, index: int, choice: _Choice, blocks: Sequence[Block]) -> None:
        for block in blocks:
            verdict = await self._decide(carriers.in_block(block))
            if verdict.blocks:
                self._cut(index, choice, block.start, verdict)
                return
            if verdict.warns:
                self._warn(index, verdict, block.end)

    async def _judge_calls(self, index: int, choice: _Choice) -> None:
        snippets, unchecked = snippets_of(choice.calls.values())
        verdict = await self._decide(snippets, unchecked)
        if verdict.blocks:
            first = next((e for e in self._queue if e.tools and index in e.starts), None)
            at = choice.received if first is None else first.starts[index]
            self._cut(index, choice, at, verdict)
            return
        choice.tools_passed = True
        if verdict.warns:
            self._warn(index, verdict, choice.received)

    async def _decide(self, snippets: Sequence[Snippet], unchecked: Sequence[str] = ()) -> Verdict:
        parts = [await self._check(snippets)] if snippets else []
        if unchecked:
            self.unseen.update(unchecked)
            parts.append(self._policy.decide((), unchecked=unchecked))
        self.verdict = merge([self.verdict, *parts])
        return merge(parts)

    def _note_unseen(self, reason: str) -> None:
        self.unseen.add(reason)
        self.verdict = merge([self.verdict, self._policy.decide((), unchecked=(reason,))])

    def _overflow(self, index: int, choice: _Choice) -> None:
        verdict = self._policy.decide((), unchecked=("oversized",))
        self.unseen.add("oversized")
        self.verdict = merge([self.verdict, verdict])
        if verdict.blocks:
            self._cut(index, choice, choice.extractor.settled, verdict)
        else:
            choice.open = choice.tools_passed = True

    def _cut(self, index: int, choice: _Choice, at: int, verdict: Verdict) -> None:
        """End the choice at this offset: what came before stays, a note follows, nothing else."""
        choice.cut = at
        choice.calls.clear()
        kept = [self._cut_event(event, index, at) for event in self._queue]
        lead = "\n\n" if at else ""
        self._queue = [
            *(event for event in kept if event.raw),
            _Event(
                chat.event(chat.text_chunk(self._like, index, lead + self._notes.withheld(verdict)))
            ),
            self._ending(chat.finish_chunk(self._like, index)),
        ]

    def _ending(self, payload: dict[str, Any]) -> _Event:
        return _Event(chat.event(payload), payload, last=True)

    def _cut_event(self, event: _Event, index: int, at: int) -> _Event:
        if event.payload is None or index not in event.starts:
            return event
        if (
            event.ends[index] <= at
            and not event.last
            and not (event.tools and event.starts[index] >= at)
        ):
            return event
        return _trim(event, index, at)

    def _warn(self, index: int, verdict: Verdict, end: int) -> None:
        """Put a note right behind the code that ends at this offset, wherever events were cut."""
        text = f"\n\n{self._notes.warning(verdict)}\n\n"
        note = _Event(chat.event(chat.text_chunk(self._like, index, text)))
        for at, event in enumerate(self._queue):
            if index not in event.starts or event.ends[index] < end:
                continue
            if event.ends[index] == end and not event.last:
                self._queue.insert(at + 1, note)
            else:
                parts = (_trim(event, index, end), note, _rest(event, index, end))
                self._queue[at : at + 1] = [part for part in parts if part.raw]
            return
        self._queue.append(note)

    def _release(self) -> list[bytes]:
        count = 0
        for event in self._queue:
            if self._closes(event) or not self._settled(event):
                break
            count += 1
        ready, self._queue = self._queue[:count], self._queue[count:]
        return [event.raw for event in ready if event.raw]

    def _closes(self, event: _Event) -> bool:
        """Ends and usage wait for the very end, where the verdict is added to the last of them."""
        if event.payload is not None and not event.starts and event.payload.get("usage"):
            return True
        return event.last and self._all_ended()

    def _all_ended(self) -> bool:
        ended = sum(item.finished or item.cut is not None for item in self._choices.values())
        return ended >= self._expected and ended == len(self._choices)

    @property
    def complete(self) -> bool:
        """Has every choice come to its end, as far as the provider announced one?"""
        return bool(self._choices) and self._all_ended()

    def _settled(self, event: _Event) -> bool:
        for index, end in event.ends.items():
            choice = self._choices[index]
            if choice.cut is not None or choice.open:
                continue
            if end > choice.extractor.settled or (event.tools and not choice.tools_passed):
                return False
        return True

    def _closing(self, tail: list[_Event]) -> list[bytes]:
        """The last events, with the verdict on the last chunk where there is anything to say."""
        raws = [event.raw for event in tail]
        verdict = merge([*self._prompt, self.verdict])
        if verdict.shadow or (verdict.passes and not self._explain):
            return raws
        told = as_json(verdict)
        for at in range(len(tail) - 1, -1, -1):
            payload = tail[at].payload
            if payload is not None:
                raws[at] = chat.event({**payload, "bluecode": told})
                return raws
        extra = {**chat.text_chunk(self._like, 0, ""), "choices": [], "bluecode": told}
        return [*raws, chat.event(extra)]


def _trim(event: _Event, index: int, end: int) -> _Event:
    """The event less a choice's tool calls, its end, and its text from offset `end` on."""
    start = event.starts.get(index, end)
    kept = max(0, end - start)

    def cut(choice: dict[str, Any]) -> dict[str, Any] | None:
        text = _text(choice)[:kept]
        delta = {key: value for key, value in choice.get("delta", {}).items() if key == "role"}
        shorter = {**choice, "delta": {**delta, "content": text}, "finish_reason": None}
        return shorter if text else None

    return _rebuild(event, index, cut, start, start + kept)


def _rest(event: _Event, index: int, start: int) -> _Event:
    """The event less a choice's text before offset `start`."""
    gone = max(0, start - event.starts[index])

    def cut(choice: dict[str, Any]) -> dict[str, Any] | None:
        delta = {key: value for key, value in choice.get("delta", {}).items() if key != "content"}
        return {**choice, "delta": {**delta, "content": _text(choice)[gone:]}}

    return _rebuild(event, index, cut, event.starts[index] + gone, event.ends[index])


def _rebuild(
    event: _Event,
    index: int,
    cut: Callable[[dict[str, Any]], dict[str, Any] | None],
    start: int,
    end: int,
) -> _Event:
    """The event with one choice changed, or without it; an event of no use has no bytes."""
    assert event.payload is not None
    listed = [item for item in event.payload.get("choices", ()) if isinstance(item, dict)]
    own = [_index(item, at) == index for at, item in enumerate(listed)]
    changed = [cut(item) if mine else item for item, mine in zip(listed, own, strict=True)]
    choices = [item for item in changed if item is not None]
    if not choices and not event.payload.get("usage"):
        return _Event(b"")
    payload = {**event.payload, "choices": choices}
    left = {_index(item, at) for at, item in enumerate(choices)}
    return _Event(
        chat.event(payload),
        payload,
        starts={key: start if key == index else event.starts[key] for key in left},
        ends={key: end if key == index else event.ends[key] for key in left},
        tools=any((item.get("delta") or {}).get("tool_calls") for item in choices),
        last=any(item.get("finish_reason") for item in choices),
    )


def _index(choice: dict[str, Any], at: int) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) else at


def _text(choice: dict[str, Any]) -> str:
    return "".join(delta.text for delta in chat.deltas({"choices": [choice]}))


def snippets_of(calls: Any) -> tuple[list[Snippet], tuple[str, ...]]:
    """The snippets in tool calls, and `arguments` where some could not be read."""
    snippets: list[Snippet] = []
    unreadable = False
    for call in calls:
        if call.custom:
            snippets += carriers.in_input(call.text)
            continue
        carried = carriers.in_arguments(call.text)
        snippets += carried.snippets
        unreadable = unreadable or carried.unreadable
    return snippets, ("arguments",) if unreadable else ()
