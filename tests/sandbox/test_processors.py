"""A service counts the processors that it may use, not those of the machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from bluecode.sandbox.processors import processors, quota

SECOND, QUOTA, PERIOD = "cpu.max", "cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({}, None),
        ({SECOND: "max 100000\n"}, None),
        ({SECOND: "150000 100000\n"}, 2),
        ({SECOND: "10000 100000\n"}, 1),
        ({SECOND: "no numbers\n"}, None),
        ({QUOTA: "300000\n", PERIOD: "100000\n"}, 3),
        ({QUOTA: "-1\n", PERIOD: "100000\n"}, None),
        ({QUOTA: "300000\n", PERIOD: "0\n"}, None),
    ],
)
def test_a_quota_is_read(files: Mapping[str, str], count: int | None, tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text)

    assert quota(tmp_path) == count


def test_a_quota_bounds_the_processors(tmp_path: Path) -> None:
    assert 1 <= processors(tmp_path) <= (os.cpu_count() or 1)
    (tmp_path / "cpu.max").write_text("100000 100000\n")
    assert processors(tmp_path) == 1
