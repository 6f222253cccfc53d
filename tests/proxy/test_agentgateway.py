"""agentgateway's guardrail webhook, by its contract."""

import json
from typing import Any

import pytest
from scripted import ScriptedUpstream
from serving import guarded, post

from bluecode.defenses.policy import Policy
from bluecode.proxy.notes import PLACEHOLDER

CODE = "Here:\n\n```python\ndanger()\n```\nDone."
SAFE = "Here:\n\n```python\nfine()\n```\nDone."
DOUBT = "Look:\n```python\ndoubt()\n```\n"


def asked(*rows: tuple[str, str]) -> tuple[str, dict[str, Any]]:
    messages = [{"role": role, "content": text} for role, text in rows]
    return "/request", {"body": {"messages": messages}}


def answered(*texts: str) -> tuple[str, dict[str, Any]]:
    choices = [{"message": {"role": "assistant", "content": text}} for text in texts]
    return "/response", {"body": {"choices": choices}}


async def action(
    question: tuple[str, Any], *, policy: Policy | None = None, **headers: str
) -> dict[str, Any]:
    path, body = question
    async with guarded(upstream := ScriptedUpstream(), policy=policy) as root:
        status, _, told = await post(f"{root}{path}", body, headers)
    assert status == 200 and upstream.calls == [], told
    found: dict[str, Any] = json.loads(told)["action"]
    return found


def kind(found: dict[str, Any]) -> str:
    """As the gateway reads it: by what is there."""
    if isinstance(found.get("body"), dict):
        return "mask"
    return "reject" if "status_code" in found else "pass"


@pytest.mark.parametrize(
    ("question", "told"),
    [
        (asked(("user", "hello")), "pass"),
        (asked(("user", "a badword")), "reject"),
        (asked(("system", "a badword"), ("user", "x")), "reject"),
        (asked(("critic", "a badword")), "reject"),
        (asked(("user", "x"), ("tool", "a badword")), "reject"),
        (asked(), "pass"),
        (answered(SAFE), "pass"),
        (answered(CODE), "reject"),
        (answered(SAFE, CODE), "reject"),
        (answered("a badword"), "pass"),
        (answered(DOUBT), "pass"),
        (answered(), "pass"),
    ],
)
async def test_a_verdict_becomes_an_action(question: tuple[str, Any], told: str) -> None:
    assert kind(await action(question)) == told


@pytest.mark.parametrize("question", [asked(("user", "a badword")), answered(CODE)])
async def test_a_rejection_is_an_error_that_sdks_can_read_and_none_of_those_they_retry(
    question: tuple[str, Any],
) -> None:
    told = await action(question)
    assert told["status_code"] == 400
    error = json.loads(told["body"])["error"]
    assert error["code"] == "bluecode_blocked" and error["message"].startswith("**BlueCode ")
    assert "danger" not in told["body"]


async def test_code_is_replaced_where_replacements_arrive() -> None:
    told = await action(answered(SAFE, CODE), **{"X-BlueCode-Replace": "answer"})
    first, second = (choice["message"]["content"] for choice in told["body"]["choices"])
    assert first == SAFE
    assert second.startswith("Here:\n\n**BlueCode withheld code") and "danger" not in second


async def test_a_note_stands_behind_code_to_look_at_where_it_arrives() -> None:
    told = await action(answered(DOUBT), **{"X-BlueCode-Replace": "answer"})
    (choice,) = told["body"]["choices"]
    assert choice["message"]["content"].startswith(DOUBT.rstrip())
    assert "look at this" in choice["message"]["content"]


async def test_a_blocked_message_of_an_earlier_turn_is_replaced_and_no_other() -> None:
    rows = [("user", "a badword"), ("assistant", "No."), ("user", "hello")]
    async with guarded(ScriptedUpstream()) as root:
        await post(f"{root}/request", asked(rows[0])[1])
        _, _, raw = await post(f"{root}/request", asked(*rows)[1])
    told = json.loads(raw)["action"]
    assert [row["content"] for row in told["body"]["messages"]] == [PLACEHOLDER, "No.", "hello"]


async def test_a_shadow_rejects_nothing() -> None:
    policy = Policy.parse("shadow = true\n")
    assert kind(await action(asked(("user", "a badword")), policy=policy)) == "pass"
    assert kind(await action(answered(CODE), policy=policy)) == "pass"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/request", {}),
        ("/request", {"body": {"messages": ["x"]}}),
        ("/request", {"body": {"choices": []}}),
        ("/response", {"body": {"choices": [{}]}}),
        ("/response", {"body": {"choices": [{"message": {"content": ["x"]}}]}}),
        ("/response", b"no json"),
    ],
)
async def test_what_is_no_question_is_an_error_so_that_the_gateway_fails_closed(
    path: str, body: Any
) -> None:
    async with guarded(ScriptedUpstream()) as root:
        status, _, _ = await post(f"{root}{path}", body)
    assert status == 400
