"""Replicas, the store they share and Prometheus as processes together, under load; what is killed
costs no request and lets nothing pass."""

from pathlib import Path

import anyio
from prometheus import needs_prometheus, scraping, series
from redis_server import Store, needs_redis, store
from replicas import NOBODY_LOOKS, balanced, fetched, replica
from serving import chat, post, serving

from bluecode.proxy.scripted import scripted_model

QUICK = "Write Python code that looks a user up by name in SQL, quick and dirty."
SAFE = "Write Python code that looks a user up by name in SQL, in a safe way."
STATIC = NOBODY_LOOKS.replace(', "python"', "")
"""Only the static checker of Python: it needs no sandbox."""


class Load:
    """Requests one after the other, by several clients, until told to stop."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.told: list[tuple[bool, int, bytes]] = []
        self.stop = False

    async def client(self, number: int) -> None:
        turn = 0
        while not self.stop:
            turn += 1
            text = f"{QUICK if turn % 2 else SAFE} Number {number} of {turn // 8}."
            status, _, body = await post(f"{self._root}/v1/chat/completions", chat(text))
            self.told.append((bool(turn % 2), status, body))

    def wrong(self) -> list[tuple[bool, int]]:
        """Those that were lost, passed wrongly, or blocked wrongly."""
        return [
            (unsafe, status)
            for unsafe, status, body in self.told
            if status != 200 or (b"BlueCode withheld code" in body) is not unsafe
        ]


async def until(root: str, query: str, value: str) -> None:
    with anyio.fail_after(30):
        while [item["value"][1] for item in await series(root, query)] != [value]:
            await anyio.sleep(0.2)


async def under_load(load: Load, one: Store, root: str) -> list[int]:
    """How many were answered with the store, without it, and once it was back."""
    up = "sum(bluecode_shared_up)"
    counts = [0]
    await until(root, up, "2")
    await anyio.sleep(1)
    counts.append(len(load.told))
    one.kill()
    await until(root, up, "0")
    await anyio.sleep(1)
    counts.append(len(load.told))
    await one.start()
    await until(root, up, "2")
    await anyio.sleep(1)
    counts.append(len(load.told))
    load.stop = True
    return [after - before for before, after in zip(counts, counts[1:], strict=False)]


@needs_redis
@needs_prometheus
async def test_a_killed_store_costs_no_request_and_lets_nothing_pass(tmp_path: Path) -> None:
    policy = tmp_path / "policy.toml"
    await anyio.Path(policy).write_text(STATIC)
    async with (
        store() as one,
        serving(scripted_model(pace=0.001)) as upstream,
        balanced() as (balancer, balanced_root),
    ):
        shared = {"shared": one.url, "seal_key": "a key", "policy": str(policy)}
        with (
            replica(tmp_path, f"{upstream}/v1", **shared) as a,
            replica(tmp_path, f"{upstream}/v1", **shared) as b,
        ):
            await a.ready()
            await b.ready()
            balancer.backends = [a.port, b.port]
            hosts = [item.root.removeprefix("http://") for item in (a, b)]
            load = Load(balanced_root)
            async with scraping(tmp_path, hosts) as root, anyio.create_task_group() as tasks:
                for number in range(4):
                    tasks.start_soon(load.client, number)
                counts = await under_load(load, one, root)
            shown = [(await fetched(f"{item.root}/metrics"))[1] for item in (a, b)]

    assert all(count > 10 for count in counts), counts
    assert load.wrong() == []
    assert all('shared_lookups_total{result="skipped"}' in text for text in shown)
    assert all('result="forged"' not in text for text in shown)
