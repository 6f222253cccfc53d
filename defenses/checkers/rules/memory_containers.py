"""Containers of C++ that change while they are walked: iterators into them are then void."""

import re
from collections.abc import Sequence

from bluecode.defenses.checkers.rules.memory_body import Body
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import EMPTY, Node, path_of

_CHANGES = frozenset({"erase", "insert", "push_back", "emplace_back", "clear", "resize", "assign",
                      "emplace", "reserve"})  # fmt: skip
_ADDS = frozenset({"push_back", "emplace_back", "insert", "emplace", "resize", "reserve"})
_KEEPS = re.compile(r"\b(?:list|map|set|multimap|multiset|forward_list)\b")
"""Containers whose iterators outlive what is added."""


def containers(run: Run, body: Body) -> None:
    """Every change of a container inside a loop over it, unless the loop ends with it; and every
    reference into one that is used after the container grew."""
    _references(run, body)
    for loop, _ in body.loops:
        name, iterator = _walked(loop)
        if name and loop.base is not None:
            local = body.locals.get(name)
            node_based = local is not None and _KEEPS.search(local.type) is not None
            found = _change(_statements(loop.base), name, iterator, node_based=node_based)
            if found is not None:
                run.claim("use_after_free", found, 0.62)


def _references(run: Run, body: Body) -> None:
    """`int& a = v[0]; v.push_back(1); a = 2;`."""
    grown = {path_of(event.node.base): event for event in body.calls if event.node.name in _ADDS}
    if not grown:
        return
    for local in body.locals.values():
        store = next((e for e in body.by_key.get(local.name, ()) if e.kind == "store"), None)
        value = store.value if store is not None else None
        if store is None or value is None or not local.type.endswith(("&", "*")):
            continue
        if local.type.endswith("*") and value.role == "unary" and value.name == "&":
            value = value.args[0]
        into = value.role == "index" or value.role == "call" and value.name in ("front", "back")
        change = grown.get(path_of(value.base)) if into else None
        if change is None or change.order < store.order:
            continue
        holder = body.locals.get(path_of(value.base))
        if holder is not None and _KEEPS.search(holder.type):
            continue
        for event in body.by_key[local.name]:
            if event.order > change.order and event.kind in ("use", "deref", "store"):
                if body.reaches(change, event):
                    run.claim("use_after_free", event.node, 0.62)
                    break


def _walked(loop: Node) -> tuple[str, str]:
    """The container that a loop walks, and the iterator's name where it has one."""
    if loop.name == "each":
        return path_of(loop.args[1]), ""
    setup = loop.args[0] if loop.name == "for" else EMPTY
    for node in setup.walk():
        value = node.args[0] if node.role in ("declare", "assign") and node.args else EMPTY
        if value.role == "call" and value.name in ("begin", "cbegin") and value.base is not None:
            return path_of(value.base), path_of(node.base)
    return "", ""


def _statements(node: Node) -> Sequence[Node]:
    return node.args if node.role == "block" else [node]


def _change(nodes: Sequence[Node], name: str, iterator: str, *, node_based: bool) -> Node | None:
    """The first change that the loop goes on after."""
    if nodes and nodes[-1].role in ("return", "jump") and nodes[-1].name != "continue":
        return None
    for node in nodes:
        if node.role in ("if", "block", "loop", "try", "switch", "case", "label", "other"):
            inner = [*node.args, *([node.base] if node.base is not None else [])]
            for part in inner:
                found = _change(_statements(part), name, iterator, node_based=node_based)
                if found is not None:
                    return found
        elif node.role == "call" and _changes(node, name, iterator, node_based=node_based):
            return node
    return None


def _changes(call: Node, name: str, iterator: str, *, node_based: bool) -> bool:
    if call.name not in _CHANGES or path_of(call.base) != name:
        return False
    if call.name in _ADDS:
        return not node_based
    if not iterator:  # a range-based loop holds an iterator of its own
        return True
    return call.name == "erase" and any(path_of(arg) == iterator for arg in call.args)
