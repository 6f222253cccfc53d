"""The dynamic checker on JavaScript and TypeScript, with the real guest: twins, one unsafe and one
safe, and what is left open."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bluecode.defenses.checkers.dynamic import DynamicReport
from bluecode.defenses.checkers.dynamic_prover import DynamicProver
from bluecode.defenses.checkers.javascript_dynamic import JavaScriptDynamic
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, DetectorError, Finding
from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.javascript import JAVASCRIPT
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome, SandboxUnavailable
from bluecode.sandbox.wasm import Guest


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
    with Guest(build(GuestSource.load(JAVASCRIPT), Cache(folder), steps.append)) as guest:
        yield InProcess(guest)


def claim(cwe: int) -> Finding:
    return Finding(
        detector="rules",
        rule="javascript.some",
        category=Category.VULNERABLE_CODE,
        score=0.6,
        reason="A claim.",
        cwe=cwe,
        span=(1, 100),
    )


def snippet(code: str, language: str = "javascript") -> Snippet:
    return Snippet(code=code, language=language, origin="fence")


async def outcome(sandbox: InProcess, code: str, cwe: int, language: str = "javascript") -> str:
    found = await JavaScriptDynamic(sandbox).test(snippet(code, language), [claim(cwe)])
    (evidence,) = found.evidence
    assert evidence.outcome is not None
    return evidence.outcome


TWINS = {
    "a shell": (
        78,
        "const { exec } = require('child_process')\n"
        "exports.lookup = (name, done) => exec(`whois ${name}`, done)\n",
        "const { execFile } = require('child_process')\n"
        "exports.lookup = (name, done) => execFile('whois', ['--', name], done)\n",
    ),
    "a shell behind a check": (
        78,
        "const cp = require('child_process')\nfunction zip(label) {\n"
        "  if (label.includes(';')) throw new Error('no')\n  cp.execSync('zip -r ' + label)\n}\n",
        "const cp = require('child_process')\nfunction zip(label) {\n"
        "  if (!/^[a-z0-9]+$/.test(label)) throw new Error('no')\n"
        "  cp.execSync('zip -r ' + label)\n}\n",
    ),
    "a query": (
        89,
        "const { Pool } = require('pg')\nconst pool = new Pool()\n"
        "module.exports.byTitle = async (title) =>\n"
        "  (await pool.query(`SELECT * FROM books WHERE title = '${title}'`)).rows\n",
        "const { Pool } = require('pg')\nconst pool = new Pool()\n"
        "module.exports.byTitle = async (title) =>\n"
        "  (await pool.query('SELECT * FROM books WHERE title = $1', [title])).rows\n",
    ),
    "a page": (
        79,
        "const app = require('express')()\napp.get('/hi', (req, res) => {\n"
        "  res.send('<h1>Hi ' + req.query.nick + '</h1>')\n})\n",
        "const app = require('express')()\nconst escape = require('escape-html')\n"
        "app.get('/hi', (req, res) => {\n"
        "  res.send('<h1>Hi ' + escape(req.query.nick) + '</h1>')\n})\n",
    ),
    "a file": (
        22,
        "const fs = require('fs')\nconst path = require('path')\n"
        "const app = require('express')()\napp.get('/doc/:slug', (req, res) => {\n"
        "  res.end(fs.readFileSync(path.join('/srv/docs', req.params.slug)))\n})\n",
        "const fs = require('fs')\nconst path = require('path')\n"
        "const app = require('express')()\napp.get('/doc/:slug', (req, res) => {\n"
        "  const full = path.resolve('/srv/docs', req.params.slug)\n"
        "  if (!full.startsWith('/srv/docs/')) return res.sendStatus(403)\n"
        "  res.end(fs.readFileSync(full))\n})\n",
    ),
    "a redirect": (
        601,
        "require('express')().get('/out', (req, res) => res.redirect(req.query.next))\n",
        "require('express')().get('/out', (req, res) => {\n  const next = req.query.next\n"
        "  if (!/^\\/[a-z0-9]*$/i.test(next)) return res.redirect('/')\n"
        "  res.redirect(next)\n})\n",
    ),
    "code": (
        95,
        "exports.area = (formula) => eval(formula)\n",
        "exports.area = (formula) => {\n"
        "  if (!/^[0-9+*/ ().-]+$/.test(formula)) throw new Error('not a formula')\n"
        "  return eval(formula)\n}\n",
    ),
    "typescript": (
        89,
        "import mysql from 'mysql2/promise';\nexport class Shop {\n"
        "  constructor(private readonly db: mysql.Connection) {}\n"
        "  async item(code: string): Promise<unknown> {\n"
        '    return this.db.query("SELECT * FROM items WHERE code = \'" + code + "\'");\n  }\n}\n',
        "import mysql from 'mysql2/promise';\nexport class Shop {\n"
        "  constructor(private readonly db: mysql.Connection) {}\n"
        "  async item(code: string): Promise<unknown> {\n"
        "    return this.db.execute('SELECT * FROM items WHERE code = ?', [code]);\n  }\n}\n",
    ),
}


@pytest.mark.parametrize(("cwe", "unsafe", "safe"), TWINS.values(), ids=TWINS)
async def test_the_unsafe_twin_is_confirmed_and_the_safe_one_is_not(
    sandbox: InProcess, cwe: int, unsafe: str, safe: str
) -> None:
    language = "typescript" if "import mysql" in unsafe else "javascript"

    assert await outcome(sandbox, unsafe, cwe, language) == "confirmed"
    assert await outcome(sandbox, safe, cwe, language) == "refuted"


BENIGN = {
    "a list in memory": (
        "const app = require('express')()\nlet list = []\n"
        "app.get('/list', (req, res) => res.json(list))\n"
        "app.put('/list/:id', (req, res) => {\n"
        "  const found = list.find((one) => one.id === +req.params.id)\n"
        "  if (!found) return res.status(404).send('Not found')\n"
        "  res.json(Object.assign(found, req.body))\n})\n"
    ),
    "an upload": (
        "const upload = require('multer')({ dest: 'up/' })\nconst path = require('path')\n"
        "require('express')().post('/u', upload.single('f'), (req, res) => {\n"
        "  if (path.extname(req.file.originalname) !== '.png') return res.sendStatus(400)\n"
        "  res.json({ name: req.file.filename })\n})\n"
    ),
    "a copy": (
        "const fs = require('fs/promises')\nconst path = require('path')\n"
        "async function copy(from, to) {\n  for (const name of await fs.readdir(from))\n"
        "    await fs.copyFile(path.join(from, name), path.join(to, name))\n}\n"
        "copy(process.argv[2], process.argv[3])\n"
    ),
    "a page of the browser": (
        "document.querySelector('#go').addEventListener('click', () => {\n"
        "  document.querySelector('#out').textContent = document.querySelector('#in').value\n})\n"
    ),
    "an answer that is no page": (
        "require('http').createServer((req, res) => {\n"
        "  res.setHeader('Content-Type', 'text/plain')\n  res.end('You asked for ' + req.url)\n"
        "}).listen(80)\n"
    ),
    "a request to a fixed host": (
        "exports.user = async (id) => {\n"
        "  const answer = await fetch(`https://api.example.com/users/${encodeURIComponent(id)}`)\n"
        "  return answer.json()\n}\n"
    ),
    **{f"{name}, safe": safe for name, (_, _, safe) in TWINS.items() if name != "typescript"},
}


@pytest.mark.parametrize("code", BENIGN.values(), ids=BENIGN)
async def test_nothing_is_found_in_benign_code(sandbox: InProcess, code: str) -> None:
    found = await JavaScriptDynamic(sandbox).test(snippet(code), [])

    assert found.discovered == ()


OPEN = {
    "an unknown check": (95, "exports.f = (a) => { if (require('vet').isSafe(a)) eval(a) }"),
    "data that is not seen to arrive": (89, "exports.f = (a) => null"),
    "a weakness without an effect": (327, "exports.f = (a) => a"),
    "a loop": (78, "for (;;) { try { for (;;) {} } catch {} }"),
    "code that does not parse": (78, "function ("),
    "code that ends the process": (78, "process.exit(0); require('child_process').exec(a)"),
}


@pytest.mark.parametrize(("cwe", "code"), OPEN.values(), ids=OPEN)
async def test_what_cannot_be_shown_is_left_open(sandbox: InProcess, cwe: int, code: str) -> None:
    assert await outcome(sandbox, code, cwe) == "not_testable"


async def test_what_no_rule_claimed_is_found_by_its_effect(sandbox: InProcess) -> None:
    code = "const cp = require('child_process')\nexports.f = (tag) => cp.exec('git show ' + tag)\n"

    found = await JavaScriptDynamic(sandbox).test(snippet(code), [])

    assert [(item.rule, item.cwe, item.span) for item in found.discovered] == [
        ("javascript.command_injection", 78, (2, 2))
    ]


async def test_code_that_only_computes_is_not_run(sandbox: InProcess) -> None:
    before = sandbox.runs

    found = await JavaScriptDynamic(sandbox).test(snippet("const f = (a) => a + 1"), [])

    assert found == DynamicReport(evidence=()) and sandbox.runs == before


async def test_a_sandbox_that_cannot_look_is_an_error() -> None:
    with pytest.raises(DetectorError):
        await JavaScriptDynamic(Broken()).test(snippet("eval(a)"), [claim(95)])


async def test_the_prover_asks_the_checker_of_the_language(sandbox: InProcess) -> None:
    prover = DynamicProver(sandbox)

    found = await prover.test(snippet("exports.f = (a) => eval(a)"), [claim(95)])

    assert [item.outcome for item in found.evidence] == ["confirmed"]
    assert prover.languages == {"python", "javascript", "typescript", "c", "cpp"}
    assert prover.ready and not DynamicProver(Broken()).ready


@pytest.mark.parametrize("language", ["ruby", ""])
async def test_a_language_that_the_sandbox_does_not_run_is_an_error(
    sandbox: InProcess, language: str
) -> None:
    claims: Sequence[Finding] = []
    with pytest.raises(DetectorError, match="does not run"):
        await DynamicProver(sandbox).test(snippet("x", language), claims)
