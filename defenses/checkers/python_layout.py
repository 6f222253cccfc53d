"""The layout of a cut-out piece: which lines start statements, what stood open around them.

Reads characters only, so that it works on text that no parser accepts.
"""

import re
from dataclasses import dataclass

_OPENING, _CLOSING = "([{", ")]}"
_PAIR = {")": "(", "]": "[", "}": "{"}
_DEFINES = re.compile(r"\s*(?:(?:async\s+)?def\s|class\s+\w+\s*[(:]|return\b|import\s|@\w)")
_HEADERS = (
    (re.compile(r"^(?:except|finally)\b"), "try:"),
    (re.compile(r"^(?:else|elif)\b"), "if True:"),
)


@dataclass(frozen=True, slots=True)
class Line:
    """A line that begins a statement."""

    number: int
    indent: int
    text: str


@dataclass(frozen=True, slots=True)
class Layout:
    """What a scan of the characters shows."""

    lines: tuple[Line, ...]
    open_brackets: str
    """Brackets that are still open at the end."""
    open_quote: str
    """Triple quotes of a string that is still open at the end."""
    loose_end: tuple[int, str] | None
    """Line and kind of the first closing bracket that nothing opened."""


def layout(text: str, *, resume: bool = False) -> Layout:
    """Scan the text once; to `resume` is to give up an open bracket where a definition begins."""
    stack: list[str] = []
    starts: list[Line] = []
    loose: tuple[int, str] | None = None
    quote = ""
    continued = False
    for number, line in enumerate(text.split("\n")):
        if resume and stack and not quote and _DEFINES.match(line):
            stack.clear()
        plain = not stack and not quote and not continued
        if plain and line.strip() and not line.lstrip().startswith("#"):
            starts.append(Line(number, len(line) - len(line.lstrip()), line.strip()))
        brackets, quote = _outside_strings(line, quote)
        continued = line.endswith("\\") and not quote
        for character in brackets:
            if character in _OPENING:
                stack.append(character)
            elif stack and stack[-1] == _PAIR[character]:
                stack.pop()
            elif loose is None and not stack:
                loose = (number, character)
    return Layout(tuple(starts), "".join(stack), quote, loose)


def _outside_strings(line: str, quote: str) -> tuple[str, str]:
    """The brackets outside strings and comments, and the triple quote that is open at the end."""
    found = ""
    index = 0
    while index < len(line):
        if quote:
            end = line.find(quote, index)
            if end < 0:
                break
            index, quote = end + 3, ""
            continue
        character = line[index]
        if character == "#":
            break
        if character in "\"'":
            if line.startswith(character * 3, index):
                quote = character * 3
                index += 3
                continue
            index = _string_end(line, index)
            continue
        if character in _OPENING or character in _CLOSING:
            found += character
        index += 1
    return found, quote


def _string_end(line: str, start: int) -> int:
    index = start + 1
    while index < len(line):
        if line[index] == "\\":
            index += 2
            continue
        if line[index] == line[start]:
            return index + 1
        index += 1
    return index


def scaffold(found: Layout) -> list[str]:
    """Lines to put in front so that a piece that steps out of its blocks becomes a program."""
    if not found.lines or not found.lines[0].indent:
        return []
    lowest = found.lines[0].indent
    levels = [(lowest, "")]
    for line in found.lines[1:]:
        if line.indent < lowest:
            lowest = line.indent
            levels.append((lowest, _header(line.text)))
        elif line.indent == lowest and len(levels) > 1:
            continue
    steps = [(indent, header or "if True:") for indent, header in levels[1:]]
    if lowest:
        steps.append((0, "if True:"))
    return [" " * indent + header for indent, header in reversed(steps)]


def _header(text: str) -> str:
    for pattern, header in _HEADERS:
        if pattern.match(text):
            return header
    return "if True:"
