"""What the host loads in the guest: `install(emit)` before the snapshot, `run(job)` in a copy.

A job is JSON: `code`, `probes` (kind, id, value), and optionally `context` (code that comes before
a fragment), `token` (letters that mark outside data) and `claims` (first and last line, kinds).
"""

import builtins
import gc
import importlib
import importlib.machinery
import io
import json
import re
import sys
import textwrap
import types
import warnings

MODULES = (
    "abc argparse array ast asyncio base64 binascii bisect calendar codecs collections.abc "
    "concurrent.futures configparser contextlib copy csv dataclasses datetime decimal difflib "
    "email.message email.mime.multipart email.mime.text enum errno fnmatch fractions ftplib "
    "functools getpass glob gzip hashlib heapq hmac html html.parser http http.client "
    "http.cookies http.server importlib.util inspect io ipaddress itertools json keyword "
    "linecache locale logging logging.config logging.handlers marshal math mimetypes numbers "
    "operator optparse os pathlib pickle pickletools pkgutil platform plistlib pprint queue "
    "random re runpy sched secrets select selectors shelve shlex shutil signal smtplib socket "
    "socketserver sqlite3 stat statistics string stringprep struct subprocess symtable tarfile "
    "tempfile textwrap threading time timeit token tokenize tomllib traceback types typing "
    "unicodedata unittest unittest.mock urllib.error urllib.parse urllib.request "
    "urllib.robotparser uuid warnings wave weakref wsgiref.simple_server xml.dom.minidom "
    "xml.etree.ElementTree xml.sax xml.sax.saxutils xmlrpc.client zipfile zlib zoneinfo "
    "encodings.idna encodings.cp437 encodings.utf_8_sig encodings.utf_32 "
    "encodings.latin_1 encodings.ascii encodings.unicode_escape "
    "encodings.raw_unicode_escape encodings.hex_codec encodings.utf_16 encodings.cp1252 "
    "encodings.base64_codec encodings.rot_13 encodings.punycode cmd code codeop imaplib poplib "
    "compileall reprlib graphlib contextvars colorsys cProfile pstats dis opcode _strptime"
).split()
OUTPUT = 64 * 1024
EXERCISE = """
import os, re, json, subprocess, sqlite3, flask, requests, pickle
app = flask.Flask("x")
@app.route("/x")
def page():
    q = flask.request.args.get("q")
    return f"<b>{q}</b>" + flask.escape(q)
class Store:
    def __init__(self, base: str): self.base = base
    def find(self, name: str, limit: int = 3):
        conn = sqlite3.connect("a.db")
        conn.execute("SELECT * FROM t WHERE n = ?", (name,)).fetchall()
        open(os.path.join(self.base, name)).read()
        subprocess.run(["ls", name]); os.system("ls " + name)
        requests.get("https://example.com/" + name, timeout=3)
        return re.match("[a-z]+", name), json.dumps({"a": name}), pickle.dumps(1)
def count(n):
    return [i for i in range(n)]
"""


class Output(io.TextIOBase):
    """Standard output: kept nowhere; past its limit the run ends."""

    def __init__(self, say):
        self._say = say
        self._left = OUTPUT

    @property
    def encoding(self):
        return "utf-8"

    @property
    def buffer(self):
        return self

    def writable(self):
        return True

    def write(self, text):
        self._left -= len(text)
        if self._left < 0:
            self._say("flood")
            raise SystemExit("too much output")
        return len(text)

    def flush(self):
        return None

    def isatty(self):
        return False


class Own(importlib.machinery.SourceFileLoader):
    """Loads the harness's modules with built-in functions of their own: what a snippet does to
    `builtins` is between it and its own code."""

    FUNCTIONS = dict(vars(builtins))

    def exec_module(self, module):
        module.__builtins__ = self.FUNCTIONS
        super().exec_module(module)


class Siblings:
    """The importer of the harness's modules."""

    FOLDER = __file__.rpartition("/")[0]

    @classmethod
    def find_spec(cls, name, path=None, target=None):
        found = importlib.machinery.PathFinder.find_spec(name, [cls.FOLDER])
        if found is not None and found.origin is not None:
            found.loader = Own(name, found.origin)
        return found


SEALED = ()
"""Classes that get no other methods while a job runs; `install` and reactor.c see to it."""


def run(job):
    """Do one job: what happens is told by events. `install` puts the real function here."""
    raise RuntimeError("`install` comes first")


def install(emit):
    """Load the library, replace what does harm, exercise what runs often. Called once."""
    global run, SEALED
    warnings.simplefilter("ignore")
    for name in MODULES:
        try:
            importlib.import_module(name)
        except ImportError:
            continue  # not in this build: its stand-in, or an unknown package, takes its place
    sys.meta_path.insert(0, Siblings)
    from world import World

    sys.meta_path.remove(Siblings)

    real = types.SimpleNamespace(compile=compile, exec=exec)
    world = World(emit, real)
    run = make_runner(world, real)
    run(json.dumps(exercise()).encode())
    world.forget()
    SEALED = own_classes("driver entries given recording scout sources world".split())
    hide_siblings()
    sys.path[:] = []
    sys.path_importer_cache.clear()
    sys.meta_path[:] = [
        item for item in sys.meta_path if getattr(item, "__name__", "") != "PathFinder"
    ]
    gc.collect()
    gc.freeze()


def own_classes(names):
    """The classes that these modules of the harness define."""
    spaces = [vars(sys.modules[name]) for name in names]
    return tuple(
        value
        for space in spaces
        for value in space.values()
        if isinstance(value, type) and value.__module__ == space["__name__"]
    )


def hide_siblings():
    """A snippet that imports a name of ours gets an unknown package, as for any other name."""
    folder = __file__.rpartition("/")[0] + "/"
    for name, module in list(sys.modules.items()):
        path = getattr(getattr(module, "__spec__", None), "origin", None) or ""
        if path.startswith(folder) or name in ("flask", "requests"):
            del sys.modules[name]


def exercise():
    """A job that uses what most jobs use."""
    kinds = ("sql", "shell", "path", "page", "url")
    probes = [{"kind": kind, "id": kind, "value": "<T>;x"} for kind in kinds]
    return {"code": EXERCISE, "token": "exercise", "claims": [], "probes": probes}


def make_runner(world, real):
    def start(job):
        job = json.loads(job)
        sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = Output(world.say)
        world.begin(job.get("token") or "canary")
        try:
            code, how = compiled(job["code"], real)
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            world.say("unreadable", type(error).__name__)
            return
        world.say("readable", how)
        world.context = job.get("context") or ""
        world.drive(code, job)
        world.say("done")

    return start


def compiled(text, real):
    """Code of a snippet, or of a fragment once it is completed; and how that was done."""
    shapes = {
        "whole": lambda text: text, "dedented": textwrap.dedent, "renewed": renewed,
        "wrapped": wrapped,
    }  # fmt: skip
    failure = None
    for how, shape in shapes.items():
        try:
            return real.compile(shape(text), "<snippet>", "exec", dont_inherit=True), how
        except SyntaxError as error:
            failure = failure or error
    raise failure


def renewed(text):
    """Code of Python 2, where it differs by no more than its most common spellings."""
    text = re.sub(
        r"\bexcept\s+([\w.()\[\], ]+?)\s*,\s*(\w+)\s*:", r"except \1 as \2:", textwrap.dedent(text)
    )
    text = re.sub(r"^(\s*)print\s+(?![=(])(.+?)\s*$", r"\1print(\2)", text, flags=re.MULTILINE)
    return re.sub(r"^(\s*)print\s*$|<>", lambda found: "!=" if found[1] is None else found[0], text,
                  flags=re.MULTILINE)  # fmt: skip


def wrapped(text):
    """Statements that stood inside a function: put into one, on the lines they had."""
    body = textwrap.dedent(text).split("\n")
    names = sorted(set(re.findall(r"\b(?:request|name|path|user_id|query|url|data|cmd)\b", text)))
    rest = "\n".join("  " + line for line in body[1:])
    return f"def fragment({', '.join(names)}):\n  {body[0]}\n{rest}" if body else text
