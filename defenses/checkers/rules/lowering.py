"""From the trees of the grammars to `tree.Node`.

One table for all languages, keyed by the grammars' names for things, which agree more often than
not. What is in no table becomes `other` with everything below it: data still flows through.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.tree import EMPTY, Node, Role

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.syntax import Piece

Handler = Callable[["Lowering", "Piece"], Node]

_DEEPEST = 110
"""Levels of nesting that are read; what lies deeper is left out, and said to be unread."""
_MOST = 60_000
"""Nodes that are read."""


class Lowering:
    """Builds one tree; counts what it could not read."""

    def __init__(self, table: Mapping[str, Handler]) -> None:
        self.table = table
        self.depth = 0
        self.nodes = 0
        self.unread = False
        self.errors = 0
        """Characters under error nodes."""

    def lower(self, node: "Piece | None") -> Node:
        """The node in our form; `EMPTY` for nothing."""
        if node is None:
            return EMPTY
        self.nodes += 1
        if self.depth >= _DEEPEST or self.nodes > _MOST:
            self.unread = True
            return EMPTY
        self.depth += 1
        try:
            kind = node.kind()
            handler = self.table.get(kind)
            if handler is not None:
                return handler(self, node)
            if kind == "ERROR":
                start, end = node.extent
                self.errors += end - start
            return self.plain(node, "other")
        finally:
            self.depth -= 1

    def plain(self, node: "Piece", role: Role, name: str = "") -> Node:
        """A node of the given role with everything below it as `args`."""
        return self.make(node, role, name, args=self.all(node))

    def all(self, node: "Piece") -> list[Node]:
        """Every named part below, comments left out."""
        found = []
        for kid in node.named():
            if kid.kind() not in COMMENTS:
                found.append(self.lower(kid))
        return found

    def make(
        self,
        node: "Piece",
        role: Role,
        name: str = "",
        *,
        base: Node | None = None,
        args: list[Node] | None = None,
        type: str = "",
    ) -> Node:
        """A node with the lines of the given piece of code."""
        return Node(
            role,
            name,
            node.line,
            node.last,
            base,
            args if args is not None else [],
            type,
        )

    def field(self, node: "Piece", *names: str) -> Node:
        """The first of the fields that is there."""
        return self.lower(first(node, *names))


COMMENTS = frozenset(
    {"comment", "line_comment", "block_comment", "html_comment", "interpolation_brace"}
)
"""Kinds of nodes that say nothing."""


def first(node: "Piece", *names: str) -> "Piece | None":
    """The first of the fields that is there, as the grammar gives it."""
    for name in names:
        found = node.field(name)
        if found is not None:
            return found
    return None


def named(node: "Piece") -> list["Piece"]:
    """Named children that are no comments."""
    return [kid for kid in node.named() if kid.kind() not in COMMENTS]


def dotted(text: str) -> str:
    """A path as every rule writes it: `a.b.c`, without the marks of single languages."""
    if text.isidentifier():
        return text
    text = text.replace("?.", ".").replace("->", ".").replace("::", ".").replace("\\", ".")
    return "".join(text.split()).lstrip("$@&:.#").replace("$", "")
