"""What functions of the standard library do to values."""

from collections.abc import Mapping

from bluecode.defenses.checkers import python_cleaners as cleaners
from bluecode.defenses.checkers.python_members import attribute_of, iterated
from bluecode.defenses.checkers.python_methods import (
    Transfer,
    matched,
    normal,
    opened,
    path,
    path_join,
    split_path,
    substituted,
)
from bluecode.defenses.checkers.python_state import Call, Run, State
from bluecode.defenses.checkers.python_values import (
    NOTHING,
    NUMBER,
    Level,
    Tag,
    Value,
    all_tags,
    blend,
    cleaned,
    constant,
    decoded,
    glue,
    is_constant,
    keep_kinds,
    sequence,
)


def _first(run: Run, state: State, call: Call) -> Value:
    """Functions that give back their first argument in another form."""
    if not call.args:
        return constant("")
    value = call.args[0]
    if call.name in ("str", "unicode") and is_constant(value) and value.const is not None:
        return constant(str(value.const))
    if call.name in ("str", "unicode") and "number" in value.marks:
        # Text from here on: what is put beside it makes no sum.
        return glue((value,))
    if call.name in ("str", "unicode"):
        plain = cleaned(value._replace(tags=all_tags(value)), frozenset({"nosql"}))
        return plain._replace(const=value.const)
    return value


def _decoded(run: Run, state: State, call: Call) -> Value:
    """Percent signs, entities, base64: what was checked before is not what comes out."""
    given = _first(run, state, call)
    return given if is_constant(given) else decoded(given)


def _kept(run: Run, state: State, call: Call) -> Value:
    """Readers of the standard library: what comes out is as much the sender's as what went in."""
    return Value(tags=blend(call.values).tags, name=f"{call.name}()")


def _namespace(run: Run, state: State, call: Call) -> Value:
    """`locals()` and its like: the variables by name."""
    if call.args:
        return Value(tags=all_tags(call.args[0]))
    held = {**run.top.names, **state.names} if call.name == "globals" else state.names
    fields = tuple((name, value) for name, value in held.items() if "." not in name)
    return Value(fields=fields, name=f"{call.name}()")


def _partial(run: Run, state: State, call: Call) -> Value:
    """A function with some of its arguments given."""
    if not call.args:
        return NOTHING
    return call.args[0]._replace(
        items=call.args[1:], fields=call.keywords, marks=frozenset({"partial"})
    )


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
    tag = Tag(f"traceback@{call.node.lineno}", Level.NONE, kind="error", line=call.node.lineno)
    return Value(tags=frozenset({tag}))


def _getattr(run: Run, state: State, call: Call) -> Value:
    base = call.args[0] if call.args else NOTHING
    name = call.args[1].literal if len(call.args) > 1 else None
    if name is not None:
        return attribute_of(run, state, base, name)
    return Value(tags=base.tags)


def _imported(run: Run, state: State, call: Call) -> Value:
    name = call.args[0].literal if call.args else None
    return Value(name=name or "")


def _compiled(run: Run, state: State, call: Call) -> Value:
    pattern = call.args[0] if call.args else NOTHING
    return Value(name="re.compile()", fields=(("pattern", pattern),), tags=pattern.tags)


FUNCTIONS: Mapping[str, Transfer] = {
    **dict.fromkeys(
        "str unicode bytes bytearray sorted reversed iter next tuple frozenset max min copy.copy "
        "copy.deepcopy compile os.fspath os.path.expanduser os.path.expandvars "
        "base64.b64encode io.StringIO io.BytesIO memoryview "
        "django.utils.encoding.force_str typing.cast asyncio.wait_for".split(),
        _first,
    ),
    **dict.fromkeys(
        "urllib.parse.unquote urllib.parse.unquote_plus urllib.unquote urllib.unquote_plus unquote "
        "html.unescape base64.b64decode base64.urlsafe_b64decode base64.b32decode "
        "bytes.fromhex binascii.unhexlify codecs.decode unicodedata.normalize".split(),
        _decoded,
    ),
    **dict.fromkeys(
        "pathlib.Path pathlib.PurePath pathlib.PosixPath pathlib.PurePosixPath Path".split(), path
    ),
    **dict.fromkeys("os.path.join posixpath.join".split(), path_join),
    **dict.fromkeys("os.path.realpath os.path.abspath os.path.normpath".split(), normal),
    **dict.fromkeys("re.sub re.subn".split(), substituted),
    **dict.fromkeys("re.match re.search re.fullmatch re.findall re.split".split(), matched),
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
    **dict.fromkeys("os.path.splitext os.path.split os.path.dirname".split(), split_path),
    **dict.fromkeys("open io.open codecs.open".split(), opened),
    **dict.fromkeys("list set collections.deque collections.OrderedDict".split(), _made_list),
    **dict.fromkeys("importlib.import_module __import__".split(), _imported),
    **dict.fromkeys(
        "json.loads json.load urllib.parse.parse_qs urllib.parse.parse_qsl urllib.parse.urlunparse "
        "urllib.parse.unquote_to_bytes zlib.decompress gzip.decompress "
        "textwrap.dedent textwrap.indent textwrap.fill itertools.chain "
        "itertools.islice csv.reader csv.DictReader tomllib.loads shlex.join string.capwords "
        "xmltodict.parse functools.reduce orjson.loads ujson.loads "
        "urlparse.parse_qs cgi.parse_qs parse_qs parse_qsl".split(),
        _kept,
    ),
    **dict.fromkeys("locals globals vars".split(), _namespace),
    "functools.partial": _partial,
    "dict": _made_dict,
    "re.compile": _compiled,
    "enumerate": _enumerated,
    "zip": _zipped,
    "map": _mapped,
    "filter": _filtered,
    "getattr": _getattr,
    "urllib.parse.urljoin": _url_join,
}
