"""Policies by key, team, model and route, over a real socket."""

import json
from pathlib import Path

import pytest
from scripted import ScriptedUpstream, answer
from serving import chat, get, guarded, post

from bluecode.defenses.policy import Policy
from bluecode.proxy.config import Secret

KEYS = {name: Secret(f"{name}-key") for name in ("alice", "bob", "ci-1")}
TEXT = """
[teams]
trusted = ["alice"]
[[policies]]
name = "trusted"
match = { teams = ["trusted"] }
shadow = true
[[policies]]
name = "machines"
match = { keys = ["ci-*"] }
refusal_style = "error"
rules = { "test.doubt" = "allow" }
"""
DOUBT = answer({"content": "```python\ndoubt()\n```"})
DANGER = answer({"content": "```python\ndanger()\n```"})


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {name}-key"}


async def test_each_key_is_answered_by_the_policy_it_falls_under(tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    upstream = ScriptedUpstream([DANGER])
    policy = Policy.parse(TEXT)
    async with guarded(upstream, policy=policy, proxy_keys=KEYS, audit=str(audit)) as root:
        url = f"{root}/v1/chat/completions"
        told = {name: await post(url, chat(), bearer(name)) for name in KEYS}
        _, _, shown = await get(f"{root}/metrics")
    lines = [json.loads(line) for line in audit.read_text("utf-8").splitlines()]

    assert told["alice"][2] == DANGER and "x-bluecode-verdict" not in told["alice"][1]
    assert told["bob"][0] == 200 and b"danger()" not in told["bob"][2]
    assert told["ci-1"][0] == 400
    assert [line["scope"] for line in lines] == ["trusted", "base", "machines"]
    assert [line["decision"] for line in lines] == ["allow", "block", "block"]
    assert [line["shadow"] for line in lines] == [True, False, False]
    assert len({line["conversation"] for line in lines}) == 1
    counted = shown.decode()
    assert 'scoped_requests_total{decision="allow",mode="shadow",scope="trusted"} 1.0' in counted
    assert 'scope="base"' not in counted


async def test_the_model_is_the_one_that_answers_whatever_a_client_calls_it(tmp_path: Path) -> None:
    text = "[[policies]]\nname = 'lax'\nmatch = { models = ['toy*'] }\nshadow = true"
    audit, body = tmp_path / "audit.jsonl", {**chat(), "model": "toy"}
    told = []
    for named in ("http://127.0.0.1:1/v1", "anthropic/toyless"):
        settings = {"upstream": named, "audit": str(audit)}
        given = ScriptedUpstream([DANGER])
        async with guarded(given, policy=Policy.parse(text), **settings) as root:
            told.append((await post(f"{root}/v1/chat/completions", body))[2] == DANGER)
    lines = [json.loads(line) for line in audit.read_text("utf-8").splitlines()]

    assert told == [True, False], "the client chooses a model only where it is the one that answers"
    assert [(line["scope"], line["model"]) for line in lines] == [
        ("lax", "toy"),
        ("base", "anthropic/toyless"),
    ]


async def test_a_note_tells_what_the_policy_of_the_request_finds_worth_telling() -> None:
    async with guarded(
        ScriptedUpstream([DOUBT]), policy=Policy.parse(TEXT), proxy_keys=KEYS
    ) as root:
        url = f"{root}/v1/chat/completions"
        _, _, told = await post(url, chat(), bearer("bob"))
        _, _, untold = await post(url, chat(), bearer("ci-1"))

    assert b"BlueCode asks" in told
    assert untold == DOUBT


@pytest.mark.parametrize("stream", [False, True])
async def test_a_remembered_verdict_is_decided_anew_for_the_next_key(stream: bool) -> None:
    policy = Policy.parse(TEXT)
    async with guarded(ScriptedUpstream([DOUBT]), policy=policy, proxy_keys=KEYS) as root:
        url = f"{root}/v1/chat/completions"
        body = chat("a badword", stream=stream)
        first = await post(url, body, bearer("bob"))
        second = await post(url, body, bearer("ci-1"))
        third = await post(url, body, bearer("alice"))

    assert first[0] == 200 and b"did not pass this request" in first[2]
    assert second[0] == 400
    assert third[0] == 200 and third[2] == DOUBT


async def test_a_part_is_enforced_and_the_rest_is_watched() -> None:
    policy = Policy.parse("enforce = 50")
    async with guarded(ScriptedUpstream([DANGER]), policy=policy) as root:
        url = f"{root}/v1/chat/completions"
        told = [(await post(url, chat(f"task {number}")))[2] for number in range(40)]
        again = [(await post(url, chat(f"task {number}")))[2] for number in range(40)]

    passed = [body == DANGER for body in told]
    assert 5 < sum(passed) < 35
    assert passed == [body == DANGER for body in again]
