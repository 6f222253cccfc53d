"""How the grammars write texts: literals, with what is inserted into them."""

from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.lowering import Lowering, first, named
from bluecode.defenses.checkers.rules.tree import Node

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.syntax import Piece


def plain_text(low: Lowering, node: "Piece") -> Node:
    """A literal that nothing can be inserted into."""
    text = node.text()
    start = min((text.find(mark) for mark in "'\"`" if mark in text), default=-1)
    if start >= 0:
        mark = text[start]
        width = 3 if text.startswith(mark * 3, start) and len(text) >= start + 6 else 1
        text = text[start + width :]
        text = text[: -width if text.endswith(mark * width) else None].removesuffix(mark + "#")
    return low.make(node, "text", text)


def symbol(low: Lowering, node: "Piece") -> Node:
    """A name that stands as a text."""
    return low.make(node, "text", node.text().strip(":\"'"))


_PIECES = frozenset(
    {
        "string_fragment", "string_content", "string_literal_content", "escape_sequence",
        "interpreted_string_literal_content", "raw_string_literal_content", "heredoc_content",
        "nowdoc_string", "raw_string_content", "regex_pattern", "multiline_string_fragment",
    }
)  # fmt: skip


_EDGES = frozenset(
    {"interpolation_start", "interpolation_brace", "heredoc_start", "heredoc_end", "regex_flags",
     "interpolation_quote", "raw_string_start", "raw_string_end"}
)  # fmt: skip


def text(low: Lowering, node: "Piece") -> Node:
    """A literal with its inserted parts, if any, as a `join`."""
    parts: list[Node] = []
    letters: list[str] = []
    _pieces(low, node, parts, letters)
    if not parts:
        return low.make(node, "text", "".join(letters))
    if letters:
        parts.append(low.make(node, "text", "".join(letters)))
    return low.make(node, "join", args=parts)


def _pieces(low: Lowering, node: "Piece", parts: list[Node], letters: list[str]) -> None:
    for kid in named(node):
        kind = kid.kind()
        if kind in _PIECES:
            letters.append(kid.text())
        elif kind in ("heredoc_body", "nowdoc_body"):
            _pieces(low, kid, parts, letters)
        elif kind not in _EDGES:
            if letters:
                parts.append(low.make(node, "text", "".join(letters)))
                letters.clear()
            parts.append(low.lower(kid))


def shell_text(low: Lowering, node: "Piece") -> Node:
    """Backticks: a shell command like any other."""
    made = text(low, node)
    return low.make(node, "call", "`", args=[made])


def joined(low: Lowering, node: "Piece") -> Node:
    """Texts that stand side by side."""
    return low.plain(node, "join")


def regex(low: Lowering, node: "Piece") -> Node:
    """A literal pattern; Ruby's may have parts inserted."""
    made = text(low, node)
    flags = first(node, "flags")
    if made.role == "text":
        return low.make(node, "regex", made.name, type=flags.text() if flags is not None else "")
    made.name = "regex"
    return made
