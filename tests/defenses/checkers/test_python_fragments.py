"""Pieces of code that do not parse as they are."""

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.checkers.python_fragments import parse
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError

SINK = 'os.system("ls " + name)'

FRAGMENTS = {
    "indented method": (f"    def run(self, name):\n        {SINK}\n", 2),
    "first line without its indentation": (f"def run(name):\n        {SINK}\n        return 1", 2),
    "session": (f">>> import os\n>>> def run(name):\n...     {SINK}\n...\n>>> run('a')\n0", 3),
    "magics": (f"%matplotlib inline\n!pip install x\nimport os\ndef f(name):\n    {SINK}", 5),
    "gap": (f"def f(name):\n    ...\n    # more\n    {SINK}\n...", 4),
    "steps out of its block": (f"            x = 1\n    else:\n        {SINK}\n", 3),
    "steps out of a handler": (f"        risky()\n    except ValueError:\n        {SINK}\n", 3),
    "starts inside a call": (f"        second=2)\n    def run(self, name):\n        {SINK}", 3),
    "starts inside a docstring": (f'    and more.\n    """\n    {SINK}\n', 3),
    "ends inside a call": (f"def f(name):\n    {SINK}\n    g(1,\n      2,", 2),
    "ends inside a docstring": (f'def f(name):\n    {SINK}\n\ndef g():\n    """Some', 2),
    "ends inside a try": (f"def f(name):\n    try:\n        {SINK}\n", 3),
    "ends inside two tries": (
        "def f(name):\n    try:\n        try:\n            g()\n        except E:\n"
        "            pass\n"
        f"        try:\n            {SINK}\n",
        8,
    ),
    "starts at an example in a docstring, ends in another": (
        f'    >>> run("a")\n    0\n    """\n    {SINK}\n\ndef g():\n    """Then\n',
        4,
    ),
    "session with a docstring": (
        f'>>> def run(name):\n...     """\n...     Lists.\n...     """\n...     {SINK}\n...\n'
        ">>> run('a')\n0",
        5,
    ),
    "begins in one docstring and ends in another": (
        f'    of the name.\n    """\n    {SINK}\n\ndef g():\n    """Then\n    more\n',
        3,
    ),
    "continued lines": (
        f"    try:\n        x = a + \\\n                b\n        {SINK}\n",
        4,
    ),
    "ends with a header": (f"def f(name):\n    {SINK}\n    if name:", 2),
    "ends with a signature": (f"def f(name):\n    {SINK}\n\ndef g(a, b", 2),
    "windows lines": (f"def f(name):\r\n    {SINK}\r\n", 2),
    "python 2 print": (f'def f(name):\n    print "hello", name\n    {SINK}', 3),
    "python 2 except": (f"try:\n    {SINK}\nexcept OSError, e:\n    raise E, 'x'", 2),
    "python 2 numbers": (f"os.chmod(p, 0644)\nx = 10L <> 2\n{SINK}", 3),
    "tabs and spaces": (f"def f(name):\n\tif name:\n\t\tx = 1\n        {SINK}", 4),
    "byte order mark": (f"\ufeffdef f(name):\n    {SINK}", 2),
}


@pytest.mark.parametrize(("code", "line"), FRAGMENTS.values(), ids=FRAGMENTS)
def test_a_fragment_is_completed_and_keeps_its_line_numbers(code: str, line: int) -> None:
    findings = find(Snippet(code=code, language="python", origin="fence"))

    assert [f.span for f in findings if f.rule == "python.command_injection"] == [(line, line)]


def test_lines_that_cannot_be_read_are_said_not_hidden() -> None:
    code = (
        f"def f(name):\n    {SINK}\n\nthis is no python at all, is it\n\ndef g():\n    return 1\n"
    )

    with pytest.raises(DetectorError) as caught:
        find(Snippet(code=code, language="python", origin="fence"))

    assert caught.value.unchecked == "fragment"
    assert [finding.rule for finding in caught.value.findings] == ["python.command_injection"]


@pytest.mark.parametrize("text", ["{ not code }}} at all ((", "Dear all,\n\nplease see below."])
def test_text_that_is_no_code_is_an_error_never_clean(text: str) -> None:
    with pytest.raises(DetectorError):
        find(Snippet(code=text, language="python", origin="fence"))


def test_a_whole_program_is_taken_as_it_is() -> None:
    parsed = parse("x = 1\n")

    assert (parsed.shift, parsed.dropped) == (0, 0)


BODY = f"def f(name):\n    {SINK}\n    return 1\n"
SALVAGED = {
    "loose brackets before": f'        "a": 1\n    }}, {{\n        "b": 2}}]\n}}\n{BODY}',
    "a broken neighbour": f"def g(:\n    x ===\n    y = (]\n\n{BODY}",
    "broken lines inside": f"def f(name):\n    x = = 3\n    y 5 6\n    {SINK}\n"
    + "    a b c\n" * 14
    + "    k()\n" * 14,
}


@pytest.mark.parametrize("code", SALVAGED.values(), ids=SALVAGED)
def test_what_can_be_read_is_read_and_the_rest_is_said(code: str) -> None:
    with pytest.raises(DetectorError) as caught:
        find(Snippet(code=code, language="python", origin="fence"))

    line = code.split("\n").index(next(one for one in code.split("\n") if SINK in one)) + 1
    assert caught.value.unchecked == "fragment"
    assert [f.span for f in caught.value.findings] == [(line, line)]


@pytest.mark.parametrize(
    "text",
    [
        "Some words\nand more of them, which (in brackets) say\nnothing to Python\n" * 5,
        "word\n" * 3 + "several words here\n" * 9,
    ],
)
def test_prose_is_no_code_however_its_words_parse(text: str) -> None:
    with pytest.raises(DetectorError) as caught:
        parse(text)

    assert caught.value.unchecked == "syntax"
