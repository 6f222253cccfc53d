"""In every protocol an agent that waits for a call, or for code, gets BlueCode's words with it."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import anthropic
import anthropic_events
import gemini_events
import openai
import pytest
import responses_events
from scripted import ScriptedUpstream
from serving import guarded, post

SCHEMA = {"type": "object", "properties": {"result": {"type": "string"}}, "required": ["result"]}
NAME = "attempt_completion"
UNSAFE = "Sure.\n\n```python\ndanger()\n```\n"
STOP = "</code>"

both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
when = pytest.mark.parametrize("asked", ["badword", "write it"], ids=["refused", "withheld"])


def ollama_lines() -> list[bytes]:
    rows = [({"role": "assistant", "content": UNSAFE}, False), ({"content": ""}, True)]
    lines = [{"model": "m", "message": message, "done": done} for message, done in rows]
    return [json.dumps(line).encode() + b"\n" for line in lines]


def whole(wire: str) -> list[bytes]:
    match wire:
        case "responses":
            told: Any = responses_events.response(responses_events.said(UNSAFE))
        case "messages":
            return [anthropic_events.whole({"type": "text", "text": UNSAFE})]
        case "gemini":
            told = gemini_events.said(UNSAFE, finish="STOP")
        case _:
            told = {"model": "m", "message": {"role": "assistant", "content": UNSAFE}, "done": True}
    return [json.dumps(told).encode()]


STREAMS: dict[str, Callable[[], list[bytes]]] = {
    "responses": lambda: responses_events.stream(responses_events.text(0, UNSAFE)),
    "messages": lambda: anthropic_events.message(anthropic_events.text(0, UNSAFE)),
    "gemini": lambda: gemini_events.streamed(gemini_events.said(UNSAFE, finish="STOP")),
    "ollama": ollama_lines,
}
every_wire = pytest.mark.parametrize("wire", STREAMS)


def request(wire: str, asked: str, stream: bool, *, code: bool) -> tuple[str, dict[str, Any]]:
    """An agent's request that waits for a call or, with `code`, for code."""
    match wire:
        case "responses":
            tools = [{"type": "function", "name": NAME, "parameters": SCHEMA}]
            body: dict[str, Any] = {"model": "m", "input": asked, "stream": stream}
            return "/v1/responses", {**body, **({"stop": [STOP]} if code else {"tools": tools})}
        case "messages":
            tools = [{"name": NAME, "input_schema": SCHEMA}]
            body = {"messages": [{"role": "user", "content": asked}], "stream": stream}
            more: dict[str, Any] = {"stop_sequences": [STOP]} if code else {"tools": tools}
            return "/v1/messages", {"model": "m", "max_tokens": 9, **body, **more}
        case "gemini":
            tools = [{"functionDeclarations": [{"name": NAME, "parametersJsonSchema": SCHEMA}]}]
            more = {"generationConfig": {"stopSequences": [STOP]}} if code else {"tools": tools}
            method = "streamGenerateContent?alt=sse" if stream else "generateContent"
            said = [{"role": "user", "parts": [{"text": asked}]}]
            return f"/v1beta/models/m:{method}", {"contents": said, **more}
        case _:
            tools = [{"type": "function", "function": {"name": NAME, "parameters": SCHEMA}}]
            body = {"messages": [{"role": "user", "content": asked}], "stream": stream}
            more = {"options": {"stop": [STOP]}} if code else {"tools": tools}
            return "/api/chat", {"model": "m", **body, **more}


async def heard(wire: str, asked: str, stream: bool, *, code: bool = False) -> list[Any]:
    """The events of the answer, or the answer."""
    lines = "application/x-ndjson" if wire == "ollama" else "text/event-stream"
    upstream = ScriptedUpstream(
        STREAMS[wire]() if stream else whole(wire), kind=lines if stream else "application/json"
    )
    path, body = request(wire, asked, stream, code=code)
    async with guarded(upstream) as root:
        status, _, raw = await post(root + path, body)
    assert status == 200, raw
    if not stream:
        return [json.loads(raw)]
    told = (line.removeprefix("data:").strip() for line in raw.decode().splitlines())
    return [json.loads(line) for line in told if line.startswith("{")]


def objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in inner:
        yield from objects(item)


def calls_in(events: list[Any]) -> list[dict[str, Any]]:
    """The calls of the tool, each with what it is given."""
    found = []
    for item in objects(events):
        given = item.get("arguments", item.get("args", item.get("input")))
        if item.get("name") == NAME and given and item.get("status", "completed") == "completed":
            found.append(json.loads(given) if isinstance(given, str) else given)
    for item in objects(events):
        if item.get("type") == "input_json_delta":
            found.append(json.loads(item["partial_json"]))
    return found


@every_wire
@both
@when
async def test_the_call_that_ends_its_turn(wire: str, asked: str, stream: bool) -> None:
    events = await heard(wire, asked, stream)
    calls = calls_in(events)
    assert calls and all(call["result"].startswith("**BlueCode ") for call in calls)
    assert "danger" not in json.dumps(calls) + json.dumps(events[:-1])
    reasons = [item.get("stop_reason") for item in objects(events) if item.get("stop_reason")]
    assert wire != "messages" or reasons == ["tool_use"]


@every_wire
@both
@when
async def test_the_code_that_ends_its_turn(wire: str, asked: str, stream: bool) -> None:
    events = await heard(wire, asked, stream, code=True)
    said = "".join(
        text for item in objects(events) for text in item.values() if isinstance(text, str)
    )
    assert "<code>\nfinal_answer(" in said and said.rstrip().count("</code>") >= 1


@both
@when
async def test_the_sdk_of_responses_reads_it_and_numbers_are_in_order(
    asked: str, stream: bool
) -> None:
    upstream = ScriptedUpstream(
        STREAMS["responses"]() if stream else whole("responses"),
        kind="text/event-stream" if stream else "application/json",
    )
    _, body = request("responses", asked, False, code=False)
    del body["stream"]
    async with guarded(upstream) as root:
        async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as sdk:
            if stream:
                async with sdk.responses.stream(**body) as events:
                    seen = [event async for event in events]
                    response: Any = await events.get_final_response()
                numbers = [event.sequence_number for event in seen]
                assert numbers == list(range(len(numbers)))
            else:
                response = await sdk.responses.create(**body)
    call = response.output[-1]
    assert response.status == "completed" and (call.type, call.name) == ("function_call", NAME)
    assert json.loads(call.arguments)["result"].startswith("**BlueCode ")


@both
@when
async def test_the_sdk_of_messages_reads_it(asked: str, stream: bool) -> None:
    upstream = ScriptedUpstream(
        STREAMS["messages"]() if stream else whole("messages"),
        kind="text/event-stream" if stream else "application/json",
    )
    _, body = request("messages", asked, False, code=False)
    del body["stream"]
    async with guarded(upstream) as root:
        async with anthropic.AsyncAnthropic(base_url=root, api_key="k", max_retries=0) as sdk:
            if stream:
                async with sdk.messages.stream(**body) as events:
                    message: Any = await events.get_final_message()
            else:
                message = await sdk.messages.create(**body)
    assert message.stop_reason == "tool_use"
    assert (message.content[-1].type, message.content[-1].name) == ("tool_use", NAME)
    assert message.content[-1].input["result"].startswith("**BlueCode ")
