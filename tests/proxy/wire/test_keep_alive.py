"""What a client hears, in its own protocol, while the code that it waits for is on hold."""

import json
from typing import Any

import anthropic_events
import completion_events
import gemini_events
import pytest
import responses_events
from scripted import ScriptedUpstream, streamed
from serving import guarded, post

CODE = ["Here:\n", "```python\nx = 1\n", "y = 2\n```\n"]
PLAIN = {"messages": [{"role": "user", "content": "hi"}], "stream": True}
GEMINI = "/v1beta/models/m:streamGenerateContent?alt=sse"
COMMENT = b": keep-alive\n\n"
PING = b'event: ping\ndata: {"type": "ping"}\n\n'


def lines() -> list[bytes]:
    told = [{"message": {"role": "assistant", "content": piece}, "done": False} for piece in CODE]
    end = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"}
    return [json.dumps(line).encode() + b"\n" for line in (*told, end)]


WIRES: dict[str, tuple[str, dict[str, Any], list[bytes], str]] = {
    "chat": ("/v1/chat/completions", PLAIN, streamed(CODE), "text/event-stream"),
    "responses": (
        "/v1/responses",
        {"input": "hi", "stream": True},
        responses_events.stream(responses_events.text(0, *CODE)),
        "text/event-stream",
    ),
    "messages": (
        "/v1/messages",
        {**PLAIN, "max_tokens": 9},
        anthropic_events.message(anthropic_events.text(0, *CODE)),
        "text/event-stream",
    ),
    "completions": (
        "/v1/completions",
        {"prompt": "x", "stream": True},
        completion_events.events("x = 1\n"),
        "text/event-stream",
    ),
    "gemini": (
        GEMINI,
        {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]},
        gemini_events.streamed(
            *(gemini_events.said(piece) for piece in CODE), gemini_events.said("", finish="STOP")
        ),
        "text/event-stream",
    ),
    "ollama": ("/api/chat", PLAIN, lines(), "application/x-ndjson"),
}


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("chat", COMMENT),
        ("responses", COMMENT),
        ("messages", PING),
        ("completions", COMMENT),
        ("gemini", b""),
        ("ollama", b""),
    ],
)
async def test_a_client_that_waits_hears_what_it_ignores_and_nothing_where_it_would_not(
    name: str, sign: bytes
) -> None:
    path, body, events, kind = WIRES[name]
    at = next(at for at, event in enumerate(events) if b"x = 1" in event) + 1
    paused = [*events[:at], *([None] * 4), *events[at:]]
    upstream = ScriptedUpstream(paused, kind=kind, pause=0.1)
    async with guarded(upstream, keep_alive=0.1) as root:
        status, _, heard = await post(root + path, {"model": "m", **body})
    assert status == 200
    assert bool(sign and heard.count(sign)) is bool(sign)
    assert (heard.replace(sign, b"") if sign else heard) == b"".join(events)
