"""Buffers in C and C++: copies, indexes, lengths and sizes that nobody checked."""

import re
from collections.abc import Iterator, Sequence

from bluecode.defenses.checkers.rules.memory_body import Body, Event, Local
from bluecode.defenses.checkers.rules.memory_indexes import (
    filled,
    gathered,
    off_by_one,
    walk,
)
from bluecode.defenses.checkers.rules.memory_sizes import (
    checked,
    elements,
    from_outside,
    holds,
    length_of,
    names_in,
    number_of,
    printed_length,
    unsigned,
)
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of

_ALLOCATES = re.compile(
    r"^(?:(?:\w+_)?malloc\w*|(?:\w+_)?realloc|alloca|kzalloc|kmalloc|vmalloc|vzalloc|kvmalloc|"
    r"g_malloc0?|\w*_alloc|xmalloc|emalloc|safe_malloc|av_malloc\w*|\w*Malloc|palloc0?|"
    r"OPENSSL_malloc)$"
)
_MAY_ALLOCATE = re.compile(r"^(?!\w*(?:de_?alloc|array|Array|free))\w*(?:alloc|Alloc|ALLOC)\w*$")
_COPIES = {"memcpy": 2, "memmove": 2, "strncpy": 2, "strncat": 2, "bcopy": 2, "read": 2, "recv": 2,
           "memset": 2, "wmemcpy": 2, "copy_from_user": 2, "CopyMemory": 2, "RtlCopyMemory": 2,
           "skb_copy_bits": 3, "recvfrom": 2, "_memccpy": 3, "avio_read": 2,
           "bytestream2_get_buffer": 2}  # fmt: skip


def bounds(run: Run, body: Body) -> None:
    """Everything that goes wrong with buffers in this function."""
    for event in body.calls:
        node = event.node
        handler = _CALLS.get(node.name)
        if handler is not None and (node.base is None or _standard(node.base)):
            handler(run, body, event)
        if node.name in _COPIES:
            _copy(run, body, event)
        if node.name == ">>":
            _stream(run, body, event)
        if _MAY_ALLOCATE.match(node.name):
            _allocation(run, body, event)
        if node.type == "new" and node.size is not None:
            _product(run, body, event, node.size)
    _races(run, body)
    _owners(run, body)
    for loop, _ in body.loops:
        off_by_one(run, body, loop)
        gathered(run, body, loop)
        filled(run, body, loop)
        _narrow_counter(run, body, loop)
    walk(run, body)


def _owners(run: Run, body: Body) -> None:
    """`std::auto_ptr` gives its object away where it looks copied."""
    for local in body.locals.values():
        if "auto_ptr" in local.type and local.line:
            run.claim("dangerous_function", Node("name", local.name, local.line, local.line), 0.5)
    for event in body.calls:
        if event.node.name.startswith("auto_ptr"):
            run.claim("dangerous_function", event.node, 0.5)


_LOOKS = frozenset({"access", "stat", "lstat", "euidaccess", "faccessat"})
_USES = frozenset({"open", "fopen", "unlink", "chmod", "chown", "remove", "rename", "creat",
                   "mkdir", "opendir", "execl", "execv"})  # fmt: skip


def _races(run: Run, body: Body) -> None:
    """A file is looked at by name, and then used by name."""
    looked: set[str] = set()
    for event in body.calls:
        path = path_of(event.node.args[0]) if event.node.args else ""
        if path and event.node.name in _LOOKS:
            looked.add(path)
        elif path in looked and event.node.name in _USES and path:
            run.claim("file_race", event.node, 0.55)


_NARROW = re.compile(r"^(?:unsigned char|uint8_t|u8|UINT8|BYTE|uchar)$")


def _narrow_counter(run: Run, body: Body, loop: Node) -> None:
    """`for (uint8_t i = 0; i < n; i++)` never ends where n is larger than 255."""
    condition = loop.args[1] if loop.name == "for" else None
    if condition is None or condition.role != "binary" or condition.name != "<":
        return
    counter, limit = (body.locals.get(path_of(part)) for part in condition.args)
    if counter is None or limit is None or not _NARROW.match(counter.type):
        return
    wide = re.search(r"\b(?:int|long|size_t|u?int(?:16|32|64)_t|unsigned)$", limit.type)
    if wide and limit.parameter and not checked(body, {limit.name}, _at(body, condition)):
        run.claim("integer_overflow", condition, 0.52)


def _at(body: Body, condition: Node) -> int:
    parts = {id(part) for part in condition.walk()}
    return min((event.order for event in body.events if id(event.node) in parts), default=0)


def _standard(node: Node) -> bool:
    return path_of(node) == "std"


def _target(body: Body, node: Node) -> Local | None:
    while node.role in ("cast", "unary") and node.args and node.name != "*":
        node = node.args[0]
    if node.role == "index" and node.args and number_of(node.args[0]) == 0 and node.base:
        node = node.base
    path = path_of(node)
    if path not in body.locals and "." in path:
        return body.outer.get("." + path.rpartition(".")[2])
    return body.locals.get(path) if path else None


def _strcpy(run: Run, body: Body, event: Event) -> None:
    args = event.node.args
    if len(args) < 2:
        return
    target = _target(body, args[0])
    known = length_of(body, args[-1], event.order)
    room = elements(target)
    if known is not None:
        if room and known >= room:
            run.claim("buffer_copy", event.node, 0.85)
        elif room is None and event.node.name in ("strcpy", "strcat") and args[1].role == "text":
            run.claim("dangerous_function", event.node, 0.5)
        return
    if _made_to_fit(run, body, args[0], args[-1], event):
        return
    if _measured(body, args[-1], event.order):
        return
    if room is None and event.node.base is not None:
        return
    parameter = path_of(args[-1]) in body.locals and body.locals[path_of(args[-1])].parameter
    score = 0.62 if room is not None else 0.55
    run.claim("buffer_copy", event.node, score + (0.1 if room is not None and parameter else 0))


def _measured(body: Body, source: Node, before: int) -> bool:
    """Was the source's length looked at before?"""
    names = {path_of(source)} | names_in(source)
    for event in body.calls:
        if event.order < before and event.node.name in ("strlen", "strnlen", "sizeof", "wcslen"):
            if event.node.args and path_of(event.node.args[0]) in names:
                return not _length_unused(body, event.node)
    return False


def _length_unused(body: Body, call: Node) -> bool:
    """`n = strlen(s);`, and `n` is compared with nothing and given to nobody, only an index."""
    assert body.function.base is not None
    kept = [key for key, events in body.by_key.items()
            for event in events if event.kind == "store" and event.value is call]  # fmt: skip
    if len(kept) != 1 or any(e.kind in ("bound", "test") for e in body.by_key[kept[0]]):
        return False
    for node in body.function.base.walk():
        if node.role == "call" or node.role == "declare" and node.size is not None:
            given = [*node.args, *([node.size] if node.size is not None else [])]
            for arg in given:
                if arg is not call and any(
                    path_of(part) == kept[0] for part in _outside_index(arg)
                ):
                    return False
    return True


def _outside_index(node: Node) -> Iterator[Node]:
    if node.role != "index":
        yield node
        for kid in node.kids():
            yield from _outside_index(kid)


def _made_to_fit(run: Run, body: Body, target: Node, source: Node, event: Event) -> bool:
    """Was the buffer made with the source's length? One less is the classic mistake."""
    store = body.last_store(path_of(target), event.order)
    if store is None or store.value is None:
        return False
    for part in store.value.walk():
        if part.role == "call" and _ALLOCATES.match(part.name) and part.args:
            size = part.args[-1]
            exact = size.role == "call" and size.name == "strlen"
            if exact and path_of(size.args[0] if size.args else None) == path_of(source):
                run.claim("out_of_bounds_write", event.node, 0.82)
                return True
            return True
    return False


def _sprintf(run: Run, body: Body, event: Event) -> None:
    args = event.node.args
    if len(args) < 2:
        return
    room = elements(_target(body, args[0]))
    form = args[1]
    while form.role == "cast" and form.args:
        form = form.args[0]
    if form.role not in ("text", "join"):
        return
    text = form.name if form.role == "text" else "".join(part.name for part in form.args)
    known, open_ended = printed_length(text, args[2:], body, event.order)
    if not open_ended:
        if room and known >= room:
            run.claim("buffer_copy", event.node, 0.8)
        elif room and room < _LONGEST_DOUBLE and _any_double(body, text, args[2:]):
            run.claim("buffer_copy", event.node, 0.5)
        elif not room and known > _FEW:
            run.claim("dangerous_function", event.node, 0.5)
        return
    measured = any(_measured(body, arg, event.order) for arg in args[2:])
    if not measured:
        run.claim("buffer_copy", event.node, 0.6 if room is not None else 0.52)


_FEW = 8
"""Characters that are printed on purpose: two hexadecimal digits and their like."""
_LONGEST_DOUBLE = 317
"""Characters that `%f` may print of a double."""


def _any_double(body: Body, form: str, args: Sequence[Node]) -> bool:
    """Is a double printed in full, however large it is?"""
    if not re.search(r"%[-+ #0]*\d*(?:\.\d+)?l?f", form):
        return False
    types = [local.type for arg in args if (local := body.locals.get(path_of(arg))) is not None]
    return any(re.search(r"\bdouble\b", kind) for kind in types)


def _gets(run: Run, body: Body, event: Event) -> None:
    run.claim("unbounded_read", event.node, 0.92)


def _stream(run: Run, body: Body, event: Event) -> None:
    """`cin >> b` into an array reads as long as the word is."""
    for arg in event.node.args:
        local = body.locals.get(path_of(arg))
        if local is not None and local.size is not None and _width(local):
            run.claim("unbounded_read", event.node, 0.8)


def _scanf(run: Run, body: Body, event: Event) -> None:
    args = event.node.args
    form = next((arg for arg in args[:2] if arg.role == "text" and "%" in arg.name), None)
    if form is not None and re.search(r"%(?:l|h)?(?:s|\[)", form.name):
        score = 0.8 if event.node.name in ("scanf", "fscanf") else 0.6
        run.claim("unbounded_read", event.node, score)


def _snprintf(run: Run, body: Body, event: Event) -> None:
    """A limit that comes from the source, not from the buffer; a result used as if it fitted."""
    args = event.node.args
    if len(args) > 2:
        names = names_in(args[1])
        sources = {path_of(arg) for arg in args[3:]} - {""}
        sized = {name for name in names if any(name.startswith(s) for s in sources)}
        if sized and not any(n in holds(body, args[0]) for n in names):
            if not checked(body, sized, event.order):
                run.claim("buffer_copy", event.node, 0.62)


def _tmp(run: Run, body: Body, event: Event) -> None:
    run.claim("temporary_file", event.node, 0.75)


def _strtok(run: Run, body: Body, event: Event) -> None:
    run.claim("dangerous_function", event.node, 0.42)


def _alloca(run: Run, body: Body, event: Event) -> None:
    if event.node.args and number_of(event.node.args[0]) is None:
        names = names_in(event.node.args[0])
        if names and not checked(body, names, event.order):
            run.claim("out_of_bounds_write", event.node, 0.5)


_CALLS = {
    "strcpy": _strcpy, "strcat": _strcpy, "wcscpy": _strcpy, "stpcpy": _strcpy, "lstrcpy": _strcpy,
    "wcscat": _strcpy, "_tcscpy": _strcpy, "lstrcpyA": _strcpy, "StrCpy": _strcpy,
    "sprintf": _sprintf, "vsprintf": _sprintf, "wsprintf": _sprintf, "wsprintfA": _sprintf,
    "gets": _gets, "_getws": _gets,
    "scanf": _scanf, "fscanf": _scanf, "sscanf": _scanf, "vscanf": _scanf,
    "snprintf": _snprintf, "_snprintf": _snprintf,
    "tmpnam": _tmp, "mktemp": _tmp, "tempnam": _tmp, "tmpnam_r": _tmp,
    "strtok": _strtok, "alloca": _alloca, "_alloca": _alloca, "__builtin_alloca": _alloca,
}  # fmt: skip


def _copy(run: Run, body: Body, event: Event) -> None:
    args = event.node.args
    at = _COPIES[event.node.name]
    if len(args) <= at:
        return
    size = args[at]
    into = args[0] if event.node.name not in ("read", "recv", "recvfrom") else args[1]
    target = _target(body, into)
    room = elements(target)
    if _pointers_size(body, size, args):
        run.claim("out_of_bounds_write", event.node, 0.7)
        return
    count = number_of(size)
    if count is not None:
        wide = _width(target)
        if room and wide and count > room * wide:
            run.claim("out_of_bounds_write", event.node, 0.85)
        return
    if event.node.name == "strncat" and size.role == "call" and _of_target(size, args[0]):
        run.claim("buffer_copy", event.node, 0.62)  # what is there already takes room, too
        return
    if _whole_behind(run, body, event, size):
        return
    names = names_in(size)
    if not names or _of_target(size, args[0]):
        return
    if event.node.name in ("strncpy", "strncat") and _of_source(size, args[1]):
        run.claim("buffer_copy", event.node, 0.62)
        return
    if _made_with(body, args[0], names, event.order):
        return
    start = _start(into)
    if room is None and start is not None and args[1].role not in ("text", "join"):
        behind = _target(body, start)
        if behind is not None and not behind.parameter and not _of_target(size, start):
            room = elements(behind)
    if checked(body, names, event.order):
        _signed(run, body, event, size)
        return
    if event.node.name in ("memset", "read", "recv", "recvfrom") and room is None:
        return
    outside = from_outside(body, names, event.order)
    size_of = room is None and names & holds(body, args[0])
    if size_of:
        return
    score = 0.62 if room is not None else (0.55 if outside else 0.42)
    if _parameters(body, names) and _named_sizes(body, names):
        score = max(score, 0.56)
    run.claim("buffer_copy", event.node, score)


def _start(into: Node) -> Node | None:
    """`b` in `b + 4` and in `&b[4]`."""
    while into.role == "cast" and into.args:
        into = into.args[0]
    if into.role == "join" and into.name == "+" and len(into.args) == 2:
        return into.args[0]
    if into.role == "unary" and into.name == "&" and into.args[0].role == "index":
        return into.args[0].base
    return None


def _pointers_size(body: Body, size: Node, args: Sequence[Node]) -> bool:
    """`memset(p, 0, sizeof(p))` of a pointer clears as many bytes as an address has."""
    if size.role != "call" or size.name != "sizeof" or len(size.args) != 1:
        return False
    local = body.locals.get(path_of(size.args[0]))
    if local is None or local.size is not None or local.type.count("*") != 1:
        return False
    return any(path_of(arg) == local.name for arg in args)


def _whole_behind(run: Run, body: Body, event: Event, size: Node) -> bool:
    """`recv(s, buf + used, sizeof(buf), 0)`: less room is left than there is in all."""
    args = event.node.args
    into = args[1] if event.node.name in ("read", "recv", "recvfrom") else args[0]
    while into.role == "cast" and into.args:
        into = into.args[0]
    if into.role == "unary" and into.name == "&" and into.args[0].role == "index":
        inner = into.args[0]
        parts = [inner.base, *inner.args]
    else:
        parts = list(into.args) if into.role == "join" and into.name == "+" else []
    target = parts[0] if len(parts) == 2 else None
    local = body.locals.get(path_of(target)) if target is not None else None
    if target is None or local is None or local.size is None or number_of(parts[1] or target) == 0:
        return False
    while size.role == "binary" and size.name == "-" and number_of(size.args[1]) == 1:
        size = size.args[0]
    whole = size.role == "call" and size.name == "sizeof" and path_of(target) in size.type
    if not whole:
        return False
    run.claim("out_of_bounds_write", event.node, 0.78)
    return True


def _named_sizes(body: Body, names: set[str]) -> bool:
    """Does the function know the size of the target and not use it?"""
    others = [
        local.name for local in body.locals.values()
        if local.parameter and local.name not in names
        and re.search(r"(?:dest|dst|out|buf\w*)_?(?:size|len|cap|max)", local.name, re.I)
    ]  # fmt: skip
    return any(not body.by_key.get(name) for name in others)


def _parameters(body: Body, names: set[str]) -> bool:
    return any(name in body.locals and body.locals[name].parameter for name in names)


def _width(local: Local | None) -> int:
    if local is None:
        return 0
    kind = local.type.replace("unsigned", "").replace("signed", "").replace("const", "")
    return 1 if re.sub(r"[\[\]\s*]", "", kind) in ("char", "uint8_t", "byte", "BYTE", "u8", "uchar",
                                                    "int8_t", "u_char", "UCHAR") else 0  # fmt: skip


def _of_target(size: Node, target: Node) -> bool:
    """`sizeof(target)`, with or without one less."""
    path = path_of(target)
    return any(
        part.role == "call" and part.name == "sizeof" and path and path in part.type
        for part in size.walk()
    )


def _of_source(size: Node, source: Node) -> bool:
    path = path_of(source)
    return any(
        part.role == "call" and part.name in ("strlen", "sizeof") and part.args
        and path_of(part.args[0]) == path and path
        for part in size.walk()
    )  # fmt: skip


def _made_with(body: Body, target: Node, names: set[str], before: int) -> bool:
    """Was the target allocated with one of these names as its size?"""
    at = target
    while at.role in ("cast", "unary", "join", "binary") and at.args:
        at = at.args[0]
    store = body.last_store(path_of(at), before)
    if store is None or store.value is None:
        return False
    for part in store.value.walk():
        if part.role == "call" and (_ALLOCATES.match(part.name) or "alloc" in part.name.lower()
                                    or part.type == "new"):  # fmt: skip
            return bool(names & names_in(part)) or bool(names)
    return False


def _signed(run: Run, body: Body, event: Event, size: Node) -> None:
    """A length with a sign that is only checked for being too large."""
    name = path_of(size)
    local = body.locals.get(name)
    if (
        local is None
        or unsigned(local.type)
        or not re.search(r"\b(?:int|short|long)\b", local.type)
    ):
        return
    if not from_outside(body, {name}, event.order):
        return
    for test in body.by_key.get(name, ()):
        if test.kind == "bound" and test.order < event.order:
            if id(test.node) in body.lower_checked:
                return
    run.claim("integer_overflow", event.node, 0.5)


def _allocation(run: Run, body: Body, event: Event) -> None:
    for arg in event.node.args:
        if arg.role == "call" and arg.name == "sizeof" and len(event.node.args) == 1:
            local = body.locals.get(path_of(arg.args[0])) if arg.args else None
            if local is not None and local.type.count("*") == 1 and local.size is None:
                run.claim("out_of_bounds_write", event.node, 0.72)  # the pointer's size
        if arg.role == "binary" and arg.name == "*":
            _product(run, body, event, arg)
        elif arg.role == "binary" and arg.name == "<<":
            _product(run, body, event, arg)
        elif arg.role == "join" and arg.name == "+":
            for part in arg.args:
                if part.role == "binary" and part.name == "*":
                    _product(run, body, event, part)
                    return
            _one_over(run, body, event, arg)
        elif arg.role == "name":
            store = body.last_store(arg.name, event.order)
            made = store.value if store is not None else None
            if made is not None and made.role == "binary" and made.name == "*":
                if not checked(body, {arg.name}, event.order):
                    _product(run, body, event, made)


def _one_over(run: Run, body: Body, event: Event, size: Node) -> None:
    """`malloc(len + 1)` of a length that somebody sent: the largest makes nothing of it."""
    names = names_in(size)
    if len(names) != 1 or not _one_more(size):
        return
    local = body.locals.get(next(iter(names)))
    if local is None or not unsigned(local.type) or local.parameter:
        return
    if from_outside(body, names, event.order) and not checked(body, names, event.order):
        run.claim("integer_overflow", event.node, 0.56)


def _one_more(part: Node) -> bool:
    known = number_of(part.args[-1]) if part.role == "join" and len(part.args) == 2 else None
    return known is not None and known <= 16


def _product(run: Run, body: Body, event: Event, size: Node) -> None:
    """A size that is a product of things nobody looked at."""
    if size.role != "binary" or size.name not in ("*", "<<"):
        names = names_in(size)
        if size.role in ("name", "member", "join", "call") and names and event.node.type == "new":
            if not checked(body, names, event.order):
                run.claim("integer_overflow", event.node, 0.45)
        return
    names = names_in(size)
    open_parts = [part for part in size.args if names_in(part)]
    if len(open_parts) == 1 and _one_more(open_parts[0]):
        return  # grows by one: what is there already would have to fill all memory
    if not names or not open_parts:
        return
    if checked(body, names, event.order):
        return
    if from_outside(body, names, event.order):
        score = 0.62
    elif not _ALLOCATES.match(event.node.name) and event.node.type != "new" and len(open_parts) < 2:
        return  # one factor, and a name that only sounds like an allocation
    else:
        score = 0.55 if len(open_parts) > 1 or _parameters(body, names) else 0.5
    run.claim("integer_overflow", event.node, score)
