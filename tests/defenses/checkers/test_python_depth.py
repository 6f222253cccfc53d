"""Nesting that overwhelms a parser or a walk takes nothing else with it."""

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError

UNSAFE = "import os\n\ndef ping(host):\n    os.system('ping -c 1 ' + host)\n"


def looked(code: str) -> tuple[set[str], str]:
    """The rules that claim something, and what went unchecked."""
    try:
        found, unchecked = find(Snippet(code=code, language="python", origin="tool")), ""
    except DetectorError as error:
        found, unchecked = error.findings, error.unchecked or "failed"
    return {item.rule for item in found}, unchecked


DEEP = {
    "sum": ("x = " + "+".join(["a"] * 900), ""),
    "sum of texts": ("x = " + "+".join(['"a"'] * 2500), ""),
    "elif": ("if a: pass\n" + "elif a: pass\n" * 1500, ""),
    "monstrous elif": ("if a: pass\n" + "elif a: pass\n" * 5000, "partial"),
    "attributes": ("x = a" + ".b" * 900, "partial"),
    "calls": ("x = a" + "()" * 1500, "partial"),
    "negations": ("x = " + "not " * 5000 + "a", "partial"),
    "signs": ("x = " + "-" * 20000 + "1", "partial"),
    "powers": ("x = " + "**".join("1" * 6000), "partial"),
    "lambdas": ("x = " + "lambda: " * 3000 + "1", "partial"),
    "brackets": ("x = " + "(" * 3000 + ")" * 3000, "fragment"),
}


@pytest.mark.parametrize(("deep", "unchecked"), DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("place", ["before", "after", "beside"])
def test_what_stands_beside_deep_code_is_still_found(deep: str, unchecked: str, place: str) -> None:
    within = "".join(f"    {line}\n" for line in deep.splitlines())
    code = {"before": f"{deep}\n{UNSAFE}", "after": f"{UNSAFE}{deep}\n", "beside": UNSAFE + within}
    assert looked(code[place]) == ({"python.command_injection"}, unchecked)


def test_a_sum_is_followed_through_all_its_terms() -> None:
    terms = " + ".join(['"a"'] * 900 + ["host"] + ['"b"'] * 900)
    code = f"import os\n\ndef ping(host):\n    os.system({terms})\n"
    assert looked(code) == ({"python.command_injection"}, "")


def test_code_that_is_one_deep_expression_is_partial_never_a_matter_of_syntax() -> None:
    rules, unchecked = looked("x = " + "-" * 20000 + "1\n")
    assert (rules, unchecked) == (set(), "partial")
