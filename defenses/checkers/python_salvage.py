"""The statements that can be read in text that cannot be read as a whole.

Blocks are tried by their indentation, outermost first; where one cannot be read, its inner blocks
are tried in its place. Lines keep their numbers. What is left out is counted, not passed over.
"""

import ast
import textwrap
import warnings
from collections.abc import Sequence

from bluecode.defenses.checkers.python_layout import Line, layout

_MOST_TRIES = 120
"""Blocks that are given to the parser."""
_MOST_TEXT = 8
"""All that the parser reads, as a multiple of the text."""


def salvaged(text: str) -> tuple[str, int] | None:
    """The readable statements, each at the margin and on its own lines, and the number of lines
    left out; None where nothing can be read."""
    lines = text.split("\n")
    starts = [line for line in layout(text, resume=True).lines if line.number < len(lines)]
    kept: dict[int, str] = {}
    left = [(at, end) for at, end in reversed(_blocks(starts, 0, len(starts)))]
    tries, budget = 0, _MOST_TEXT * len(text) + 1000
    while left and tries < _MOST_TRIES and budget > 0:
        first, end = left.pop()
        begin = starts[first].number
        stop = starts[end].number if end < len(starts) else len(lines)
        block = textwrap.dedent("\n".join(lines[begin:stop])).rstrip()
        tries, budget = tries + 1, budget - len(block)
        read = next((each for each in (block, *_completed(block)) if _parses(each)), None)
        if read is not None:
            kept.update(enumerate(read.split("\n"), start=begin))
        else:
            left += reversed(_blocks(starts, first + 1, end))
    if not kept:
        return None
    missing = sum(1 for at, line in enumerate(lines) if line.strip() and at not in kept)
    size = max(len(lines), max(kept) + 1)
    return "\n".join(kept.get(at, "") for at in range(size)) + "\n", missing


def _blocks(starts: Sequence[Line], first: int, end: int) -> list[tuple[int, int]]:
    """Each statement with the deeper ones after it, as indices of lines."""
    found: list[tuple[int, int]] = []
    at = first
    while at < end:
        after = at + 1
        while after < end and (
            starts[after].indent > starts[at].indent or _goes_on(starts, at, after)
        ):
            after += 1
        found.append((at, after))
        at = after
    return found


def _goes_on(starts: Sequence[Line], at: int, after: int) -> bool:
    """Whether a line is a further branch of the statement, or what a decorator decorates."""
    line = starts[after]
    if line.indent != starts[at].indent:
        return False
    return starts[after - 1].text.startswith("@") or line.text.startswith(
        ("else:", "elif ", "except:", "except ", "finally:")
    )


def _completed(block: str) -> tuple[str, ...]:
    """The block with what may have been cut off: the try before its handlers, or those after it."""
    if block.startswith(("except", "finally")):
        return ()
    if block.startswith(("elif ", "else:")):
        return ("if" + block[4:] if block.startswith("elif ") else "if 1" + block[4:],)
    if block.startswith("try:"):
        return (f"{block}\nfinally: pass", f"{block}\n    pass\nfinally: pass")
    if block.endswith(":"):
        return (f"{block} pass",)
    return ()


def _parses(text: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except (SyntaxError, ValueError):
        return False
    return True
