"""OpenAI chat completions: what is read out of a body, an answer and a stream's events.

Only what screening needs is looked at; unknown fields, tools and parts are left where they are.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluecode.defenses.conversation import Conversation, Message, Role

PATHS = ("/chat/completions",)
_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "tool": Role.TOOL,
    "function": Role.TOOL,
}
_PART_KINDS = {
    "image_url": "image",
    "input_image": "image",
    "image": "image",
    "input_audio": "audio",
    "file": "file",
}


class WireError(Exception):
    """A request that cannot be served; the message says what was wrong and quotes nothing."""

    def __init__(self, status: int, message: str, *, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat request, parsed as far as screening needs."""

    payload: dict[str, Any]
    conversation: Conversation
    stream: bool
    choices: int
    include_usage: bool


@dataclass(slots=True)
class ToolCall:
    """One tool call, whole or as far as it has come."""

    name: str = ""
    arguments: list[str] = field(default_factory=list)
    custom: bool = False

    @property
    def text(self) -> str:
        return "".join(self.arguments)


@dataclass(slots=True)
class ChoiceDelta:
    """What one event adds to one choice."""

    index: int
    text: str
    reasoning: str
    tools: Sequence[Mapping[str, Any]]
    finish: str | None
    opaque: bool
    """Carries something else that reaches the reader and that nobody here can read."""


def parse(body: bytes) -> ChatRequest:
    """Read a chat request. Raises `WireError` for a body that the provider would refuse too."""
    payload = _load(body)
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages:
        raise WireError(400, "`messages` must be a list with at least one message.")
    read = tuple(_message(item, at) for at, item in enumerate(messages))
    model = payload.get("model")
    options = payload.get("stream_options")
    count = payload.get("n")
    return ChatRequest(
        payload=payload,
        conversation=Conversation(messages=read, model=model if isinstance(model, str) else ""),
        stream=payload.get("stream") is True,
        choices=count if isinstance(count, int) and 0 < count <= 128 else 1,
        include_usage=isinstance(options, dict) and options.get("include_usage") is True,
    )


def _load(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body.decode("utf-8"))
    except UnicodeDecodeError:
        raise WireError(400, "The request body is not valid UTF-8.") from None
    except (ValueError, RecursionError):
        raise WireError(400, "The request body is not valid JSON.") from None
    if not isinstance(payload, dict):
        raise WireError(400, "The request body must be a JSON object.")
    return payload


def _message(item: Any, at: int) -> Message:
    if not isinstance(item, dict):
        raise WireError(400, f"`messages[{at}]` must be an object.")
    role = item.get("role")
    if not isinstance(role, str) or role not in _ROLES:
        raise WireError(400, f"`messages[{at}].role` must be one of {', '.join(_ROLES)}.")
    texts: list[str] = []
    unread: list[str] = []
    _read_content(item.get("content"), at, texts, unread)
    for key in ("refusal", "reasoning_content", "reasoning"):
        if isinstance(item.get(key), str):
            texts.append(item[key])
    for call in _calls(item):
        texts.append(call.text)
    name = item.get("name")
    return Message(
        role=_ROLES[role],
        text="\n".join(text for text in texts if text),
        name=name if isinstance(name, str) else None,
        unread=tuple(sorted(set(unread))),
    )


def _read_content(content: Any, at: int, texts: list[str], unread: list[str]) -> None:
    if isinstance(content, str):
        texts.append(content)
    elif isinstance(content, list):
        for part in content:
            _read_part(part, texts, unread)
    elif content is not None:
        raise WireError(400, f"`messages[{at}].content` must be a string, a list of parts or null.")


def _read_part(part: Any, texts: list[str], unread: list[str]) -> None:
    if isinstance(part, str):
        texts.append(part)
        return
    if not isinstance(part, dict):
        unread.append("other")
        return
    kind = part.get("type")
    readable = [
        part[key]
        for key in ("text", "refusal", "content", "thinking")
        if isinstance(part.get(key), str)
    ]
    texts.extend(readable)
    if isinstance(kind, str) and kind in _PART_KINDS:
        unread.append(_PART_KINDS[kind])
    elif not readable:
        unread.append("other")


def _calls(message: Mapping[str, Any]) -> Iterator[ToolCall]:
    """The tool calls of a whole message, the legacy `function_call` included."""
    listed = message.get("tool_calls")
    for call in listed if isinstance(listed, list) else ():
        if isinstance(call, dict):
            yield _call(call)
    if isinstance(message.get("function_call"), dict):
        yield _call({"function": message["function_call"]})


def _call(call: Mapping[str, Any]) -> ToolCall:
    found = ToolCall()
    add_to(found, call)
    return found


def add_to(call: ToolCall, piece: Mapping[str, Any]) -> None:
    """Add a `tool_calls` entry, or a streamed piece of one, to a call."""
    for key, text in (("function", "arguments"), ("custom", "input")):
        part = piece.get(key)
        if isinstance(part, dict):
            call.custom = call.custom or key == "custom"
            call.name += part["name"] if isinstance(part.get("name"), str) else ""
            given = part.get(text)
            if isinstance(given, str):
                call.arguments.append(given)
            elif given is not None:
                call.arguments.append(json.dumps(given))


def deltas(payload: Mapping[str, Any]) -> list[ChoiceDelta]:
    """What a streamed chunk, already parsed, adds to each of its choices."""
    choices = payload.get("choices")
    found = []
    for at, choice in enumerate(choices if isinstance(choices, list) else ()):
        if isinstance(choice, dict):
            found.append(_delta(choice, at))
    return found


def _delta(choice: Mapping[str, Any], at: int) -> ChoiceDelta:
    # Some servers repeat the whole message in the last event; it is read like a delta.
    delta = choice.get("delta") or choice.get("message")
    delta = delta if isinstance(delta, dict) else {}
    index = choice.get("index")
    texts: list[str] = []
    unread: list[str] = []
    if not isinstance(delta.get("content"), dict | int | float):
        _read_content(delta.get("content"), 0, texts, unread)
    tools = delta.get("tool_calls")
    pieces = (
        [piece for piece in tools if isinstance(piece, dict)] if isinstance(tools, list) else []
    )
    if isinstance(delta.get("function_call"), dict):
        pieces.append({"index": 0, "function": delta["function_call"]})
    thought = delta.get("reasoning_content") or delta.get("reasoning")
    finish = choice.get("finish_reason")
    return ChoiceDelta(
        index=index if isinstance(index, int) else at,
        text="".join(texts),
        reasoning=thought if isinstance(thought, str) else "",
        tools=pieces,
        finish=finish if isinstance(finish, str) and finish else None,
        opaque=bool(unread) or delta.get("audio") is not None,
    )


def choices_of(answer: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The choices of a whole answer that hold a message."""
    listed = answer.get("choices")
    return [
        item
        for item in (listed if isinstance(listed, list) else ())
        if isinstance(item, dict) and isinstance(item.get("message"), dict)
    ]


def text_of(message: Mapping[str, Any]) -> str:
    """The readable text of an answer's message."""
    texts: list[str] = []
    _read_content(
        message.get("content") if not isinstance(message.get("content"), dict) else None,
        0,
        texts,
        [],
    )
    return "".join(texts)


def said(message: Mapping[str, Any]) -> str:
    """An answer's text as `parse` reads it when it comes back in the history."""
    return "\n".join(filter(None, (text_of(message), *(call.text for call in _calls(message)))))


def calls_of(message: Mapping[str, Any]) -> list[ToolCall]:
    return list(_calls(message))


def replace_message(payload: dict[str, Any], at: int, text: str) -> None:
    """Put `text` in the place of a request's message; role and position stay."""
    old = payload["messages"][at]
    kept = {key: old[key] for key in ("role", "name", "tool_call_id") if key in old}
    if isinstance(old.get("tool_calls"), list):  # their answers follow and must stay answers
        kept["tool_calls"] = [_emptied(call) for call in old["tool_calls"]]
    payload["messages"][at] = {**kept, "content": text}


def _emptied(call: Any) -> Any:
    if not isinstance(call, dict):
        return {}
    parts = {"function": {"arguments": "{}"}, "custom": {"input": ""}}
    cut = {k: {**call[k], **parts[k]} for k in parts if isinstance(call.get(k), dict)}
    return {key: call[key] for key in ("id", "type", "index") if key in call} | cut


def withhold(choice: dict[str, Any], text: str) -> None:
    """Make an answer's choice an ordinary message with this text and no tool calls."""
    old = choice["message"]
    gone = ("tool_calls", "function_call", "audio", "content")
    choice["message"] = {**{k: v for k, v in old.items() if k not in gone}, "content": text}
    choice["finish_reason"] = "stop"
    choice.pop("logprobs", None)


def refusal(request: ChatRequest, text: str) -> dict[str, Any]:
    """An ordinary answer that says this."""
    message = {"role": "assistant", "content": text, "refusal": None}
    choices = [
        {"index": at, "message": message, "logprobs": None, "finish_reason": "stop"}
        for at in range(request.choices)
    ]
    return {
        **_identity(request, "chat.completion"),
        "choices": choices,
        "usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0},
    }


def refusal_events(request: ChatRequest, text: str, verdict: Mapping[str, Any]) -> Iterator[bytes]:
    """The same as a stream that is well formed."""
    identity = _identity(request, "chat.completion.chunk")
    for at in range(request.choices):
        yield event({**identity, "choices": [_choice(at, {"role": "assistant", "content": text})]})
    ends = [{**identity, "choices": [_choice(at, {}, "stop")]} for at in range(request.choices)]
    if request.include_usage:
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        ends.append({**identity, "choices": [], "usage": usage})
    ends[-1]["bluecode"] = dict(verdict)
    for chunk in ends:
        yield event(chunk)
    yield DONE


DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"


def event(payload: Mapping[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload, separators=(",", ":")).encode() + b"\n\n"


def text_chunk(like: Mapping[str, Any], index: int, text: str) -> dict[str, Any]:
    """A chunk that adds text to a choice, with the identity of another chunk."""
    return {**_same(like), "choices": [_choice(index, {"content": text})]}


def finish_chunk(like: Mapping[str, Any], index: int) -> dict[str, Any]:
    return {**_same(like), "choices": [_choice(index, {}, "stop")]}


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


def _identity(request: ChatRequest, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-bluecode-{secrets.token_hex(8)}",
        "object": kind,
        "created": int(time.time()),
        "model": request.conversation.model,
    }


def error(message: str, *, code: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """The OpenAI error envelope."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
