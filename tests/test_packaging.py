"""What lies in the folders is what gets into the wheel: nothing is left behind in silence."""

import tomllib
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
SETTINGS = PROJECT["tool"]["setuptools"]
TOPS = ("proxy", "defenses", "sandbox", "deploy")
ASIDE = {"README.md"}
"""For those who read the sources."""

FOR_IMAGES_AND_CLUSTERS = {
    "Dockerfile",
    "compose.yaml",
    "compose.shared.yaml",
    "constraints.txt",
}
"""Loose files of `deploy` for those who deploy from the sources, like all its folders."""

FOLDERS_OF_DATA = {
    f"sandbox/guests/{name}": "bluecode.sandbox.guests"
    for name in ("python", "javascript", "c", "c/include", "c/include/sys")
}
"""Code that runs elsewhere: shipped as data of a package, never imported."""


def files() -> list[Path]:
    return [
        path.relative_to(ROOT)
        for top in TOPS
        for path in sorted((ROOT / top).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name not in ASIDE
        if not is_for_images_and_clusters(path.relative_to(ROOT))
    ]


def is_for_images_and_clusters(path: Path) -> bool:
    return path.parts[0] == "deploy" and (
        len(path.parts) > 2 or path.name in FOR_IMAGES_AND_CLUSTERS
    )


def package_of(path: Path) -> str:
    return FOLDERS_OF_DATA.get(path.parent.as_posix(), "bluecode." + ".".join(path.parent.parts))


def test_every_folder_with_code_is_a_listed_package_and_the_reverse() -> None:
    with_code = {package_of(path) for path in files() if path.suffix == ".py"}

    listed = set(SETTINGS["packages"])
    assert with_code - listed == set(), "left out of the wheel: add them to `packages`"
    assert {"bluecode." + name for name in TOPS} <= listed
    for package in listed:
        assert ROOT.joinpath(*package.split(".")[1:]).is_dir()


def test_every_file_of_data_is_named_in_package_data() -> None:
    data = SETTINGS["package-data"]
    left_behind = []
    for path in files():
        package = package_of(path)
        base = Path(*package.split(".")[1:])
        inside = path.relative_to(base)
        is_code = path.suffix == ".py" and path.parent == base
        if not is_code and not fits(inside, data.get("*", []) + data.get(package, [])):
            left_behind.append(path.as_posix())

    assert left_behind == []


def fits(path: Path, patterns: list[str]) -> bool:
    """As setuptools sees it: a star stays within its folder."""
    return any(
        pattern.count("/") == len(path.parts) - 1 and fnmatch(path.as_posix(), pattern)
        for pattern in patterns
    )


def test_every_top_folder_has_a_readme() -> None:
    for top in (*TOPS, "tests"):
        assert (ROOT / top / "README.md").stat().st_size > 200


def test_the_gate_can_be_run() -> None:
    gate = ROOT / ".ci" / "run"

    assert gate.stat().st_mode & 0o111
    assert gate.read_text("utf-8").startswith("#!")
