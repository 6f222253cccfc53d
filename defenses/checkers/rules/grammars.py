"""From text to `tree.Node`: which grammar reads which language, and how fragments are read.

A tree is made of anything: what the
grammar cannot place stands under error nodes; `Parsed.broken` says how much of the text that is.
"""

import re
from dataclasses import dataclass

from bluecode.defenses.checkers.javascript_fragments import completed
from bluecode.defenses.checkers.rules.grammar_calls import CALLS
from bluecode.defenses.checkers.rules.grammar_functions import FUNCTIONS
from bluecode.defenses.checkers.rules.grammar_shell import SHELL
from bluecode.defenses.checkers.rules.grammar_statements import STATEMENTS
from bluecode.defenses.checkers.rules.grammar_values import VALUES
from bluecode.defenses.checkers.rules.lowering import Handler, Lowering
from bluecode.defenses.checkers.rules.syntax import OutOfTime, read
from bluecode.defenses.checkers.rules.tree import Node

TABLE: dict[str, Handler] = {**VALUES, **FUNCTIONS, **STATEMENTS, **CALLS}
SHELL_TABLE: dict[str, Handler] = {**TABLE, **SHELL}

_GRAMMARS = {
    "javascript": ("javascript", "tsx"),
    "typescript": ("typescript", "tsx"),
    "java": ("java",),
    "go": ("go",),
    "c": ("c", "cpp"),
    "cpp": ("cpp",),
    "php": ("php",),
    "ruby": ("ruby",),
    "csharp": ("csharp",),
    "rust": ("rust",),
    "bash": ("bash",),
}
"""The grammars that are tried, in order, until one reads the text without an error."""

_CLASSES = {"java": "class _ {", "csharp": "class _ {"}
"""What makes a method outside its class readable. It adds no line."""

_HEADS = {
    "java": "void _() ", "csharp": "void _() ", "javascript": "function _() ",
    "typescript": "function _() ", "c": "void _() ", "cpp": "void _() ", "go": "func _() ",
    "rust": "fn _() ", "php": "function _() ",
}  # fmt: skip
"""What makes the rest of a function readable whose beginning is cut off."""

_CASE = re.compile(r"^\s*(?:case\b[^:\n]{1,60}|default\s*):", re.M)
"""A label that only stands in a switch."""

_QUIET = re.compile(r"//[^\n]*|/\*[\s\S]*?\*/|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'|`[^`]*`")
"""Comments and texts: braces in them count for nothing."""

_FEW = 0.02
"""Share of the text under error nodes that is no reason to try another grammar."""
_MUCH = 0.1
"""Share from which on the brackets of a fragment are completed, which costs several readings."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A tree and how far it can be trusted."""

    tree: Node
    broken: float
    """Share of the text, 0-1, that the grammar could not place."""
    unread: bool
    """Something was too large or nested too deeply to be read."""


def parse(code: str, language: str) -> Parsed:
    """The best tree that the language's grammars make of the text."""
    text = _php(code) if language == "php" else code
    best: Parsed | None = None
    for text_, grammar in _attempts(text, language):
        found = _parse(text_, grammar)
        if best is None or found.broken < best.broken:
            best = found
        if best.broken <= _FEW:
            break
    assert best is not None  # every language has a grammar
    if best.broken > _MUCH and language in ("javascript", "typescript"):
        whole = completed(text, language)
        found = best if whole is None else _parse(whole, _GRAMMARS[language][-1])
        best = found if found.broken < best.broken else best
    return best


def _attempts(text: str, language: str) -> list[tuple[str, str]]:
    tries = [(text, grammar) for grammar in _GRAMMARS[language]]
    around = _CLASSES.get(language, "")
    grammar = _GRAMMARS[language][0]
    if around:
        tries.append((around + text + "\n}", grammar))
    if language in _HEADS:
        closed, opened = _braces(text)
        if closed or opened or around:
            before = around + _HEADS[language] + "{" * max(1, closed)
            after = "}" * (opened + (0 if closed else 1) + (1 if around else 0))
            tries.append((before + text + "\n" + after, grammar))
        case = _CASE.search(text)
        if case is not None and "switch" not in text[: case.start()]:
            before = around + _HEADS[language] + "{" * max(1, closed - 1) + "switch (0) {"
            after = "}" * (opened + max(0, 2 - closed) + (1 if around else 0))
            tries.insert(0, (before + text + "\n" + after, grammar))
        if opened:
            tries.append((around + text + "\n" + "}" * (opened + bool(around)), grammar))
        before, after = _brackets(text)
        if "(" in before or ")" in after or "/*" in before:
            inside = around + _HEADS[language] + "{" + before + text + "\n" + after
            tries.append((inside + ";}" + "}" * bool(around), grammar))
    return tries


def _brackets(text: str) -> tuple[str, str]:
    """What opens that only closes in a text, and what closes that only opens; a comment whose
    beginning is cut off begins again."""
    lead = "/*" if "*/" in text and not 0 <= text.find("/*") < text.find("*/") else ""
    closed: list[str] = []
    opened: list[str] = []
    for mark in re.findall(r"[()\[\]{}]", _QUIET.sub("", lead + text)):
        if mark in _ENDS:
            opened.append(_ENDS[mark])
        elif opened and opened[-1] == mark:
            opened.pop()
        elif not opened:
            closed.append(_STARTS[mark])
    return "".join(reversed(closed[:_LEVELS])) + lead, "".join(reversed(opened))


_ENDS = {"(": ")", "[": "]", "{": "}"}
_STARTS = {")": "f(", "]": "[", "}": "{"}
_LEVELS = 40


def _braces(text: str) -> tuple[int, int]:
    """Braces that are closed and never opened, and ones that are opened and never closed."""
    depth = lowest = 0
    for mark in re.findall(r"[{}]", _QUIET.sub("", text)):
        depth += 1 if mark == "{" else -1
        lowest = min(lowest, depth)
    return -lowest, depth - lowest


def _parse(text: str, grammar: str) -> Parsed:
    try:
        root = read(text, grammar)
    except OutOfTime:
        return Parsed(Node("block"), 1.0, True)
    low = Lowering(SHELL_TABLE if grammar == "bash" else TABLE)
    tree = low.lower(root)
    return Parsed(tree, low.errors / max(1, len(root.source)), low.unread)


_PHP_TAGS = re.compile(r"<\?(?:php\b|=)?|\?>", re.I)


def _php(code: str) -> str:
    """PHP with the markup around it blanked out, `<?= x ?>` as the `echo` that it means."""
    if not _PHP_TAGS.search(code):
        return code
    out: list[str] = []
    inside = not re.match(r"\s*<", code) and code.find("?>") < code.find("<?") % (len(code) + 1)
    echo = False
    at = 0
    for tag in _PHP_TAGS.finditer(code):
        piece = code[at : tag.start()]
        if tag.group() == "?>":
            out.append(piece if inside else _blank(piece))
            out.append(" ;" if inside else "  ")
            inside = echo = False
        else:
            out.append(piece if inside else _blank(piece))
            if not inside:
                echo = tag.group() == "<?="
                out.append("echo " if echo else " " * len(tag.group()))
            inside = True
        at = tag.end()
    out.append(code[at:] if inside else _blank(code[at:]))
    return "".join(out)


def _blank(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)
