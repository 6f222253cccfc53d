"""Where untrusted data enters: requests of web frameworks, the command line, files, sockets.

Matched by origin name where the import is seen, by usual names where a fragment shows none.
"""

import ast
import re
import string
from collections.abc import Mapping

from bluecode.defenses.checkers.python_names import (
    names_config,
    names_place,
    names_untrusted,
    words,
)
from bluecode.defenses.checkers.python_state import Function, Run
from bluecode.defenses.checkers.python_values import (
    NUMBER,
    Level,
    Tag,
    Value,
    constant,
    source,
)

_REQUEST_MODULES = ("flask.request", "bottle.request", "quart.request", "cherrypy.request")
_SAFE_OF_REQUEST = frozenset(
    "method scheme user session app remote_addr content_length endpoint blueprint state db auth "
    "registry is_json is_secure is_ajax is_authenticated logger log config transport loop client "
    "server remote_user site tenant csrf version LANGUAGE_CODE settings dbsession "
    "resolver_match current_app task protocol http_version secure is_xhr id url_rule route "
    "accept_languages urlconf build_absolute_uri environ_base url_for static_url has_permission "
    "can_read_body charset encoding user_id timestamp RESPONSE SESSION response".split()
)
_HANDLER_READS = frozenset(
    "get_argument get_arguments get_query_argument get_query_arguments get_body_argument "
    "get_body_arguments get_cookie get_secure_cookie".split()
)
_HANDLER_FIELDS = frozenset(
    "path headers rfile kwargs path_args path_kwargs body query_params".split()
)
_ROUTE_WORDS = frozenset(
    "route get post put delete patch websocket api_route view_config expose api_view "
    "action view endpoint message_handler command on_message event errorhandler".split()
)
_CHAT_BOTS = frozenset("bot client commands tree dp dispatcher discord slash router".split())
_WEB = frozenset(
    "django flask fastapi starlette aiohttp rest_framework pyramid sanic quart tornado bottle "
    "falcon cherrypy webob ninja litestar".split()
)
_VIEW_BASES = ("View", "Handler", "Resource", "Endpoint", "ViewSet", "APIView", "MethodView")
_VIEW_METHODS = frozenset(
    "get post put delete patch head options dispatch form_valid get_context_data get_queryset "
    "list create retrieve update destroy partial_update on_get on_post on_put on_delete "
    "on_patch do_GET do_POST do_PUT do_DELETE prepare on_message open".split()
)
_REQUEST_TYPES = ("Request", "HttpRequest", "WebSocket", "HTTPConnection", "UploadFile")
_SAFE_TYPES = frozenset(
    "int float bool complex UUID date datetime Decimal timedelta time Literal Enum "
    "IPv4Address PositiveInt uuid.UUID datetime.date datetime.datetime decimal.Decimal".split()
)
_OBJECT_TYPES = frozenset(
    "Session AsyncSession Connection Cursor Engine Database Logger Path BackgroundTasks Response "
    "Settings Config sqlite3.Connection sqlite3.Cursor logging.Logger type".split()
)
_OBJECT_NAMES = frozenset(
    "self cls conn connection cursor cur db database session engine logger log client http "
    "response resp app loop executor pool redis config settings ctx context mcs parser".split()
)

_CALLS: Mapping[str, Level] = {
    "input": Level.INPUT,
    "raw_input": Level.INPUT,
    "sys.stdin.read": Level.INPUT,
    "sys.stdin.readline": Level.INPUT,
    "sys.stdin.readlines": Level.INPUT,
    "sys.stdin.buffer.read": Level.INPUT,
    "os.getenv": Level.NONE,
    "os.environ.get": Level.NONE,
    "web.input": Level.REQUEST,
    "cgi.FieldStorage": Level.REQUEST,
    "urllib.request.urlopen": Level.STORED,
    "requests.get": Level.STORED,
    "requests.post": Level.STORED,
    "open": Level.STORED,
    "io.open": Level.STORED,
    "codecs.open": Level.STORED,
}
_METHODS: Mapping[str, Level] = {
    "recv": Level.REQUEST,
    "recvfrom": Level.REQUEST,
    "recv_json": Level.REQUEST,
    "recv_string": Level.REQUEST,
    "recv_pyobj": Level.REQUEST,
    "receive_text": Level.REQUEST,
    "receive_json": Level.REQUEST,
    "getvalue": Level.UNKNOWN,
    "fetchone": Level.STORED,
    "fetchall": Level.STORED,
    "fetchmany": Level.STORED,
    "text_input": Level.REQUEST,
    "text_area": Level.REQUEST,
    "chat_input": Level.REQUEST,
    "read_text": Level.STORED,
    "read_bytes": Level.STORED,
    "parse_args": Level.INPUT,
    "parse_known_args": Level.INPUT,
}
_NAMES: Mapping[str, Level] = {
    "sys.argv": Level.INPUT,
    "sys.stdin": Level.INPUT,
}

_RECORDS = re.compile(
    r"\.objects\.(?:\w+\(\)\.)*(?:get|first|last|latest|earliest|all|filter|values|values_list)$"
    r"|\.query\.(?:\w+\(\)\.)*(?:get|get_or_404|first|first_or_404|one|one_or_none|all)$"
)
"""Queries of Django's and SQLAlchemy's models: what they bring was written by somebody, once."""


def of_call(name: str, method: str, line: int) -> Value | None:
    """What a call of a function outside the snippet brings in, where it is a source."""
    level = _CALLS.get(name)
    if level is None and _RECORDS.search(name):
        level = Level.STORED
    if level is None and method in _HANDLER_READS:
        level = Level.REQUEST
    if level is None and method and method in _METHODS:
        level = _METHODS[method]
    if level is None or level is Level.NONE:
        return None
    return source(f"{name or method}@{line}", level, name=f"{name}()" if name else "")


def of_name(name: str) -> Value | None:
    """A module's attribute that holds input."""
    if name.startswith("string.") and isinstance(getattr(string, name[7:], None), str):
        return constant(getattr(string, name[7:]))
    level = _NAMES.get(name)
    return None if level is None else source(name, level, name=name)


def request_object(name: str = "request") -> Value:
    return Value(name=name, marks=frozenset({"request"}))


def is_request_name(name: str) -> bool:
    return name in _REQUEST_MODULES or name in ("request", "self.request", "REQUEST")


def of_request(attribute: str) -> Value:
    """What an attribute of a request holds."""
    if attribute in _SAFE_OF_REQUEST:
        return Value(name=f"request.{attribute}")
    if attribute == "headers":
        return source("request.headers", Level.REQUEST, name="request.headers")
    return source(f"request.{attribute}", Level.REQUEST, name=f"request.{attribute}")


def of_self(run: Run, attribute: str) -> Value | None:
    """Attributes that a web framework gives to `self`."""
    if attribute in ("request", "REQUEST"):
        return request_object()
    owner = run.classes.get(run.frame.owner)
    if owner is not None and attribute in _HANDLER_FIELDS and _is_view(owner):
        return source(f"self.{attribute}", Level.REQUEST, name=f"self.{attribute}")
    return None


def _is_view(node: ast.ClassDef) -> bool:
    return any(_last(base).endswith(_VIEW_BASES) for base in node.bases)


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _last(node.value)
    return node.id if isinstance(node, ast.Name) else ""


def handler_kind(run: Run, function: Function, owner: str) -> str:
    """What a client gets of a returned text: `html`, `json` or `object`; empty: no handler."""
    decorators = [_decorator(node) for node in function.decorator_list]
    for word, head in decorators:
        if word in ("message_handler", "on_message", "event"):
            return "chat"
        if word == "command":
            return "chat" if words(head) & _CHAT_BOTS else "cli"
    if any(word in _ROUTE_WORDS and head for word, head in decorators):
        return "json" if "fastapi" in run.imports or "aiohttp" in run.imports else "html"
    if any(
        word in ("api_view", "view_config", "csrf_exempt", "login_required", "require_POST")
        for word, _ in decorators
    ):
        return "object"
    node = run.classes.get(owner)
    if node is not None and function.name in _VIEW_METHODS and _is_view(node):
        return "object"
    names = [argument.arg for argument in function.args.args[:2]]
    served = not run.imports or bool(run.imports & _WEB)
    if (
        function.name == "lambda_handler"
        or names == ["event", "context"]
        or ("request" in names and served)
    ):
        return "object"
    return ""


def _decorator(node: ast.expr) -> tuple[str, str]:
    """The last word of a decorator and what it is taken from."""
    target = node.func if isinstance(node, ast.Call) else node
    return _last(target), _last(target.value) if isinstance(target, ast.Attribute) else ""


def parameters(
    run: Run, function: Function, level: Level, owner: str, kind: str
) -> dict[str, Value]:
    """What the parameters hold when nobody in the snippet says otherwise."""
    spec = function.args
    found: dict[str, Value] = {}
    positional = [*spec.posonlyargs, *spec.args]
    if owner and positional and not _is_static(function):
        found[positional[0].arg] = Value(name="self")
        positional = positional[1:]
    typed = _route_types(function)
    siblings = frozenset(argument.arg for argument in positional)
    injected = _injected(spec)
    for argument in [*positional, *spec.kwonlyargs]:
        given = argument.arg in injected
        found[argument.arg] = (
            Value(name=argument.arg)
            if given
            else _parameter(argument, level, kind, typed, siblings)
        )
        if run.classes and argument.annotation is not None and _is_choice(run, argument.annotation):
            found[argument.arg] = Value(name=argument.arg)
    for rest in (spec.vararg, spec.kwarg):
        if rest is not None:
            found[rest.arg] = source(f"param {rest.arg}", _risen(level, kind))
    return found


def _is_choice(run: Run, annotation: ast.expr) -> bool:
    """A parameter of an enumeration of the snippet: one of a known set, by its type."""
    declared = run.classes.get(_annotation(annotation))
    return declared is not None and any(
        _last(base) in ("Enum", "StrEnum", "IntEnum", "Flag") for base in declared.bases
    )


def _injected(spec: ast.arguments) -> frozenset[str]:
    """Parameters that a framework fills with objects of its own: `= Depends(get_db)`."""
    plain = [*spec.posonlyargs, *spec.args]
    pairs = [
        *zip(reversed(plain), reversed(spec.defaults), strict=False),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ]
    return frozenset(
        argument.arg
        for argument, default in pairs
        if isinstance(default, ast.Call) and _last(default.func) in ("Depends", "Security")
    )


def _is_static(function: Function) -> bool:
    return any(_last(node) == "staticmethod" for node in function.decorator_list)


def _risen(level: Level, kind: str) -> Level:
    if kind == "cli":
        return Level.INPUT
    return Level.REQUEST if kind else level


def _parameter(
    argument: ast.arg, level: Level, kind: str, typed: Mapping[str, str], siblings: frozenset[str]
) -> Value:
    name = argument.arg
    annotation = "" if argument.annotation is None else _annotation(argument.annotation)
    last = annotation.rpartition(".")[2]
    if name in ("request", "REQUEST") or last in _REQUEST_TYPES:
        return request_object()
    if name == "req" and (kind or "res" in siblings or "resp" in siblings):
        return request_object()
    if typed.get(name) in ("int", "float", "uuid"):
        return NUMBER
    if annotation in _SAFE_TYPES:
        return NUMBER if kind else _hinted(name, level)
    if last in ("Path", "PurePath"):
        return Value(name=name, marks=frozenset({"path"}))
    if name in _OBJECT_NAMES or last in _OBJECT_TYPES or annotation in _OBJECT_TYPES:
        return Value(name=name)
    said = level >= Level.PRIVATE and names_untrusted(name)
    risen = Level.REQUEST if said else _risen(level, kind)
    tag = Tag(f"param {name}", risen, line=argument.lineno)
    if level is not Level.REQUEST and kind == "" and names_place(name):
        tag = tag._replace(cleared=frozenset({"path"}))
    if kind == "" and names_config(name):
        return Value(name=name)
    return Value(tags=frozenset({tag}), name="")


def _hinted(name: str, level: Level) -> Value:
    """A number by its annotation, which only frameworks enforce."""
    return Value(tags=frozenset({Tag(f"param {name}", level, kind="number")}), marks=NUMBER.marks)


def _annotation(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Subscript):
        base = _annotation(node.value)
        if base in ("Optional", "typing.Optional", "Annotated"):
            inner = node.slice.elts[0] if isinstance(node.slice, ast.Tuple) else node.slice
            return _annotation(inner)
        return base
    if isinstance(node, ast.BinOp):
        sides = {_annotation(node.left), _annotation(node.right)} - {"None"}
        return sides.pop() if len(sides) == 1 else ""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Attribute):
        return f"{_annotation(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _route_types(function: Function) -> dict[str, str]:
    """Converters that a route pattern gives: `<int:item>` and the like."""
    found: dict[str, str] = {}
    for node in function.decorator_list:
        if not (isinstance(node, ast.Call) and node.args):
            continue
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            for chunk in first.value.split("<")[1:]:
                kind, colon, name = chunk.partition(">")[0].partition(":")
                if colon:
                    found[name.strip()] = kind.strip()
    return found


def unresolved(name: str, line: int) -> Value:
    """A name that the snippet does not define."""
    if is_request_name(name):
        return request_object(name)
    if name in _BARE:
        return Value(name=_BARE[name])
    if name in ("event",):
        return source(name, Level.UNKNOWN, name=name)
    if name in MODULES or names_config(name) or name[:1].isupper():
        return Value(name=MODULES.get(name, name))
    return source(f"name {name}", Level.UNKNOWN, name=name, line=line)


_BARE: Mapping[str, str] = {
    **dict.fromkeys(["Popen"], "subprocess.Popen"),
    **{
        name: f"{module}.{name}"
        for module, names in (
            ("subprocess", "check_output check_call getoutput getstatusoutput"),
            ("os", "popen"),
            ("urllib.request", "urlopen urlretrieve"),
            ("urllib.parse", "urlparse urlsplit quote_plus urljoin"),
            ("hashlib", "md5 sha1 sha256 sha512"),
            ("markupsafe", "Markup"),
            ("django.utils.safestring", "mark_safe"),
            ("flask", "render_template_string send_file send_from_directory make_response"),
            ("werkzeug.utils", "secure_filename"),
            ("random", "randint randrange"),
            ("shlex", "quote"),
            ("pathlib", "Path PurePath"),
            ("lxml", "etree"),
            ("importlib", "import_module"),
        )
        for name in names.split()
    },
}
"""Names that a fragment uses without showing where it has them from."""

MODULES: Mapping[str, str] = {
    **{
        name: name
        for name in (
            "os sys re subprocess pickle yaml json hashlib random secrets ssl socket tempfile "
            "shutil requests urllib flask django sqlite3 jwt base64 hmac time datetime math "
            "string logging html threading asyncio zipfile tarfile io uuid shelve marshal dill "
            "commands popen2 paramiko torch joblib numpy pandas httpx aiohttp lxml ET "
            "struct copy itertools functools collections pathlib ftplib telnetlib jinja2 "
            "importlib ctypes signal glob getpass traceback types typing inspect"
        ).split()
    },
    "np": "numpy",
    "pd": "pandas",
    "cPickle": "pickle",
    "_pickle": "pickle",
    "ET": "xml.etree.ElementTree",
}
