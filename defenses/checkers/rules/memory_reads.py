"""Reads from received data in C and C++: how much is there is to be asked before it is read.

A function that is given bytes and their number and never looks at the number, and one that takes
fields off a stream without asking how much remains, read what others sent beyond its end.
"""

import re
from collections.abc import Iterator, Mapping

from bluecode.defenses.checkers.rules.memory_body import Body, Event
from bluecode.defenses.checkers.rules.memory_sizes import number_of
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of

_BYTES = re.compile(r"\b(?:u_char|uint8_t|u8|ut8|byte|BYTE|uchar|unsigned char|guint8|Bit8u|U8)\b")
_LENGTH = re.compile(
    r"(?:^|_)(?:len|length|size|caplen|buflen|remaining|left|nbytes|end|ep|limit)$|"
    r"(?:len|size|Length|Size)$"
)
_TAKES = re.compile(
    r"^(?:Stream_Read_U?INT\d+\w*|\w*[Rr]ead_?[Uu]?[Ii]nt(?:8|16|32|64)\w*|bytestream_get_\w+|"
    r"\w+_read_u?(?:8|16|32|64)\w*|EXTRACT_\w+)$"
)
_ASKS = re.compile(r"[Rr]emaining|[Cc]heck|TCHECK|[Aa]vail|[Ss]afe|bytes_left|[Ee]nsure|[Ll]ength")


def reads(run: Run, body: Body) -> None:
    """Everything that is read without asking how much is there."""
    _unasked_length(run, body)
    _unasked_stream(run, body)
    _more_than_asked(run, body)
    _last_of_none(run, body)
    for loop, _ in body.loops:
        _looks_ahead(run, body, loop)


def _unasked_length(run: Run, body: Body) -> None:
    data = [local for local in body.locals.values()
            if local.parameter and _BYTES.search(local.type) and "*" in local.type]  # fmt: skip
    counts = [local for local in body.locals.values() if local.parameter and "*" not in local.type]
    lengths = {local.name for local in counts if _LENGTH.search(local.name)}
    if not data or not lengths:
        return
    asked = [event.order for name in lengths for event in body.by_key.get(name, ())]
    checked = [event.order for event in body.calls if _ASKS.search(event.node.name)]
    first = min((*asked, *checked), default=1 << 30)
    for local in data:
        for event in body.by_key.get(local.name, ()):
            if event.kind == "deref" and event.order < first and event.node.role != "call":
                run.claim("out_of_bounds_read", event.node, 0.52)
                return


def _unasked_stream(run: Run, body: Body) -> None:
    """The first field is taken off before anything is asked."""
    for event in body.calls:
        if _ASKS.search(event.node.name):
            return
        if _TAKES.match(event.node.name) and _of_parameter(body, event):
            run.claim("out_of_bounds_read", event.node, 0.52)
            return


_LOOKS_INTO = re.compile(
    r"^(?:str(?:n|case|ncase)?cmp|str(?:r?chr|str|spn|cspn|pbrk)|mem(?:cmp|r?chr)|sscanf|"
    r"\w*[Ee]mpty\w*|sn?printf|str(?:n?cpy|n?cat))$"
)
_WIDTH = re.compile(
    r"^Stream_(?:Read|Peek)_U?INT(8|16|32|64)(?:_BE)?$|^Stream_Seek_U?INT(8|16|32|64)$"
)
_ROOM = re.compile(
    r"^Stream_(?:GetRemainingLength|EnsureRemainingCapacity|CheckAndLogRequired\w*)$"
)


def _more_than_asked(run: Run, body: Body) -> None:
    """Of eight bytes that were asked for, ten are read."""
    if not any(_ROOM.match(event.node.name) for event in body.calls):
        return
    room = _asked_for(body)
    asked: Event | None = None
    taken: list[tuple[Event, int]] = []
    for event in body.calls:
        if id(event.node) in room:
            asked, taken = event, []
            continue
        if asked is None or room[id(asked.node)] < 0:
            continue
        width = _WIDTH.match(event.node.name)
        if width is None or not body.reaches(asked, event):
            continue
        size = int(width.group(1) or width.group(2)) // 8
        before = sum(more for read, more in taken if body.reaches(read, event))
        if before + size > room[id(asked.node)]:
            run.claim("out_of_bounds_read", event.node, 0.6)
            return
        taken.append((event, size))


def _asked_for(body: Body) -> dict[int, int]:
    """For each question how much is there, by its identity, the bytes; -1 where it is not a plain
    number."""
    found: dict[int, int] = {}
    assert body.function.base is not None
    for node in body.function.base.walk():
        if node.role == "call" and _ROOM.match(node.name):
            found.setdefault(id(node), -1)
        elif node.role == "binary" and node.name == "<" and len(node.args) == 2:
            left = node.args[0]
            if left.role == "call" and _ROOM.match(left.name):
                known = number_of(node.args[1])
                found[id(left)] = -1 if known is None else known
    return found


def _last_of_none(run: Run, body: Body) -> None:
    """`s[strlen(s) - 1]` where nobody asked whether the text is empty."""
    assert body.function.base is not None
    orders = {id(event.node): event.order for event in body.events}
    asked: set[str] = set()
    for node in body.function.base.walk():
        if node.role == "index" and len(node.args) == 1:
            text = path_of(node.base)
            if text and text not in asked and _is_last(body, node, text, orders):
                run.claim("out_of_bounds_read", node, 0.45 if _a_line(body, text) else 0.52)
                return
        asked |= _asked_of(node)


def _is_last(body: Body, node: Node, text: str, orders: Mapping[int, int]) -> bool:
    key = node.args[0]
    if key.role != "binary" or key.name != "-" or number_of(key.args[-1]) != 1:
        return False
    length = key.args[0]
    name = path_of(length)
    at = min((orders[id(part)] for part in node.walk() if id(part) in orders), default=0)
    if name:
        store = body.last_store(name, at)
        if store is None or store.value is None:
            return False
        if body.between(name, ("bound", "test"), store.order, 1 << 30):
            return False
        length = store.value
    while length.role == "cast" and length.args:
        length = length.args[0]
    counts = length.role == "call" and length.name == "strlen" and len(length.args) == 1
    if not counts or path_of(length.args[0]) != text:
        return False
    made = body.last_store(text, at)
    return made is None or made.value is None or made.value.role not in ("text", "join")


def _a_line(body: Body, text: str) -> bool:
    """Was it read by `fgets`? Only a line that begins with a zero byte is empty then."""
    return any(
        call.node.name in ("fgets", "getline") and call.node.args
        and path_of(call.node.args[0].args[0] if call.node.args[0].role == "unary" else
                    call.node.args[0]) == text for call in body.calls
    )  # fmt: skip


def _asked_of(node: Node) -> set[str]:
    """Texts of which it is asked whether they are empty, or what is in them."""
    if node.role == "index" and node.args and number_of(node.args[0]) == 0:
        return {path_of(node.base)}
    if node.role == "unary" and node.name == "*" and node.args:
        return {path_of(node.args[0])}
    if node.role == "call" and _LOOKS_INTO.match(node.name):
        return {path_of(arg) for arg in node.args[:2]}
    tests = node.args[:1] if node.role in ("if", "choice") else []
    if node.role == "binary" and node.name in ("&&", "||", "<", ">", "<=", ">=", "==", "!="):
        tests = node.args
    return {
        path_of(part.args[0]) for test in tests for part in test.walk()
        if part.role == "call" and part.name == "strlen" and part.args
    }  # fmt: skip


def _looks_ahead(run: Run, body: Body, loop: Node) -> None:
    """`while (i < n) … data[i + 1]`: the loop asks for one byte, and more are read."""
    condition = loop.args[1] if loop.name != "each" and len(loop.args) > 1 else None
    if condition is None or loop.base is None:
        return
    for name, limit in _below(condition):
        local = body.locals.get(limit)
        if local is None or not local.parameter or not _LENGTH.search(limit):
            continue
        if _asks_again(loop.base, name, limit):
            continue
        for node in loop.base.walk():
            if node.role == "index" and node.args and _further(node.args[0], name):
                data = body.locals.get(path_of(node.base))
                if data is not None and data.parameter and _BYTES.search(data.type):
                    run.claim("out_of_bounds_read", node, 0.55)
                    return


def _below(condition: Node) -> Iterator[tuple[str, str]]:
    """The names in `i < n`, where it is all that is asked or one of the things."""
    if condition.role == "binary" and condition.name == "&&":
        for part in condition.args:
            yield from _below(part)
    elif condition.role == "binary" and condition.name == "<" and len(condition.args) == 2:
        one, other = (path_of(part) for part in condition.args)
        if one and other:
            yield one, other


def _further(key: Node, name: str) -> bool:
    if key.role != "join" or key.name != "+" or len(key.args) != 2:
        return False
    return path_of(key.args[0]) == name and (number_of(key.args[1]) or 0) > 0


def _asks_again(body: Node, name: str, limit: str) -> bool:
    """Is the place or what is left compared inside of the loop, or a check called?"""
    for node in body.walk():
        if node.role == "call" and _ASKS.search(node.name):
            return True
        if node.role == "binary" and node.name in ("<", ">", "<=", ">=", "==", "!="):
            said = {path_of(part) for part in node.walk() if part.role in ("name", "member")}
            if limit in said:
                return True
    return False


def _of_parameter(body: Body, event: Event) -> bool:
    first: Node | None = event.node.args[0] if event.node.args else None
    local = body.locals.get(path_of(first)) if first is not None else None
    return local is not None and local.parameter
