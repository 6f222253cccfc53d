"""What methods of text, containers, paths and expressions do to values."""

from collections.abc import Callable, Mapping

from bluecode.defenses.checkers import python_cleaners as cleaners
from bluecode.defenses.checkers import python_sources
from bluecode.defenses.checkers.python_expressions import dotted
from bluecode.defenses.checkers.python_members import added, element, joined_path
from bluecode.defenses.checkers.python_state import Call, Run, State
from bluecode.defenses.checkers.python_text import formatted, joined
from bluecode.defenses.checkers.python_values import (
    NO_MARKS,
    NOTHING,
    Level,
    Tag,
    Value,
    all_tags,
    blend,
    cleaned,
    constant,
    is_constant,
    merge,
    parts_of,
    piece,
    sequence,
    text,
    union,
)

Transfer = Callable[[Run, State, Call], Value]


def _same(run: Run, state: State, call: Call) -> Value:
    if isinstance(call.receiver.const, str) and not call.args:
        return _folded(call)
    return call.receiver._replace(const=call.receiver.const)


def _folded(call: Call) -> Value:
    content = call.receiver.const
    assert isinstance(content, str)
    changed: Mapping[str, Callable[[str], str]] = {
        "lower": str.lower,
        "upper": str.upper,
        "strip": str.strip,
        "title": str.title,
    }
    method = changed.get(call.method)
    return constant(method(content) if method else content)


def _encoded(run: Run, state: State, call: Call) -> Value:
    content = call.receiver.const
    if isinstance(content, str):
        return constant(content.encode("utf-8", "replace"))._replace(marks=call.receiver.marks)
    return call.receiver


def _decoded(run: Run, state: State, call: Call) -> Value:
    content = call.receiver.const
    if isinstance(content, bytes):
        return constant(content.decode("utf-8", "replace"))
    return call.receiver


def _replaced(run: Run, state: State, call: Call) -> Value:
    old = call.args[0].literal if call.args else None
    dangers = cleaners.replaced(old) if old is not None else frozenset()
    extra = all_tags(call.args[1]) if len(call.args) > 1 else frozenset()
    if isinstance(call.receiver.const, str) and extra:
        pieces = call.receiver.const.split(old) if old else [call.receiver.const]
        parts: list[str | frozenset[Tag]] = []
        for index, chunk in enumerate(pieces):
            parts.extend([extra, chunk] if index else [chunk])
        return text(parts)
    value = cleaned(call.receiver, dangers) if dangers else call.receiver
    return value._replace(tags=value.tags | extra, const=value.const if not extra else "")


def _split(run: Run, state: State, call: Call) -> Value:
    content = call.receiver.const
    if isinstance(content, str) and len(call.args) <= 1:
        between = call.args[0].literal if call.args else None
        if between != "":
            return sequence(constant(word) for word in content.split(between))
    return _renamed(call.receiver, f"{call.name}()")


def _renamed(value: Value, name: str) -> Value:
    return Value(tags=all_tags(value), name=name, parts=value.parts if value.composed else ())


def _format(run: Run, state: State, call: Call) -> Value:
    return formatted(call.receiver, call.args, dict(call.keywords))


def _join(run: Run, state: State, call: Call) -> Value:
    if "path" in call.receiver.marks or call.name.startswith("os.path"):
        return path_join(run, state, call)
    if call.receiver.literal is None or not call.args:
        return blend(call.values)
    return joined(call.receiver, call.args[0])


def _get(run: Run, state: State, call: Call) -> Value:
    """`mapping.get(key, default)`."""
    base = call.receiver
    if "request" in base.marks:
        return element(python_sources.of_request("item"), NOTHING)
    if not base.tags and base.fields is None:
        return call.args[1] if len(call.args) > 1 else Value(name=f"{call.name}()")
    found = element(base, call.args[0] if call.args else NOTHING)
    default = call.argument(1, "default")
    return found if default is None else merge(found, default)


def _items(run: Run, state: State, call: Call) -> Value:
    tags = all_tags(call.receiver)
    one = Value(tags=tags)
    if call.receiver.fields is not None:
        values = blend(value for _, value in call.receiver.fields)
        return Value(tags=tags, items=(sequence((NOTHING, values)),), marks=frozenset({"repeated"}))
    each = piece(call.receiver, "each")
    return Value(tags=tags, items=(sequence((each, one)),), marks=frozenset({"repeated"}))


def _keys(run: Run, state: State, call: Call) -> Value:
    if call.receiver.fields is not None:
        return sequence(constant(key) for key, _ in call.receiver.fields)
    return Value(tags=call.receiver.tags, name=f"{call.name}()")


def _values(run: Run, state: State, call: Call) -> Value:
    if call.receiver.fields is not None:
        return sequence(value for _, value in call.receiver.fields)
    return Value(tags=call.receiver.tags, name=f"{call.name}()")


def _append(run: Run, state: State, call: Call) -> Value:
    key = dotted(call.node.func)[: -len(call.method) - 1]
    base = call.receiver
    if not key or "request" in base.marks:
        return NOTHING
    given = call.args[-1] if call.args else NOTHING
    if call.method == "append" and base.items is not None:
        state.set_part(key, sequence((*base.items, given)))
    elif call.method == "extend" and base.items is not None:
        state.set_part(key, added(base, given))
    elif call.method in ("update", "setdefault"):
        fields = {**dict(base.fields or ()), **dict(given.fields or ()), **dict(call.keywords)}
        tags = union((base.tags, *map(all_tags, call.values)))
        known = base.fields is not None and (given.fields is not None or not call.args)
        kept = tuple(fields.items()) if known else None
        state.set_part(key, base._replace(tags=tags, fields=kept))
    elif call.values:
        tags = union((base.tags, *map(all_tags, call.values)))
        state.set_part(key, Value(tags=tags, name=base.name))
    return NOTHING


def _write(run: Run, state: State, call: Call) -> Value:
    """A hash or a buffer takes what is written to it."""
    if "hash" in call.receiver.marks or call.receiver.name.startswith("io."):
        return _append(run, state, call)
    return NOTHING


def _copied(run: Run, state: State, call: Call) -> Value:
    return call.receiver


def _read(run: Run, state: State, call: Call) -> Value:
    return Value(tags=call.callee.tags or call.receiver.tags, name=f"{call.name}()")


def _safe_substitute(run: Run, state: State, call: Call) -> Value:
    template = call.receiver.field("template") or call.receiver
    holes = blend((call.receiver, *call.values)).tags
    return text((*parts_of(template), holes))


def path(run: Run, state: State, call: Call) -> Value:
    if not call.args:
        return Value(marks=frozenset({"path"}), name="pathlib.Path()")
    value = call.args[0]
    for other in call.args[1:]:
        value = joined_path(value, other)
    return Value(
        tags=value.tags,
        parts=parts_of(value),
        marks=frozenset({"path"}) | (value.marks & {"normal"}),
        name="pathlib.Path()",
        const=value.const,
    )


def path_join(run: Run, state: State, call: Call) -> Value:
    values = call.args if not call.receiver.marks & {"path"} else (call.receiver, *call.args)
    if not values:
        return NOTHING
    value = values[0]
    for other in values[1:]:
        value = joined_path(value, other)
    marks = frozenset({"path"}) if "path" in call.receiver.marks else NO_MARKS
    return value._replace(marks=marks, name=f"{call.name}()")


def normal(run: Run, state: State, call: Call) -> Value:
    """`realpath`, `abspath`, `resolve`: what a prefix check may be trusted on."""
    value = call.args[0] if call.args and not call.receiver.marks & {"path"} else call.receiver
    return value._replace(marks=value.marks | {"normal"}, name=f"{call.name}()")


def _relative_to(run: Run, state: State, call: Call) -> Value:
    if "normal" in call.receiver.marks:
        state.clear(call.receiver, ("path",))
    return call.receiver


def split_path(run: Run, state: State, call: Call) -> Value:
    return _renamed(call.args[0] if call.args else NOTHING, f"{call.name}()")


def opened(run: Run, state: State, call: Call) -> Value:
    """An open file: what is read from it is as trusted as its name."""
    path = call.args[0] if call.args else NOTHING
    live = [tag for tag in path.tags if tag.kind == "input"]
    level = Level.STORED if live or not is_constant(path) else Level.UNKNOWN
    tag = Tag(f"file@{call.node.lineno}", level, line=call.node.lineno)
    return Value(tags=frozenset({tag}), name="open()")


def _members(run: Run, state: State, call: Call) -> Value:
    """Members of an archive: their names are whatever its maker wrote."""
    tag = Tag(f"archive@{call.node.lineno}", Level.STORED, line=call.node.lineno)
    return Value(tags=frozenset({tag}))


def _dumped(run: Run, state: State, call: Call) -> Value:
    """Fields of a declared model, as pydantic gives them: their names are those of the model."""
    copied = _copied(run, state, call)
    declared = all(tag.root.startswith("param ") and ">" not in tag.root for tag in copied.tags)
    return cleaned(copied, frozenset({"name"})) if declared else copied


def substituted(run: Run, state: State, call: Call) -> Value:
    """`re.sub(pattern, replacement, text)`."""
    compiled = call.receiver.field("pattern") if call.method else None
    pattern = compiled if compiled is not None else call.argument(0, "pattern") or NOTHING
    shift = 0 if compiled is not None else 1
    subject = call.argument(1 + shift, "string") or NOTHING
    replacement = call.argument(shift, "repl") or NOTHING
    literal = pattern.literal
    dangers = cleaners.without_pattern(literal) if literal is not None else frozenset()
    return blend((cleaned(subject, dangers), replacement))


def matched(run: Run, state: State, call: Call) -> Value:
    values = call.args[1:2] if call.name.startswith("re.") and "()" not in call.name else call.args
    return Value(tags=blend(values).tags, name="re.match()")


METHODS: Mapping[str, Transfer] = {
    **dict.fromkeys(
        "strip lstrip rstrip lower upper title capitalize casefold swapcase zfill ljust rjust "
        "center expandtabs removeprefix removesuffix translate expanduser".split(),
        _same,
    ),
    **dict.fromkeys("copy decrypt json to_dict tostring".split(), _copied),
    **dict.fromkeys(("model_dump", "dict"), _dumped),
    **dict.fromkeys("split rsplit splitlines partition rpartition".split(), _split),
    **dict.fromkeys("append extend insert add update setdefault appendleft put".split(), _append),
    **dict.fromkeys(
        "read readline readlines read1 readall getlist get_json get_data stream group groups "
        "findall groupdict decode_json multi_items".split(),
        _read,
    ),
    **dict.fromkeys("resolve absolute".split(), normal),
    **dict.fromkeys("match fullmatch search finditer".split(), matched),
    **dict.fromkeys("infolist namelist getmembers getnames".split(), _members),
    "encode": _encoded,
    "decode": _decoded,
    "replace": _replaced,
    "format": _format,
    "format_map": _format,
    "join": _join,
    "joinpath": path_join,
    "get": _get,
    "pop": _get,
    "items": _items,
    "keys": _keys,
    "values": _values,
    "write": _write,
    "relative_to": _relative_to,
    "sub": substituted,
    "safe_substitute": _safe_substitute,
    "substitute": _safe_substitute,
}
