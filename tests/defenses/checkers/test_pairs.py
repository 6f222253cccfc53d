"""Unsafe and safe twins: each unsafe one is claimed under its CWE, each safe one passes."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bluecode.defenses.checkers import CHECKERS
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Finding, Severity

FOLDER = Path(__file__).parents[2] / "data" / "pairs"
PAIRS: Sequence[dict[str, Any]] = tomllib.loads((FOLDER / "pairs.toml").read_text())["pair"]
WARN = 0.5


async def checked(name: str) -> list[Finding]:
    snippet = Snippet(code=(FOLDER / name).read_text(), language="python", origin="fence")
    found: list[Finding] = []
    for make in CHECKERS.values():
        found.extend(await make().inspect(snippet))
    return [finding for finding in found if finding.score >= WARN]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["name"])
async def test_the_unsafe_twin_is_claimed_under_its_weakness(pair: dict[str, Any]) -> None:
    findings = await checked(f"{pair['name']}_unsafe.py")

    assert pair["cwe"] in {finding.cwe for finding in findings}


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair["name"])
async def test_the_safe_twin_passes_untouched(pair: dict[str, Any]) -> None:
    assert await checked(f"{pair['name']}_safe.py") == []


async def test_most_unsafe_twins_are_serious_and_sure() -> None:
    sure = 0
    for pair in PAIRS:
        findings = await checked(f"{pair['name']}_unsafe.py")
        sure += any(f.score >= 0.7 and f.severity >= Severity.MEDIUM for f in findings)

    assert sure >= 60


def test_the_index_names_every_file_and_no_other() -> None:
    named = {f"{pair['name']}_{kind}.py" for pair in PAIRS for kind in ("unsafe", "safe")}

    assert named == {path.name for path in FOLDER.glob("*.py")}
