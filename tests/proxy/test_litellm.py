"""A provider with a protocol of its own, reached through litellm: translated both ways, guarded."""

import importlib.util
import json
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

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.model import ModelError
from bluecode.proxy.config import JudgeConfig, Secret
from bluecode.proxy.judge_model import open_judge
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
