"""What only JavaScript has: prototypes that anyone can reach through a property's name."""

from bluecode.defenses.checkers.rules.flow import Flow
from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of
from bluecode.defenses.checkers.rules.values import Level, Value


class JavaScriptFlow(Flow):
    """Follows JavaScript and TypeScript."""

    def entry(self, target: Node, value: Value, node: Node) -> None:
        """A property whose name comes from outside is written."""
        super().entry(target, value, node)
        if target.role != "index" or not target.args or not self.around:
            return
        key = self.eval(target.args[0])
        function = self.around[-1]
        if key.level < Level.PARAMETER or key.clean or _refuses_prototype(function):
            return
        if key.level >= Level.INPUT and path_of(target.args[0]):
            self.run.claim_flow("prototype_pollution", node, key.level, 0.85)
        elif _goes_deep(function):
            self.run.claim_flow("prototype_pollution", node, key.level)


def _refuses_prototype(function: Node) -> bool:
    """Is the prototype's name spoken of, or the object one without prototype?"""
    for node in function.walk():
        if node.role == "text" and node.name in ("__proto__", "prototype"):
            return True
        if node.role == "call" and node.name in ("hasOwnProperty", "hasOwn", "isPrototypePolluted"):
            return True
        if node.role == "call" and node.name == "create" and path_of(node.base) == "Object":
            return True
    return False


def _goes_deep(function: Node) -> bool:
    """Does it follow names down: by calling itself, or along a path that it takes apart?"""
    calls = {node.name for node in function.walk() if node.role == "call"}
    return bool(function.name and function.name in calls) or "split" in calls


def follow(run: Run, parsed: Parsed) -> None:
    """Follow a parsed snippet."""
    JavaScriptFlow(run).snippet(parsed.tree)
