"""Fragments made fit to run, and whose line is whose afterwards."""

import ast

import pytest

from bluecode.defenses.checkers.observations import Call, Entry, Observations, Sink
from bluecode.defenses.checkers.runnable import Runnable, runnable

CUT = (
    "        return json\n"
    "\n"
    "    @classmethod\n"
    "    def load(cls, wb):\n"
    "        amount = eval(wb['amount'])\n"
    "        return cls(amount)\n"
)


@pytest.mark.parametrize(
    "code",
    ["x = 1\n", "    def f(self):\n        return 1\n", "import os\ndef f(a):\n    return a\n"],
)
def test_what_can_be_run_is_left_as_it_is(code: str) -> None:
    assert runnable(code) == Runnable(code)


def test_a_piece_that_begins_inside_a_function_keeps_its_lines() -> None:
    made = runnable(CUT)

    line = next(
        node.lineno
        for node in ast.walk(ast.parse(made.code))
        if isinstance(node, ast.Call) and ast.unparse(node).startswith("eval")
    )
    assert made.lines is not None and made.lines[line] == 5
    assert made.span(5, 5) == (line, line)


def test_what_was_seen_is_told_in_the_lines_of_the_snippet() -> None:
    sink = Sink("code", "eval", 7, "x", (0,), {})
    seen = Observations(entries=[Entry("f", "function", 5, 8, [Call("benign", sinks=[sink])])])

    restored = Runnable("", {5: 3, 6: 4, 7: 9, 8: 10}).restored(seen)

    entry = restored.entries[0]
    assert (entry.first, entry.last, entry.calls[0].sinks[0].line) == (3, 10, 9)


def test_loose_statements_that_need_a_function_get_one_and_definitions_stay_outside() -> None:
    made = runnable(CUT)

    body = ast.parse(made.code).body
    assert [getattr(node, "name", "") for node in body] == ["fragment", "load"]


@pytest.mark.parametrize("code", ["def f(:\n  x x\n", "%%% ???\n\x00", "(" * 3_000])
def test_what_cannot_be_read_is_run_as_it_stands_and_fails_there(code: str) -> None:
    assert runnable(code).lines is None or ast.parse(runnable(code).code)
