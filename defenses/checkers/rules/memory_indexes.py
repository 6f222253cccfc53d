"""Indexes and loops in C and C++: what steps over the end of a buffer, or out of its front."""

import re

from bluecode.defenses.checkers.rules.memory_body import Body, Local
from bluecode.defenses.checkers.rules.memory_sizes import (
    checked,
    elements,
    from_outside,
    number_of,
    one_byte,
)
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of

_BYTES = 256
"""What an array has that any byte may be an index of."""


def off_by_one(run: Run, body: Body, loop: Node) -> None:
    """`for (i = 0; i <= N; i++) a[i]` over an array of N elements."""
    if loop.name != "for" or loop.base is None:
        return
    condition = loop.args[1]
    if condition.role != "binary" or condition.name != "<=" or len(condition.args) != 2:
        return
    counter, limit = path_of(condition.args[0]), condition.args[1]
    if not counter:
        return
    for node in loop.base.walk():
        if node.role != "index" or not node.args or path_of(node.args[0]) != counter:
            continue
        local = body.locals.get(path_of(node.base))
        if local is not None and local.size is not None and _same_size(local.size, limit):
            run.claim("out_of_bounds_write", node, 0.85)
            return
        if _last_index(limit) and local is not None and local.size is None and local.parameter:
            if path_of(limit) in body.locals and re.search(
                r"^(?:n|num|count|len|length|size)$|_?(?:len|size|count)$", path_of(limit)
            ):
                run.claim("out_of_bounds_read", node, 0.6)
                return


def _last_index(limit: Node) -> bool:
    return limit.role in ("name", "member")


def filled(run: Run, body: Body, loop: Node) -> None:
    """`cin >> n; for (i = 0; i < n; i++) a[i] = …` into an array of ten."""
    condition = loop.args[1] if loop.name in ("for", "while") else None
    if condition is None or loop.base is None or condition.role != "binary":
        return
    if condition.name not in ("<", "<=") or len(condition.args) != 2:
        return
    counter, limit = (path_of(part) for part in condition.args)
    order = next((event.order for event in body.by_key.get(limit, ())
                  if event.node is condition.args[1]), 0)  # fmt: skip
    if not counter or not limit or not order or not from_outside(body, {limit}, order):
        return
    store = body.last_store(limit, order)
    begin = store.order if store is not None else -1
    if body.between(limit, ("bound",), begin, order - 1):
        return
    for node in loop.base.walk():
        if node.role == "index" and len(node.args) == 1 and path_of(node.args[0]) == counter:
            local = body.locals.get(path_of(node.base))
            fixed = local is not None and local.size is not None and not local.parameter
            if one_byte(body, limit, order) and (elements(local) or 0) >= _BYTES:
                continue
            if local is not None and fixed and path_of(local.size) != limit:
                run.claim("out_of_bounds_write", node, 0.66)
                return


def gathered(run: Run, body: Body, loop: Node) -> None:
    """`while (*s) word[n++] = *s++;`: nothing ever looks at `n`."""
    if loop.base is None or loop.name == "each":
        return
    for node in loop.base.walk():
        target = node.base if node.role == "assign" else None
        if target is None or target.role != "index" or not target.args:
            continue
        key = target.args[0]
        name = path_of(key.args[0]) if key.role == "unary" and key.name == "++" else ""
        local = body.locals.get(path_of(target.base))
        if name and local is not None and local.size is not None and not local.parameter:
            if not body.before(name, ("bound",), 1 << 30):
                run.claim("out_of_bounds_write", node, 0.65)
                return


def _same_size(size: Node, limit: Node) -> bool:
    left, right = number_of(size), number_of(limit)
    if left is not None and right is not None:
        return right >= left
    return path_of(size) != "" and path_of(size) == path_of(limit)


def walk(run: Run, body: Body) -> None:
    """Indexes and pointer arithmetic."""
    if body.function.base is None:
        return
    order = {id(event.node): event.order for event in body.events}
    for node in body.function.base.walk():
        if node.role == "index" and node.args:
            _index(run, body, node, order.get(id(node), 0))
        elif node.role == "assign" and node.base is not None and node.base.role == "index":
            _end_mark(run, body, node.base, order.get(id(node.base), 0))
        elif node.role == "join" and node.name == "+" and len(node.args) == 2:
            _scaled(run, body, node)
        elif node.role == "loop" and node.name == "while":
            _backwards(run, body, node, order)


def _index(run: Run, body: Body, node: Node, at: int) -> None:
    key = node.args[0]
    local = body.locals.get(path_of(node.base))
    room = elements(local)
    if local is not None and not local.parameter and _whole_size(local, key):
        run.claim("out_of_bounds_write", node, 0.82)
        return
    fixed = number_of(key)
    if fixed is not None:
        if room and fixed >= room and local is not None and not local.parameter:
            run.claim("out_of_bounds_write", node, 0.8)
        return
    name = path_of(key)
    if not name and key.role == "call" and len(key.args) == 1 and key.name in _SWAPS:
        name = path_of(key.args[0])
    if not name or not at or node.base is None:
        return
    if (room or 0) >= _BYTES and one_byte(body, name, at):
        return
    if from_outside(body, {name}, at) and not checked(body, {name}, at):
        run.claim("out_of_bounds_read", node, 0.62)


def _whole_size(local: Local, key: Node) -> bool:
    """`b[sizeof(b)]` of bytes, `b[MAX]` of MAX elements."""
    if local.size is None:
        return False
    if key.role == "call" and key.name == "sizeof" and len(key.args) == 1:
        return path_of(key.args[0]) == local.name and "char" in local.type
    return key.role == "name" and path_of(local.size) == key.name


_SWAPS = frozenset({"ntohs", "ntohl", "le16toh", "le32toh", "be16toh", "be32toh",
                    "le16_to_cpu", "le32_to_cpu"})  # fmt: skip
"""Calls that change the order of a number's bytes, and nothing else."""
_FILLS = {"read": (1, 2), "recv": (1, 2), "readlink": (1, 2), "recvfrom": (1, 2), "pread": (1, 2)}


def _end_mark(run: Run, body: Body, target: Node, at: int) -> None:
    name = path_of(target.args[0]) if len(target.args) == 1 else ""
    if name and at and target.base is not None and _filled_whole(body, target.base, name, at):
        run.claim("out_of_bounds_write", target, 0.7)


def _filled_whole(body: Body, base: Node, name: str, at: int) -> bool:
    """`n = read(f, b, sizeof(b)); b[n] = 0`: a full buffer has no room for the end mark."""
    store = body.last_store(name, at)
    call = store.value if store is not None else None
    if store is None or call is None or call.role != "call" or call.name not in _FILLS:
        return False
    target, limit = (call.args[index] if index < len(call.args) else None
                     for index in _FILLS[call.name])  # fmt: skip
    if target is None or limit is None or path_of(target) != path_of(base):
        return False
    local = body.locals.get(path_of(base))
    room = elements(local)
    whole = (
        limit.role == "call" and limit.name == "sizeof" or bool(room) and number_of(limit) == room
    )
    upper = any(
        test.kind == "bound" and store.order < test.order < at
        and id(test.node) not in body.lower_checked for test in body.by_key.get(name, ())
    )  # fmt: skip
    return whole and local is not None and local.size is not None and not upper


def _scaled(run: Run, body: Body, node: Node) -> None:
    """`p + n * sizeof(T)` for a `T *p`: the compiler multiplies already."""
    base, step = node.args
    local = body.locals.get(path_of(base))
    if local is None or "*" not in local.type or step.role != "binary" or step.name != "*":
        return
    if re.search(r"\b(?:void|char|uint8_t|u8|u_char|BYTE|unsigned char|int8_t)\b", local.type):
        return
    if any(part.role == "call" and part.name == "sizeof" for part in step.args):
        run.claim("pointer_scaling", node, 0.78)


def _backwards(run: Run, body: Body, loop: Node, order: dict[int, int]) -> None:
    """`while (s[n - 1] == ' ') n--;` runs out of the front of an empty text."""
    condition = loop.args[1]
    for node in condition.walk():
        if node.role != "index" or not node.args or node.args[0].role != "binary":
            continue
        key = node.args[0]
        if key.name != "-" or number_of(key.args[-1]) is None:
            continue
        name = path_of(key.args[0])
        tested = any(
            part.role == "binary" and part.name in (">", ">=", "!=", "<")
            and path_of(part.args[0]) == name
            for part in condition.walk()
        )  # fmt: skip
        if name and not tested and condition.name not in ("&&",):
            run.claim("out_of_bounds_write", node, 0.58)
            return
