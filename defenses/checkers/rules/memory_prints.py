"""What `snprintf` gives back in C and C++: what it would have written, not what it wrote.

Taken as an offset or from the room that is left without a look at it, it leads out of the buffer as
soon as something was cut off.
"""

import re
from collections.abc import Mapping

from bluecode.defenses.checkers.rules.memory_body import Body, Event
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of

_PRINTS = re.compile(r"^(?:\w*[a-z_])?v?s[nw]printf$")
_SAYS_WHAT_IT_WROTE = re.compile(r"^\w*scn?printf$")


def prints(run: Run, body: Body) -> None:
    """Results that are used as they come."""
    grown = [event for event in body.calls if _prints(event.node)]
    if not grown:
        return
    calls = {id(event.node) for event in grown}
    parents = _parents(body.function)
    for events in list(body.by_key.values()):
        for event in events:
            if event.kind == "store" and event.value is not None:
                if any(id(part) in calls for part in _inside(event.value)):
                    _used(run, body, event, parents)
    for node in _added(body.function, calls):
        total = path_of(node.base)
        if total and not body.before(total, ("bound",), 1 << 30):
            run.claim("out_of_bounds_write", node, 0.5)


def _prints(node: Node) -> bool:
    name = node.name
    return _PRINTS.match(name) is not None and not _SAYS_WHAT_IT_WROTE.match(name)


def _inside(value: Node) -> list[Node]:
    """The call itself, or what a cast is made of."""
    while value.role == "cast" and value.args:
        value = value.args[0]
    return [value]


def _parents(function: Node) -> Mapping[int, Node]:
    return {id(kid): node for node in function.walk() for kid in node.kids()}


def _used(run: Run, body: Body, store: Event, parents: Mapping[int, Node]) -> None:
    for event in body.by_key[store.key]:
        if event.order <= store.order:
            continue
        if event.kind in ("store", "bound", "test"):
            return
        if event.kind == "use" and _leads_on(body, event.node, parents.get(id(event.node))):
            if body.reaches(store, event):
                run.claim("out_of_bounds_write", event.node, 0.55)
            return


def _leads_on(body: Body, node: Node, around: Node | None) -> bool:
    """Is it added to a place, taken from the room that is left, or an index?"""
    if around is None:
        return False
    if around.role == "join" and around.name == "+":
        others = [path_of(part) for part in around.args if part is not node]
        return any(_place(body, other) for other in others)
    if around.role == "binary" and around.name == "-":
        return around.args[0] is not node
    return around.role == "index" and around.base is not node


def _place(body: Body, path: str) -> bool:
    local = body.locals.get(path)
    return local is not None and (local.size is not None or local.type.endswith(("*", "[]")))


def _added(function: Node, calls: set[int]) -> list[Node]:
    """`n += snprintf(b + n, size - n, …)`, in a loop or more than once."""
    found = [
        node for node in function.walk()
        if node.role == "assign" and node.name == "+=" and node.args and id(node.args[0]) in calls
        and any(path_of(part) == path_of(node.base) for part in node.args[0].walk())
    ]  # fmt: skip
    return found if len(found) > 1 else []
