"""The audit in a database: the same by SQLite and by a real PostgreSQL, and what is lost counts."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
import sqlalchemy as sa
from anyio.abc import SocketAttribute, SocketStream
from postgres_server import database, needs_postgres
from scripted import ScriptedUpstream, answer
from serving import chat, get, guarded, post

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Verdict, merge
from bluecode.proxy import audit_database, serving
from bluecode.proxy.__main__ import main
from bluecode.proxy.audit import Audit, Entry
from bluecode.proxy.audit_database import TABLE, WAITING, AuditDatabase
from bluecode.proxy.config import Config, ConfigError, Secret

ENTRY = Entry(
    request_id="bc-0",
    route="/chat/completions",
    client="other",
    key_name="alice",
    model="m",
    conversation="0123456789abcdef",
    scope="base",
    streamed=False,
    side=False,
    decision="block",
    policy="p",
    prompt=Verdict(action=Action.BLOCK, failed=("late",)),
    code=merge([]),
    messages=1,
    screened=1,
    replaced=0,
    snippets=[],
)
DANGER = answer({"content": "```python\ndanger()  # my own words\n```"})


@asynccontextmanager
async def audited(url: str, days: int = 0) -> AsyncIterator[tuple[Audit, list[None]]]:
    lost: list[None] = []
    async with AuditDatabase.open(url, days=days, lost=lambda: lost.append(None)) as kept:
        yield Audit("none", also=kept.add), lost


def write(audit: Audit, *numbers: int) -> None:
    for number in numbers:
        audit.write(replace(ENTRY, request_id=f"bc-{number}"))


def numbers(url: str) -> list[int]:
    told = [json.loads(line)["request_id"] for line in audit_database.lines(url)]
    return sorted(int(name.partition("-")[2]) for name in told)


async def until(url: str, count: int) -> None:
    """Wait until so many lines are there."""
    with anyio.fail_after(30):
        while True:
            try:
                if len(await anyio.to_thread.run_sync(numbers, url)) >= count:
                    return
            except OSError:
                pass
            await anyio.sleep(0.1)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'audit.db'}"


async def round_trip(url: str) -> None:
    async with audited(url) as (audit, lost):
        write(audit, *range(1_200))
    assert numbers(url) == list(range(1_200)) and lost == []
    async with audited(url) as (audit, lost):  # once more: each stands there once
        write(audit, *range(1_195, 1_205))
    assert numbers(url) == list(range(1_205)) and lost == []
    with connected(url) as connection:
        row = connection.execute(sa.select(TABLE).where(TABLE.c.request_id == "bc-7")).one()
    assert (row.key_name, row.decision, row.scope) == ("alice", "block", "base")


async def test_lines_are_there_once_and_whole_in_a_file(sqlite: str) -> None:
    await round_trip(sqlite)


@needs_postgres
async def test_lines_are_there_once_and_whole_in_postgresql() -> None:
    async with database() as one:
        await round_trip(one.url)


async def removal(url: str) -> None:
    now = datetime.now(UTC)
    async with audited(url) as (audit, _):
        write(audit, 1, 2)
    old = sa.update(TABLE).where(TABLE.c.request_id == "bc-1").values(at=now - timedelta(days=9))
    with connected(url) as connection:
        connection.execute(old)
    async with audited(url, days=7) as (audit, _):
        write(audit, 3)
    assert numbers(url) == [2, 3]


async def test_what_is_too_old_is_removed_from_a_file(sqlite: str) -> None:
    await removal(sqlite)


@needs_postgres
async def test_what_is_too_old_is_removed_from_postgresql() -> None:
    async with database() as one:
        await removal(one.url)


async def test_what_it_is_made_from_is_what_it_is(sqlite: str) -> None:
    """The last of the migrations and the table of the code say the same."""
    engine = audit_database.engine_of(sqlite)
    audit_database.migrate(engine)
    made = {
        column["name"]: (str(column["type"]), column["nullable"])
        for column in sa.inspect(engine).get_columns(TABLE.name)
    }
    wanted = {
        column.name: (column.type.compile(engine.dialect), column.nullable) for column in TABLE.c
    }
    indexes = {tuple(item["column_names"]) for item in sa.inspect(engine).get_indexes(TABLE.name)}
    engine.dispose()

    assert made == wanted
    assert indexes == {("at",), ("key_name",), ("decision",)}


@needs_postgres
@pytest.mark.parametrize("how", ["killed", "missing"])
async def test_without_the_database_lines_wait_and_none_is_lost(how: str) -> None:
    async with database() as one:
        if how == "missing":
            one.kill()
        async with audited(one.url) as (audit, lost):
            if how == "killed":
                write(audit, *range(10))
                await until(one.url, 10)
                one.kill()
            write(audit, *range(10, 40))
            await anyio.sleep(1)
            await one.start()
            await until(one.url, 40 if how == "killed" else 30)
        told = numbers(one.url)

    assert lost == []
    assert told == list(range(0 if how == "killed" else 10, 40))


async def test_more_lines_than_can_wait_are_counted_as_lost(tmp_path: Path) -> None:
    missing = f"sqlite:///{tmp_path / 'no folder' / 'audit.db'}"
    async with audited(missing) as (audit, lost):
        write(audit, *range(WAITING + 7))
        over = len(lost)

    assert over == 7
    assert len(lost) == WAITING + 7, "what waits at the end is lost too"


async def test_tables_of_a_newer_version_end_no_process(sqlite: str) -> None:
    async with audited(sqlite) as (audit, _):
        write(audit, 1)
    with connected(sqlite) as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'v9999'"))
        connection.commit()
    async with audited(sqlite) as (audit, lost):
        write(audit, 2)
        await anyio.sleep(1)

    assert numbers(sqlite) == [1] and len(lost) == 1


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"S", b"\0" * 40])
async def test_what_is_no_database_ends_no_process(said: bytes) -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(said)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, answer)
            async with audited(f"postgresql://u:p@127.0.0.1:{port}/a") as (audit, lost):
                write(audit, 1)
                await anyio.sleep(0.5)
            tasks.cancel_scope.cancel()

    assert len(lost) == 1


MIGRATE = """
import sys
from bluecode.proxy import audit_database
engine = audit_database.engine_of(sys.argv[1])
audit_database.migrate(engine)
engine.dispose()
"""


@needs_postgres
async def test_replicas_that_start_together_make_the_tables_once() -> None:
    command = [sys.executable, "-c", MIGRATE]
    async with database() as one, anyio.create_task_group() as tasks:
        for _ in range(3):
            tasks.start_soon(anyio.run_process, [*command, one.url])


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = audit_database.engine_of(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


async def served(url: str, policy: Policy) -> bytes:
    upstream = ScriptedUpstream([DANGER])
    settings = {"audit_database": Secret(url), "proxy_keys": {"alice": Secret("alice-key")}}
    async with guarded(upstream, policy=policy, **settings) as root:
        headers = {"Authorization": "Bearer alice-key"}
        for _ in range(3):
            status, _, _ = await post(f"{root}/v1/chat/completions", chat("hello"), headers)
            assert status == 200
        return (await get(f"{root}/metrics"))[2]


async def test_what_is_served_is_replayed_from_there(
    sqlite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = await served(sqlite, Policy.parse("shadow = true"))
    config = tmp_path / "config.toml"
    config.write_text(f'audit_database = "{sqlite}"\n', encoding="utf-8")

    status = await anyio.to_thread.run_sync(
        main, ["replay", "--config", str(config), "--format", "json"]
    )
    told = json.loads(capsys.readouterr().out)

    assert b"bluecode_audit_lost_total 0.0" in shown
    assert (status, told["newly_blocked"]) == (1, 3)


async def test_no_word_and_no_key_is_in_it(sqlite: str) -> None:
    await served(sqlite, Policy.default())
    raw = await anyio.Path(sqlite.removeprefix("sqlite:///")).read_bytes()

    assert b"alice" in raw
    assert not any(word in raw for word in (b"own words", b"danger()", b"alice-key", b"hello"))


@needs_postgres
async def test_requests_do_not_wait_for_a_database_that_is_gone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with database() as one:
        one.kill()
        await served(one.url, Policy.default())

    assert "secret" not in caplog.text
    assert caplog.text.count("cannot be written") == 1


def test_an_address_that_is_none_stops_the_start() -> None:
    for text in ("mysql://h/x", "audit.db", "postgres://h/x", "postgresql://h/x?sslmode=require"):
        with pytest.raises(ConfigError, match="postgresql://|verify-full"):
            Config.load(environ={"BLUECODE_AUDIT_DATABASE": text})
    told = Config.load(environ={"BLUECODE_AUDIT_DATABASE": "postgresql://u:word@h/x"})
    assert "word" not in repr(told)
    serving._look_ahead(replace(told, upstream="demo"))


def test_without_a_file_and_a_database_there_is_nothing_to_replay() -> None:
    assert main(["replay"]) == 2
