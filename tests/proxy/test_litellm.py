"""A provider with a protocol of its own, reached through litellm: translated both ways, guarded."""

import importlib.util
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from judges import JudgeServer, verdict
from scripted import text_in
from serving import chat, guarded, post, serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from bluecode.defenses.checkers.python import PythonChecker
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.model import ModelError
from bluecode.proxy.config import JudgeConfig, Secret
from bluecode.proxy.judge_model import open_judge
from bluecode.proxy.scripted import scripted_model
from bluecode.proxy.upstream import Call, LiteLLMUpstream, UpstreamError

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),  # litellm keeps its connections with their loop
    pytest.mark.filterwarnings("default"),  # litellm's own models make pydantic warn
    pytest.mark.skipif(
        importlib.util.find_spec("litellm") is None, reason="the `litellm` extra is not installed"
    ),
]
CODE = "Here:\n```python\ndanger()\n```\n"


async def messages(request: Request) -> Response:
    """Speaks Anthropic's protocol: the text is code where the user asks for code."""
    body = await request.json()
    if request.headers.get("x-api-key") != "secret":
        told = {"type": "error", "error": {"type": "authentication_error", "message": "bad key"}}
        return JSONResponse(told, 401)
    text = CODE if "code" in json.dumps(body["messages"]) else "Hello there."
    usage = {"input_tokens": 1, "output_tokens": 1}
    whole = {"id": "m1", "type": "message", "role": "assistant", "model": "c", "usage": usage}
    if not body.get("stream"):
        parts = [{"type": "text", "text": text}]
        return JSONResponse(
            {**whole, "content": parts, "stop_reason": "end_turn", "stop_sequence": None}
        )
    return StreamingResponse(events(whole, text), media_type="text/event-stream")


def events(whole: dict[str, Any], text: str) -> Iterator[bytes]:
    pieces = [text[at : at + 7] for at in range(0, len(text), 7)]
    listed: list[dict[str, Any]] = [
        {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {
                "type": "content_block_delta",
                "index": 0,
                "delta": {"type": "text_delta", "text": piece},
            }
            for piece in pieces
        ),
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn"},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]
    for item in listed:
        yield f"event: {item['type']}\ndata: {json.dumps(item)}\n\n".encode()


PROVIDER = Starlette(routes=[Route("/v1/messages", messages, methods=["POST"])])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_foreign_protocol_is_translated_and_guarded(
    stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(PROVIDER) as provider:
        monkeypatch.setenv("ANTHROPIC_API_BASE", provider)
        upstream = LiteLLMUpstream("anthropic/claude-sonnet-4-5", key="secret")
        async with guarded(upstream, upstream_key=Secret("secret")) as root:
            url = f"{root}/v1/chat/completions"
            _, _, plain = await post(url, chat("hello", stream=stream))
            _, _, code = await post(url, chat("code, please", stream=stream))
    if not stream:
        texts = [json.loads(raw)["choices"][0]["message"]["content"] for raw in (plain, code)]
    else:
        texts = [text_in(raw) for raw in (plain, code)]
        assert plain.endswith(b"data: [DONE]\n\n")
    assert texts[0] == "Hello there."
    assert "BlueCode withheld" in texts[1] and "danger()" not in texts[1]


MESSAGES_BODY = {"model": "m", "max_tokens": 99, "api_base": "http://127.0.0.1:1"}
WRITE = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
}
ASKING = {
    "/v1/messages": lambda text: {
        **MESSAGES_BODY,
        "messages": [{"role": "user", "content": text}],
        "tools": [{"name": "write_file", "description": "x", "input_schema": WRITE}],
    },
    "/v1/responses": lambda text: {
        "model": "m",
        "input": text,
        "api_base": "http://127.0.0.1:1",
        "tools": [{"type": "function", "name": "write_file", "parameters": WRITE, "strict": False}],
    },
}
"""A client's requests in other protocols than the provider's; what they say of a destination is
not theirs to say."""
PUT = "Put a quick database lookup by name into our app."


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("path", ASKING)
async def test_a_provider_of_chat_completions_serves_clients_of_other_protocols(
    path: str, stream: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    chats = [route for route in scripted_model().routes if "chat" in getattr(route, "path", "")]
    async with serving(Starlette(routes=chats)) as provider:
        monkeypatch.setenv("LM_STUDIO_API_BASE", f"{provider}/v1")
        upstream = LiteLLMUpstream("lm_studio/demo", key="secret")
        async with guarded(upstream, checkers=[PythonChecker()]) as root:
            asking = ASKING[path]
            told = [
                await post(f"{root}{path}", {**asking(text), "stream": stream})
                for text in ("Who are you?", PUT, f"{PUT} Do it safely.", "badword")
            ]
    plain, unsafe, safe, refused = (_said(body) for _, _, body in told)
    assert [status for status, _, _ in told] == [200, 200, 200, 200]
    assert "scripted" in plain and "BlueCode withheld" not in plain
    assert "BlueCode withheld" in unsafe and "SELECT" not in unsafe
    assert "SELECT" in safe and "write_file" in safe
    assert "BlueCode did not pass" in refused


def _said(body: bytes) -> str:
    """All that an answer says, the pieces of a stream put together."""
    pieces = re.findall(r'"(?:text|delta|partial_json)": ?"((?:[^"\\\\]|\\\\.)*)"', body.decode())
    return "".join(pieces) + body.decode()


async def test_the_providers_refusal_keeps_its_status(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(PROVIDER) as provider:
        monkeypatch.setenv("ANTHROPIC_API_BASE", provider)
        async with guarded(LiteLLMUpstream("anthropic/claude-sonnet-4-5", key="wrong")) as root:
            status, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert status == 401
    assert b"upstream_provider" in body


async def test_the_model_is_listed() -> None:
    upstream = LiteLLMUpstream("anthropic/claude-sonnet-4-5")
    call = Call(method="GET", path="/models", query="", headers=(), body=b"")
    async with upstream.send(call) as reply:
        assert b"anthropic/claude-sonnet-4-5" in await reply.chunk()
    with pytest.raises(UpstreamError):
        async with upstream.send(Call(method="GET", path="/x", query="", headers=(), body=b"")):
            pass


async def test_a_judge_is_reached_through_litellm(monkeypatch: pytest.MonkeyPatch) -> None:
    server = JudgeServer(400, verdict("unsafe"), 500)
    async with serving(server.app) as root:
        monkeypatch.setenv("OPENAI_API_BASE", f"{root}/v1")
        judge = open_judge(JudgeConfig(model="openai/m", api_key=Secret("secret")))
        opinion = await judge.ask(Message(role=Role.USER, text="Sort the names."), "malice")
        with pytest.raises(ModelError) as raised:
            await judge.ask(Message(role=Role.USER, text="Sort the numbers."), "malice")
        await judge.close()

    assert opinion.decision == "unsafe" and raised.value.kind == "refused"
    assert "response_format" in server.bodies[0]
    assert server.keys[0] == "Bearer secret"
