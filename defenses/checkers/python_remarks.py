"""Remarks: what a reviewer would look at once more, and would mostly leave as it is.

Their scores stay far below any warning, and each kind is made once a snippet: they are for those
who ask for everything, and no note for a client rests on them.
"""

import ast
import re
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Call, Run
from bluecode.defenses.checkers.python_values import Value, is_constant

_EVERYWHERE = frozenset({"0.0.0.0", "::", "[::]"})
_DECIDES = frozenset(
    "admin user role roles permission permissions owner auth authenticated authorized login token "
    "password signature superuser staff".split()
)
_GLOBBED = ("tar ", "chown ", "chmod ", "rsync ")
_COMMIT_DIGITS = frozenset("0123456789abcdef")


def asserted(run: Run, node: ast.Assert) -> None:
    """A check that `python -O` leaves out; tests are made of them."""
    if run.frame.test or run.is_test:
        return
    spoken = frozenset[str]().union(
        *(
            words(getattr(inner, "id", "") or getattr(inner, "attr", ""))
            for inner in ast.walk(node.test)
            if isinstance(inner, (ast.Name, ast.Attribute))
        )
    )
    run.remark("assertion_check", node, 0.3 if spoken & _DECIDES else 0.1)


def swallowed(run: Run, handler: ast.ExceptHandler) -> None:
    """Any error at all, and nothing done about it."""
    broad = handler.type is None or getattr(handler.type, "id", "") in _BROAD
    if broad and len(handler.body) == 1 and isinstance(handler.body[0], (ast.Pass, ast.Continue)):
        run.remark("ignored_error", handler, 0.15)


_BROAD = ("Exception", "BaseException")


def named(run: Run, node: ast.AST, name: str, value: Value) -> None:
    """`host="0.0.0.0"`."""
    if value.const in _EVERYWHERE and words(name) & {"host", "bind", "address", "listen", "ip"}:
        run.remark("open_binding", node, 0.3)


def _bound(run: Run, call: Call) -> None:
    address = call.argument(0)
    host = address.items[0] if address is not None and address.items else None
    if host is not None and (host.const in _EVERYWHERE or host.const == ""):
        run.remark("open_binding", call.node, 0.3)


def _loaded(run: Run, call: Call) -> None:
    """Formats that can name code, whoever wrote the data."""
    safe = call.keyword("weights_only")
    if safe is None or safe.const is not True:
        run.remark("unsafe_deserialization", call.node, 0.3)


def _numpy(run: Run, call: Call) -> None:
    allowed = call.keyword("allow_pickle")
    if allowed is not None and allowed.const is True:
        run.remark("unsafe_deserialization", call.node, 0.3)


def _yaml(run: Run, call: Call) -> None:
    loader = call.argument(1, "Loader")
    if loader is None or "safe" not in loader.name.lower() and "Base" not in loader.name:
        run.remark("unsafe_deserialization", call.node, 0.3)


def _evaluated(run: Run, call: Call) -> None:
    run.remark("code_injection", call.node, 0.15 if _literal(call) else 0.3)


def _literal(call: Call) -> bool:
    first = call.argument(0)
    return first is not None and is_constant(first)


_BARE_STAR = re.compile(r"^(?!.*\s--\s).*\s\*", re.S)
"""A word that a file's name may begin: neither behind `--` nor behind `./`."""


def _started(run: Run, call: Call) -> None:
    """A program is run: which one, and does it say where it lies?"""
    command = call.argument(0, "args")
    text = "" if command is None else command.literal or ""
    shell = call.keyword("shell")
    with_shell = shell is not None and shell.const is not False
    if command is not None and command.items is not None:
        given = [item.literal or "" for item in command.items]
        text = f"{given[0].rpartition('/')[2]} {' '.join(given[1:])}" if given else ""
    if _BARE_STAR.search(text) and any(program in f"{text} " for program in _GLOBBED):
        run.remark("wildcard_command", call.node, 0.3)
    run.remark("process_started", call.node, 0.1 if with_shell else 0.05)


def _shell(run: Run, call: Call) -> None:
    text = getattr(call.argument(0), "literal", None) or ""
    if _BARE_STAR.search(text) and any(program in text for program in _GLOBBED):
        run.remark("wildcard_command", call.node, 0.3)
    run.remark("process_started", call.node, 0.15)


def _replaced(run: Run, call: Call) -> None:
    run.remark("process_started", call.node, 0.1)


def _imported(run: Run, call: Call) -> None:
    run.remark("dynamic_import", call.node, 0.1 if _literal(call) else 0.25)


def _random(run: Run, call: Call) -> None:
    if not run.is_test:
        run.remark("ordinary_random", call.node, 0.1)


def _waits(run: Run, call: Call) -> None:
    """`requests` waits for ever unless told otherwise; `httpx` only when told to."""
    timeout = call.keyword("timeout")
    unset = timeout is None and call.name.startswith("requests.")
    if (unset and call.keyword("**") is None) or (timeout is not None and timeout.const is None):
        run.remark("no_timeout", call.node, 0.15)


def _opened(run: Run, call: Call) -> None:
    """`urlopen` also opens `file:` and custom schemes."""
    address = call.argument(0, "url")
    known = address is not None and address.parts and isinstance(address.parts[0], str)
    start = str(address.parts[0]).lower() if known and address is not None else ""
    if not start.startswith(("http://", "https://")):
        run.remark("open_scheme", call.node, 0.3 if start.startswith("file:") else 0.2)


def _any_opener(run: Run, call: Call) -> None:
    run.remark("open_scheme", call.node, 0.2)


def _parsed_xml(run: Run, call: Call) -> None:
    run.remark("xml_expansion", call.node, 0.2)


def _cgi(run: Run, call: Call) -> None:
    run.remark("cgi_proxy", call.node, 0.3)


def _markup(run: Run, call: Call) -> None:
    run.remark("xss", call.node, 0.15)


def _unescaped(run: Run, call: Call) -> None:
    if call.keyword("default_filters") is None:
        run.remark("autoescape_off", call.node, 0.3)


def _raw_sql(run: Run, call: Call) -> None:
    run.remark("sql_injection", call.node, 0.1)


def _downloaded(run: Run, call: Call) -> None:
    """A model or data set by a name whose content may change."""
    source = call.argument(0, "repo_id") or call.argument(0, "path")
    literal = None if source is None else source.literal
    if literal is not None and (literal.startswith((".", "/", "~")) or not literal):
        return
    revision = call.keyword("revision")
    if revision is None or (revision.literal is not None and not _is_commit(revision.literal)):
        run.remark("unpinned_download", call.node, 0.25)


def _is_commit(revision: str) -> bool:
    return len(revision) >= 7 and set(revision.lower()) <= _COMMIT_DIGITS


Look = Callable[[Run, Call], None]

_XML = (
    "xml.etree.ElementTree xml.etree.cElementTree xml.dom.minidom xml.dom.pulldom xml.sax "
    "xml.dom.expatbuilder xml.sax.expatreader"
).split()
_RANDOM = (
    "random randint randrange choice choices sample uniform triangular randbytes getrandbits "
    "shuffle Random gauss"
).split()

CALLS: Mapping[str, Look] = {
    **dict.fromkeys(
        "pickle.loads pickle.load pickle.Unpickler dill.loads dill.load dill.Unpickler "
        "cloudpickle.loads cloudpickle.load marshal.loads marshal.load jsonpickle.decode "
        "jsonpickle.loads jsonpickle.unpickler.decode jsonpickle.unpickler.Unpickler shelve.open "
        "shelve.DbfilenameShelf joblib.load pandas.read_pickle torch.load".split(),
        _loaded,
    ),
    "numpy.load": _numpy,
    **dict.fromkeys("yaml.load yaml.load_all".split(), _yaml),
    **dict.fromkeys("eval exec execfile builtins.eval builtins.exec".split(), _evaluated),
    **dict.fromkeys(
        "subprocess.run subprocess.call subprocess.check_call subprocess.check_output "
        "subprocess.Popen asyncio.create_subprocess_exec".split(),
        _started,
    ),
    **dict.fromkeys(
        "os.system os.popen os.popen2 os.popen3 os.popen4 commands.getoutput commands.getstatus "
        "commands.getstatusoutput subprocess.getoutput subprocess.getstatusoutput popen2.popen2 "
        "popen2.popen3 popen2.popen4 popen2.Popen3 popen2.Popen4 "
        "asyncio.create_subprocess_shell".split(),
        _shell,
    ),
    **dict.fromkeys(
        "os.execl os.execle os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe "
        "os.spawnl os.spawnle os.spawnlp os.spawnlpe os.spawnv os.spawnve os.spawnvp "
        "os.spawnvpe os.startfile os.posix_spawn".split(),
        _replaced,
    ),
    **dict.fromkeys("importlib.import_module importlib.__import__ __import__".split(), _imported),
    **dict.fromkeys([f"random.{name}" for name in _RANDOM], _random),
    **dict.fromkeys(
        [
            *(
                f"{module}.{name}"
                for module in ("requests", "httpx")
                for name in "get post put delete patch head options request".split()
            ),
            "httpx.Client",
            "httpx.AsyncClient",
        ],
        _waits,
    ),
    **dict.fromkeys(
        "urllib.request.urlopen urllib.urlopen urllib.request.urlretrieve urllib.urlretrieve "
        "six.moves.urllib.request.urlopen six.moves.urllib.request.urlretrieve".split(),
        _opened,
    ),
    **dict.fromkeys(
        "urllib.request.URLopener urllib.request.FancyURLopener urllib.URLopener "
        "urllib.FancyURLopener".split(),
        _any_opener,
    ),
    **dict.fromkeys(
        [
            *(
                f"{module}.{name}"
                for module in _XML
                for name in (
                    "parse parseString fromstring iterparse XML XMLParser make_parser create_parser"
                ).split()
            ),
            "xmlrpc.server.SimpleXMLRPCServer",
            "SimpleXMLRPCServer.SimpleXMLRPCServer",
            "xmlrpc.client.ServerProxy",
            "xmlrpclib.ServerProxy",
        ],
        _parsed_xml,
    ),
    **dict.fromkeys(
        "wsgiref.handlers.CGIHandler twisted.web.twcgi.CGIScript "
        "twisted.web.twcgi.CGIDirectory".split(),
        _cgi,
    ),
    **dict.fromkeys(
        "markupsafe.Markup flask.Markup jinja2.Markup django.utils.safestring.mark_safe "
        "django.utils.safestring.SafeString webhelpers.html.literal".split(),
        _markup,
    ),
    "mako.template.Template": _unescaped,
    "django.db.models.expressions.RawSQL": _raw_sql,
    **dict.fromkeys(
        "datasets.load_dataset huggingface_hub.hf_hub_download "
        "huggingface_hub.snapshot_download".split(),
        _downloaded,
    ),
}
METHODS: Mapping[str, Look] = {
    "bind": _bound,
    "exec_command": _replaced,
    "extra": _raw_sql,
    "from_pretrained": _downloaded,
}
