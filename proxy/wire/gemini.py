"""Google's Gemini protocol: what is read out of a request, and the answers that are ours.

A turn of the user carries the results of functions beside the user's own words; each is a message
of its own here, since the two are not screened alike.
"""

import json
import re
import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bluecode.defenses.conversation import Conversation, Message, Role
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire import content, reading
from bluecode.proxy.wire.endings import ending_for
from bluecode.proxy.wire.gemini_answer import (
    GeminiShape,
    WholeGemini,
    candidate,
    event,
    parts_after,
)
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import AnswerStream, Judging, Request, WholeAnswer

_ROLES = {
    "user": Role.USER,
    "model": Role.ASSISTANT,
    "function": Role.TOOL,
    "tool": Role.TOOL,
    "system": Role.SYSTEM,
}
_METHOD = re.compile(r"/models/(?P<model>\w[\w.-]*):(?P<method>(?:stream)?[gG]enerateContent)")
_KEYS = frozenset("role parts".split())
_PAYLOAD_KEYS = frozenset("contents tools".split())
_NO_TEXT = frozenset(
    "contents generationConfig generation_config safetySettings safety_settings toolConfig"
    " tool_config cachedContent cached_content labels model session_id".split()
)
_EXTRA_ROLES = dict.fromkeys(("systemInstruction", "system_instruction", "tools"), Role.SYSTEM)
_RESULTS = ("functionResponse", "function_response")
_STATUS = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
}

Place = tuple[int, int | None]
"""Index in `contents`, and of the part where a part stands for itself."""


class GeminiWire:
    """See `Wire`."""

    paths = ("/models/{call}",)
    key_header = "x-goog-api-key"
    keep_alive = b""
    done = b""

    def parse(self, body: bytes, path: str) -> Request:
        called = _METHOD.fullmatch(path)
        if called is None:
            raise WireError(404, "BlueCode serves no such method.", code="unknown_path")
        payload = reading.body(body)
        content.refuse_variants(payload, _PAYLOAD_KEYS, "The request body")
        if isinstance(payload.get("contents"), dict):
            payload["contents"] = [payload["contents"]]
        read = list(_messages(payload.get("contents")))
        cached = payload.get("cachedContent") or payload.get("cached_content")
        unseen = [Message(role=Role.ASSISTANT, text="", unread=("history",))] if cached else []
        config = payload.get("generationConfig")
        count = config.get("candidateCount") if isinstance(config, dict) else None
        return Request(
            payload=payload,
            conversation=Conversation(
                messages=tuple(message for _, message in read), model=called["model"]
            ),
            places=tuple(place for place, _ in read),
            extras=(*content.extras(payload, _NO_TEXT, _EXTRA_ROLES), *unseen),
            stream=called["method"].startswith("stream"),
            choices=count if type(count) is int and 0 < count <= 128 else 1,
        )

    def replace_message(self, request: Request, at: int, text: str) -> None:
        index, number = request.places[at]
        item = request.payload["contents"][index]
        if number is None:
            kept = [part for part in _parts(item) if _is_result(part)]
            calls = [_emptied(part) for part in _parts(item) if _called(part) is not None]
            item["parts"] = [*kept, {"text": text}, *calls]
            return
        part = item["parts"][number]
        key = next(key for key in _RESULTS if key in part)
        old = part[key]
        said = {name: old[name] for name in ("id", "name") if name in old}
        item["parts"][number] = {key: {**said, "response": {"output": text}}}

    def refusal(self, request: Request, text: str) -> dict[str, Any]:
        ending = ending_for(request.payload, text)
        after = parts_after(ending)
        told = "" if after and ending is not None and ending.tells else text
        said = [candidate(at, told, "STOP", after) for at in range(request.choices)]
        return {**_identity(request), "candidates": said}

    def refusal_events(self, request: Request, text: str, told: Mapping[str, Any]) -> list[bytes]:
        return [event({**self.refusal(request, text), "bluecode": dict(told)})]

    def error(self, message: str, *, code: str, kind: str, status: int) -> dict[str, Any]:
        known = _STATUS.get(status, "INTERNAL" if status >= 500 else "INVALID_ARGUMENT")
        details = [{"reason": code}]
        told = {"code": status, "message": message, "status": known, "details": details}
        return {"error": told}

    def error_event(self, error: Mapping[str, Any]) -> bytes:
        return event(error)

    def whole(self, request: Request, body: bytes, judging: Judging) -> WholeAnswer:
        return WholeGemini(body, judging, partial(ending_for, request.payload))

    def stream(self, request: Request, judging: Judging) -> AnswerStream:
        shape = GeminiShape(partial(ending_for, request.payload))
        return HeldStream(judging, shape, choices=request.choices)


def _messages(contents: Any) -> Iterator[tuple[Place, Message]]:
    if not isinstance(contents, list) or not contents:
        raise WireError(400, "`contents` must be a list with at least one item.")
    for at, item in enumerate(contents):
        if not isinstance(item, dict):
            raise WireError(400, f"`contents[{at}]` must be an object.")
        role = item.get("role") or "user"
        if not isinstance(role, str) or role not in _ROLES:
            raise WireError(400, f"`contents[{at}].role` must be one of {', '.join(_ROLES)}.")
        content.refuse_variants(item, _KEYS, f"`contents[{at}]`")
        yield from _of_item(item, at, _ROLES[role])


def _of_item(item: Mapping[str, Any], at: int, role: Role) -> Iterator[tuple[Place, Message]]:
    parts = _parts(item)
    results = [number for number, part in enumerate(parts) if _is_result(part)]
    for number in results:
        yield (at, number), _message(Role.TOOL, [parts[number]], {})
    rest = [part for number, part in enumerate(parts) if number not in results]
    if rest or not results:
        yield (at, None), _message(role, rest, item)


def _parts(item: Mapping[str, Any]) -> list[Any]:
    parts = item.get("parts")
    return parts if isinstance(parts, list) else [] if parts is None else [parts]


def _is_result(part: Any) -> bool:
    return isinstance(part, dict) and any(isinstance(part.get(key), dict) for key in _RESULTS)


def _called(part: Any) -> dict[str, Any] | None:
    call = part.get("functionCall", part.get("function_call")) if isinstance(part, dict) else None
    return call if isinstance(call, dict) else None


def _emptied(part: Mapping[str, Any]) -> dict[str, Any]:
    call = _called(part) or {}
    kept = {key: call[key] for key in ("id", "name") if key in call}
    return {"functionCall": {**kept, "args": {}}}


def _message(role: Role, parts: list[Any], item: Mapping[str, Any]) -> Message:
    texts: list[str] = []
    unread: set[str] = set()
    for part in parts:
        if (call := _called(part)) is not None:
            texts.append(json.dumps(call.get("args")))
            part = {key: value for key, value in part.items() if key.lower() != "functioncall"}
        content.read(part, "", texts, unread)
        if isinstance(part, dict):
            unread.update(_unread(part))
    for key in item.keys() - _KEYS:
        content.read(item[key], key, texts, unread)
    text = "\n".join(text for text in texts if text)
    return Message(role=role, text=text, unread=tuple(sorted(unread)))


def _unread(part: Mapping[str, Any]) -> Iterator[str]:
    for key in ("inlineData", "inline_data"):
        if isinstance(data := part.get(key), dict):
            kind = str(data.get("mimeType", data.get("mime_type", ""))).partition("/")[0]
            yield kind if kind in ("image", "audio") else "file"
    if "fileData" in part or "file_data" in part:
        yield "file"


def _identity(request: Request) -> dict[str, Any]:
    usage = {"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0}
    return {
        "usageMetadata": usage,
        "modelVersion": request.conversation.model,
        "responseId": f"bluecode{secrets.token_hex(8)}",
    }
