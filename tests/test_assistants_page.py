"""The page about assistants says what `bluecode setup` says, and only what was tried."""

import json

import pytest
from assistants_page import FOLDER, PAGE, page
from clients.catalogue import CLIENTS, HERE
from clients.scenes import MOST_REQUESTS, SCENES

RUNS = json.loads((FOLDER / "runs.json").read_text("utf-8"))


def test_the_page_is_what_its_data_makes_of_it() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_each_run_is_of_a_known_client_and_of_every_scene_that_applies() -> None:
    assert set(RUNS) <= set(CLIENTS)
    assert {name: set(run["scenes"]) for name, run in RUNS.items()} == {
        name: set(CLIENTS[name].scenes or SCENES) for name in RUNS
    }


def test_no_client_was_left_hanging_or_asked_on_and_on_after_a_block() -> None:
    blocked = [name for name, scene in SCENES.items() if scene.blocked]
    scenes = [(run["scenes"], name) for run in RUNS.values() for name in run["scenes"]]
    assert all(scenes[name]["ended"] for scenes, name in scenes)
    assert all(
        scenes[name]["requests"] <= MOST_REQUESTS for scenes, name in scenes if name in blocked
    )


@pytest.mark.parametrize("name", CLIENTS)
def test_each_client_is_called_in_one_way_and_its_program_is_there(name: str) -> None:
    client = CLIENTS[name]
    assert bool(client.npm) is not bool(client.pypi)
    assert sum(map(bool, (client.command, client.arguments, client.script))) == 1
    assert not client.script or (HERE / "scripts" / client.script).is_file()
    assert set(client.scenes) <= set(SCENES) and bool(client.scenes) is bool(client.why)
    assert client.assistant.settings_for


def test_every_client_that_ran_went_right_in_every_scene() -> None:
    wrong = [
        (name, scene)
        for name, run in RUNS.items()
        for scene, seen in run["scenes"].items()
        if not seen["right"]
    ]
    assert wrong == [] and len(RUNS) >= 18
