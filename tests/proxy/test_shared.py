"""What replicas share through a real Redis, and what becomes of requests when it is lost."""

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
import redis.asyncio
from redis_server import Store, needs_redis, store
from scripted import ScriptedUpstream, WordChecker, WordDetector, answer
from serving import chat, get, post, serving

from bluecode.defenses.policy import Policy
from bluecode.proxy import serving as served
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config, ConfigError, Secret
from bluecode.proxy.engine import Engine
from bluecode.proxy.limits import Limits
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.shared import Shared

pytestmark = needs_redis
PATIENT = 2.0
"""For tests that are about what is found, not how soon, and run on busy machines."""

KEY = Secret("a key that replicas share")
POLICY = Policy.default()
DANGER = answer({"content": "```python\ndanger()\n```"})


class Replica:
    """One BlueCode of several, and what its detectors looked at."""

    def __init__(self, root: str, detector: WordDetector, checker: WordChecker) -> None:
        self.root = root
        self.detector = detector
        self.checker = checker

    async def ask(self, text: str = "hello") -> tuple[int, dict[str, str], bytes]:
        return await post(f"{self.root}/v1/chat/completions", chat(text))

    async def metric(self, sign: str) -> float:
        _, _, shown = await get(f"{self.root}/metrics")
        found = [line for line in shown.decode().splitlines() if line.startswith(sign)]
        return float(found[0].rpartition(" ")[2]) if found else 0.0

    async def until_up(self, up: bool = True) -> None:
        with anyio.fail_after(20):
            while await self.metric("bluecode_shared_up{") != up:
                await anyio.sleep(0.05)


@asynccontextmanager
async def replica(
    url: str, policy: Policy = POLICY, key: Secret = KEY, *, wait: float = PATIENT
) -> AsyncIterator[Replica]:
    detector, checker = WordDetector("badword"), WordChecker()
    engine = Engine(policy, [detector], [checker], None)
    config = Config(
        upstream="http://127.0.0.1:1/v1",
        audit="none",
        shared=Secret(url),
        shared_wait=wait,
        seal_key=key,
    )
    app = create_app(config, policy=policy, upstream=ScriptedUpstream([DANGER]), engine=engine)
    async with serving(app) as root:
        yield Replica(root, detector, checker)


@asynccontextmanager
async def pair(policy: Policy = POLICY) -> AsyncIterator[tuple[Store, Replica, Replica]]:
    async with store() as one, replica(one.url, policy) as a, replica(one.url, policy) as b:
        await a.until_up()
        await b.until_up()
        yield one, a, b


async def contents(one: Store) -> dict[bytes, bytes]:
    async with redis.asyncio.Redis.from_url(one.url) as client:
        return {key: await client.get(key) for key in await client.keys()}


async def written(one: Store, least: int) -> dict[bytes, bytes]:
    with anyio.fail_after(10):
        while len(told := await contents(one)) < least:
            await anyio.sleep(0.05)
    return told


async def test_what_one_replica_found_another_does_not_look_for_again() -> None:
    async with pair() as (one, a, b):
        first = await a.ask()
        await written(one, 2)
        second = await b.ask()
        hits = await b.metric('bluecode_shared_lookups_total{result="hit"}')

    assert (b.detector.looked, len(b.checker.looked), hits) == (0, 0, 2)
    assert first[2].count(b"withheld") == second[2].count(b"withheld") == 1
    assert json.loads(first[2])["bluecode"] == json.loads(second[2])["bluecode"]


async def test_nothing_in_the_store_tells_what_was_said_or_who_said_it() -> None:
    policy = Policy.parse("[[limits]]\nname = 'ninefold'\nrequests_per_minute = 9\n")
    async with pair(policy) as (one, a, _):
        await a.ask("my very own words, a badword among them")
        told = await written(one, 2)

    joined = b" ".join([*told, *told.values()])
    assert not any(word in joined for word in (b"own words", b"ninefold", b"danger()"))


@pytest.mark.parametrize("forged", [b"", b"allow", b'{"action": 0}', None])
async def test_an_entry_that_another_wrote_is_no_verdict(forged: bytes | None) -> None:
    async with pair() as (one, a, b):
        await a.ask("a badword")
        await a.ask("hello")
        told = await written(one, 3)
        async with redis.asyncio.Redis.from_url(one.url) as client:
            for key in told:  # None: genuine entries, each in another's place
                others = [value for name, value in told.items() if name != key]
                await client.set(key, others[0] if forged is None else forged)
        refused = await b.ask("a badword")
        passed = await b.ask("hello")
        counted = await b.metric('bluecode_shared_lookups_total{result="forged"}')

    assert b"did not pass this request" in refused[2]
    assert b"withheld code" in passed[2]
    assert counted == 3


async def test_a_replica_with_another_key_believes_none_of_it() -> None:
    async with store() as one, replica(one.url) as a:
        await a.until_up()
        await a.ask("a badword")
        await written(one, 1)
        async with replica(one.url, key=Secret("another")) as b:
            await b.until_up()
            await b.ask("a badword")
            looked = b.detector.looked

    assert looked == 1


async def test_a_verdict_that_failed_is_not_left_for_others() -> None:
    async with store() as one:
        async with replica(one.url) as a:
            await a.until_up()
            a.detector.fails = True
            await a.ask("hello")
            await anyio.sleep(0.6)
            left = await contents(one)

    assert left == {}


@pytest.mark.parametrize("how", ["killed", "halted"])
async def test_without_the_store_requests_go_on_are_counted_and_it_recovers(how: str) -> None:
    async with store() as one, replica(one.url, wait=0.05) as a:
        await a.until_up()
        if how == "killed":
            one.kill()
        else:
            one.halt(on=True)
        for number in range(8):
            asked = time.perf_counter()
            status, _, body = await a.ask(f"text {number} and a badword")
            assert status == 200 and b"did not pass this request" in body
            assert time.perf_counter() - asked < 5
        await a.until_up(False)
        looked = a.detector.looked
        told = {
            result: await a.metric(f'bluecode_shared_lookups_total{{result="{result}"}}')
            for result in ("failed", "late", "skipped")
        }
        if how == "killed":
            await one.start()
        else:
            one.halt(on=False)
        await a.until_up()
        await a.ask("one more")
        after = await written(one, 1)

    assert looked == 8 and sum(told.values()) >= 8
    assert told["late"] + told["failed"] <= 5
    assert after


async def test_a_bluecode_starts_before_its_store() -> None:
    one = Store()
    try:
        async with replica(one.url) as a:
            status, _, body = await a.ask("a badword")
            await one.start()
            await a.until_up()
    finally:
        one.kill()

    assert status == 200 and b"did not pass" in body


LIMITED = Policy.parse("[[limits]]\nname = 'all'\nper = 'all'\nrequests_per_day = 10\n")


async def test_a_limit_holds_over_replicas_and_over_a_restart() -> None:
    async with store() as one:
        async with replica(one.url, LIMITED) as a, replica(one.url, LIMITED) as b:
            await a.until_up()
            await b.until_up()
            passed = 0
            for _ in range(8):
                passed += sum([(await item.ask())[0] == 200 for item in (a, b)])
                await anyio.sleep(0.3)
        async with replica(one.url, LIMITED) as c:
            await c.until_up()
            await c.ask()
            await anyio.sleep(0.6)
            late = (await c.ask())[0]

    assert 10 <= passed <= 12
    assert late == 429


async def test_without_the_store_each_replica_counts_for_itself() -> None:
    async with pair(LIMITED) as (one, a, b):
        one.kill()
        told = [[(await item.ask())[0] for _ in range(12)] for item in (a, b)]

    assert [statuses.count(200) for statuses in told] == [10, 10]


@pytest.mark.parametrize("value", [b"many", b"-50", b"9" * 30])
async def test_a_count_that_another_wrote_stops_no_replica(value: bytes) -> None:
    async with pair(LIMITED) as (one, a, b):
        await a.ask()
        (key,) = [key for key, held in (await written(one, 3)).items() if held.isdigit()]
        async with redis.asyncio.Redis.from_url(one.url) as client:
            await client.set(key, value)
        told = []
        for _ in range(12):
            told.append((await b.ask())[0])
            await anyio.sleep(0.05)
        up = await b.metric("bluecode_shared_up{")

    assert up == 1
    assert 9 <= told.count(200) <= 10


async def test_after_three_lookups_that_came_late_nobody_asks_any_more() -> None:
    metrics = Metrics()
    async with store() as one:
        opened = Shared.open(one.url, b"key", Limits(POLICY, metrics), metrics, wait=0.005)
        async with opened as shared:
            with anyio.fail_after(20):
                while not shared.up:
                    await anyio.sleep(0.01)
            one.halt(on=True)
            for number in range(50):
                assert await shared.get(str(number)) is None
            up = shared.up
            one.halt(on=False)
    counted = metrics.render()

    assert not up
    assert b'shared_lookups_total{result="late"} 3.0' in counted
    assert b'shared_lookups_total{result="skipped"} 47.0' in counted


async def test_more_new_verdicts_than_wait_are_let_go() -> None:
    metrics = Metrics()
    client = redis.asyncio.Redis.from_url("redis://127.0.0.1:1/0")
    shared = Shared(client, b"key", Limits(POLICY, metrics), metrics, wait=0.005)
    shared._show(True)
    verdict = POLICY.decide(())
    for number in range(5_000):
        shared.put(str(number), verdict)
    kept = len(shared._waiting)
    await client.aclose()

    assert kept == 2_000


def test_a_store_without_a_key_of_all_replicas_stops_the_start() -> None:
    config = Config(upstream="http://127.0.0.1:1/v1", shared=Secret("redis://127.0.0.1:1/0"))

    with pytest.raises(ConfigError, match="seal_key"):
        served._look_ahead(config)


@pytest.mark.parametrize("text", ["localhost:6379", "http://localhost", "redis"])
def test_an_address_that_is_none_stops_the_start(text: str) -> None:
    with pytest.raises(ConfigError, match="redis://host"):
        Config.load(environ={"BLUECODE_SHARED": text})
    assert "pass" not in repr(Config.load(environ={"BLUECODE_SHARED": "redis://:pass@h:1/0"}))


async def test_under_load_a_kill_loses_no_request_and_passes_nothing() -> None:
    async with pair() as (one, a, b):
        told: list[tuple[int, bytes]] = []

        async def ask(item: Replica, number: int) -> None:
            for turn in range(12):
                text = f"{number} {turn % 4} " + ("a badword" if turn % 2 else "hello")
                status, _, body = await item.ask(text)
                told.append((status, body if turn % 2 else b"did not pass this request"))

        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(ask, (a, b)[number % 2], number // 2)
            await anyio.sleep(0.1)
            one.kill()
            await anyio.sleep(0.3)
            await one.start()

    assert len(told) == 72
    assert {status for status, _ in told} == {200}
    assert all(b"did not pass this request" in body for _, body in told)
