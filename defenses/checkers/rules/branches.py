"""Where ways of the code part and meet: what holds behind them."""

from dataclasses import replace

from bluecode.defenses.checkers.rules.state import Env
from bluecode.defenses.checkers.rules.tree import Node
from bluecode.defenses.checkers.rules.values import Level, either


def leaves(node: Node) -> bool:
    """Does this statement leave the loop or function that it stands in?"""
    last = node.args[-1] if node.role == "block" and node.args else node
    return last.role in ("return", "jump")


def constants(node: Node) -> bool:
    """Are these all fixed values?"""
    return all(
        arg.role in ("text", "number", "constant", "join", "member")
        or (arg.role == "other" and bool(arg.args) and constants(arg))
        for arg in node.args
    )


def met(left: Env, right: Env, keep: frozenset[str] = frozenset()) -> Env:
    """What holds where two ways meet. A name that only one way knows is kept."""
    if left is right:
        return left
    joined = dict(left)
    for name, value in right.items():
        other = left.get(name)
        if other is None or name in keep:
            joined[name] = value
        elif other is not value:
            joined[name] = either(other, value)
    return joined


def checked_by_element(start: Env, end: Env) -> frozenset[str]:
    """Names that a loop looked through, element by element, and found harmless."""
    return frozenset(
        name
        for name, value in end.items()
        if value.level is Level.NONE
        and name in start
        and start[name].level > Level.NONE
        and replace(start[name], level=Level.NONE, text=None, items=(), fields={}) == value
    )
