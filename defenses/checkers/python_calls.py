"""What calls do to values: text methods, containers, paths, cleaners, the snippet's own functions.

A call that nobody here knows blends its arguments and lowers their certainty; it never makes them
safe unless its name says that it cleans.
"""

import ast
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers import python_cleaners as cleaners
from bluecode.defenses.checkers import python_sinks, python_sources
from bluecode.defenses.checkers.python_expressions import (
    added,
    attribute_of,
    dotted,
    element,
    evaluate,
    find_method,
    iterated,
    joined_path,
)
from bluecode.defenses.checkers.python_names import names_check
from bluecode.defenses.checkers.python_state import Call, Function, Invocation, Run, State
from bluecode.defenses.checkers.python_text import formatted, joined
from bluecode.defenses.checkers.python_values import (
    NO_MARKS,
    NOTHING,
    NUMBER,
    Level,
    Tag,
    Value,
    all_tags,
    blend,
    cleaned,
    constant,
    is_constant,
    keep_kinds,
    merge,
    parts_of,
    sequence,
    text,
    union,
    weakened,
)


def evaluate_call(run: Run, state: State, node: ast.Call) -> Value:
    """The result of a call; sinks are asked before."""
    call = _evaluated(run, state, node)
    python_sinks.called(run, call)
    if call.callee.code is not None:
        return _own(run, state, call)
    transfer = _METHODS.get(call.method) if call.method else None
    special = _FUNCTIONS.get(call.name)
    if special is not None:
        return special(run, state, call)
    cleaning = cleaners.harmless_call(call.name, call.method)
    if cleaning is not None:
        return _cleaned_text(call, cleaning)
    if cleaners.is_numeric(call.name, call.method):
        return _number(state, call)
    known = python_sources.of_call(call.name, call.method, node.lineno)
    if known is not None:
        return known
    if transfer is not None:
        return transfer(run, state, call)
    return _unknown(run, state, call)


def _evaluated(run: Run, state: State, node: ast.Call) -> Call:
    function = node.func
    receiver, method = NOTHING, ""
    if isinstance(function, ast.Attribute):
        receiver, method = evaluate(run, state, function.value), function.attr
        key = dotted(function)
        held = state.names.get(key) if key else None
        callee = held if held is not None else attribute_of(run, receiver, method)
    else:
        callee = evaluate(run, state, function)
    args: list[Value] = []
    for argument in node.args:
        value = evaluate(run, state, argument)
        if isinstance(argument, ast.Starred):
            args.extend(value.items if value.items is not None else [iterated(value)])
        else:
            args.append(value)
    keywords: list[tuple[str, Value]] = []
    for keyword in node.keywords:
        value = evaluate(run, state, keyword.value)
        if keyword.arg is not None:
            python_sinks.named(run, state, keyword.value, keyword.arg, value)
            keywords.append((keyword.arg, value))
        else:
            keywords.extend(value.fields or (("**", value),))
    return Call(node, callee.name, method, receiver, callee, tuple(args), tuple(keywords), state)


def _own(run: Run, state: State, call: Call) -> Value:
    """A call of something that the snippet defines."""
    code = call.callee.code
    if isinstance(code, ast.ClassDef):
        return _instance(run, state, call, code)
    if isinstance(code, ast.Lambda) or code is None:
        return blend(call.values)
    receiver: Value | None = None
    owner = ""
    if call.method and call.callee.name:
        owner = _owner(run, call)
        if owner and not _static(code):
            receiver = call.receiver if call.receiver.name != owner else None
    return run.walker.invoke(
        run, state, Invocation(code, call.args, call.keywords, receiver, owner)
    )


def _owner(run: Run, call: Call) -> str:
    if call.receiver.name == "self":
        return run.frame.owner
    code = call.receiver.code
    return code.name if isinstance(code, ast.ClassDef) else ""


def _static(function: Function) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == "staticmethod" for node in function.decorator_list
    )


def _instance(run: Run, state: State, call: Call, node: ast.ClassDef) -> Value:
    made = Value(name=f"{node.name}()", code=node, marks=frozenset({"instance"}))
    maker = find_method(run, node.name, "__init__")
    if maker is not None:
        run.walker.invoke(run, state, Invocation(maker, call.args, call.keywords, made, node.name))
        names = [argument.arg for argument in maker.args.args[1:]]
    else:
        names = [
            item.target.id
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        ]
    fields = dict(zip(names, call.args, strict=False)) | dict(call.keywords)
    return made._replace(fields=tuple(fields.items()), tags=blend(call.values).tags)


def _cleaned_text(call: Call, dangers: frozenset[str]) -> Value:
    content = call.args[0] if call.args else blend(call.values)
    if len(call.args) > 1 or call.keywords:
        content = blend(call.values)
    marks = frozenset({"html"}) if "html" in dangers else NO_MARKS
    if call.name in ("os.path.basename", "ntpath.basename"):
        marks = NO_MARKS
    return cleaned(Value(tags=all_tags(content), name=f"{call.name}()"), dangers)._replace(
        marks=marks
    )


def _number(state: State, call: Call) -> Value:
    """A number or an object that holds no text; converting raises for anything else."""
    short = call.last
    if short in ("int", "float", "UUID", "Decimal", "ip_address", "ObjectId", "IPv4Address"):
        for value in call.args[:1]:
            state.clear(value)
    kinds = keep_kinds(blend((call.receiver, *call.values)).tags)
    name = f"{call.name}()"
    if short in ("len", "hash", "isinstance", "any", "all", "startswith", "endswith"):
        return NUMBER
    if short in ("hexdigest", "digest"):
        return Value(tags=_without_secrets(kinds), name=name, marks=NUMBER.marks)
    return Value(tags=kinds, name=name, marks=NUMBER.marks)


def _without_secrets(tags: frozenset[Tag]) -> frozenset[Tag]:
    return frozenset(tag for tag in tags if tag.kind not in ("secret", "input"))


def _unknown(run: Run, state: State, call: Call) -> Value:
    """A call of something that is not in the snippet."""
    everything = union((*map(all_tags, call.values),))
    name = f"{call.name}()" if call.name else ""
    short = call.last
    if names_check(short) and call.node.args and not call.method.startswith("get"):
        # `validate(x)` as a statement: unknown code that raises, or whose outcome is used.
        if short.lstrip("_").startswith(("validate", "check", "verify")):
            for value in call.values:
                state.clear(value)
    if cleaners.named_cleaner(short):
        return Value(tags=_cleared_all(everything), name=name)
    if call.callee.tags or call.receiver.tags:
        own = call.callee.tags if call.method else weakened(call.callee.tags)
        return Value(tags=union((own or call.receiver.tags, weakened(everything))), name=name)
    if everything:
        return Value(tags=weakened(everything), name=name)
    return Value(name=name)


def _cleared_all(tags: frozenset[Tag]) -> frozenset[Tag]:
    return frozenset(tag._replace(cleared=cleaners.ALL) for tag in tags)


# Methods of text, containers and paths.


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
        return _path_join(run, state, call)
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
    return Value(tags=tags, items=(sequence((one, one)),), marks=frozenset({"repeated"}))


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
        state.names[key] = sequence((*base.items, given))
    elif call.method == "extend" and base.items is not None:
        state.names[key] = added(base, given)
    elif call.method in ("update", "setdefault"):
        fields = {**dict(base.fields or ()), **dict(given.fields or ()), **dict(call.keywords)}
        tags = union((base.tags, *map(all_tags, call.values)))
        known = base.fields is not None and (given.fields is not None or not call.args)
        state.names[key] = base._replace(tags=tags, fields=tuple(fields.items()) if known else None)
    elif call.values:
        state.names[key] = Value(
            tags=union((base.tags, *map(all_tags, call.values))), name=base.name
        )
    return NOTHING


def _write(run: Run, state: State, call: Call) -> Value:
    """A hash or a buffer takes what is written to it."""
    if "hash" in call.receiver.marks or call.receiver.name.startswith("io."):
        return _append(run, state, call)
    return NOTHING


def _members(run: Run, state: State, call: Call) -> Value:
    """Members of an archive: their names are whatever its maker wrote."""
    tag = Tag(f"archive@{call.node.lineno}", Level.STORED, line=call.node.lineno)
    return Value(tags=frozenset({tag}))


def _copied(run: Run, state: State, call: Call) -> Value:
    return call.receiver


def _read(run: Run, state: State, call: Call) -> Value:
    return Value(tags=call.callee.tags or call.receiver.tags, name=f"{call.name}()")


def _safe_substitute(run: Run, state: State, call: Call) -> Value:
    template = call.receiver.field("template") or call.receiver
    holes = blend((call.receiver, *call.values)).tags
    return text((*parts_of(template), holes))


# Functions.


def _first(run: Run, state: State, call: Call) -> Value:
    """Functions that give back their first argument in another form."""
    if not call.args:
        return constant("")
    value = call.args[0]
    if call.name in ("str", "unicode") and is_constant(value) and value.const is not None:
        return constant(str(value.const))
    if call.name in ("str", "unicode"):
        plain = cleaned(value._replace(tags=all_tags(value)), frozenset({"nosql"}))
        return plain._replace(const=value.const)
    return value


def _path(run: Run, state: State, call: Call) -> Value:
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


def _path_join(run: Run, state: State, call: Call) -> Value:
    values = call.args if not call.receiver.marks & {"path"} else (call.receiver, *call.args)
    if not values:
        return NOTHING
    value = values[0]
    for other in values[1:]:
        value = joined_path(value, other)
    marks = frozenset({"path"}) if "path" in call.receiver.marks else NO_MARKS
    return value._replace(marks=marks, name=f"{call.name}()")


def _normal(run: Run, state: State, call: Call) -> Value:
    """`realpath`, `abspath`, `resolve`: what a prefix check may be trusted on."""
    value = call.args[0] if call.args and not call.receiver.marks & {"path"} else call.receiver
    return value._replace(marks=value.marks | {"normal"}, name=f"{call.name}()")


def _relative_to(run: Run, state: State, call: Call) -> Value:
    if "normal" in call.receiver.marks:
        state.clear(call.receiver, ("path",))
    return call.receiver


def _compiled(run: Run, state: State, call: Call) -> Value:
    pattern = call.args[0] if call.args else NOTHING
    return Value(name="re.compile()", fields=(("pattern", pattern),), tags=pattern.tags)


def _substituted(run: Run, state: State, call: Call) -> Value:
    """`re.sub(pattern, replacement, text)`."""
    compiled = call.receiver.field("pattern") if call.method else None
    pattern = compiled if compiled is not None else call.argument(0, "pattern") or NOTHING
    shift = 0 if compiled is not None else 1
    subject = call.argument(1 + shift, "string") or NOTHING
    replacement = call.argument(shift, "repl") or NOTHING
    literal = pattern.literal
    dangers = cleaners.without_pattern(literal) if literal is not None else frozenset()
    return blend((cleaned(subject, dangers), replacement))


def _matched(run: Run, state: State, call: Call) -> Value:
    values = call.args[1:2] if call.name.startswith("re.") and "()" not in call.name else call.args
    return Value(tags=blend(values).tags, name="re.match()")


def _enumerated(run: Run, state: State, call: Call) -> Value:
    inner = iterated(call.args[0]) if call.args else NOTHING
    return Value(tags=inner.tags, items=(sequence((NUMBER, inner)),), marks=frozenset({"repeated"}))


def _zipped(run: Run, state: State, call: Call) -> Value:
    row = sequence(iterated(value) for value in call.args)
    return Value(tags=row.tags, items=(row,), marks=frozenset({"repeated"}))


def _mapped(run: Run, state: State, call: Call) -> Value:
    """`map(function, iterable)`: what the function makes of one element."""
    if len(call.args) < 2:
        return NOTHING
    function, inner = call.args[0], iterated(call.args[1])
    if cleaners.is_numeric(function.name, ""):
        made = Value(tags=keep_kinds(inner.tags), marks=NUMBER.marks)
    else:
        dangers = cleaners.harmless_call(function.name, "")
        made = inner if dangers is None else cleaned(inner, dangers)
    return Value(tags=made.tags, items=(made,), marks=frozenset({"repeated"}))


def _filtered(run: Run, state: State, call: Call) -> Value:
    return call.args[1] if len(call.args) > 1 else NOTHING


def _made_dict(run: Run, state: State, call: Call) -> Value:
    if call.args:
        return call.args[0] if not call.keywords else blend(call.values)
    tags = blend(call.values).tags
    return Value(tags=tags, fields=call.keywords, name="dict")


def _made_list(run: Run, state: State, call: Call) -> Value:
    return call.args[0] if call.args else sequence(())


def _opened(run: Run, state: State, call: Call) -> Value:
    """An open file: what is read from it is as trusted as its name."""
    path = call.args[0] if call.args else NOTHING
    live = [tag for tag in path.tags if tag.kind == "input"]
    level = Level.STORED if live or not is_constant(path) else Level.UNKNOWN
    tag = Tag(f"file@{call.node.lineno}", level, line=call.node.lineno)
    return Value(tags=frozenset({tag}), name="open()")


def _digest(run: Run, state: State, call: Call) -> Value:
    return Value(tags=blend(call.args).tags, name=f"{call.name}()", marks=frozenset({"hash"}))


def _random(run: Run, state: State, call: Call) -> Value:
    tag = Tag(f"random@{call.node.lineno}", Level.NONE, kind="random", line=call.node.lineno)
    return Value(tags=frozenset({tag}), name=f"{call.name}()")


def _environment(run: Run, state: State, call: Call) -> Value:
    default = call.argument(1, "default")
    return (
        Value(name="os.environ.get()")
        if default is None
        else Value(tags=default.tags, name="os.environ.get()")
    )


def _parsed_url(run: Run, state: State, call: Call) -> Value:
    value = call.args[0] if call.args else NOTHING
    return Value(tags=value.tags, name="urlparse()")


def _url_join(run: Run, state: State, call: Call) -> Value:
    return blend(call.args)


def _traceback(run: Run, state: State, call: Call) -> Value:
    tag = Tag(f"error@{call.node.lineno}", Level.NONE, kind="error", line=call.node.lineno)
    return Value(tags=frozenset({tag}))


def _split_path(run: Run, state: State, call: Call) -> Value:
    return _renamed(call.args[0] if call.args else NOTHING, f"{call.name}()")


def _getattr(run: Run, state: State, call: Call) -> Value:
    base = call.args[0] if call.args else NOTHING
    name = call.args[1].literal if len(call.args) > 1 else None
    if name is not None:
        return attribute_of(run, base, name)
    return Value(tags=base.tags)


def _imported(run: Run, state: State, call: Call) -> Value:
    name = call.args[0].literal if call.args else None
    return Value(name=name or "")


_Transfer = Callable[[Run, State, Call], Value]

_METHODS: Mapping[str, _Transfer] = {
    **dict.fromkeys(
        "strip lstrip rstrip lower upper title capitalize casefold swapcase zfill ljust rjust "
        "center expandtabs removeprefix removesuffix translate expanduser".split(),
        _same,
    ),
    **dict.fromkeys("copy decrypt json to_dict dict tostring".split(), _copied),
    **dict.fromkeys("split rsplit splitlines partition rpartition".split(), _split),
    **dict.fromkeys("append extend insert add update setdefault appendleft put".split(), _append),
    **dict.fromkeys(
        "read readline readlines read1 readall getlist get_json get_data stream group groups "
        "findall groupdict decode_json multi_items".split(),
        _read,
    ),
    **dict.fromkeys("resolve absolute".split(), _normal),
    **dict.fromkeys("match fullmatch search finditer".split(), _matched),
    **dict.fromkeys("infolist namelist getmembers getnames".split(), _members),
    "encode": _encoded,
    "decode": _decoded,
    "replace": _replaced,
    "format": _format,
    "format_map": _format,
    "join": _join,
    "joinpath": _path_join,
    "get": _get,
    "pop": _get,
    "items": _items,
    "keys": _keys,
    "values": _values,
    "write": _write,
    "relative_to": _relative_to,
    "sub": _substituted,
    "safe_substitute": _safe_substitute,
    "substitute": _safe_substitute,
}

_FUNCTIONS: Mapping[str, _Transfer] = {
    **dict.fromkeys(
        "str unicode bytes bytearray sorted reversed iter next tuple frozenset max min copy.copy "
        "copy.deepcopy compile os.fspath os.path.expanduser os.path.expandvars urllib.parse.unquote "
        "urllib.parse.unquote_plus html.unescape base64.b64encode io.StringIO io.BytesIO "
        "base64.b64decode memoryview django.utils.encoding.force_str typing.cast "
        "asyncio.wait_for".split(),
        _first,
    ),
    **dict.fromkeys(
        "pathlib.Path pathlib.PurePath pathlib.PosixPath pathlib.PurePosixPath Path".split(), _path
    ),
    **dict.fromkeys("os.path.join posixpath.join".split(), _path_join),
    **dict.fromkeys("os.path.realpath os.path.abspath os.path.normpath".split(), _normal),
    **dict.fromkeys("re.sub re.subn".split(), _substituted),
    **dict.fromkeys("re.match re.search re.fullmatch re.findall re.split".split(), _matched),
    **dict.fromkeys(
        "urllib.parse.urlparse urllib.parse.urlsplit urlparse.urlparse urlparse urlsplit "
        "urlparse.urlsplit httpx.URL yarl.URL".split(),
        _parsed_url,
    ),
    **dict.fromkeys(
        "hashlib.md5 hashlib.sha1 hashlib.sha224 hashlib.sha256 hashlib.sha384 hashlib.sha512 "
        "hashlib.new hashlib.blake2b hashlib.blake2s hashlib.sha3_256 hashlib.sha3_512 "
        "hmac.new".split(),
        _digest,
    ),
    **dict.fromkeys(
        [
            f"{module}.{name}"
            for module in ("random", "random.Random()", "numpy.random")
            for name in (
                "random randint choice choices sample randrange uniform getrandbits shuffle "
                "randbytes gauss rand randn integers triangular betavariate"
            ).split()
        ],
        _random,
    ),
    **dict.fromkeys("os.environ.get os.getenv environ.get".split(), _environment),
    **dict.fromkeys("traceback.format_exc traceback.format_exception".split(), _traceback),
    **dict.fromkeys("os.path.splitext os.path.split os.path.dirname".split(), _split_path),
    **dict.fromkeys("open io.open codecs.open".split(), _opened),
    **dict.fromkeys("list set collections.deque collections.OrderedDict".split(), _made_list),
    **dict.fromkeys("importlib.import_module __import__".split(), _imported),
    "dict": _made_dict,
    "re.compile": _compiled,
    "enumerate": _enumerated,
    "zip": _zipped,
    "map": _mapped,
    "filter": _filtered,
    "getattr": _getattr,
    "urllib.parse.urljoin": _url_join,
}
