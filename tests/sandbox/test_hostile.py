"""Hostile snippets of `tests/data/hostile/`, each run in a worker: it ends as expected, the worker
lives on, nothing was said in the harness's name, and the next run is as if nothing had been."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.languages.c import MAIN, Field
from bluecode.sandbox.languages.c import case as given
from bluecode.sandbox.languages.c import program as compiled
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.workers import Sandbox

FOLDER = Path(__file__).parents[1] / "data" / "hostile"
TOKEN = "zqzqzq"
# Fuel ends what does not end by itself, so that a busy machine changes nothing.
LIMITS = Limits(fuel=120_000_000, seconds=20.0, memory=96 * 1024**2, output=64 * 1024)
CALM = {
    "python": "import os\ndef f(name):\n    os.system('ls ' + name)\n",
    "javascript": (
        "const { exec } = require('child_process')\nmodule.exports = (name) => exec('ls ' + name)\n"
    ),
    "c": "#include <stdlib.h>\nint main(int count, char **list) { return system(list[1]); }\n",
}
GIVEN = [Field("A", b"program"), Field("A", f"{TOKEN}a;x".encode(), 1), Field("M", TOKEN.encode())]
COPIES = re.compile(r"\{(\d+)\*(.*?)\}(?!\})")
"""In `generated`: `{9*ab}` is `ab` nine times."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One hostile snippet."""

    language: str
    name: str
    code: str
    ends: list[str]
    tells: str = ""
    """A trusted event that the attempt causes."""
    keeps: str = ""
    """A kind of sink that is told in spite of the attempt, with the payload."""
    finds: str = ""
    """A defect that is told."""
    refused: str | None = None
    """Part of the reason why it is not compiled; not even that it is, without."""
    dialect: str = "c"
    tampers: bool = False
    """It writes over the memory of what tells: nothing is then said of the events."""
    fuel: int = LIMITS.fuel

    def __str__(self) -> str:
        return f"{self.language}: {self.name}"


def cases() -> list[Case]:
    found = []
    for path in sorted(FOLDER.glob("*/*.toml")):
        table = tomllib.loads(path.read_text())
        shared = {name: value for name, value in table.items() if name != "case"}
        for case in table["case"]:
            if "generated" in case:
                case["code"] = COPIES.sub(copied, case.pop("generated"))
            found.append(Case(language=path.parent.name, **shared, **case))
    return found


def copied(found: re.Match[str]) -> str:
    return found[2] * int(found[1])


def job(language: str, code: str, dialect: str = "c") -> Program:
    if language == "c":
        call = MAIN % "__bluecode_keep(main(count, list));"
        begin, end = ('extern "C" {', "}") if dialect == "cpp" else ("", "")
        text = f'#line 1 "program"\n{code}\n{begin}{call}{end}'
        return compiled(text, [given(GIVEN)], dialect=dialect)
    probes = [{"kind": "shell", "id": "shell0", "value": "<T>;x"}]
    claims = [{"first": 1, "last": 99, "kinds": ["shell"]}]
    request = {"code": code, "token": TOKEN, "probes": probes, "claims": claims}
    return Program(language, json.dumps(request).encode())


class Place:
    """A sandbox with one worker, for tests that are not asynchronous themselves."""

    def __init__(self, portal: BlockingPortal, sandbox: Sandbox) -> None:
        self._portal, self.sandbox = portal, sandbox
        spoken = [name for name in CALM if name != "c" or found_zig()]
        self.calm = {name: self.run(name, CALM[name]) for name in spoken}

    def run(self, language: str, code: str, fuel: int = LIMITS.fuel, dialect: str = "c") -> Outcome:
        limits = replace(LIMITS, fuel=fuel)
        return self._portal.call(self.sandbox.run, job(language, code, dialect), limits)


@pytest.fixture(scope="module")
def place(cache_folder: Path) -> Iterator[Place]:
    with start_blocking_portal() as portal:
        opened = Sandbox.open(cache=cache_folder, workers=1)
        with portal.wrap_async_context_manager(opened) as sandbox:
            portal.call(sandbox.warm)
            yield Place(portal, sandbox)


@pytest.mark.parametrize("case", cases(), ids=str)
def test_a_hostile_snippet_harms_nobody(place: Place, case: Case) -> None:
    if case.language == "c" and found_zig() is None:
        pytest.skip("the extra `c` is not installed")
    outcome = place.run(case.language, case.code, case.fuel, case.dialect)

    assert outcome.ended in case.ends
    assert outcome.memory_peak <= LIMITS.memory and outcome.fuel_used <= case.fuel
    assert case.tampers or outcome.malformed == 0
    assert not [event for event in outcome.events if event.kind == "forged"]
    if case.refused is not None:
        (uncompiled,) = [event for event in outcome.events if event.kind == "unreadable"]
        assert case.refused in str(uncompiled.args[1])
    if case.finds:
        assert case.finds in {event.args[0] for event in outcome.events if event.kind == "fault"}
    if case.tells:
        assert case.tells in {event.kind for event in outcome.events if event.trusted}
    if case.keeps:
        assert (case.keeps, f"ls {TOKEN}a;x") in sinks(outcome)

    assert place.sandbox.counters.replaced == 0
    after = place.run(case.language, CALM[case.language])
    assert seen(after) == seen(place.calm[case.language])


def test_the_corpus_is_as_large_as_promised() -> None:
    names = [str(case) for case in cases()]
    languages = Counter(case.language for case in cases())

    assert len(names) == len(set(names)) >= 400
    assert all(languages[name] >= 80 for name in CALM)


def sinks(outcome: Outcome) -> set[tuple[Any, Any]]:
    told = [event.args for event in outcome.events if event.kind == "sink" and not event.trusted]
    return {(args[0], args[3]) for args in told if len(args) > 3}


def seen(outcome: Outcome) -> tuple[object, ...]:
    """What two runs of the same snippet have in common."""
    return outcome.ended, outcome.finished, outcome.events, outcome.fuel_used, outcome.output
