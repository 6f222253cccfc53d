"""The page about assistants says what `bluecode setup` says, and only what was tried."""

import json

from assistants_page import FOLDER, PAGE, page
from clients import PROGRAMS, SCENES

RUNS = json.loads((FOLDER / "runs.json").read_text("utf-8"))


def test_the_page_is_what_its_data_makes_of_it() -> None:
    assert PAGE.read_text("utf-8") == page()


def test_each_run_is_of_a_known_client_and_of_every_scene() -> None:
    assert set(RUNS) <= set(PROGRAMS)
    assert all(set(run["scenes"]) == set(SCENES) for run in RUNS.values())


def test_no_client_was_left_hanging() -> None:
    assert [
        name for name, run in RUNS.items() for s in run["scenes"].values() if not s["ended"]
    ] == []
