"""Many runs in a row: what a worker keeps, and what it asks of the kernel.

    python tests/benchmarks/sandbox_soak.py [--runs 100000]
    python tests/benchmarks/sandbox_soak.py --calls --runs 1000

The first prints a worker's descriptors, memory maps and resident memory on the way, which must stay
flat. The second runs under `strace`, prints the system calls of the worker once it has started, and
ends with 1 if a file was opened, a socket made or a process started.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import anyio
from sandbox_bench import EMPTY, LANGUAGES, LIMITS, TYPICAL, job, worker_of

from bluecode.sandbox.workers import Sandbox, Service

FORBIDDEN = re.compile(r"open|creat|socket|connect|accept|bind|clone|fork|exec|unlink|rename|kill")


async def soak(runs: int, languages: Sequence[str]) -> int:
    jobs = [job(language, EMPTY[language]) for language in languages]
    async with Sandbox.open(workers=1, service=Service(runs=runs + 1)) as sandbox:
        await sandbox.warm()
        worker = worker_of(sandbox)
        for number in range(runs):
            await sandbox.run(jobs[number % len(jobs)], LIMITS)
            if number in (200, runs // 4, runs // 2, runs - 1):
                print(f"{number:>7} runs: worker {kept(worker)}; service {kept(os.getpid())}")
    return 0


def kept(process: int) -> str:
    folder = Path("/proc", str(process))
    pages = int((folder / "statm").read_text().split()[1])
    maps = len((folder / "maps").read_text().splitlines())
    megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 1e6
    return f"{len(os.listdir(folder / 'fd'))} descriptors, {maps} maps, {megabytes:.1f} MB"


async def calls(runs: int, languages: Sequence[str]) -> int:
    jobs = [job(language, TYPICAL[language]) for language in languages]
    with tempfile.NamedTemporaryFile("r") as report:
        async with Sandbox.open(workers=1) as sandbox:
            await sandbox.warm()
            command = ["strace", "-f", "-c", "-o", report.name, "-p", str(worker_of(sandbox))]
            async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as tracer:
                await anyio.sleep(1)  # until it is attached
                for number in range(runs):
                    await sandbox.run(jobs[number % len(jobs)], LIMITS)
                tracer.terminate()
                await tracer.wait()
        rows = [line.split() for line in report.read().splitlines()[2:-2]]
    for row in rows:
        print(f"{row[3]:>8}  {row[-1]}")
    return int(any(FORBIDDEN.search(row[-1]) for row in rows) or not rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--calls", action="store_true", help="count system calls by strace")
    parser.add_argument(
        "--only", choices=LANGUAGES, help="a single language; each run of C takes a compilation"
    )
    given = parser.parse_args()
    languages = [given.only] if given.only else LANGUAGES
    return anyio.run(calls if given.calls else soak, given.runs, languages)


if __name__ == "__main__":
    sys.exit(main())
