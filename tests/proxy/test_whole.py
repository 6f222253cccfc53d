"""Answers in one piece: code that is blocked never leaves, wherever in the answer it stands."""

import json
from typing import Any

import pytest
from scripted import ScriptedUpstream, answer
from serving import chat, guarded, post

BAD = "```python\ndanger()\n```\n"
CALL = json.dumps({"path": "a.py", "content": "import os\ndanger()\n"})
TOOL = {"id": "t", "type": "function", "function": {"name": "write", "arguments": CALL}}


def whole(*choices: Any, **extra: Any) -> bytes:
    return json.dumps({"id": "c1", "choices": list(choices), **extra}).encode()


EVASIONS: dict[str, bytes] = {
    "a refusal": answer({"content": None, "refusal": BAD}),
    "the text of older protocols": whole({"index": 0, "text": BAD, "finish_reason": "stop"}),
    "a delta in place of the message": whole({"index": 0, "delta": {"content": BAD}}),
    "a delta beside the message": whole(
        {"index": 0, "message": {"content": "hi"}, "delta": {"content": BAD}}
    ),
    "content that is an object": whole({"index": 0, "message": {"content": {"text": BAD}}}),
    "parts with nested text": answer({"content": [{"type": "text", "text": {"value": BAD}}]}),
    "a call without its function": answer({"tool_calls": [{"name": "w", "arguments": CALL}]}),
    "a custom call without its object": answer(
        {"tool_calls": [{"type": "custom", "input": "import os\ndanger()\n"}]}
    ),
    "a call of an unknown kind": answer(
        {"tool_calls": [{"shell": {"script": "import os\ndanger()"}}]}
    ),
    "calls that are one object": answer({"tool_calls": TOOL}),
    "arguments that came parsed": answer(
        {"tool_calls": [{"function": {"name": "w", "arguments": json.loads(CALL)}}]}
    ),
    "the legacy call": answer({"function_call": TOOL["function"]}),
    "reasoning beside blocked code": answer({"content": BAD, "reasoning_content": "danger()"}),
    "token texts beside blocked code": whole(
        {
            "index": 0,
            "message": {"content": BAD},
            "logprobs": {"content": [{"token": "danger()"}]},
        }
    ),
    "two choices of one index": whole(
        {"index": 0, "message": {"content": "hi"}}, {"index": 0, "message": {"content": BAD}}
    ),
}


@pytest.mark.parametrize("raw", EVASIONS.values(), ids=EVASIONS.keys())
async def test_code_that_is_blocked_never_leaves(raw: bytes) -> None:
    async with guarded(ScriptedUpstream([raw])) as root:
        status, headers, body = await post(f"{root}/v1/chat/completions", chat())
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert b"danger()" not in body
    assert b"BlueCode withheld" in body


BROKEN = {
    "a key twice": b'{"choices":[{"message":{"content":"a","content":"b"}}]}',
    "choices that are an object": b'{"choices":{"message":{"content":"a"}}}',
    "a choice that is a string": b'{"choices":["a"]}',
    "no object": b"[1]",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN.keys())
async def test_an_answer_that_readers_take_differently_is_not_passed_on(raw: bytes) -> None:
    async with guarded(ScriptedUpstream([raw])) as root:
        status, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert status == 502
    assert json.loads(body)["error"]["code"] == "upstream_broken"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_an_answer_under_a_status_of_failure_is_not_passed_on(status: int) -> None:
    upstream = ScriptedUpstream([answer({"content": BAD})], status=status)
    async with guarded(upstream) as root:
        given, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert given == 502
    assert b"danger()" not in body


async def test_content_that_is_a_number_is_told_to_be_unchecked() -> None:
    raw = whole({"index": 0, "message": {"content": 5}})
    async with guarded(ScriptedUpstream([raw])) as root:
        status, headers, _ = await post(f"{root}/v1/chat/completions", chat())
    assert status == 200
    assert headers["x-bluecode-unchecked"] == "other"


async def test_the_providers_headers_cannot_speak_for_the_guard() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    upstream.extra_headers = (("X-BlueCode-Failed", "none"), ("x-note", "n\udcc3\udca9"))
    async with guarded(upstream) as root:
        status, headers, _ = await post(f"{root}/v1/chat/completions", chat())
    assert status == 200
    assert "x-bluecode-failed" not in headers
    assert headers["x-note"]
