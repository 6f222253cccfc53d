"""Prose flows, code waits, and what is blocked is replaced by a note in a well-formed stream."""

import json
from collections.abc import Sequence
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
SAFE = "Here you are:\n```python\nx = 1\n```\nThat is all.\n"
UNSAFE = "Here you are:\n```python\ndanger()\n```\nThat is all.\n"
DOUBT = "Here you are:\n```python\ndoubt()\n```\nThat is all.\n"


def held(policy: Policy = POLICY, *, limit: int = 100_000, choices: int = 1) -> HeldStream:
    checker = WordChecker()

    async def check(snippets: Sequence[Snippet]) -> Verdict:
        return merge([policy.decide(await checker.inspect(item)) for item in snippets])

    judging = Judging(
        check=check, policy=policy, notes=Notes(policy, b"key"), limit=limit, prompt=merge([])
    )
    return HeldStream(judging, ChatShape(), choices=choices)


async def play(stream: HeldStream, events: Sequence[bytes]) -> list[list[bytes]]:
    return [await stream.push(event) for event in events]


def flat(steps: Sequence[Sequence[bytes]]) -> bytes:
    return b"".join(event for step in steps for event in step)


def tool(index: int, arguments: str = "", name: str | None = None) -> list[dict[str, Any]]:
    function = {"arguments": arguments} | ({"name": name} if name else {})
    return [{"index": index, "function": function} | ({"id": "t1"} if name else {})]


async def test_prose_leaves_the_moment_it_arrives() -> None:
    steps = await play(held(), streamed(["Hello", " there", ".\nBye"]))
    assert [len(step) for step in steps[:3]] == [1, 1, 1]


async def test_an_answer_that_passes_leaves_byte_for_byte() -> None:
    events = streamed(["Here", " you are:\n``", "`py\nx = 1\n`", "``\nbye"], usage=True)
    assert flat(await play(held(), events)) == b"".join(events)


async def test_code_waits_for_its_end() -> None:
    steps = await play(held(), streamed(["Hi\n", "```python\n", "x = 1\n", "```\n", "Bye"]))
    assert [len(step) for step in steps[:5]] == [1, 0, 0, 3, 1]


async def test_blocked_code_is_replaced_and_the_stream_ends_well() -> None:
    stream = held()
    out = flat(await play(stream, streamed([UNSAFE], usage=True)))
    text = text_in(out)
    assert text.startswith("Here you are:\n")
    assert "BlueCode withheld" in text
    assert "danger()" not in out.decode()
    assert "That is all" not in text
    assert out.count(b'"finish_reason": "stop"') + out.count(b'"finish_reason":"stop"') == 1
    assert b'"total_tokens":7' in out.replace(b" ", b"")
    assert out.endswith(b"data: [DONE]\n\n")


async def test_the_verdict_stands_on_the_last_chunk() -> None:
    out = flat(await play(held(), streamed([UNSAFE], usage=True)))
    last = json.loads(out.split(b"\n\n")[-3][6:])
    assert last["bluecode"]["action"] == "block"
    assert last["bluecode"]["findings"][0]["cwe"] == 78


async def test_a_doubt_is_delivered_and_a_note_follows_the_code() -> None:
    text = text_in(flat(await play(held(), streamed(["Hi\n```python\ndoubt()\n```\n", "bye"]))))
    code, note, rest = text.index("doubt()"), text.index("BlueCode asks"), text.index("bye")
    assert code < note < rest


async def test_shadow_mode_changes_not_one_byte() -> None:
    stream = held(Policy(shadow=True))
    events = streamed([UNSAFE, DOUBT])
    assert flat(await play(stream, events)) == b"".join(events)
    assert stream.verdict.action.name == "BLOCK"


async def test_shadow_mode_passes_what_broke_off_as_it_came() -> None:
    stream = held(Policy(shadow=True))
    events = [chunk("Hi"), chunk(tools=tool(0, '{"content": "x', name="write"))]
    out = flat([*await play(stream, events), await stream.finish(b"", early=True)])
    assert out == b"".join(events)


async def test_shadow_mode_passes_twice_what_came_twice_and_cannot_be_read() -> None:
    stream = held(Policy(shadow=True))
    events = [chunk("Hi\n```python\nx"), b"data: {\n\n", b"data: {\n\n", chunk("more")]
    assert flat(await play(stream, events)) == b"".join(events)


async def test_behind_the_end_there_is_nothing() -> None:
    events = streamed(["Hi"], usage=True)
    assert flat(await play(held(), [*events, chunk("more"), *events])) == b"".join(events)


async def test_a_tool_call_leaves_whole_or_not_at_all() -> None:
    events = [
        chunk("On it."),
        chunk(tools=tool(0, name="write")),
        chunk(tools=tool(0, '{"path": "a.py", "content": "x ')),
        chunk(tools=tool(0, '= 1"}')),
        chunk(finish="tool_calls"),
        b"data: [DONE]\n\n",
    ]
    steps = await play(held(), events)
    assert [len(step) for step in steps] == [1, 0, 0, 0, 3, 2]
    assert flat(steps) == b"".join(events)


async def test_nothing_of_a_blocked_tool_call_leaves() -> None:
    events = [
        chunk("On it."),
        chunk(tools=tool(0, name="write")),
        chunk(tools=tool(0, '{"path": "a.py", "content": "danger()"}')),
        chunk(finish="tool_calls"),
        b"data: [DONE]\n\n",
    ]
    out = flat(await play(held(), events))
    assert b"tool_calls" not in out
    assert text_in(out).startswith("On it.\n\n**BlueCode withheld")


async def test_a_tool_call_cut_off_is_blocked_not_released() -> None:
    stream = held()
    steps = await play(stream, [chunk(tools=tool(0, '{"content": "x', name="write"))])
    out = flat([*steps, await stream.finish(END)])
    assert b"tool_calls" not in out
    assert stream.verdict.unchecked == ("arguments",)


async def test_custom_tool_input_is_checked_as_it_stands() -> None:
    piece = [
        {"index": 0, "id": "t", "type": "custom", "custom": {"name": "p", "input": "danger()"}}
    ]
    out = flat(await play(held(), [chunk(tools=piece), chunk(finish="tool_calls")]))
    assert b"danger()" not in out


async def test_an_unclosed_block_is_checked_at_the_end() -> None:
    out = flat(await play(held(), streamed(["```python\ndanger()"])))
    assert b"danger()" not in out


async def test_held_code_over_the_limit_follows_the_policy() -> None:
    blocked = flat(await play(held(limit=50), streamed(["```python\n" + "x = 1\n" * 20, "```"])))
    assert "BlueCode withheld" in text_in(blocked)
    lenient = held(Policy.parse('[unchecked]\noversized = "allow"\n'), limit=50)
    passed = flat(await play(lenient, streamed(["```python\n" + "x = 1\n" * 20, "```"])))
    assert "x = 1" in text_in(passed)
    assert lenient.verdict.unchecked == ("oversized",)


async def test_choices_are_judged_apart() -> None:
    events = [
        chunk("```python\ndanger()\n```\n", index=0),
        chunk("fine", index=1),
        chunk(finish="stop", index=0),
        chunk(finish="stop", index=1),
        b"data: [DONE]\n\n",
    ]
    out = flat(await play(held(choices=2), events))
    assert b"danger()" not in out
    assert b"fine" in out


async def test_comments_and_odd_events_keep_their_place() -> None:
    events = [b": ping\n\n", chunk("Hi"), b'event: x\ndata: {"a": 1}\n\n', *streamed([])]
    assert flat(await play(held(), events)) == b"".join(events)


@pytest.mark.parametrize("data", [b"data: {broken\n\n", b"data: [1]\n\n", b"data: \xff\n\n"])
async def test_data_that_no_client_could_read_is_an_error(data: bytes) -> None:
    with pytest.raises(BrokenStream):
        await held().push(data)


@settings(deadline=None, max_examples=150)
@given(st.sampled_from([SAFE, UNSAFE, DOUBT, "danger = 1\n", SAFE + UNSAFE]), st.data())
async def test_chunk_boundaries_never_change_the_outcome(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=10).map(sorted))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole, cut = held(), held()
    once = text_in(flat(await play(whole, streamed([text]))))
    many = text_in(flat(await play(cut, streamed(pieces))))
    assert once == many
    assert whole.verdict == cut.verdict
