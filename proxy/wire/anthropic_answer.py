"""What a model answered in Anthropic's Messages protocol, streamed or whole.

A message is a row of blocks. Each text block is a text of its own; calls of tools wait for the end
of the message. Where something is blocked, a note takes its place in a text block, and the message
ends with `end_turn`.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import content, reading
from bluecode.proxy.wire.endings import Ending, Endings, no_ending
from bluecode.proxy.wire.reading import Calls, ToolCall
from bluecode.proxy.wire.shape import Part, Payload
from bluecode.proxy.wire.wire import Judging

_QUIET = frozenset({"thinking", "redacted_thinking"})
_DELTA_TEXT = {
    "text_delta": "text",
    "thinking_delta": "thinking",
    "input_json_delta": "partial_json",
}
_SILENT_DELTAS = frozenset({"signature_delta", "citations_delta"})


def text_of(block: Any, texts: list[str], unread: set[str]) -> None:
    """What one block of content says; a tool's input stays one text, as the model wrote it."""
    if isinstance(block, str):
        texts.append(block)
    elif isinstance(block, dict) and isinstance(block.get("input"), dict | list):
        texts.append(json.dumps(block["input"]))
        rest = {key: item for key, item in block.items() if key not in ("input", "name")}
        content.read(rest, "", texts, unread)
    else:
        content.read_part(block, texts, unread)


def _said(blocks: Sequence[Any]) -> str:
    texts: list[str] = []
    for block in blocks:
        text_of(block, texts, set())
    return "\n".join(text for text in texts if text)


class MessageShape:
    """See `Shape`. The whole message is choice 0."""

    def __init__(self, ending: Endings = no_ending) -> None:
        """`ending` says what ends the client's turn after BlueCode said something."""
        self._ending = ending
        self._noted = ""
        self._blocks: list[dict[str, Any]] = []
        self._open: dict[str, Any] | None = None
        self._index = -1
        self._left = _Place()
        self._usage: Mapping[str, Any] = {}

    def read(self, data: bytes) -> dict[str, Any] | None:
        payload = reading.event_object(data)
        return None if payload.get("type") == "message_stop" else payload

    def failed(self, payload: Payload) -> bool:
        return payload.get("type") == "error"

    def parts(self, payload: Payload) -> list[Part]:
        match payload.get("type"):
            case "message_start":
                return self._begun(payload.get("message"))
            case "content_block_start":
                return [self._opened(payload)]
            case "content_block_delta":
                return [self._added(payload)]
            case "content_block_stop":
                return [self._closed(payload)]
            case "message_delta":
                return [self._ended(payload)]
            case "ping" | "error":
                return []
            case _:
                return [Part(0, unread=("other",))]

    def final(self, payload: Payload) -> bool:
        return False

    def leaving(self, payload: Payload, raw: bytes) -> tuple[Payload, bytes]:
        self._left.go_on(payload)
        return payload, raw

    def shortened(
        self, payload: Payload, index: int, text: str, *, rest: bool = False
    ) -> dict[str, Any] | None:
        if rest and payload.get("type") != "content_block_delta":
            return dict(payload)
        if not text:
            return None
        if payload.get("type") == "content_block_start":
            return {**payload, "content_block": {**payload["content_block"], "text": text}}
        return {**payload, "delta": {"type": "text_delta", "text": text}}

    def note(self, index: int, text: str, before: Sequence[Payload]) -> list[dict[str, Any]]:
        self._noted = text.strip()
        place = self._left.after(before)
        if place.text:
            return [_text_delta(place.open, text)]
        opened = [] if place.open is None else [_stop(place.open)]
        return [*opened, *events_of(place.next, {"type": "text", "text": text})]

    def ending(self, index: int, before: Sequence[Payload]) -> list[dict[str, Any]]:
        place = self._left.after(before)
        closed = [] if place.open is None else [_stop(place.open)]
        blocks = blocks_after(self._ending(self._noted))
        added = [
            event for at, block in enumerate(blocks) for event in events_of(place.next + at, block)
        ]
        end = {"stop_reason": reason_for(blocks), "stop_sequence": None}
        usage = {"output_tokens": 0, **self._usage}
        return [*closed, *added, {"type": "message_delta", "delta": end, "usage": usage}]

    def nothing(self) -> dict[str, Any]:
        return {"type": "ping"}

    def event(self, payload: Payload) -> bytes:
        return reading.named_event(payload)

    def said(self, index: int, text: str, calls: Calls) -> str:
        return _said(self._blocks)

    def _begun(self, message: Any) -> list[Part]:
        if not isinstance(message, dict) or message.get("content"):
            raise BrokenStream("a message begins with content")
        usage = message.get("usage")
        if isinstance(usage, dict) and isinstance(usage.get("output_tokens"), int):
            self._usage = {"output_tokens": usage["output_tokens"]}
        return []

    def _opened(self, payload: Payload) -> Part:
        index, block = payload.get("index"), payload.get("content_block")
        if type(index) is not int or index <= self._index or self._open is not None:
            raise BrokenStream("a block begins out of turn")
        if not isinstance(block, dict):
            raise BrokenStream("a block is no object")
        self._index, self._open = index, dict(block)
        self._blocks.append(self._open)
        if block.get("type") == "text":
            text = block.get("text") or ""
            if not isinstance(text, str):
                raise BrokenStream("a block's text is no text")
            return Part(0, text=text, breaks=True)
        if _is_call(block):
            return Part(0, breaks=True, hold=True, pieces=[_piece(index, block)])
        return Part(0, breaks=True, unread=() if str(block.get("type")) in _QUIET else ("other",))

    def _added(self, payload: Payload) -> Part:
        block, delta = self._open, payload.get("delta")
        if block is None or payload.get("index") != self._index or not isinstance(delta, dict):
            raise BrokenStream("a delta belongs to no open block")
        kind = str(delta.get("type"))
        if kind in _SILENT_DELTAS:
            if kind == "signature_delta":
                block["signature"] = delta.get("signature")
            return Part(0, hold=_is_call(block))
        key = _DELTA_TEXT.get(kind)
        text = delta.get(key) if key else None
        if not isinstance(text, str):
            raise BrokenStream("a delta of an unknown kind")
        return self._grown(block, kind, text)

    def _grown(self, block: dict[str, Any], kind: str, text: str) -> Part:
        if kind == "text_delta" and block.get("type") == "text":
            block["text"] = (block.get("text") or "") + text
            return Part(0, text=text)
        if kind == "thinking_delta" and block.get("type") == "thinking":
            block["thinking"] = (block.get("thinking") or "") + text
            return Part(0, reasoning=text)
        if kind == "input_json_delta" and _is_call(block):
            given = block.get("input")
            block["input"] = (given if isinstance(given, str) else "") + text
            return Part(0, pieces=[{"index": self._index, "input": text}])
        raise BrokenStream("a delta does not fit its block")

    def _closed(self, payload: Payload) -> Part:
        block = self._open
        if block is None or payload.get("index") != self._index:
            raise BrokenStream("a block ends that is not open")
        self._open = None
        if _is_call(block) and isinstance(block.get("input"), str):
            block["input"] = _parsed(block["input"])
        return Part(0, breaks=True, hold=_is_call(block))

    def _ended(self, payload: Payload) -> Part:
        delta = payload.get("delta")
        reason = delta.get("stop_reason") if isinstance(delta, dict) else None
        return Part(0, finish=reason if isinstance(reason, str) and reason else None)


class _Place:
    """Where in the row of blocks the client stands."""

    def __init__(self, open_: int | None = None, text: bool = False, next_: int = 0) -> None:
        self.open = open_
        self.text = text
        self.next = next_

    def go_on(self, payload: Payload) -> None:
        if payload.get("type") == "content_block_start":
            self.open = payload["index"]
            self.text = payload["content_block"].get("type") == "text"
            self.next = payload["index"] + 1
        elif payload.get("type") == "content_block_stop":
            self.open, self.text = None, False

    def after(self, payloads: Sequence[Payload]) -> "_Place":
        place = _Place(self.open, self.text, self.next)
        for payload in payloads:
            place.go_on(payload)
        return place


def _is_call(block: Mapping[str, Any]) -> bool:
    return str(block.get("type")).endswith("tool_use")


def _piece(index: int, block: Mapping[str, Any]) -> dict[str, Any]:
    """A call as `reading.ToolCall` takes it; its input comes later, or stands here parsed."""
    given = block.get("input")
    called = {"index": index, "id": block.get("id"), "name": block.get("name")}
    return {**called, "input": given} if given else called


def _parsed(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        return text


def blocks_after(ending: Ending | None) -> list[dict[str, Any]]:
    """What ends the client's turn behind a note."""
    if ending is None or ending.refusal:
        return []
    if not ending.tool:
        return [{"type": "text", "text": ending.text}]
    name = f"toolu_bluecode_{secrets.token_hex(8)}"
    return [{"type": "tool_use", "id": name, "name": ending.tool, "input": ending.given}]


def reason_for(blocks: Sequence[Mapping[str, Any]]) -> str:
    """Why a message of ours ends."""
    return "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"


def events_of(index: int, block: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a whole block of ours."""
    if block["type"] == "tool_use":
        empty = {**block, "input": {}}
        given = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        delta = {"type": "content_block_delta", "index": index, "delta": given}
    else:
        empty = {**block, "text": ""}
        delta = _text_delta(index, block["text"])
    start = {"type": "content_block_start", "index": index, "content_block": empty}
    return [start, delta, _stop(index)]


def _text_delta(index: int | None, text: str) -> dict[str, Any]:
    delta = {"type": "text_delta", "text": text}
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _stop(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


class WholeMessage:
    """See `WholeAnswer`."""

    def __init__(self, raw: bytes, judging: Judging, ending: Endings = no_ending) -> None:
        """`ending` says what ends the client's turn after BlueCode said something.

        Raises `BrokenStream` for what no client could read."""
        payload = reading.answer(raw)
        self._ending = ending
        if not isinstance(payload, dict) or not isinstance(payload.get("content", []), list):
            raise BrokenStream("the answer is no message")
        self._payload: dict[str, Any] = payload
        self._judging = judging
        self.verdict = merge([])
        self.unseen: set[str] = set()

    async def judge(self) -> Verdict:
        blocks: list[Any] = self._payload.get("content", [])
        calls: list[ToolCall] = []
        for at, block in enumerate(blocks):
            if isinstance(block, dict) and block.get("type") == "text":
                if await self._judge_text(at, block):
                    return self.verdict
            elif isinstance(block, dict) and _is_call(block):
                calls.append(ToolCall())
                calls[-1].add(_piece(at, block))
            elif not isinstance(block, dict) or str(block.get("type")) not in _QUIET:
                self.unseen.add("other")
        await self._judge_calls(blocks, calls)
        return self.verdict

    def delivered(self) -> list[str]:
        return [_said(self._payload.get("content", []))]

    def with_verdict(self, told: Mapping[str, Any]) -> bytes:
        return reading.written({**self._payload, "bluecode": told})

    async def _judge_text(self, at: int, block: dict[str, Any]) -> bool:
        """Judge a text block; True where the message was cut there."""
        text = block.get("text")
        if not isinstance(text, str):
            raise BrokenStream("a block's text is no text")
        for found in await reading.blocks_of(text):
            before = self.verdict
            verdict = await self._judging.check(await reading.unwrapped(found))
            self.verdict = merge([before, verdict])
            if verdict.blocks:
                mended = await self._judging.mend(text, verdict)
                if mended is None:
                    self._withhold(at, text[: found.start].rstrip(), verdict)
                else:
                    self.verdict = merge([before, mended.verdict])
                    self._end(at, mended.text, mended.text)
                return True
            if (
                self._judging.notes.due(verdict) and not found.is_answer
            ):  # a note behind it would break it
                block["text"] = f"{block['text']}\n\n{self._judging.notes.warning(verdict)}"
        return False

    async def _judge_calls(self, blocks: list[Any], calls: list[ToolCall]) -> None:
        traced = self._judging.trace([call.text for call in calls])
        snippets, unchecked = await reading.snippets_of(calls)
        self.unseen.update(unchecked)
        unread = self._judging.policy.decide((), unchecked=sorted(self.unseen))
        verdict = merge([await self._judging.check(snippets), unread, traced])
        self.verdict = merge([self.verdict, verdict])
        if verdict.blocks:
            first = next(
                (n for n, b in enumerate(blocks) if isinstance(b, dict) and _is_call(b)),
                len(blocks),
            )
            self._withhold(first, "", verdict)
        elif self._judging.notes.due(verdict):
            blocks.append({"type": "text", "text": self._judging.notes.warning(verdict)})

    def _withhold(self, at: int, lead: str, verdict: Verdict) -> None:
        note = self._judging.notes.withheld(verdict)
        self._end(at, self._judging.notes.behind(lead, note), note)

    def _end(self, at: int, text: str, said: str) -> None:
        """End the message with this text in the place of what stands there and behind it; `said` of
        it is what BlueCode says."""
        ending = self._ending(said)
        blocks = blocks_after(ending)
        text = ending.text if ending is not None and ending.refusal else text
        kept = self._payload["content"][:at]
        self._payload["content"] = [*kept, {"type": "text", "text": text}, *blocks]
        self._payload["stop_reason"] = reason_for(blocks)
        self._payload["stop_sequence"] = None
