"""OpenAI's Responses protocol: what is read out of a request, and the answers that are ours."""

import secrets
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bluecode.defenses.conversation import Conversation, Message, Role
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire import content, openai_chat, reading, responses_items
from bluecode.proxy.wire.endings import ending_for
from bluecode.proxy.wire.openai_answer import KEEP_ALIVE
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.responses_answer import ResponseShape
from bluecode.proxy.wire.responses_whole import WholeResponse
from bluecode.proxy.wire.wire import AnswerStream, Judging, Request, WholeAnswer

_ROLES = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "tool": Role.TOOL,
}
_ITEM_KEYS = frozenset("type role content arguments output input call_id name id status".split())
_PAYLOAD_KEYS = frozenset("input model stream tools instructions".split())
_NO_TEXT = frozenset(
    "input model stream background client_metadata conversation include max_output_tokens"
    " max_tool_calls metadata parallel_tool_calls previous_response_id prompt_cache_key"
    " prompt_cache_retention reasoning safety_identifier service_tier store stream_options"
    " temperature tool_choice top_logprobs top_p truncation user context_management".split()
)
_EXTRA_ROLES = dict.fromkeys(("tools", "instructions", "text"), Role.SYSTEM)


class ResponsesWire:
    """See `Wire`."""

    paths = ("/responses",)
    key_header = "authorization"
    keep_alive = KEEP_ALIVE
    done = b""

    def parse(self, body: bytes, path: str) -> Request:
        payload = reading.body(body)
        content.refuse_variants(payload, _PAYLOAD_KEYS, "The request body")
        if payload.get("background"):  # its answer would be fetched by another way
            raise WireError(400, "`background` is not served: the answer would go unguarded.")
        read = list(_messages(payload.get("input")))
        model = payload.get("model")
        stored = payload.get("previous_response_id") or payload.get("conversation")
        unseen = [Message(role=Role.ASSISTANT, text="", unread=("history",))] if stored else []
        return Request(
            payload=payload,
            conversation=Conversation(
                messages=tuple(message for _, message in read),
                model=model if isinstance(model, str) else "",
            ),
            places=tuple(place for place, _ in read),
            extras=(*content.extras(payload, _NO_TEXT, _EXTRA_ROLES), *unseen),
            stream=payload.get("stream") is True,
        )

    def replace_message(self, request: Request, at: int, text: str) -> None:
        place = request.places[at]
        if place is None:
            request.payload["input"] = text
        else:
            items = request.payload["input"]
            items[place] = responses_items.replaced(items[place], text)

    def refusal(self, request: Request, text: str) -> dict[str, Any]:
        return {
            **_identity(request),
            "status": "completed",
            "output": _said(request, text),
            "usage": {
                "input_tokens": 0,
                "input_tokens_details": {"cached_tokens": 0},
                "output_tokens": 0,
                "output_tokens_details": {"reasoning_tokens": 0},
                "total_tokens": 0,
            },
        }

    def refusal_events(self, request: Request, text: str, told: Mapping[str, Any]) -> list[bytes]:
        whole = self.refusal(request, text)
        begun = {**whole, "status": "in_progress", "output": []}
        items = enumerate(whole["output"])
        events: list[Mapping[str, Any]] = [
            {"type": "response.created", "response": begun},
            {"type": "response.in_progress", "response": begun},
            *(event for at, item in items for event in responses_items.events_of(at, item)),
            {"type": "response.completed", "response": whole, "bluecode": dict(told)},
        ]
        return [
            reading.named_event({**event, "sequence_number": at}) for at, event in enumerate(events)
        ]

    def error(self, message: str, *, code: str, kind: str, status: int) -> dict[str, Any]:
        return openai_chat.error(message, code=code, kind=kind)

    def error_event(self, error: Mapping[str, Any]) -> bytes:
        told = error.get("error", {})
        shown = {"code": told.get("code"), "message": told.get("message"), "param": None}
        return reading.named_event({"type": "error", **shown, "sequence_number": 0})

    def whole(self, request: Request, body: bytes, judging: Judging) -> WholeAnswer:
        return WholeResponse(body, judging, partial(ending_for, request.payload))

    def stream(self, request: Request, judging: Judging) -> AnswerStream:
        return HeldStream(judging, ResponseShape(partial(ending_for, request.payload)))


def _said(request: Request, text: str) -> list[dict[str, Any]]:
    """The items that say this to the client and end its turn."""
    ending = ending_for(request.payload, text)
    if ending is not None and ending.refusal:
        return [responses_items.refused(ending.refusal, "msg_bluecode_0")]
    alone = ending is not None and ending.tells
    note = [] if alone else [responses_items.message(text, "msg_bluecode_0")]
    return [*note, *responses_items.items_after(ending, len(note))]


def _messages(given: Any) -> Iterator[tuple[int | None, Message]]:
    """Every item as a message of its own, with its place in the list."""
    if isinstance(given, str):
        yield None, Message(role=Role.USER, text=given)
        return
    if not isinstance(given, list) or not given:
        raise WireError(400, "`input` must be a string or a list with at least one item.")
    for at, item in enumerate(given):
        yield at, _message(item, at)


def _message(item: Any, at: int) -> Message:
    if isinstance(item, str):
        return Message(role=Role.USER, text=item)
    if not isinstance(item, dict):
        raise WireError(400, f"`input[{at}]` must be an object.")
    content.refuse_variants(item, _ITEM_KEYS, f"`input[{at}]`")
    texts: list[str] = []
    unread: set[str] = set()
    for key in sorted(item.keys() - {"type", "role", "id", "status", "call_id"}):
        content.read(item[key], key, texts, unread)
    if not texts and not unread and item.get("type") == "item_reference":
        unread.add("history")
    text = "\n".join(text for text in texts if text)
    return Message(role=_role(item, at), text=text, unread=tuple(sorted(unread)))


def _role(item: Mapping[str, Any], at: int) -> Role:
    kind = item.get("type")
    if kind in (None, "message", "additional_tools"):
        role = item.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise WireError(400, f"`input[{at}].role` must be one of {', '.join(_ROLES)}.")
        return _ROLES[role]
    if str(kind).endswith("_output"):
        return Role.TOOL
    return Role.ASSISTANT


def _identity(request: Request) -> dict[str, Any]:
    return {
        "id": f"resp_bluecode_{secrets.token_hex(8)}",
        "object": "response",
        "created_at": int(time.time()),
        "model": request.conversation.model,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
    }
