"""The whole of BlueCode over a real socket: all detectors and checkers, the sandbox included.

Every pair in `tests/data/pairs` is an answer with vulnerable code and its safe twin: the first is
withheld or carries a warning, the second passes byte for byte.
"""

import json
import time
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from scripted import ScriptedUpstream, answer, streamed
from serving import chat, post, serving

from bluecode.defenses.policy import Policy
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine

PAIRS = Path(__file__).parent / "data" / "pairs"
INDEX = tomllib.loads((PAIRS / "pairs.toml").read_text())["pair"]
NAMES = [pair["name"] for pair in INDEX]
EVENTS = "text/event-stream"


class House:
    """BlueCode with everything on, and the upstream that it stands in front of."""

    def __init__(self, root: str, upstream: ScriptedUpstream) -> None:
        self.url = f"{root}/v1/chat/completions"
        self.upstream = upstream

    async def ask(self, text: str, *, stream: bool = False) -> tuple[dict[str, str], bytes, bytes]:
        """Headers and body that the client got, and what the provider had said."""
        pieces = [text[at : at + 9] for at in range(0, len(text), 9)]
        said = streamed(pieces) if stream else [answer({"content": text})]
        self.upstream.chunks, self.upstream.kind = said, EVENTS if stream else "application/json"
        _, headers, body = await post(self.url, chat("Please write it.", stream=stream))
        return headers, body, b"".join(said)


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    config = Config(upstream="http://127.0.0.1:1/v1", audit="none")
    policy = Policy.default()
    upstream = ScriptedUpstream()
    async with Engine.open(config, policy) as engine:
        app = create_app(config, policy=policy, upstream=upstream, engine=engine)
        async with serving(app) as root:
            yield House(root, upstream)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """One house for all tests, in a loop of its own: a first start takes its time."""
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(open_house()) as opened:
            yield opened


def code(name: str) -> str:
    return (PAIRS / f"{name}.py").read_text()


def fenced(text: str) -> str:
    return f"Here it is:\n\n```python\n{text}```\n\nThat is all.\n"


def told(body: bytes) -> dict[str, Any]:
    """The `bluecode` object of an answer, streamed or not."""
    if body.startswith(b"data:"):
        body = body.split(b"\n\n")[-3][6:]
    found: dict[str, Any] = json.loads(body).get("bluecode", {"action": "allow", "findings": []})
    return found


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("pair", INDEX, ids=NAMES)
async def test_vulnerable_code_is_stopped_or_marked(
    house: House, pair: dict[str, Any], stream: bool
) -> None:
    _, body, _ = await house.ask(fenced(code(f"{pair['name']}_unsafe")), stream=stream)
    verdict = told(body)
    assert verdict["action"] in ("warn", "block")
    assert pair["cwe"] in {finding["cwe"] for finding in verdict["findings"]}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("pair", INDEX, ids=NAMES)
async def test_its_safe_twin_passes_untouched(
    house: House, pair: dict[str, Any], stream: bool
) -> None:
    text = fenced(code(f"{pair['name']}_safe"))
    _, body, said = await house.ask(text, stream=stream)
    verdict = told(body)
    assert verdict["action"] == "allow", verdict
    assert body == said


HOSTILE = {
    "loop": "while True:\n    pass\n",
    "loop that catches all": (
        "while True:\n    try:\n        while True: pass\n    except BaseException: pass\n"
    ),
    "loop in C": "sum(range(10**12))\n",
    "big number": "x = 7 ** (10 ** 7)\n",
    "output flood": "while True:\n    print('x' * 1000)\n",
    "memory": "x = []\nwhile True:\n    x.append('a' * 10**6)\n",
    "recursion": "def f(n):\n    return f(n + 1)\nf(0)\n",
    "raises": "raise BaseException('x')\n",
    "exits": "import os\nos._exit(3)\n",
    "aborts": "import os\nos.abort()\n",
    "kills the interpreter": "import sys\nsys.modules.clear()\nimport os\n",
}


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_code_costs_at_most_the_budget_and_others_are_served(
    house: House, name: str
) -> None:
    budget = Policy.default().budget
    took = []

    async def hostile() -> None:
        started = time.monotonic()
        await house.ask(fenced(f"# {name}\n{HOSTILE[name]}"))
        took.append(time.monotonic() - started)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hostile)
        await anyio.sleep(0.02)
        headers, _, _ = await house.ask("Fine.")
    assert headers["x-bluecode-verdict"] == "allow"
    assert took[0] < budget + 5  # the budget, and a busy machine's slack


async def test_the_house_is_ready_and_counts_its_guests(house: House) -> None:
    root = house.url.removesuffix("/v1/chat/completions")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{root}/readyz") as response:
            parts = (await response.json())["parts"]
        async with session.get(f"{root}/metrics") as response:
            metrics = await response.text()
    assert parts["dynamic"] and parts["injection"] and parts["python"]
    assert 'bluecode_guest_runs_total{outcome="exited"}' in metrics
