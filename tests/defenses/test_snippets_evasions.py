"""Code is found however it is wrapped, and prose that resembles code is let go of."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluecode.defenses import language
from bluecode.defenses.snippets import Block, SnippetExtractor

PYTHON = "import os\nrun_it(os)\n"
WRAPPED = {
    "ticks in prose before a fence": "Use ``` fences.\n\n```python\nrun_it()\n```\n",
    "ticks in prose before a bare fence": "Type ```\n\n```\nDB -= run_it()\n```\n",
    "fence in a line": "Here: ```python\nrun_it()\n```\n",
    "fence in a line, bare": "Here: ```\nDB -= run_it()\n```\nDone.\n",
    "fence in a line, code behind it": "Here: ``` import os; run_it()\n```\n",
    "tildes in a line": "Code: ~~~python\nrun_it()\n~~~\n",
    "document": "````Markdown\n```python\nrun_it()\n```\n````\n",
    "document of another name": "````mdx\n```python\nrun_it()\n```\n````\n",
    "fence in tildes": "~~~python\n```python\nrun_it()\n```\n~~~\n",
    "tildes in a fence": "```text\n~~~python\nrun_it()\n~~~\n```\n",
    "fence after one left open": "```text\nhi\n```python\nrun_it()\n```\n",
    "fence after a quotation left open": "> ```\n> hi\n\n```\nDB -= run_it()\n```\n",
    "quotation": "> ```python\n> import os\n> run_it(os)\n> ```\n",
    "quotation without blanks": ">~~~python\n>run_it()\n>~~~\n",
    "long tag": f'<code class="{"a" * 200}">run_it()</code>',
    "tag over two lines": "<code\nclass='x'>run_it()</code>",
    "letters that grow in lower case": "<code>" + "İ" * 14 + "</code>\n\n```python\nrun_it()\n```",
    "preformatted": "<pre>run_it()</pre>",
    "tag only named": "The `<code>` tag.\n\n```python\nrun_it()\n```\n",
    "tag left open in prose": "Use <content> well.\n\n```python\nrun_it()\n```\n",
    "tool": "<write_file><path>a.py</path><content>run_it()\n</content></write_file>",
    "tool's parameter": "<function=w>\n<parameter=content>\nrun_it()\n</parameter>\n</function>",
    "tool call": '<tool_call>{"arguments": {"content": "run_it()"}}</tool_call>',
    "span": "Do `import os; run_it()` now.",
    "wide span": "Do ``import os; run_it()`` now.",
    "returns only": "hi\r~~~python\rrun_it()\r~~~\r",
    "line separators": "hi\u2028~~~python\u2028run_it()\u2028~~~",
    "edit without a blank": "<<<<<<<SEARCH\nx\n=======\nrun_it()\n>>>>>>>REPLACE",
    "byte order mark": "\ufeffimport os\nrun_it()\n",
}
STARTS = [
    "DB = run_it()",
    "await run_it()",
    "(a, b) = run_it()",
    "a, b = run_it()",
    "- import os; run_it()",
    'SECRET_KEY = "run_it"',
    "@route(run_it())\ndef f(): ...",
    "async with run_it() as f:\n    pass",
    "User.objects.raw(run_it())",
    "Model = run_it()",
    "> import os\n> run_it()",
    ">>> run_it()",
    "for x in run_it():\n    pass",
    "while True and run_it():\n    pass",
]


def extract(text: str, size: int = 1 << 30) -> list[Block]:
    extractor = SnippetExtractor()
    blocks: list[Block] = []
    for at in range(0, len(text), size):
        blocks += extractor.feed(text[at : at + size])
    return blocks + extractor.close()


@pytest.mark.parametrize("text", WRAPPED.values(), ids=WRAPPED.keys())
@pytest.mark.parametrize("size", [1, 3, 1 << 30])
def test_no_wrapping_hides_code(text: str, size: int) -> None:
    assert any("run_it" in block.code for block in extract(text, size))


@pytest.mark.parametrize("line", STARTS)
def test_a_program_without_a_fence_is_found(line: str) -> None:
    assert any("run_it" in block.code for block in extract(f"Here it is:\n\n{line}\n"))


@pytest.mark.parametrize(
    "text",
    [
        "> ```python\n> import os\n> run_it(os)\n> ```\n",
        "- ```python\n  import os\n  run_it(os)\n  ```\n",
        "```python\n1  import os\n2  run_it(os)\n```\n",
        "```python\n1: import os\n2: run_it(os)\n```\n",
        "```python\n 9| import os\n10| run_it(os)\n```\n",
        "```pycon\n>>> import os\n>>> run_it(os)\n```\n",
        "```python\rimport os\rrun_it(os)\r```\r",
    ],
)
def test_what_stands_around_the_lines_is_no_part_of_the_code(text: str) -> None:
    assert [block.code.strip() for block in extract(text)] == [PYTHON.strip()]


@pytest.mark.parametrize(
    "text",
    [
        "with care:\nwe go on in prose\nand on\n",
        "for example:\n  - one\n  - two\n",
        "if you like:\nask again\n",
        "Call `foo(bar)` or set `x = 1`, then use ``` for fences.\n",
        "Note (see below) that it works.\n",
    ],
)
def test_prose_that_resembles_code_is_no_block(text: str) -> None:
    assert extract(text) == []


@pytest.mark.parametrize("text", ["for example we", "if you like it", "Call `foo(bar)"])
def test_prose_that_resembles_code_does_not_wait(text: str) -> None:
    extractor = SnippetExtractor()
    extractor.feed(text)
    assert extractor.settled == len(text)


def test_a_program_ends_where_prose_begins() -> None:
    (block,) = extract("x = f(1)\nThis line sets the value of it.\n")
    assert block.code == "x = f(1)\n"


def test_a_tools_tag_carries_the_path_that_came_before() -> None:
    (block,) = extract("<write_file>\n<path>a.py</path>\n<content>\nx = 1\n</content>\n", 1)
    assert (block.kind, block.before) == ("xml_tool", "a.py")


@pytest.mark.parametrize(
    ("code", "tag", "spoken"),
    [
        (PYTHON, "json", "python"),
        (PYTHON, "css", "python"),
        (PYTHON, "text", "python"),
        (PYTHON, "csv", "python"),
        ('{"a": [1, 2]}', "json", "json"),
        ("a { color: red }\n@media print { b { top: 0 } }", "css", "css"),
        ("a,b\n1,2\n", "csv", "csv"),
        ("-x\n+run_it()\n", "diff", "diff"),
    ],
)
def test_python_under_the_name_of_data_is_python(code: str, tag: str, spoken: str) -> None:
    assert language.decide(code, tag=tag) == spoken


@pytest.mark.parametrize("odd", ["\ud800", "\0", "\ufeff", "\udfff```\ud800"])
def test_odd_characters_never_raise(odd: str) -> None:
    for text in (odd, f"```python\n{odd}\n```\n{odd}", f"{odd}x = f({odd})\n", f"`{odd} = f()`"):
        for block in extract(text, 1):
            language.decide(block.code, tag=block.info)


PARTS = [part for text in [*WRAPPED.values(), *STARTS] for part in text.splitlines(keepends=True)]
PARTS += ["`", "``", "```", "~~~", "<", "<code", ">", "\r", "\n", "\n\n", " ", "Words here.", "'''"]
PARTS += ["> ", "- ", "</code>", "</content>", "</pre>", "<diff>", "x = ", "A" * 310, "\u2028"]


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from(PARTS), max_size=10).map("".join), st.integers(1, 9))
def test_the_size_of_the_pieces_never_changes_what_is_found(text: str, size: int) -> None:
    assert extract(text, size) == extract(text)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.sampled_from(PARTS), max_size=8).map("".join))
def test_nothing_of_a_block_is_settled_before_it_is_found(text: str) -> None:
    extractor = SnippetExtractor()
    for character in text:
        before = extractor.settled
        for block in extractor.feed(character):
            assert not block.start < before < block.end
    extractor.close()
    assert extractor.settled == len(text)


def test_ordinary_answers_wrap_code_in_any_order_and_lose_none() -> None:
    chance = random.Random(7)
    for _ in range(200):
        fences = [f"```python\nrun_it({n})\n```\n" for n in range(chance.randint(1, 4))]
        text = "Some words.\n\n".join(fences)
        found = "".join(block.code for block in extract(text, chance.randint(1, 30)))
        assert all(f"run_it({n})" in found for n in range(len(fences)))


def test_after_a_fence_within_a_line_only_plain_prose_goes_on() -> None:
    text = "So: ```python\nx = 1\n```\nThat is all of it.\n\nDone.\nrm -rf /srv\n"

    extractor = SnippetExtractor()
    first, second = extractor.feed(text) + extractor.close()

    assert (first.code, second.code) == ("x = 1\n", "rm -rf /srv\n")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Words here ```x = run_it();\n" + "~~~\n" * 100_000, 50_001),
        ("{}\n" * 500_000 + "```python\nrun_it()\n```\n", 2),
    ],
    ids=["rules in a fence that begins in a line", "values in lines"],
)
def test_work_grows_with_the_text_alone(text: str, found: int) -> None:
    extractor = SnippetExtractor()
    assert len(extractor.feed(text) + extractor.close()) == found
