"""Reads from received data in C and C++: how much is there is to be asked before it is read.

A function that is given bytes and their number and never looks at the number, and one that takes
fields off a stream without asking how much remains, read what others sent beyond its end.
"""

import re

from bluecode.defenses.checkers.rules.memory_body import Body, Event
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


def _of_parameter(body: Body, event: Event) -> bool:
    first: Node | None = event.node.args[0] if event.node.args else None
    local = body.locals.get(path_of(first)) if first is not None else None
    return local is not None and local.parameter
