"""Untrusted text followed through every way that Python has to move it."""

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.conversation import Snippet

HEAD = "import os, subprocess, sqlite3, functools, shlex, pickle\nfrom flask import request\n"

WAYS = {
    "alias": ('run = os.system\ndef f():\n    run(request.args["a"])'),
    "alias eval": ('e = eval\ndef f():\n    e(request.args["a"])'),
    "getattr": ('def f():\n    getattr(os, "system")(request.args["a"])'),
    "__import__": ('def f():\n    __import__("os").system(request.args["a"])'),
    "import_module": (
        'import importlib\ndef f():\n    importlib.import_module("os").system(request.args["a"])'
    ),
    "star import": ('from os import *\ndef f():\n    system(request.args["a"])'),
    "partial": (
        'def f():\n    g = functools.partial(subprocess.run, shell=True)\n    g(request.args["a"])'
    ),
    "kwargs dict": (
        'def f():\n    opts = {"shell": True}\n    subprocess.run(request.args["a"], **opts)'
    ),
    "compile": ('def f():\n    exec(compile(request.args["a"], "x", "exec"))'),
    "builtins": ('import builtins\ndef f():\n    builtins.eval(request.args["a"])'),
    "globals": ('def f():\n    globals()["eval"](request.args["a"])'),
    "dict of functions": ('T = {"run": os.system}\ndef f():\n    T["run"](request.args["a"])'),
    "class attr": (
        'class A:\n    runner = os.system\n    def f(self):\n        self.runner(request.args["a"])'
    ),
    "global var": (
        'cmd = ""\n'
        "def a():\n"
        "    global cmd\n"
        '    cmd = request.args["a"]\n'
        "    b()\n"
        "def b():\n"
        "    os.system(cmd)"
    ),
    "nested func": (
        'def f():\n    x = request.args["a"]\n    def g():\n        os.system(x)\n    g()'
    ),
    "yield": (
        "def gen():\n"
        '    yield request.args["a"]\n'
        "def f():\n"
        "    for x in gen():\n"
        "        os.system(x)"
    ),
    "list append": (
        "def f():\n"
        '    parts = ["ls"]\n'
        '    parts.append(request.args["a"])\n'
        '    os.system(" ".join(parts))'
    ),
    "dict set": ('def f():\n    d = {}\n    d["c"] = request.args["a"]\n    os.system(d["c"])'),
    "dict loop": ("def f():\n    for k, v in request.args.items():\n        os.system(v)"),
    "tuple": ('def f():\n    a, b = request.args["a"], 1\n    os.system(a)'),
    "star unpack": ('def f():\n    a, *b = request.args["a"].split()\n    os.system(b[0])'),
    "try": (
        "def f():\n"
        "    try:\n"
        '        x = request.args["a"]\n'
        "    except KeyError:\n"
        '        x = "b"\n'
        "    finally:\n"
        "        pass\n"
        "    os.system(x)"
    ),
    "with": (
        'def f():\n    with open("a") as fh:\n        x = request.args["a"]\n    os.system(x)'
    ),
    "format_map": ('def f():\n    os.system("ls {a}".format_map(request.args))'),
    "format **": ('def f():\n    os.system("ls {a}".format(**request.args))'),
    "locals": ('def f():\n    a = request.args["a"]\n    os.system("ls {a}".format(**locals()))'),
    "template": (
        "import string\n"
        "def f():\n"
        '    os.system(string.Template("ls $a").substitute(a=request.args["a"]))'
    ),
    "bytes": ('def f():\n    os.system(("ls " + request.args["a"]).encode())'),
    "reduce": (
        'def f():\n    os.system(functools.reduce(lambda a, b: a + b, [request.args["a"], "x"]))'
    ),
    "map": ('def f():\n    list(map(os.system, [request.args["a"]]))'),
    "thread": (
        "import threading\n"
        "def f():\n"
        '    threading.Thread(target=os.system, args=(request.args["a"],)).start()'
    ),
    "executor": ('def f(pool):\n    pool.submit(os.system, request.args["a"])'),
    "to_thread": (
        'import asyncio\nasync def f():\n    await asyncio.to_thread(os.system, request.args["a"])'
    ),
    "decorated": (
        "def retry(fn):\n"
        "    def inner(*a, **k):\n"
        "        return fn(*a, **k)\n"
        "    return inner\n"
        "@retry\n"
        "def run(c):\n"
        "    os.system(c)\n"
        "def f():\n"
        '    run(request.args["a"])'
    ),
    "property": (
        "class R:\n"
        "    def __init__(self, c):\n"
        "        self._c = c\n"
        "    @property\n"
        "    def cmd(self):\n"
        '        return "ls " + self._c\n'
        "def f():\n"
        '    os.system(R(request.args["a"]).cmd)'
    ),
    "dataclass": (
        "from dataclasses import dataclass\n"
        "@dataclass\n"
        "class R:\n"
        "    cmd: str\n"
        "def f():\n"
        '    r = R(request.args["a"])\n'
        "    os.system(r.cmd)"
    ),
    "inherit": (
        "class B:\n"
        "    def run(self, c):\n"
        "        os.system(c)\n"
        "class C(B):\n"
        "    def f(self):\n"
        '        self.run(request.args["a"])'
    ),
    "super": (
        "class B:\n"
        "    def run(self, c):\n"
        "        os.system(c)\n"
        "class C(B):\n"
        "    def run(self, c):\n"
        '        super().run("x " + c)\n'
        "def f():\n"
        '    C().run(request.args["a"])'
    ),
    "static": (
        "class B:\n"
        "    @staticmethod\n"
        "    def run(c):\n"
        "        os.system(c)\n"
        "def f():\n"
        '    B.run(request.args["a"])'
    ),
    "classmethod": (
        "class B:\n"
        "    @classmethod\n"
        "    def run(cls, c):\n"
        "        os.system(c)\n"
        "def f():\n"
        '    B.run(request.args["a"])'
    ),
    "while": (
        'def f():\n    x = ""\n    while True:\n        os.system(x)\n        x = request.args["a"]'
    ),
    "conditional def": (
        "def f():\n"
        '    if request.args.get("a"):\n'
        '        c = request.args["a"]\n'
        "    else:\n"
        '        c = "ls"\n'
        "    os.system(c)"
    ),
    "ternary": ('def f():\n    os.system("ls" if not request.args else request.args["a"])'),
    "or": ('def f():\n    os.system(request.args.get("a") or "ls")'),
    "aug": ('def f():\n    c = "ls "\n    c += request.args["a"]\n    os.system(c)'),
    "slice assign": ('def f():\n    c = ["a"]\n    c[0] = request.args["a"]\n    os.system(c[0])'),
    "comprehension": ('def f():\n    [os.system(x) for x in request.args.getlist("a")]'),
    "walrus": ('def f():\n    if (c := request.args.get("a")):\n        os.system(c)'),
    "json loads": (
        'import json\ndef f():\n    d = json.loads(request.data)\n    os.system(d["c"])'
    ),
    "b64": ('import base64\ndef f():\n    os.system(base64.b64decode(request.args["a"]).decode())'),
    "self field": (
        "class V:\n"
        "    def load(self):\n"
        '        self.c = request.args["a"]\n'
        "        self.go()\n"
        "    def go(self):\n"
        "        os.system(self.c)"
    ),
    "setattr obj": (
        'class O: pass\ndef f():\n    o = O()\n    o.c = request.args["a"]\n    os.system(o.c)'
    ),
    "async for": ("async def f(ws):\n    async for m in request.content:\n        os.system(m)"),
    "shell kw var": ('def f():\n    s = True\n    subprocess.run(request.args["a"], shell=s)'),
    "popen list shell": (
        'def f():\n    subprocess.Popen(["/bin/sh", "-c", "ls " + request.args["a"]])'
    ),
    "env": ('def f():\n    subprocess.run("ls $X" + request.args["a"], shell=True, env={})'),
    "match": ('def f():\n    match request.args["a"]:\n        case c:\n            os.system(c)'),
    "sorted": (
        'def f():\n    for x in sorted(set(request.args.getlist("a"))):\n        os.system(x)'
    ),
    "zip": ('def f():\n    for x, y in zip(request.args.getlist("a"), [1]):\n        os.system(x)'),
    "chain": (
        "import itertools\n"
        "def f():\n"
        '    for x in itertools.chain(request.args.getlist("a")):\n'
        "        os.system(x)"
    ),
    "partial guard": (
        'def f():\n    a = request.args["a"]\n    if a in ("x",):\n        pass\n    os.system(a)'
    ),
    "stale check": (
        "def f():\n"
        '    a = request.args["a"]\n'
        '    if a not in ("x",):\n'
        "        return\n"
        '    a = request.args["b"]\n'
        "    os.system(a)"
    ),
}


@pytest.mark.parametrize("code", WAYS.values(), ids=WAYS)
def test_the_request_reaches_the_sink(code: str) -> None:
    findings = find(Snippet(code=HEAD + code, language="python", origin="fence"))

    assert [finding for finding in findings if finding.cwe in (78, 88, 95) and finding.score >= 0.5]
