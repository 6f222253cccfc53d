"""Streams as providers write them, cut anywhere, with events lost, repeated, swapped and unknown.

What passes is the provider's bytes, what is blocked never leaves, and nothing ends in a crash.
`FUZZ_EXAMPLES=50000 pytest tests/proxy/wire/test_fuzz_streams.py` is the long run.
"""

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import anthropic_events
import completion_events
import gemini_events
import pytest
import responses_events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import WordChecker, chunk, streamed

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.framing import framing_of
from bluecode.proxy.notes import Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire.wire import AnswerStream, Judging
from bluecode.proxy.wires import WIRES

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
STRICT = Policy.parse('[unchecked]\noversized = "block"\narguments = "block"\n')
SHADOW = Policy.parse("shadow = true\n")
SAFE = ["Some words.\n", "a `b` c\n", "```python\nx = 1\n```\n", "~~~\ny\n~~~\n", "é\u2028ü\n"]
BAD = "```python\nimport os\ndanger()\n```\n"
DOUBT = "```python\ndoubt()\n```\n"
WITHHELD = re.compile(r"```python\n[^`]*danger\(\)")
UNKNOWN = [
    b": a comment\n\n",
    b'event: news\ndata: {"type": "news", "said": "x", "choices": [], "candidates": []}\n\n',
    b"data: {}\n\n",
    b'data: {"type": "ping"}\n\n',
    b"retry: 3\n\n",
    b"data: [1]\n\n",
    b"data: {\n\n",
    b"event: empty\n\n",
]
ASKED: dict[str, tuple[Any, str]] = {
    "openai_chat": ({"messages": [{"role": "user", "content": "hi"}], "stream": True}, ""),
    "openai_responses": ({"input": "hi", "stream": True}, ""),
    "anthropic_messages": ({"messages": [{"role": "user", "content": "hi"}], "stream": True}, ""),
    "completions": ({"prompt": "hi", "stream": True}, "/completions"),
    "gemini": ({"contents": [{"parts": [{"text": "hi"}]}]}, "/models/m:streamGenerateContent"),
    "ollama": ({"messages": [{"role": "user", "content": "hi"}]}, "/api/chat"),
}
Written = Callable[[Sequence[str], Any], list[bytes]]
"""From pieces of text, and what a tool is given or None, to a provider's events."""


def chat(pieces: Sequence[str], given: Any) -> list[bytes]:
    if given is None:
        return streamed(pieces, usage=True)
    told = json.dumps(given)
    tools = [
        chunk(tools=[{"index": 0, "id": "t", "function": {"name": "write", "arguments": ""}}]),
        *(
            chunk(tools=[{"index": 0, "function": {"arguments": told[at : at + 9]}}])
            for at in range(0, len(told), 9)
        ),
    ]
    said = [chunk(piece) for piece in pieces]
    return [*said, *tools, chunk(finish="tool_calls"), b"data: [DONE]\n\n"]


def responses(pieces: Sequence[str], given: Any) -> list[bytes]:
    told = responses_events.text(0, *pieces)
    if given is None:
        return responses_events.stream(told)
    return responses_events.stream(
        told, responses_events.tool(responses_events.called(given, 1), 1)
    )


def messages(pieces: Sequence[str], given: Any) -> list[bytes]:
    told = anthropic_events.text(0, *pieces)
    if given is None:
        return anthropic_events.message(told)
    return anthropic_events.message(told, anthropic_events.tool(1, given), reason="tool_use")


def completions(pieces: Sequence[str], given: Any) -> list[bytes]:
    return completion_events.events("".join(pieces))


def gemini(pieces: Sequence[str], given: Any) -> list[bytes]:
    said = [gemini_events.said(piece) for piece in pieces]
    calls = [] if given is None else [gemini_events.call(given)]
    return gemini_events.streamed(*said, *calls, gemini_events.said("", finish="STOP"))


def ollama(pieces: Sequence[str], given: Any) -> list[bytes]:
    def line(done: bool = False, **message: Any) -> bytes:
        told = {"model": "m", "message": {"role": "assistant", "content": "", **message}}
        end = {"done_reason": "stop"} if done else {}
        return json.dumps({**told, "done": done, **end}).encode() + b"\n"

    calls = [] if given is None else [{"function": {"name": "write", "arguments": given}}]
    said = [line(content=piece) for piece in pieces]
    return [*said, *(line(tool_calls=[call]) for call in calls), line(done=True)]


WRITTEN: dict[str, Written] = {
    "openai_chat": chat,
    "openai_responses": responses,
    "anthropic_messages": messages,
    "completions": completions,
    "gemini": gemini,
    "ollama": ollama,
}


@st.composite
def pieces(draw: st.DrawFn, *texts: str) -> list[str]:
    """A text cut anywhere."""
    whole = "".join(draw(st.lists(st.sampled_from([*SAFE, *texts]), min_size=1, max_size=4)))
    cuts = sorted(draw(st.lists(st.integers(1, max(1, len(whole) - 1)), max_size=6, unique=True)))
    return [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]


def tools(*codes: str) -> st.SearchStrategy[Any]:
    made = [{"path": "a.py", "content": f"import os\n{code}\n"} for code in codes]
    return st.sampled_from([None, *made])


def changed(draw: st.DrawFn, name: str, events: list[bytes]) -> list[bytes]:
    """Events lost, repeated, swapped, spoiled, and such as nobody knows."""
    events = list(events)
    kinds = st.sampled_from(["lost", "twice", "swapped", "unknown", "shortened"])
    for kind in draw(st.lists(kinds, max_size=4)):
        at = draw(st.integers(0, len(events) - 1)) if events else 0
        if kind == "unknown":
            events.insert(at, draw(st.sampled_from(unknown(name))))
        elif not events:
            break
        elif kind == "lost":
            del events[at]
        elif kind == "twice":
            events.insert(draw(st.integers(0, len(events))), events[at])
        elif kind == "swapped":
            other = draw(st.integers(0, len(events) - 1))
            events[at], events[other] = events[other], events[at]
        else:
            events[at] = events[at][: draw(st.integers(0, len(events[at])))]
    return events


def unknown(name: str) -> list[bytes]:
    if name != "ollama":
        return UNKNOWN
    return [b'{"news": 1}\n', b"{}\n", b"[1]\n", b"{\n", b'{"status": "loading"}\n']


def cut(draw: st.DrawFn, sent: bytes) -> list[bytes]:
    """The same bytes as a network may bring them."""
    cuts = sorted(draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    return [sent[a:b] for a, b in zip([0, *cuts], [*cuts, len(sent)], strict=True)]


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of a stream."""

    out: bytes
    whole: bool
    """Did it come to its end, with nothing that could not be read?"""
    stream: AnswerStream


async def passed(name: str, policy: Policy, chunks: Sequence[bytes]) -> Passed:
    """Through cutting, holding and judging, as `Relay` does it."""
    wire = WIRES[name]
    body, path = ASKED[name]
    request = wire.parse(json.dumps(body).encode(), path)
    stream = wire.stream(request, judging(policy))
    splitter = framing_of(wire).splitter(100_000)
    events: list[bytes] = []
    try:
        for data in chunks:
            for event in splitter.feed(data):
                events += await stream.push(event)
            if stream.done or stream.over:
                break
        else:
            if (rest := splitter.rest()).strip():
                events += await stream.push(rest if policy.shadow else rest.rstrip() + b"\n\n")
        whole = stream.complete
        events += await stream.finish(b"", early=not whole)
    except BrokenStream:
        whole = False
        events += await stream.finish(b"", early=True)
    return Passed(framing_of(wire).sent(events), whole, stream)


def judging(policy: Policy) -> Judging:
    checker = WordChecker()

    async def check(snippets: Sequence[Snippet]) -> Verdict:
        return merge([policy.decide(await checker.inspect(item)) for item in snippets])

    notes = Notes(policy, b"key")
    return Judging(check=check, policy=policy, notes=notes, limit=100_000, prompt=merge([]))


relaxed = settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("name", WIRES)
@relaxed
@given(data=st.data())
async def test_what_passes_keeps_every_byte_however_it_is_cut(
    name: str, data: st.DataObject
) -> None:
    sent = b"".join(WRITTEN[name](data.draw(pieces()), data.draw(tools("fine()"))))
    through = await passed(name, STRICT, cut(data.draw, sent))
    assert through.whole and through.stream.verdict.passes
    assert through.out == sent


@pytest.mark.parametrize("name", WIRES)
@relaxed
@given(data=st.data())
async def test_whatever_becomes_of_a_stream_what_is_blocked_never_leaves(
    name: str, data: st.DataObject
) -> None:
    written = WRITTEN[name](
        data.draw(pieces(BAD, BAD, DOUBT)), data.draw(tools("fine()", "doubt()", "danger()"))
    )
    sent = b"".join(changed(data.draw, name, written))
    short = sent[: data.draw(st.integers(0, len(sent)))] if data.draw(st.booleans()) else sent
    through = await passed(name, STRICT, cut(data.draw, short))
    said, given = told(name, through.out)
    assert not [text for text in said if WITHHELD.search(text)]
    assert not [text for text in given if "danger()" in text]
    clean = through.whole and through.stream.verdict.passes and not through.stream.unseen
    if clean:
        assert short.startswith(through.out.rstrip()) or short == through.out


@pytest.mark.parametrize("name", WIRES)
@relaxed
@given(data=st.data())
async def test_a_shadow_changes_no_byte_of_any_stream(name: str, data: st.DataObject) -> None:
    written = WRITTEN[name](data.draw(pieces(BAD)), data.draw(tools("fine()", "danger()")))
    sent = b"".join(changed(data.draw, name, written))
    through = await passed(name, SHADOW, cut(data.draw, sent))
    assert sent.startswith(through.out.rstrip())
    assert through.stream.done or through.out.rstrip() == sent.rstrip()


def told(name: str, out: bytes) -> tuple[list[str], list[str]]:
    """What a client puts together: the texts, and what tools are given."""
    said: dict[Any, str] = {}
    given: dict[Any, str] = {}
    lines = out.splitlines() if name == "ollama" else re.split(rb"\r?\n\r?\n", out)
    for line in lines:
        parts = [part[5:] for part in re.split(rb"\r?\n", line) if part.startswith(b"data:")]
        data = line if name == "ollama" else b"\n".join(parts).strip()
        if data.startswith(b"{"):
            payload = json.loads(data)
            for is_call, place, text in READ[name](payload):
                kept = given if is_call else said
                kept[place] = kept.get(place, "") + (text or "")
    return list(said.values()), list(given.values())


Told = Iterator[tuple[bool, Any, str | None]]
"""Is it for a tool, the place, the text that is added there."""


def read_chat(payload: dict[str, Any]) -> Told:
    for choice in payload.get("choices") or ():
        delta = choice.get("delta") or {}
        if isinstance(delta, dict):
            yield False, choice.get("index"), delta.get("content")
            for call in delta.get("tool_calls") or ():
                yield True, (choice.get("index"), call["index"]), call["function"]["arguments"]
        yield False, choice.get("index"), choice.get("text")


def read_responses(payload: dict[str, Any]) -> Told:
    kind, place = payload.get("type", ""), (payload.get("output_index"), payload.get("type"))
    if kind == "response.output_text.delta":
        yield False, place, payload["delta"]
    if kind == "response.output_text.done":
        yield False, ("done", place), payload["text"]
    if kind == "response.function_call_arguments.delta":
        yield True, place, payload["delta"]
    if kind == "response.function_call_arguments.done":
        yield True, ("done", place), payload["arguments"]
    items = (
        [payload["item"]] if "item" in payload else payload.get("response", {}).get("output", ())
    )
    for at, item in enumerate(items):
        if item["type"] == "message":
            yield False, ("item", kind, at, place), "".join(p["text"] for p in item["content"])
        elif "arguments" in item:
            yield True, ("item", kind, at, place), item["arguments"]


def read_messages(payload: dict[str, Any]) -> Told:
    if payload.get("type") == "content_block_delta":
        delta = payload["delta"]
        yield False, payload["index"], delta.get("text")
        yield True, payload["index"], delta.get("partial_json")


def read_gemini(payload: dict[str, Any]) -> Told:
    for candidate in payload.get("candidates") or ():
        for part in (candidate.get("content") or {}).get("parts") or ():
            yield False, candidate.get("index"), part.get("text")
            if "functionCall" in part:
                yield True, "call", json.dumps(part["functionCall"])


def read_ollama(payload: dict[str, Any]) -> Told:
    message = payload.get("message") or {}
    yield False, 0, message.get("content")
    if message.get("tool_calls"):
        yield True, 0, json.dumps(message["tool_calls"])


READ: dict[str, Callable[[dict[str, Any]], Told]] = {
    "openai_chat": read_chat,
    "openai_responses": read_responses,
    "anthropic_messages": read_messages,
    "completions": read_chat,
    "gemini": read_gemini,
    "ollama": read_ollama,
}
