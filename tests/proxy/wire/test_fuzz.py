"""Every wire against requests and events that nobody wrote: clear errors, no crash, no code out.

`FUZZ_EXAMPLES=50000 pytest tests/proxy/wire/test_fuzz.py` is the long run.
"""

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import WordChecker

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import responses_items
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Judging, Request, Wire
from bluecode.proxy.wires import WIRES

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))
FENCED = "```python\ndanger()\n```\n"
PATHS = {"gemini": "/models/m:streamGenerateContent", "ollama": "/api/chat"}
KEYS = {
    "openai_chat": "messages role content tool_calls function name arguments type text choices"
    " delta index finish_reason message refusal id custom input model stream n tools usage error",
    "openai_responses": "input type role content text call_id name arguments output item part delta"
    " output_index content_index item_id response sequence_number instructions id summary status",
    "anthropic_messages": "messages role content type text source data tool_use_id id name input"
    " index content_block delta partial_json stop_reason message usage system tools thinking",
    "completions": "prompt suffix choices text index delta message content finish_reason model n",
    "gemini": "contents parts text role functionCall functionResponse args name response candidates"
    " content index finishReason thought systemInstruction tools error",
    "ollama": "messages role content images tool_calls function name arguments message response"
    " thinking done done_reason model prompt suffix raw system tools context error",
}
KINDS = {
    "openai_responses": "message function_call custom_tool_call reasoning response.created"
    " response.output_item.added response.output_text.delta response.output_text.done"
    " response.content_part.added response.content_part.done response.output_item.done"
    " response.completed response.failed response.function_call_arguments.delta output_text",
    "anthropic_messages": "message_start content_block_start content_block_delta text_delta"
    " content_block_stop message_delta message_stop input_json_delta text tool_use thinking error",
}
WORDS = [
    "",
    "x",
    FENCED,
    "```python\ndoubt()\n```\n",
    "danger()\n",
    "```py",
    "```\n",
    '{"content": "import os\\ndanger()"}',
    "0",
]


def values(name: str) -> st.SearchStrategy[Any]:
    kinds = KINDS.get(name, "text function custom user assistant tool model").split()
    leaf = st.one_of(
        st.sampled_from([*WORDS, *kinds]),
        st.integers(-1, 2),
        st.none(),
        st.booleans(),
        st.floats(allow_nan=False),
    )
    keys = st.sampled_from(KEYS[name].split())
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(keys, inner, max_size=5)
        ),
        max_leaves=18,
    )


def objects(name: str) -> st.SearchStrategy[dict[str, Any]]:
    keys = st.sampled_from(KEYS[name].split())
    return st.dictionaries(keys, values(name), max_size=6)


def judging() -> Judging:
    policy = Policy.default()
    checker = WordChecker()

    async def check(snippets: Sequence[Snippet]) -> Verdict:
        return merge([policy.decide(await checker.inspect(item)) for item in snippets])

    notes = Notes(policy, b"key")
    return Judging(check=check, policy=policy, notes=notes, limit=100_000, prompt=merge([]))


def asked(wire: Wire, name: str) -> Request:
    bodies = {
        "gemini": {"contents": [{"parts": [{"text": "hi"}]}]},
        "openai_responses": {"input": "hi"},
        "completions": {"prompt": "hi"},
    }
    said = {"messages": [{"role": "user", "content": "hi"}]}
    return wire.parse(json.dumps(bodies.get(name, said)).encode(), PATHS.get(name, ""))


relaxed = settings(
    deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow]
)


@pytest.mark.parametrize("name", WIRES)
@relaxed
@given(data=st.data())
def test_a_request_is_read_or_refused(name: str, data: st.DataObject) -> None:
    wire = WIRES[name]
    body = json.dumps(data.draw(objects(name))).encode()
    try:
        request = wire.parse(body, PATHS.get(name, ""))
    except WireError as error:
        assert 400 <= error.status < 500
        return
    for at in range(len(request.conversation.messages)):
        try:
            wire.replace_message(request, at, "gone")
        except WireError as error:
            assert error.code == "bluecode_blocked"
    json.dumps(request.payload)


@pytest.mark.parametrize("name", WIRES)
@relaxed
@given(data=st.data())
async def test_events_pass_or_break_and_never_carry_fenced_danger(
    name: str, data: st.DataObject
) -> None:
    wire = WIRES[name]
    machine = wire.stream(asked(wire, name), judging())
    out: list[bytes] = []
    try:
        for payload in data.draw(st.lists(objects(name), max_size=5)):
            if machine.over or machine.done:
                break
            out += await machine.push(b"data: " + json.dumps(payload).encode() + b"\n\n")
        out += await machine.finish(wire.done, early=data.draw(st.booleans()))
    except BrokenStream:
        pass
    for event in b"".join(out).split(b"\n\n"):
        if event.startswith(b"data: {"):
            assert FENCED not in told_by(name, json.loads(event[6:]))


@pytest.mark.parametrize("name", WIRES)
@relaxed
@given(data=st.data())
async def test_an_answer_passes_or_breaks_and_never_carries_fenced_danger(
    name: str, data: st.DataObject
) -> None:
    wire = WIRES[name]
    body = json.dumps(data.draw(objects(name))).encode()
    try:
        answer = wire.whole(asked(wire, name), body, judging())
        verdict = await answer.judge()
        told = answer.with_verdict({}) if verdict.blocks or verdict.warns else body
    except BrokenStream:
        return
    assert FENCED not in told_by(name, json.loads(told))


def told_by(name: str, payload: Any) -> str:
    """What a client of the protocol takes for the answer's text."""
    texts: list[Any] = []
    match name:
        case "openai_chat" | "completions":
            for choice in payload.get("choices") or ():
                texts.append(choice.get("text"))
                for key in ("delta", "message"):
                    body = choice.get(key)
                    texts.append(body.get("content") if isinstance(body, dict) else body)
        case "openai_responses":
            if payload.get("type") == "response.output_text.delta":
                texts.append(payload.get("delta"))
            output = payload.get("output") if "type" not in payload else None
            for item in output if isinstance(output, list) else ():
                if isinstance(item, dict) and item.get("type") == "message":
                    texts += [text for _, text in responses_items.texts_of(item)]
        case "anthropic_messages":
            delta = payload.get("delta")
            if payload.get("type") == "content_block_delta" and isinstance(delta, dict):
                texts.append(delta.get("text"))
            said = payload.get("content")
            blocks = said if isinstance(said, list) and "type" not in payload else ()
            texts += [
                b.get("text") for b in blocks if isinstance(b, dict) and b.get("type") == "text"
            ]
        case "gemini":
            for item in payload.get("candidates") or ():
                parts = (item.get("content") or {}).get("parts") or ()
                texts += [part.get("text") for part in parts if not part.get("thought")]
        case "ollama":
            said = payload.get("message")
            texts += [payload.get("response"), said.get("content") if said else None]
    return "\n".join(text for text in texts if isinstance(text, str))
