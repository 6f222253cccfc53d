"""What only Java has: methods that answer for a certificate, handlers' parameters, view names."""

import re

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node
from bluecode.defenses.checkers.rules.values import HOLE, Level, Value

_HANDLES = re.compile(
    r"@(?:Get|Post|Put|Delete|Patch|Request)Mapping\b|@(?:GET|POST|PUT|DELETE|PATCH)\b|"
    r"@(?:Get|Post|Put|Delete)\("
)
_OPEN_VIEW = re.compile(rf"redirect:(?!/[^/{HOLE}]|https?://[^/{HOLE}]+/).*{HOLE}", re.S)


class JavaFlow(Flow):
    """Follows Java."""

    def function_started(self, node: Node) -> None:
        """A check of certificates or host names that never says no."""
        if node.name == "checkServerTrusted" and not _does(node, "jump", "call"):
            self.run.claim("tls_off", _head(node), 0.85)
        if node.name == "verify" and any("SSLSession" in one.type for one in node.args):
            says = [part for part in _parts(node) if part.role == "return" and part.args]
            yes = all(part.args[0].name == "true" for part in says)
            if says and yes and not _does(node, "if", "call"):
                self.run.claim("tls_off", _head(node), 0.85)

    def seed(self, node: Node, function: Node) -> Value:
        """A plain text that a handler is given is a part of the request."""
        value = super().seed(node, function)
        handles = node.type == "String" and _HANDLES.search(" ".join(function.tags))
        if value.level is Level.PARAMETER and handles:
            return Value(Level.REQUEST, path=value.path)
        return value

    def returned(self, node: Node, value: Value) -> None:
        """A view's name may send the browser elsewhere."""
        super().returned(node, value)
        if _OPEN_VIEW.match(value.shape) and value.level_for("redirect") >= Level.INPUT:
            self.run.claim_flow("open_redirect", node, value.level)


def _parts(node: Node) -> list[Node]:
    return list(node.base.walk()) if node.base is not None else []


def _does(node: Node, *roles: str) -> bool:
    return any(part.role in roles for part in _parts(node))


def _head(node: Node) -> Node:
    return Node("function", node.name, node.line, node.line)


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet."""
    JavaFlow(run).snippet(parsed.tree)
