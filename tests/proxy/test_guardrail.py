"""LiteLLM's generic guardrail API, by its contract."""

import json
from typing import Any

import pytest
from scripted import ScriptedUpstream, WordDetector
from serving import get, guarded, post

from bluecode.defenses.policy import Policy
from bluecode.proxy.config import Secret
from bluecode.proxy.guardrail import PATH
from bluecode.proxy.notes import PLACEHOLDER

CODE = "Here:\n\n```python\ndanger()\n```\nDone."
SAFE = "Here:\n\n```python\nfine()\n```\nDone."
CALL = {"id": "c1", "type": "function", "function": {"name": "write", "arguments": ""}}


def call(content: str) -> dict[str, Any]:
    arguments = json.dumps({"path": "a.py", "content": content})
    return {**CALL, "function": {"name": "write", "arguments": arguments}}


def asked(*rows: tuple[str, str], **extra: Any) -> dict[str, Any]:
    """A request as LiteLLM tells it."""
    messages = [{"role": role, "content": text} for role, text in rows]
    texts = [text for _, text in rows]
    return {
        "input_type": "request",
        "texts": texts,
        "structured_messages": messages,
        "request_data": {},
        **extra,
    }


def answered(*texts: str, **extra: Any) -> dict[str, Any]:
    return {"input_type": "response", "texts": list(texts), "request_data": {}, **extra}


async def judge(
    body: Any, replace: str | None = None, *, policy: Policy | None = None, **headers: str
) -> dict[str, Any]:
    headers |= {} if replace is None else {"X-BlueCode-Replace": replace}
    async with guarded(ScriptedUpstream(), policy=policy) as root:
        status, _, told = await post(f"{root}{PATH}", body, headers)
    assert status == 200, told
    found: dict[str, Any] = json.loads(told)
    return found


@pytest.mark.parametrize(
    ("body", "action"),
    [
        (asked(("user", "hello")), "NONE"),
        (asked(("user", "a badword")), "BLOCKED"),
        (asked(("system", "s"), ("user", "x"), ("tool", "a badword")), "BLOCKED"),
        (asked(("user", "x"), texts=["x", "a badword"]), "BLOCKED"),
        ({"input_type": "request", "texts": ["a badword"], "request_data": {}}, "BLOCKED"),
        (asked(("user", "x"), tools=[{"type": "function", "description": "badword"}]), "BLOCKED"),
        ({"input_type": "request", "tool_calls": [call("badword")]}, "BLOCKED"),
        (answered(SAFE), "NONE"),
        (answered(CODE), "BLOCKED"),
        (answered(SAFE, CODE), "BLOCKED"),
        (answered("", tool_calls=[call("fine()")]), "NONE"),
        (answered("", tool_calls=[call("danger()")]), "BLOCKED"),
        (answered(tool_calls=[call("danger()")]), "BLOCKED"),
        (answered("a badword"), "NONE"),
        (answered("Look:\n```python\ndoubt()\n```\n"), "NONE"),
    ],
)
async def test_a_verdict_becomes_an_action(body: dict[str, Any], action: str) -> None:
    told = await judge(body)
    assert told["action"] == action
    assert ("BlueCode" in told.get("blocked_reason", "")) is (action == "BLOCKED")


async def test_code_of_an_answer_is_replaced_where_it_may_be() -> None:
    told = await judge(answered(SAFE, CODE), "answer")
    assert told["action"] == "GUARDRAIL_INTERVENED"
    assert told["texts"][0] == SAFE
    assert told["texts"][1].startswith("Here:\n\n**BlueCode withheld code")
    assert "danger" not in told["texts"][1]
    assert told["bluecode"]["findings"][0]["rule"] == "test.danger"


async def test_a_tool_call_is_blocked_since_it_cannot_be_replaced() -> None:
    told = await judge(answered("Text.", tool_calls=[call("danger()")]), "answer")
    assert told["action"] == "BLOCKED"


async def test_code_to_look_at_gets_its_note_where_texts_may_be_replaced() -> None:
    text = "Look:\n```python\ndoubt()\n```\n"
    told = await judge(answered(text), "answer")
    assert told["action"] == "GUARDRAIL_INTERVENED"
    assert told["texts"][0].startswith(text.rstrip()) and "look at this" in told["texts"][0]


@pytest.mark.parametrize(
    "text", [CODE, SAFE, "Look:\n \n\n```python\ndoubt()\n```\n", "Use `x = 1`.\n\n```\ndanger()"]
)
async def test_what_may_leave_of_a_growing_answer_is_never_taken_back(text: str) -> None:
    """LiteLLM tells the text so far, and lets all but the held end of what it gets leave."""
    left = ""
    async with guarded(ScriptedUpstream()) as root:
        for end in range(1, len(text) + 1):
            body = answered(text[:end])
            _, _, raw = await post(f"{root}{PATH}", body, {"X-BlueCode-Replace": "answer"})
            told = json.loads(raw)
            said = told.get("texts", body["texts"])[0]
            assert said.startswith(left)
            left = said[: max(len(left), len(said) - told["stream_holdback_chars"][0])]
            assert "danger" not in left
    assert "danger" not in said


async def test_prose_of_a_growing_answer_is_not_held() -> None:
    told = await judge(answered("This is prose.\nAnd more of it.\n"), "answer")
    assert told["action"] == "NONE" and told["stream_holdback_chars"] == [0]


BEFORE = (("user", "a badword"), ("assistant", "No."), ("user", "hello"))


async def test_a_blocked_message_of_an_earlier_turn_is_replaced_where_it_may_be() -> None:
    told = await judge(asked(*BEFORE), "history")
    assert told["action"] == "GUARDRAIL_INTERVENED"
    assert told["texts"] == [PLACEHOLDER, "No.", "hello"]
    assert told["structured_messages"][0] == {"role": "user", "content": PLACEHOLDER}
    assert told["structured_messages"][1:] == asked(*BEFORE)["structured_messages"][1:]


@pytest.mark.parametrize("replace", [None, "answer"])
async def test_a_blocked_message_of_an_earlier_turn_blocks_where_it_may_not(
    replace: str | None,
) -> None:
    assert (await judge(asked(*BEFORE), replace))["action"] == "BLOCKED"


async def test_an_answer_that_was_checked_is_not_screened_when_it_comes_back() -> None:
    detector = WordDetector("badword")
    async with guarded(ScriptedUpstream(), detectors=[detector]) as root:
        for body in (
            asked(("user", "hi"), litellm_call_id="c1"),
            answered("It is a badword.", litellm_call_id="c1"),
            asked(("user", "hi"), ("assistant", "It is a badword."), ("user", "so?")),
        ):
            _, _, told = await post(f"{root}{PATH}", body)
            assert json.loads(told)["action"] == "NONE"


@pytest.mark.parametrize("body", [asked(("user", "a badword")), answered(CODE), asked(*BEFORE)])
async def test_a_shadow_lets_all_pass_and_tells(body: dict[str, Any]) -> None:
    told = await judge(body, "history, answer", policy=Policy(shadow=True))
    assert told["action"] == "NONE" and "texts" not in told


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"[]", "JSON object"),
        ({"texts": ["a"]}, "`input_type`"),
        ({"input_type": "both"}, "`input_type`"),
        ({"input_type": "request", "texts": "a"}, "`texts`"),
        ({"input_type": "request", "texts": [1]}, "`texts`"),
        ({"input_type": "response", "tool_calls": {}}, "`tool_calls`"),
        ({"input_type": "request", "structured_messages": [{"role": "x"}]}, "role"),
    ],
)
async def test_a_body_that_cannot_be_read_gets_an_error_that_says_why(body: Any, says: str) -> None:
    async with guarded(ScriptedUpstream()) as root:
        status, _, told = await post(f"{root}{PATH}", body)
    assert status == 400
    assert says in json.loads(told)["error"]["message"]


async def test_an_unknown_wish_to_replace_is_refused() -> None:
    async with guarded(ScriptedUpstream()) as root:
        headers = {"X-BlueCode-Replace": "everything"}
        status, _, told = await post(f"{root}{PATH}", answered("a"), headers)
    assert status == 400 and "`history` and `answer`" in json.loads(told)["error"]["message"]


async def test_a_detector_that_fails_is_not_taken_for_one_that_found_nothing() -> None:
    detectors = [WordDetector("badword", fails=True)]
    async with guarded(ScriptedUpstream(), detectors=detectors) as root:
        _, _, told = await post(f"{root}{PATH}", asked(("user", "hello")))
    assert json.loads(told)["action"] == "BLOCKED"


async def test_a_proxy_key_is_asked_for_and_the_client_behind_litellm_is_counted() -> None:
    body = asked(("user", "a badword"), request_headers={"User-Agent": "aider/1"}, model="m")
    async with guarded(ScriptedUpstream(), proxy_keys={"gateway": Secret("k")}) as root:
        status, _, _ = await post(f"{root}{PATH}", body)
        good, _, _ = await post(f"{root}{PATH}", body, {"x-api-key": "k"})
        _, _, metrics = await get(f"{root}/metrics")
    assert (status, good) == (401, 200)
    assert f'client="aider",decision="block",route="{PATH}"'.encode() in metrics
