"""An answer of OpenAI's Responses protocol that comes in one piece."""

from collections.abc import Mapping
from typing import Any

from bluecode.defenses import carriers
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import reading, responses_items
from bluecode.proxy.wire.endings import Endings, no_ending
from bluecode.proxy.wire.wire import Judging


class WholeResponse:
    """See `WholeAnswer`."""

    def __init__(self, raw: bytes, judging: Judging, ending: Endings = no_ending) -> None:
        """`ending` says what ends the client's turn after BlueCode said something.

        Raises `BrokenStream` for what no client could read."""
        self._ending = ending
        payload = reading.answer(raw)
        output = payload.get("output") or [] if isinstance(payload, dict) else None
        if not isinstance(output, list) or not all(isinstance(item, dict) for item in output):
            raise BrokenStream("the answer is no response")
        self._payload: dict[str, Any] = payload
        self._output: list[dict[str, Any]] = output
        self._judging = judging
        self.verdict = merge([])
        self.unseen: set[str] = set()

    async def judge(self) -> Verdict:
        for at, item in enumerate(self._output):
            if item.get("type") == "message" and await self._judge_message(at, item):
                return self.verdict
            if str(item.get("type")) in responses_items.REMOTE:
                self.unseen.add("other")
        await self._judge_calls()
        return self.verdict

    def delivered(self) -> list[str]:
        return []  # comes back as several items, each of which is screened on its own

    def with_verdict(self, told: Mapping[str, Any]) -> bytes:
        return reading.written({**self._payload, "bluecode": told})

    async def _judge_message(self, at: int, item: dict[str, Any]) -> bool:
        """Judge a message's texts; True where the response was cut there."""
        changed: dict[int, str] = {}
        for number, text in responses_items.texts_of(item):
            for found in await reading.blocks_of(text):
                before = self.verdict
                verdict = await self._judging.check(await reading.unwrapped(found))
                self.verdict = merge([before, verdict])
                if verdict.blocks:
                    mended = await self._judging.mend(text, verdict)
                    if mended is None:
                        self._withhold(at, number, text[: found.start].rstrip(), verdict)
                    else:
                        self.verdict = merge([before, mended.verdict])
                        self._end(at, number, mended.text, mended.text)
                    return True
                if (
                    self._judging.notes.due(verdict) and not found.is_answer
                ):  # a note behind it would break it
                    note = self._judging.notes.warning(verdict)
                    changed[number] = f"{changed.get(number, text)}\n\n{note}"
        if changed:
            self._output[at] = responses_items.with_texts(item, changed)
            self._say()
        return False

    async def _judge_calls(self) -> None:
        """Calls of tools, and the text that some servers repeat beside the items."""
        given = list(responses_items.calls_of(dict(enumerate(self._output))))
        traced = self._judging.trace([call.text for call in given])
        snippets, unchecked = await reading.snippets_of(given)
        repeated = self._payload.get("output_text")
        if isinstance(repeated, str) and repeated != self._text():
            snippets += await reading.at_leisure(carriers.in_text, repeated, len(repeated))
        self.unseen.update(unchecked)
        unread = self._judging.policy.decide((), unchecked=sorted(self.unseen))
        verdict = merge([await self._judging.check(snippets), unread, traced])
        self.verdict = merge([self.verdict, verdict])
        calls = [at for at, item in enumerate(self._output) if responses_items.is_call(item)]
        if verdict.blocks:
            self._withhold(calls[0] if calls else len(self._output), 0, "", verdict)
        elif self._judging.notes.due(verdict):
            note = self._judging.notes.warning(verdict)
            self._output.append(responses_items.message(note, "msg_bluecode_note"))
            self._say()

    def _withhold(self, at: int, number: int, lead: str, verdict: Verdict) -> None:
        note = self._judging.notes.withheld(verdict)
        self._end(at, number, self._judging.notes.behind(lead, note), note)

    def _end(self, at: int, number: int, text: str, said: str) -> None:
        """End the response with this text in the place of what stands there and behind it; `said`
        of it is what BlueCode says."""
        item = self._output[at] if at < len(self._output) else {}
        ending = self._ending(said)
        parts: list[dict[str, Any]] = [responses_items.text_part(text)]
        if ending is not None and ending.refusal:
            parts = [{"type": "refusal", "refusal": ending.refusal}]
        if item.get("type") == "message":
            own = {**item, "content": [*(item.get("content") or ())[:number], *parts]}
        else:
            own = {**responses_items.message(text, "msg_bluecode_note"), "content": parts}
        self._output[at:] = [own, *responses_items.items_after(ending, at + 1)]
        self._payload["status"] = "completed"
        self._payload["incomplete_details"] = None
        self._say()

    def _say(self) -> None:
        self._payload["output"] = self._output
        if "output_text" in self._payload:
            self._payload["output_text"] = self._text()

    def _text(self) -> str:
        messages = [item for item in self._output if item.get("type") == "message"]
        return "".join(text for item in messages for _, text in responses_items.texts_of(item))
