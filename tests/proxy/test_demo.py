"""The demo shows every kind of verdict, right, and its table fits the terminal."""

import io
import json

import pytest
from rich.console import Console

from bluecode.proxy import demo_table
from bluecode.proxy.__main__ import main
from bluecode.proxy.demo import ASKED, Answered, Asked

FINDING = {
    "category": "vulnerable_code",
    "cwe": 89,
    "score": 0.99,
    "span": [6, 6],
    "reason": "Text from a parameter becomes part of an SQL statement.",
    "evidence": {"outcome": "confirmed", "observed": "db.execute got " + "a long text " * 20},
}


def answered(asked: Asked, action: str, *, delivered: bool = False) -> Answered:
    blocked = [FINDING] if asked.action == "block" else []
    return Answered(
        asked=asked,
        action=action,
        findings=[{**found, "category": asked.category, "cwe": asked.cwe} for found in blocked],
        unseen=(),
        text="**BlueCode withheld code from this answer.**",
        delivered=delivered,
        milliseconds=12.3,
    )


def test_every_kind_of_verdict_comes_out_as_expected(capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["demo", "--json"])

    rows = json.loads(capsys.readouterr().out)
    assert [row["request"] for row in rows if not row["right"]] == []
    assert status == 0
    found = [finding for row in rows for finding in row["findings"]]
    assert {"vulnerable_code", "bias", "malice", "injection"} <= {one["category"] for one in found}
    outcomes = {(one["evidence"] or {}).get("outcome") for one in found}
    assert {"confirmed", "refuted"} <= outcomes
    assert {row["streamed"] for row in rows} == {True, False}
    assert {row["action"] for row in rows} == {"allow", "block"}


def test_a_verdict_that_is_not_the_expected_one_is_wrong() -> None:
    unsafe = next(asked for asked in ASKED if asked.action == "block")

    assert answered(unsafe, "block").right
    assert not answered(unsafe, "allow").right
    assert not answered(unsafe, "block", delivered=True).right


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_table_fits_the_terminal_and_leaves_nothing_out(width: int) -> None:
    console = Console(width=width, file=(shown := io.StringIO()))

    demo_table.show(console, [answered(asked, asked.action) for asked in ASKED])

    lines = shown.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    words = set(" ".join(lines).split())
    assert all(set(asked.title.split()) <= words for asked in ASKED)
    assert f"All {len(ASKED)} verdicts are as expected." in lines
    assert sum("bluecode serve --upstream" in line for line in lines) == 1


def test_a_wrong_verdict_is_marked_and_named() -> None:
    console = Console(width=100, file=(shown := io.StringIO()))

    demo_table.show(console, [answered(ASKED[0], "block"), answered(ASKED[1], "block")])

    assert f"1 of 2 verdicts are as expected. Not: {ASKED[0].title}." in shown.getvalue()
    assert "✗ blocked" in shown.getvalue()
