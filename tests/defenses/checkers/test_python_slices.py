"""Slices: what is kept of a function for a claimed line, and what is taken for granted."""

import ast

import pytest

from bluecode.defenses.checkers.python_slices import sliced
from bluecode.defenses.checkers.runnable import runnable

LINE = "subprocess.run('tar xf ' + name, shell=True)"


def slice_of(code: str) -> str:
    line = next(at for at, text in enumerate(code.split("\n"), 1) if LINE in text)
    found = sliced(runnable(code), (line, line))
    assert found is not None and found.lines is not None
    (at,) = (
        node.lineno
        for node in ast.walk(ast.parse(found.code))
        if isinstance(node, ast.Expr) and ast.unparse(node) == LINE
    )
    assert found.lines[at] == line
    return found.code


def function(*lines: str) -> str:
    return "\n    ".join(("def unpack(name, mode, logger):", *lines, ""))


def test_conditions_that_ask_nothing_of_the_data_are_taken_for_granted() -> None:
    code = slice_of(function("if mode.fast and ready():", "    " + LINE, "logger.done()"))

    assert code == f"def unpack(name, mode, logger):\n    {LINE}"


def test_a_file_may_be_there_or_missing() -> None:
    code = slice_of(function("if not os.path.exists(name):", "    " + LINE))

    assert "exists" not in code


def test_a_name_that_is_compared_has_the_value_that_the_branch_asks_for() -> None:
    code = slice_of(function("if name == 'a.tar':", "    " + LINE))

    assert "name = 'a.tar'" in code


@pytest.mark.parametrize(
    "guard",
    [
        ("if not name.isalnum():", "    return"),
        ("if not PATTERN.fullmatch(name):", "    raise ValueError(name)"),
        ("valid = is_plain(name)", "if not valid:", "    return"),
        ("require_plain(name)",),
        ("assert name in NAMES",),
        ("name = shlex.quote(name)",),
        ("for letter in name:", "    if letter in ';|&':", "        raise ValueError"),
        ("try:", "    check(name)", "except ValueError:", "    return"),
        ("with guarded(name):", "    check(name)"),
    ],
)
def test_what_may_check_the_data_or_change_it_is_kept(guard: tuple[str, ...]) -> None:
    code = slice_of(function(*guard, "if mode.fast:", "    " + LINE))

    written = ast.unparse(ast.parse("def f():\n    " + "\n    ".join(guard)))
    assert all(line.strip() in code for line in written.split("\n")[1:])


def test_a_condition_that_asks_about_the_data_stays_around_the_line() -> None:
    code = slice_of(function("if name.isalnum():", "    " + LINE, "logger.done()"))

    assert "if name.isalnum():" in code


def test_what_fills_a_list_that_is_joined_into_the_data_is_kept() -> None:
    code = slice_of(
        function("parts = []", "parts.append(mode.kind)", "name = '-'.join(parts)",
                 "if mode.fast:", "    " + LINE)
    )  # fmt: skip

    assert "parts.append(mode.kind)" in code and "parts = []" in code


def test_a_line_in_a_handler_is_reached_without_the_error() -> None:
    code = slice_of(function("try:", "    logger.begin()", "except OSError:", "    " + LINE))

    assert "try" not in code


def test_a_loop_without_an_end_goes_round_twice() -> None:
    code = slice_of(
        function("while not stopped():", "    name = fetch()", "    " + LINE, "logger.done()")
    )

    assert "for _ in [0, 1]:" in code and "name = fetch()" in code


def test_nothing_is_cut_where_nothing_can_be_left_out() -> None:
    assert sliced(runnable(f"def f(name):\n    {LINE}\n"), (2, 2)) is None


@pytest.mark.parametrize("code", ["", "def f(:", "x = 1\n", "(" * 2_000])
def test_what_cannot_be_read_or_has_no_such_line_makes_no_slice(code: str) -> None:
    assert sliced(runnable(code), (7, 7)) is None


def test_lines_of_more_than_one_statement_make_no_slice() -> None:
    code = function("if mode.fast:", "    logger.begin()", "    " + LINE)

    assert sliced(runnable(code), (3, 4)) is None
    assert sliced(runnable(code), (1, 4)) is None
    assert sliced(runnable(code), (4, 4)) is not None


def test_a_way_through_a_statement_of_another_kind_makes_no_slice() -> None:
    code = function("match mode:", "    case 1:", "        " + LINE)

    assert sliced(runnable(code), (4, 4)) is None
