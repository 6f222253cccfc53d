"""Google's Gemini protocol, guarded: prose flows, code waits, notes are ordinary text."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from gemini_events import call, raw, said, streamed
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedUpstream, WordChecker
from serving import guarded, post

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import PLACEHOLDER, Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire.gemini_answer import GeminiShape
from bluecode.proxy.wire.wire import Judging

SAFE = "Here you are:\n```python\nx = 1\n```\nThat is all.\n"
UNSAFE = "Here you are:\n```python\ndanger()\n```\nThat is all.\n"
DOUBT = "Here you are:\n```python\ndoubt()\n```\nThat is all.\n"
BAD = {"path": "a.py", "content": "import os\ndanger()\n"}
GOOD = {"path": "a.py", "content": "x = 1\n"}
URL = "/v1beta/models/gemini-2.5-pro:generateContent"
STREAM = "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse"


def held() -> HeldStream:
    policy = Policy.default()
    checker = WordChecker()

    async def check(snippets: Sequence[Snippet]) -> Verdict:
        return merge([policy.decide(await checker.inspect(item)) for item in snippets])

    notes = Notes(policy, b"key")
    judging = Judging(check=check, policy=policy, notes=notes, limit=100_000, prompt=merge([]))
    return HeldStream(judging, GeminiShape())


async def play(events: Sequence[bytes]) -> bytes:
    machine = held()
    out = b"".join([item for event in events for item in await machine.push(event)])
    return out + b"".join(await machine.finish(b""))


def text_in(out: bytes) -> str:
    payloads = [json.loads(line[5:]) for line in out.splitlines() if line.startswith(b"data:")]
    return "".join(
        part.get("text", "")
        for payload in payloads
        for item in payload.get("candidates", ())
        for part in item["content"]["parts"]
    )


@pytest.mark.parametrize(
    "events",
    [
        streamed(said("Hi there"), said(" and bye", finish="STOP")),
        streamed(said("Here you are:\n``"), said("`py\nx = 1\n`"), said("``\nBye", finish="STOP")),
        streamed(said("Let me see."), call(GOOD, finish="STOP")),
        streamed(said("Hm.", thought=True), said(SAFE, finish="STOP")),
    ],
)
async def test_an_answer_that_passes_leaves_byte_for_byte(events: list[bytes]) -> None:
    assert await play(events) == b"".join(events)


@pytest.mark.parametrize(
    "events",
    [
        streamed(said("Here you are:\n```pyth"), said("on\ndanger()\n```\nBye", finish="STOP")),
        streamed(said(UNSAFE, finish="STOP")),
        streamed(said("```python\ndanger()\n"), said("", finish="STOP")),
        streamed(said("Let me see."), call(BAD), said("Done.", finish="STOP")),
        streamed(call(GOOD), call(BAD, finish="STOP")),
        streamed(said("Hi", finish="STOP"), said(UNSAFE)),
    ],
)
async def test_blocked_code_is_replaced_and_the_stream_ends_well(events: list[bytes]) -> None:
    out = await play(events)
    assert b"danger()" not in out
    assert "BlueCode withheld" in text_in(out)
    assert b'"finishReason": "STOP"' in out
    assert b'"functionCall"' not in out
    assert b'"bluecode"' in out


async def test_a_doubt_is_delivered_with_a_note() -> None:
    text = text_in(await play(streamed(said(DOUBT, finish="STOP"))))
    assert text.index("doubt()") < text.index("BlueCode asks") < text.index("That is all")


@pytest.mark.parametrize(
    "payload",
    [
        {"candidates": {"index": 0}},
        {"candidates": ["x"]},
        {"candidates": [{"index": "0"}]},
        {"candidates": [{"content": "x"}]},
        {"candidates": [{"content": {"parts": ["x"]}}]},
        {"candidates": [{"content": {"parts": [{"text": ["x"]}]}}]},
    ],
)
async def test_answers_nobody_can_place_are_not_passed_on(payload: Any) -> None:
    with pytest.raises(BrokenStream):
        await held().push(raw(payload))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([SAFE, UNSAFE, DOUBT, SAFE + UNSAFE]), st.data())
async def test_chunk_boundaries_never_change_the_outcome(whole: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=10).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    end = said("", finish="STOP")
    once = text_in(await play(streamed(said(whole), end)))
    many = text_in(await play(streamed(*(said(piece) for piece in pieces), end)))
    assert once == many


WHOLE = {
    "a text": json.dumps(said(UNSAFE, finish="STOP")).encode(),
    "a call": json.dumps(call(BAD, finish="STOP")).encode(),
    "a list of answers": json.dumps(
        [said("Here:\n```python\ndan"), said("ger()\n```\n", finish="STOP")]
    ).encode(),
}


@pytest.mark.parametrize("answer", WHOLE.values(), ids=WHOLE.keys())
async def test_blocked_code_in_a_whole_answer_becomes_an_ordinary_text(answer: bytes) -> None:
    async with guarded(ScriptedUpstream([answer])) as root:
        status, headers, body = await post(root + URL, ask("hi"))
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert b"danger()" not in body
    assert b"BlueCode withheld" in body


def ask(text: str, **extra: Any) -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}], **extra}


BAD_REQUESTS = [
    ask("badword"),
    ask("hi", systemInstruction={"parts": [{"text": "badword"}]}),
    ask("hi", tools=[{"functionDeclarations": [{"name": "a", "description": "badword"}]}]),
    {"contents": [{"parts": [{"functionResponse": {"name": "a", "response": {"x": "badword"}}}]}]},
]


@pytest.mark.parametrize("body", BAD_REQUESTS)
@pytest.mark.parametrize("url", [URL, STREAM])
async def test_a_blocked_request_never_reaches_the_provider(body: Any, url: str) -> None:
    upstream = ScriptedUpstream([])
    async with guarded(upstream) as root:
        status, headers, told = await post(root + url, body)
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert b"did not pass this request" in told
    assert b": keep-alive" not in told
    assert upstream.calls == []


async def test_a_result_blocked_earlier_is_replaced_and_the_conversation_goes_on() -> None:
    upstream = ScriptedUpstream([json.dumps(said("ok", finish="STOP")).encode()])
    result = {"functionResponse": {"name": "read", "response": {"output": "badword"}}}
    turns = [
        {"role": "user", "parts": [{"text": "read a"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "read", "args": {"path": "a"}}}]},
        {"role": "user", "parts": [result, {"text": "and then?"}]},
        {"role": "model", "parts": [{"text": "refused"}]},
        {"role": "user", "parts": [{"text": "go on"}]},
    ]
    async with guarded(upstream) as root:
        await post(root + URL, {"contents": turns})
    (call_,) = upstream.calls
    parts = json.loads(call_.body)["contents"][2]["parts"]
    assert call_.path == "/models/gemini-2.5-pro:generateContent"
    assert parts[0]["functionResponse"] == {"name": "read", "response": {"output": PLACEHOLDER}}
    assert parts[1] == {"text": "and then?"}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1beta/models/m:batchGenerateContent", 404),
        ("/v1beta/models/..:generateContent", 404),
        ("/v1beta/models/m", 404),
        (URL, 400),
    ],
)
async def test_what_is_not_served_gets_an_error_in_the_protocols_shape(
    path: str, status: int
) -> None:
    async with guarded(ScriptedUpstream([])) as root:
        got, _, told = await post(root + path, {"contents": 5})
    assert got == status
    assert json.loads(told)["error"]["message"]


async def test_counting_tokens_passes_through() -> None:
    upstream = ScriptedUpstream([b'{"totalTokens": 3}'])
    async with guarded(upstream) as root:
        status, _, told = await post(f"{root}/v1beta/models/m:countTokens", ask("badword"))
    assert (status, told) == (200, b'{"totalTokens": 3}')
    assert upstream.calls[0].path == "/models/m:countTokens"
