"""A streamed answer of OpenAI's Responses protocol.

Every text comes twice or more: in deltas, then again in the events that end its part, its item and
the response. A copy that says what the deltas said is no news; one that says something else is
judged like any text that stands in an odd place. After a change the later copies are made to say
what the client really got, and the events are numbered anew.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import reading, responses_items
from bluecode.proxy.wire.endings import Endings, no_ending
from bluecode.proxy.wire.reading import Calls, ToolCall
from bluecode.proxy.wire.shape import Part, Payload

_ENDS = frozenset({"response.completed", "response.incomplete"})
_FAILS = frozenset({"error", "response.failed"})
_TEXT = {"response.output_text.delta": "text", "response.refusal.delta": "refusal"}
_TEXT_DONE = {"response.output_text.done": "text", "response.refusal.done": "refusal"}
_CALL_DELTAS = {
    "response.function_call_arguments": "arguments",
    "response.custom_tool_call_input": "input",
    "response.mcp_call_arguments": "arguments",
    "response.code_interpreter_call_code": "code",
    "response.shell_call_command": "command",
    "response.apply_patch_call_operation_diff": "diff",
}
_SILENT = (
    "response.reasoning", "response.web_search_call", "response.file_search_call",
    "response.mcp_list_tools", "response.mcp_call.", "response.code_interpreter_call.",
    "response.image_generation_call", "response.output_text.annotation", "response.compaction",
    "response.queued", "keepalive",
)  # fmt: skip


class ResponseShape:
    """See `Shape`. The whole response is choice 0."""

    def __init__(self, ending: Endings = no_ending) -> None:
        """`ending` says what ends the client's turn after BlueCode said something."""
        self._ending = ending
        self._noted = ""
        self._texts: dict[tuple[int, int], str] = {}
        self._calls: dict[int, ToolCall] = {}
        self._items: dict[int, Mapping[str, Any]] = {}
        self._key: tuple[int, int] | None = None
        self._place = _Place()
        self._changed = False

    def read(self, data: bytes) -> dict[str, Any] | None:
        return None if data == b"[DONE]" else reading.event_object(data)

    def failed(self, payload: Payload) -> bool:
        return str(payload.get("type")) in _FAILS

    def final(self, payload: Payload) -> bool:
        return str(payload.get("type")) in _ENDS

    def parts(self, payload: Payload) -> list[Part]:
        kind = str(payload.get("type"))
        if kind in _TEXT:
            return [self._text(payload)]
        if kind in _TEXT_DONE:
            return [self._text_done(payload, _TEXT_DONE[kind])]
        if (stem := kind.rpartition(".")[0]) in _CALL_DELTAS:
            return [self._call(payload, kind, _CALL_DELTAS[stem])]
        match kind:
            case "response.created" | "response.in_progress":
                return self._begun(payload)
            case "response.output_item.added":
                return [self._added(payload)]
            case "response.content_part.added":
                return [self._part_added(payload)]
            case "response.content_part.done":
                return [self._part_done(payload)]
            case "response.output_item.done":
                return [self._compared({_number(payload, "output_index"): payload.get("item")})]
        if kind in _ENDS or kind in _FAILS:
            return self._ended(payload, kind)
        if kind.startswith(_SILENT):
            return [Part(0, reasoning=_string(payload.get("delta")))]
        return [Part(0, unread=("other",))]

    def leaving(self, payload: Payload, raw: bytes) -> tuple[Payload, bytes]:
        if self._changed:
            payload = self._place.corrected(payload)
            raw = self.event(payload)
        self._place.go_on(payload)
        return payload, raw

    def shortened(
        self, payload: Payload, index: int, text: str, *, rest: bool = False
    ) -> dict[str, Any] | None:
        self._changed = True
        if str(payload.get("type")) in _TEXT:
            told = {"delta": text, "logprobs": []} if "logprobs" in payload else {"delta": text}
            return {**payload, **told} if text or rest else None
        return dict(payload) if rest else None

    def note(self, index: int, text: str, before: Sequence[Payload]) -> list[dict[str, Any]]:
        self._changed = True
        self._noted = text.strip()
        place = self._place.after(before)
        if place.key is not None:
            return [_delta(place, text)]
        closed = place.closing()
        at = place.next
        item = responses_items.message(text, f"msg_bluecode_{at}")
        return [*closed, *responses_items.events_of(at, item)]

    def ending(self, index: int, before: Sequence[Payload]) -> list[dict[str, Any]]:
        place = self._place.after(before)
        events = place.closing()
        for item in responses_items.items_after(self._ending(self._noted), place.next):
            events += responses_items.events_of(place.next, item)
        place = self._place.after([*before, *events])
        return [*events, {"type": "response.completed", "response": place.response()}]

    def nothing(self) -> dict[str, Any]:
        return {"type": "response.in_progress", "response": self._place.response()}

    def event(self, payload: Payload) -> bytes:
        return reading.named_event(payload)

    def said(self, index: int, text: str, calls: Calls) -> str:
        return ""  # comes back as several items, each of which is screened on its own

    def _begun(self, payload: Payload) -> list[Part]:
        response = payload.get("response")
        if isinstance(response, dict) and response.get("output"):
            raise BrokenStream("a response begins with output")
        return []

    def _added(self, payload: Payload) -> Part:
        at, item = _number(payload, "output_index"), payload.get("item")
        if at in self._items or not isinstance(item, dict):
            raise BrokenStream("an item begins out of turn")
        self._items[at] = item
        if responses_items.is_call(item):
            piece = responses_items.piece_of(item, at)
            return self._grown(at, piece)
        if str(item.get("type")) in responses_items.REMOTE:
            return Part(0, unread=("other",))
        return self._compared({at: item}) if item.get("content") else Part(0)

    def _grown(self, at: int, piece: Mapping[str, Any]) -> Part:
        self._calls.setdefault(at, ToolCall()).add(piece)
        return Part(0, hold=True, pieces=[piece])

    def _part_added(self, payload: Payload) -> Part:
        key = self._number_of(payload)
        part = payload.get("part")
        text = ""
        if isinstance(part, dict) and part.get("type") in ("output_text", "text", "refusal"):
            texts = dict(responses_items.texts_of({"content": [part]}))
            text = texts.get(0, "")
        return self._on(key, text)

    def _text(self, payload: Payload) -> Part:
        return self._on(self._number_of(payload), _string(payload.get("delta")))

    def _on(self, key: tuple[int, int], text: str) -> Part:
        fresh = key != self._key
        if fresh and key in self._texts and text:
            raise BrokenStream("a text goes on after another has begun")
        self._key = key
        self._texts[key] = self._texts.get(key, "") + text
        return Part(0, text=text, breaks=fresh)

    def _number_of(self, payload: Payload) -> tuple[int, int]:
        return _number(payload, "output_index"), _number(payload, "content_index")

    def _text_done(self, payload: Payload, name: str) -> Part:
        key = self._number_of(payload)
        return self._copied(key, _string(payload.get(name)), Part(0, breaks=True))

    def _part_done(self, payload: Payload) -> Part:
        key = self._number_of(payload)
        part = payload.get("part")
        if not isinstance(part, dict) or part.get("type") == "reasoning_text":
            return Part(0)
        text = dict(responses_items.texts_of({"content": [part]})).get(0, "")
        return self._copied(key, text, Part(0, breaks=True))

    def _copied(self, key: tuple[int, int], text: str, part: Part) -> Part:
        if text != self._texts.get(key, ""):
            part.asides[f"copy {key[0]} {key[1]} {len(text)}"] = text
        return part

    def _call(self, payload: Payload, kind: str, name: str) -> Part:
        at = _number(payload, "output_index")
        if kind.endswith(".delta"):
            return self._grown(at, {"index": at, name: _string(payload.get("delta"))})
        given = payload.get(name)
        so_far = self._calls.get(at, ToolCall()).parts.get((name,), [])
        if isinstance(given, str) and given != "".join(so_far):
            return Part(0, hold=True, whole_calls=[{name: given}])
        return Part(0, hold=True)

    def _compared(self, items: Mapping[int, Any]) -> Part:
        """Whole items: what they say beyond what was said already."""
        part = Part(0, breaks=True)
        for at, item in items.items():
            if not isinstance(item, dict):
                raise BrokenStream("an item is no object")
            if item.get("type") == "message":
                for number, text in responses_items.texts_of(item):
                    self._copied((at, number), text, part)
            elif responses_items.is_call(item):
                part.hold = True
                known = self._calls.get(at, ToolCall()).parts
                if responses_items.inputs_of(item) != _joined(known):
                    part.whole_calls = [*part.whole_calls, responses_items.piece_of(item, at)]
        return part

    def _ended(self, payload: Payload, kind: str) -> list[Part]:
        response = payload.get("response")
        output = response.get("output") if isinstance(response, dict) else None
        part = self._compared(dict(enumerate(output if isinstance(output, list) else [])))
        if kind in _ENDS:
            part.finish = kind
        return [part]


class _Place:
    """What the client has got: the items of the response, and where in them it stands."""

    def __init__(self) -> None:
        self.items: dict[int, dict[str, Any]] = {}
        self.key: tuple[int, int] | None = None
        """The text part that is open."""
        self._open: int | None = None
        self._number = -1
        self._template: dict[str, Any] = {}

    def after(self, payloads: Sequence[Payload]) -> "_Place":
        place = copy.deepcopy(self)
        for payload in payloads:
            place.go_on(payload)
        return place

    def go_on(self, payload: Payload) -> None:
        kind = str(payload.get("type"))
        if type(number := payload.get("sequence_number")) is int:
            self._number = number
        if isinstance(response := payload.get("response"), dict):
            self._template = response
        at = payload.get("output_index")
        if not isinstance(at, int):
            return
        if kind == "response.output_item.added":
            self._open = at
            self.items[at] = {**payload["item"]}
        elif kind == "response.output_item.done":
            self._open = self.key = None
            self.items[at] = {**payload["item"]}
        elif (
            kind == "response.content_part.added"
            and payload["part"].get("type") != "reasoning_text"
        ):
            self.key = (at, payload["content_index"])
            self._text_part(self.key).update(payload["part"])
        elif kind in _TEXT:
            self.key = (at, payload["content_index"])
            part = self._text_part(self.key)
            part[_TEXT[kind]] = (part.get(_TEXT[kind]) or "") + payload["delta"]
        elif kind == "response.content_part.done":
            self.key = None

    def corrected(self, payload: Payload) -> dict[str, Any]:
        """The event with the next number, its copies of texts as the client got them."""
        told = {**payload}
        if "sequence_number" in payload or self._number >= 0:
            told["sequence_number"] = self._number + 1
        kind = str(payload.get("type"))
        if kind in _TEXT_DONE:
            key = (payload["output_index"], payload["content_index"])
            told[_TEXT_DONE[kind]] = self._text_of(key)
        elif kind == "response.content_part.done" and "part" in payload:
            at, number = payload["output_index"], payload["content_index"]
            if (at, number) in self._keys():
                item = {"content": [payload["part"]]}
                one = responses_items.with_texts(item, {0: self._text_of((at, number))})
                told["part"] = one["content"][0]
        elif kind == "response.output_item.done":
            told["item"] = self._item(payload["output_index"], payload["item"])
        elif kind in _ENDS and isinstance(payload.get("response"), dict):
            told["response"] = {**payload["response"], "output": list(self.items.values())}
        return told

    def closing(self) -> list[dict[str, Any]]:
        """Events that end the part and the item that are open."""
        if self._open is None:
            return []
        item = {**self.items[self._open], "status": "completed"}
        name = item.get("id")
        done = {"type": "response.output_item.done", "output_index": self._open, "item": item}
        self.items[self._open] = item
        if self.key is None:
            return [done]
        where = {"item_id": name, "output_index": self.key[0], "content_index": self.key[1]}
        part = self._text_part(self.key)
        text = part.get("text") or ""
        return [
            {"type": "response.output_text.done", **where, "text": text, "logprobs": []},
            {"type": "response.content_part.done", **where, "part": part},
            done,
        ]

    @property
    def next(self) -> int:
        """Where an item may begin."""
        return max(self.items, default=-1) + 1

    def response(self) -> dict[str, Any]:
        output = [item for _, item in sorted(self.items.items())]
        return {**self._template, "status": "completed", "output": output}

    def _item(self, at: int, item: Mapping[str, Any]) -> dict[str, Any]:
        if item.get("type") != "message":
            return {**item}
        texts = {number: self._text_of((at, number)) for own, number in self._keys() if own == at}
        return responses_items.with_texts(item, texts)

    def _keys(self) -> list[tuple[int, int]]:
        return [
            (at, number)
            for at, item in self.items.items()
            if item.get("type") == "message"
            for number in range(len(item.get("content") or ()))
        ]

    def _text_of(self, key: tuple[int, int]) -> str:
        part = self._text_part(key)
        return part.get("text") or part.get("refusal") or ""

    def _text_part(self, key: tuple[int, int]) -> dict[str, Any]:
        item = self.items.setdefault(
            key[0], responses_items.message("", f"msg_bluecode_{key[0]}", done=False)
        )
        parts = item.setdefault("content", [])
        item["content"] = parts = list(parts)
        while len(parts) <= key[1]:
            parts.append(responses_items.text_part(""))
        part: dict[str, Any] = parts[key[1]]
        return part


def _joined(parts: Mapping[tuple[str, ...], list[str]]) -> dict[tuple[str, ...], str]:
    return {path: "".join(texts) for path, texts in parts.items() if any(texts)}


def _number(payload: Payload, name: str) -> int:
    value = payload.get(name)
    if type(value) is not int or not 0 <= value < 10_000:
        raise BrokenStream("an event does not say where it belongs")
    return value


def _string(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise BrokenStream("a text is no text")
    return value or ""


def _delta(place: _Place, text: str) -> dict[str, Any]:
    assert place.key is not None
    at, number = place.key
    return {
        "type": "response.output_text.delta",
        "item_id": place.items[at].get("id"),
        "output_index": at,
        "content_index": number,
        "delta": text,
        "logprobs": [],
    }
