"""All stand-ins put together, and what the driver asks of them."""

import builtins
import http.server
import importlib
import logging
import re
import sys
import types
import urllib.parse

import standins_clients
import standins_crypto
import standins_data
import standins_database
import standins_files
import standins_network
import standins_process
import standins_runtime
import standins_template
import standins_web
import standins_xml
from driver import Driver, install_watch
from incoming import Session
from recording import State, make_recorder, plain
from given import Fields, Given
from sources import HOSTS, Sources
from unknown import make_finder, make_unknown

MEMBERS = {
    name: module
    for module, names in {
        "pathlib": "Path PurePath",
        "datetime": "timedelta timezone date",
        "collections": "defaultdict OrderedDict namedtuple Counter deque",
        "functools": "wraps partial lru_cache",
        "contextlib": "contextmanager closing suppress",
        "dataclasses": "dataclass field",
        "enum": "Enum IntEnum",
        "abc": "ABC abstractmethod",
        "urllib.parse": "urlparse urlsplit urljoin urlencode parse_qs quote_plus unquote unquote_plus",
        "urllib.request": "urlopen urlretrieve Request",
        "subprocess": "Popen check_output check_call getoutput PIPE STDOUT CalledProcessError",
        "base64": "b64decode b64encode urlsafe_b64decode",
        "hashlib": "md5 sha1 sha256 sha512",
        "random": "randint choice randrange",
        "uuid": "uuid4",
        "os.path": "dirname basename abspath realpath isfile isdir expanduser",
        "time": "sleep localtime strftime",
        "lxml.etree": "XMLParser",
        "typing": "Any Optional List Dict Tuple Union Callable Iterable Sequence Mapping Set Type",
    }.items()
    for name in names.split()
}
"""Names that a fragment uses without their import, where one module is surely meant."""
MODULE_NAMES = frozenset(
    "os re sys json time math random base64 hashlib subprocess shlex shutil pickle sqlite3 urllib "
    "socket logging tempfile html string secrets uuid io csv functools itertools "
    "collections struct pathlib glob copy tarfile zipfile requests yaml httpx flask jwt "
    "etree".split()
)
ORIGIN = re.compile(r"(?:https?://)?([\w-]+(?:\.[\w-]+)+)")
ORIGIN_URL = re.compile(r"https?://[\w-]+(?:\.[\w-]+)+")
CURSORS = frozenset({"cursor", "conn", "connection", "cur", "engine"})
OLD = {
    "unicode": str,
    "basestring": str,
    "xrange": range,
    "long": int,
    "raw_input": None,
    "unichr": chr,
}


class World:
    """Stand-ins over one recorder. `emit` is used here and kept nowhere."""

    def __init__(self, emit, real):
        self._real = real
        state = self.state = State()
        self.sources = Sources(state)
        recorder = self.recorder = make_recorder(emit, state)
        sink, self.say = recorder.sink, recorder.say
        special = {}
        unknown, base = make_unknown(state, self.sources, recorder, special)
        self.unknown, self.base = unknown, base
        standins_runtime.missing_modules(unknown)
        self._disk, self.disk_open = standins_files.install(state, self.sources, sink)
        told = standins_process.install(sink)
        standins_runtime.install(state, self.sources, sink, unknown)
        standins_runtime.install_async_processes(told, None)
        database = standins_database.install(state, sink, unknown)
        reach = standins_network.install(sink, self.sources)
        standins_network.install_tls(sink)
        standins_data.install(state, self.sources, sink)
        standins_xml.install(sink)
        standins_crypto.install(state, self.sources, sink)
        standins_crypto.install_ctypes(unknown)
        importlib.import_module("standins_log").install(sink)
        render = standins_template.install(sink)
        web = standins_web.make(
            self.sources, state, sink, unknown, base, self.disk_open, database, render
        )
        special.update(request=web.request, REQUEST=web.request, form=self.form)
        Session.sources = standins_database.Row.sources = self.sources
        self.request, self.answer = web.request, web.answer
        self.view, self.json_view = web.View, web.JsonView
        self.cursor, self.response = database.Cursor, web.Response
        self.providers = gather(unknown, base, sink, database, reach, render, web)
        sys.meta_path.append(make_finder(unknown, self.providers))
        self._known = known_names(web, database, render)
        self._install_http_server(sink)
        self.settle = standins_runtime.drive
        install_watch(state)

    def begin(self, token):
        self.state.begin(token.lower())
        self.recorder.begin()
        self._disk.begin()
        self.context = ""

    def begin_call(self):
        self._disk.begin()

    def forget(self):
        """After the exercise: nothing of it stays."""
        self.sources.constants = []
        self.begin("canary")

    def drive(self, code, job):
        driver = Driver(self.state, self.sources, self.recorder, self)
        driver.run(code, self.fresh_space(code), job)

    def fresh_space(self, code):
        """A module's namespace in which every name that the snippet takes for granted is there."""
        space = {"__name__": "__main__", "__builtins__": builtins, "__file__": "/srv/app/app.py"}
        main = types.ModuleType("__main__")
        space = main.__dict__
        space.update(__builtins__=builtins, __file__="/srv/app/app.py")
        sys.modules["__main__"] = main
        if self.context:
            self.run_context(space)
        stored = stored_names(code)
        for name in names_of(code):
            if name not in space and name not in stored and not hasattr(builtins, name):
                space[name] = self.known(name)
        if "getattr" not in stored:
            space["getattr"] = self.state.attribute
        return space

    def run_context(self, space):
        """Definitions around a fragment; what of it fails is left out."""
        try:
            self._real.exec(self._real.compile(self.context, "<context>", "exec"), space)
        except Exception:  # a stranger's code may raise anything, and the fragment runs without it
            self.say("context", "failed")

    def known(self, name):
        if name in OLD:
            return OLD[name] or builtins.input
        if name in self._known:
            return self._known[name]
        if name in CURSORS:
            return self.cursor("db")
        if name in MEMBERS:
            return getattr(importlib.import_module(MEMBERS[name]), name)
        if name == "datetime":
            return Moments()
        if name in MODULE_NAMES:
            return importlib.import_module("lxml.etree" if name == "etree" else name)
        return self.unknown(name)

    def run_code(self, code, space):
        self._real.exec(code, space)

    def payload(self, template, seen, marker):
        """A payload with its places filled: the marker, and what the benign value led to."""
        text = template.replace("<T>", marker)
        if "<BASE>" in text:
            at = seen.lower().find(marker)
            folder = seen[:at].rstrip("/") if at > 0 else "/srv"
            text = text.replace("<BASE>", folder.rpartition("/")[2])
        if "<ORIGIN>" in text:
            origins = (ORIGIN_URL.match(item) for item in self.sources.constants)
            chosen = next((found[0] for found in origins if found), "https://example.com")
            text = text.replace("<ORIGIN>", chosen)
        if "<HOST>" in text:
            hosts = (ORIGIN.match(item) for item in self.sources.constants)
            given = (name for name in self.sources.names if HOSTS.search(name.rpartition(":")[2]))
            chosen = next((found[1] for found in hosts if found), "")
            chosen = chosen or next((self.sources.text(name) for name in given), "")
            host = chosen or urllib.parse.urlsplit(seen).hostname or "example.com"
            text = text.replace("<HOST>", host)
        return text

    def form(self, name, attribute):
        """What a form or a serializer holds: all its fields, or the data of one."""
        field = name.rpartition(".")[2]
        if attribute != "data" or "form" in field.lower():
            return Fields(self.sources, "form")
        if "form" in name.lower():
            source = "form:" + field
            return Given(self.sources.text(source), self.sources, source)
        return self.unknown(f"{name}.{attribute}")

    def attribute(self, name):
        """What an attribute is that a class of the snippet lacks."""
        if name.startswith("__"):
            raise AttributeError(name)
        return self.request if name == "request" else self.unknown(name)

    def page_writer(self):
        return PageWriter(self.recorder.sink)

    def _install_http_server(self, sink):
        handler = http.server.BaseHTTPRequestHandler

        def header(self, name, value):
            kind = "redirect" if plain(name).lower() == "location" else "raw_header"
            sink(kind, "send_header", value)

        def nothing(self, *_, **__):
            return None

        handler.send_header = header
        handler.send_response = handler.end_headers = handler.send_error = nothing
        handler.log_message = handler.send_response_only = nothing
        http.server.HTTPServer.serve_forever = nothing
        http.server.HTTPServer.__init__ = nothing
        logging.root.handlers[:] = []


class Moments(types.ModuleType):
    """`datetime` of a fragment: the module, or the class that bears its name."""

    def __init__(self):
        super().__init__("datetime")
        self.__dict__.update(vars(importlib.import_module("datetime")))

    def __getattr__(self, name):
        return getattr(self.__dict__["datetime"], name)

    def __call__(self, *args, **keywords):
        return self.__dict__["datetime"](*args, **keywords)


class PageWriter:
    def __init__(self, sink):
        self._sink = sink

    def write(self, data):
        self._sink("page", "wfile.write", data)
        return len(data)

    def flush(self):
        return None


def gather(unknown, base, sink, database, reach, render, web):
    """Everything that stands in for a package, by module name."""
    found = {}
    found.update(standins_database.providers(database, unknown, base, sink))
    found.update(standins_clients.providers(unknown, reach))
    found["cgi"] = web.cgi
    found.update(standins_data.providers(unknown, sink))
    found.update(standins_xml.providers(sink))
    found.update(standins_crypto.providers(unknown, sink))
    markup = standins_template.providers(unknown, sink, render)
    frameworks = standins_web.providers(web, unknown)
    escapes = markup["markupsafe"]

    def both(provide):
        def fill(module):
            provide(module)
            escapes(module)

        return fill

    found.update({name: both(provide) for name, provide in frameworks.items()})
    found.update(markup)
    return found


def known_names(web, database, render):
    """Names that a fragment uses without its imports, and what they surely are."""
    shared = {
        name: value
        for name, value in vars(web).items()
        if name not in ("sink", "answer", "session")
    }
    for name in ("app", "bp", "blueprint", "router", "api", "application"):
        shared[name] = web.App()
    shared["text"] = database.Text
    for name in ("escape", "Markup", "mark_safe", "format_html"):
        found = standins_template
        shared[name] = getattr(found, "Markup" if name == "mark_safe" else name)
    return shared


def names_of(code):
    found = set(code.co_names)
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            found |= names_of(constant)
    return found


def stored_names(code):
    """Names that the module's top level defines by `def` and `class`."""
    return {constant.co_name for constant in code.co_consts if type(constant) is types.CodeType}
