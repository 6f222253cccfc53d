"""Code held back from a streamed answer. Prose already sent cannot be recalled; code never leaves
unchecked.

Events are kept as they came, in their order, and leave unchanged as soon as all the text in them
is settled prose or belongs to code that passed. Where code is blocked, the event that holds its
first character is cut there, a note takes the code's place and the choice ends with `stop`.
Tool calls, and text in places where the protocol has none, wait until the choice is finished:
half a call sends assistants into loops.
"""

from collections.abc import Sequence

from bluecode.defenses import carriers
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.snippets import Block, SnippetExtractor
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.held import Choice, Event, cut_off, rest, shortened
from bluecode.proxy.notes import as_json
from bluecode.proxy.sse import BrokenStream, data_of, with_member
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.shape import Part, Payload, Shape
from bluecode.proxy.wire.wire import Judging

_QUEUED = 32
"""Bytes of events kept for each byte of code that may be held: events are mostly envelope."""
_RESUMES = 3


class HeldStream:
    """Raw events in, raw events out; `await check(...)` is the only thing it waits for."""

    def __init__(self, judging: Judging, shape: Shape, *, choices: int = 1) -> None:
        self._shape = shape
        self._check = judging.check
        self._policy = judging.policy
        self._notes = judging.notes
        self._limit = judging.limit
        self._judging = judging
        self._expected = choices
        self._choices: dict[int, Choice] = {}
        self._queue: list[Event] = []
        self._queued = 0
        self._done = False
        self._lost = False
        self.verdict = merge([])
        """Of all that was checked so far."""
        self.unseen: set[str] = set()
        """Reasons for `unchecked` that lie in the stream, not in a snippet."""
        self.failed = False
        """Did the provider say, in the stream, that it failed?"""

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

    @property
    def complete(self) -> bool:
        """Has the answer come to its end, as far as the provider announced one?"""
        ended = bool(self._choices) and all(choice.ended for choice in self._choices.values())
        return ended or self._done or self.failed or self._lost

    async def push(self, raw: bytes) -> list[bytes]:
        """Take one event; the events that may leave now.

        Raises `BrokenStream`; a shadow passes what it cannot read, and all that follows. Behind the
        event that ends the stream there is nothing.
        """
        if self._done:
            return []
        if self._lost:
            return [raw]
        try:
            return await self._push(raw)
        except BrokenStream:
            if not self._policy.shadow:
                raise
        self._lost = True
        self._note_unseen("other")
        held = [event.raw for event in self._queue]
        self._requeue(())
        kept = bool(held) and held[-1] is raw  # not by its bytes: an event may come twice
        return held if kept else [*held, raw]

    async def _push(self, raw: bytes) -> list[bytes]:
        data = data_of(raw)
        if not data:
            return [raw] if not self._queue else self._keep(Event(raw))
        payload = self._shape.read(data)
        if payload is None:
            return await self.finish(done=raw)
        self.failed = self.failed or self._shape.failed(payload)
        parts = self._shape.parts(payload)
        self._keep(self._entered(Event(raw, payload), parts))
        for part in parts:
            await self._take(part)
        if self._shape.final(payload):
            return await self.finish(b"")
        return self._release()

    async def finish(self, done: bytes, *, early: bool = False) -> list[bytes]:
        """The provider has ended, or with `early` broken off; everything that may still leave."""
        if self._done:
            return []
        self._done = True
        for index, choice in self._choices.items():
            broken = (early or self.failed) and not self._policy.shadow
            if broken and not choice.ended and not choice.open:
                self._drop_unfinished(index, choice)
            if not self._lost:
                await self._finish_choice(index, choice)
        ready = self._release()
        if not all(self._settled(event) for event in self._queue):
            raise BrokenStream("text was left that nobody has looked at")
        tail = [event for event in self._queue if event.raw]
        self._queue = []
        return [*ready, *self._closing(tail), done]

    def delivered(self) -> list[str]:
        return [
            self._shape.said(index, "".join(choice.text), choice.calls)
            for index, choice in self._choices.items()
            if choice.finished and choice.cut is None
        ]

    def _entered(self, event: Event, parts: Sequence[Part]) -> Event:
        """The event with what it adds to each choice, less what it adds to those that were cut.

        All of it is noted before anything is judged: a verdict on one choice may rewrite the event.
        """
        for part in parts:
            choice = self._choices.get(part.index)
            if choice is None:  # many events, few choices: none is made to be thrown away
                choice = self._choices[part.index] = Choice()
            if choice.cut is not None and event.payload is not None:
                event = shortened(self._shape, event, part.index, choice.cut)
        for part in parts:
            choice = self._choices[part.index]
            if choice.cut is not None:
                continue
            event.starts.setdefault(part.index, choice.received)
            event.texts[part.index] = event.texts.get(part.index, "") + part.text
            if part.finish is not None:
                event.finishes.add(part.index)
            if part.waits and not choice.open:
                event.waits.add(part.index)
            choice.received += len(part.text)
        return event

    def _keep(self, event: Event) -> list[bytes]:
        if event.raw:
            self._queue.append(event)
            self._queued += len(event.raw)
        if self._queued > self._limit * _QUEUED:
            raise BrokenStream("more is held back than the limit allows")
        return []

    def _requeue(self, events: Sequence[Event]) -> None:
        self._queue = [event for event in events if event.raw]
        self._queued = sum(len(event.raw) for event in self._queue)

    async def _take(self, part: Part) -> None:
        choice = self._choices[part.index]
        if choice.cut is not None:
            return
        blocks = self._resume(choice) if choice.finished and (part.text or part.waits) else []
        choice.text.append(part.text)
        if choice.open:
            choice.finished = choice.finished or part.finish is not None
            return
        for reason in part.unread:
            self._note_unseen(reason)
        if "```" in part.reasoning:
            self._note_unseen("reasoning")
        if part.waits:
            choice.collect(part)
        if part.breaks:
            blocks = [*blocks, *choice.extractor.close()]
        if blocks:
            await self._judge(part.index, choice, blocks)
        if part.breaks and choice.cut is None:
            choice.base += choice.extractor.settled
            choice.extractor = SnippetExtractor()
        if choice.cut is None and (blocks := choice.extractor.feed(part.text)):
            await self._judge(part.index, choice, blocks)
        if part.finish is not None:
            await self._finish_choice(part.index, choice)
        if choice.extractor.held + choice.held > self._limit and not choice.ended:
            self._overflow(part.index, choice)

    def _resume(self, choice: Choice) -> list[Block]:
        """Text after a choice's end: clients put it behind the rest, so all is read anew."""
        choice.resumes += 1
        if choice.resumes > _RESUMES:
            raise BrokenStream("a choice goes on after its end")
        choice.finished = choice.passed = False
        choice.base, choice.extractor = 0, SnippetExtractor()
        return choice.extractor.feed("".join(choice.text))

    async def _finish_choice(self, index: int, choice: Choice) -> None:
        if choice.open:
            choice.finished = True
        if choice.ended:
            return
        choice.finished = True
        await self._judge(index, choice, choice.extractor.close())
        if choice.cut is None and choice.waiting:
            await self._judgerest(index, choice)

    def _drop_unfinished(self, index: int, choice: Choice) -> None:
        """Half a tool call is worse than none."""
        choice.forget_unfinished()
        self._requeue(
            [
                shortened(self._shape, event, index, event.end(index))
                if index in event.waits
                else event
                for event in self._queue
            ]
        )

    async def _judge(self, index: int, choice: Choice, blocks: Sequence[Block]) -> None:
        for block in blocks:
            before = self.verdict
            verdict = await self._decide(await reading.unwrapped(block))
            if verdict.blocks:
                mended = await self._judging.mend("".join(choice.text), verdict)
                instead = self._notes.withheld(verdict) if mended is None else mended.text
                if mended is not None:
                    self.verdict = merge([before, mended.verdict])
                self._cut(index, choice, choice.base + block.start, instead)
                return
            if self._notes.due(verdict) and not block.is_answer:  # a note behind it would break it
                self._warn(index, verdict, choice.base + block.end)

    async def _judgerest(self, index: int, choice: Choice) -> None:
        """Tool calls, and text that stands elsewhere."""
        calls = [*choice.calls, *choice.whole_calls]
        traced = self._judging.trace([call.text for call in calls])
        snippets, unchecked = await reading.snippets_of(calls)
        for texts in choice.asides.values():
            text = "".join(texts)
            snippets += await reading.at_leisure(carriers.in_text, text, len(text))
        verdict = merge([await self._decide(snippets, unchecked), traced])
        self.verdict = merge([self.verdict, traced])
        if verdict.blocks:
            first = next((event for event in self._queue if index in event.waits), None)
            at = choice.received if first is None else first.starts[index]
            self._cut(index, choice, at, self._notes.withheld(verdict))
            return
        choice.passed = True
        if self._notes.due(verdict):
            self._warn_at_the_end(index, verdict)

    async def _decide(self, snippets: Sequence[Snippet], unchecked: Sequence[str] = ()) -> Verdict:
        parts = [await self._check(snippets)] if snippets else []
        if unchecked:
            self.unseen.update(unchecked)
            parts.append(self._policy.decide((), unchecked=unchecked))
        self.verdict = merge([self.verdict, *parts])
        return merge(parts)

    def _note_unseen(self, reason: str) -> None:
        if reason in self.unseen:
            return
        self.unseen.add(reason)
        self.verdict = merge([self.verdict, self._policy.decide((), unchecked=(reason,))])

    def _overflow(self, index: int, choice: Choice) -> None:
        verdict = self._policy.decide((), unchecked=("oversized",))
        self.unseen.add("oversized")
        self.verdict = merge([self.verdict, verdict])
        if verdict.blocks:
            self._cut(index, choice, choice.settled, self._notes.withheld(verdict))
        else:
            choice.open = choice.passed = True

    def _cut(self, index: int, choice: Choice, at: int, instead: str) -> None:
        """End the choice at this offset: what came before stays, this follows, nothing else."""
        choice.cut = at
        choice.forget_unfinished()
        kept = cut_off(self._shape, self._queue, index, at)
        kept += self._note(index, ("\n\n" if at else "") + instead, kept)
        for payload in self._shape.ending(index, _payloads(kept)):
            kept.append(Event(self._raw(payload), payload, finishes={index}))
        self._requeue(kept)

    def _note(self, index: int, text: str, before: Sequence[Event]) -> list[Event]:
        payloads = self._shape.note(index, text, _payloads(before))
        return [Event(self._raw(payload), payload) for payload in payloads]

    def _warn(self, index: int, verdict: Verdict, end: int) -> None:
        """Put a note right behind the code that ends at this offset, wherever events were cut."""
        text = f"\n\n{self._notes.warning(verdict)}\n\n"
        for at, event in enumerate(self._queue):
            if index not in event.starts or event.end(index) < end:
                continue
            before, after = self._queue[:at], self._queue[at + 1 :]
            if event.end(index) == end and index not in event.finishes:
                first, last = [event], []
            else:
                first = [shortened(self._shape, event, index, end)]
                last = [rest(self._shape, event, index, end)]
            before += [part for part in first if part.raw]
            self._requeue([*before, *self._note(index, text, before), *last, *after])
            return
        self._requeue([*self._queue, *self._note(index, text, self._queue)])

    def _warn_at_the_end(self, index: int, verdict: Verdict) -> None:
        """Put a note behind all that the choice says, before the event that ends it."""
        text = f"\n\n{self._notes.warning(verdict)}\n\n"
        ends = (at for at, event in enumerate(self._queue) if index in event.finishes)
        at = next(ends, len(self._queue))
        before, after = self._queue[:at], self._queue[at:]
        self._requeue([*before, *self._note(index, text, before), *after])

    def _release(self) -> list[bytes]:
        count = 0
        for event in self._queue:
            if self._closes(event) or not self._settled(event):
                break
            count += 1
            self._queued -= len(event.raw)
        if not count:
            return []
        ready, self._queue = self._queue[:count], self._queue[count:]
        return [self._leaving(event).raw for event in ready]

    def _leaving(self, event: Event) -> Event:
        if event.payload is not None:
            try:
                event.payload, event.raw = self._shape.leaving(event.payload, event.raw)
            except ValueError as error:
                raise BrokenStream("an event holds a number that JSON cannot hold") from error
        return event

    def _raw(self, payload: Payload) -> bytes:
        try:
            return self._shape.event(payload)
        except ValueError as error:
            raise BrokenStream("an event holds a number that JSON cannot hold") from error

    def _closes(self, event: Event) -> bool:
        """Ends and usage wait for the very end, where the verdict is added to the last of them."""
        if event.finishes:
            return self._all_ended()
        told = event.payload is not None and not event.starts and event.payload.get("usage")
        return bool(told) and self._all_ended()

    def _all_ended(self) -> bool:
        return len(self._choices) >= self._expected and all(
            choice.ended for choice in self._choices.values()
        )

    def _settled(self, event: Event) -> bool:
        for index in event.starts:
            choice = self._choices[index]
            if choice.cut is not None or choice.open:
                continue
            if event.end(index) > choice.settled:
                return False
            if index in event.waits and not choice.passed:
                return False
        return True

    def _closing(self, tail: list[Event]) -> list[bytes]:
        """The last events, with the verdict on the last chunk where there is anything to say."""
        raws = [self._leaving(event).raw for event in tail]
        verdict = merge([self._judging.prompt, self.verdict])
        if verdict.shadow or (verdict.passes and not self._judging.explain):
            return raws
        told = {**as_json(verdict), **self._judging.aside(self.verdict)}
        for at in range(len(tail) - 1, -1, -1):
            if tail[at].payload is not None:
                raws[at] = with_member(tail[at].raw, "bluecode", told)
                return raws
        return [*raws, self._raw({**self._shape.nothing(), "bluecode": told})]


def _payloads(events: Sequence[Event]) -> list[Payload]:
    return [event.payload for event in events if event.payload is not None]
