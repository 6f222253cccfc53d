"""Anthropic's Messages protocol: what is read out of a request, and the answers that are ours.

One message of the protocol can hold several of ours: a user's turn carries the results of tools
beside the user's own words, and the two are not screened alike.
"""

import secrets
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bluecode.defenses.conversation import Conversation, Message, Role
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire import content, reading
from bluecode.proxy.wire.anthropic_answer import (
    MessageShape,
    WholeMessage,
    blocks_after,
    events_of,
    reason_for,
    text_of,
)
from bluecode.proxy.wire.endings import ending_for
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import AnswerStream, Judging, Request, WholeAnswer

_ROLES = {"user": Role.USER, "assistant": Role.ASSISTANT, "system": Role.SYSTEM}
_KEYS = frozenset("role content".split())
_PAYLOAD_KEYS = frozenset("messages model stream tools system".split())
_NO_TEXT = frozenset(
    "messages model stream max_tokens metadata stop_sequences temperature top_k top_p thinking"
    " tool_choice service_tier context_management output_config container betas speed"
    " inference_geo cache_control".split()
)
_EXTRA_ROLES = dict.fromkeys(("system", "tools", "mcp_servers"), Role.SYSTEM)
_RESULTS = ("tool_result", "mcp_tool_result", "web_search_tool_result", "web_fetch_tool_result")
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


class MessagesWire:
    """See `Wire`."""

    paths = ("/messages",)
    key_header = "x-api-key"
    keep_alive = b'event: ping\ndata: {"type": "ping"}\n\n'
    done = b""

    def parse(self, body: bytes, path: str) -> Request:
        payload = reading.body(body)
        content.refuse_variants(payload, _PAYLOAD_KEYS, "The request body")
        messages = payload.get("messages")
        if not isinstance(messages, list) or not messages:
            raise WireError(400, "`messages` must be a list with at least one message.")
        read = [found for at, item in enumerate(messages) for found in _messages(item, at)]
        model = payload.get("model")
        return Request(
            payload=payload,
            conversation=Conversation(
                messages=tuple(message for _, message in read),
                model=model if isinstance(model, str) else "",
            ),
            places=tuple(place for place, _ in read),
            extras=tuple(content.extras(payload, _NO_TEXT, _EXTRA_ROLES)),
            stream=payload.get("stream") is True,
        )

    def replace_message(self, request: Request, at: int, text: str) -> None:
        index, part = request.places[at]
        message = request.payload["messages"][index]
        if part is None:
            message["content"] = _replaced(message.get("content"), text)
            return
        old = message["content"][part]
        kept = {key: old[key] for key in ("type", "tool_use_id") if key in old}
        message["content"][part] = {**kept, "content": text}

    def refusal(self, request: Request, text: str) -> dict[str, Any]:
        blocks = _said(request, text)
        return {**_identity(request), "content": blocks, "stop_reason": reason_for(blocks)}

    def refusal_events(self, request: Request, text: str, told: Mapping[str, Any]) -> list[bytes]:
        start = {**_identity(request), "content": [], "stop_reason": None}
        blocks = _said(request, text)
        end = {"stop_reason": reason_for(blocks), "stop_sequence": None}
        events: list[dict[str, Any]] = [
            {"type": "message_start", "message": start},
            *(event for at, block in enumerate(blocks) for event in events_of(at, block)),
            {"type": "message_delta", "delta": end, "usage": {"output_tokens": 0}},
            {"type": "message_stop", "bluecode": dict(told)},
        ]
        return [reading.named_event(event) for event in events]

    def error(self, message: str, *, code: str, kind: str, status: int) -> dict[str, Any]:
        known = _ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": known, "message": message, "code": code}}

    def error_event(self, error: Mapping[str, Any]) -> bytes:
        return reading.named_event(error)

    def whole(self, request: Request, body: bytes, judging: Judging) -> WholeAnswer:
        return WholeMessage(body, judging, partial(ending_for, request.payload))

    def stream(self, request: Request, judging: Judging) -> AnswerStream:
        return HeldStream(judging, MessageShape(partial(ending_for, request.payload)))


def _said(request: Request, text: str) -> list[dict[str, Any]]:
    """The blocks that say this to the client and end its turn."""
    ending = ending_for(request.payload, text)
    after = blocks_after(ending)
    alone = ending is not None and bool(after) and ending.tells
    return after if alone else [{"type": "text", "text": text}, *after]


Place = tuple[int, int | None]
"""Index of a message, and of the part in it where a part stands for itself."""


def _messages(item: Any, at: int) -> Iterator[tuple[Place, Message]]:
    """The results of tools one by one, and all else that the message says."""
    if not isinstance(item, dict):
        raise WireError(400, f"`messages[{at}]` must be an object.")
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise WireError(400, f"`messages[{at}].role` must be one of {', '.join(_ROLES)}.")
    said = item.get("content")
    if not isinstance(said, str | list):
        raise WireError(400, f"`messages[{at}].content` must be a string or a list of blocks.")
    content.refuse_variants(item, _KEYS, f"`messages[{at}]`")
    parts = [said] if isinstance(said, str) else said
    results = {n for n, part in enumerate(parts) if _is_result(part, role)}
    for number in sorted(results):
        yield (at, number), _message(Role.TOOL, [parts[number]], {})
    rest = [part for number, part in enumerate(parts) if number not in results]
    if rest or not results:
        yield (at, None), _message(_ROLES[role], rest, item)


def _is_result(part: Any, role: str) -> bool:
    return role == "user" and isinstance(part, dict) and part.get("type") in _RESULTS


def _message(role: Role, parts: list[Any], item: Mapping[str, Any]) -> Message:
    texts: list[str] = []
    unread: set[str] = set()
    for part in parts:
        text_of(part, texts, unread)
    for key in item.keys() - _KEYS:
        content.read(item[key], key, texts, unread)
    text = "\n".join(text for text in texts if text)
    return Message(role=role, text=text, unread=tuple(sorted(unread)))


def _replaced(said: Any, text: str) -> Any:
    """A message's content less what it said; calls of tools stay, since their results follow."""
    if isinstance(said, str):
        return text
    kept = [part for part in said if isinstance(part, dict) and part.get("type") in _RESULTS]
    calls: list[dict[str, Any]] = [
        {"type": "tool_use", "id": part.get("id"), "name": part.get("name"), "input": {}}
        for part in said
        if isinstance(part, dict) and part.get("type") == "tool_use"
    ]
    return [*kept, {"type": "text", "text": text}, *calls]


def _identity(request: Request) -> dict[str, Any]:
    return {
        "id": f"msg_bluecode_{secrets.token_hex(8)}",
        "type": "message",
        "role": "assistant",
        "model": request.conversation.model,
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }
