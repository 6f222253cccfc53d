"""An answer that comes in one piece: what is in it, and what the client gets of it."""

from collections.abc import Callable, Mapping
from typing import Any

from bluecode.defenses import carriers
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import openai_answer as chat
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.endings import Ending
from bluecode.proxy.wire.shape import Part
from bluecode.proxy.wire.wire import Judging


class WholeChat:
    """See `WholeAnswer`."""

    def __init__(
        self,
        raw: bytes,
        judging: Judging,
        ending: Callable[[str], Ending | None] = lambda text: None,
    ) -> None:
        """`ending` says what ends the client's turn after BlueCode said something.

        Raises `BrokenStream` for what no client could read."""
        payload = reading.answer(raw)
        if not isinstance(payload, dict):
            raise BrokenStream("the answer is no JSON object")
        self._payload: dict[str, Any] = payload
        self._judging = judging
        self._ending = ending
        self._choices = [choice for _, choice in chat.choices_of(payload)]
        self._parts = chat.parts_of(payload, own="message")
        self.verdict = merge([])
        self.unseen: set[str] = set()
        """Reasons for `unchecked` that lie in the answer, not in a snippet."""

    async def judge(self) -> Verdict:
        pairs = zip(self._choices, self._parts, strict=True)
        self.verdict = merge([await self._judge(choice, part) for choice, part in pairs])
        return self.verdict

    def delivered(self) -> list[str]:
        messages = (choice.get("message") for choice in self._choices)
        return [chat.said(message) for message in messages if isinstance(message, dict)]

    def with_verdict(self, told: Mapping[str, Any]) -> bytes:
        return reading.written({**self._payload, "bluecode": told})

    async def _judge(self, choice: dict[str, Any], part: Part) -> Verdict:
        notes = self._judging.notes
        verdicts, told = [], []
        for block in await reading.blocks_of(part.text):
            verdict = await self._judging.check(await reading.unwrapped(block))
            verdicts.append(verdict)
            told += [verdict] if not block.is_answer else []  # a note behind it would break it
            if verdict.blocks:
                mended = await self._judging.mend(part.text, verdict)
                if mended is not None:
                    self._withhold(choice, "", mended.text)
                    return merge([*verdicts[:-1], mended.verdict])
                self._withhold(choice, part.text[: block.start], notes.withheld(verdict))
                return merge(verdicts)
        verdict = await self._judge_rest(part)
        verdicts.append(verdict)
        told.append(verdict)
        if verdict.blocks:
            self._withhold(choice, part.text, notes.withheld(verdict))
        elif notes.due(merge(told)) and isinstance(choice.get("message"), dict):
            said = f"{part.text}\n\n{notes.warning(merge(told))}".lstrip()
            choice["message"] = {**choice["message"], "content": said}
        return merge(verdicts)

    async def _judge_rest(self, part: Part) -> Verdict:
        """Tool calls, and text that stands elsewhere."""
        calls = list(chat.calls_of(part))
        traced = self._judging.trace([call.text for call in calls])
        snippets, unchecked = await reading.snippets_of(calls)
        for text in part.asides.values():
            snippets += await reading.at_leisure(carriers.in_text, text, len(text))
        if "```" in part.reasoning:
            unchecked = (*unchecked, "reasoning")
        unchecked = (*unchecked, *part.unread)
        self.unseen.update(unchecked)
        unread = self._judging.policy.decide((), unchecked=unchecked)
        return merge([await self._judging.check(snippets), unread, traced])

    def _withhold(self, choice: dict[str, Any], lead: str, note: str) -> None:
        lead = lead.rstrip()
        text = self._judging.notes.behind(lead, note)
        chat.withhold(choice, text, self._ending(note))
