"""OpenAI's Responses protocol, guarded: prose flows, code waits, every copy says the same."""

import json
from collections.abc import Sequence
from typing import Any

import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from responses_events import called, custom, raw, response, said, stream, text, tool
from scripted import ScriptedUpstream, WordChecker
from serving import guarded, post

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import PLACEHOLDER, Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire.responses_answer import ResponseShape
from bluecode.proxy.wire.wire import Judging

SAFE = "Here you are:\n```python\nx = 1\n```\nThat is all.\n"
UNSAFE = "Here you are:\n```python\ndanger()\n```\nThat is all.\n"
DOUBT = "Here you are:\n```python\ndoubt()\n```\nThat is all.\n"
BAD = {"path": "a.py", "content": "import os\ndanger()\n"}
GOOD = {"path": "a.py", "content": "x = 1\n"}
PATCH = "*** Begin Patch\n*** Add File: a.py\n+import os\n+danger()\n*** End Patch\n"


def held() -> HeldStream:
    policy = Policy.default()
    checker = WordChecker()

    async def check(snippets: Sequence[Snippet]) -> Verdict:
        return merge([policy.decide(await checker.inspect(item)) for item in snippets])

    notes = Notes(policy, b"key")
    judging = Judging(check=check, policy=policy, notes=notes, limit=100_000, prompt=merge([]))
    return HeldStream(judging, ResponseShape())


async def play(machine: HeldStream, events: Sequence[bytes]) -> bytes:
    out = b""
    for item in events:
        if not machine.over:
            out += b"".join(await machine.push(item))
    return out + b"".join(await machine.finish(b""))


def read(out: bytes) -> tuple[list[Any], str]:
    """The final items and all text of deltas; fails where events and copies do not agree."""
    events = [json.loads(line[5:]) for line in out.split(b"\n") if line.startswith(b"data:")]
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    texts: dict[tuple[int, int], str] = {}
    done: dict[int, Any] = {}
    for event in events:
        key = (event.get("output_index", -1), event.get("content_index", -1))
        match event["type"]:
            case "response.output_text.delta":
                texts[key] = texts.get(key, "") + event["delta"]
            case "response.output_text.done":
                assert event["text"] == texts[key]
            case "response.content_part.done":
                assert event["part"]["text"] == texts[key]
            case "response.output_item.done":
                done[key[0]] = event["item"]
                for at, part in enumerate(event["item"].get("content") or ()):
                    assert part["text"] == texts[key[0], at]
    assert events[-1]["type"] == "response.completed"
    final = events[-1]["response"]["output"]
    assert final == [item for _, item in sorted(done.items())]
    return final, "".join(texts.values())


@pytest.mark.parametrize(
    "events",
    [
        stream(text(0, "Hi there")),
        stream(text(0, "Here you are:\n``", "`py\nx = 1\n`", "``\nBye")),
        stream(text(0, "Let me see."), tool(called(GOOD, 1), 1)),
        stream(tool(custom("x = 1\n", 0), 0)),
        stream(
            [
                {
                    "type": "response.output_item.added",
                    "output_index": 0,
                    "item": {"id": "rs", "type": "reasoning", "summary": []},
                },
                {
                    "type": "response.output_item.done",
                    "output_index": 0,
                    "item": {"id": "rs", "type": "reasoning", "summary": []},
                },
            ],
            text(1, SAFE),
        ),
    ],
)
async def test_an_answer_that_passes_leaves_byte_for_byte(events: list[bytes]) -> None:
    machine = held()
    assert await play(machine, events) == b"".join(events)
    assert machine.complete and machine.verdict.passes


async def test_prose_leaves_the_moment_it_arrives() -> None:
    machine = held()
    events = stream(text(0, "Hello", " there", ". Bye"))
    for item in events[:-1]:
        assert await machine.push(item) == [item]


OTHER = said(UNSAFE)
BLOCKED = {
    "code in a text": stream(text(0, "Here you are:\n```pyth", "on\ndanger()\n```\nBye")),
    "code that is not closed": stream(text(0, "Here:\n```python\ndanger()\n")),
    "a call's arguments": stream(text(0, "Let me see."), tool(called(BAD, 1), 1)),
    "a call's arguments, and words after it": stream(
        tool(called(GOOD), 0), tool(called(BAD, 1), 1), text(2, "Done.")
    ),
    "a patch": stream(tool(custom(PATCH, 0), 0)),
    "code in the copy of a text alone": stream([*text(0, "Hi")[:-1], {
        "type": "response.output_item.done", "output_index": 0, "item": OTHER}]),
    "code at the end alone": stream(output=[OTHER]),
    "a call at the end alone": stream(output=[called(BAD)]),
    "a call whose copy differs": stream(
        [*tool(called(GOOD), 0)[:-1],
         {"type": "response.output_item.done", "output_index": 0, "item": called(BAD)}]
    ),
    "a call of an unknown kind": stream(
        [
            {
                "type": "response.output_item.added",
                "output_index": 0,
                "item": {
                    "id": "s",
                    "type": "odd_call",
                    "action": {"command": ["python3", "-c", "import os; danger()"]},
                },
            },
            {
                "type": "response.output_item.done",
                "output_index": 0,
                "item": {
                    "id": "s",
                    "type": "odd_call",
                    "action": {"command": ["python3", "-c", "import os; danger()"]},
                },
            },
        ]
    ),
}  # fmt: skip


@pytest.mark.parametrize("events", BLOCKED.values(), ids=BLOCKED.keys())
async def test_blocked_code_is_replaced_and_the_response_ends_well(events: list[bytes]) -> None:
    out = await play(held(), events)
    items, told = read(out)
    assert b"danger()" not in out
    assert "BlueCode withheld" in told
    assert all(item["type"] == "message" for item in items)
    assert b'"bluecode":' in out


@pytest.mark.parametrize(
    "events",
    [
        stream(text(0, DOUBT)),
        stream(text(0, "Here:\n```python\ndoubt()\n")),
        stream(tool(called({"content": "import os\ndoubt()"}), 0)),
    ],
)
async def test_a_doubt_is_delivered_with_a_note(events: list[bytes]) -> None:
    out = await play(held(), events)
    items, told = read(out)
    assert "BlueCode asks" in told
    assert "doubt()" in json.dumps(items)


async def test_half_a_call_does_not_leave_when_the_provider_breaks_off() -> None:
    machine = held()
    events = stream(text(0, "Let me see."), tool(called(GOOD, 1), 1))
    out = b"".join([item for event in events[:-4] for item in await machine.push(event)])
    out += b"".join(await machine.finish(b"", early=True))
    assert b"function_call" not in out
    assert b"Let me see." in out


ODD: list[dict[str, Any]] = [
    {"type": "response.output_text.delta", "delta": "x"},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": ["x"]},
    {"type": "response.output_item.added", "output_index": 0, "item": "x"},
    {"type": "response.created", "response": response(said(UNSAFE))},
]


@pytest.mark.parametrize("event", ODD)
async def test_events_that_say_nothing_of_their_place_are_not_passed_on(event: Any) -> None:
    with pytest.raises(BrokenStream):
        await held().push(raw({**event, "sequence_number": 0}))


@settings(deadline=None, max_examples=100)
@given(st.sampled_from([SAFE, UNSAFE, DOUBT, SAFE + UNSAFE]), st.data())
async def test_chunk_boundaries_never_change_the_outcome(whole: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(whole)), max_size=10).map(sorted))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    one, other = held(), held()
    once = read(await play(one, stream(text(0, whole))))
    many = read(await play(other, stream(text(0, *pieces))))
    assert once == many
    assert one.verdict == other.verdict


@pytest.mark.parametrize("item", [said(UNSAFE), called(BAD), custom(PATCH)])
async def test_blocked_code_in_a_whole_answer_becomes_an_ordinary_message(item: Any) -> None:
    upstream = ScriptedUpstream([json.dumps(response(item)).encode()])
    async with guarded(upstream) as root:
        status, headers, body = await post(f"{root}/v1/responses", {"model": "m", "input": "hi"})
    answer = json.loads(body)
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert b"danger()" not in body
    assert "BlueCode withheld" in answer["output"][-1]["content"][-1]["text"]
    assert answer["bluecode"]["action"] == "block"


BAD_REQUESTS: list[dict[str, Any]] = [
    {"input": "badword"},
    {"input": [{"role": "user", "content": "badword"}]},
    {"input": [{"role": "user", "content": [{"type": "input_text", "text": "badword"}]}]},
    {"input": [{"type": "function_call_output", "call_id": "c", "output": "badword"}]},
    {
        "input": [
            {"type": "custom_tool_call_output", "call_id": "c", "output": [{"text": "badword"}]}
        ]
    },
    {"input": "hi", "instructions": "badword"},
    {"input": "hi", "tools": [{"type": "function", "name": "a", "description": "badword"}]},
    {
        "input": [
            {"type": "additional_tools", "role": "developer", "tools": [{"name": "do badword"}]}
        ]
    },
]


@pytest.mark.parametrize("body", BAD_REQUESTS)
@pytest.mark.parametrize("streamed", [True, False])
async def test_a_blocked_request_never_reaches_the_provider(body: Any, streamed: bool) -> None:
    upstream = ScriptedUpstream([])
    async with guarded(upstream) as root:
        url = f"{root}/v1/responses"
        status, headers, told = await post(url, {"model": "m", **body, "stream": streamed})
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert b"did not pass this request" in told
    assert upstream.calls == []


async def test_an_item_blocked_earlier_is_replaced_and_the_conversation_goes_on() -> None:
    upstream = ScriptedUpstream([json.dumps(response(said("ok"))).encode()])
    items = [
        {"role": "user", "content": "read a"},
        {"type": "function_call", "call_id": "c", "name": "read", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "badword"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "refused"}]},
        {"role": "user", "content": "go on"},
    ]
    async with guarded(upstream) as root:
        await post(f"{root}/v1/responses", {"model": "m", "input": items})
    (call,) = upstream.calls
    sent = json.loads(call.body)["input"]
    assert sent[2] == {"type": "function_call_output", "call_id": "c", "output": PLACEHOLDER}
    assert sent[0] == items[0] and sent[3:] == items[3:]


async def test_a_conversation_that_the_provider_keeps_is_told_to_be_unseen() -> None:
    upstream = ScriptedUpstream([json.dumps(response(said("ok"))).encode()])
    async with guarded(upstream) as root:
        body = {"model": "m", "input": "hi", "previous_response_id": "r0"}
        _, headers, _ = await post(f"{root}/v1/responses", body)
    assert headers["x-bluecode-unchecked"] == "history"


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("asked", ["badword", "hi"])
async def test_the_sdk_reads_what_it_gets(streamed: bool, asked: str) -> None:
    whole = json.dumps(response(said(UNSAFE))).encode()
    upstream = ScriptedUpstream([whole])
    if streamed:
        upstream = ScriptedUpstream(stream(text(0, UNSAFE)), kind="text/event-stream")
    async with (
        guarded(upstream) as root,
        openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as client,
    ):
        if streamed:
            async with client.responses.stream(model="m", input=asked) as events:
                final: Any = await events.get_final_response()
        else:
            final = await client.responses.create(model="m", input=asked)
    assert "BlueCode" in final.output_text
    assert final.status == "completed"


@pytest.mark.parametrize(
    "body", [{}, {"input": []}, {"input": [5]}, {"input": "a", "background": True}]
)
async def test_a_bad_body_gets_a_clear_error(body: Any) -> None:
    async with guarded(ScriptedUpstream([])) as root:
        status, _, told = await post(f"{root}/v1/responses", {"model": "m", **body})
    assert status == 400
    assert json.loads(told)["error"]["message"]


async def test_a_number_that_json_cannot_hold_breaks_the_stream_in_good_order() -> None:
    machine = held()
    event = b'data: {"type": "odd", "response": {"x": 1E400}}\n\n'
    with pytest.raises(BrokenStream):
        await machine.push(event)
        await machine.finish(b"")
