"""Processes that come and go: no answer is cut short, no request is lost."""

import signal
from pathlib import Path

import aiohttp
import anyio
import pytest
from replicas import NOBODY_LOOKS, balanced, fetched, free_port, replica
from serving import serving

from bluecode.proxy.scripted import scripted_model

CHAT = {
    "model": "demo",
    "stream": True,
    "messages": [{"role": "user", "content": "Tell me a story about a lighthouse."}],
}


@pytest.fixture
def policy(tmp_path: Path) -> str:
    path = tmp_path / "policy.toml"
    path.write_text(NOBODY_LOOKS, encoding="utf-8")
    return str(path)


async def told(root: str) -> str:
    """One streamed answer, from its first byte to its last."""
    async with aiohttp.ClientSession(headers={"connection": "close"}) as session:
        async with session.post(f"{root}/v1/chat/completions", json=CHAT) as response:
            assert response.status == 200, await response.text()
            return (await response.read()).decode()


async def test_a_stream_that_runs_when_told_to_stop_comes_to_its_end(
    policy: str, tmp_path: Path
) -> None:
    async with serving(scripted_model(pace=0.05)) as upstream:
        with replica(tmp_path, f"{upstream}/v1", policy=policy) as one:
            await one.ready()
            answers: list[str] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(ask_often, answers, one.root, 1)
                await anyio.sleep(0.3)
                assert answers == []
                one.signal(signal.SIGTERM)
            status = await one.ended()

    assert answers[0].rstrip().endswith("data: [DONE]")
    assert status == 0


async def test_a_stream_longer_than_the_drain_is_cut_when_that_is_over(
    policy: str, tmp_path: Path
) -> None:
    async with serving(scripted_model(pace=2.0)) as upstream:
        with replica(tmp_path, f"{upstream}/v1", policy=policy, drain_timeout="1") as one:
            await one.ready()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(told_or_cut, one.root)
                await anyio.sleep(0.3)
                one.signal(signal.SIGTERM)
                with anyio.fail_after(8):
                    assert await one.ended() == 0


async def test_a_rolling_restart_under_load_loses_no_request(policy: str, tmp_path: Path) -> None:
    answers: list[str] = []
    async with serving(scripted_model(pace=0.005)) as upstream, balanced() as (balancer, root):
        with (
            replica(tmp_path, f"{upstream}/v1", policy=policy) as old,
            replica(tmp_path, f"{upstream}/v1", policy=policy) as new,
        ):
            await old.ready()
            balancer.backends = [old.port]
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(ask_often, answers, root, 8)
                await new.ready()
                balancer.backends = [old.port, new.port]
                await anyio.sleep(0.2)
                balancer.backends = [new.port]  # as an endpoint is taken out before the signal
                await anyio.sleep(0.1)
                old.signal(signal.SIGTERM)
                assert await old.ended() == 0

    assert len(answers) == 32
    assert all(answer.rstrip().endswith("data: [DONE]") for answer in answers)


async def test_a_killed_replica_costs_only_what_was_on_its_connections(
    policy: str, tmp_path: Path
) -> None:
    answers: list[str] = []
    cut: list[str] = []
    async with serving(scripted_model(pace=0.02)) as upstream, balanced() as (balancer, root):
        with (
            replica(tmp_path, f"{upstream}/v1", policy=policy) as one,
            replica(tmp_path, f"{upstream}/v1", policy=policy) as other,
        ):
            await one.ready()
            await other.ready()
            balancer.backends = [one.port, other.port]
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(ask_whatever_comes, answers, cut, root, 6)
                await anyio.sleep(0.5)
                one.signal(signal.SIGKILL)

    assert len(answers) + len(cut) == 24
    # Each client can lose the answer it is getting, and one sent over a connection that was kept.
    assert len(cut) <= 8
    assert all(answer.rstrip().endswith("data: [DONE]") for answer in answers)


async def test_probes_have_an_address_of_their_own_that_serves_nothing_else(
    policy: str, tmp_path: Path
) -> None:
    health = f"127.0.0.1:{free_port()}"
    with replica(tmp_path, "demo", policy=policy, health_listen=health) as one:
        await one.ready(f"http://{health}")
        metrics = await fetched(f"http://{health}/metrics")
        models = await fetched(f"http://{health}/v1/models")
        one.signal(signal.SIGTERM)
        status = await one.ended()

    assert (metrics[0], models[0], status) == (200, 404, 0)
    assert "bluecode_policy_info{" in metrics[1]


async def ask_often(answers: list[str], root: str, times: int) -> None:
    for _ in range(times):
        answers.append(await told(root))


async def ask_whatever_comes(answers: list[str], cut: list[str], root: str, times: int) -> None:
    for _ in range(times):
        try:
            answers.append(await told(root))
        except aiohttp.ClientError as error:
            cut.append(type(error).__name__)


async def told_or_cut(root: str) -> None:
    try:
        await told(root)
    except aiohttp.ClientError:
        return
