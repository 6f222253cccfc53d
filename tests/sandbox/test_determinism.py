"""The same snippet does the same in every run, on whatever worker and under whatever load."""

from __future__ import annotations

import json
import os
from pathlib import Path

import anyio
import pytest

from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.languages.c import MAIN, Field, case, program
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
    "c": (
        "#include <stdio.h>\n#include <stdlib.h>\n#include <time.h>\n#include <unistd.h>\n"
        "static int f(char *name) {\n"
        "  char line[80], *copy = malloc(40);\n"
        '  snprintf(line, sizeof line, "ls %s %p %d %ld", name, (void *)copy, rand(),'
        " (long)time(0));\n"
        '  system(line); system(name); unlink(name); getenv(name); fopen(name, "r");\n'
        "  unsigned sum = getpid(); for (int i = 0; i < 9999; i++) sum = sum * 31 + line[i % 40];\n"
        '  printf("%u %p\\n", sum, (void *)line); copy[40] = 1; return 0;\n}\n'
        "int main(int count, char **list) { return f(list[1]); }\n"
    ),
}


def job(language: str) -> Program:
    if language == "c":
        code = SNIPPETS[language] + MAIN % "__bluecode_keep(main(count, list));"
        fields = [Field("A", b"program"), Field("A", b"zqzqzqa;x", 1), Field("M", b"zqzqzq")]
        return program(code, [case(fields)] * 4)
    text = {"code": SNIPPETS[language], "token": "zqzqzq", "probes": PROBES, "claims": []}
    return Program(language, json.dumps(text).encode())


@pytest.mark.parametrize("language", SNIPPETS)
async def test_fuel_and_events_are_the_same_in_every_run(cache_folder: Path, language: str) -> None:
    if language == "c" and found_zig() is None:
        pytest.skip("the extra `c` is not installed")
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
