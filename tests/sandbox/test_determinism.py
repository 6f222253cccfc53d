"""The same snippet does the same in every run, on whatever worker and under whatever load."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest

from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.workers import Sandbox

RUNS = int(os.environ.get("BLUECODE_RUNS", "50"))
PROBES = [
    {"kind": kind, "id": kind, "value": value}
    for kind, value in {"shell": "<T>;x", "sql": "<T>' OR 1", "path": "../<T>"}.items()
]
SNIPPETS = {
    "python": (
        "import os, random, time, sqlite3, uuid\n"
        "def f(name):\n"
        "    os.system(f'ls {name} {random.random()} {time.time()} {uuid.uuid4()}')\n"
        "    sqlite3.connect('a').execute('SELECT ' + name)\n"
        "    return {hash(name), id(name), name} and open('/srv/' + name).read()\n"
    ),
    "javascript": (
        "const { exec } = require('child_process')\n"
        "exports.f = async (name) => {\n"
        "  exec(`ls ${name} ${Math.random()} ${Date.now()} ${performance.now()}`)\n"
        "  await Promise.all([fetch('http://a/' + name), new Promise((ok) => setTimeout(ok, 9))])\n"
        "  require('fs').readFileSync('/srv/' + name)\n}\n"
    ),
}


def job(language: str) -> Program:
    text = {"code": SNIPPETS[language], "token": "zqzqzq", "probes": PROBES, "claims": []}
    return Program(language, json.dumps(text).encode())


@pytest.mark.parametrize("language", SNIPPETS)
async def test_fuel_and_events_are_the_same_in_every_run(cache_folder: Path, language: str) -> None:
    outcomes: list[Outcome] = []

    async def run(sandbox: Sandbox) -> None:
        outcomes.append(await sandbox.run(job(language), Limits(seconds=20)))

    async with Sandbox.open(cache=cache_folder, workers=2, queue=RUNS, wait=300) as sandbox:
        async with anyio.create_task_group() as tasks:
            for _ in range(RUNS):
                tasks.start_soon(run, sandbox)

    assert len(outcomes) == RUNS and len(outcomes[0].events) > 10
    assert {outcome.ended for outcome in outcomes} == {"exited"}
    assert len({outcome.fuel_used for outcome in outcomes}) == 1
    assert len({repr(outcome.events) for outcome in outcomes}) == 1
