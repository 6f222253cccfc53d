"""Every kind of probe of JavaScript with an unsafe, a safe and an only seemingly safe example."""

import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluecode.defenses.checkers.javascript_dynamic import LEFT_OUT, OWN, JavaScriptDynamic
from bluecode.defenses.checkers.probes import KINDS, PROBES
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, Evidence, Finding
from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.wasm import Guest

TWINS: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parents[2] / "data" / "dynamic_twins_javascript.toml").read_text("utf-8")
)
HARMLESS = {"argv", "header", "raw_header"}
"""Without a shell there is no syntax, and node refuses a line break in a header."""


class InProcess:
    ready = True

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        return self._guest.run(program.job, limits or Limits()).outcome()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    given = os.environ.get("BLUECODE_CACHE")
    folder = Path(given) if given else tmp_path_factory.mktemp("guest")
    steps: list[str] = []
    source = GuestSource.load(LANGUAGES["javascript"])
    with Guest(build(source, Cache(folder), steps.append)) as guest:
        yield InProcess(guest)


async def evidence(sandbox: InProcess, code: str, cwe: int) -> Evidence:
    claim = Finding(
        detector="rules",
        rule="javascript.some",
        category=Category.VULNERABLE_CODE,
        score=0.6,
        reason="A claim.",
        cwe=cwe,
        span=(1, 1_000),
    )
    snippet = Snippet(code=code, language="javascript", origin="fence")
    return (await JavaScriptDynamic(sandbox).test(snippet, [claim])).evidence[0]


def test_every_kind_of_probe_has_its_three_examples() -> None:
    assert set(TWINS) | HARMLESS == {*PROBES, *OWN} - LEFT_OUT
    for kind, twin in TWINS.items():
        assert kind in KINDS[twin["cwe"]]
        assert {"unsafe", "safe", "bypass"} <= set(twin)


@pytest.mark.parametrize("kind", TWINS)
@pytest.mark.parametrize("example", ["unsafe", "bypass"])
async def test_the_unsafe_and_the_seemingly_safe_are_confirmed(
    sandbox: InProcess, kind: str, example: str
) -> None:
    found = await evidence(sandbox, TWINS[kind][example], TWINS[kind]["cwe"])

    assert found.outcome == "confirmed", found.observed


@pytest.mark.parametrize("kind", TWINS)
async def test_the_safe_is_not(sandbox: InProcess, kind: str) -> None:
    found = await evidence(sandbox, TWINS[kind]["safe"], TWINS[kind]["cwe"])

    assert found.outcome != "confirmed", found.observed
