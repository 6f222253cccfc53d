"""Campaigns over Ray: the same cases as without it. Skipped where Ray is not installed."""

import importlib.util
import os
from pathlib import Path

import pytest
from scripted_target import OpensWords

from bluecode.defenses.redteam import campaign, ray_pool
from bluecode.defenses.redteam.campaign import Bounds, Means, Plan, State
from bluecode.defenses.redteam.records import render

PLAN = Plan(
    count=6,
    categories=("malice.worm", "bias.hiring", "indirect.manner"),
    generators=("policy", "search", "indirect"),
    target="words",
)
MEANS = Means(target=OpensWords("copy", "write", "answer", "ten points"))
HAS_RAY = importlib.util.find_spec("ray") is not None


@pytest.mark.skipif(HAS_RAY, reason="Ray is installed")
def test_without_ray_the_way_to_it_is_told(tmp_path: Path) -> None:
    with pytest.raises(ray_pool.RayMissing, match=r"bluecode\[ray\]"):
        campaign.run(PLAN, MEANS, State(tmp_path), opens=ray_pool.over_ray)


@pytest.mark.skipif(not HAS_RAY, reason="needs Ray: pip install 'bluecode[ray]'")
def test_a_local_ray_makes_the_same_cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    # Workers of Ray are new processes: they find the scripted target by the path of the tests.
    tests = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")]))

    assert campaign.run(PLAN, MEANS, State(tmp_path / "here"))
    over = State(tmp_path / "ray")
    assert campaign.run(PLAN, MEANS, over, jobs=2, opens=ray_pool.over_ray)

    told = render(over.records())
    assert told == render(State(tmp_path / "here").records()) != ""


@pytest.mark.skipif(not HAS_RAY, reason="needs Ray: pip install 'bluecode[ray]'")
def test_time_ends_a_campaign_over_ray_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    finished = campaign.run(
        PLAN, MEANS, State(tmp_path), opens=ray_pool.over_ray, bounds=Bounds(minutes=1e-9)
    )

    assert not finished
