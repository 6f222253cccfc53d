"""What the sandbox costs, for each language: one command, a table, beside the targets.

    python tests/benchmarks/sandbox_bench.py [--runs 200] [--first] [--json FILE]

A run is measured end to end, through the worker process, one at a time; its processor time is
that of the worker, and for C that of the compiler, too, which each run needs; C is left out where
the extra `c` is not installed. `--first` adds a first start: guests initialised and compiled into
an empty folder. Run it on a machine that does nothing else: the processor times bear some company,
the rest does not.
"""

import argparse
import json
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import anyio

from bluecode.defenses.checkers import c_functions
from bluecode.defenses.checkers.c_cases import cases, harness, headers
from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.languages.c import program as c_program
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.workers import Sandbox

PROBES = [
    {"kind": kind, "id": f"{kind}{at}", "value": value}
    for kind, values in {
        "shell": ("<T>;id", "$(<T>)", "| <T>"),
        "sql": ("<T>' OR '1'='1", '<T>" --', "<T>; DROP"),
        "path": ("../../etc/<T>", "/etc/<T>", "..%2f<T>"),
    }.items()
    for at, value in enumerate(values)
]
EMPTY = {"python": "pass\n", "javascript": "0\n", "c": "int main(void) { return 0; }\n"}
TYPICAL = {
    "python": (
        "import os\nimport sqlite3\n\n\ndef ping(host):\n    os.system('ping -c 1 ' + host)\n\n\n"
        "def find(name):\n    connection = sqlite3.connect('app.db')\n"
        '    return connection.execute("SELECT * FROM t WHERE n = \'" + name + "\'").fetchall()\n'
    ),
    "javascript": (
        "const { exec } = require('child_process')\nconst db = require('pg').Pool()\n"
        "exports.ping = (host) => exec('ping -c 1 ' + host)\n"
        'exports.find = (name) => db.query("SELECT * FROM t WHERE n = \'" + name + "\'")\n'
    ),
}
TYPICAL["c"] = (
    "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n"
    'int ping(const char *host) {\n    char line[80];\n    sprintf(line, "ping -c 1 %s", host);\n'
    "    return system(line);\n}\n"
    "char *copy(const char *text, size_t size) {\n    char *made = malloc(size);\n"
    "    if (made) memcpy(made, text, size);\n    return made;\n}\n"
)
LOOP = {
    "python": "exec('while True: pass')\n",
    "javascript": "/^(a+)+$/.test('a'.repeat(99) + 1)\n",
    "c": "int main(void) { for (volatile int i = 0;; i++); }\n",
}
LANGUAGES = [name for name in EMPTY if name != "c" or found_zig() is not None]
TARGETS = {
    ("python", "typical probe, median ms"): 4.0,
    ("python", "typical probe, CPU ms"): 2.0,
    ("python", "probes/s, 2 workers"): 350.0,
    ("javascript", "typical probe, median ms"): 2.0,
    ("c", "typical probe, median ms"): 250.0,
    ("all", "second start, s"): 1.0,
    ("all", "cancelled run stopped, median ms"): 20.0,
}
LIMITS = Limits(fuel=1_500_000_000, seconds=20.0)  # fuel ends a run, whatever the load


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One line of the table."""

    language: str
    name: str
    value: float

    @property
    def target(self) -> float | None:
        return TARGETS.get((self.language, self.name))


def job(language: str, code: str) -> Program:
    """What the dynamic checkers would have run."""
    if language == "c":
        reading = c_functions.read(code, "c")
        tried = cases(reading.functions, code, "zqzqzq", {"shell"})
        text = headers(code, "c") + '#line 1 "program"\n' + reading.code
        return c_program(text + harness(reading.functions, "c"), [case.job for case in tried])
    text = {"code": code, "token": "zqzqzq", "probes": PROBES, "claims": []}
    return Program(language, json.dumps(text).encode())


async def measured(runs: int, first: bool) -> list[Figure]:
    figures = []
    if first:
        with tempfile.TemporaryDirectory() as folder:
            figures.append(Figure(language="all", name="first start, s", value=await start(folder)))
    await start(None)  # fills the cache
    figures.append(Figure(language="all", name="second start, s", value=await start(None)))
    for language in LANGUAGES:
        figures += await one_at_a_time(language, runs)
        for workers in (1, 2):
            figures.append(await side_by_side(language, runs, workers))
        figures.append(await live_memory(language))
    figures.append(await cancelled(max(10, runs // 10)))
    return figures


async def start(folder: str | None) -> float:
    began = time.perf_counter()
    async with Sandbox.open(cache=Path(folder) if folder else None, workers=1) as sandbox:
        await sandbox.warm()
        return time.perf_counter() - began


async def one_at_a_time(language: str, runs: int) -> list[Figure]:
    figures = []
    async with Sandbox.open(workers=1) as sandbox:
        await sandbox.warm()
        worker = worker_of(sandbox)
        for name, code in (("empty run", EMPTY[language]), ("typical probe", TYPICAL[language])):
            program = job(language, code)
            await sandbox.run(program, LIMITS)
            spent, times = processor_time(worker), []
            for _ in range(runs):
                began = time.perf_counter()
                outcome = await sandbox.run(program, LIMITS)
                times.append((time.perf_counter() - began) * 1000)
                assert outcome.finished
            spent = (processor_time(worker) - spent) / runs * 1000
            median = statistics.median(times)
            for what, value in (("median ms", median), ("best ms", min(times)), ("CPU ms", spent)):
                figures.append(Figure(language=language, name=f"{name}, {what}", value=value))
    return figures


async def side_by_side(language: str, runs: int, workers: int) -> Figure:
    program = job(language, TYPICAL[language])
    async with Sandbox.open(workers=workers, wait=120) as sandbox:
        await sandbox.warm()
        while len(sandbox._workers) < workers:
            await anyio.sleep(0.01)
        began = time.perf_counter()
        async with anyio.create_task_group() as tasks:
            for _ in range(4 * workers):
                tasks.start_soon(repeat, runs // (4 * workers) + 1, sandbox.run, program, LIMITS)
        rate = 4 * workers * (runs // (4 * workers) + 1) / (time.perf_counter() - began)
    name = f"probes/s, {workers} worker{'s' if workers > 1 else ''}"
    return Figure(language=language, name=name, value=rate)


async def repeat(times: int, run: Callable[..., object], program: Program, limits: Limits) -> None:
    for _ in range(times):
        await run(program, limits)  # type: ignore[misc]


async def live_memory(language: str) -> Figure:
    """Megabytes that a worker takes more while a guest lives in it."""
    async with Sandbox.open(workers=1) as sandbox:
        await sandbox.warm()
        await sandbox.run(job(language, EMPTY[language]), LIMITS)
        worker = worker_of(sandbox)
        before = most = private_memory(worker)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(sandbox.run, job(language, LOOP[language]), Limits(fuel=10**13))
            for _ in range(300 if language == "c" else 60):  # it is compiled first
                await anyio.sleep(0.005)
                most = max(most, private_memory(worker))
            tasks.cancel_scope.cancel()
    return Figure(
        language=language, name="memory of a live instance, MB", value=(most - before) / 1e6
    )


async def cancelled(runs: int) -> Figure:
    """From the cancellation until the worker is free for the next run."""
    times = []
    async with Sandbox.open(workers=1) as sandbox:
        await sandbox.warm()
        for _ in range(runs):
            with anyio.move_on_after(0.02):
                await sandbox.run(job("python", LOOP["python"]), Limits(fuel=10**13, seconds=30))
            began = time.perf_counter()
            worker = await sandbox._turns.take("bench", 5.0)
            times.append((time.perf_counter() - began) * 1000)
            assert worker is not None
            sandbox._turns.give(worker)
    return Figure(
        language="all", name="cancelled run stopped, median ms", value=statistics.median(times)
    )


def worker_of(sandbox: Sandbox) -> int:
    (worker,) = sandbox._workers
    return worker.pid


def processor_time(process: int) -> float:
    """Seconds of processor time so far, with that of compilers that have ended; Linux only."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + ended.ru_utime + ended.ru_stime


def private_memory(process: int) -> int:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Private_Dirty"))


def show(figures: list[Figure]) -> None:
    for figure in figures:
        target = "" if figure.target is None else f"   target {figure.target:g}"
        print(f"{figure.language:<11} {figure.name:<34} {figure.value:>9.2f}{target}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--first", action="store_true", help="measure a first start, too")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    figures = anyio.run(measured, given.runs, given.first)
    show(figures)
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; "
          f"own peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB")  # fmt: skip
    if given.json:
        rows = [{"language": f.language, "name": f.name, "value": f.value} for f in figures]
        given.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
