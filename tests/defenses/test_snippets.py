"""Code is found wherever the text is cut, and nothing of it is ever settled too early."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluecode.defenses.snippets import Block, SnippetExtractor

PIECES = st.sampled_from(
    ["```", "````", "~~~", "\n", "\n\n", "import os\n", "x = f(1)\n", "The end.", "<code>"]
    + ["</code>", "<c", " ", "> ", "- ", "1. ", "python", "`", "<<<<<<< SEARCH\n", "=======\n"]
    + [">>>>>>> REPLACE\n", "*** Begin Patch\n", "*** End Patch", "def f():", "'''", '"""']
    + ["Here we go. ", "\r\n", "@dec", "#!", "é", "print(x)", "a" * 310, "x=", "from "]
    + ["#include <a>\n", "diff --git a b\n", "const x = 1;\n"]
)
TEXTS = st.lists(PIECES, min_size=1, max_size=14).map("".join)


def extract(text: str, cuts: list[int]) -> tuple[list[Block], list[int]]:
    extractor = SnippetExtractor()
    blocks: list[Block] = []
    settled = []
    for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
        blocks += extractor.feed(text[start:end])
        settled.append(extractor.settled)
    blocks += extractor.close()
    assert extractor.settled == len(text)
    return blocks, settled


@settings(deadline=None, max_examples=300)
@given(TEXTS, st.data())
def test_where_the_text_is_cut_never_changes_what_is_found(text: str, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(text)), max_size=8).map(sorted))
    assert extract(text, cuts)[0] == extract(text, [])[0]


@settings(deadline=None, max_examples=200)
@given(TEXTS.filter(lambda text: len(text) < 400))
def test_no_part_of_a_block_is_settled_before_it_is_found(text: str) -> None:
    blocks, settled = extract(text, list(range(1, len(text))))
    for block in blocks:
        assert not any(block.start < offset < block.end for offset in settled)


@pytest.mark.parametrize(
    ("text", "info", "code"),
    [
        ("Do:\n```python\nx = 1\n```\nok", "python", "x = 1\n"),
        ("```c++\nint x;\n```", "c++", "int x;\n"),
        ("```{.python}\nx\n```", "{.python}", "x\n"),
        ('```python title="x"\nx\n```', 'python title="x"', "x\n"),
        ("~~~sh\nls\n~~~\n", "sh", "ls\n"),
        ("- a\n  ```py\n  x\n  ```\n", "py", "x\n"),
        ("````md\n```\nx\n```\n````", "md", "```\nx\n```\n"),
        ("```python\r\nx\r\n```\r\n", "python", "x\r\n"),
        ("so ```print(1)``` it is", "", "print(1)"),
        ("see ```python\nx\n```", "python", "x\n"),
        ("```python\nx = 1", "python", "x = 1"),
        ("<code>\nx = 1", "", "\nx = 1"),
        ("a <CODE class=x>y</CODE> b", "", "y"),
    ],
)
def test_every_spelling_of_a_block_is_found(text: str, info: str, code: str) -> None:
    (block,) = extract(text, [])[0]
    assert (block.info, block.code) == (info, code)


def test_a_bare_program_is_a_block_and_the_prose_after_it_is_not() -> None:
    text = 'import os\n\ndef f(x):\n    """Doc.\n\n    Text here.\n    """\n\nThis runs it.\n'
    (block,) = extract(text, [])[0]
    assert block.kind == "unfenced"
    assert text[block.end :] == "This runs it.\n"


@pytest.mark.parametrize(
    "text",
    [
        "Import the module first, then call it.\n",
        "I would use `x = 1` here.\n- Use a list.\n- From here on, it works.\n",
        "# Heading\n\n1. First\n2. Second\n",
        "return to the start when you are done.\nfor the rest, see below\n",
    ],
)
def test_prose_is_no_block(text: str) -> None:
    assert extract(text, [])[0] == []


def test_prose_is_settled_at_once() -> None:
    extractor = SnippetExtractor()
    extractor.feed("Here")
    assert extractor.settled == 4


def test_the_start_of_a_fence_is_not_settled() -> None:
    extractor = SnippetExtractor()
    extractor.feed("Here:\n``")
    assert extractor.settled == 6


def test_a_long_held_block_costs_time_linear_in_its_length() -> None:
    extractor = SnippetExtractor()
    extractor.feed("```python\n")
    for _ in range(3000):
        extractor.feed("x = 1\n")
    (block,) = extractor.feed("```\n")
    assert len(block.code) == 18000
