"""What only Rust has: handlers that are named by an attribute, and `unsafe` blocks."""

import re

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node
from bluecode.defenses.checkers.rules.values import Level

_HANDLES = re.compile(r"#\[(?:\w+::)?(?:get|post|put|delete|patch|head|route)\(")
_BLOCK = re.compile(r"\bunsafe\s*\{")
_SAID = re.compile(r"(?i)//.*safety|/\*.*safety|#\s*safety")


class RustFlow(Flow):
    """Follows Rust."""

    def caller_level(self, function: Node) -> Level:
        """What a handler is given is a part of the request."""
        if _HANDLES.search(self.run.comment(function)):
            return Level.REQUEST
        return super().caller_level(function)


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet, and look at `unsafe` blocks that do not say why they are sound."""
    RustFlow(run).snippet(parsed.tree)
    for node in parsed.tree.walk():
        if node.role != "block" or not 0 < node.line <= len(run.lines):
            continue
        line = run.lines[node.line - 1]
        if not _BLOCK.search(line) or node.name == "declarations":
            continue
        before = run.lines[max(0, node.line - 4) : node.line]
        inside = run.lines[node.line : node.line + 2]
        if not any(_SAID.search(text) for text in (*before, *inside)):
            run.claim("unsafe_memory", node, 0.5)
