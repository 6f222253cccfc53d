"""`bluecode doctor`: what works is said to, what does not is never hidden."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judges import JudgeServer, verdict
from own_records import case, in_force
from postgres_server import database, needs_postgres
from receiver import receiving
from redis_server import needs_redis, store
from serving import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluecode.defenses.record_store import RecordStore
from bluecode.proxy import doctor, neighbours
from bluecode.proxy.__main__ import main
from bluecode.proxy.capture_keys import make
from bluecode.proxy.config import Config, JudgeConfig, Secret, UpstreamConfig

KEY = "sk-a-key-that-nobody-may-see"


def provider(header: str, value: str, status: int = 200) -> Starlette:
    """Lists two models for whoever brings the key in its header."""

    async def models(request: Request) -> Response:
        if request.headers.get(header) != value:
            return JSONResponse({"error": "who are you?"}, 401)
        return JSONResponse({"data": [{"id": "a"}, {"id": "b"}]}, status)

    return Starlette(routes=[Route("/v1/models", models)])


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = main(["doctor", "--format", "json", *arguments])
    told = json.loads(capsys.readouterr().out)
    return status, {"healthy": told["healthy"], **{p["part"]: p for p in told["parts"]}}


def test_all_that_works_is_tried_and_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, told = report(capsys, "--upstream", "demo")
    assert (status, told["healthy"]) == (0, True)
    assert "malice" in told["detectors"]["told"] and "python" in told["detectors"]["told"]
    assert told["sandbox, python"]["state"] == told["sandbox, javascript"]["state"] == "ok"
    assert "WebAssembly" in told["walls"]["told"]
    assert "wasmtime" in told["versions"]["told"]


@pytest.mark.parametrize(
    ("arguments", "part", "says"),
    [
        ([], "upstream", "--upstream"),
        (["--upstream", "http://127.0.0.1:9/v1"], "upstream", "cannot be reached"),
        (["--upstream", "demo", "--policy", "missing.toml"], "policy", "cannot be read"),
    ],
)
def test_what_is_needed_and_does_not_work_is_a_failure(
    arguments: list[str], part: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, told = report(capsys, *arguments)
    assert (status, told["healthy"]) == (1, False)
    assert told[part]["state"] == "failed" and says in told[part]["told"]


def test_a_policy_that_is_weaker_is_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('shadow = true\ndisabled = ["dynamic"]\n')
    status, told = report(capsys, "--upstream", "demo", "--policy", str(policy))
    assert status == 0
    assert told["policy"]["state"] == told["sandbox"]["state"] == "note"
    assert "shadow" in told["policy"]["told"] and "dynamic" in told["sandbox"]["told"]


def test_the_table_sums_up(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["doctor", "--upstream", "demo"]) == 0
    shown = capsys.readouterr().out
    assert "✓" in shown and "All that is needed works." in shown


HEADERS = [
    ("authorization", f"Bearer {KEY}"), ("x-api-key", KEY), ("x-goog-api-key", KEY),
]  # fmt: skip


@pytest.mark.parametrize(("header", "value"), HEADERS)
async def test_the_upstream_is_asked_in_the_way_of_each_protocol(header: str, value: str) -> None:
    async with serving(provider(header, value)) as root:
        found = await doctor.upstream(Config(upstream=f"{root}/v1", upstream_key=Secret(KEY)))
    assert (found.state, KEY in found.told) == ("ok", False)
    assert "2 models" in found.told


@pytest.mark.parametrize(
    ("key", "status", "state", "says"),
    [
        (None, 200, "ok", "clients must bring"),
        (Secret("wrong"), 200, "failed", "refuses the key"),
        (Secret(KEY), 503, "failed", "503"),
        (Secret(KEY), 404, "note", "no models"),
    ],
)
async def test_what_the_upstream_answers_is_told(
    key: Secret | None, status: int, state: str, says: str
) -> None:
    async with serving(provider("x-api-key", KEY, status)) as root:
        found = await doctor.upstream(Config(upstream=f"{root}/v1", upstream_key=key))
    assert found.state == state and says in found.told


async def examined(judge: JudgeConfig) -> doctor.Finding:
    (found,) = await doctor._judge(Config(judge=judge))
    return found


@pytest.mark.parametrize(
    ("say", "state", "told"),
    [
        (verdict("safe"), "ok", "m decides"),
        (verdict("unsafe"), "failed", "calls a harmless text unsafe"),
        (500, "failed", "refused (500)"),
        (b"?", "failed", "no completion"),
    ],
)
async def test_a_judge_is_tried(say: Any, state: str, told: str) -> None:
    async with serving(JudgeServer(say).app) as root:
        found = await examined(JudgeConfig(model="m", base_url=f"{root}/v1"))
    assert (found.part, found.state) == ("judge", state) and told in found.told


async def test_a_judge_without_its_key_is_told() -> None:
    config = JudgeConfig(model="m", base_url="http://127.0.0.1:9/v1", api_key_env="NO_SUCH_KEY")
    assert "NO_SUCH_KEY" in (await examined(config)).told


def test_a_store_of_records_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.db"
    assert doctor._records(Config(knowledge=path)) == []
    in_force(RecordStore.at(path, create=True), case())
    (found,) = doctor._records(Config(knowledge=path))
    assert found.state == "ok" and found.told.startswith("1 in force")
    path.write_bytes(b"broken" * 1000)
    (found,) = doctor._records(Config(knowledge=path))
    assert found.state == "failed"


async def of(config: Config) -> list[tuple[str, str, str]]:
    return [(item.part, item.state, item.told) for item in await neighbours.all_of(config)]


async def test_where_nothing_stands_beside_it_nothing_is_said() -> None:
    assert await of(Config()) == []


@needs_redis
async def test_a_store_is_tried_and_timed() -> None:
    async with store() as one:
        config = Config(shared=Secret(one.url), seal_key=Secret("a seal"), shared_wait=5.0)
        ((part, state, told),) = await of(config)
        slow = await of(replace(config, shared_wait=1e-9))
        alone = await of(replace(config, seal_key=None))
        one.kill()
        lost = await of(config)

    assert (part, state) == ("store", "ok") and "answers in" in told
    assert slow[0][1] == "note" and "shared_wait" in slow[0][2]
    assert alone[0][1] == "failed" and "seal_key" in alone[0][2]
    assert lost[0][1] == "failed" and "go on alone" in lost[0][2]


@needs_postgres
async def test_a_database_is_tried() -> None:
    async with database() as one:
        config = Config(database=Secret(one.url), audit_database=Secret(one.url))
        there = await of(config)
        one.kill()
        lost = await of(config)

    assert [(part, state) for part, state, _ in there] == [
        ("audit database", "ok"),
        ("database", "ok"),
    ]
    assert [state for _, state, _ in lost] == ["failed", "failed"]
    assert "secret" not in f"{there}{lost}"


async def test_a_receiver_of_traces_is_tried() -> None:
    async with receiving() as receiver:
        config = Config(traces=receiver.root)
        there = await of(config)
        receiver.refuses = True
        refused = await of(config)

    assert [told[:2] for told in (*there, *refused)] == [("traces", "ok"), ("traces", "failed")]


async def test_captures_are_tried(tmp_path: Path) -> None:
    public = make(tmp_path / "private.key")
    good = Config(capture=tmp_path / "captured", capture_key=public)
    for config, wanted in (
        (good, "ok"),
        (replace(good, capture_key=""), "failed"),
        (replace(good, capture_key=(tmp_path / "private.key").read_text()), "failed"),
        (replace(good, capture=tmp_path / "private.key"), "failed"),
    ):
        assert [state for _, state, _ in await of(config)] == [wanted]
    assert list((tmp_path / "captured").iterdir()) == []


async def test_each_of_several_upstreams_is_asked_and_its_models_are_told() -> None:
    async with serving(provider("authorization", f"Bearer {KEY}")) as root:
        first = UpstreamConfig(
            name="main", upstream=f"{root}/v1", key=Secret(KEY), models=("gpt-*",),
            aliases={"fast": "gpt-mini"}, protocols=("openai",), fallbacks=("spare",),
        )  # fmt: skip
        second = UpstreamConfig(name="spare", upstream="http://127.0.0.1:1/v1", models=("x",))
        third = UpstreamConfig(name="odd", upstream="demo", key_env="NO_SUCH_KEY_HERE")
        config = Config(upstream="demo", upstreams=(first, second, third))
        found = await doctor._upstreams(config)
    assert [(item.part, item.state) for item in found] == [
        ("upstream, main", "ok"),
        ("upstream, spare", "failed"),
        ("upstream, odd", "failed"),
        ("upstream, default", "ok"),
    ]
    assert found[0].told.endswith(
        "with 2 models; for gpt-*, fast (as gpt-mini), in the protocols openai; then spare"
    )
    assert "NO_SUCH_KEY_HERE" in found[2].told and "every other model" in found[3].told
    assert not any(KEY in item.told for item in found)
