"""Limits by key, team and all together: counted fairly, told in the client's own protocol."""

import json
from collections.abc import Callable
from typing import Any

import aiohttp
import anthropic
import anyio
import openai
import pytest
from scripted import ScriptedUpstream, answer, chunk
from serving import chat, get, guarded, post

from bluecode.defenses.matching import Asker
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.proxy.config import Secret
from bluecode.proxy.limits import LimitReached, Limits
from bluecode.proxy.metrics import Metrics

KEYS = {name: Secret(f"{name}-key") for name in ("alice", "bob")}


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 86_400.0 * 20_000

    def __call__(self) -> float:
        return self.now


def limits(text: str) -> tuple[Limits, Clock]:
    clock = Clock()
    return Limits(Policy.parse(text), Metrics(), clock=clock), clock


def asker(key: str | None = "alice", model: str = "m", route: str = "/chat/completions") -> Asker:
    return Asker(key=key, model=model, route=route)


def let_through(held: Limits, times: int, who: Asker | None = None) -> int:
    """How many of so many requests."""
    passed = 0
    for _ in range(times):
        try:
            held.admit(who or asker(), 1_000)
            passed += 1
        except LimitReached:
            continue
    return passed


TEN = "[[limits]]\nname = 'each'\nrequests_per_minute = 10\n"


def test_so_many_and_no_more_and_again_when_time_has_passed() -> None:
    held, clock = limits(TEN)
    first = let_through(held, 25)
    clock.now += 120

    assert (first, let_through(held, 25)) == (10, 10)


def test_nobody_gets_twice_the_amount_at_the_turn_of_the_minute() -> None:
    held, clock = limits(TEN)
    clock.now += 59
    before = let_through(held, 25)
    clock.now += 2

    assert before + let_through(held, 25) <= 11


def test_who_asks_on_and_on_gets_what_is_his() -> None:
    held, clock = limits(TEN)
    passed = 0
    for _ in range(1_200):
        passed += let_through(held, 1)
        clock.now += 1

    assert 180 <= passed <= 205


@pytest.mark.parametrize("at", [0, 1, 30, 59.5])
def test_who_waits_as_long_as_told_is_let_through(at: float) -> None:
    held, clock = limits(TEN)
    clock.now += at
    let_through(held, 10)
    for _ in range(30):
        with pytest.raises(LimitReached) as refused:
            held.admit(asker(), 1_000)
        wait = int(dict(refused.value.headers)[b"retry-after"])
        assert 1 <= wait <= 120
        clock.now += wait
        held.admit(asker(), 1_000)
        let_through(held, 10)


@pytest.mark.parametrize(
    ("text", "others"),
    [
        (TEN, 10),
        (TEN + "per = 'all'\n", 0),
        ("[teams]\na = ['alice', 'bo*']\n" + TEN + "per = 'team'\n", 0),
        ("[teams]\na = ['alice']\nb = ['bob']\n" + TEN + "per = 'team'\n", 10),
        (TEN + "match = { keys = ['alice'] }\n", 25),
        (TEN + "match = { models = ['x-*'] }\n", 25),
    ],
)
def test_what_one_key_used_is_missing_to_those_it_shares_with(text: str, others: int) -> None:
    held, _ = limits(text)
    let_through(held, 25)

    assert let_through(held, 25, asker("bob")) == others


def test_all_limits_that_fit_hold_and_what_is_refused_counts_for_none() -> None:
    held, clock = limits(TEN + "[[limits]]\nname = 'day'\nrequests_per_day = 25\n")
    passed = [let_through(held, 30)]
    for _ in range(3):
        clock.now += 120
        passed.append(let_through(held, 30))

    assert passed == [10, 10, 5, 0]


def test_a_changed_policy_holds_at_once_and_counts_go_on() -> None:
    held, _ = limits(TEN)
    let_through(held, 10)
    held.adopt(Policy.parse(TEN.replace("10", "12")))

    assert let_through(held, 25) == 2


def test_counts_of_long_ago_are_let_go() -> None:
    held, clock = limits(TEN)
    for number in range(10_000):
        held.admit(asker(f"key-{number}"), 1_000)
    clock.now += 1_000
    held.admit(asker("one more"), 1_000)

    assert len(held.windows) == 1


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("limits = 1", r"\[\[limits\]\]"),
        ("[[limits]]\nrequests_per_day = 1", "None"),
        ("[[limits]]\nname = 'a'", "limits nothing"),
        ("[[limits]]\nname = 'a'\nrequests_per_day = 0", "limits.a.requests_per_day"),
        ("[[limits]]\nname = 'a'\nrequests_per_day = 1.5", "whole number"),
        ("[[limits]]\nname = 'a'\nrequests_per_day = 1\nper = 'model'", "limits.a.per"),
        ("[[limits]]\nname = 'a'\nrequests_per_hour = 1", "requests_per_hour"),
        ("[[limits]]\nname = 'a'\nrequests_per_day = 1\nmatch = { teams = ['x'] }", "'x'"),
        (TEN + TEN, "two entries"),
    ],
)
def test_a_limit_that_cannot_be_meant_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(PolicyError, match=word):
        Policy.parse(text)


ONE = Policy.parse("[[limits]]\nname = 'each'\nrequests_per_minute = 1\n")
GEMINI = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
MESSAGE = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]}


def of_openai(body: Any) -> bool:
    error = body["error"]
    return bool(error["type"] == "rate_limit_error" and error["code"] == "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("path", "body", "told"),
    [
        ("/v1/chat/completions", chat(), of_openai),
        ("/v1/chat/completions", chat(stream=True), of_openai),
        ("/v1/responses", {"model": "m", "input": "hello"}, of_openai),
        ("/v1/completions", {"model": "m", "prompt": "hello"}, of_openai),
        ("/v1/moderations", {"input": "hello"}, of_openai),
        ("/v1/embeddings", {"model": "m", "input": "hello"}, of_openai),
        (
            "/v1/messages/count_tokens",
            MESSAGE,
            lambda body: (body["type"], body["error"]["type"]) == ("error", "rate_limit_error"),
        ),
        (
            "/v1beta/models/m:countTokens",
            GEMINI,
            lambda body: body["error"]["status"] == "RESOURCE_EXHAUSTED",
        ),
        ("/api/embed", {"model": "m", "input": "hi"}, lambda body: isinstance(body["error"], str)),
        (
            "/v1/messages",
            MESSAGE,
            lambda body: (body["type"], body["error"]["type"]) == ("error", "rate_limit_error"),
        ),
        (
            "/v1beta/models/m:generateContent",
            GEMINI,
            lambda body: (
                (body["error"]["code"], body["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
            ),
        ),
        (
            "/api/chat",
            {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
            lambda body: isinstance(body["error"], str),
        ),
    ],
)
async def test_each_protocol_is_told_in_its_own_words(
    path: str, body: dict[str, Any], told: Callable[[Any], bool]
) -> None:
    upstream = ScriptedUpstream([b"{}"])
    async with guarded(upstream, policy=ONE) as root:
        await post(root + path, body)
        sent = len(upstream.calls)
        status, headers, answered = await post(root + path, body)
        _, _, shown = await get(f"{root}/metrics")

    assert status == 429 and told(json.loads(answered)), answered
    assert 1 <= int(headers["retry-after"]) <= 120
    assert len(upstream.calls) == sent
    assert b'limited_requests_total{amount="requests_per_minute",limit="each"} 1.0' in shown
    assert b'decision="limited"' in shown


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/api/embed", "/api/embed"),
        ("/v1/embeddings", "/embeddings"),
        ("/v1/messages/count_tokens", "/messages/*"),
        ("/v1beta/models/m:countTokens", "/models/*"),
        ("/v1/chat/completions", "/chat/*"),
    ],
)
async def test_a_limit_of_a_route_holds_for_what_is_passed_on_too(path: str, route: str) -> None:
    limited = Policy.parse(f"{TEN.replace('10', '1')}match = {{ routes = ['{route}'] }}")
    async with guarded(ScriptedUpstream([answer({"content": "ok"})]), policy=limited) as root:
        statuses = [(await post(root + path, chat()))[0] for _ in range(2)]

    assert statuses == [200, 429]


async def test_what_only_asks_for_a_list_is_not_counted() -> None:
    async with guarded(ScriptedUpstream([b"{}"]), policy=ONE) as root:
        told = [(await get(f"{root}/v1/models"))[0] for _ in range(3)]

    assert told == [200, 200, 200]


async def test_the_clients_of_both_houses_know_what_it_is() -> None:
    async with guarded(ScriptedUpstream([answer({"content": "ok"})]), policy=ONE) as root:
        await post(f"{root}/v1/chat/completions", chat())
        async with openai.AsyncOpenAI(api_key="k", base_url=f"{root}/v1", max_retries=0) as client:
            with pytest.raises(openai.RateLimitError):
                await client.chat.completions.create(
                    model="m", messages=[{"role": "user", "content": "hello"}]
                )
        async with anthropic.AsyncAnthropic(api_key="k", base_url=root, max_retries=0) as other:
            with pytest.raises(anthropic.RateLimitError):
                await other.messages.create(
                    model="m", max_tokens=9, messages=[{"role": "user", "content": "hello"}]
                )


USED = {"prompt_tokens": 60, "completion_tokens": 50}
BUDGET = Policy.parse("[[limits]]\nname = 'budget'\ntokens_per_day = 100\n")
STREAMED = b"".join([chunk("hi"), chunk(finish="stop"), b'data: {"choices": [], "usage": '])


@pytest.mark.parametrize("stream", [False, True])
async def test_a_budget_of_tokens_is_used_up_by_what_answers_tell(stream: bool) -> None:
    whole = answer({"content": "ok"}, usage=USED)
    told = STREAMED + json.dumps(USED).encode() + b"}\n\ndata: [DONE]\n\n"
    kind = "text/event-stream" if stream else "application/json"
    upstream = ScriptedUpstream([told if stream else whole], kind=kind)
    async with guarded(upstream, policy=BUDGET, proxy_keys=KEYS) as root:
        url = f"{root}/v1/chat/completions"
        statuses = [
            (await post(url, chat(stream=stream), {"Authorization": f"Bearer {name}-key"}))[0]
            for name in ("alice", "alice", "bob")
        ]

    assert statuses == [200, 429, 200]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_tells_no_tokens_is_told_as_unknown_and_guessed(stream: bool) -> None:
    streamed = chunk("ok ") * 90 + chunk(finish="stop") + b"data: [DONE]\n\n"
    kind = "text/event-stream" if stream else "application/json"
    given = streamed if stream else answer({"content": "ok " * 120})
    async with guarded(ScriptedUpstream([given], kind=kind), policy=BUDGET) as root:
        url, body = f"{root}/v1/chat/completions", chat("hello " * 20, stream=stream)
        statuses = [(await post(url, body))[0] for _ in range(3)]
        _, _, shown = await get(f"{root}/metrics")

    assert statuses == [200, 429, 429]
    assert b"bluecode_unmetered_answers_total 1.0" in shown


async def test_a_guess_is_about_what_it_would_be() -> None:
    few = answer({"content": "ok"})
    async with guarded(ScriptedUpstream([few]), policy=BUDGET) as root:
        statuses = [(await post(f"{root}/v1/chat/completions", chat()))[0] for _ in range(2)]

    assert statuses == [200, 200]


async def test_an_answer_that_failed_uses_nothing_and_one_that_was_left_is_unknown() -> None:
    failing = ScriptedUpstream([b'{"error": {}}'], status=500)
    slow = ScriptedUpstream([chunk("hi"), *[None] * 200], kind="text/event-stream")
    shown = []
    for upstream in (failing, slow):
        async with guarded(upstream, policy=BUDGET) as root:
            async with aiohttp.ClientSession() as session:
                async with session.post(
                    f"{root}/v1/chat/completions", json=chat(stream=True)
                ) as reply:
                    await reply.content.readany()
            shown.append(await settled(root, upstream))

    assert b"bluecode_unmetered_answers_total 0.0" in shown[0]
    assert b"bluecode_unmetered_answers_total 1.0" in shown[1]


async def settled(root: str, upstream: ScriptedUpstream) -> bytes:
    """The metrics once the upstream has been left."""
    while upstream.open:
        await anyio.sleep(0.01)
    return (await get(f"{root}/metrics"))[2]
