"""OpenAI chat completions: what is read out of a request, and the answers that are ours.

Only what screening needs is looked at; unknown fields, tools and parts stay where they are. Every
string that the model could read is either screened or counted as unread.
"""

import secrets
import time
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bluecode.defenses.conversation import Conversation, Message, Role
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire import content, reading
from bluecode.proxy.wire.endings import ending_for
from bluecode.proxy.wire.openai_answer import DONE, KEEP_ALIVE, ChatShape, ending_call, event
from bluecode.proxy.wire.openai_whole import WholeChat
from bluecode.proxy.wire.reading import ToolCall, WireError, plain_name
from bluecode.proxy.wire.wire import AnswerStream, Judging, Request, WholeAnswer

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
_MESSAGE_KEYS = frozenset("role content name tool_calls function_call tool_call_id refusal".split())
_PAYLOAD_KEYS = frozenset("messages model stream tools n stream_options functions".split())
_NO_TEXT = _PAYLOAD_KEYS - {"tools", "functions"} | frozenset(
    "frequency_penalty presence_penalty logit_bias logprobs top_logprobs max_tokens"
    " max_completion_tokens temperature top_p top_k min_p seed service_tier stop user metadata"
    " tool_choice function_call parallel_tool_calls modalities audio store verbosity reasoning"
    " reasoning_effort safety_identifier prompt_cache_key prompt_cache_retention thinking"
    " enable_thinking repetition_penalty provider models transforms route usage"
    " include_reasoning keep_alive cache_control web_search_options".split()
)
_EXTRA_ROLES = {
    "tools": Role.SYSTEM,
    "functions": Role.SYSTEM,
    "response_format": Role.SYSTEM,
    "instructions": Role.SYSTEM,
    "system": Role.SYSTEM,
    "documents": Role.TOOL,
    "prediction": Role.TOOL,
}


def parse(body: bytes) -> Request:
    """Read a chat request. Raises `WireError`, see `Wire.parse`."""
    payload = reading.body(body)
    content.refuse_variants(payload, _PAYLOAD_KEYS, "The request body")
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages:
        raise WireError(400, "`messages` must be a list with at least one message.")
    read = tuple(read_message(item, at) for at, item in enumerate(messages))
    model = payload.get("model")
    options = payload.get("stream_options")
    count = payload.get("n")
    return Request(
        payload=payload,
        conversation=Conversation(messages=read, model=model if isinstance(model, str) else ""),
        extras=tuple(content.extras(payload, _NO_TEXT, _EXTRA_ROLES)),
        stream=payload.get("stream") is True,
        choices=count if type(count) is int and 0 < count <= 128 else 1,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def read_message(item: Any, at: int) -> Message:
    """One message of a request, or of an answer. Raises `WireError`."""
    if not isinstance(item, dict):
        raise WireError(400, f"`messages[{at}]` must be an object.")
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise WireError(400, f"`messages[{at}].role` must be one of {', '.join(_ROLES)}.")
    said = item.get("content")
    texts: list[str] = []
    unread: set[str] = set()
    if isinstance(said, str):
        texts.append(said)
    elif isinstance(said, list):
        for part in said:
            content.read_part(part, texts, unread)
    elif said is not None:
        raise WireError(400, f"`messages[{at}].content` must be a string, a list of parts or null.")
    if len(item) > 2:
        content.refuse_variants(item, _MESSAGE_KEYS, f"`messages[{at}]`")
        _read_fields(item, texts, unread)
    name = item.get("name")
    return Message(
        role=_ROLES[role],
        text="\n".join(text for text in texts if text),
        name=name if isinstance(name, str) else None,
        unread=tuple(sorted(unread)),
    )


def _read_fields(item: Mapping[str, Any], texts: list[str], unread: set[str]) -> None:
    """What a message holds beside its content; arguments of tool calls last."""
    for key, value in item.items():
        if key == "audio":
            unread.update(["audio"] if value is not None else [])
        elif key not in ("role", "content", "tool_calls", "function_call", "name"):
            content.read(value, key, texts, unread)
    for call in calls_of(item):
        texts.append(call.text)
    if isinstance(name := item.get("name"), str) and name != plain_name(name):
        texts.append(name)


def calls_of(message: Mapping[str, Any]) -> list[ToolCall]:
    """The tool calls of a whole message, the legacy `function_call` included."""
    found = []
    for key in ("tool_calls", "function_call"):
        value = message.get(key)
        for item in value if isinstance(value, list) else [value]:
            if item is not None:
                call = ToolCall()
                call.add(item if isinstance(item, dict) else {"arguments": item})
                found.append(call)
    return found


def replace_message(payload: dict[str, Any], at: int, text: str) -> None:
    """Put `text` in the place of a request's message; role and position stay."""
    old = payload["messages"][at]
    kept = {key: old[key] for key in ("role", "tool_call_id") if key in old}
    if "name" in old:
        kept["name"] = plain_name(old["name"])
    if isinstance(old.get("tool_calls"), list):  # their answers follow and must stay answers
        kept["tool_calls"] = [_emptied(call) for call in old["tool_calls"]]
    payload["messages"][at] = {**kept, "content": text}


def _emptied(call: Any) -> Any:
    if not isinstance(call, dict):
        return {}
    cut: dict[str, Any] = {key: call[key] for key in ("id", "type", "index") if key in call}
    for key, emptied in (("function", {"arguments": "{}"}), ("custom", {"input": ""})):
        if isinstance(part := call.get(key), dict):
            cut[key] = {"name": plain_name(part.get("name")), **emptied}
    return cut


def refusal(request: Request, text: str) -> dict[str, Any]:
    """An ordinary answer that says this."""
    delta, finish = _said(request, text)
    message = {"role": "assistant", "content": None, "refusal": None, **delta}
    choices = [
        {"index": at, "message": message, "logprobs": None, "finish_reason": finish}
        for at in range(request.choices)
    ]
    return {
        **_identity(request, "chat.completion"),
        "choices": choices,
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def refusal_events(request: Request, text: str, verdict: Mapping[str, Any]) -> Iterator[bytes]:
    """The same as a stream that is well formed."""
    identity = _identity(request, "chat.completion.chunk")
    said, finish = _said(request, text)
    delta = {"role": "assistant", **said}
    for at in range(request.choices):
        yield event({**identity, "choices": [_choice(at, delta)]})
    ends = [{**identity, "choices": [_choice(at, {}, finish)]} for at in range(request.choices)]
    if request.include_usage:
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        ends.append({**identity, "choices": [], "usage": usage})
    ends[-1]["bluecode"] = dict(verdict)
    for chunk in ends:
        yield event(chunk)
    yield DONE


def _said(request: Request, text: str) -> tuple[dict[str, Any], str]:
    """What says this to the client, and how it ends."""
    ending = ending_for(request.payload, text)
    if ending is None:
        return {"content": text}, "stop"
    if not ending.tool:
        return {"content": ending.text, "refusal": ending.refusal or None}, "stop"
    content = None if ending.tells else text
    return {"content": content, "tool_calls": [ending_call(ending)]}, "tool_calls"


def _choice(index: int, delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _identity(request: Request, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-bluecode-{secrets.token_hex(8)}",
        "object": kind,
        "created": int(time.time()),
        "model": request.conversation.model,
    }


def error(message: str, *, code: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """The OpenAI error envelope."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


class ChatWire:
    """See `Wire`."""

    paths = ("/chat/completions",)
    key_header = "authorization"
    keep_alive = KEEP_ALIVE
    done = DONE

    def parse(self, body: bytes, path: str) -> Request:
        return parse(body)

    def replace_message(self, request: Request, at: int, text: str) -> None:
        replace_message(request.payload, at, text)

    def refusal(self, request: Request, text: str) -> dict[str, Any]:
        return refusal(request, text)

    def refusal_events(self, request: Request, text: str, told: Mapping[str, Any]) -> list[bytes]:
        return list(refusal_events(request, text, told))

    def error(self, message: str, *, code: str, kind: str, status: int) -> dict[str, Any]:
        return error(message, code=code, kind=kind)

    def error_event(self, error: Mapping[str, Any]) -> bytes:
        return event(error)

    def whole(self, request: Request, body: bytes, judging: Judging) -> WholeAnswer:
        return WholeChat(body, judging, partial(ending_for, request.payload))

    def stream(self, request: Request, judging: Judging) -> AnswerStream:
        shape = ChatShape(partial(ending_for, request.payload))
        return HeldStream(judging, shape, choices=request.choices)
