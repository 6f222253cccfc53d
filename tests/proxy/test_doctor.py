"""`bluecode doctor`: what works is said to, what does not is never hidden."""

import json
from pathlib import Path
from typing import Any

import pytest
from serving import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluecode.proxy import doctor
from bluecode.proxy.__main__ import main
from bluecode.proxy.config import Config, Secret

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
