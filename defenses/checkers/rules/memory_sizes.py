"""Sizes in C and C++: what a number is, how long a text gets, which names decide a length."""

import re
from collections.abc import Sequence

from bluecode.defenses.checkers.rules.memory_body import Body, Local
from bluecode.defenses.checkers.rules.tree import Node, path_of

_FIXED = re.compile(r"^(?:[A-Z][A-Z0-9_]*|\w+_(?:SIZE(?:OF)?|LEN(?:GTH)?|MAX))$")


def number_of(node: Node) -> int | None:
    """The value of a plain number or of a product and sum of them."""
    if node.role == "number":
        text = node.name.rstrip("uUlL")
        try:
            return int(text, 0) if not re.match(r"0\d", text) else int(text, 8)
        except ValueError:
            return None
    if node.role == "cast" and node.args:
        return number_of(node.args[0])
    if node.role in ("binary", "join") and node.name in ("+", "-", "*") and node.args:
        parts = [number_of(part) for part in node.args]
        if any(part is None for part in parts):
            return None
        known = [part for part in parts if part is not None]
        total = known[0]
        for part in known[1:]:
            total = total + part if node.name == "+" else (
                total - part if node.name == "-" else total * part)  # fmt: skip
        return total
    return None


def names_in(node: Node) -> set[str]:
    """Variables that decide a value; constants and what `sizeof` looks at are none."""
    found: set[str] = set()
    stack = [node]
    while stack:
        at = stack.pop()
        if at.role in ("name", "member"):
            path = path_of(at)
            if path and not _FIXED.match(path.rpartition(".")[2]):
                found.add(path)
                continue
        if at.role == "call" and at.name == "sizeof":
            continue
        stack.extend(at.kids())
    return found


def unsigned(kind: str) -> bool:
    """Is it a type without a sign?"""
    return re.search(r"unsigned|size_t|u?int\d+_t|\bu\d+|uint|UINT|DWORD|ULONG", kind) is not None \
        and not re.search(r"\bint\d+_t|ssize_t", kind)  # fmt: skip


def length_of(body: Body, node: Node, before: int) -> int | None:
    """The length of a text that stands in the code, directly or in a name."""
    if node.role == "text":
        return len(re.sub(r"\\(?:x[0-9a-fA-F]+|[0-7]{1,3}|.)", "x", node.name))
    if node.role == "join" and not node.name and all(part.role == "text" for part in node.args):
        return sum(length_of(body, part, before) or 0 for part in node.args)
    if node.role == "choice":
        left, right = (length_of(body, part, before) for part in node.args[1:])
        return max(left, right) if left is not None and right is not None else None
    path = path_of(node)
    store = body.last_store(path, before) if path else None
    if store is not None and store.value is not None and store.value.role == "text":
        return len(store.value.name)
    if path and _FIXED.match(path):
        return 0
    return None


def holds(body: Body, target: Node) -> set[str]:
    """Names of parameters that say how large a target is: `buf` and `buf_size`."""
    path = path_of(target)
    return {
        name for name in body.locals
        if path and name != path and (name.startswith(path) or re.search(
            r"^(?:max|n|len|size|dest_?(?:size|len)|dst_?(?:size|len)|(?:buf|out)\w*(?:size|len)|"
            r"maxlen|bufsize|buflen)$", name, re.I))
    }  # fmt: skip


_SPEC = re.compile(r"%([-+ #0]*)(\d+|\*)?(?:\.(\d+|\*))?(hh|h|ll|l|z|j|t|L)?([a-zA-Z%])")
_WIDTHS = {"d": 11, "i": 11, "u": 10, "x": 8, "X": 8, "o": 11, "c": 1, "p": 18, "f": 40, "g": 24,
           "e": 24, "F": 40, "G": 24, "E": 24, "n": 0, "a": 24}  # fmt: skip


def printed_length(form: str, args: Sequence[Node], body: Body, before: int) -> tuple[int, bool]:
    """The most that a format can print, and whether a text without limit is in it."""
    total = 0
    at = used = 0
    open_ended = False
    for spec in _SPEC.finditer(form):
        total += len(form[at : spec.start()])
        at = spec.end()
        _, width, limit, long, kind = spec.groups()
        if kind == "%":
            total += 1
            continue
        arg = args[used] if used < len(args) else None
        used += 1
        least = int(width) if width and width.isdigit() else 0
        if kind == "s":
            known = length_of(body, arg, before) if arg is not None else None
            if limit and limit.isdigit():
                known = int(limit)
            if known is None:
                open_ended = True
            total += max(known or 0, least)
        else:
            total += max(_WIDTHS.get(kind, 20) + (10 if long in ("l", "ll") else 0)
                         if kind in "diu" else _WIDTHS.get(kind, 20), least)  # fmt: skip
    total += len(form[at:])
    return total, open_ended


_READS = re.compile(
    r"^(?:ato[il]l?|strtou?l{0,2}|ntoh[sl]|get_?(?:le|be)?\d+|\w*(?:read|get)_?u?(?:int)?(?:8|16|24|32|64)"
    r"\w*|EXTRACT_\w+|avio_r\w+|\w+_get_bits\w*|get_bits\w*|bytestream2?_get_\w+|fgetc|getc|"
    r"\w*le\d+_to_cpu\w*|\w*be\d+_to_cpu\w*|le\d+toh|be\d+toh|\w*ReadBlob\w*|sscanf|recv|"
    r"GETJ?\w*(?:SHORT|LONG)|CDF_GETUINT32|stoi|stoul|stol|GetU?Int\w*|Read\w*U?Int\w*)$"
)


_OF_A_BYTE = re.compile(
    r"^(?:fgetc|getc|getchar|avio_r8|bytestream2?_get_byteu?|\w*(?:get|read)_?(?:u8|uint8|byte)|"
    r"Get(?:U8|Byte)|Read(?:U8|Byte))$",
    re.IGNORECASE,
)


def one_byte(body: Body, name: str, before: int) -> bool:
    """Was it read as a single byte, so that it is at most 255?"""
    store = body.last_store(name, before)
    value = store.value if store is not None else None
    while value is not None and value.role == "cast" and value.args:
        value = value.args[0]
    return value is not None and value.role == "call" and bool(_OF_A_BYTE.match(value.name))


def elements(local: Local | None) -> int | None:
    """Elements of a declared array; 0 where the count is no plain number."""
    if local is None or local.size is None:
        return None
    size = number_of(local.size)
    return size if size is not None else 0


def checked(body: Body, names: set[str], before: int) -> bool:
    """Was one of the names compared, or its length, since it got its value?"""
    for name in names:
        store = body.last_store(name, before)
        start = store.order if store is not None else -1
        if body.between(name, ("bound", "test"), start - 1, before):
            return True
    return False


_SCANS = frozenset({">>", "scanf", "fscanf", "sscanf", "fread", "recv", "read"})


def _scanned(body: Body, name: str, stored: int, before: int) -> bool:
    """`std::cin >> n`, `scanf("%d", &n)`, with nothing stored since."""
    for call in body.calls:
        if call.node.name not in _SCANS or call.order >= before:
            continue
        for arg in call.node.args:
            plain = arg
            while plain.role in ("cast", "unary") and plain.args and plain.name != "*":
                plain = plain.args[0]
            taken = plain is not arg or call.node.name == ">>"
            if taken and path_of(plain) == name and call.order >= stored:
                return True
    return False


def from_outside(body: Body, names: set[str], before: int) -> bool:
    """Did one of the names get its value from text, a file or the network?"""
    for name in names:
        store = body.last_store(name, before)
        if _scanned(body, name, store.order if store is not None else -1, before):
            return True
        if store is not None and store.value is not None:
            for part in store.value.walk():
                if part.role == "call" and _READS.match(part.name):
                    return True
    return False
