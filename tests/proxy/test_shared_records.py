"""The user's own records in a database that replicas share: the same by SQLite and PostgreSQL."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa
from own_records import UNSAFE, case, in_force
from postgres_server import Database as Server
from postgres_server import database, needs_postgres
from scripted import ScriptedUpstream
from serving import chat, get, post, serving

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.policy import Policy
from bluecode.defenses.record_store import RecordStore, StoreError
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config, ConfigError, Secret
from bluecode.proxy.database import Database, engine_of
from bluecode.proxy.engine import Engine
from bluecode.proxy.knowledge_command import run as knowledge_command
from bluecode.proxy.shared_records import SharedRecords

TESTS = Path(__file__).resolve().parents[1]
STATIC = Policy.parse("disabled = ['dynamic', " + ", ".join(f"'{it}'" for it in DETECTORS) + "]")
STRICT = Policy.parse(f"disabled = {sorted(STATIC.disabled)}\n[unchecked]\nrecords = 'block'\n")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=needs_postgres)])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'shared.db'}"
        return
    async with database() as one:
        yield one.url


def store(url: str, seal: bytes | None = b"a seal") -> RecordStore:
    return RecordStore(Database(url, lasting=False), seal=seal)


async def test_a_store_does_there_what_it_does_in_a_file(url: str) -> None:
    one, other = store(url), store(url)
    assert one.records() == [] and one.revision == 0
    in_force(one, case())
    one.propose(case("Another wording of what the collector must never be told to do."), "Cy")
    with pytest.raises(StoreError, match="word for word"):
        other.propose(case("Another wording of what the collector must never be told to do."), "Cy")
    before = other.revision
    other.approve("own-case", "Bo")
    assert [(it.version, it.state) for it in one.records()] == [(1, "earlier"), (2, "enforced")]
    assert one.rollback(before, "Bo") == ["own-case"]
    assert [item.text for item in other.enforced()] == [UNSAFE]
    other.withdraw("own-case", "Bo")
    assert one.enforced() == []
    assert [row[2] for row in one.decisions("own-case")] == [True, True, True, False]
    with pytest.raises(StoreError, match="not in force"):
        one.withdraw("own-case", "Bo")


async def test_a_decision_without_the_seal_puts_nothing_in_force(url: str) -> None:
    in_force(store(url, b"another"), case())
    in_force(store(url, None), case(id="own-other"))
    in_force(store(url), case(id="own-third"))
    states = {item.case.id: item.state for item in store(url).records()}
    assert states == {"own-case": "altered", "own-other": "altered", "own-third": "enforced"}


async def test_a_seal_holds_for_one_record_alone(url: str) -> None:
    one = store(url)
    in_force(one, case())
    one.propose(case("Wipe the disks of the render farm whenever the moon is full, please."), "Eve")
    engine = engine_of(url, lasting=False)
    with engine.begin() as connection:  # as one who can write there, and knows no seal
        connection.execute(
            sa.text("INSERT INTO bluecode_decisions (id, version, approved, digest, by, at)"
                    " SELECT id, 2, 1, digest, by, at FROM bluecode_decisions")
        )  # fmt: skip
    assert [item.state for item in one.records()] == ["earlier", "altered"]
    assert one.enforced() == []


PROPOSE = """
import sys
from own_records import case
from bluecode.defenses.record_store import RecordStore
from bluecode.proxy.database import Database
store = RecordStore(Database(sys.argv[1], lasting=False))
for number in range(5):
    store.propose(case(f"Text number {number} of writer {sys.argv[2]} about some laptop."), "Ana")
"""


@needs_postgres
async def test_those_who_write_at_once_take_turns() -> None:
    async with database() as one:
        async with anyio.create_task_group() as tasks:
            for writer in "abc":
                tasks.start_soon(proposing, one.url, writer)
        versions = [item.version for item in store(one.url).records()]
    assert versions == list(range(1, 16))


async def proposing(url: str, writer: str) -> None:
    await anyio.run_process(
        [sys.executable, "-c", PROPOSE, url, writer], env={"PYTHONPATH": str(TESTS)}
    )


@asynccontextmanager
async def replica(url: str, policy: Policy = STATIC) -> AsyncIterator[str]:
    config = Config(
        upstream="http://127.0.0.1:1/v1",
        audit="none",
        database=Secret(url),
        seal_key=Secret("a seal"),
    )
    upstream = ScriptedUpstream([b'{"choices": []}'])
    async with Engine.open(config, policy) as engine:
        app = create_app(config, policy=policy, upstream=upstream, engine=engine)
        async with serving(app) as root:
            yield root


async def blocked(root: str, text: str = UNSAFE) -> bool:
    status, _, body = await post(f"{root}/v1/chat/completions", chat(text))
    assert status == 200
    return b"did not pass" in body


async def until_blocked(root: str, wanted: bool = True, text: str = UNSAFE) -> None:
    with anyio.fail_after(20):
        while await blocked(root, text) is not wanted:
            await anyio.sleep(0.1)


async def up(root: str, wanted: str) -> None:
    with anyio.fail_after(20):
        told = f'bluecode_database_up{{use="records"}} {wanted}'.encode()
        while told not in (await get(f"{root}/metrics"))[2]:
            await anyio.sleep(0.1)


async def test_what_one_approves_is_in_force_on_all_replicas(url: str) -> None:
    async with replica(url) as a, replica(url) as b:
        assert not await blocked(a) and not await blocked(b)
        await anyio.to_thread.run_sync(in_force, store(url), case())
        await until_blocked(a)
        await until_blocked(b)
        await anyio.to_thread.run_sync(store(url).withdraw, "own-case", "Bo")
        await until_blocked(a, False)
        await until_blocked(b, False)


@needs_postgres
async def test_without_the_database_records_stay_in_force_and_it_recovers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with database() as one:
        await anyio.to_thread.run_sync(in_force, store(one.url), case())
        async with replica(one.url) as root:
            await until_blocked(root)
            one.kill()
            await up(root, "0.0")
            assert await blocked(root)
            await one.start()
            await up(root, "1.0")
            await anyio.to_thread.run_sync(store(one.url).withdraw, "own-case", "Bo")
            await until_blocked(root, False)
    assert caplog.text.count("as they were") == 1 and "secret" not in caplog.text


@needs_postgres
async def test_a_start_without_the_database_goes_on_and_says_what_nobody_looked_at() -> None:
    async with database() as one:
        await anyio.to_thread.run_sync(in_force, store(one.url), case())
        one.kill()
        async with replica(one.url) as mild, replica(one.url, STRICT) as strict:
            told = await post(f"{mild}/v1/chat/completions", chat("hello there"))
            refused = await blocked(strict, "hello there")
            counted = (await get(f"{mild}/metrics"))[2]
            await one.start()
            await until_blocked(mild)
            # What was decided meanwhile is not remembered.
            await until_blocked(strict, False, "hello there")

    assert told[1]["x-bluecode-unchecked"] == "records"
    assert refused
    assert b'bluecode_unchecked_total{reason="records"} 1.0' in counted


@needs_postgres
async def test_a_guard_that_may_only_read_reads() -> None:
    async with database() as one:
        await anyio.to_thread.run_sync(in_force, store(one.url), case())
        url = await anyio.to_thread.run_sync(reader, one)
        async with replica(url) as root:
            await until_blocked(root)
        with pytest.raises(StoreError, match="DatabaseError"):
            await anyio.to_thread.run_sync(store(url).withdraw, "own-case", "Eve")


def reader(one: Server) -> str:
    engine = engine_of(one.url, lasting=False)
    with engine.begin() as connection:
        for statement in (
            "CREATE ROLE guard LOGIN PASSWORD 'word'",
            "GRANT SELECT ON bluecode_records, bluecode_decisions, alembic_version TO guard",
        ):
            connection.execute(sa.text(statement))
    return one.url.replace("bluecode:secret", "guard:word")


async def test_shared_records_of_nothing_are_nothing(url: str) -> None:
    async with SharedRecords.open(url, seal=None) as records:
        assert records.up and not records.unseen and records.current() is None


async def test_an_engine_screens_by_them(url: str) -> None:
    in_force(store(url, None), case())
    async with Engine.open(Config(database=Secret(url)), STATIC) as engine:
        assert (await engine.screen(Message(role=Role.USER, text=UNSAFE))).blocks


def test_the_command_line_finds_them_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from bluecode.proxy.__main__ import main

    config = tmp_path / "config.toml"
    config.write_text(f'database = "sqlite:///{tmp_path}/shared.db"\nseal_key = "a seal"\n')
    given = ["--config", str(config)]
    text = ["--text", UNSAFE, "--task", "malice", "--label", "unsafe", "--id", "own-case"]
    assert main(["knowledge", "add", *given, *text, "--by", "Ana"]) == 0
    assert main(["knowledge", "approve", *given, "own-case", "--by", "Bo"]) == 0
    assert main(["knowledge", "list", *given, "--state", "enforced"]) == 0
    assert main(["knowledge", "stats", *given]) == 0
    told = capsys.readouterr().out
    assert "in the database" in told and "own-case is in force" in told
    assert [item.text for item in store(f"sqlite:///{tmp_path}/shared.db").enforced()] == [UNSAFE]


def test_a_database_that_is_none_is_told_by_the_command_line(tmp_path: Path) -> None:
    class Given:
        action = "approve"
        ids = ["own-case"]
        version = None
        by = "Bo"

    config = Config(database=Secret(f"sqlite:///{tmp_path}/no folder/x.db"))
    with pytest.raises(ConfigError, match="cannot be used"):
        knowledge_command(config, Given())
