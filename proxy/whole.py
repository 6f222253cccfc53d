"""An answer that comes in one piece: what is in it, and what the client gets of it."""

import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from bluecode.defenses import carriers
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.snippets import SnippetExtractor
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import openai_answer as chat
from bluecode.proxy.wire import reading

Check = Callable[[Sequence[Snippet]], Awaitable[Verdict]]


class WholeAnswer:
    """One JSON answer. `verdict` is complete after `check`."""

    def __init__(self, raw: bytes) -> None:
        """Raises `BrokenStream` for what no client could read."""
        try:
            payload = reading.strictly(raw)
        except (ValueError, RecursionError) as error:
            raise BrokenStream("the answer is not JSON") from error
        if not isinstance(payload, dict):
            raise BrokenStream("the answer is no JSON object")
        self.payload: dict[str, Any] = payload
        self._choices = [choice for _, choice in chat.choices_of(payload)]
        self._parts = chat.parts_of(payload, own="message")
        self.verdict = merge([])
        self.unseen: set[str] = set()
        """Reasons for `unchecked` that lie in the answer, not in a snippet."""

    async def check(self, check: Check, policy: Policy, notes: Notes) -> Verdict:
        """Check every choice, and change those for which the verdict asks for it."""
        verdicts = [
            await self._check_choice(choice, part, check, policy, notes)
            for choice, part in zip(self._choices, self._parts, strict=True)
        ]
        self.verdict = merge(verdicts)
        return self.verdict

    def with_member(self, name: str, value: Any) -> bytes:
        """The answer as it now is, with one more member. Raises `BrokenStream`."""
        try:
            return json.dumps({**self.payload, name: value}, allow_nan=False).encode()
        except ValueError as error:
            raise BrokenStream("the answer holds a number that JSON cannot hold") from error

    async def _check_choice(
        self, choice: dict[str, Any], part: chat.Part, check: Check, policy: Policy, notes: Notes
    ) -> Verdict:
        extractor = SnippetExtractor()
        verdicts = []
        for block in extractor.feed(part.text) + extractor.close():
            verdict = await check(carriers.in_block(block))
            verdicts.append(verdict)
            if verdict.blocks:
                _withhold(choice, part.text[: block.start], notes.withheld(verdict))
                return merge(verdicts)
        verdict = await self._check_rest(part, check, policy)
        verdicts.append(verdict)
        both = merge(verdicts)
        if verdict.blocks:
            _withhold(choice, part.text, notes.withheld(verdict))
        elif both.warns and isinstance(choice.get("message"), dict):
            said = f"{part.text}\n\n{notes.warning(both)}".lstrip()
            choice["message"] = {**choice["message"], "content": said}
        return both

    async def _check_rest(self, part: chat.Part, check: Check, policy: Policy) -> Verdict:
        """Tool calls, and text that stands elsewhere."""
        snippets, unchecked = reading.snippets_of(chat.calls_of(part))
        for text in part.asides.values():
            snippets += carriers.in_text(text)
        if "```" in part.reasoning:
            unchecked = (*unchecked, "reasoning")
        unchecked = (*unchecked, *part.unread)
        self.unseen.update(unchecked)
        return merge([await check(snippets), policy.decide((), unchecked=unchecked)])


def _withhold(choice: dict[str, Any], lead: str, note: str) -> None:
    lead = lead.rstrip()
    chat.withhold(choice, f"{lead}\n\n{note}" if lead else note)
