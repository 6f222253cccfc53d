"""Checks in C and C++ that do not check what they are there for: a limit that is one too high, a
sum that wraps around before it is compared, a length that gets smaller than nothing, a result that
nobody looks at.
"""

import re
from collections.abc import Iterator, Mapping

from bluecode.defenses.checkers.rules.memory_body import Body, Local
from bluecode.defenses.checkers.rules.memory_sizes import (
    from_outside,
    names_in,
    number_of,
    unsigned,
)
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import EMPTY, Node, path_of

_DROPS = frozenset({"setuid", "setgid", "seteuid", "setegid", "setresuid", "setresgid",
                    "setreuid", "setregid", "setgroups"})  # fmt: skip
"""Calls that give up rights, and may fail."""
_MOVES = {"memcpy": 2, "memmove": 2, "CopyMemory": 2, "RtlCopyMemory": 2, "malloc": 0}
Places = Mapping[int, int]
"""Where each node stands in the order of the code, by its identity."""
_MIRROR = {"<": ">", ">": "<", "<=": ">=", ">=": "<="}


def checks(run: Run, body: Body) -> None:
    """Every check in this function that misses its aim."""
    if body.function.base is None:
        return
    places = {id(node): at for at, node in enumerate(body.function.base.walk())}
    for node in body.function.base.walk():
        if node.role == "if":
            limits = [one for one in _limits(node) if one is not None]
            if _leaves(node.args[1]):
                _one_too_high(run, body, node, limits, places)
                _only_above(run, body, node, places)
                _wrapped_sum(run, body, node, places)
        elif node.role == "block":
            for statement in node.args:
                if statement.role == "call" and statement.name in _DROPS and not statement.base:
                    run.claim("unchecked_result", statement, 0.6)
    _below_nothing(run, body)


def _leaves(node: Node) -> bool:
    last = node.args[-1] if node.role == "block" and node.args else node
    return last.role in ("return", "jump") or last.role == "call" and last.name in _GIVES_UP


_GIVES_UP = frozenset({"exit", "abort", "error", "die", "fatal", "err", "errx", "_exit"})


def _alternatives(condition: Node) -> Iterator[Node]:
    """The parts of `a || b`, each of which is enough."""
    if condition.role == "binary" and condition.name == "||":
        for part in condition.args:
            yield from _alternatives(part)
    elif condition.role == "call" and condition.name in ("unlikely", "likely") and condition.args:
        yield from _alternatives(condition.args[0])
    else:
        yield condition


def _limits(node: Node) -> Iterator[tuple[str, Node] | None]:
    """`x > limit`: the name that is refused above its limit."""
    for part in _alternatives(node.args[0]):
        if part.role != "binary" or part.name not in _MIRROR or len(part.args) != 2:
            continue
        left, right = (_plain(arg) for arg in part.args)
        if part.name == ">" and path_of(left):
            yield path_of(left), right
        elif part.name == "<" and path_of(right) and number_of(left) is None:
            yield path_of(right), left


def _plain(node: Node) -> Node:
    while node.role == "cast" and node.args:
        node = node.args[0]
    return node


def _one_too_high(
    run: Run, body: Body, test: Node, limits: list[tuple[str, Node]], places: Places
) -> None:
    """`if (i > N) return; a[i]` over N elements."""
    for name, limit in limits:
        for event in body.by_key.get(name, ()):
            if event.kind == "bound" and _behind(event.node, test.args[1], places):
                break
        else:
            _indexed(run, body, test, name, limit, places)


def _only_above(run: Run, body: Body, test: Node, places: Places) -> None:
    """`if (i >= n) return; a[i]` where `i` has a sign and nobody asks whether it is below 0."""
    for part in _alternatives(test.args[0]):
        if part.role != "binary" or part.name != ">=" or len(part.args) != 2:
            continue
        name = path_of(_plain(part.args[0]))
        local = body.locals.get(name)
        if local is None or not local.parameter or local.type not in ("int", "long", "short"):
            continue
        events = body.by_key.get(name, ())
        if sum(event.kind == "bound" for event in events) > 1 or any(
            event.kind == "store" for event in events
        ):
            continue
        for node in body.function.walk():
            if node.role == "index" and len(node.args) == 1 and _behind(node, test, places):
                if path_of(_plain(node.args[0])) == name:
                    run.claim("out_of_bounds_read", node, 0.54)
                    return


def _behind(node: Node, other: Node, places: Places) -> bool:
    """Does the one stand behind the other in the code?"""
    return places.get(id(node), -1) > places.get(id(other), 1 << 30)


def _indexed(run: Run, body: Body, test: Node, name: str, limit: Node, places: Places) -> None:
    assert body.function.base is not None
    for node in body.function.base.walk():
        if node.role != "index" or len(node.args) != 1 or not _behind(node, test, places):
            continue
        if path_of(_plain(node.args[0])) == name:
            likely = 0.7 if _holds(body, node, limit) else 0.55 if _kept_beside(node, limit) else 0
            if likely:
                run.claim("out_of_bounds_read", node, likely)
                return


_COUNTS = re.compile(r"^(?:n|num|nr|number|count|len|length|size|total)(?:_|$|[A-Z])|"
                     r"(?:_|[a-z])(?:count|len|length|size|num|number)$")  # fmt: skip


def _kept_beside(index: Node, limit: Node) -> bool:
    """`t->entries[i]` with `t->count` as the limit."""
    if limit.role != "member" or index.base is None or index.base.role != "member":
        return False
    return _COUNTS.search(limit.name) is not None and alike(limit.base, index.base.base)


def alike(one: Node | None, other: Node | None) -> bool:
    """Are two pieces of code written in the same way?"""
    if one is None or other is None:
        return one is other
    return (one.role, one.name, len(one.args)) == (other.role, other.name, len(other.args)) and all(
        alike(a, b) for a, b in zip([one.base, *one.args], [other.base, *other.args], strict=True)
    )


def _holds(body: Body, index: Node, limit: Node) -> bool:
    """Is the limit the number of elements of what is indexed?"""
    path = path_of(index.base)
    if limit.role == "call" and limit.name in ("size", "length") and path:
        return path_of(limit.base) == path
    local = body.locals.get(path) or body.outer.get(path)
    if local is None or local.size is None or local.parameter:
        return False
    size, most = number_of(local.size), number_of(limit)
    if size is not None and most is not None:
        return size == most
    return path_of(local.size) != "" and path_of(local.size) == path_of(limit)


def _wrapped_sum(run: Run, body: Body, test: Node, places: Places) -> None:
    """`if (a + b > size) return;` where both come from the caller and may wrap around."""
    for part in _alternatives(test.args[0]):
        if part.role != "binary" or part.name not in _MIRROR or len(part.args) != 2:
            continue
        larger, other = part.args if part.name in (">", ">=") else reversed(part.args)
        if larger.role != "join" or larger.name != "+" or len(larger.args) != 2:
            continue
        names = [path_of(_plain(arg)) for arg in larger.args]
        free = all(_free(body, name) for name in names)
        if not free and not _received(body, names, test, places):
            continue
        if names_in(other) & set(names):
            continue
        if any(_bounded(body, name, test, places, free) for name in names):
            continue
        if any(_reaches_memory(body, name, test, places) for name in names):
            run.claim("integer_overflow", part, 0.58)
            return


def _free(body: Body, name: str) -> bool:
    """A number without sign, of 32 bits or of the machine's, that the caller decides."""
    local = body.locals.get(name)
    return (
        local is not None and local.parameter and "*" not in local.type and unsigned(local.type)
        and not re.search(r"\b(?:u?int)?(?:8|16)(?:_t)?\b|char|short|u8|u16", local.type)
    )  # fmt: skip


def _received(body: Body, names: list[str], test: Node, places: Places) -> bool:
    """Numbers of 32 bits without sign that were read from what others sent."""
    for name in names:
        local = body.locals.get(name)
        if local is None or local.parameter or not _OF_32_BITS.match(local.type):
            return False
        orders = [e.order for e in body.by_key.get(name, ()) if _behind(e.node, test, places)]
        if not from_outside(body, {name}, min(orders, default=1 << 30)):
            return False
    return True


_OF_32_BITS = re.compile(r"^(?:unsigned(?: int)?|uint32_t|uint|u32|UINT32|DWORD|guint32)$")


def _bounded(body: Body, name: str, test: Node, places: Places, stored: bool) -> bool:
    """Was it compared before, or more than once? Or `stored`, where that is a change, too?"""
    events = body.by_key.get(name, ())
    kinds = ("bound", "store") if stored else ("bound",)
    early = any(e.kind in kinds and _behind(test, e.node, places) for e in events)
    return early or sum(event.kind == "bound" for event in events) > 1


def _reaches_memory(body: Body, name: str, test: Node, places: Places) -> bool:
    for event in body.calls:
        at = _MOVES.get(event.node.name)
        if at is not None and _behind(event.node, test, places) and len(event.node.args) > at:
            if any(name in names_in(arg) for arg in event.node.args):
                return True
    return False


def _below_nothing(run: Run, body: Body) -> None:
    """`memcpy(out, p + 8, len - 8)` where nobody asked whether there are eight."""
    for event in body.calls:
        at = _MOVES.get(event.node.name)
        if at is None or len(event.node.args) <= at:
            continue
        size = event.node.args[at]
        store = body.last_store(path_of(size), event.order) if path_of(size) else None
        if store is not None and store.value is not None:
            size = store.value
        name = _less(size)
        local = body.locals.get(name)
        if local is None or not local.parameter or not unsigned(local.type) or "*" in local.type:
            continue
        made = path_of(event.node.args[at])
        seen = [name, made] if made else [name]
        if not any(body.before(one, ("bound", "test"), event.order) for one in seen):
            run.claim("integer_overflow", event.node, 0.6)


def _less(size: Node) -> str:
    """The name in `name - 8`."""
    size = _plain(size)
    if size.role == "binary" and size.name == "-" and len(size.args) == 2:
        taken = size.args[1]
        if number_of(taken) or taken.role == "call" and taken.name == "sizeof":
            return path_of(_plain(size.args[0]))
    return ""


def arrays(tree: Node) -> Mapping[str, Local]:
    """Arrays that are declared outside of all functions, and the fields of structures that are
    arrays, with a dot before their names."""
    found: dict[str, Local] = {}
    for node in tree.args:
        for name, local in _declared(node):
            found[name] = local
        if node.role == "class" and node.base is not None:
            for part in node.base.args:
                found.update((f".{name}", local) for name, local in _declared(part))
    return found


def _declared(node: Node) -> Iterator[tuple[str, Local]]:
    for part in node.args if node.role == "block" else [node]:
        if part.role == "declare" and part.size is not None and part.size is not EMPTY:
            name = path_of(part.base)
            yield name, Local(name, part.type, part.size, line=part.line)
