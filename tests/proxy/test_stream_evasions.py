"""Ways around the hold: whatever a provider puts where, code that is blocked never leaves."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import WordChecker, chunk, streamed, text_in

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.wire.openai_answer import DONE as END
from bluecode.proxy.wire.openai_answer import ChatShape
from bluecode.proxy.wire.wire import Judging

POLICY = Policy.parse('[unchecked]\noversized = "block"\narguments = "block"\n')
BAD = "```python\ndanger()\n```\n"
GOOD = "```python\nx = 1\n```\n"
CALL = json.dumps({"path": "a.py", "content": "import os\ndanger()\n"})
DONE = b"data: [DONE]\n\n"


def held(policy: Policy = POLICY, *, limit: int = 100_000, choices: int = 1) -> HeldStream:
    checker = WordChecker()

    async def check(snippets: Sequence[Snippet]) -> Verdict:
        return merge([policy.decide(await checker.inspect(item)) for item in snippets])

    judging = Judging(
        check=check, policy=policy, notes=Notes(policy, b"key"), limit=limit, prompt=merge([])
    )
    return HeldStream(judging, ChatShape(), choices=choices)


async def play(stream: HeldStream, events: Sequence[bytes]) -> bytes:
    out = [event for raw in events for event in await stream.push(raw)]
    return b"".join(out)


def event(*choices: Any, **extra: Any) -> bytes:
    return (
        b"data: " + json.dumps({"id": "c1", "choices": list(choices), **extra}).encode() + b"\n\n"
    )


def choice(index: int = 0, finish: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"index": index, "delta": {}, "finish_reason": finish, **fields}


LATE_TOOL = [{"index": 0, "id": "t", "function": {"name": "write", "arguments": CALL}}]
EVASIONS: dict[str, list[bytes]] = {
    "text after the end": [chunk("Hi"), chunk(finish="stop"), chunk(BAD)],
    "a tool call after the end": [chunk("Hi"), chunk(finish="stop"), chunk(tools=LATE_TOOL)],
    "a fence that goes on after the end": [
        chunk("```python\nx = "),
        chunk(finish="stop"),
        chunk("danger()\n```"),
    ],
    "a message in place of the delta": [
        event({"index": 0, "message": {"content": BAD}}),
        chunk(finish="stop"),
    ],
    "a message beside the delta": [
        event(choice(delta={"content": "Hi"}, message={"content": BAD})),
        chunk(finish="stop"),
    ],
    "a call in a message beside the delta": [
        event(choice(message={"tool_calls": LATE_TOOL})),
        chunk(finish="stop"),
    ],
    "the text of older protocols": [event(choice(text=BAD)), chunk(finish="stop")],
    "a refusal": [event(choice(delta={"refusal": BAD})), chunk(finish="stop")],
    "content that is an object": [
        event(choice(delta={"content": {"text": BAD}})),
        chunk(finish="stop"),
    ],
    "parts with nested text": [
        event(choice(delta={"content": [{"type": "text", "text": {"value": BAD}}]})),
        chunk(finish="stop"),
    ],
    "parts with lists of text": [
        event(choice(delta={"content": [{"text": ["```python\n", "danger()\n```\n"]}]})),
        chunk(finish="stop"),
    ],
    "one choice twice in an event": [
        event(choice(delta={"content": "```python\n"}), choice(delta={"content": "danger()\n```"})),
        chunk(finish="stop"),
    ],
    "a call without its function": [
        chunk(tools=[{"index": 0, "name": "write", "arguments": CALL}]),
        chunk(finish="tool_calls"),
    ],
    "a custom call without its object": [
        chunk(tools=[{"index": 0, "type": "custom", "input": "import os\ndanger()\n"}]),
        chunk(finish="tool_calls"),
    ],
    "a call of an unknown kind, in pieces": [
        chunk(tools=[{"index": 0, "shell": {"script": "import os\ndan"}}]),
        chunk(tools=[{"index": 0, "shell": {"script": "ger()\n"}}]),
        chunk(finish="tool_calls"),
    ],
    "calls that are one object": [
        event(choice(delta={"tool_calls": LATE_TOOL[0]})),
        chunk(finish="tool_calls"),
    ],
    "arguments that came parsed": [
        chunk(tools=[{"index": 0, "function": {"name": "w", "arguments": json.loads(CALL)}}]),
        chunk(finish="tool_calls"),
    ],
    "function and custom in one call": [
        chunk(
            tools=[
                {"index": 0, "function": {"name": "w", "arguments": CALL}, "custom": {"input": "x"}}
            ]
        ),
        chunk(finish="tool_calls"),
    ],
    "custom input cut over two calls of one index": [
        chunk(tools=[{"index": 0, "id": "a", "custom": {"input": "import os\nx = 1\ndan"}}]),
        chunk(tools=[{"index": 0, "id": "b", "custom": {"input": "ger()\n"}}]),
        chunk(finish="tool_calls"),
    ],
    "the legacy call": [
        event(choice(delta={"function_call": {"name": "w", "arguments": CALL}})),
        chunk(finish="function_call"),
    ],
    "a byte order mark": [b"\xef\xbb\xbf" + chunk(BAD), chunk(finish="stop")],
    "blanks before the data": [b"  " + chunk(BAD), chunk(finish="stop")],
    "a choice beside one that is cut": [
        event(choice(0, delta={"content": BAD}), choice(1, delta={"content": BAD})),
        chunk(finish="stop"),
        chunk(finish="stop", index=1),
    ],
    "token texts beside the code": [
        event(choice(delta={"content": BAD}, logprobs={"content": [{"token": "danger()"}]})),
        chunk(finish="stop"),
    ],
}


@pytest.mark.parametrize("events", EVASIONS.values(), ids=EVASIONS.keys())
async def test_code_that_is_blocked_never_leaves(events: list[bytes]) -> None:
    stream = held()
    out = await play(stream, [*events, DONE])
    assert b"danger()" not in out
    assert stream.verdict.blocks
    assert b"BlueCode withheld" in out
    assert out.endswith(DONE)


KEY_TRICKS = {
    "content": b'{"choices":[{"index":0,"delta":{"content":"x","content":"y"}}]}',
    "delta": b'{"choices":[{"index":0,"delta":{"content":"x"},"delta":{}}]}',
    "escaped": b'{"choices":[{"index":0,"delta":{"con\\u0074ent":"x","content":"y"}}]}',
    "choices": b'{"choices":[{"index":0,"delta":{"content":"x"}}],"choices":[]}',
}


@pytest.mark.parametrize("data", KEY_TRICKS.values(), ids=KEY_TRICKS.keys())
async def test_a_key_that_stands_twice_is_not_passed_on(data: bytes) -> None:
    with pytest.raises(BrokenStream):
        await held().push(b"data: " + data + b"\n\n")


@pytest.mark.parametrize(
    "choices", [{"index": 0}, [None], ["x"], [{"index": "0"}], [{"index": True}], [{"index": -1}]]
)
async def test_choices_nobody_can_place_are_not_passed_on(choices: Any) -> None:
    with pytest.raises(BrokenStream):
        await held().push(b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n")


async def test_a_choice_that_never_stops_ending_is_given_up() -> None:
    stream = held()
    with pytest.raises(BrokenStream):
        for _ in range(6):
            await play(stream, [chunk("more"), chunk(finish="stop")])


async def test_an_empty_delta_after_the_end_is_no_news() -> None:
    events = [chunk("Hi"), chunk(finish="stop"), chunk("", usage={"total_tokens": 1}), DONE]
    assert await play(held(), events) == b"".join(events)


@pytest.mark.parametrize("delta", [None, {}, {"content": None}, {"content": ""}])
async def test_an_end_of_any_shape_may_follow_a_block(delta: Any) -> None:
    out = await play(held(), [chunk(BAD), event(choice(finish="stop", delta=delta)), DONE])
    assert "BlueCode withheld" in text_in(out)


async def test_unknown_fields_are_counted_and_hold_nothing_back() -> None:
    stream = held()
    events = [event(choice(delta={"content": "Hi", "odd": "text"})), chunk(finish="stop")]
    assert await stream.push(events[0]) == [events[0]]
    await play(stream, [events[1], DONE])
    assert stream.unseen == {"other"}


async def test_whole_calls_that_share_an_index_are_two_calls() -> None:
    tools = [
        [{"index": 0, "id": name, "function": {"name": "read", "arguments": '{"path": "a"}'}}]
        for name in ("a", "b")
    ]
    events = [chunk(tools=tools[0]), chunk(tools=tools[1]), chunk(finish="tool_calls"), DONE]
    assert await play(held(), events) == b"".join(events)


async def test_pieces_without_an_index_belong_to_the_last_call() -> None:
    pieces = [{"id": "a", "function": {"name": "read", "arguments": '{"pa'}}]
    rest = [{"function": {"arguments": 'th": "a"}'}}]
    events = [chunk(tools=pieces), chunk(tools=rest), chunk(finish="tool_calls"), DONE]
    assert await play(held(), events) == b"".join(events)


async def test_half_a_call_does_not_leave_when_the_provider_breaks_off() -> None:
    stream = held()
    first = [{"index": 0, "id": "a", "function": {"name": "write", "arguments": ""}}]
    out = await play(stream, [chunk("Let me see.", tools=first)])
    out += b"".join(await stream.finish(END, early=True))
    assert b"write" not in out
    assert text_in(out) == "Let me see."


async def test_a_provider_that_gives_fewer_choices_than_asked_has_ended_all_the_same() -> None:
    stream = held(choices=2)
    events = [*streamed(["Hi"])[:-1]]
    out = await play(stream, events)
    assert stream.complete
    assert out + b"".join(await stream.finish(END)) == b"".join([*events, DONE])


async def test_what_may_pass_unchecked_over_the_limit_ends_well() -> None:
    stream = held(Policy.parse('[unchecked]\noversized = "allow"\n'), limit=50)
    out = await play(stream, [chunk("```python\n" + "x = 1\n" * 20), chunk(finish="stop")])
    assert stream.complete
    assert b'"stop"' in out + b"".join(await stream.finish(END))


async def test_usage_that_comes_early_holds_nothing_back() -> None:
    stream = held()
    first = event(usage={"total_tokens": 1})
    assert await stream.push(first) == [first]
    assert await stream.push(chunk("Hi")) == [chunk("Hi")]


async def test_events_behind_held_code_are_bounded_too() -> None:
    stream = held(limit=100)
    await stream.push(chunk("```python\n"))
    with pytest.raises(BrokenStream):
        for _ in range(1000):
            await stream.push(b": ping\n\n")


async def test_an_error_of_the_providers_ends_the_answer_once() -> None:
    stream = held()
    told = b'data: {"error": {"message": "overloaded"}}\n\n'
    out = await play(stream, [chunk("Hi"), told])
    assert stream.complete and stream.failed
    assert out == chunk("Hi") + told


async def test_a_shadow_passes_even_what_it_cannot_read() -> None:
    stream = held(Policy.parse("shadow = true\n"))
    events = [chunk("Hi"), b"data: {broken\n\n", chunk(BAD), DONE]
    assert await play(stream, events) == b"".join(events)


async def test_numbers_stay_as_they_were_where_only_the_verdict_is_added() -> None:
    policy = Policy.parse("")
    stream = held(policy)
    stream.unseen.clear()
    end = b'data: {"choices":[{"index":0,"delta":{"odd":1},"finish_reason":"stop"}],"x":1E400}\n\n'
    out = await play(stream, [chunk("Hi"), end, DONE])
    assert b'"x":1E400,"bluecode":' in out


PIECES = st.sampled_from(
    [
        chunk("Hello "),
        chunk(BAD),
        chunk(GOOD),
        chunk("```python\n"),
        chunk("danger()\n"),
        chunk("```\n"),
        chunk(finish="stop"),
        chunk(tools=LATE_TOOL),
        chunk(tools=[{"index": 0, "function": {"arguments": CALL[:20]}}]),
        event(choice(delta={"refusal": BAD})),
        event(choice(text=BAD)),
        event(choice(1, delta={"content": BAD})),
        event(choice(0, delta={"content": "```py\n"}), choice(1, delta={"content": "danger()\n"})),
        event(choice(message={"content": BAD, "tool_calls": LATE_TOOL}, finish="stop")),
        event(usage={"total_tokens": 3}),
        b": ping\n\n",
    ]
)


@settings(deadline=None, max_examples=300)
@given(st.lists(PIECES, max_size=12), st.integers(1, 2), st.booleans())
async def test_no_order_of_events_lets_a_fenced_danger_out(
    events: list[bytes], choices: int, early: bool
) -> None:
    stream = held(choices=choices)
    out = b""
    try:
        for raw in events:
            out += b"".join(await stream.push(raw))
        out += b"".join(await stream.finish(END, early=early))
    except BrokenStream:
        pass
    told = [json.loads(raw[6:]) for raw in out.split(b"\n\n") if raw.startswith(b"data: {")]
    said: dict[int, str] = {}
    for item in (item for payload in told for item in payload.get("choices", ())):
        delta = item.get("delta") or {}
        assert "text" not in item and "message" not in item and "refusal" not in delta
        assert "danger" not in json.dumps(delta.get("tool_calls") or [])
        said[item["index"]] = said.get(item["index"], "") + (delta.get("content") or "")
    for text in said.values():
        assert not any("danger" in line for line in inside_fences(text))


def inside_fences(text: str) -> Iterator[str]:
    """Lines that a reader of CommonMark shows as code."""
    inside = False
    for line in text.splitlines():
        if inside and line.strip() == "```":
            inside = False
        elif inside:
            yield line
        else:
            inside = line.startswith("```")
