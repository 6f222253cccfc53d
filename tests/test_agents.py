"""Real clients from PyPI and npm, headless, in front of the scripted model, in every scene.

They are found through `CLIENTS`, the folder into which `python -m clients --install` put them; see
CONTRIBUTING.md for the command. Without it these tests are skipped: they need packages from
elsewhere. The ones that are not in the folder are skipped, too.
"""

import os
from pathlib import Path

import pytest
from clients.catalogue import CLIENTS
from clients.running import opened, run
from clients.scenes import SCENES

CASES = [
    (name, scene) for name, client in CLIENTS.items() for scene in client.scenes or tuple(SCENES)
]


@pytest.mark.parametrize(("name", "scene"), CASES)
async def test_a_client_shows_what_it_must_and_asks_no_more_than_it_may(
    name: str, scene: str
) -> None:
    where = Path(os.environ.get("CLIENTS", "")) / name
    if not os.environ.get("CLIENTS") or not CLIENTS[name].installed(where):
        pytest.skip(f"{name} is not installed under CLIENTS")
    async with opened() as engine:
        seen = await run(CLIENTS[name], where, scene, engine)
    assert seen["right"], seen
