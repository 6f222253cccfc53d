"""Blocked code that the model is asked once to repair: what the client gets, and what is sent."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import anyio
import openai
import pytest
from scripted import ScriptedReply, ScriptedUpstream, WordChecker, answer, finding, streamed
from serving import chat, get, guarded, post, serving

from bluecode.defenses.checkers.python import PythonChecker
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Category, Finding
from bluecode.proxy.notes import Notes
from bluecode.proxy.scripted import scripted_model
from bluecode.proxy.upstream import Call, UpstreamError

REPAIR = replace(Policy.default(), repair=True)
UNSAFE = "Here:\n```python\ndanger()\n```\nMore.\n"
SAFE = "Sure:\n```python\nx = 1\n```\n"
NOTE = "**BlueCode withheld code and had the model repair it; its new answer follows.**"
ASKED = "Quick: look up a user by name in our SQLite database."


class Turns:
    """An upstream that answers each call with the next of its answers."""

    def __init__(self, *answers: ScriptedUpstream) -> None:
        self._answers = list(answers)
        self.calls: list[Call] = []
        self.state = "untried"

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[ScriptedReply]:
        self.calls.append(call)
        async with self._answers[len(self.calls) - 1].send(call) as reply:
            yield reply

    async def close(self) -> None:
        """Nothing is held."""


def says(text: str) -> ScriptedUpstream:
    return ScriptedUpstream([answer({"content": text})])


def streams(text: str) -> ScriptedUpstream:
    return ScriptedUpstream(streamed([text]), kind="text/event-stream")


async def ask(
    upstream: Turns, policy: Policy = REPAIR, /, **given: Any
) -> tuple[str, dict[str, Any], dict[str, str]]:
    """What a client of chat completions is told: text, `bluecode` object, headers."""
    async with guarded(upstream, policy=policy, **given.pop("guard", {})) as root:
        status, headers, body = await post(f"{root}/v1/chat/completions", chat(**given))
    assert status == 200
    if not given.get("stream"):
        whole = json.loads(body)
        return whole["choices"][0]["message"]["content"], whole.get("bluecode", {}), headers
    events = [json.loads(line[6:]) for line in body.decode().split("\n") if line[6:7] == "{"]
    deltas = [item["choices"][0]["delta"].get("content") for item in events if item["choices"]]
    told = [item["bluecode"] for item in events if "bluecode" in item]
    return "".join(filter(None, deltas)), told[0] if told else {}, headers


# --- The real SDKs and the scripted model -------------------------------------------------------


async def by_chat(root: str, *, stream: bool) -> str:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{root}/v1", max_retries=0) as client:
        said: list[Any] = [{"role": "user", "content": ASKED}]
        if not stream:
            whole = await client.chat.completions.create(model="demo", messages=said)
            assert whole.choices[0].finish_reason == "stop"
            return whole.choices[0].message.content or ""
        chunks = await client.chat.completions.create(model="demo", messages=said, stream=True)
        return "".join([item.choices[0].delta.content or "" async for item in chunks])


async def by_responses(root: str, *, stream: bool) -> str:
    async with openai.AsyncOpenAI(api_key="k", base_url=f"{root}/v1", max_retries=0) as client:
        if not stream:
            return (await client.responses.create(model="demo", input=ASKED)).output_text
        async with client.responses.stream(model="demo", input=ASKED) as events:
            return (await events.get_final_response()).output_text


async def by_messages(root: str, *, stream: bool) -> str:
    async with anthropic.AsyncAnthropic(api_key="k", base_url=root, max_retries=0) as client:
        said: list[Any] = [{"role": "user", "content": ASKED}]
        given: Any = {"model": "demo", "max_tokens": 1_000, "messages": said}
        if not stream:
            whole = await client.messages.create(**given)
        else:
            async with client.messages.stream(**given) as events:
                whole = await events.get_final_message()
        assert whole.stop_reason == "end_turn"
        return "".join(part.text for part in whole.content if part.type == "text")


@pytest.mark.parametrize("by", [by_chat, by_responses, by_messages])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("repair", [True, False])
async def test_the_safe_twin_comes_behind_a_note_where_repair_is_asked_for(
    by: Any, stream: bool, repair: bool
) -> None:
    policy = replace(Policy.default(), repair=repair)
    async with serving(scripted_model()) as model:
        given: Any = {"policy": policy, "checkers": [PythonChecker()]}
        async with guarded(None, upstream=f"{model}/v1", **given) as root:
            text = await by(root, stream=stream)

    assert "'{name}'" not in text
    assert (NOTE in text) is repair
    assert ("WHERE name = ?" in text.partition(NOTE)[2]) is repair
    assert ("BlueCode withheld code from this answer" in text) is not repair


async def test_the_setting_asks_for_repair_too() -> None:
    upstream = Turns(says(UNSAFE), says(SAFE))

    text, _, _ = await ask(upstream, Policy.default(), guard={"repair": True})

    assert SAFE in text and len(upstream.calls) == 2


# --- What is sent, and what comes of it ---------------------------------------------------------


@pytest.mark.parametrize("stream", [False, True])
async def test_a_clean_answer_is_handed_on_and_told(stream: bool) -> None:
    upstream = Turns(streams(UNSAFE) if stream else says(UNSAFE), says(SAFE))

    text, told, _ = await ask(upstream, stream=stream)

    assert "danger" not in text and "More." not in text
    assert text.partition(NOTE)[2].endswith(SAFE)
    assert (told["repair"], told["action"], told["findings"]) == ("repaired", "warn", [])


async def test_what_the_client_asked_is_sent_again_unchanged_with_the_finding_behind_it() -> None:
    upstream = Turns(streams(UNSAFE), says(SAFE))
    given = {"temperature": 0.5, "stream_options": {"include_usage": True}}

    await ask(upstream, stream=True, **given)

    first, second = (json.loads(call.body) for call in upstream.calls)
    begun, question = second["messages"][:-1], second["messages"][-1]
    assert begun[: len(first["messages"])] == first["messages"]
    assert begun[-1]["role"] == "assistant" and "danger()" in begun[-1]["content"]
    assert question["role"] == "user" and "CWE-78" in question["content"]
    assert "danger" not in question["content"]
    assert second["stream"] is False and "stream_options" not in second
    assert second["temperature"] == 0.5
    assert upstream.calls[0].headers == upstream.calls[1].headers


class Odd(ScriptedUpstream):
    """Takes its time before it says anything."""

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[ScriptedReply]:
        await anyio.sleep(5)
        async with super().send(call) as reply:
            yield reply


STAYS = {
    "unsafe": says(UNSAFE),
    "no_code": says("I would rather not."),
    "failed": ScriptedUpstream(refuses=UpstreamError(502, "gone", kind="connect")),
    "late": Odd([answer({"content": SAFE})]),
}
FAILS = {
    "a status of failure": ScriptedUpstream([b"{}"], status=429),
    "no JSON": ScriptedUpstream([b"oops"]),
    "another form": ScriptedUpstream([b"[1]"]),
    "a tool call": ScriptedUpstream(
        [answer({"content": SAFE, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]})]
    ),
}


@pytest.mark.parametrize("outcome", list(STAYS))
@pytest.mark.parametrize("stream", [False, True])
async def test_otherwise_it_stays_blocked_and_nobody_is_asked_again(
    outcome: str, stream: bool
) -> None:
    upstream = Turns(streams(UNSAFE) if stream else says(UNSAFE), STAYS[outcome])
    policy = replace(REPAIR, repair_timeout=0.2 if outcome == "late" else 5.0)

    text, told, _ = await ask(upstream, policy, stream=stream)

    assert text.startswith("Here:\n") and "**BlueCode withheld code from this answer.**" in text
    assert "danger" not in text
    assert (told["repair"], told["action"]) == (outcome, "block")
    assert len(upstream.calls) == 2


@pytest.mark.parametrize("second", FAILS.values(), ids=FAILS.keys())
async def test_an_answer_of_another_kind_repairs_nothing(second: ScriptedUpstream) -> None:
    text, told, headers = await ask(Turns(says(UNSAFE), second))

    assert "withheld code from this answer" in text
    assert told["repair"] in ("failed", "no_code")
    assert headers["x-bluecode-verdict"] == "block"


async def test_a_doubt_about_the_new_answer_is_told_behind_it() -> None:
    text, told, _ = await ask(Turns(says(UNSAFE), says("```python\ndoubt()\n```")))

    assert text.index(NOTE) < text.index("doubt()") < text.index("BlueCode asks you to look")
    assert told["action"] == "warn"


async def test_a_second_unsafe_block_of_the_same_stream_is_not_repaired() -> None:
    upstream = Turns(streams(UNSAFE + UNSAFE), says(SAFE))

    text, _, _ = await ask(upstream, stream=True)

    assert text.count("danger") == 0 and len(upstream.calls) == 2


class Malice(WordChecker):
    async def inspect(self, subject: Snippet) -> Sequence[Finding]:
        return [finding("test.bad", Category.MALICIOUS_CODE), *await super().inspect(subject)]


CALL = {"id": "c", "type": "function", "function": {"name": "run", "arguments": ""}}
NOT_TRIED: dict[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "malicious code": ({"checkers": [Malice()]}, {}, None),
    "a client that wants JSON": ({}, {"response_format": {"type": "json_object"}}, "unsupported"),
    "more than one choice": ({}, {"n": 2}, "unsupported"),
}


@pytest.mark.parametrize("case", NOT_TRIED.values(), ids=NOT_TRIED.keys())
async def test_nothing_else_is_repaired(
    case: tuple[dict[str, Any], dict[str, Any], str | None],
) -> None:
    guard, given, outcome = case
    upstream = Turns(says(UNSAFE))

    _, told, headers = await ask(upstream, guard=guard, **given)

    assert headers["x-bluecode-verdict"] == "block"
    assert len(upstream.calls) == 1 and told.get("repair") == outcome


async def test_a_tool_call_is_not_repaired_and_this_is_said() -> None:
    function = {"name": "write", "arguments": json.dumps({"path": "a.py", "content": "danger()"})}
    said = {"content": None, "tool_calls": [{**CALL, "function": function}]}
    upstream = Turns(ScriptedUpstream([answer(said)]))

    _, told, _ = await ask(upstream)

    assert told["repair"] == "unsupported" and len(upstream.calls) == 1


async def test_a_protocol_that_is_not_repaired_says_so() -> None:
    raw = json.dumps({"candidates": [{"content": {"parts": [{"text": UNSAFE}]}}]}).encode()
    upstream = Turns(ScriptedUpstream([raw]))
    body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    async with guarded(upstream, policy=REPAIR) as root:
        _, _, told = await post(f"{root}/v1beta/models/m:generateContent", body)

    assert json.loads(told)["bluecode"]["repair"] == "unsupported"


async def test_a_shadow_repairs_nothing() -> None:
    upstream = Turns(says(UNSAFE))

    text, _, _ = await ask(upstream, replace(REPAIR, shadow=True))

    assert text == UNSAFE and len(upstream.calls) == 1


async def test_metrics_and_the_audit_know_how_it_ended(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    upstream = Turns(says(UNSAFE), says(SAFE), says(UNSAFE), says(UNSAFE), says(SAFE))
    async with guarded(upstream, policy=REPAIR, audit=str(path)) as root:
        for _ in range(3):
            await post(f"{root}/v1/chat/completions", chat())
        _, _, told = await get(f"{root}/metrics")

    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["repair"] for line in lines] == ["repaired", "unsafe", None]
    assert [line["decision"] for line in lines] == ["warn", "block", "allow"]
    assert 'bluecode_repairs_total{outcome="repaired"} 1.0' in told.decode()
    assert 'bluecode_repairs_total{outcome="unsafe"} 1.0' in told.decode()
    assert "danger()" not in path.read_text()


def test_the_note_is_known_again_and_the_new_answer_stays() -> None:
    notes = Notes(REPAIR)
    verdict = REPAIR.decide([finding("test.danger", Category.VULNERABLE_CODE, cwe=78)])

    assert notes.without(f"{notes.repaired(verdict)}\n\n{SAFE}").strip() == SAFE.strip()
