"""Making code of a fragment parse: prompts, magics, indentation, Python 2, and cut-off ends.

Line numbers stay those of the snippet. What had to be left out is said: a tree that stands for only
a part is never passed off as the whole.
"""

import ast
import re
import warnings
from dataclasses import dataclass, replace

from bluecode.defenses.checkers import python_depth
from bluecode.defenses.checkers.python_layout import Layout, layout, scaffold
from bluecode.defenses.checkers.python_salvage import salvaged
from bluecode.defenses.verdict import DetectorError

_PROMPT = re.compile(r"^\s*(?:>>>|\.\.\.|In \[\d+\]:)(?: |$)")
_END_OF_DOCSTRING = re.compile(r"^[ \t]+(?:\"{3}|'{3})[ \t]*$", re.M)
"""What makes a first line with a prompt the example of a docstring, and no session."""
_MAGIC = re.compile(r"^(\s*)(?:%{1,2}\w|!\s*\w|\?\w|\w[\w.]*\?{1,2}\s*$)")
_GAP = re.compile(r"^(\s*)(?:\.\.\.|…)(?:\s*\S.*)?$")
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_INDENTED = re.compile(r"(?:[ \t]*\n)*[ \t]+[^\s#]")
_ATTEMPTS = 12
_WARNS = re.compile(r"[0-9](?:and|else|for|if|in|is|not|or)\b")
"""What the parser can warn of: escapes, and numbers that run into words."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A tree and what it leaves out."""

    tree: ast.Module
    shift: int = 0
    """Lines put in front of the code: to be taken off every line number."""
    dropped: int = 0
    """Lines that are no Python, so that the piece does not run as it is."""
    deep: int = 0
    """Lines that may run, but are nested too deeply to be read."""


def parse(code: str) -> Parsed:
    """Read a snippet as far as possible. Raises `DetectorError` when nothing can be read."""
    text = code.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")
    text = text.lstrip("\ufeff")
    try:
        return _parsed(text)
    except (RecursionError, MemoryError):
        pass
    shorter, dropped = python_depth.shortened(text)
    try:
        found = _parsed(shorter)
    except (RecursionError, MemoryError) as error:
        # It may run elsewhere, so it is no matter of syntax: it was not read.
        raise DetectorError("the code is nested too deeply to be read", partial=True) from error
    return replace(found, deep=found.dropped + dropped)


def _parsed(text: str) -> Parsed:
    for attempt in (_as_it_is, _plain_lines, _modernised):
        candidate = attempt(text)
        parsed = None if candidate is None else _indented(candidate)
        if parsed is not None:
            return parsed
    return _mended(_modernised(_plain_lines(text)))


def _tree(text: str) -> ast.Module | None:
    try:
        if "\\" not in text and _WARNS.search(text) is None:
            return ast.parse(text)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def _as_it_is(text: str) -> str:
    return text


def _plain_lines(text: str) -> str:
    """Without prompts, IPython magics and prose-like gaps."""
    lines = text.split("\n")
    spoken = [line for line in lines if line.strip()]
    if spoken and _PROMPT.match(spoken[0]) and _END_OF_DOCSTRING.search(text) is None:
        lines = [_unprompted(line) for line in lines]
    lines = [_MAGIC.sub(r"\1pass  # ", line) if _MAGIC.match(line) else line for line in lines]
    return "\n".join(_GAP.sub(r"\1pass", line) for line in lines)


def _unprompted(line: str) -> str:
    """A line of a session: its code, or nothing where it is output."""
    found = _PROMPT.match(line)
    return line[found.end() :] if found else ""


_PYTHON2 = (
    (re.compile(r"^(\s*)print\s+>>\s*([\w.]+)\s*,?(.*?),?\s*$", re.M), r"\1print(\3, file=\2)"),
    (re.compile(r"^(\s*|.*?:\s+)print\s*$", re.M), r"\1print()"),
    (
        re.compile(r"^(\s*|[^#'\"\n]*:\s+)print[ \t]+(?![=(.\[)])(.+?),?[ \t]*$", re.M),
        r"\1print(\2)",
    ),
    (
        re.compile(r"^(\s*)print[ \t]+(\(.*\)[ \t]*[%.+].*|\(.*\),.*)$", re.M),
        r"\1print(\2)",
    ),
    (re.compile(r"^(\s*)except\s+(.+?)\s*,\s*(\w+)\s*:", re.M), r"\1except \2 as \3:"),
    (re.compile(r"^(\s*)raise\s+([\w.]+)\s*,\s*(?=\S)", re.M), r"\1raise \2 from "),
    (re.compile(r"^(\s*)exec\s+([^(=\s].*?)(?:\s+in\s+.+)?$", re.M), r"\1exec(\2)"),
    (re.compile(r"\bur(?=['\"])"), "r"),
    (re.compile(r"(?<![\w.])0([0-7]+)(?![\w.])"), r"0o\1"),
    (re.compile(r"(?<![\w.])(0[xX][0-9a-fA-F]+|\d+)[lL]\b"), r"\1"),
    (re.compile(r"<>"), "!="),
    (re.compile(r"`([^`\n]+)`"), r"repr(\1)"),
)


def _modernised(text: str) -> str:
    """Python 2 spellings in those of Python 3, as far as single lines show them."""
    for pattern, replacement in _PYTHON2:
        text = pattern.sub(replacement, text)
    return text.expandtabs(8)


def _indented(text: str) -> Parsed | None:
    """Parse whole, or as the body of something where the piece starts indented."""
    if _INDENTED.match(text) is not None:
        tree = _tree("if True:\n" + text)
        if tree is not None:
            return Parsed(tree, shift=1)
    tree = _tree(text)
    return Parsed(tree) if tree is not None else _levelled(text)


def _levelled(text: str) -> Parsed | None:
    """A first line without its indentation in front of lines that kept theirs, or the reverse."""
    lines = text.split("\n")
    rest = [line for line in lines[1:] if line.strip()]
    if not rest:
        return None
    margin = min(len(line) - len(line.lstrip()) for line in rest)
    if margin and lines[0][:1] not in (" ", "\t"):
        shifted = [lines[0], *(line[margin:] for line in lines[1:])]
        tree = _tree("\n".join(shifted))
        return None if tree is None else Parsed(tree)
    return None


def _mended(text: str) -> Parsed:
    """Complete what was cut off on either side; leave out lines that cannot be read, and count."""
    for candidate, shift in _completed(text):
        tree = _tree(candidate)
        if tree is not None and _says_something(tree):
            return Parsed(tree, shift=shift)
    candidate, shift = _completed(text)[0]
    lines = candidate.split("\n")
    count = len(lines)
    dropped = 0
    for _ in range(_ATTEMPTS):
        candidate = _closed("\n".join(lines))
        tree = _tree(candidate)
        if tree is not None and _says_something(tree):
            return Parsed(tree, shift=shift, dropped=dropped)
        where = _error_line(candidate, count)
        if where is None or where < shift or dropped > count // 2:
            break
        lines[where] = _emptied(lines[where])
        dropped += 1
    return _salvaged(text)


def _salvaged(text: str) -> Parsed:
    """What can be read when neither end can be completed. Raises `DetectorError` if nothing can."""
    tries = [found for found in (salvaged(text), salvaged(_closed(text))) if found is not None]
    for readable, missing in sorted(tries, key=lambda found: found[1]):
        tree = _tree(readable)
        if tree is not None and _is_code(tree) and missing <= _most_missing(text):
            return Parsed(tree, dropped=missing)
    raise DetectorError("the code cannot be read as Python, not even in part", unchecked="syntax")


def _completed(text: str) -> list[tuple[str, int]]:
    """The piece with what must have stood around it, likeliest first, and the lines added."""
    found = layout(text)
    candidates = [_framed(text, found)]
    if found.loose_end is not None:
        line, bracket = found.loose_end
        opened = f"_{_OPENERS[bracket]}" if bracket != "}" else "_ = {"
        rest = [item for item in found.lines if item.number > line]
        indent = " " * (rest[0].indent if rest else 0)
        added = f"{indent}{opened}\n{text}"
        framed, shift = _framed(added, layout(added))
        candidates.append((framed, shift + 1))
    quote = found.open_quote or _first_quote(text)
    if quote:
        # It may begin inside a string, and end inside another.
        inside = f"{quote}\n{text}"
        later = layout(inside)
        indent = " " * (later.lines[1].indent if len(later.lines) > 1 else 0)
        framed, shift = _framed(indent + inside, layout(indent + inside))
        candidates.append((framed, shift + 1))
    return candidates


def _first_quote(text: str) -> str:
    marks = [mark for mark in ('"""', "'''") if mark in text]
    return min(marks, key=text.index) if marks else ""


_OPENERS = {")": "(", "]": "["}


def _framed(text: str, found: Layout) -> tuple[str, int]:
    above = scaffold(found)
    return _closed("\n".join([*above, text])), len(above)


def _most_missing(text: str) -> int:
    """Lines that may be left out of a piece that still counts as read in part: two of three."""
    return sum(1 for line in text.split("\n") if line.strip()) * 2 // 3


def _says_something(tree: ast.Module) -> bool:
    return any(not isinstance(node, (ast.Pass, ast.If)) for node in tree.body) or _is_code(tree)


def _is_code(tree: ast.Module) -> bool:
    """Words of prose parse, too, as names."""
    return any(isinstance(node, (ast.Call, ast.Assign, ast.FunctionDef)) for node in ast.walk(tree))


def _error_line(text: str, count: int) -> int | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        line = min(error.lineno or count, count) - 1
        lines = text.split("\n")
        while line > 0 and (not lines[line].strip() or lines[line].strip() == "pass"):
            line -= 1
        return line
    except ValueError:
        return None
    return None


def _emptied(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return f"{indent}if True:" if line.rstrip().endswith(":") else f"{indent}pass"


def _closed(text: str) -> str:
    """Text with its open strings and brackets closed and its last block filled."""
    ended = text.rstrip()
    found = layout(ended)
    if found.open_quote:
        ended += found.open_quote
        found = layout(ended)
    if found.open_brackets:
        ended = ended.rstrip().removesuffix(",")
        if ended.endswith(("=", "+", "and", "or", "%")):
            ended += " None"
    ended += "".join(_BRACKETS[bracket] for bracket in reversed(found.open_brackets))
    last = found.lines[-1] if found.lines else None
    if last is not None and _opens_block(ended.split("\n")[last.number :]):
        head = ended if ended.rstrip().endswith(":") else f"{ended}:"
        ended = f"{head}\n{' ' * (last.indent + 4)}pass"
    ends = "".join(f"{' ' * indent}finally: pass\n" for indent in reversed(_open_tries(found)))
    return f"{ended}\n{ends}"


def _open_tries(found: Layout) -> list[int]:
    """Indentation of each `try` whose handlers were cut off, outermost first."""
    open_blocks: list[tuple[int, bool]] = []
    for line in found.lines:
        while open_blocks and line.indent < open_blocks[-1][0]:
            open_blocks.pop()
        if open_blocks and line.indent == open_blocks[-1][0]:
            open_blocks.pop()
            if line.text.startswith(("except", "finally", "else:")):
                open_blocks.append((line.indent, True))
        if line.text.startswith("try:"):
            open_blocks.append((line.indent, False))
    return [indent for indent, handled in open_blocks if not handled]


_BLOCK = re.compile(r"^\s*(?:if|elif|else|for|while|with|try|except|finally|def|class|async)\b")


def _opens_block(lines: list[str]) -> bool:
    """Whether the last statement is a header whose block was cut off."""
    if _BLOCK.match(lines[0]) is None:
        return lines[-1].rstrip().endswith(":") and len(lines) == 1
    text = "\n".join(lines)
    depth = layout(text)
    return (
        not re.search(r":[ \t]*\S[^\n]*$", text)
        or text.rstrip().endswith(":")
        or bool(depth.open_brackets)
    )
