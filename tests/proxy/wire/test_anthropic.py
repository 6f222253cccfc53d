"""Anthropic's Messages protocol, guarded: prose flows, code waits, notes are ordinary text."""

import json
from collections.abc import Sequence
from typing import Any

import anthropic
import pytest
from anthropic_events import START, STOP, event, message, text, tool, whole
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import ScriptedUpstream, WordChecker, WordDetector
from serving import guarded, post

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import PLACEHOLDER, Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire.anthropic_answer import MessageShape
from bluecode.proxy.wire.wire import Judging

SAFE = "Here you are:\n```python\nx = 1\n```\nThat is all.\n"
UNSAFE = "Here you are:\n```python\ndanger()\n```\nThat is all.\n"
DOUBT = "Here you are:\n```python\ndoubt()\n```\nThat is all.\n"
BAD_INPUT = {"file_path": "a.py", "content": "import os\ndanger()\n"}
GOOD_INPUT = {"file_path": "a.py", "content": "x = 1\n"}


def held(policy: Policy | None = None) -> HeldStream:
    policy = policy or Policy.default()
    checker = WordChecker()

    async def check(snippets: Sequence[Snippet]) -> Verdict:
        return merge([policy.decide(await checker.inspect(item)) for item in snippets])

    judging = Judging(
        check=check,
        policy=policy,
        notes=Notes(policy, b"key"),
        limit=100_000,
        prompt=merge([]),
    )
    return HeldStream(judging, MessageShape())


async def play(stream: HeldStream, events: Sequence[bytes]) -> bytes:
    return b"".join([item for raw in events for item in await stream.push(raw)])


def read(out: bytes) -> list[dict[str, Any]]:
    """The blocks as a client puts them together; it fails where the row of events is not sound."""
    blocks: list[dict[str, Any]] = []
    open_: int | None = None
    ended = False
    for raw in out.split(b"\n\n"):
        if not (lines := [line for line in raw.split(b"\n") if line.startswith(b"data:")]):
            continue
        payload = json.loads(lines[0][5:])
        match payload["type"]:
            case "content_block_start":
                assert open_ is None and payload["index"] == len(blocks) and not ended
                open_ = payload["index"]
                blocks.append({"json": "", **payload["content_block"]})
            case "content_block_delta":
                assert payload["index"] == open_
                delta = payload["delta"]
                if delta["type"] == "text_delta":
                    blocks[open_]["text"] += delta["text"]
                else:
                    blocks[open_]["json"] += delta.get("partial_json", "")
            case "content_block_stop":
                assert payload["index"] == open_
                open_ = None
            case "message_delta":
                assert open_ is None
                ended = True
    return blocks


@pytest.mark.parametrize(
    "events",
    [
        message(text(0, "Hi there")),
        message(text(0, "Here you are:\n``", "`py\nx = 1\n`", "``\nBye")),
        message(text(0, "Let me see."), tool(1, GOOD_INPUT), reason="tool_use"),
        [START, event("ping"), *message(text(0, SAFE))[1:]],
    ],
)
async def test_an_answer_that_passes_leaves_byte_for_byte(events: list[bytes]) -> None:
    stream = held()
    assert await play(stream, events) == b"".join(events)
    assert stream.done and stream.complete


async def test_prose_leaves_the_moment_it_arrives() -> None:
    stream = held()
    for raw in [START, *text(0, "Hello", " there", ". Bye")]:
        assert await stream.push(raw) == [raw]


BLOCKED = {
    "code in a text": message(text(0, "Here you are:\n```pyth", "on\ndanger()\n```\nBye")),
    "code that is not closed": message(text(0, "Here:\n```python\ndanger()\n")),
    "code in the first event of a block": [
        START,
        event("content_block_start", index=0, content_block={"type": "text", "text": UNSAFE}),
        event("content_block_stop", index=0),
        *message()[1:],
    ],
    "code behind a fence that another block left open": message(
        text(0, "Like this: \n```\n"), text(1, UNSAFE)
    ),
    "a tool's input": message(text(0, "Let me see."), tool(1, BAD_INPUT), reason="tool_use"),
    "a tool's input, and words after it": message(
        tool(0, GOOD_INPUT), tool(1, BAD_INPUT), text(2, "Done."), reason="tool_use"
    ),
    "an input that came whole": [
        START,
        event(
            "content_block_start",
            index=0,
            content_block={"type": "tool_use", "id": "t", "name": "Write", "input": BAD_INPUT},
        ),
        event("content_block_stop", index=0),
        *message()[1:],
    ],
}


@pytest.mark.parametrize("events", BLOCKED.values(), ids=BLOCKED.keys())
async def test_blocked_code_is_replaced_and_the_message_ends_well(events: list[bytes]) -> None:
    stream = held()
    out = b""
    for raw in events:
        if not stream.over:
            out += b"".join(await stream.push(raw))
    out += b"".join(await stream.finish(STOP))
    blocks = read(out)
    assert b"danger()" not in out
    assert "BlueCode withheld" in blocks[-1]["text"]
    assert all(block["type"] == "text" for block in blocks)
    assert b'"stop_reason":"end_turn"' in out
    assert b'"bluecode":' in out
    assert out.endswith(STOP)


@pytest.mark.parametrize("block", [text(0, DOUBT), tool(0, {"content": "import os\ndoubt()"})])
async def test_a_doubt_is_delivered_with_a_note(block: list[bytes]) -> None:
    out = await play(held(), message(block))
    blocks = read(out)
    assert "doubt()" in "".join(item.get("text", "") + item["json"] for item in blocks)
    assert any("BlueCode asks" in item.get("text", "") for item in blocks)


async def test_half_a_call_does_not_leave_when_the_provider_breaks_off() -> None:
    stream = held()
    out = await play(stream, [START, *text(0, "Let me see."), *tool(1, GOOD_INPUT)[:2]])
    out += b"".join(await stream.finish(b"", early=True))
    assert b"tool_use" not in out
    assert not stream.complete or stream.done


ODD = [
    event("content_block_delta", index=0, delta={"type": "text_delta", "text": "x"}),
    event("content_block_stop", index=0),
    event("content_block_start", index=-1, content_block={"type": "text", "text": ""}),
    event("content_block_start", index=0, content_block={"type": "text", "text": ["x"]}),
    event("message_start", message={"content": [{"type": "text", "text": UNSAFE}]}),
    b"data: {broken\n\n",
]


@pytest.mark.parametrize("raw", ODD)
async def test_events_out_of_turn_are_not_passed_on(raw: bytes) -> None:
    with pytest.raises(BrokenStream):
        await held().push(raw)


@pytest.mark.parametrize("kind", ["thinking_delta", "input_json_delta", "odd_delta"])
async def test_a_delta_that_does_not_fit_its_block_is_not_passed_on(kind: str) -> None:
    stream = held()
    await play(stream, [START, text(0)[0]])
    delta = {"type": kind, "text": "x", "thinking": "x", "partial_json": "x"}
    with pytest.raises(BrokenStream):
        await stream.push(event("content_block_delta", index=0, delta=delta))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([SAFE, UNSAFE, DOUBT, SAFE + UNSAFE]), st.data())
async def test_chunk_boundaries_never_change_the_outcome(said: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(said)), max_size=10).map(sorted))
    pieces = [said[a:b] for a, b in zip([0, *cuts], [*cuts, len(said)], strict=True)]
    whole, cut = held(), held()
    once = read(await play(whole, message(text(0, said))))
    many = read(await play(cut, message(text(0, *pieces))))
    assert once == many
    assert whole.verdict == cut.verdict


def ask(said: Any, **extra: Any) -> dict[str, Any]:
    return {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": said}], **extra}


WHOLE = [
    whole({"type": "text", "text": UNSAFE}),
    whole({"type": "tool_use", "id": "t", "name": "Write", "input": BAD_INPUT}),
]


@pytest.mark.parametrize("raw", WHOLE)
async def test_blocked_code_becomes_an_ordinary_message(raw: bytes) -> None:
    async with guarded(ScriptedUpstream([raw])) as root:
        status, headers, body = await post(f"{root}/v1/messages?beta=true", ask("hi"))
    answer = json.loads(body)
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert b"danger()" not in body
    assert "BlueCode withheld" in answer["content"][-1]["text"]
    assert answer["stop_reason"] == "end_turn"
    assert answer["bluecode"]["action"] == "block"


async def test_the_body_and_the_answer_pass_as_they_came() -> None:
    raw = whole({"type": "text", "text": SAFE})
    upstream = ScriptedUpstream([raw])
    async with guarded(upstream) as root:
        sent = json.dumps(ask([{"type": "text", "text": "hi"}], thinking={"type": "adaptive"}))
        headers = {"x-api-key": "k", "anthropic-beta": "a,b"}
        url = f"{root}/v1/messages?beta=true"
        status, _, body = await post(url, sent.encode(), headers)
    (call,) = upstream.calls
    told = {name.lower(): value for name, value in call.headers}
    assert (status, body) == (200, raw)
    assert (call.path, call.query, call.body) == ("/messages", "beta=true", sent.encode())
    assert (told["x-api-key"], told["anthropic-beta"]) == ("k", "a,b")


async def test_a_system_message_between_turns_and_counting_pass_as_they_came() -> None:
    between = {"role": "system", "content": [{"type": "text", "text": "Be brief."}]}
    turns = [{"role": "user", "content": "hi"}, between, {"role": "user", "content": "go on"}]
    sent = json.dumps({**ask("hi"), "messages": turns}).encode()
    upstream = ScriptedUpstream([raw := b'{"input_tokens": 3}'])
    async with guarded(upstream) as root:
        counted = await post(f"{root}/v1/messages/count_tokens", sent)
        upstream.chunks = [whole({"type": "text", "text": "ok"})]
        status, _, _ = await post(f"{root}/v1/messages", sent)
    assert (counted[0], counted[2], status) == (200, raw, 200)
    assert [call.path for call in upstream.calls] == ["/messages/count_tokens", "/messages"]
    assert [call.body for call in upstream.calls] == [sent, sent]


BAD_REQUESTS = [
    ask("badword"),
    ask([{"type": "text", "text": "badword"}]),
    ask([{"type": "tool_result", "tool_use_id": "t", "content": "badword"}]),
    ask([{"type": "tool_result", "content": [{"type": "text", "text": "badword"}]}]),
    ask("hi", system="badword"),
    ask("hi", system=[{"type": "text", "text": "badword"}]),
    ask("hi", tools=[{"name": "a", "description": "badword"}]),
    {
        **ask("hi"),
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "system", "content": "badword"},
            {"role": "user", "content": "go on"},
        ],
    },
]


@pytest.mark.parametrize("body", BAD_REQUESTS)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_request_never_reaches_the_provider(body: Any, stream: bool) -> None:
    upstream = ScriptedUpstream([])
    async with guarded(upstream) as root:
        status, headers, raw = await post(f"{root}/v1/messages", {**body, "stream": stream})
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert b"did not pass this request" in raw
    assert upstream.calls == []


async def test_a_result_blocked_earlier_is_replaced_and_the_conversation_goes_on() -> None:
    upstream = ScriptedUpstream([whole({"type": "text", "text": "ok"})])
    call = {"type": "tool_use", "id": "t", "name": "Read", "input": {"path": "a"}}
    result = {"type": "tool_result", "tool_use_id": "t", "content": "badword"}
    turns = [
        {"role": "user", "content": "read a"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result, {"type": "text", "text": "and then?"}]},
        {"role": "assistant", "content": "refused"},
        {"role": "user", "content": "go on"},
    ]
    async with guarded(upstream) as root:
        await post(f"{root}/v1/messages", {"model": "m", "messages": turns})
    (sent,) = upstream.calls
    parts = json.loads(sent.body)["messages"][2]["content"]
    assert parts[0] == {"type": "tool_result", "tool_use_id": "t", "content": PLACEHOLDER}
    assert parts[1] == {"type": "text", "text": "and then?"}


async def test_an_answer_that_was_checked_is_not_screened_when_it_comes_back() -> None:
    detector = WordDetector("badword")
    events = message(text(0, "say badword"), tool(1, GOOD_INPUT), reason="tool_use")
    upstream = ScriptedUpstream(events, kind="text/event-stream")
    async with guarded(upstream, detectors=[detector]) as root:
        url = f"{root}/v1/messages"
        await post(url, ask("first", stream=True))
        said = [
            {"type": "text", "text": "say badword"},
            {"type": "tool_use", "id": "t1", "name": "Write", "input": GOOD_INPUT},
        ]
        turns = [
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": said},
            {"role": "user", "content": [{"type": "tool_result", "content": "written"}]},
        ]
        await post(url, {"model": "m", "messages": turns, "stream": True})
    assert json.loads(upstream.calls[1].body)["messages"] == turns


async def test_the_sdk_reads_what_it_gets() -> None:
    upstream = ScriptedUpstream(message(text(0, UNSAFE)), kind="text/event-stream")
    async with guarded(upstream) as root:
        asked: Any = [{"role": "user", "content": "hi"}]
        async with (
            anthropic.AsyncAnthropic(base_url=root, api_key="k", max_retries=0) as client,
            client.messages.stream(model="m", max_tokens=9, messages=asked) as stream,
        ):
            final = await stream.get_final_message()
    assert final.stop_reason == "end_turn"
    assert "BlueCode withheld" in final.content[-1].text  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"messages":[]}',
        b'{"messages":[{"role":"user"}]}',
        b'{"messages":[{"role":"x","content":"a"}]}',
        b'{"messages":[{"role":"user","content":"a","content":"b"}]}',
    ],
)
async def test_a_bad_body_gets_an_error_in_the_protocols_shape(body: bytes) -> None:
    async with guarded(ScriptedUpstream([])) as root:
        status, _, raw = await post(f"{root}/v1/messages", body)
    told = json.loads(raw)
    assert (status, told["type"]) == (400, "error")
    assert told["error"]["type"] == "invalid_request_error"
