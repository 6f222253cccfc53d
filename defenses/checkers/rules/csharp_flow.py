"""What only C# has: attributes on actions, and callbacks that accept any certificate."""

import re

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node
from bluecode.defenses.checkers.rules.values import Level, Value

_CHANGES = re.compile(r"\[\s*HttpPost|AcceptVerbs.*Post")
"""What a form of another site can send; browsers ask before they send the other methods."""
_GUARDED = re.compile(
    r"AntiForgery|FromBody|ApiController|JwtBearer|Authorize\(AuthenticationSchemes"
)
_CHECKS_OFF = re.compile(r"ValidateInput\s*\(\s*false|AllowHtml\b")


class CSharpFlow(Flow):
    """Follows C#."""

    def _lambda(self, node: Node) -> Value:
        super()._lambda(node)
        body = node.base
        if body is not None and body.role == "constant" and body.name == "true":
            return Value(path="function:true")
        says = [part for part in node.walk() if part.role == "return"]
        if len(says) == 1 and says[0].args and says[0].args[0].role == "constant":
            if says[0].args[0].name == "true" and not any(
                part.role in ("if", "call") for part in node.walk()
            ):
                return Value(path="function:true")
        return Value(path="function")

    def function_started(self, node: Node) -> None:
        """Look at the attributes of an action."""
        tags = " ".join(node.tags)
        if _CHECKS_OFF.search(tags):
            self.run.claim("input_validation_off", _first_line(node), 0.65)
        if not _CHANGES.search(tags) or _GUARDED.search(tags):
            return
        around = " ".join(tag for item in self.classes for tag in item.tags)
        types = " ".join(item.type for item in self.classes)
        parameters = " ".join(tag for one in node.args for tag in one.tags)
        if _GUARDED.search(around + parameters) or "ApiController" in types:
            return
        self.run.claim("missing_csrf", _first_line(node), 0.52)

    def caller_level(self, function: Node) -> Level:
        """The arguments of an action are parts of the request."""
        tags = " ".join(function.tags)
        action = re.search(r"\[\s*(?:Http\w+|Route)", tags) or any(
            re.search(r"Controller\b", item.type) for item in self.classes
        )
        if action and "public" in function.tags:
            return Level.REQUEST
        return super().caller_level(function)


def _first_line(node: Node) -> Node:
    return Node("function", node.name, node.line, node.line)


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet."""
    CSharpFlow(run).snippet(parsed.tree)
