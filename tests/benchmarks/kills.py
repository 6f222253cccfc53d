"""What it costs that Redis, PostgreSQL and a replica are killed under load, in figures.

    PYTHONPATH=tests python tests/benchmarks/kills.py --seconds 10

Needs a Redis and a PostgreSQL, found as the tests find them (CONTRIBUTING.md).
"""

import argparse
import json
import tempfile
from dataclasses import asdict
from pathlib import Path

import anyio
from together import CLIENTS, Load, run, standing


async def main(seconds: float, replicas: int) -> tuple[Load, int]:
    """The phases; and how many answered requests the audit lacks."""
    with tempfile.TemporaryDirectory() as folder:
        async with standing(Path(folder), replicas) as stack:
            load = await run(stack, seconds)
            await anyio.sleep(5)
            return load, len(set(load.ids) - await stack.audited())


def show(load: Load, missing: int) -> None:
    print("| | requests | lost | wrongly passed | wrongly blocked | median | slowest |")
    print("|---|---|---|---|---|---|---|")
    for phase in (one for one in load.phases if one.requests):
        figures = (phase.requests, phase.lost, phase.passed, phase.blocked)
        times = (f"{1000 * value:.0f} ms" for value in (phase.median, phase.slowest))
        print("|", " | ".join(map(str, (phase.name, *figures, *times))), "|")
    print(f"\n{len(load.ids)} answered to {CLIENTS} clients; the audit lacks {missing} of them.")


if __name__ == "__main__":
    line = argparse.ArgumentParser()
    line.add_argument("--seconds", type=float, default=10.0, help="of each phase")
    line.add_argument("--replicas", type=int, default=3)
    line.add_argument("--json", type=Path)
    given = line.parse_args()
    load, missing = anyio.run(main, given.seconds, given.replicas)
    show(load, missing)
    if given.json:
        told = [{k: v for k, v in asdict(phase).items() if k != "seconds"} for phase in load.phases]
        given.json.write_text(json.dumps({"phases": told, "audit_lacks": missing}, indent=2))
