"""Replicas, the Redis and the PostgreSQL that they share and a balancer as processes together,
under load; one after the other is killed and comes back. Told is what each phase cost."""

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread
from own_records import UNSAFE, case, in_force
from postgres_server import Database as Server
from postgres_server import database
from redis_server import Store, store
from replicas import NOBODY_LOOKS, Balancer, Replica, balanced, fetched, replica
from serving import chat, post, serving

from bluecode.defenses.record_store import RecordStore
from bluecode.proxy.database import Database
from bluecode.proxy.scripted import scripted_model

QUICK = "Write Python code that looks a user up by name in SQL, quick and dirty."
SAFE = "Write Python code that looks a user up by name in SQL, in a safe way."
ASKED = ((QUICK, b"BlueCode withheld code"), (SAFE, b""), (UNSAFE, b"did not pass"))
"""What is asked, and what shows that it was blocked as it has to be; empty where it has to pass."""
STATIC = NOBODY_LOOKS.replace(', "python"', "")
"""Only the static checker of Python, and the user's own records: they need no sandbox."""
SEAL = "a key of all replicas"
CLIENTS = 4


@dataclass(slots=True)
class Phase:
    """What came of the requests that ended in it."""

    name: str
    requests: int = 0
    lost: int = 0
    """Those whose connection broke, or that were not answered with 200."""
    passed: int = 0
    """Those that passed and must not."""
    blocked: int = 0
    """Those that were blocked and must not be."""
    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else 0.0

    @property
    def slowest(self) -> float:
        return max(self.seconds, default=0.0)


class Load:
    """Requests one after the other, by several clients, until told to stop."""

    def __init__(self, root: str) -> None:
        self._url = f"{root}/v1/chat/completions"
        self.phases: list[Phase] = []
        self.ids: list[str] = []
        """Of the requests that were answered."""
        self.stop = False

    def enter(self, name: str) -> Phase:
        """What ends from now on belongs to another phase."""
        self.phases.append(Phase(name))
        return self.phases[-1]

    async def client(self, number: int) -> None:
        turn = 0
        while not self.stop:
            turn += 1
            text, sign = ASKED[turn % len(ASKED)]
            if text is not UNSAFE:  # every eighth is one that no replica has seen
                text = f"{text} Number {number} of {turn // 8}."
            await self._ask(text, sign)

    async def _ask(self, text: str, sign: bytes) -> None:
        started = time.perf_counter()
        try:
            status, headers, body = await post(self._url, chat(text))
        except aiohttp.ClientError:
            status, headers, body = 0, {}, b""
        phase = self.phases[-1]
        phase.requests += 1
        phase.seconds.append(time.perf_counter() - started)
        if status != 200:
            phase.lost += 1
            return
        self.ids.append(headers["x-bluecode-request-id"])
        stopped = any(told in body for _, told in ASKED if told)
        phase.passed += bool(sign) and sign not in body
        phase.blocked += stopped and not sign


@dataclass(slots=True)
class Stack:
    """All that runs."""

    folder: Path
    upstream: str
    one: Store
    base: Server
    balancer: Balancer
    root: str
    replicas: list[Replica]
    stack: AsyncExitStack

    async def join(self) -> Replica:
        """One more replica, once it is ready."""
        settings = {
            "policy": str(self.folder / "policy.toml"),
            "shared": self.one.url,
            "seal_key": SEAL,
            "audit_database": self.base.url,
            "database": self.base.url,
        }
        made = self.stack.enter_context(replica(self.folder, f"{self.upstream}/v1", **settings))
        await made.ready()
        self.replicas.append(made)
        self.balancer.backends = [item.port for item in self.replicas]
        return made

    def kill(self, lost: Replica) -> None:
        """As a machine dies; the balancer finds out by itself."""
        lost.process.kill()
        self.replicas.remove(lost)

    async def until(self, line: str) -> None:
        """Wait until all replicas show this line among their metrics."""
        with anyio.fail_after(120):
            for one in self.replicas:
                while line not in (await fetched(f"{one.root}/metrics"))[1]:
                    await anyio.sleep(0.1)

    async def audited(self) -> set[str]:
        """Ids of the requests in the audit."""
        return await anyio.to_thread.run_sync(_ids, self.base.url)


def _ids(url: str) -> set[str]:
    with Database(url, lasting=False).begin() as rows:
        return {row[0] for row in rows.execute("SELECT request_id FROM bluecode_audit")}


@asynccontextmanager
async def standing(folder: Path, replicas: int = 2) -> AsyncIterator[Stack]:
    """Everything, with one record of the user's in force."""
    await anyio.Path(folder / "policy.toml").write_text(STATIC)
    async with (
        store() as one,
        database() as base,
        serving(scripted_model(pace=0.001)) as upstream,
        balanced() as (balancer, root),
        AsyncExitStack() as stack,
    ):
        records = RecordStore(Database(base.url, lasting=False), seal=SEAL.encode())
        await anyio.to_thread.run_sync(in_force, records, case())
        made = Stack(folder, upstream, one, base, balancer, root, [], stack)
        for _ in range(replicas):
            await made.join()
        yield made


REDIS, RECORDS, AUDIT = (
    'bluecode_shared_up{store="redis"}',
    'bluecode_database_up{use="records"}',
    'bluecode_database_up{use="audit"}',
)
UP, DOWN = " 1.0", " 0.0"


async def killing(stack: Stack, load: Load, seconds: float) -> None:
    """Kill each of them while requests go on, and have it come back."""
    await _phase(stack, load, "all there", seconds, REDIS + UP, RECORDS + UP, AUDIT + UP)
    stack.one.kill()
    await _phase(stack, load, "Redis killed", seconds, REDIS + DOWN, RECORDS + UP)
    await stack.one.start()
    await _phase(stack, load, "Redis back", seconds, REDIS + UP)
    stack.base.kill()
    await _phase(stack, load, "PostgreSQL killed", seconds, RECORDS + DOWN, AUDIT + DOWN)
    await stack.base.start()
    await _phase(stack, load, "PostgreSQL back", seconds, RECORDS + UP, AUDIT + UP)
    load.enter("a replica killed")
    stack.kill(stack.replicas[0])
    await anyio.sleep(seconds)
    load.enter("another in its place")
    await stack.join()
    await anyio.sleep(seconds)


async def _phase(stack: Stack, load: Load, name: str, seconds: float, *lines: str) -> None:
    """Until all replicas show it, and so many seconds more."""
    load.enter(name)
    for line in lines:
        await stack.until(line)
    await anyio.sleep(seconds)


async def run(stack: Stack, seconds: float) -> Load:
    """The load, and what came of it."""
    load = Load(stack.root)
    load.enter("start")
    async with anyio.create_task_group() as tasks:
        for number in range(CLIENTS):
            tasks.start_soon(load.client, number)
        await killing(stack, load, seconds)
        load.stop = True
    return load
