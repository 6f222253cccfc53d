"""The JavaScript guest: what its harness reports of scripts, modules and TypeScript."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.files import MemoryFiles
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.javascript import JAVASCRIPT, program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Event, Outcome
from bluecode.sandbox.snapshot import snapshot
from bluecode.sandbox.wasm import Guest

TOKEN = "zqzqzq"
PAYLOADS = {
    "shell": "<T>;x", "sql": "<T>' OR '1'='1", "path": "../../etc/<T>", "page": "<img src=<T>>",
    "code": "<T>()", "url": "http://<T>.internal/", "redirect": "//<T>.example/", "argv": "-<T>",
    "template": "{{<T>}}", "object": "<T>", "ldap": "*<T>", "xpath": "'<T>", "xml": "<T>",
}  # fmt: skip
PROBES = [{"kind": kind, "id": kind, "value": value} for kind, value in PAYLOADS.items()]


@pytest.fixture(scope="module")
def guest(cache_folder: Path) -> Iterator[Guest]:
    steps: list[str] = []
    with Guest(build(GuestSource.load(JAVASCRIPT), Cache(cache_folder), steps.append)) as guest:
        yield guest


def run(guest: Guest, code: str, **fields: Any) -> Outcome:
    job = {"code": code, "token": TOKEN, "probes": PROBES, **fields}
    return guest.run(json.dumps(job).encode(), Limits(fuel=600_000_000)).outcome()


def told(outcome: Outcome, kind: str) -> list[tuple[Any, ...]]:
    return [event.args for event in outcome.events if event.kind == kind and not event.trusted]


def sinks(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(args[0], args[1], args[3]) for args in told(outcome, "sink")]


def test_the_initialised_guest_is_the_same_bit_for_bit() -> None:
    source = GuestSource.load(JAVASCRIPT)

    one, other = (snapshot(source.wasm.content(), MemoryFiles(source.files())) for _ in "ab")

    assert one == other


def test_a_program_of_the_language_runs(guest: Guest) -> None:
    outcome = guest.run(program("1 + 1").job, Limits()).outcome()

    assert outcome.ended == "exited" and outcome.finished
    assert Event("done", (), False) in outcome.events


def test_a_benign_call_carries_a_marker_and_an_attack_the_payload(guest: Guest) -> None:
    outcome = run(
        guest, "const cp = require('child_process')\nexports.f = (a) => cp.exec('ls ' + a)"
    )

    assert sinks(outcome)[:2] == [
        ("shell", "child_process.exec", f"ls {TOKEN}a"),
        ("shell", "child_process.exec", f"ls {TOKEN}a;x"),
    ]
    assert [args[2] for args in told(outcome, "sink")][:2] == [2, 2]
    assert told(outcome, "done") == [()]


SINKS = {
    "a shell": ("require('child_process').execSync('ls ' + name)", "shell"),
    "a program asked to use a shell": (
        "require('child_process').spawn('ls', [name], { shell: true })", "shell",
    ),
    "arguments of a program": ("require('child_process').spawn('ls', [name])", "argv"),
    "a promised shell": (
        "require('util').promisify(require('child_process').exec)('ls ' + name)", "shell",
    ),
    "a file": ("require('fs').readFileSync('/srv/' + name)", "path"),
    "a promised file": ("require('node:fs').promises.readFile(`/srv/${name}`)", "path"),
    "a stream": ("require('fs').createReadStream('/srv/' + name).pipe(process.stdout)", "path"),
    "a query": ("require('pg').Pool().query('SELECT * FROM t WHERE n = ' + name)", "sql"),
    "a query of an object": (
        "new (require('pg').Client)().query({ text: 'DELETE FROM ' + name })", "sql",
    ),
    "a statement that is prepared": (
        "new (require('better-sqlite3'))('x').prepare('SELECT ' + name).all()", "sql",
    ),
    "eval": ("eval(name)", "code"),
    "a function made of text": ("new Function('return ' + name)()", "code"),
    "a timer made of text": ("setTimeout('x' + name, 1)", "code"),
    "a constructor that is not called by its name": ("(() => {}).constructor(name)", "code"),
    "another context": ("require('vm').runInNewContext(name)", "code"),
    "a request": ("fetch('http://' + name)", "url"),
    "a request by a package": ("require('axios').get(name)", "url"),
    "a request by node": ("require('https').get({ host: name, path: '/' })", "url"),
    "a page": ("document.body.innerHTML = '<b>' + name", "page"),
    "a page that is written": ("document.write(name)", "page"),
    "a template": ("require('ejs').render('Hello ' + name)", "template"),
    "a stored object": ("require('node-serialize').unserialize(name)", "object"),
    "a directory": (
        "require('ldapjs').createClient({}).search('o', { filter: `(u=${name})` })", "ldap",
    ),
    "a path in a document": ("require('xpath').select('//a[@b=' + name + ']', {})", "xpath"),
    "a document": ("require('libxmljs').parseXml(name, { noent: true })", "xml"),
    "a module by its name": ("require(name)", "import"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "kind"), SINKS.values(), ids=SINKS)
def test_data_is_seen_where_it_arrives(guest: Guest, code: str, kind: str) -> None:
    outcome = run(guest, f"exports.f = async (name) => {{ {code} }}")

    assert (kind, True) in {(kind, TOKEN in text) for kind, _, text in sinks(outcome)}
    assert told(outcome, "done")


@pytest.mark.parametrize(
    ("code", "language", "how"),
    [
        ("const a = 1", "javascript", "whole"),
        ("import fs from 'fs'\nexport default fs.readFileSync('a')", "javascript", "whole"),
        ("const a = await Promise.resolve(1)", "javascript", "whole"),
        ("const a: number = 1\ninterface B<T> { c: T }\nenum D { E }", "typescript", "whole"),
        ("class A { constructor(private readonly b: string) {} }", "typescript", "whole"),
        ("const a: Array<string> = []", "javascript", "whole"),
        ("const A = () => <p title='x'>{1}</p>", "javascript", "whole"),
        ("if (a) { return await b(a) }", "javascript", "whole"),
    ],
)
def test_scripts_modules_and_typescript_are_read(
    guest: Guest, code: str, language: str, how: str
) -> None:
    assert told(run(guest, code, language=language), "readable") == [(how,)]


def test_typescript_keeps_its_lines(guest: Guest) -> None:
    code = (
        "import { exec } from 'child_process'\ninterface A {\n  b: string\n}\n"
        "export function f(a: string): void {\n  exec(`ls ${a}`)\n}"
    )

    outcome = run(guest, code, language="typescript")

    assert {args[2] for args in told(outcome, "sink")} == {6}
    assert ("f", "function", 5, 7) in told(outcome, "entry")


@pytest.mark.parametrize("code", ["function (", "const = 3", "}{", "class { constructor( }"])
def test_code_that_does_not_parse_is_said_to_be_unreadable(guest: Guest, code: str) -> None:
    outcome = run(guest, code)

    assert told(outcome, "unreadable") and not told(outcome, "done")


HANDLERS = {
    "express": "require('express')().get('/x', (req, res) => res.send('<b>' + req.query.q))",
    "a router": "require('express').Router().post('/', (req, res) => res.send(req.body.q))",
    "a chained route": "require('express')().route('/x').get((req, res) => res.send(req.params.q))",
    "http": "require('http').createServer((req, res) => res.end('<p>' + req.url)).listen(80)",
    "koa": "new (require('koa'))().use(async (ctx) => { ctx.body = '<p>' + ctx.query.q })",
    "fastify": "require('fastify')().get('/x', async (request, reply) => '<p>' + request.query.q)",
    "an unknown framework": "require('foo').Router().get('/x', (req, res) => res.send(req.body.q))",
}  # fmt: skip


@pytest.mark.parametrize("code", HANDLERS.values(), ids=HANDLERS)
def test_handlers_of_frameworks_are_called(guest: Guest, code: str) -> None:
    outcome = run(guest, code)

    assert "handler" in {args[1] for args in told(outcome, "entry")}
    assert ("page", True) in {(kind, TOKEN in text) for kind, _, text in sinks(outcome)}
    assert "attack" in {args[0] for args in told(outcome, "call")}


def test_what_is_bound_is_told_beside_the_statement(guest: Guest) -> None:
    outcome = run(
        guest, "exports.f = (db, name) => db.query('SELECT * FROM t WHERE n = ?', [name])"
    )

    (sink, *_) = told(outcome, "sink")
    assert sink[3] == "SELECT * FROM t WHERE n = ?" and sink[5] == {"bound": True}
    assert sink[4] == [0]


def test_what_is_unknown_and_judges_the_data_is_a_doubt(guest: Guest) -> None:
    outcome = run(guest, "exports.f = (a) => { if (require('x').isSafe(a)) eval(a) }")

    assert told(outcome, "doubt")
    assert [args[3] for args in told(outcome, "end")][1] >= 1


def test_callbacks_timers_and_promises_come_to_their_end(guest: Guest) -> None:
    code = (
        "const cp = require('child_process')\nexports.f = (name) => {\n"
        "  require('fs').readFile('a', () => setTimeout(async () => {\n"
        "    await null; Promise.resolve().then(() => cp.exec('ls ' + name))\n  }, 1000))\n}"
    )

    assert ("shell", "child_process.exec", f"ls {TOKEN}a") in sinks(run(guest, code))


def test_written_files_are_read_back_and_time_and_chance_are_fixed(guest: Guest) -> None:
    code = (
        "const fs = require('fs')\nfs.writeFileSync('/tmp/a', 'b')\n"
        "if (fs.readFileSync('/tmp/a', 'utf8') !== 'b') throw new Error('lost')\n"
        "require('child_process').exec(`${new Date().getFullYear()} ${Math.random()}`)"
    )

    first, second = run(guest, code), run(guest, code)

    assert sinks(first)[-1][2].startswith("2026 0.")
    assert first.events == second.events and first.fuel_used == second.fuel_used


URLS = {
    "new URL('https://u:p@Ex.com:443/a/../b?c=d#e').href": "https://u:p@ex.com/b?c=d#e",
    "new URL('//evil.com/x', 'https://a.com/b').host": "evil.com",
    "new URL('x', 'https://a.com/b/c').href": "https://a.com/b/x",
    "new URL('https://a.com\\\\@b.com').hostname": "a.com",
    "new URLSearchParams('a=1&b=2').get('b')": "2",
    "require('path').join('/a/b', '../c')": "/a/c",
    "require('path').resolve('/a', '/b', 'c')": "/b/c",
    "require('path').relative('/a/b/c', '/a/d')": "../../d",
    "require('path').extname('x.tar.gz')": ".gz",
    "Buffer.from('aGk=', 'base64').toString()": "hi",
    "Buffer.from('hé').toString('hex')": "68c3a9",
    "Buffer.from('+%').toString()": "+%",
    "btoa('hi')": "aGk=",
    "atob('aGk=')": "hi",
    "require('util').format('%s-%d', 'a', 1)": "a-1",
    "require('querystring').parse('a=b+c').a": "b c",
    "require('lodash').escape('<')": "&lt;",
    "[3, 1, 2].toSorted().at(-1) + Object.groupBy([1], () => 'a').a[0]": "4",
}


@pytest.mark.parametrize(("expression", "value"), URLS.items())
def test_pure_functions_are_the_real_ones(guest: Guest, expression: str, value: str) -> None:
    outcome = run(guest, f"require('child_process').exec(String({expression}))")

    assert [text for kind, _, text in sinks(outcome) if kind == "shell"] == [value]
