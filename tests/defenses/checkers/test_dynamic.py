"""The dynamic checker, with the real guest: what it confirms, refutes and leaves open.

The twins lie in `tests/data/dynamic_twins.toml`. Set `BLUECODE_CACHE` to keep the compiled guest.
"""

import os
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bluecode.defenses.checkers.dynamic import DynamicChecker, DynamicReport
from bluecode.defenses.checkers.probes import KINDS, PROBES
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.fusion import REFUTABLE
from bluecode.defenses.verdict import Category, DetectorError, Finding
from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome, SandboxUnavailable
from bluecode.sandbox.wasm import Guest

TWINS = tomllib.loads(
    (Path(__file__).parents[2] / "data" / "dynamic_twins.toml").read_text("utf-8")
)["twin"]


class InProcess:
    """A sandbox without worker processes: the guest runs here."""

    ready = True

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.runs = 0

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        self.runs += 1
        return self._guest.run(program.job, limits or Limits()).outcome()


class Broken:
    """A sandbox that cannot look."""

    ready = False

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        raise SandboxUnavailable("no worker")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    given = os.environ.get("BLUECODE_CACHE")
    folder = Path(given) if given else tmp_path_factory.mktemp("guest")
    steps: list[str] = []
    with Guest(build(GuestSource.load(LANGUAGES["python"]), Cache(folder), steps.append)) as guest:
        yield InProcess(guest)


def claim(cwe: int, first: int = 1, last: int = 1_000) -> Finding:
    return Finding(
        detector="python",
        rule="python.some",
        category=Category.VULNERABLE_CODE,
        score=0.6,
        reason="A claim.",
        cwe=cwe,
        span=(first, last),
    )


async def check(
    sandbox: InProcess, code: str, claims: Sequence[Finding] = (), **fields: Any
) -> DynamicReport:
    snippet = Snippet(code=code, language="python", origin="fence", **fields)
    return await DynamicChecker(sandbox).test(snippet, claims)


@pytest.mark.parametrize("twin", TWINS, ids=[twin["name"] for twin in TWINS])
async def test_the_unsafe_twin_is_confirmed_and_the_safe_one_is_not(
    sandbox: InProcess, twin: dict[str, Any]
) -> None:
    unsafe = (await check(sandbox, twin["unsafe"], [claim(twin["cwe"])])).evidence[0]
    safe = await check(sandbox, twin["safe"], [claim(twin["cwe"])])

    assert unsafe.outcome == "confirmed", unsafe.observed
    assert safe.evidence[0].outcome != "confirmed", safe.evidence[0].observed
    if twin["outcome"] != "any":
        assert safe.evidence[0].outcome == twin["outcome"], safe.evidence[0].observed


BYPASSABLE = [twin for twin in TWINS if "bypass" in twin]


@pytest.mark.parametrize("twin", BYPASSABLE, ids=[twin["name"] for twin in BYPASSABLE])
async def test_a_guard_that_only_looks_safe_is_seen_through(
    sandbox: InProcess, twin: dict[str, Any]
) -> None:
    evidence = (await check(sandbox, twin["bypass"], [claim(twin["cwe"])])).evidence[0]

    assert evidence.outcome == "confirmed", evidence.observed


SHOWN_BY = {
    "shell": 78, "sql": 89, "path": 22, "page": 79, "redirect": 601, "url": 918, "code": 95,
    "template": 1336, "ldap": 90, "xpath": 643, "xml": 611, "log": 117, "raw_header": 113,
    "pattern": 1333, "nosql": 943, "import": 470, "object": 502, "mail": 93,
}  # fmt: skip
HARMLESS = {"argv", "header"}
"""Without a shell there is no syntax, and frameworks refuse a line break in a header."""


def test_every_kind_of_probe_has_its_twins_and_one_that_only_looks_safe() -> None:
    assert set(SHOWN_BY) | HARMLESS == set(PROBES)
    for kind, cwe in SHOWN_BY.items():
        assert kind in KINDS[cwe]
        assert [twin for twin in BYPASSABLE if twin["cwe"] == cwe], kind


@pytest.mark.parametrize("twin", TWINS, ids=[twin["name"] for twin in TWINS])
async def test_nothing_is_discovered_in_a_safe_twin(
    sandbox: InProcess, twin: dict[str, Any]
) -> None:
    assert (await check(sandbox, twin["safe"])).discovered == ()


def test_the_twins_cover_many_weaknesses() -> None:
    assert len(TWINS) >= 40
    assert len({twin["cwe"] for twin in TWINS} & REFUTABLE) >= 15


async def test_a_handler_that_nobody_claimed_is_discovered_with_its_line(
    sandbox: InProcess,
) -> None:
    code = (
        "import os\nfrom flask import Flask, request\napp = Flask(__name__)\n"
        "@app.get('/x')\ndef x():\n    os.system('ls ' + request.args['d'])\n    return ''\n"
    )

    found = (await check(sandbox, code)).discovered

    assert [(item.cwe, item.span, item.rule) for item in found] == [
        (78, (6, 6), "python.command_injection")
    ]
    assert found[0].score >= 0.9 and found[0].evidence is not None
    assert "os.system got" in (found[0].evidence.observed or "")


async def test_evidence_comes_in_the_order_of_the_claims_from_one_run(sandbox: InProcess) -> None:
    code = (
        "import os, sqlite3\n"
        "def first(name):\n    os.system('ls ' + name)\n"
        "def second(name):\n"
        "    sqlite3.connect('a').execute('SELECT * FROM t WHERE n = ?', (name,))\n"
        "def third(name):\n    return hash(name)\n"
    )
    before = sandbox.runs

    report = await check(sandbox, code, [claim(89, 5, 5), claim(502, 7, 7), claim(78, 3, 3)])

    assert [item.outcome for item in report.evidence] == ["refuted", "not_testable", "confirmed"]
    assert sandbox.runs == before + 1


async def test_a_safe_line_is_refuted_beside_an_unsafe_one(sandbox: InProcess) -> None:
    code = (
        "def find(cursor, name):\n"
        "    cursor.execute('SELECT 1 FROM a WHERE n = %s', (name,))\n"
        "    cursor.execute('SELECT 1 FROM b WHERE n = \\'' + name + '\\'')\n"
    )

    report = await check(sandbox, code, [claim(89, 2, 2), claim(89, 3, 3)])

    assert [item.outcome for item in report.evidence] == ["refuted", "confirmed"]


NOT_SHOWN = {
    "a sink that is never reached": ("def f(name):\n    return len(name)\n", 78),
    "a check by unknown code": (
        "import os\nfrom security import is_allowed\ndef f(name):\n"
        "    if not is_allowed(name):\n        raise ValueError\n    os.system('ls ' + name)\n",
        78,
    ),
    "a file that the caller names": ("def f(path):\n    return open(path).read()\n", 22),
    "a statement that the caller gives": ("def f(cursor, sql):\n    cursor.execute(sql)\n", 89),
    "a constant command": ("import os\ndef f(name):\n    os.system('clear')\n", 78),
    "a weak hash of no secret": (
        "import hashlib\ndef etag(body):\n    return hashlib.md5(body.encode()).hexdigest()\n",
        328,
    ),
    "a part of an attribute's name": (
        "from flask import request\nimport actions\ndef f():\n"
        "    return getattr(actions, 'do_' + request.args['do'])()\n",
        470,
    ),
    "a secret in the code": ("KEY = 'abcdef123456'\n", 798),
    "code that does not parse": ("def f(:\n  x x\n", 78),
}


@pytest.mark.parametrize("case", NOT_SHOWN.values(), ids=NOT_SHOWN.keys())
async def test_what_a_run_does_not_show_is_not_testable(
    sandbox: InProcess, case: tuple[str, int]
) -> None:
    code, cwe = case

    report = await check(sandbox, code, [claim(cwe)])

    assert report.evidence[0].outcome == "not_testable", report.evidence[0].observed
    assert report.discovered == ()


FORGERIES = {
    "closures": "c = [cell.cell_contents for cell in os.system.__closure__]\n",
    "frames": "import sys\nframe = sys._getframe()\n",
    "globals": "space = os.open.__globals__\n",
}


@pytest.mark.parametrize("look", FORGERIES.values(), ids=FORGERIES.keys())
async def test_code_that_looks_into_the_harness_is_never_refuted(
    sandbox: InProcess, look: str
) -> None:
    code = f"import os, subprocess\n{look}def f(name):\n    subprocess.run(['ls', name])\n"

    report = await check(sandbox, code, [claim(78)])

    assert report.evidence[0].outcome == "not_testable"


ENDLESS = {
    "a loop": "def f(name):\n    while True:\n        pass\n",
    "a loop that catches all": (
        "def f(name):\n    while True:\n        try:\n            while True: pass\n"
        "        except BaseException: pass\n"
    ),
    "memory": "def f(name):\n    a = []\n    while True:\n        a.append(' ' * 10**6)\n",
    "a large number": "def f(name):\n    return 10**10**9\n",
    "recursion": "def f(name):\n    return f(name)\n",
    "output": "def f(name):\n    while True:\n        print('x' * 1000)\n",
    "events": "import os\ndef f(name):\n    for _ in range(10**6):\n        os.system('a')\n",
}


@pytest.mark.parametrize("code", ENDLESS.values(), ids=ENDLESS.keys())
async def test_code_without_an_end_is_neither_safe_nor_an_error(
    sandbox: InProcess, code: str
) -> None:
    report = await check(sandbox, code, [claim(78)])

    assert report.evidence[0].outcome == "not_testable"


async def test_what_was_seen_before_the_end_of_the_budget_still_counts(sandbox: InProcess) -> None:
    code = (
        "import os\ndef first(name):\n    os.system('ls ' + name)\n"
        "def second(name):\n    return 10**10**9\n"
    )

    assert (await check(sandbox, code, [claim(78, 3, 3)])).evidence[0].outcome == "confirmed"


async def test_a_fragment_is_run_in_its_context(sandbox: InProcess) -> None:
    context = "import os\ndef shell(line):\n    os.system(line)\n"
    code = "    def ping(self, host):\n        shell('ping ' + host)\n"

    report = await check(sandbox, code, [claim(78)], context=context)

    assert report.evidence[0].outcome == "confirmed"


async def test_a_sandbox_that_cannot_look_is_an_error_never_an_empty_report() -> None:
    snippet = Snippet(code="x = 1", language="python", origin="fence")

    with pytest.raises(DetectorError):
        await DynamicChecker(Broken()).test(snippet, [claim(78)])


async def test_the_same_snippet_gives_the_same_evidence(sandbox: InProcess) -> None:
    code = TWINS[0]["unsafe"]

    first, second = [await check(sandbox, code, [claim(78)]) for _ in range(2)]

    assert first == second


REACHED = {
    "an argument that turns out to be an object": (
        "def f(cursor, user):\n"
        "    cursor.execute('SELECT 1 FROM t WHERE n = \\'' + user.profile.name + '\\'')\n",
        89,
    ),
    "an argument that turns out to be a list of records": (
        "import os\ndef f(packages):\n    for p in packages:\n"
        "        if p.arch == 'src':\n            os.popen('rpm -q ' + p.path)\n",
        78,
    ),
    "a guard that asks for a pattern before another parameter is used": (
        "import os, re\ndef f(sku, name):\n    if not re.fullmatch(r'[A-Z]{2}-\\d{4}', sku):\n"
        "        raise ValueError(sku)\n    os.system('label ' + name)\n",
        78,
    ),
    "a row that is unpacked": (
        "def f(cursor, name):\n    a, b, c, d, e = cursor.fetchone()\n"
        "    cursor.execute('SELECT 1 FROM t WHERE n = \\'' + name + '\\'')\n",
        89,
    ),
    "a static method without its class": (
        "    @staticmethod\n    def f(name):\n        os.system('ls ' + name)\n",
        78,
    ),
    "a piece of a class that begins within a method": (
        "        return 1\n\n    def f(self, name):\n        os.system('ls ' + name)\n",
        78,
    ),
    "options of a command line": (
        "import argparse, os\nparser = argparse.ArgumentParser()\n"
        "parser.add_argument('--label', required=True)\n"
        "os.system('echo ' + parser.parse_args().label)\n",
        78,
    ),
    "a line of a socket": (
        "import os, socketserver\nclass H(socketserver.StreamRequestHandler):\n"
        "    def handle(self):\n        os.system('echo ' + self.rfile.readline().decode())\n",
        78,
    ),
    "data that is asked for in base64": (
        "import base64, os\ndef f(blob):\n"
        "    os.system('echo ' + base64.b64decode(blob).decode())\n",
        78,
    ),
    "a function that a decorator of the library made another of": (
        "import contextlib, os\n@contextlib.contextmanager\ndef f(name):\n"
        "    os.system('mount ' + name)\n    yield\n",
        78,
    ),
    "a field of a query that a handler takes apart": (
        "import os\nfrom http.server import BaseHTTPRequestHandler\n"
        "from urllib.parse import parse_qs, urlparse\n"
        "class H(BaseHTTPRequestHandler):\n    def do_GET(self):\n"
        "        q = parse_qs(urlparse(self.path).query)\n"
        "        os.system('dig ' + q['n'][0])\n",
        78,
    ),
    "a document store that nobody here knows": (
        "from flask import request\ndef f():\n"
        "    return store.users.find_one({'name': request.json['name']})\n",
        943,
    ),
    "an attribute of something unknown": (
        "from flask import request\nimport actions\ndef f():\n"
        "    return getattr(actions, request.args['do'])()\n",
        470,
    ),
    "a property that is kept": (
        "import functools, os\nclass A:\n    def __init__(self, name):\n"
        "        self.name = name\n    @functools.cached_property\n    def size(self):\n"
        "        return os.popen('du ' + self.name).read()\n",
        78,
    ),
    "a question to something unknown that has to be answered with no": (
        "import os\ndef f(name):\n    if registry.lookup() == 'closed':\n        return\n"
        "    os.system('ls ' + name)\n",
        78,
    ),
}


OUT_OF_THE_WAY = {
    "a file that must be missing": "    if not os.path.exists('a.zip'):\n        {}\n",
    "a mode that nobody sets": "    if level(3) == 'full' and level(4) == 'fast':\n        {}\n",
    "a step before that fails": "    [].index(3)\n    {}\n",
    "a handler of an error": "    try:\n        pass\n    except OSError:\n        {}\n",
}


@pytest.mark.parametrize("around", OUT_OF_THE_WAY.values(), ids=OUT_OF_THE_WAY.keys())
@pytest.mark.parametrize("guarded", [False, True])
async def test_a_line_that_no_run_gets_to_is_run_by_itself_with_its_guards(
    sandbox: InProcess, around: str, guarded: bool
) -> None:
    guard = "    if not name.isalnum():\n        return\n" * guarded
    code = "import os\ndef f(name):\n" + guard + around.format("os.system('ls ' + name)")
    line = next(at for at, text in enumerate(code.split("\n"), 1) if "system" in text)

    evidence = (await check(sandbox, code, [claim(78, line, line)])).evidence[0]

    assert (evidence.outcome == "confirmed") is not guarded, evidence.observed


@pytest.mark.parametrize("case", REACHED.values(), ids=REACHED.keys())
async def test_a_run_gets_to_the_sink_past(sandbox: InProcess, case: tuple[str, int]) -> None:
    code, cwe = case

    evidence = (await check(sandbox, code, [claim(cwe)])).evidence[0]

    assert evidence.outcome == "confirmed", evidence.observed


UNKNOWN_SINK = "class A:\n    def f(self, name):\n        self._cli_run('create -f %s' % {})\n"


async def test_a_claim_names_a_sink_that_nobody_here_knows(sandbox: InProcess) -> None:
    code = UNKNOWN_SINK.format("name")

    assert (await check(sandbox, code, [claim(78, 3, 3)])).evidence[0].outcome == "confirmed"
    assert (await check(sandbox, code)).discovered == ()


async def test_quoting_before_an_unknown_sink_is_seen(sandbox: InProcess) -> None:
    code = "import shlex\n" + UNKNOWN_SINK.format("shlex.quote(name)")

    assert (await check(sandbox, code, [claim(78, 4, 4)])).evidence[0].outcome == "refuted"


@pytest.mark.parametrize(("score", "outcome"), [(0.6, "confirmed"), (0.3, "not_testable")])
async def test_data_of_unknown_origin_counts_where_the_claim_is_believed(
    sandbox: InProcess, score: float, outcome: str
) -> None:
    code = "import os\ndef f():\n    os.system('ls ' + settings.folder)\n"

    report = await check(sandbox, code, [replace(claim(78), score=score)])

    assert report.evidence[0].outcome == outcome
    assert report.discovered == ()


async def test_a_statement_with_a_text_of_unknown_origin_is_not_refuted_by_what_is_bound(
    sandbox: InProcess,
) -> None:
    code = (
        "def f(cursor, limit):\n    names = tuple(catalogue.entries)\n"
        "    cursor.execute(f'SELECT 1 FROM t WHERE n IN {names} LIMIT %s', (limit,))\n"
    )

    assert (await check(sandbox, code, [claim(89)])).evidence[0].outcome != "refuted"


async def test_what_is_asked_after_the_sink_is_no_check(sandbox: InProcess) -> None:
    code = "import os\ndef f(name):\n    os.system('ls ' + name)\n    return is_valid(name) or 1\n"

    assert (await check(sandbox, code, [claim(78)])).evidence[0].outcome == "confirmed"


async def test_a_matter_of_style_is_never_refuted(sandbox: InProcess) -> None:
    code = "def f(cursor, number):\n    cursor.execute('SELECT 1 FROM t WHERE n = %d' % number)\n"
    style = replace(claim(89), rule="python.sql_formatting")

    outcomes = [
        (await check(sandbox, code, [item])).evidence[0].outcome for item in (claim(89), style)
    ]

    assert outcomes == ["refuted", "not_testable"]
