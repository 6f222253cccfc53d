"""The Python guest's own harness: what it reports, and that nothing makes it stumble."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.python import PYTHON
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.wasm import Guest

TOKEN = "zqzqzq"
LIMITS = Limits(fuel=600_000_000)


@pytest.fixture(scope="module")
def harness(cache_folder: Path) -> Iterator[Guest]:
    steps: list[str] = []
    with Guest(build(GuestSource.load(PYTHON), Cache(cache_folder), steps.append)) as guest:
        yield guest


def run(harness: Guest, code: str, *kinds: str, **fields: Any) -> Outcome:
    probes = [{"kind": kind, "id": f"{kind}0", "value": "<T>;x"} for kind in kinds]
    job = {"code": code, "token": TOKEN, "probes": probes, "claims": [], **fields}
    return harness.run(json.dumps(job).encode(), LIMITS).outcome()


def told(outcome: Outcome, kind: str) -> list[tuple[Any, ...]]:
    return [event.args for event in outcome.events if event.kind == kind and not event.trusted]


def sinks(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(args[0], args[1], args[3]) for args in told(outcome, "sink")]


def returned(harness: Guest, body: str) -> str:
    """What a function that ends in `return` shows of its result."""
    code = "def f(name):\n" + "".join(f"    {line}\n" for line in body.split("\n"))
    found = [text for kind, _, text in sinks(run(harness, code, "return")) if kind == "return"]
    assert found, "the function gave nothing"
    return found[0]


def test_a_benign_call_carries_a_marker_and_an_attack_the_payload(harness: Guest) -> None:
    outcome = run(harness, "import os\ndef f(name):\n    os.system('ls ' + name)\n", "shell")

    commands = [text for kind, _, text in sinks(outcome) if kind == "shell"]
    assert commands[0] == f"ls {TOKEN}a"
    assert f"ls {TOKEN}a;x" in commands
    assert told(outcome, "done") == [()]


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("x = 1\n", "whole"),
        ("    def f(self, a):\n        return a\n", "dedented"),
        ("    return name\n", "wrapped"),
        ("try:\n    print 'a'\nexcept ValueError, error:\n    print error\n", "renewed"),
    ],
)
def test_fragments_are_completed_and_it_is_said_how(harness: Guest, code: str, how: str) -> None:
    assert told(run(harness, code), "readable") == [(how,)]


def test_code_that_does_not_parse_is_said_to_be_unreadable(harness: Guest) -> None:
    outcome = run(harness, "def (:\n")

    assert told(outcome, "unreadable") and not told(outcome, "done")
    assert outcome.ended == "exited"


FILES = {
    "written files are read back": "open('/tmp/a', 'w').write(name)\nreturn open('/tmp/a').read()",
    "pathlib shares the disk": (
        "import pathlib\np = pathlib.Path('/srv/x')\np.write_text(name)\nreturn p.read_text()"
    ),
    "descriptors work": (
        "import os\nn = os.open('a', os.O_WRONLY | os.O_CREAT)\nos.write(n, name.encode())\n"
        "os.close(n)\nreturn open('a').read()"
    ),
    "the folder is consistent": (
        "import os\nos.chdir('/srv')\nassert os.path.abspath('a') == '/srv/a'\n"
        "assert os.path.realpath('../etc/b') == '/etc/b'\nreturn name"
    ),
    "removed files are gone": (
        "import os\nopen('/tmp/q', 'w').close()\nos.remove('/tmp/q')\n"
        "assert not os.path.exists('/tmp/q')\nreturn name"
    ),
    "temporary files have names": (
        "import tempfile\nwith tempfile.NamedTemporaryFile('w') as f:\n    f.write(name)\n"
        "    assert f.name.startswith('/tmp/')\nreturn name"
    ),
    "sleep is over at once": "import time\ntime.sleep(10**6)\nreturn name",
    "threads run": (
        "import threading\nout = []\nt = threading.Thread(target=lambda: out.append(name))\n"
        "t.start()\nt.join()\nreturn out[0]"
    ),
    "pools map": (
        "from multiprocessing import Pool\nwith Pool(2) as p:\n"
        "    return p.map(lambda item: item + name, ['x'])"
    ),
    "executors submit": (
        "from concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as e:\n"
        "    return e.submit(lambda: name).result()"
    ),
    "event loops run": (
        "import asyncio\nasync def g():\n    await asyncio.sleep(1)\n"
        "    return (await asyncio.gather(asyncio.sleep(0, 1)), name)\nreturn asyncio.run(g())"
    ),
    "what the build lacks can be imported": (
        "import ssl, ctypes, bz2, lzma, fcntl, pwd\nssl.create_default_context()\nreturn name"
    ),
    "unknown packages can be imported": (
        "import numpy as np\nfrom a.b.c import d\nfor x in np.arange(3).mean() + d(1): pass\n"
        "return name"
    ),
    "unknown exceptions can be caught": (
        "from a import SomeError\ntry:\n    raise SomeError('x')\n"
        "except SomeError:\n    return name"
    ),
    "data classes and named tuples are made": (
        "import dataclasses, collections\nP = collections.namedtuple('P', 'a b')\n"
        "@dataclasses.dataclass\nclass D:\n    a: str\nreturn P(D(name).a, 1).a"
    ),
    "literals and harmless code are evaluated": "assert eval('1 + 1') == 2\nreturn name",
    "queries find a row": (
        "import sqlite3\nrow = sqlite3.connect('a').execute('SELECT 1').fetchone()\n"
        "return name + str(row[0])"
    ),
    "regular expressions keep their meaning": (
        "import re\nassert re.compile('b+').sub('c', 'abb') == 'ac'\n"
        "assert re.fullmatch(re.compile('[a-z]+'), name)\nreturn name"
    ),
}


@pytest.mark.parametrize("body", FILES.values(), ids=FILES.keys())
def test_code_gets_past_the_stand_ins(harness: Guest, body: str) -> None:
    assert f"{TOKEN}a" in returned(harness, body)


SINKS = {
    "shell": "import subprocess\nsubprocess.run('ls ' + name, shell=True)",
    "argv": "import subprocess\nsubprocess.run(['ls', name])",
    "path": "import shutil\nshutil.copy(name, '/tmp/x')",
    "url": "import urllib.request\nurllib.request.urlopen('http://example.com/' + name)",
    "sql": "import sqlite3\nsqlite3.connect('a').executescript('DELETE FROM ' + name)",
    "code": "compile(name, 'x', 'exec')",
    "object": "import pickle\npickle.loads(name.encode())",
    "import": "__import__(name)",
    "log": "import logging\nlogging.getLogger('a').error('x %s', name)",
    "template": "from jinja2 import Environment\nEnvironment().from_string('a' + name).render()",
    "xml": "from lxml import etree\netree.fromstring(name)",
    "ldap": "import ldap3\nldap3.Connection('s').search('dc=a', '(cn=' + name + ')')",
    "nosql": "import pymongo\npymongo.MongoClient().a.b.find_one({'n': name})",
    "pattern": "import re\nre.search(name, 'x')",
    "salt": "import hashlib\nhashlib.pbkdf2_hmac('sha256', name.encode(), b's', 100000)",
    "hash": "import hashlib\nhashlib.md5(name.encode())",
}


@pytest.mark.parametrize(("kind", "body"), SINKS.items())
def test_every_kind_of_sink_tells_whose_data_it_got(harness: Guest, kind: str, body: str) -> None:
    code = "def f(name):\n" + "".join(f"    {line}\n" for line in body.split("\n"))

    reached = [args for args in told(run(harness, code), "sink") if args[0] == kind]

    assert reached and 0 in reached[0][4], f"no {kind} with data of the first source"
    assert 2 <= reached[0][2] <= 3


ENTRIES = {
    "flask": (
        "import os\nfrom flask import Flask, request\napp = Flask(__name__)\n"
        "@app.route('/<int:n>')\ndef x(n):\n    os.system(request.form['a'])\n    return ''\n"
    ),
    "a factory": (
        "import os\nfrom flask import Flask, request\ndef create_app():\n    app = Flask('x')\n"
        "    @app.get('/')\n    def x():\n        os.system(request.args.get('a'))\n"
        "    return app\n"
    ),
    "fastapi with a model": (
        "import os\nfrom fastapi import FastAPI\nfrom pydantic import BaseModel\napp = FastAPI()\n"
        "class Item(BaseModel):\n    name: str\n@app.post('/')\nasync def x(item: Item):\n"
        "    os.system(item.name)\n"
    ),
    "django": "import os\ndef view(request, pk):\n    os.system(request.POST['a'])\n",
    "aiohttp": (
        "import os\nfrom aiohttp import web\nasync def x(request):\n"
        "    data = await request.json()\n    os.system(data['a'])\n"
        "    return web.Response(text='')\n"
    ),
    "tornado": (
        "import os, tornado.web\nclass X(tornado.web.RequestHandler):\n    def get(self):\n"
        "        os.system(self.get_argument('a'))\n"
    ),
    "http.server": (
        "import os\nfrom http.server import BaseHTTPRequestHandler\n"
        "class X(BaseHTTPRequestHandler):\n    def do_GET(self):\n        os.system(self.path)\n"
    ),
    "click": (
        "import os, click\n@click.command()\n@click.argument('name')\ndef x(name):\n"
        "    os.system(name)\nif __name__ == '__main__':\n    x()\n"
    ),
    "argparse": (
        "import os, argparse\np = argparse.ArgumentParser()\np.add_argument('a')\n"
        "os.system(p.parse_args().a)\n"
    ),
    "input": "import os\nos.system(input('name? '))\n",
    "environment": "import os\nos.system(os.environ['TARGET'])\n",
    "a class": (
        "import os\nclass A:\n    def __init__(self, name: str):\n        self.name = name\n"
        "    def run(self):\n        os.system(self.name)\n"
    ),
    "a coroutine": "import os\nasync def f(name):\n    os.system(name)\n",
    "a generator": "import os\ndef f(name):\n    yield os.system(name)\n",
}


@pytest.mark.parametrize("code", ENTRIES.values(), ids=ENTRIES.keys())
def test_all_kinds_of_entry_points_are_called(harness: Guest, code: str) -> None:
    outcome = run(harness, code)

    assert any(kind == "shell" and TOKEN in text for kind, _, text in sinks(outcome))


PAGES = {
    "a text of flask is markup": (
        "from flask import Flask, request\napp = Flask('x')\n@app.get('/')\n"
        "def f():\n    return '<b>' + request.args['a']\n",
        True,
    ),
    "a text of fastapi is JSON": (
        "from fastapi import FastAPI\napp = FastAPI()\n@app.get('/')\n"
        "def f(a: str):\n    return '<b>' + a\n",
        False,
    ),
    "a text of fastapi is markup if it is said so": (
        "from fastapi import FastAPI\nfrom fastapi.responses import HTMLResponse\n"
        "app = FastAPI()\n@app.get('/', response_class=HTMLResponse)\n"
        "def f(a: str):\n    return '<b>' + a\n",
        True,
    ),
    "a response of aiohttp is plain text": (
        "from aiohttp import web\nasync def f(request):\n"
        "    return web.Response(text='<b>' + request.query['a'])\n",
        False,
    ),
    "a response of django is markup": (
        "from django.http import HttpResponse\ndef f(request):\n"
        "    return HttpResponse('<b>' + request.GET['a'])\n",
        True,
    ),
}


@pytest.mark.parametrize(("code", "page"), PAGES.values(), ids=PAGES.keys())
def test_answers_are_markup_where_the_framework_sends_them_so(
    harness: Guest, code: str, page: bool
) -> None:
    outcome = run(harness, code)

    assert any(kind == "page" for kind, _, _ in sinks(outcome)) is page


HOSTILE = {
    "exit": "import sys\nsys.exit(3)\n",
    "hard exit": "import os\ndef f(name):\n    os._exit(1)\n",
    "endless": "def f(name):\n    while True:\n        pass\n",
    "cleared modules": "import sys\nsys.modules.clear()\ndef f(name):\n    return name\n",
    "printing": "def f(name):\n    while True:\n        print('x' * 1000)\n",
    "lone surrogates": "def f(name):\n    return name + '\\ud800'\n",
    "nul in a path": "def f(name):\n    return open(name + '\\0')\n",
    "texts that raise": (
        "class A:\n    def __str__(self):\n        raise RuntimeError\n"
        "def f(name):\n    return [A(), name]\n"
    ),
    "waiting for ever": "import asyncio\nasync def f(name):\n    await asyncio.Event().wait()\n",
    "nested lists": (
        "def f(name):\n    a = [name]\n    for _ in range(9000):\n        a = [a]\n    return a\n"
    ),
}


@pytest.mark.parametrize("code", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_code_does_not_keep_the_harness_from_its_end(harness: Guest, code: str) -> None:
    outcome = run(harness, code)

    assert outcome.ended == "exited" and outcome.finished
    assert told(outcome, "done") == [()]


def test_events_are_few_and_short_however_much_happens(harness: Guest) -> None:
    code = "import os\ndef f(name):\n    for _ in range(900):\n        os.system(name * 900)\n"

    outcome = run(harness, code, "shell")

    own = [event for event in outcome.events if not event.trusted]
    assert len(own) <= 2_000
    assert all(len(json.dumps([event.kind, *event.args])) <= 2_048 for event in own)
    assert outcome.malformed == 0


@pytest.mark.parametrize("name", ["harness", "recording", "world", "driver", "sources"])
def test_a_snippet_cannot_import_the_harness(harness: Guest, name: str) -> None:
    code = f"import {name}\ndef f(x):\n    return x + str({name}.make_recorder)\n"

    texts = [text for kind, _, text in sinks(run(harness, code, "return")) if kind == "return"]

    assert texts and "function" not in texts[0]


def test_an_ordinary_probe_costs_little_fuel(harness: Guest) -> None:
    code = "import os\ndef ping(host):\n    return os.system('ping -c 1 ' + host)\n"

    assert run(harness, code, "shell").fuel_used < 10_000_000
