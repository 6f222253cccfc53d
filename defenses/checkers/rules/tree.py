"""One small syntax tree for all languages: what the rules need of it, and nothing else.

The grammars differ in a thousand names for the same thing; `lowering` brings their trees into this
form. A node's `role` says which of its fields mean something.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Role = Literal[
    "name", "text", "number", "constant", "regex", "join", "member", "index", "call", "assign",
    "declare", "binary", "unary", "cast", "choice", "object", "pair", "array", "function", "param",
    "block", "if", "loop", "switch", "case", "return", "jump", "try", "class", "import", "command",
    "redirect", "label", "other",
]  # fmt: skip


@dataclass(slots=True, eq=False)
class Node:
    """A piece of code.

    name: `name` its dotted path; `text`, `number`, `regex`, `constant` the value; `member` the
      property; `call` the last part of the callee; `binary`, `unary`, `assign` the operator;
      `cast` and `declare` the type; `pair` the key; `loop` its kind; `jump` its keyword.
    base: `member`, `index`, `call` what it is taken from; `assign`, `declare` the target; `pair` a
      computed key; `function`, `loop`, `class` the body; `param` its pattern; `case` nothing.
    args: parts in the order of the code; for `if` condition, then, else; for `loop` what runs
      first, the condition, and the step, or the target and the collection of an `each`.
    type: the declared type of `declare`, `param` and `function`; `new` on calls that construct.
    tags: decorators, annotations and modifiers, as written; `->` on C's calls through a pointer,
      `$` on PHP's calls of what a variable names.
    """

    role: Role
    name: str = ""
    line: int = 0
    last: int = 0
    base: "Node | None" = None
    args: list["Node"] = field(default_factory=list)
    type: str = ""
    tags: tuple[str, ...] = ()
    size: "Node | None" = None
    """Of a declared array: how many elements."""

    def kids(self) -> Iterator["Node"]:
        """Everything directly below, in the order of the code as far as the roles keep it."""
        if self.base is not None:
            yield self.base
        yield from self.args

    def walk(self) -> Iterator["Node"]:
        """This node and all below it, each once."""
        stack = [self]
        while stack:
            node = stack.pop()
            yield node
            if node.args:
                stack.extend(reversed(node.args))
            if node.base is not None:
                stack.append(node.base)


def path_of(node: "Node | None") -> str:
    """The dotted path of a name or a chain of members, `a.b.c`; empty for anything else."""
    parts: list[str] = []
    while node is not None and node.role == "member":
        parts.append(node.name)
        node = node.base
    if node is None or node.role != "name":
        return ""
    parts.append(node.name)
    return ".".join(reversed(parts))


def name_of(function: Node) -> str:
    """What tells a function from all others of its snippet."""
    return f"{function.name}@{id(function)}"


EMPTY = Node("other")
"""Stands where an optional part is missing."""


def missing(node: Node | None) -> bool:
    """Is there nothing written here?"""
    return node is None or node is EMPTY
