"""A model that needs no key and no network: a service with scripted answers in every protocol.

It stands behind `--upstream demo` and the demo, so that BlueCode can be tried at once, and behind
tests that want a real socket. It writes sound and unsound code by the wording of the last message;
it understands nothing.
"""

import base64
import hashlib
import json
import re
import secrets
import struct
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bluecode.proxy import scripted_ollama, scripted_protocols
from bluecode.proxy.answers import ORDINARY, topic_of
from bluecode.proxy.scripted_tools import Said, file_call, folder_in, writing
from bluecode.proxy.wire.endings import ending_for
from bluecode.proxy.wire.forms import says_title, wants_json

MODEL: Final = "demo"
_TOKEN = re.compile(r"\s?\w{1,6}|\s+|[^\w\s]+")
_CODING = re.compile(r"\b(?:code|function|python|script|program|slug\w*|class|implement)\b", re.I)
_SHOWN = re.compile(r"\b(?:show|explain|print|tell) me\b", re.I)
_RUNS = re.compile(r"executed \*\*on the user's machine")
_RAN = re.compile(r"code above was executed on my machine")
_LONG: Final = 1000
_REPAIRS = re.compile(r"checked and must not be used as it is")
_EDITS = re.compile(r"SEARCH/REPLACE")
_WRITES: Final = {
    "function": {
        "name": "write_file",
        "parameters": {"properties": {"path": {}, "content": {}}},
    }
}


def scripted_model(*, pace: float = 0.0) -> Starlette:
    """The service; `pace` is the pause in seconds before each streamed piece."""

    async def chat(request: Request) -> Response:
        try:
            asked = json.loads(await request.body())
            messages = [message for message in asked["messages"] if isinstance(message, dict)]
        except (ValueError, KeyError, TypeError):
            return _error(400, "The body is no chat request.")
        answer = _ended(asked, _answering(asked, messages, asked.get("tools") or ()))
        if asked.get("stream") is not True:
            return JSONResponse(_whole(asked, messages, answer))
        return StreamingResponse(_paced(asked, messages, answer, pace), media_type=_EVENTS)

    return Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            *scripted_protocols.routes(_answering),
            *scripted_ollama.routes(_answering, MODEL),
            Route("/v1/models", _models),
            Route("/v1/models/{model:path}", _one_model),
            Route("/v1/embeddings", _embeddings, methods=["POST"]),
        ],
        exception_handlers={404: lambda request, error: _error(404, "No such path.")},
    )


def _answering(
    asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], tools: Sequence[Any]
) -> Said:
    if not tools and says_title(json.dumps([asked.get("system"), *messages])):
        return Said('{"title": "A chat"}' if wants_json(asked) else "A chat")
    if not _writes_code(asked):
        return answer_to(messages, tools, folder_in(json.dumps({**asked, "tools": None})))
    answer = answer_to(messages, [_WRITES])
    if answer.tool is None:
        return answer
    call = ", ".join(f"{key}={value!r}" for key, value in json.loads(answer.arguments).items())
    return Said(f"<code>\nprint({answer.tool}({call}))\n</code>")


def _writes_code(asked: Mapping[str, Any]) -> bool:
    """Does the agent run what the model writes, with its tools as functions?"""
    return "</code>" in (asked.get("stop") or ())


def _ended(asked: Mapping[str, Any], answer: Said) -> Said:
    """With the call, or the code, that ends the turn of an agent that waits for one."""
    if answer.tool is not None or answer.text.startswith("<code>"):
        return answer
    if (ending := ending_for(asked, answer.text)) is None:
        return answer
    if not ending.tool:
        return Said(ending.text)
    if ending.tool == "bash" and (last := ending_for(asked, "Done.")) is not None:
        return Said(answer.text, last.tool, last.arguments)  # a command says little
    return Said("" if ending.tells else answer.text, ending.tool, ending.arguments)


def answer_to(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Any] = (), folder: str = ""
) -> Said:
    """The answer to the last message that is no instruction: some clients put those at the end.

    `folder` is where the assistant works, for tools that want whole paths.
    """
    said = [item for item in messages if item.get("role") not in ("system", "developer")]
    last = said[-1] if said else {}
    request = _gist(_text(last))
    if last.get("role") == "tool":
        lines = len(_text(last).splitlines())
        return Said(f"Done. The tool brought back {lines} lines; nothing else is to do.")
    if _RAN.search(request):
        return Said("The task is done.")
    if _REPAIRS.search(request):
        return _repaired(said)
    topic = topic_of(request)
    if topic is not None and not _SHOWN.search(request):
        code = topic.code(request)
        manual = "".join(_text(item) for item in messages if item.get("role") == "system")
        if _EDITS.search(manual):
            return Said(_edit(topic.path, code))
        if not tools and _RUNS.search(manual):
            return Said(f"I write the file.\n\n```python\n{writing(topic.path, code)}```\n")
        if (call := file_call(tools, topic.path, code, folder)) is not None:
            return call
    if topic is not None:
        return Said(_told(topic.code(request), f"Here is a way to {topic.name}:"))
    if _CODING.search(request):
        return Said(_told(ORDINARY, "This does it, accents included:"))
    return Said("I am BlueCode's scripted model. Ask me for a database lookup, or a ping.")


def _repaired(said: Sequence[Mapping[str, Any]]) -> Said:
    """The safe twin of what was asked for before it was to be repaired."""
    asked = [_text(item) for item in said[:-1] if item.get("role") == "user"]
    topic = topic_of(_gist(asked[-1])) if asked else None
    if topic is None:
        return Said("There is nothing that I could repair.")
    return Said(_told(topic.safe, f"Here is a safe way to {topic.name}:"))


def _finish(answer: Said) -> str:
    return "stop" if answer.tool is None else "tool_calls"


def _told(code: str, lead: str) -> str:
    return f"{lead}\n\n```python\n{code}```\n\nCall it with your own values, and add a test."


def _gist(text: str) -> str:
    """A request less the manual that some assistants put behind it."""
    return text if len(text) < _LONG or text.startswith("<") else text.lstrip().partition("\n\n")[0]


def _edit(path: str, code: str) -> str:
    """A file as assistants want it that read edits out of the answer's text."""
    return f"{path}\n```python\n<<<<<<< SEARCH\n=======\n{code}>>>>>>> REPLACE\n```\n"


def _text(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _whole(
    asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], answer: Said
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text or None}
    if answer.tool is not None:
        message["tool_calls"] = [{**_call(answer, answer.arguments), "id": _id("call")}]
    choices = [
        {"index": at, "message": message, "logprobs": None, "finish_reason": _finish(answer)}
        for at in range(_count(asked))
    ]
    usage = _usage(messages, answer)
    return {**_identity(asked, "chat.completion"), "choices": choices, "usage": usage}


async def _paced(
    asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], answer: Said, pace: float
) -> AsyncIterator[bytes]:
    for chunk in _chunks(asked, messages, answer):
        if pace:
            await anyio.sleep(pace)
        yield f"data: {json.dumps(chunk, separators=(',', ':'))}\n\n".encode()
    yield b"data: [DONE]\n\n"


def _chunks(
    asked: Mapping[str, Any], messages: Sequence[Mapping[str, Any]], answer: Said
) -> Iterator[dict[str, Any]]:
    identity = _identity(asked, "chat.completion.chunk")
    every = range(_count(asked))
    for delta in _deltas(answer):
        for at in every:
            yield {**identity, "choices": [_choice(at, delta, None)]}
    for at in every:
        yield {**identity, "choices": [_choice(at, {}, _finish(answer))]}
    if (asked.get("stream_options") or {}).get("include_usage"):
        yield {**identity, "choices": [], "usage": _usage(messages, answer)}


def _deltas(answer: Said) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": "" if answer.tool is None else None}
    for token in _TOKEN.findall(answer.text):
        yield {"content": token}
    if answer.tool is not None:
        yield {"tool_calls": [{"index": 0, **_call(answer, ""), "id": _id("call")}]}
        kind, key = ("custom", "input") if answer.custom else ("function", "arguments")
        for token in _TOKEN.findall(answer.arguments):
            yield {"tool_calls": [{"index": 0, kind: {key: token}}]}


def _call(answer: Said, arguments: str) -> dict[str, Any]:
    if answer.custom:
        return {"type": "custom", "custom": {"name": answer.tool, "input": arguments}}
    return {"type": "function", "function": {"name": answer.tool, "arguments": arguments}}


def _choice(index: int, delta: Mapping[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}


def _count(asked: Mapping[str, Any]) -> int:
    count = asked.get("n")
    return count if isinstance(count, int) and 1 <= count <= 16 else 1


def _identity(asked: Mapping[str, Any], kind: str) -> dict[str, Any]:
    model = asked.get("model")
    return {
        "id": _id("chatcmpl"),
        "object": kind,
        "created": int(time.time()),
        "model": model if isinstance(model, str) else MODEL,
    }


def _id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(8)}"


def _usage(messages: Sequence[Mapping[str, Any]], answer: Said) -> dict[str, int]:
    read = sum(len(_TOKEN.findall(_text(message))) for message in messages)
    said = len(_TOKEN.findall(answer.text + answer.arguments))
    return {"prompt_tokens": read, "completion_tokens": said, "total_tokens": read + said}


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "bluecode"}


async def _models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_model(MODEL)]})


async def _one_model(request: Request) -> Response:
    name = request.path_params["model"]
    if name != MODEL:
        return _error(404, f"There is one model here: {MODEL}.")
    return JSONResponse(_model(name))


async def _embeddings(request: Request) -> Response:
    try:
        asked = json.loads(await request.body())
        given = asked["input"]
    except (ValueError, KeyError, TypeError):
        return _error(400, "The body is no embeddings request.")
    texts = given if isinstance(given, list) else [given]
    coded = asked.get("encoding_format") == "base64"
    data = [
        {"object": "embedding", "index": at, "embedding": _vector(str(text), coded)}
        for at, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return JSONResponse({"object": "list", "data": data, "model": MODEL, "usage": usage})


def _vector(text: str, coded: bool) -> list[float] | str:
    """Eight numbers that depend on the text and mean nothing."""
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    numbers = [byte / 255 - 0.5 for byte in digest[:8]]
    return base64.b64encode(struct.pack("<8f", *numbers)).decode() if coded else numbers


def _error(status: int, message: str) -> Response:
    kind = "invalid_request_error"
    told = {"message": message, "type": kind, "param": None, "code": None}
    return JSONResponse({"error": told}, status)


_EVENTS: Final = "text/event-stream"
