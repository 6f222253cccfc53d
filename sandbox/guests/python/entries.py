"""What there is to call in a snippet, and how: functions, methods, handlers, the module itself.

Arguments are made from names, annotations and defaults. Nothing here decides on payloads.
"""

import datetime
import enum
import functools
import http.server
import io
import opcode
import pathlib
import re
import socket
import socketserver
import types
import typing
import urllib.parse

from given import Fields, Given
from incoming import Upload
from recording import SNIPPET, Refusal
from sources import BASES, HOSTS
from standins_web import Depends
from standins_xml import Node

REQUESTS = frozenset({"request", "req", "http_request", "_request"})
DATABASES = re.compile(
    r"^(?:db|dbh|conn|con|cnx|connection|cursor|cur|crsr|curs|database|engine|session|pool|db_\w+"
    r"|\w+_(?:conn|connection|cursor|db|session))$"
)
DATABASE_TYPES = re.compile(r"Cursor|Connection|Session|Engine|Database")
CONVERTERS = re.compile(r"<(int|float|uuid):(\w+)>")
NUMBERS = re.compile(r"\bint\b|float")
CHOICE = re.compile(r"^(?:typing\.)?(?:Optional|Union|Annotated)\[(.*)\]$")
CLASS = re.compile(r"<class '([\w.]+)'>")
FUNCTIONS = re.compile(r"^(?:func|function|fn|callback|cb|predicate|on_\w+|factory|transform)$")
QUERIES = frozenset({"parse_qs", "parse_qsl"})
FLAGS = re.compile(
    r"^(?:is|has|should|enable|allow|use|with|no)_|^(?:verbose|force|recursive|flag|shell)$"
)
OBJECTS = ("text", "number", "bytes", "fields", "list", "upload", "unknown")
"""Types that an argument without annotation may turn out to need, in the order they are tried."""


class Entry:
    """One thing to call. `call()` makes its arguments anew from the sources."""

    def __init__(self, name, code, call, role, page=True):
        self.name, self.code, self.call, self.role = name, code, call, role
        self.page = page  # a text that it returns is markup
        self.checks = False  # its framework refuses what is not of the type that is asked for
        self.first = code.co_firstlineno
        self.last = max((line for _, _, line in code.co_lines() if line), default=self.first)


class Builder:
    """Makes arguments and instances for one run."""

    def __init__(self, sources, world):
        self.sources, self.world = sources, world
        self.objects = 0
        self.depth = 0
        sources.make = self.of_kind

    def arguments(self, function, skip_first=False, rule=""):
        """Positional and keyword arguments for a function of the snippet."""
        target = function
        while hasattr(target, "__wrapped__"):
            target = target.__wrapped__
        code = getattr(target, "__code__", None)
        if code is None:
            return [], {}
        count = code.co_argcount
        names = code.co_varnames[: count + code.co_kwonlyargcount]
        given = target.__defaults__ or ()
        defaults = dict(zip(names[count - len(given) : count], given, strict=True))
        defaults.update(target.__kwdefaults__ or {})
        notes = getattr(target, "__annotations__", {})
        converters = {name: kind for kind, name in CONVERTERS.findall(rule)} if rule else {}
        values = {}
        for name in names[1 if skip_first else 0 :]:
            note = converters.get(name) or notes.get(name)
            values[name] = self.value(name, note, defaults.get(name, self))
        positional = [values[name] for name in names[:count] if name in values]
        keywords = {name: values[name] for name in names[count:]}
        if code.co_flags & 0x04 and not positional:
            positional.append(self.text("p:args"))
        if code.co_flags & 0x08:
            for constant in code.co_consts:
                if isinstance(constant, str) and constant.isidentifier() and constant not in values:
                    keywords[constant] = self.text("p:" + constant)
        return positional, keywords

    def text(self, name):
        return self.sources.value(name)

    def value(self, name, note, default):
        world, source = self.world, "p:" + name
        label = (
            note if isinstance(note, str) else getattr(note, "__name__", None) or str(note or "")
        )
        if name in REQUESTS or label.endswith("Request"):
            return world.request
        if DATABASES.match(name) or DATABASE_TYPES.search(label):
            return world.cursor("db")
        if isinstance(default, Depends) and default.function is not None:
            return self.depend(default.function)
        if name in ("response", "resp", "res") and not note:
            return world.response("")
        if name in ("self", "cls"):
            return world.base()
        if note is not None and note is not typing.Any:
            made = self.by_note(name, source, note, label)
            if made is not None:
                return made
        return self.by_default(name, source, default)

    def by_note(self, name, source, note, label):
        base = label.rpartition(".")[2].split("[")[0].lower()
        full = str(note) if not isinstance(note, type) else label
        if "UploadFile" in full:
            return Upload(self.sources, "files:" + name, self.world.disk_open)
        if base in ("optional", "union", "uniontype", "annotated") or "|" in full:
            return self.by_note(name, source, first_of(full), first_of(full))
        if base in ("int", "float", "decimal", "bool", "date", "datetime", "uuid"):
            self.sources.typed.add(source)
            number = self.sources.number(source)
            return {"bool": True, "float": float(number)}.get(base, number)
        if base == "bytes":
            return self.sources.text(source).encode()
        if base in ("list", "sequence", "iterable", "tuple", "set"):
            if NUMBERS.search(full):
                return [1, 2, 3]
            if "dict" in full.lower():
                return [Fields(self.sources, "p:" + name)]
            made = [self.text(source)]
            return tuple(made) if base == "tuple" else set(made) if base == "set" else made
        if base in ("dict", "mapping", "mutablemapping", "typeddict"):
            return Fields(self.sources, source)
        if base in ("path", "purepath"):
            return pathlib.Path(self.sources.text(source))
        if base == "callable":
            return lambda *args, **_: args[0] if args else None
        if base in ("bytesio", "binaryio", "io", "textio"):
            return io.BytesIO(self.sources.text(source).encode())
        own = note if isinstance(note, type) else self.world.space.get(label)
        if isinstance(own, type) and own.__module__ == "__main__" and self.depth < 3:
            return self.instance(own)
        return None

    def by_default(self, name, source, default):
        if default is not self and default is not None and not isinstance(default, Depends):
            configures = self.depth > 0 or is_base(name)  # a constructor's default, a base folder
            return self.text(source) if isinstance(default, str) and not configures else default
        if FUNCTIONS.match(name):
            return lambda *args, **_: args[0] if args else None
        if name == "shell" and self.depth > 0:
            return self.world.unknown(name)
        if FLAGS.search(name) and source not in self.sources.kinds:
            return name != "shell"
        if name in ("logger", "log", "app", "client", "config", "settings", "ctx", "context"):
            return self.world.unknown(name)
        return self.by_object(name, source)

    def by_object(self, name, source):
        if source in self.sources.kinds:
            return self.text(source)
        return self.of_kind(source, OBJECTS[self.objects])

    def of_kind(self, source, kind):
        name = source.rpartition(":")[2]
        if kind == "bytes":
            return self.sources.text(source).encode()
        if kind == "number":
            self.sources.typed.add(source)
            return self.sources.number(source)
        if kind == "fields":
            return Fields(self.sources, source)
        if kind == "list":
            return [self.sources.text(source)]
        if kind == "upload":
            return Upload(self.sources, "files:" + name, self.world.disk_open)
        if kind == "unknown":
            return self.world.unknown(name)
        if kind == "rows":
            return [Fields(self.sources, source)]
        if kind == "file":
            return io.BytesIO(self.sources.text(source).encode())
        if kind == "path":
            return pathlib.Path(self.sources.text(source))
        if kind == "cursor":
            return self.world.cursor("db")
        if kind == "node":
            return Node(self.world.recorder.sink)
        if kind == "date":
            self.sources.typed.add(source)
            return datetime.datetime(2024, 1, 15, 12, 30)
        return Given(self.sources.text(source), self.sources, source)

    def depend(self, function):
        if not isinstance(function, types.FunctionType) or self.depth > 3:
            return self.world.cursor("db")
        self.depth += 1
        try:
            positional, keywords = self.arguments(function)
            return self.world.settle(function(*positional, **keywords))
        finally:
            self.depth -= 1

    def instance(self, kind):
        """An object of a snippet's class, by its own constructor where that works."""
        self.depth += 1
        try:
            if issubclass(kind, enum.Enum):
                return next(iter(kind))
            if issubclass(kind, http.server.BaseHTTPRequestHandler):
                return self.http_handler(kind)
            if issubclass(kind, socketserver.StreamRequestHandler):
                return self.stream_handler(kind)
            positional, keywords = self.arguments(kind.__init__, skip_first=True)
            made = kind(*positional, **keywords)
        except (TypeError, AttributeError, KeyError, IndexError):
            made = kind.__new__(kind)
        finally:
            self.depth -= 1
        for name, note in getattr(kind, "__annotations__", {}).items():
            if name not in getattr(made, "__dict__", {name: 1}) and not hasattr(kind, name):
                setattr(made, name, self.value(name, note, self))
        return made

    def stream_handler(self, kind):
        made = kind.__new__(kind)
        made.rfile = io.BytesIO(self.sources.text("socket:data").encode() + b"\n")
        made.wfile, made.client_address, made.server = io.BytesIO(), ("192.0.2.7", 1), None
        made.request = made.connection = socket.socket()
        return made

    def http_handler(self, kind):
        made = kind.__new__(kind)
        made.path = "/" + self.sources.text("path:path") + self.asked_for(kind)
        made.headers = Fields(self.sources, "headers")
        made.headers["Content-Length"] = "16"
        made.rfile = io.BytesIO(self.sources.text("body:data").encode())
        made.wfile = self.world.page_writer()
        made.client_address, made.command, made.server = ("192.0.2.7", 1), "POST", None
        made.requestline = made.request_version = "HTTP/1.1"
        return made


    def asked_for(self, kind):
        """The query of a request's path, with what a handler that takes it apart asks for."""
        codes = [getattr(member, "__code__", None) for member in vars(kind).values()]
        codes = [code for code in codes if code is not None]
        texts = [text for code in codes for text in code.co_consts if isinstance(text, str)]
        keys = list(dict.fromkeys(text for text in texts if text.isidentifier()))[:6]
        if not keys or not any(QUERIES & set(code.co_names) for code in codes):
            return ""
        text = urllib.parse.quote(self.sources.text("path:path"), safe="")
        return "?" + "&".join(f"{key}={text}" for key in keys)


def first_of(note):
    """The first type in `Optional[str]`, `str | None` and `Annotated[str, …]`."""
    inner = CLASS.sub(r"\1", CHOICE.sub(r"\1", note))
    parts = [part.strip() for part in inner.replace("|", ",").split(",")]
    return next((part for part in parts if part not in ("None", "NoneType", "")), "str")


def entries(space, state, builder, world, codes):
    """Entries of a namespace: handlers, then what nobody in the snippet calls, then the rest."""
    called = {name for code in codes[1:] for name in code.co_names}
    functions, kinds = [], []
    for name, value in list(space.items()):
        if name.startswith("__"):
            continue
        if isinstance(value, (staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, (property, functools.partial)):
            value = getattr(value, "fget", None) or value.func
        value = undecorated(value)
        code = getattr(value, "__code__", None)
        if code is not None and code.co_filename == SNIPPET:
            functions.append((name, value))
        elif isinstance(value, type) and value.__module__ == "__main__":
            kinds.append((name, value))
    registered = {id(getattr(function, "__code__", None)) for function, *_ in state.handlers}
    public, inner = [], []
    for name, function in functions:
        if id(function.__code__) in registered:
            continue
        made = function_entry(name, function, builder)
        (inner if name in called else public).append(made)
    for name, kind in kinds:
        for made in method_entries(name, kind, builder, world):
            (inner if made.name.rpartition(".")[2] in called else public).append(made)
    return public, inner


def undecorated(value):
    """The snippet's own function, where a decorator of the library made another one of it."""
    while hasattr(value, "__wrapped__"):
        if getattr(getattr(value, "__code__", None), "co_filename", "") == SNIPPET:
            break
        value = value.__wrapped__
    return value


def function_entry(name, function, builder, rule="", role="", page=True):
    code = function.__code__
    if not role:
        takes_request = REQUESTS & set(code.co_varnames[: code.co_argcount])
        role = "handler" if takes_request else "function"
        page = False  # frameworks that hand over a request want a response, not a text

    def call():
        positional, keywords = builder.arguments(function, rule=rule)
        return function(*positional, **keywords)

    target = getattr(function, "__wrapped__", function)
    return Entry(name, getattr(target, "__code__", code), call, role, page)


def method_entries(name, kind, builder, world):
    web = issubclass(kind, (world.view, http.server.BaseHTTPRequestHandler))
    if issubclass(kind, (BaseException, enum.Enum)):
        return
    for attribute, member in list(vars(kind).items()):
        static = isinstance(member, staticmethod)
        function = member.__func__ if static or isinstance(member, classmethod) else member
        if isinstance(member, (property, functools.cached_property)):
            function = getattr(member, "fget", None) or member.func
        function = undecorated(function)
        code = getattr(function, "__code__", None)
        if code is None or code.co_filename != SNIPPET or attribute in SKIPPED:
            continue
        takes_request = REQUESTS & set(code.co_varnames[: code.co_argcount])
        role = "handler" if takes_request or (web and attribute.lower() in VERBS) else "method"
        yield Entry(
            f"{name}.{attribute}",
            code,
            method_call(kind, attribute, member, function, builder),
            role,
            not issubclass(kind, world.json_view),
        )


def method_call(kind, attribute, member, function, builder):
    def call():
        if isinstance(member, (staticmethod, classmethod)):
            positional, keywords = builder.arguments(
                function, skip_first=isinstance(member, classmethod)
            )
            return getattr(kind, attribute)(*positional, **keywords)
        made = builder.instance(kind)
        if isinstance(member, (property, functools.cached_property)):
            return getattr(made, attribute)
        positional, keywords = builder.arguments(function, skip_first=True)
        return function(made, *positional, **keywords)

    return call


SKIPPED = frozenset({"__init__", "__new__", "__repr__", "__eq__", "__hash__", "__init_subclass__",
                     "__post_init__", "__class_getitem__", "__del__", "__exit__",
                     "__aexit__"})  # fmt: skip
VERBS = frozenset({"get", "post", "put", "patch", "delete", "head", "do_get", "do_post", "do_put",
                   "do_delete", "dispatch", "do_head"})  # fmt: skip


def is_base(name, kind="path"):
    """A parameter that names the folder or host that the caller chooses, not what lies within."""
    return bool((BASES if kind == "path" else HOSTS).search(name.rpartition(":")[2]))


def deliberate(error):
    """Did the snippet turn the input away, rather than stumble over a stand-in?"""
    if isinstance(
        error, (Refusal, ValueError, KeyError, PermissionError, AssertionError, SystemExit)
    ):
        return True
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_filename != SNIPPET:
        return False
    code = trace.tb_frame.f_code.co_code
    return code[trace.tb_lasti] in RAISES


RAISES = frozenset({opcode.opmap["RAISE_VARARGS"]})
