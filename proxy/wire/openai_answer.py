"""What a model answered in OpenAI's chat protocol: read in full, and changed where it must be.

A client may take text from other fields than the protocol's own, so what stands where text can
stand is read (`asides`) and whatever else is unknown is counted, never taken for checked.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.endings import Ending
from bluecode.proxy.wire.reading import Calls, strings
from bluecode.proxy.wire.shape import Part, Payload

_CHOICE = frozenset(
    "index delta message text finish_reason logprobs native_finish_reason stop_reason token_ids"
    " matched_stop content_filter_results content_filter_offset content_filter_result"
    " prompt_token_ids stop_sequence finish_details error".split()
)
_BODY = frozenset(
    "role content refusal text tool_calls function_call audio name annotations citations"
    " reasoning reasoning_content reasoning_details reasoning_text thinking thinking_blocks"
    " reasoning_opaque cot_summary cot_id encrypted_content images provider_specific_fields"
    " id tool_call_id context padding obfuscation".split()
)
"""Fields of a delta or message that are read, or that hold no text and no code of the answer."""


def parts_of(payload: Mapping[str, Any], own: str = "delta") -> list[Part]:
    """What a chunk (`own="message"`: a whole answer) holds for each of its choices.

    Raises `BrokenStream` where it cannot be told which choice something belongs to.
    """
    return [_part(choice, index, own) for index, choice in choices_of(payload)]


def choices_of(payload: Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The choices with their indexes. Raises `BrokenStream`."""
    listed = payload.get("choices")
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise BrokenStream("the answer's choices are not a list of objects")
    return [(_index(choice, at), choice) for at, choice in enumerate(listed)]


def _index(choice: Mapping[str, Any], at: int) -> int:
    index = choice.get("index", at)
    if index is None:
        return at
    if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < 1024:
        raise BrokenStream("a choice's index is not a small number")
    return index


def _part(choice: Mapping[str, Any], index: int, own: str) -> Part:
    finish = choice.get("finish_reason")
    part = Part(index, finish=finish if isinstance(finish, str) and finish else None)
    body = choice.get(own)
    if body is not None:
        _read_own(body, part)
    if not choice.keys() <= _CHOICE:
        part.unread += ("other",)
    other = choice.get("message" if own == "delta" else "delta")
    if other is not None:
        _read_other(other, part)
    _set_aside("text", choice.get("text"), part)
    return part


def _read_own(body: Any, part: Part) -> None:
    if not isinstance(body, dict):
        _set_aside("body", body, part)
        return
    content = body.get("content")
    if isinstance(content, str):
        part.text = content
    elif content is not None:
        part.text = _joined(content, part)
    if body.keys() <= {"role", "content"}:
        return
    for key in ("refusal", "text"):
        _set_aside(key, body.get(key), part)
    part.pieces = list(_pieces(body))
    part.reasoning = "".join(
        text for key in ("reasoning_content", "reasoning") for _, text in strings(body.get(key))
    )
    if body.get("audio") is not None:
        part.unread += ("audio",)
    if body.get("images"):
        part.unread += ("image",)
    if not body.keys() <= _BODY:
        part.unread += ("other",)


def _read_other(body: Any, part: Part) -> None:
    """A message beside a delta: some servers repeat the whole of it in the last event."""
    if not isinstance(body, dict):
        _set_aside("other", body, part)
        return
    for key in ("content", "refusal", "text"):
        _set_aside(f"other.{key}", body.get(key), part)
    part.whole_calls = list(_pieces(body))


def _set_aside(place: str, value: Any, part: Part) -> None:
    if value is not None and (text := _joined(value, part)):
        part.asides[place] = text


def _joined(value: Any, part: Part) -> str:
    """All strings in a value that should be text; what is no text at all is counted."""
    if isinstance(value, str):
        return value
    found = [text for path, text in strings(value) if path[-1:] not in _LABELS]
    if not found and value not in ([], {}):
        part.unread += ("other",)
    return "".join(found)


_LABELS = {("type",), ("id",), ("signature",), ("annotations",)}


def _pieces(body: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Tool calls as they stand, the legacy `function_call` among them."""
    for key in ("tool_calls", "function_call"):
        value = body.get(key)
        listed = value if isinstance(value, list) else [value]
        for item in listed:
            if isinstance(item, dict) and item:
                yield {"function": item} if key == "function_call" else item
            elif item:
                yield {"arguments": item}


def said(message: Mapping[str, Any]) -> str:
    """A message's text as it is read when it comes back in the history as nothing but content and
    tool calls."""
    part = Part(0)
    _read_own({key: message.get(key) for key in ("content", "tool_calls", "function_call")}, part)
    return "\n".join(filter(None, (part.text, *(call.text for call in calls_of(part)))))


def _shortened(
    payload: Mapping[str, Any], index: int, text: str, *, rest: bool = False
) -> dict[str, Any] | None:
    """The chunk with this text as all that one choice says; None where nothing is left.

    With `rest` the choice keeps what else it had: its end, its tool calls.
    """
    choices: list[dict[str, Any]] = []
    for at, choice in choices_of(payload):
        if at != index:
            choices.append(choice)
        elif rest:
            delta = choice.get("delta")
            kept = {k: v for k, v in delta.items() if k != "content"} if delta else {}
            choices.append({**choice, "delta": {**kept, "content": text}})
            text = ""
        elif text:
            role = {"role": "assistant"} if _names_role(choice) else {}
            choices.append(_choice(index, {**role, "content": text}))
            text = ""
    if not choices and not payload.get("usage"):
        return None
    return {**payload, "choices": choices}


def _names_role(choice: Mapping[str, Any]) -> bool:
    delta = choice.get("delta")
    return isinstance(delta, dict) and "role" in delta


def calls_of(part: Part) -> Calls:
    """The tool calls of a whole answer's choice."""
    calls = Calls()
    for at, piece in enumerate([*part.pieces, *part.whole_calls]):
        calls.add({**piece, "index": at})
    return calls


def withhold(choice: dict[str, Any], text: str, ending: Ending | None) -> None:
    """Make an answer's choice an ordinary message with this text, and what ends the client's turn
    where text does not, and nothing else to be read."""
    kept: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
    finish = "stop"
    if ending is not None and ending.tool:
        kept["tool_calls"] = [ending_call(ending)]
        finish = "tool_calls"
    elif ending is not None and ending.refusal:
        kept |= {"content": ending.text, "refusal": ending.refusal}
    elif ending is not None:
        kept["content"] = f"{text}\n\n{ending.text}"
    index = choice.get("index", 0)
    choice.clear()
    choice.update(index=index, message=kept, logprobs=None, finish_reason=finish)


def ending_call(ending: Ending) -> dict[str, Any]:
    """The call that ends a turn."""
    function = {"name": ending.tool, "arguments": ending.arguments}
    name = f"call_bluecode_{secrets.token_hex(8)}"
    return {"index": 0, "id": name, "type": "function", "function": function}


DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def event(payload: Mapping[str, Any]) -> bytes:
    """One event. Raises ValueError for numbers that JSON cannot hold."""
    data = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    return b"data: " + data.encode() + b"\n\n"


def _text_chunk(like: Mapping[str, Any], index: int, text: str) -> dict[str, Any]:
    """A chunk that adds text to a choice, with the identity of another chunk."""
    return {**_same(like), "choices": [_choice(index, {"content": text})]}


def _finish_chunk(like: Mapping[str, Any], index: int, finish: str = "stop") -> dict[str, Any]:
    """A chunk that ends a choice."""
    return {**_same(like), "choices": [_choice(index, {}, finish)]}


def _same(like: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        key: like[key]
        for key in ("id", "object", "created", "model", "system_fingerprint")
        if key in like
    }
    return kept or {
        "id": "chatcmpl-bluecode",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": "",
    }


def _choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


class ChatShape:
    """See `Shape`."""

    def __init__(self, ending: Callable[[str], Ending | None] = lambda text: None) -> None:
        """`ending` says what ends the client's turn after BlueCode said something."""
        self._like: dict[str, Any] = {}
        self._ending = ending
        self._noted: dict[int, str] = {}

    def read(self, data: bytes) -> dict[str, Any] | None:
        if data == b"[DONE]":
            return None
        payload = reading.event_object(data)
        self._like = self._like or payload
        return payload

    def failed(self, payload: Mapping[str, Any]) -> bool:
        return bool(payload.get("error") and not payload.get("choices"))

    def parts(self, payload: Mapping[str, Any]) -> list[Part]:
        return parts_of(payload)

    def final(self, payload: Payload) -> bool:
        return False

    def leaving(self, payload: Payload, raw: bytes) -> tuple[Payload, bytes]:
        return payload, raw

    def shortened(
        self, payload: Mapping[str, Any], index: int, text: str, *, rest: bool = False
    ) -> dict[str, Any] | None:
        return _shortened(payload, index, text, rest=rest)

    def note(
        self, index: int, text: str, before: Sequence[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        self._noted[index] = text.strip()
        return [_text_chunk(self._like, index, text)]

    def ending(self, index: int, before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        ending = self._ending(self._noted.get(index, ""))
        if ending is None:
            return [_finish_chunk(self._like, index)]
        if ending.refusal:
            told = {**_same(self._like), "choices": [_choice(index, {"refusal": ending.refusal})]}
            return [told, _finish_chunk(self._like, index)]
        if not ending.tool:
            last = _text_chunk(self._like, index, f"\n\n{ending.text}")
            return [last, _finish_chunk(self._like, index)]
        call = _choice(index, {"tool_calls": [ending_call(ending)]})
        called = {**_same(self._like), "choices": [call]}
        return [called, _finish_chunk(self._like, index, "tool_calls")]

    def nothing(self) -> dict[str, Any]:
        return {**_same(self._like), "choices": []}

    def event(self, payload: Mapping[str, Any]) -> bytes:
        return event(payload)

    def said(self, index: int, text: str, calls: Calls) -> str:
        return "\n".join(filter(None, (text, *(call.text for call in calls))))
