"""Where Prometheus is, and one of its own for a test. `PROMETHEUS` names the folder that holds
`prometheus` and `promtool`; without it they are looked for on the path."""

import json
import os
import shutil
import subprocess
import urllib.parse
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from replicas import fetched, free_port

ROOT = Path(__file__).resolve().parents[1]
RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"


def program(name: str) -> str | None:
    folder = os.environ.get("PROMETHEUS")
    return shutil.which(name, path=folder) if folder else shutil.which(name)


needs_prometheus = pytest.mark.skipif(
    program("prometheus") is None or program("promtool") is None,
    reason="Prometheus is not here; see CONTRIBUTING.md",
)


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = program("promtool")
    assert found is not None
    return subprocess.run([found, *arguments], capture_output=True, text=True, timeout=60)


@asynccontextmanager
async def scraping(folder: Path, targets: Sequence[str]) -> AsyncIterator[str]:
    """A Prometheus that scrapes these hosts each second, with our rules; its root URL."""
    port = free_port()
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(RULES)],
        "scrape_configs": [
            {"job_name": "bluecode", "static_configs": [{"targets": list(targets)}]}
        ],
    }
    await anyio.Path(folder / "prometheus.json").write_text(json.dumps(settings))
    found = program("prometheus")
    assert found is not None
    command = [
        found,
        f"--config.file={folder / 'prometheus.json'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    quiet = subprocess.DEVNULL
    async with await anyio.open_process(command, stdout=quiet, stderr=quiet) as process:
        try:
            await _up(f"http://127.0.0.1:{port}/-/ready")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


async def _up(url: str) -> None:
    with anyio.fail_after(30):
        while True:
            try:
                if (await fetched(url))[0] == 200:
                    return
            except aiohttp.ClientError:
                pass
            await anyio.sleep(0.1)


async def series(root: str, query: str) -> list[dict[str, Any]]:
    """What an instant query gives."""
    told = await fetched(f"{root}/api/v1/query?" + urllib.parse.urlencode({"query": query}))
    answer = json.loads(told[1])
    assert answer["status"] == "success", (query, answer)
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found
