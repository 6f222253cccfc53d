"""Real clients from PyPI and npm, headless, in front of the scripted model, in every scene.

They are found through `CLIENTS`, the folder into which `python -m clients --install` put them; see
CONTRIBUTING.md for the command. Without it these tests are skipped: they need packages from
elsewhere. The ones that are not in the folder are skipped, too.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from clients.catalogue import CLIENTS
from clients.running import opened, run
from clients.scenes import SCENES

from bluecode.proxy.engine import Engine

CASES = [
    (name, scene) for name, client in CLIENTS.items() for scene in client.scenes or tuple(SCENES)
]


@pytest.fixture(scope="module")
def opened_once() -> Iterator[tuple[BlockingPortal, Engine]]:
    """One engine for all, in a loop of its own."""
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(opened()) as engine:
            yield portal, engine


@pytest.mark.parametrize(("name", "scene"), CASES)
def test_a_client_shows_what_it_must_and_asks_no_more_than_it_may(
    name: str, scene: str, request: pytest.FixtureRequest
) -> None:
    where = Path(os.environ.get("CLIENTS", "")) / name
    if not os.environ.get("CLIENTS") or not CLIENTS[name].installed(where):
        pytest.skip(f"{name} is not installed under CLIENTS")
    portal, engine = request.getfixturevalue("opened_once")
    seen = portal.call(run, CLIENTS[name], where, scene, engine)
    assert seen["right"], seen
