"""Ollama's own protocol: what is read out of a request, and the answers that are ours.

A chat is read as the chat protocol's messages are, but for images, which stand beside the text. A
`generate` request with a suffix, or one that says `raw`, is a completion for an editor: the code
around the cursor gives context and is not judged.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bluecode.defenses.conversation import Conversation, Message, Role
from bluecode.proxy.framing import LINES
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire import content, openai_chat, reading
from bluecode.proxy.wire.around import Around
from bluecode.proxy.wire.endings import ending_for
from bluecode.proxy.wire.ollama_answer import (
    HeldCompletion,
    OllamaShape,
    WholeOllama,
    calls_after,
    event,
    told,
)
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import AnswerStream, Judging, Request, WholeAnswer

_KEYS = frozenset("messages model stream tools prompt suffix system template raw images".split())
_NO_TEXT = frozenset(
    "messages model stream prompt suffix raw images context options keep_alive think logprobs"
    " top_logprobs truncate shift width height steps".split()
)
_SYSTEM = frozenset({"system", "template", "tools", "format"})
_FILL = re.compile(
    r"(?s)(?:<\|?fim_prefix\|?>|<PRE> ?|<｜fim▁begin｜>|\[PREFIX\])(?P<before>.*?)"
    r"(?:<\|?fim_suffix\|?>| ?<SUF>|<｜fim▁hole｜>|\[SUFFIX\])(?P<after>.*?)"
    r"(?:<\|?fim_middle\|?>| ?<MID>|<｜fim▁end｜>|\[MIDDLE\]|\Z)"
)
"""The marks between which models for editors expect the code before and after the cursor."""


class OllamaWire:
    """See `Wire`. Its streams are lines of JSON, in which nothing can be said that is ignored."""

    paths = ("/api/chat", "/api/generate")
    key_header = "authorization"
    keep_alive = b""
    done = b""
    framing = LINES

    def parse(self, body: bytes, path: str) -> Request:
        payload = reading.body(body)
        content.refuse_variants(payload, _KEYS, "The request body")
        extras: list[Message] = []
        if path == "/api/chat":
            messages = _chat(payload)
        else:
            messages, extras = _generate(payload)
        model = payload.get("model")
        return Request(
            payload=payload,
            conversation=Conversation(
                messages=tuple(messages), model=model if isinstance(model, str) else ""
            ),
            extras=(*extras, *_extras(payload)),
            stream=payload.get("stream") is not False,
        )

    def replace_message(self, request: Request, at: int, text: str) -> None:
        if "messages" in request.payload:
            openai_chat.replace_message(request.payload, at, text)
        else:
            request.payload["prompt"] = text

    def refusal(self, request: Request, text: str) -> dict[str, Any]:
        model, key = request.conversation.model, _key(request)
        if _around(request) is not None:
            return told(model, key, "", done=True)
        ending = ending_for(request.payload, text)
        calls = calls_after(ending)
        if ending is not None and not ending.refusal and ending.tells:
            text = ending.text
        return told(model, key, text, done=True, calls=calls)

    def refusal_events(self, request: Request, text: str, told: Mapping[str, Any]) -> list[bytes]:
        return [event({**self.refusal(request, text), "bluecode": dict(told)})]

    def error(self, message: str, *, code: str, kind: str, status: int) -> dict[str, Any]:
        return {"error": message, "code": code}

    def error_event(self, error: Mapping[str, Any]) -> bytes:
        return event(error)

    def whole(self, request: Request, body: bytes, judging: Judging) -> WholeAnswer:
        ending = partial(ending_for, request.payload)
        return WholeOllama(body, judging, _around(request), ending)

    def stream(self, request: Request, judging: Judging) -> AnswerStream:
        if (around := _around(request)) is not None:
            return HeldCompletion(around, judging)
        shape = OllamaShape(_key(request), partial(ending_for, request.payload))
        return HeldStream(judging, shape)


def _key(request: Request) -> str:
    return "message" if "messages" in request.payload else "response"


def _chat(payload: Mapping[str, Any]) -> list[Message]:
    messages = payload.get("messages")
    if not isinstance(messages, list) or not messages:
        raise WireError(400, "`messages` must be a list with at least one message.")
    return [_message(item, at) for at, item in enumerate(messages)]


def _message(item: Any, at: int) -> Message:
    if not isinstance(item, dict) or "images" not in item:
        return openai_chat.read_message(item, at)
    rest = {key: value for key, value in item.items() if key != "images"}
    message = openai_chat.read_message(rest, at)
    if not item["images"]:
        return message
    return replace(message, unread=tuple(sorted({*message.unread, "image"})))


def _generate(payload: Mapping[str, Any]) -> tuple[list[Message], list[Message]]:
    """The prompt, and what else the model reads beside the fields that are read by name."""
    prompt, suffix = payload.get("prompt", ""), payload.get("suffix", "")
    if not isinstance(prompt, str) or not isinstance(suffix, str | None):
        raise WireError(400, "`prompt` and `suffix` must be strings.")
    role = Role.TOOL if _fills(payload) else Role.USER
    unread = ("image",) if payload.get("images") else ()
    extras = [Message(role=role, text=suffix)] if suffix else []
    if payload.get("context"):  # earlier turns, as the model's own tokens
        extras.append(Message(role=Role.ASSISTANT, text="", unread=("history",)))
    return [Message(role=role, text=prompt, unread=unread)], extras


def _fills(payload: Mapping[str, Any]) -> bool:
    """Is it a completion for an editor?"""
    prompt = payload.get("prompt")
    marked = isinstance(prompt, str) and _FILL.search(prompt) is not None
    return bool(payload.get("suffix")) or (payload.get("raw") is True and marked)


def _around(request: Request) -> Around | None:
    """The code around the cursor; None where the answer is none for an editor."""
    payload = request.payload
    if "messages" in payload or not _fills(payload):
        return None
    prompt = payload.get("prompt") or ""
    if (found := _FILL.search(prompt)) is not None:
        return Around(found["before"], found["after"])
    return Around(prompt, payload.get("suffix") or "")


def _extras(payload: Mapping[str, Any]) -> Iterator[Message]:
    for key in sorted(payload.keys() - _NO_TEXT):
        texts: list[str] = []
        unread: set[str] = set()
        content.read(payload[key], "", texts, unread)
        if texts or unread:
            role = Role.SYSTEM if key in _SYSTEM else Role.USER
            yield Message(role=role, text="\n".join(texts), unread=tuple(sorted(unread)))
