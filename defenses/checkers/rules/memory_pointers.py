"""Pointers in C and C++: used without a check, used after they were freed, freed twice."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from bluecode.defenses.checkers.rules.memory_body import Body, Event
from bluecode.defenses.checkers.rules.memory_sizes import number_of
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node, path_of

_ALLOCATES = re.compile(
    r"^(?:malloc|calloc|realloc|strdup|strndup|fopen|fdopen|popen|opendir|tmpfile|reallocarray|"
    r"aligned_alloc|mmap|kmalloc|kzalloc|kcalloc|vmalloc|vzalloc|kmemdup|kstrdup|krealloc|"
    r"devm_k?[a-z]*alloc|kmem_cache_z?alloc|kvmalloc|kvzalloc|memdup_user|g_try_\w+|av_malloc\w*|"
    r"av_mallocz\w*|OPENSSL_malloc|freopen|fmemopen|getenv|localtime|gmtime|strtok)$"
)
_MAKES = re.compile(
    r"^(?:alloc_\w+|\w+_alloc|\w+_alloc_\w+|\w+_calloc|\w+_malloc|\w+_zalloc|\w+_strdup|"
    r"\w*_get_resource|\w*_get_drvdata|\w+_new|\w+New|new_\w+|skb_clone|skb_copy|\w+_dup|"
    r"dev_get_by_\w+|of_match_\w+|of_get_\w+|\w*[a-z]Alloc|\w*Malloc)$"
)
_FINDS = re.compile(
    r"^(?:strchr|strrchr|strstr|strpbrk|memchr|bsearch|find_\w+|\w+_find|\w+_find_\w+|lookup_\w+|"
    r"\w+_lookup|\w+_lookup_\w+|\w+_search|\w+_get_by_\w+|\w+_entry_find)$"
)
_BY_PLACE = re.compile(r"(?i:(?:^|_)(?:get|next|at|nth|list|first|last|pop)(?:_|$))|[gG]et[A-Z]")
"""Calls that give what stands at a place, which a loop knows to be there."""
_NEVER_NULL = re.compile(
    r"^(?:x(?:malloc|calloc|realloc|strdup|strndup)|g_(?:malloc|new|strdup)\w*|emalloc|safe_\w+|"
    r"checked_\w+|must_\w+|die_\w+|ecalloc|estrdup)$"
)


def pointers(run: Run, body: Body) -> None:
    """Everything that goes wrong with pointers in this function."""
    habit = _habit(body)
    asked = _asked(body)
    copies = _copies(body)
    for events in list(body.by_key.values()):
        for event in events:
            if event.kind == "store" and event.value is not None:
                _unchecked(run, body, event, habit, asked)
            elif event.kind == "free":
                _after_free(run, body, event)
                _copy_after_free(run, body, event, copies)
        _checked_too_late(run, body, events)
    _local_given_back(run, body)
    for event in body.calls:
        _handed_on_unseen(run, event)
    _followed_before_checked(run, body)
    _moved(run, body)
    _mismatched(run, body)


_OWNS = re.compile(r"\b(?:w?string|vector|QByteArray)\b")
"""Types that hold their text or elements themselves; others only look at somebody else's."""


def _local_given_back(run: Run, body: Body) -> None:
    """`char b[8]; return b;`: what is pointed to is gone with the function."""
    given = body.function.type[-1:]
    if body.function.base is None:
        return
    _held_by_lambda(run, body)
    if re.search(r"\b(?:string_view|span)\b", body.function.type):
        _view_given_back(run, body)
    if given not in ("*", "&"):
        return
    for node in body.function.base.walk():
        if node.role == "return" and len(node.args) == 1:
            value = node.args[0]
            taken = value.role == "unary" and value.name == "&"
            if taken:
                value = value.args[0]
            inside = value.role == "call" and value.name in ("c_str", "data")
            local = body.locals.get(path_of(value.base if inside else value))
            if local is None or local.parameter or local.static or local.type[-1:] in ("&", "*"):
                continue
            if inside and not _OWNS.search(local.type):
                continue
            if local.size is not None or taken or inside or given == "&":
                run.claim("stack_address", node, 0.8)


def _held_by_lambda(run: Run, body: Body) -> None:
    """`return [&n] { return ++n; };`: what is held by reference is gone with the function."""
    assert body.function.base is not None
    for node in body.function.base.walk():
        if node.role != "return" or len(node.args) != 1 or node.args[0].role != "function":
            continue
        line = run.lines[node.line - 1] if 0 < node.line <= len(run.lines) else ""
        held = re.search(r"return\s*\[([^\]]*)\]", line)
        names = re.findall(r"&\s*(\w+)", held.group(1)) if held is not None else []
        if held is not None and re.match(r"\s*&\s*(?:,|$)", held.group(1)):
            names = [part.name for part in node.args[0].walk() if part.role == "name"]
        if any(_owned(body, name) for name in names):
            run.claim("stack_address", node, 0.72)


def _owned(body: Body, name: str) -> bool:
    local = body.locals.get(name)
    return local is not None and not local.static and local.type[-1:] not in ("&", "*")


def _view_given_back(run: Run, body: Body) -> None:
    """`std::string s; return std::string_view(s);`."""
    assert body.function.base is not None
    for node in body.function.base.walk():
        if node.role == "return" and len(node.args) == 1:
            value = node.args[0]
            if value.role == "call" and value.name in ("string_view", "span") and value.args:
                value = value.args[0]
            local = body.locals.get(path_of(value))
            if local is None or local.parameter or local.static or local.type[-1:] in ("&", "*"):
                continue
            if _OWNS.search(local.type) and "view" not in local.type:
                run.claim("stack_address", node, 0.75)


_POINTS = re.compile(r"\bunique_ptr\b")


def _moved(run: Run, body: Body) -> None:
    """`queue.push(std::move(m)); m->id`: the pointer is empty by then."""
    for call in body.calls:
        if call.node.name != "move" or path_of(call.node.base) != "std" or not call.node.args:
            continue
        name = path_of(call.node.args[0])
        local = body.locals.get(name)
        if local is None or not _POINTS.search(local.type):
            continue
        for event in body.by_key[name]:
            if event.order <= call.order:
                continue
            if event.kind in ("store", "test"):
                break
            if event.kind == "deref" and body.reaches(call, event):
                run.claim("null_dereference", event.node, 0.68)
                break


def _mismatched(run: Run, body: Body) -> None:
    """`new T[n]` and `delete p`, `malloc` and `delete`, `fopen` and `free`."""
    for call in body.calls:
        if call.node.name not in _GIVE_BACK or call.node.base is not None:
            continue
        name = path_of(call.node.args[0]) if len(call.node.args) == 1 else ""
        stores = [event for event in body.by_key.get(name, ()) if event.kind == "store"]
        before = [event for event in stores if event.order < call.order]
        if len(before) != 1 or before[0].value is None:
            continue
        made = _taken(before[0].value)
        given = call.node.name
        if given == "delete" and 0 < call.node.line <= len(run.lines):
            given += "[]" if re.search(r"\bdelete\s*\[", run.lines[call.node.line - 1]) else ""
        if made and made != given:
            run.claim("mismatched_free", call.node, 0.68)


def _taken(value: Node) -> str:
    """The call that gives such memory back; empty where it is not known."""
    while value.role == "cast" and value.args:
        value = value.args[0]
    if value.role != "call" or value.base is not None:
        return ""
    if value.type == "new":
        return "delete[]" if value.size is not None else "delete"
    return _BELONGS.get(value.name, "")


_BELONGS = {"malloc": "free", "calloc": "free", "strdup": "free", "realloc": "free",
            "fopen": "fclose", "opendir": "closedir", "kmalloc": "kfree",
            "kzalloc": "kfree"}  # fmt: skip
_GIVE_BACK = frozenset({"delete", *_BELONGS.values()})


_MAY_BE_MISSING = frozenset({"getenv", "strchr", "strrchr", "strstr", "strtok", "crypt", "strpbrk",
                             "localtime", "gmtime", "getpwnam", "getpwuid", "memchr",
                             "inet_ntoa", "setlocale", "ttyname", "dlerror"})  # fmt: skip
_TAKES_TEXT = frozenset({"strcpy", "strcat", "strlen", "strcmp", "strncmp", "strdup", "atoi",
                         "atol", "strcasecmp", "strncpy", "strtol", "memcpy", "atof", "strstr",
                         "strchr", "fopen", "chdir", "puts"})  # fmt: skip


def _handed_on_unseen(run: Run, event: Event) -> None:
    """`strcpy(b, getenv("HOME"))`: what may be nothing goes where nothing must not."""
    if event.node.name not in _TAKES_TEXT or event.node.base is not None:
        return
    for arg in event.node.args:
        made = _maker(arg)
        if made is not None and made[0] in _MAY_BE_MISSING and made[1].base is None:
            run.claim("null_dereference", event.node, 0.58)


def _followed_before_checked(run: Run, body: Body) -> None:
    """`T *t = (T *)p; use(t->x); if (!p) …`: the check of `p` comes too late."""
    for key, events in body.by_key.items():
        stores = [event for event in events if event.kind == "store" and event.value is not None]
        if len(stores) != 1 or key not in body.locals or stores[0].branch:
            continue
        source = stores[0].value
        cast = source is not None and source.role == "cast"
        while source is not None and source.role == "cast" and source.args:
            source = source.args[0]
        origin = path_of(source)
        local = body.locals.get(origin)
        if not cast or local is None or not local.parameter or "*" not in local.type:
            continue
        first = next((event for event in events if event.kind == "deref"), None)
        tests = [event for event in body.by_key[origin] if event.kind in ("test", "store")]
        if first is None or not tests or tests[0].kind != "test" or first.branch:
            continue
        if first.order < tests[0].order and _null_test(body, tests[0]):
            run.claim("null_dereference", first.node, 0.58)


def _maker(value: Node) -> tuple[str, Node] | None:
    while value.role in ("cast", "unary") and value.args and value.name != "&":
        value = value.args[0]
    if value.role == "call" and value.name and value.type != "new":
        return value.name, value
    return None


def _likely(name: str) -> float:
    if _NEVER_NULL.match(name):
        return 0.0
    if _ALLOCATES.match(name):
        return 0.6
    if _MAKES.match(name):
        return 0.55
    return 0.52 if _FINDS.match(name) else 0.0


def _unchecked(
    run: Run, body: Body, store: Event, habit: frozenset[str], asked: frozenset[str]
) -> None:
    """What an allocation gave is followed before anybody looks at it. A name that merely sounds
    like one that may fail is worth a word only where others are looked at."""
    assert store.value is not None
    made = _maker(store.value)
    if made is None:
        return
    likely = _likely(made[0])
    sibling = made[0] in asked and not _NEVER_NULL.match(made[0]) and not _BY_PLACE.search(made[0])
    if not likely and sibling:
        likely = 0.56  # the same function looks at this call's result elsewhere
    if not likely:
        return
    if likely < 0.6 and not sibling and not habit - {store.key}:
        return
    if made[0] == "realloc" or body.function.name == "main" or _small(made[1]):
        likely *= 0.8  # little is asked for, or the program ends with it
    run.spend(len(body.by_key[store.key]))
    for event in body.by_key[store.key]:
        if event.order <= store.order:
            continue
        if event.kind in ("test", "store"):
            return
        if event.kind == "deref" and body.reaches(store, event):
            run.claim("null_dereference", event.node, likely)
            return


def _habit(body: Body) -> frozenset[str]:
    """Names that hold what a call gave, and are compared with nothing in this function."""
    return frozenset(
        key for key, events in body.by_key.items()
        if any(event.kind == "test" and _null_test(body, event) for event in events)
        and any(event.value is not None and _maker(event.value) is not None for event in events)
    )  # fmt: skip


def _asked(body: Body) -> frozenset[str]:
    """Functions whose result is compared with nothing in this function before it is followed."""
    found: set[str] = set()
    for events in body.by_key.values():
        made: str | None = None
        for event in events:
            if event.kind == "store":
                maker = _maker(event.value) if event.value is not None else None
                made = maker[0] if maker is not None and maker[1].base is None else None
            elif event.kind == "test" and made and _null_test(body, event):
                found.add(made)
                made = None
            elif event.kind not in ("bound", "use"):
                made = None
    return frozenset(found)


def _small(call: Node) -> bool:
    return all(number_of(arg) is not None for arg in call.args)


def _after_free(run: Run, body: Body, freed: Event) -> None:
    name = freed.node.name
    sure = name in _SURE
    closes = name in ("fclose", "closedir", "pclose")
    if sure:
        _freed_at_label(run, body, freed)
    elif not closes and not _whole(body, freed):
        return
    run.spend(len(body.by_key[freed.key]))
    for event in body.by_key[freed.key]:
        if event.order <= freed.order:
            continue
        if event.kind in ("store", "address"):
            if body.reaches(freed, event) or not event.branch:
                return
            continue
        if not body.reaches(freed, event):
            continue
        if event.kind == "free":
            rule = "double_free" if not closes else "use_after_free"
            if not sure and event.node.name != name:
                return  # its parts are given back, and then it is
            run.claim(rule, event.node, 0.75 if sure else 0.55)
            return
        handed = event.kind == "use" and (_handed_on(event) or id(event.node) in body.returned)
        if event.kind == "deref" or handed:
            run.claim("use_after_free", event.node, 0.75 if sure else 0.55)
            return
    _parts_after(run, body, freed, sure)


_GIVES_BACK = re.compile(r"_?(?:free|destroy|delete|put|unref)$", re.I)


def _whole(body: Body, freed: Event) -> bool:
    """Is it named for the type of what it is given? Others give back a part of it."""
    local = body.locals.get(freed.key)
    if local is None:
        return False
    kind = re.sub(r"\b(?:const|struct|class)\b|[*&\s]|_t\b", "", local.type)
    made_for = _GIVES_BACK.sub("", freed.node.name)
    return kind.replace("_", "").lower() == made_for.replace("_", "").lower()


def _copies(body: Body) -> Mapping[str, Sequence[Event]]:
    """For each name the stores of what it holds under another name."""
    found: dict[str, list[Event]] = defaultdict(list)
    for event in body.events:
        value = event.value if event.kind == "store" else None
        while value is not None and value.role == "cast" and value.args:
            value = value.args[0]
        if path_of(value):
            found[path_of(value)].append(event)
    return found


def _copy_after_free(
    run: Run, body: Body, freed: Event, copies: Mapping[str, Sequence[Event]]
) -> None:
    """`q = p; free(p); use(*q)`."""
    if freed.node.name not in _SURE:
        return
    for copy in copies.get(freed.key, ()):
        if copy.order > freed.order or not body.reaches(copy, freed):
            continue
        if body.between(freed.key, ("store", "address"), copy.order, freed.order):
            continue
        for event in body.by_key[copy.key]:
            if event.order <= copy.order:
                continue
            if event.kind in ("store", "address", "free"):
                break
            if event.order > freed.order and event.kind == "deref" and body.reaches(freed, event):
                run.claim("use_after_free", event.node, 0.7)
                return


_SURE = frozenset({"free", "kfree", "delete", "vfree", "kvfree", "g_free", "xfree", "av_free"})


def _freed_at_label(run: Run, body: Body, freed: Event) -> None:
    """Freed, and then a jump to the place where everything is freed."""
    start = body.resumes(freed)
    if start <= freed.order:
        return
    for event in body.by_key[freed.key]:
        if event.kind in ("store", "address") and freed.order < event.order:
            if event.order > start or event.branch == freed.branch:
                return
        elif event.kind == "free" and event.order > start:
            run.claim("double_free", event.node, 0.72)
            return


def _parts_after(run: Run, body: Body, freed: Event, sure: bool) -> None:
    """`free(a); free(a->b)`: the holder is gone before its parts."""
    prefix = freed.key + "."
    run.spend(len(body.by_key))
    for key, events in body.by_key.items():
        if not key.startswith(prefix):
            continue
        for event in events:
            if event.order > freed.order and event.kind in ("free", "deref", "use"):
                stored = body.between(freed.key, ("store", "address"), freed.order, event.order)
                if not stored and body.reaches(freed, event) and sure:
                    run.claim("use_after_free", event.node, 0.72)
                    return


def _handed_on(event: Event) -> bool:
    return event.node.role == "member"


def _checked_too_late(run: Run, body: Body, events: list[Event]) -> None:
    """Followed first, compared with nothing afterwards: one of the two is wrong."""
    first: Event | None = None
    for event in events:
        if event.kind == "store":
            first = None
        elif event.kind == "deref" and first is None:
            first = event
        elif event.kind == "test" and first is not None:
            if _null_test(body, event) and body.reaches(first, event) and "." not in event.key:
                if first.branch == event.branch[: len(first.branch)]:
                    run.claim("null_dereference", first.node, 0.55)
            return
        elif event.kind == "test":
            return


def _null_test(body: Body, event: Event) -> bool:
    """Is the name itself tested, not something that it points to?"""
    return id(event.node) in body.null_tests
