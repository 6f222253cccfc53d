"""Try clients and write down what came of it: `PYTHONPATH=tests python -m clients --help`."""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import anyio

from clients.catalogue import CLIENTS, Client
from clients.running import install, opened, run
from clients.scenes import SCENES

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "assistants" / "runs.json"


async def tried(client: Client, where: Path, scenes: Sequence[str]) -> dict[str, Any]:
    """Every scene that applies."""
    applying = [name for name in client.scenes or SCENES if name in scenes]
    async with opened() as engine:
        seen = {name: await run(client, where, name, engine) for name in applying}
    return {
        "package": client.package,
        "version": client.version(where),
        "protocol": client.protocol,
        "date": date.today().isoformat(),
        "scenes": seen,
    }


async def main(options: argparse.Namespace) -> int:
    wrong = 0
    for name in options.only or CLIENTS:
        client, where = CLIENTS[name], options.folder / name
        if options.install and not client.installed(where):
            install(client, where)
        if not client.installed(where):
            print(f"{name}: not installed", file=sys.stderr)
            continue
        if not options.scenes:
            continue
        found = await tried(client, where, options.scenes)
        wrong += any(not scene["right"] for scene in found["scenes"].values())
        print(name, found["version"], *map(_line, found["scenes"].items()), flush=True)
        if set(options.scenes) == set(SCENES):
            _write(name, found)
        if options.remove:
            shutil.rmtree(where)
    return 1 if wrong else 0


def _line(item: tuple[str, dict[str, Any]]) -> str:
    scene, seen = item
    told = "yes" if seen["right"] else "NO" if seen["ended"] else "HANGS"
    return f"| {scene}: {told} ({seen['requests']})"


def _write(name: str, found: dict[str, Any]) -> None:
    runs = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    kept = {known: run for known, run in runs.items() if known in CLIENTS}
    told = json.dumps({**kept, name: found}, indent=1, sort_keys=True)
    RESULTS.write_text(told + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where each client is installed, by its name")
    parser.add_argument("--install", action="store_true", help="install those that are not there")
    parser.add_argument("--remove", action="store_true", help="remove each once it was tried")
    parser.add_argument("--only", nargs="+", choices=CLIENTS, help="these clients alone")
    parser.add_argument(
        "--scenes", nargs="*", choices=SCENES, default=list(SCENES),
        help="these scenes alone, or none; nothing is written down then",
    )  # fmt: skip
    sys.exit(anyio.run(main, parser.parse_args()))
