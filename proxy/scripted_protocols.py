"""The scripted model in the other protocols: Messages, Responses, Gemini, completions.

Each request is read as far as the script needs it, and each answer is written as its provider
writes it, streamed and not.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluecode.proxy.answers import ORDINARY, topic_of
from bluecode.proxy.scripted_tools import Said

Json = Mapping[str, Any]
_TOKEN = re.compile(r"\s?\w{1,6}|\s+|[^\w\s]+")


Answering = Callable[[Json, list[Json], list[Any]], Said]
"""Of the request's body, its messages and its tools."""


def routes(answer: Answering) -> list[Route]:
    """Routes of all four protocols."""

    async def messages(request: Request) -> Response:
        asked = await _asked(request)
        said = answer(asked, _from_messages(asked), _tools(asked.get("tools"), "input_schema"))
        if asked.get("stream") is True:
            return _events(_message_events(asked, said))
        return JSONResponse(_message(asked, said))

    async def responses(request: Request) -> Response:
        asked = await _asked(request)
        said = answer(asked, _from_items(asked), _tools(asked.get("tools"), "parameters"))
        if asked.get("stream") is True:
            return _events(_response_events(asked, said))
        return JSONResponse(_response(asked, [_item(said)], "completed"))

    async def gemini(request: Request) -> Response:
        asked = await _asked(request)
        declared = [
            function
            for tool in asked.get("tools") or ()
            for function in tool.get("functionDeclarations") or ()
        ]
        schemas = ("parametersJsonSchema", "parameters_json_schema")
        schema = next((name for name in schemas if _uses(declared, name)), "parameters")
        said = answer(asked, _from_contents(asked), _tools(declared, schema))
        if "stream" in request.path_params["call"]:
            return _events(_gemini_events(said))
        return JSONResponse(_candidate(_gemini_part(said), "STOP"))

    async def complete(request: Request) -> Response:
        asked = await _asked(request)
        prompt = asked.get("prompt")
        text = _completion(prompt if isinstance(prompt, str) else "")
        if asked.get("stream") is True:
            return _events(_completion_events(asked, text))
        return JSONResponse(_completed(asked, text, "stop"))

    return [
        Route("/v1/messages", messages, methods=["POST"]),
        Route("/v1/messages/count_tokens", _tokens, methods=["POST"]),
        Route("/v1/responses", responses, methods=["POST"]),
        Route("/v1/models/{call}", gemini, methods=["POST"]),
        Route("/v1/completions", complete, methods=["POST"]),
        Route("/v1/fim/completions", complete, methods=["POST"]),
    ]


async def _asked(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(await request.body())
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


async def _tokens(request: Request) -> Response:
    return JSONResponse({"input_tokens": len(await request.body()) // 4})


def _events(events: Iterator[bytes]) -> Response:
    return Response(b"".join(events), media_type="text/event-stream")


def _named(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields}, separators=(",", ":"))
    return f"event: {kind}\ndata: {data}\n\n".encode()


def _plain(payload: Json) -> bytes:
    return f"data: {json.dumps(payload, separators=(',', ':'))}\n\n".encode()


def _id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(8)}"


def _uses(declared: list[Any], key: str) -> bool:
    return any(isinstance(item, dict) and key in item for item in declared)


def _tools(tools: Any, schema: str) -> list[Any]:
    """Tools as chat completions name them."""
    return [
        {"custom": {"name": tool.get("name")}}
        if tool.get("type") == "custom"
        else {"function": {"name": tool.get("name"), "parameters": tool.get(schema) or {}}}
        for tool in tools or ()
        if isinstance(tool, dict)
    ]


def _last_text(parts: Any) -> str:
    """The last text of a row of parts: clients put their own reminders before the user's words."""
    if isinstance(parts, str):
        return parts
    texts = [part.get("text") for part in parts or () if isinstance(part, dict)]
    return next((text for text in reversed(texts) if isinstance(text, str)), "")


def _from_messages(asked: Json) -> list[Json]:
    found: list[Json] = []
    for message in asked.get("messages") or ():
        parts = message.get("content")
        results = [
            part
            for part in (parts if isinstance(parts, list) else ())
            if isinstance(part, dict) and part.get("type") == "tool_result"
        ]
        role = "tool" if results else message.get("role")
        said = _last_text(results[-1].get("content")) if results else _last_text(parts)
        found.append({"role": role, "content": said})
    return found


def _from_items(asked: Json) -> list[Json]:
    given = asked.get("input")
    if isinstance(given, str):
        return [{"role": "user", "content": given}]
    found: list[Json] = []
    for item in given or ():
        if str(item.get("type")).endswith("_output"):
            found.append({"role": "tool", "content": _last_text(item.get("output"))})
        elif item.get("role"):
            found.append({"role": item["role"], "content": _last_text(item.get("content"))})
    return found


def _from_contents(asked: Json) -> list[Json]:
    found: list[Json] = []
    for item in asked.get("contents") or ():
        parts = item.get("parts") or ()
        results = [part for part in parts if isinstance(part, dict) and "functionResponse" in part]
        role = "tool" if results else "user"
        found.append({"role": role, "content": "" if results else _last_text(parts)})
    return found


def _message(asked: Json, said: Said) -> dict[str, Any]:
    block: dict[str, Any] = {"type": "text", "text": said.text}
    if said.tool is not None:
        given = json.loads(said.arguments)
        block = {"type": "tool_use", "id": _id("toolu"), "name": said.tool, "input": given}
    reason = "end_turn" if said.tool is None else "tool_use"
    return {**_begun(asked), "content": [block], "stop_reason": reason}


def _begun(asked: Json) -> dict[str, Any]:
    return {
        "id": _id("msg"),
        "type": "message",
        "role": "assistant",
        "model": asked.get("model"),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 1, "output_tokens": 1},
    }


def _message_events(asked: Json, said: Said) -> Iterator[bytes]:
    whole = _message(asked, said)
    (block,) = whole["content"]
    yield _named("message_start", message=_begun(asked))
    begun: dict[str, Any] = {"type": "text", "text": ""}
    kind, key, text = "text_delta", "text", said.text
    if said.tool is not None:
        begun = {**block, "input": {}}
        kind, key, text = "input_json_delta", "partial_json", said.arguments
    yield _named("content_block_start", index=0, content_block=begun)
    for token in _TOKEN.findall(text):
        yield _named("content_block_delta", index=0, delta={"type": kind, key: token})
    yield _named("content_block_stop", index=0)
    end = {"stop_reason": whole["stop_reason"], "stop_sequence": None}
    yield _named("message_delta", delta=end, usage={"output_tokens": len(text) // 4})
    yield _named("message_stop")


def _item(said: Said) -> dict[str, Any]:
    if said.tool is None:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        told = {"id": _id("msg"), "type": "message", "status": "completed", "role": "assistant"}
        return {**told, "content": [part]}
    kind, key = ("custom_tool_call", "input") if said.custom else ("function_call", "arguments")
    told = {"id": _id("fc"), "type": kind, "status": "completed", "call_id": _id("call")}
    return {**told, "name": said.tool, key: said.arguments}


def _response(asked: Json, output: list[Any], status: str) -> dict[str, Any]:
    usage = {
        "input_tokens": 1,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": 1,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 2,
    }
    return {
        "id": _id("resp"),
        "object": "response",
        "created_at": int(time.time()),
        "model": asked.get("model"),
        "status": status,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": usage if status == "completed" else None,
    }


def _response_events(asked: Json, said: Said) -> Iterator[bytes]:
    item = _item(said)
    whole = _response(asked, [item], "completed")
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    middle = _text_events(item) if said.tool is None else _call_events(item)
    events = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *middle,
        {"type": "response.output_item.done", "output_index": 0, "item": item},
        {"type": "response.completed", "response": whole},
    ]
    for number, event in enumerate(events):
        yield _named(event.pop("type"), sequence_number=number, **event)


def _text_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    (part,) = item["content"]
    where = {"item_id": item["id"], "output_index": 0, "content_index": 0}
    begun = {**item, "status": "in_progress", "content": []}
    yield {"type": "response.output_item.added", "output_index": 0, "item": begun}
    yield {"type": "response.content_part.added", **where, "part": {**part, "text": ""}}
    for token in _TOKEN.findall(part["text"]):
        yield {"type": "response.output_text.delta", **where, "delta": token, "logprobs": []}
    yield {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": part}


def _call_events(item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    where = {"item_id": item["id"], "output_index": 0}
    key = "input" if "input" in item else "arguments"
    kind = "custom_tool_call_input" if key == "input" else "function_call_arguments"
    yield {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**item, "status": "in_progress", key: ""},
    }
    for token in _TOKEN.findall(item[key]):
        yield {"type": f"response.{kind}.delta", **where, "delta": token}
    yield {"type": f"response.{kind}.done", **where, key: item[key], "name": item["name"]}


def _gemini_part(said: Said) -> dict[str, Any]:
    if said.tool is None:
        return {"text": said.text}
    return {"functionCall": {"name": said.tool, "args": json.loads(said.arguments)}}


def _candidate(part: Json, finish: str | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    if finish is not None:
        told["finishReason"] = finish
    return {"candidates": [told], "usageMetadata": usage, "modelVersion": "demo"}


def _gemini_events(said: Said) -> Iterator[bytes]:
    if said.tool is None:
        for token in _TOKEN.findall(said.text):
            yield _plain(_candidate({"text": token}))
        yield _plain(_candidate({"text": ""}, "STOP"))
    else:
        yield _plain(_candidate(_gemini_part(said), "STOP"))


def _completion(prompt: str) -> str:
    """The body that the script knows for what stands before the cursor."""
    topic = topic_of(prompt)
    return topic.code(prompt) if topic is not None else ORDINARY


def _completed(asked: Json, text: str, finish: str | None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": finish}
    told = {"id": _id("cmpl"), "object": "text_completion", "created": int(time.time())}
    return {**told, "model": asked.get("model"), "choices": [choice]}


def _completion_events(asked: Json, text: str) -> Iterator[bytes]:
    for token in _TOKEN.findall(text):
        yield _plain(_completed(asked, token, None))
    yield _plain(_completed(asked, "", "stop"))
    yield b"data: [DONE]\n\n"
