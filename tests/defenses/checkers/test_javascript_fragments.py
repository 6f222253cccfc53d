"""Fragments of JavaScript: what is put around them, and what running them then shows."""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluecode.defenses.checkers import javascript_fragments
from bluecode.defenses.checkers.javascript_dynamic import JavaScriptDynamic
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, Evidence, Finding
from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.javascript import JAVASCRIPT
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.wasm import Guest


class InProcess:
    """A sandbox without worker processes."""

    ready = True

    def __init__(self, guest: Guest) -> None:
        self._guest = guest

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome:
        return self._guest.run(program.job, limits or Limits()).outcome()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    given = os.environ.get("BLUECODE_CACHE")
    folder = Path(given) if given else tmp_path_factory.mktemp("guest")
    steps: list[str] = []
    with Guest(build(GuestSource.load(JAVASCRIPT), Cache(folder), steps.append)) as guest:
        yield InProcess(guest)


async def evidence_of(
    sandbox: InProcess, code: str, cwe: int, score: float = 0.6, language: str = "javascript"
) -> Evidence:
    claim = Finding(
        detector="rules",
        rule="javascript.some",
        category=Category.VULNERABLE_CODE,
        score=score,
        reason="A claim.",
        cwe=cwe,
        span=(1, 100),
    )
    snippet = Snippet(code=code, language=language, origin="fence")
    (evidence,) = (await JavaScriptDynamic(sandbox).test(snippet, [claim])).evidence
    return evidence


CUT = {
    "the end of a callback": "    launch('tar xf ' + name, onEnd)\n  })\n})\n",
    "members of an object": "  grow: function (a) {\n    return a + 1\n  },\n  add(b) {}\n}\n",
    "the rest of an object": "    return 1\n  },\n  second: function () { return 2 },\n}\n",
    "members of a class": "  async open(a) {\n    await this.#find(a)\n  }\n  #find() {}\n}\n",
    "a branch": "    stop()\n  } else if (late) {\n    go()\n  }\n",
    "an attempt": "    stop()\n  } catch (error) {\n    go(error)\n  }\n",
    "cases": "  case 1:\n    go()\n    break\n  default:\n    stop()\n}\n",
    "what is not closed": "app.get('/x', async (req, res) => {\n  if (a) {\n    res.send(`a ${b(",
    "a comment at the end": "  go()\n})\n/**\n * Says what",
    "a comment": " * says what it does\n */\nfunction say() { return 1 }\n}\n",
    "a line that was cut": ", 'rest of a text')\nconst a = 1\nfunction f() {\n",
    "a loop": "    if (!part) continue\n    use(part)\n  }\n  return all\n}\n",
    "a pattern with brackets": "  text.replace(/[({]/g, '')\n})\n",
}


@pytest.mark.parametrize("code", CUT.values(), ids=CUT)
def test_what_was_cut_is_completed_and_no_line_moves(code: str) -> None:
    made = javascript_fragments.completed(code, "javascript")

    assert made is not None
    assert javascript_fragments.completed(made, "javascript") is None  # it can be read as it is
    kept = [line for line in code.split("\n") if line.strip()]
    lines = made.split("\n")
    assert sum(line in lines[at] for at, line in enumerate(code.split("\n")) if line) >= (
        len(kept) - 2
    )


@pytest.mark.parametrize("code", ["const a = 1\n", "x" * 50_000 + "("])
def test_what_is_whole_or_too_long_is_left_alone(code: str) -> None:
    assert javascript_fragments.completed(code, "javascript") is None


def test_any_text_is_answered_in_time() -> None:
    draw = random.Random(5)
    for _ in range(150):
        code = "".join(draw.choices("(){}[]`'\"/*\n ,;:a${<>=", k=draw.randrange(1, 400)))
        javascript_fragments.completed(code, "javascript")
        javascript_fragments.made_known(code, "typescript")


# Unsafe, safe, and safe at first sight.
TRIPLES = {
    "a shell": (
        78,
        "    cp.exec('rsync -a ' + job.source + ' /mnt', finish)\n  })\n}\n",
        "    cp.execFile('rsync', ['-a', '--', job.source, '/mnt'], finish)\n  })\n}\n",
        "    cp.exec('rsync -a ' + job.source.replace(';', '') + ' /mnt', finish)\n  })\n}\n",
    ),
    "code": (
        95,
        "  reader.apply = function (rule) {\n    return new Function('row', 'return ' + rule)\n"
        "  }\n  return reader\n})\n",
        "  reader.apply = function (rule) {\n"
        "    return new Function('row', 'return row[' + JSON.stringify(rule) + ']')\n"
        "  }\n  return reader\n})\n",
        "  reader.apply = function (rule) {\n"
        "    return new Function('row', 'return \"' + rule.replace(/;/g, '') + '\" + ' + rule)\n"
        "  }\n  return reader\n})\n",
    ),
    "a query": (
        89,
        "  async byCity(city) {\n"
        "    return this.db.query(`SELECT * FROM shops WHERE city = '${city}'`)\n  }\n}\n",
        "  async byCity(city) {\n"
        "    return this.db.query('SELECT * FROM shops WHERE city = ?', [city])\n  }\n}\n",
        "  async byCity(city) {\n"
        '    const own = city.replace("\'", "\'\'")\n'
        "    return this.db.query(`SELECT * FROM shops WHERE city = '${own}'`)\n  }\n}\n",
    ),
    "a pattern": (
        1333,
        "  app.get('/find', (req, res) => {\n    const wanted = new RegExp(req.query.typed)\n"
        "    res.json(rows.filter((row) => wanted.test(row)))\n",
        "  app.get('/find', (req, res) => {\n"
        "    const wanted = new RegExp(req.query.typed.replace(/[^a-z0-9 ]/gi, ''))\n"
        "    res.json(rows.filter((row) => wanted.test(row)))\n",
        "  app.get('/find', (req, res) => {\n"
        "    const wanted = new RegExp(req.query.typed.replace(/[?^|]/g, ''))\n"
        "    res.json(rows.filter((row) => wanted.test(row)))\n",
    ),
    "a page": (
        79,
        "  app.get('/hi', (req, res) => {\n    res.send('<b>' + req.query.nick + '</b>')\n  })\n",
        "  app.get('/hi', (req, res) => {\n    const own = req.query.nick.replace(/[<>]/g, '')\n"
        "    res.send('<b>' + own + '</b>')\n  })\n",
        "  app.get('/hi', (req, res) => {\n    const own = req.query.nick.replace('<script>', '')\n"
        "    res.send('<b>' + own + '</b>')\n  })\n",
    ),
}


@pytest.mark.parametrize(
    ("cwe", "unsafe", "safe", "bypassed"), TRIPLES.values(), ids=TRIPLES.keys()
)
async def test_fragments_are_judged_by_what_they_do(
    sandbox: InProcess, cwe: int, unsafe: str, safe: str, bypassed: str
) -> None:
    assert (await evidence_of(sandbox, unsafe, cwe)).outcome == "confirmed"
    assert (await evidence_of(sandbox, safe, cwe)).outcome in ("not_testable", "refuted")
    assert (await evidence_of(sandbox, bypassed, cwe)).outcome == "confirmed"


async def test_a_name_that_nothing_declares_needs_a_claim_that_believes_it(
    sandbox: InProcess,
) -> None:
    code = "const { exec } = require('child_process')\nexec('ls ' + folder)\n"

    assert (await evidence_of(sandbox, code, 78, 0.6)).outcome == "confirmed"
    assert (await evidence_of(sandbox, code, 78, 0.4)).outcome == "not_testable"


UNDECLARED = (
    "const { exec } = require('child_process')\nexec('ls ' + folder)\n",
    "exports.f = (a) => { if (permitted(a)) require('child_process').exec('ls ' + a) }\n",
    "(function () {\n  function inner(a) { return require('child_process').exec('ls ' + a) }\n"
    "  start(() => inner('x'))\n})()\n",
)


@pytest.mark.parametrize("code", UNDECLARED)
async def test_what_is_only_supposed_is_no_discovery(sandbox: InProcess, code: str) -> None:
    snippet = Snippet(code=code, language="javascript", origin="fence")

    assert (await JavaScriptDynamic(sandbox).test(snippet, [])).discovered == ()


async def test_a_check_that_is_not_there_is_not_overruled(sandbox: InProcess) -> None:
    code = "  if (!isAllowed(word)) return\n  exec('look ' + word)\n})\n"

    assert (await evidence_of(sandbox, code, 78)).outcome == "not_testable"


async def test_nothing_is_refuted_where_undeclared_names_took_part(sandbox: InProcess) -> None:
    code = (
        "exports.f = (a) => {\n  if (!/^[a-z]+$/.test(a)) throw new Error('no')\n"
        "  require('child_process').exec('ls ' + a + ' ' + rest)\n}\n"
    )

    assert (await evidence_of(sandbox, code, 78, 0.4)).outcome == "not_testable"


async def test_what_an_inner_function_caught_is_no_input_of_its_own(sandbox: InProcess) -> None:
    code = (
        "function make(order) {\n  const made = {}\n"
        "  made.run = function (x) { return require('child_process').exec('do ' + x.length) }\n"
        "  return made\n}\nmodule.exports = { make }\n"
    )

    assert (await evidence_of(sandbox, code, 78)).outcome == "not_testable"


async def test_a_string_of_code_is_data(sandbox: InProcess) -> None:
    code = "exports.f = (a) => new Function('var x = ' + JSON.stringify(a) + '; return x')\n"

    assert (await evidence_of(sandbox, code, 95)).outcome != "confirmed"


POLLUTING = {
    "unsafe": "function merge(into, from) {\n  for (const key in from) {\n"
    "    if (typeof from[key] === 'object') merge(into[key] ??= {}, from[key])\n"
    "    else into[key] = from[key]\n  }\n  return into\n}\nmodule.exports = merge\n",
    "safe": "const OFF = new Set(['__proto__', 'constructor', 'prototype'])\n"
    "function merge(into, from) {\n  for (const key of Object.keys(from)) {\n"
    "    if (OFF.has(key)) continue\n"
    "    if (typeof from[key] === 'object') merge(into[key] ??= {}, from[key])\n"
    "    else into[key] = from[key]\n  }\n  return into\n}\nmodule.exports = merge\n",
    "bypassed": "function merge(into, from) {\n  for (const key of Object.keys(from)) {\n"
    "    if (key === '__proto__') continue\n"
    "    if (typeof from[key] === 'object') merge(into[key] ??= {}, from[key])\n"
    "    else into[key] = from[key]\n  }\n  return into\n}\nmodule.exports = merge\n",
    "by a path": "exports.put = (store, path, value) => {\n  const keys = path.split('.')\n"
    "  const last = keys.pop()\n"
    "  keys.reduce((at, key) => at[key] ??= {}, store)[last] = value\n}\n",
    "from a client": "const app = require('express')()\nconst all = {}\n"
    "app.post('/set', (req, res) => {\n  for (const area in req.body)\n"
    "    for (const key in req.body[area])\n      (all[area] ??= {})[key] = req.body[area][key]\n"
    "  res.end()\n})\n",
}


@pytest.mark.parametrize("kind", POLLUTING)
async def test_what_reaches_every_object_is_seen(sandbox: InProcess, kind: str) -> None:
    evidence = await evidence_of(sandbox, POLLUTING[kind], 1321)

    assert evidence.outcome == ("not_testable" if kind == "safe" else "confirmed")


async def test_a_fast_digest_is_weak_for_a_password_alone(sandbox: InProcess) -> None:
    code = (
        "const { createHash } = require('crypto')\n"
        "exports.f = (NAME) => createHash('sha256').update(NAME).digest('hex')\n"
    )

    assert (await evidence_of(sandbox, code.replace("NAME", "password"), 916)).outcome == (
        "confirmed"
    )
    assert (await evidence_of(sandbox, code.replace("NAME", "report"), 916)).outcome == (
        "not_testable"
    )


async def test_a_schema_with_functions_makes_objects(sandbox: InProcess) -> None:
    code = (
        "const yaml = require('js-yaml')\nrequire('express')().post('/', (req, res) =>\n"
        "  res.json(yaml.load(req.body.text, { schema: yaml.SCHEMA })))\n"
    )

    unsafe = code.replace("SCHEMA", "DEFAULT_FULL_SCHEMA")
    assert (await evidence_of(sandbox, unsafe, 502)).outcome == "confirmed"
    safe = code.replace("SCHEMA", "JSON_SCHEMA")
    assert (await evidence_of(sandbox, safe, 502)).outcome == "not_testable"


async def test_a_path_that_the_caller_gives_whole_is_the_callers_own(sandbox: InProcess) -> None:
    code = (
        "const fs = require('fs')\nconst path = require('path')\n"
        "exports.sizes = (place) => {\n  const full = path.resolve(place)\n"
        "  fs.statSync(path.join(place, 'index'))\n  return fs.statSync(full).size\n}\n"
    )

    assert (await evidence_of(sandbox, code, 22)).outcome == "not_testable"


async def test_a_pattern_that_a_caller_gives_is_meant_to_be_one(sandbox: InProcess) -> None:
    code = "exports.whole = (source) => new RegExp('^(?:' + source + ')$')\n"

    assert (await evidence_of(sandbox, code, 1333)).outcome == "not_testable"


async def test_a_record_that_a_function_returns_is_no_line(sandbox: InProcess) -> None:
    code = "exports.pick = (given) => ({ name: given.name, id: given.id })\n"

    assert (await evidence_of(sandbox, code, 79)).outcome == "not_testable"
    assert (await evidence_of(sandbox, code, 113)).outcome == "not_testable"


async def test_headers_with_line_breaks_are_refused_as_node_does(sandbox: InProcess) -> None:
    code = (
        "require('http').createServer((req, res) => {\n"
        "  res.setHeader('X-Name', req.headers.name)\n  res.end()\n}).listen(80)\n"
    )

    assert (await evidence_of(sandbox, code, 113)).outcome != "confirmed"


SERVED = {
    "next": (
        601,
        "import { NextResponse } from 'next/server'\nexport async function GET(request) {\n"
        "  return NextResponse.redirect(request.nextUrl.searchParams.get('to'))\n}\n",
    ),
    "http": (
        22,
        "const http = require('http')\nconst url = require('url')\nconst fs = require('fs')\n"
        "http.createServer((req, res) => {\n  const { page } = url.parse(req.url, true).query\n"
        "  const wanted = url.parse(req.url, true).query.page\n"
        "  fs.readFile('./pages/' + wanted, (error, data) => res.end(data))\n}).listen(80)\n",
    ),
    "a browser": (
        79,
        "const asked = new URLSearchParams(location.search)\n"
        "document.getElementById('who').innerHTML = '<i>' + asked.get('who') + '</i>'\n",
    ),
    "decorators": (
        89,
        "@Controller('shops')\nexport class Shops {\n"
        "  constructor(private readonly source: DataSource) {}\n  @Get(':id')\n"
        "  async one(@Param('id') id: string) {\n"
        "    return this.source.query(`SELECT * FROM shops WHERE id = '${id}'`)\n  }\n}\n",
    ),
}


@pytest.mark.parametrize(("cwe", "code"), SERVED.values(), ids=SERVED.keys())
async def test_what_a_client_asks_for_arrives(sandbox: InProcess, cwe: int, code: str) -> None:
    language = "typescript" if "@" in code else "javascript"

    assert (await evidence_of(sandbox, code, cwe, language=language)).outcome == "confirmed"
