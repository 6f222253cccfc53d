"""How the shell's grammar writes commands, words, pipes and redirections."""

from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.lowering import Handler, Lowering, first, named
from bluecode.defenses.checkers.rules.tree import EMPTY, Node

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.syntax import Piece


def command(low: Lowering, node: "Piece") -> Node:
    """A command: its words as `args`, its name as `base`; redirections stay among the words."""
    label = first(node, "name")
    made = low.make(node, "command")
    made.base = low.lower(label) if label is not None else EMPTY
    started = False
    for kid in named(node):
        if kid.kind() == "command_name":
            started = True
        elif started or kid.kind() != "variable_assignment":
            made.args.append(low.lower(kid))
    return made


def word(low: Lowering, node: "Piece") -> Node:
    """A word without anything inserted."""
    return low.make(node, "text", node.text())


def expansion(low: Lowering, node: "Piece") -> Node:
    """`$x` and `${x…}`; the whole of it is the name, marks and all."""
    made = low.make(node, "name", node.text())
    return made


def substitution(low: Lowering, node: "Piece") -> Node:
    """`$(…)`, backticks, `<(…)`: commands inside a word."""
    mark = node.text()[:2]
    return low.make(node, "call", "<(" if mark == "<(" else "$(", args=low.all(node))


def quoted(low: Lowering, node: "Piece") -> Node:
    """A word in double quotes: what is inserted is not split."""
    parts: list[Node] = []
    for kid in named(node):
        if kid.kind() == "string_content":
            parts.append(low.make(kid, "text", kid.text()))
        else:
            parts.append(low.lower(kid))
    if all(part.role == "text" for part in parts):
        return low.make(node, "text", "".join(part.name for part in parts), type="quoted")
    return low.make(node, "join", args=parts, type="quoted")


def pasted(low: Lowering, node: "Piece") -> Node:
    """A word put together of several."""
    return low.make(node, "join", args=low.all(node))


def pipeline(low: Lowering, node: "Piece") -> Node:
    """Commands of which each feeds the next."""
    return low.make(node, "binary", "|", args=low.all(node))


def redirected(low: Lowering, node: "Piece") -> Node:
    """A command with redirections, which are put among its words."""
    parts = low.all(node)
    body = parts[0] if parts else EMPTY
    inner = body
    while inner.role in ("binary", "other") and inner.args:
        inner = inner.args[-1]
    extra = [part for part in parts[1:] if part.role == "redirect"]
    if inner.role == "command":
        inner.args.extend(extra)
        return body
    return low.make(node, "block", args=parts)


def redirect(low: Lowering, node: "Piece") -> Node:
    """A redirection: its sign and its target."""
    sign = next((kid.text() for kid in node.children() if not kid.is_named()), ">")
    targets = [kid for kid in named(node) if kid.kind() != "file_descriptor"]
    args = [low.lower(kid) for kid in targets]
    return low.make(node, "redirect", sign, args=args)


def here(low: Lowering, node: "Piece") -> Node:
    """A here-document or here-string: text that the command reads."""
    made = low.make(node, "redirect", "<<")
    for kid in named(node):
        if kid.kind() == "heredoc_body":
            made.args.append(low.make(kid, "text", kid.text()))
        elif kid.kind() not in ("heredoc_start", "heredoc_end"):
            made.args.append(low.lower(kid))
    return made


def _many(handler: Handler, kinds: str) -> dict[str, Handler]:
    return {kind: handler for kind in kinds.split()}


SHELL: dict[str, Handler] = {
    **_many(command, "command"),
    **_many(
        word,
        "word number extglob_pattern regex test_operator special_variable_name "
        "brace_expression arithmetic_expansion",
    ),  # fmt: skip
    **_many(expansion, "simple_expansion expansion"),
    **_many(substitution, "command_substitution process_substitution"),
    **_many(quoted, "string translated_string"),
    **_many(pasted, "concatenation"),
    **_many(pipeline, "pipeline"),
    **_many(redirected, "redirected_statement"),
    **_many(redirect, "file_redirect"),
    **_many(here, "heredoc_redirect herestring_redirect"),
}
"""Kinds of nodes of the shell's grammar, and what reads them."""
