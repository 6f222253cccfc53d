"""What the Python checker believes: sources, ways of text, guards that hold and that do not."""

import ast
import textwrap
import time
from collections.abc import Sequence

import pytest

from bluecode.defenses.checkers.python import PythonChecker, find
from bluecode.defenses.checkers.python_entries import Walk, walk_module
from bluecode.defenses.checkers.python_rules import RULES
from bluecode.defenses.checkers.python_state import Run
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, DetectorError, Finding


def claims(code: str) -> Sequence[Finding]:
    snippet = Snippet(code=textwrap.dedent(code), language="python", origin="fence")
    return [finding for finding in find(snippet) if finding.score >= 0.5]


def rules(code: str) -> set[str]:
    return {finding.rule.removeprefix("python.") for finding in claims(code)}


HANDLER = """
import os, re, subprocess
from flask import Flask, request, abort
app = Flask(__name__)
ALLOWED = {{"a", "b"}}

@app.route("/")
def handler():
    value = request.args["value"]
{body}
    os.system("show " + value)
"""

GUARDS_THAT_HOLD = {
    "allow-list": "if value not in ALLOWED:\n    abort(400)",
    "allow-list in a tuple": 'if value not in ("x", "y"):\n    return "no"',
    "full match": 'if not re.fullmatch(r"[a-z]+", value):\n    raise ValueError',
    "anchored match": 'if not re.match(r"^[a-z0-9_]+$", value):\n    abort(400)',
    "compiled pattern": 'name = re.compile(r"\\w+")\nif not name.fullmatch(value):\n    abort(400)',
    "match kept in a variable": 'ok = re.fullmatch(r"\\w+", value)\nif not ok:\n    abort(400)',
    "alphabet": "if not value.isalnum():\n    abort(400)",
    "each character": 'if not all(c.isalnum() or c == "-" for c in value):\n    abort(400)',
    "equality": 'if value != "status":\n    abort(400)',
    "fallback": 'if value not in ALLOWED:\n    value = "a"',
    "conditional expression": 'value = value if value in ALLOWED else "a"',
    "number": "value = str(int(value))",
    "conversion that raises": 'try:\n    int(value)\nexcept ValueError:\n    return "no"',
    "mapping": 'value = {"x": "one", "y": "two"}.get(value, "one")',
    "assertion": "assert value in ALLOWED",
    "match statement": 'match value:\n    case "a" | "b":\n        pass\n    case _:\n'
    '        return ""',
    "quoting": "import shlex\nvalue = shlex.quote(value)",
    "substitution": 'value = re.sub(r"[^a-zA-Z0-9]", "", value)',
    "own check": "if not known(value):\n    abort(400)",
}

GUARDS_THAT_DO_NOT = {
    "no guard": "pass",
    "unanchored match": 'if not re.match(r"[a-z]+", value):\n    abort(400)',
    "search": 'if not re.search(r"[a-z]+$", value):\n    abort(400)',
    "pattern that lets all through": 'if not re.fullmatch(r".+", value):\n    abort(400)',
    "length": "if len(value) > 20:\n    abort(400)",
    "emptiness": 'if not value:\n    return ""',
    "block-list": 'if ";" in value:\n    abort(400)',
    "container of the client": 'if value not in request.args.getlist("all"):\n    abort(400)',
    "check without consequence": "if value not in ALLOWED:\n    print(1)",
    "check of a part": 'if value.split(":")[0] not in ALLOWED:\n    abort(400)',
    "escape for something else": "import html\nvalue = html.escape(value)",
    "strip": "value = value.strip().lower()",
    "one of two must hold": "if value not in ALLOWED and len(value) > 3:\n    abort(400)",
    "own check that checks nothing": "if not empty(value):\n    abort(400)",
}

OWN_CHECKS = """
def known(text):
    return text in ALLOWED


def empty(text):
    return len(text) > 0
"""


def with_guard(guard: str) -> str:
    return HANDLER.format(body=textwrap.indent(guard, "    ")) + OWN_CHECKS


@pytest.mark.parametrize("guard", GUARDS_THAT_HOLD.values(), ids=GUARDS_THAT_HOLD)
def test_a_guard_that_holds_silences_the_claim(guard: str) -> None:
    assert "command_injection" not in rules(with_guard(guard))


@pytest.mark.parametrize("guard", GUARDS_THAT_DO_NOT.values(), ids=GUARDS_THAT_DO_NOT)
def test_a_guard_that_does_not_hold_leaves_the_claim(guard: str) -> None:
    assert "command_injection" in rules(with_guard(guard))


WAYS = {
    "plus": '"show " + value',
    "f-string": 'f"show {value}"',
    "percent": '"show %s" % value',
    "percent mapping": '"show %(v)s" % {"v": value}',
    "format": '"show {}".format(value)',
    "format by name": '"show {v}".format(v=value)',
    "join": '" ".join(["show", value])',
    "list": '["show " + value][0]',
    "dictionary": '{"c": "show " + value}["c"]',
    "generator": '" ".join("show " + one for one in value.split(","))',
    "walrus": '(command := "show " + value)',
    "function": 'glue("show", value)',
    "lambda": '(lambda x: "show " + x)(value)',
    "method": "Builder(value).command()",
    "star": 'glue(*["show", value])',
    "keywords": 'glue(**{"first": "show", "second": value})',
    "conditional": 'value if flag else "x"',
    "slice": '"show " + value[1:]',
}

FLOW = """
import os
from flask import request

def glue(first, second):
    return first + " " + second

class Builder:
    def __init__(self, value):
        self.value = value

    def command(self):
        return "show " + self.value

def handler():
    value = request.args["value"]
    os.system({way})
"""


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_untrusted_text_is_followed(way: str) -> None:
    found = [f for f in claims(FLOW.format(way=way)) if f.rule == "python.command_injection"]

    assert found and found[0].score >= 0.9


HARMLESS_WAYS = {
    "length": '"show " + str(len(value))',
    "number format": '"show %d" % value',
    "number in an f-string": 'f"show {value:d}"',
    "constant": '"show all"',
    "comparison": 'f"show {value == 1}"',
    "constant branch": '"a" if value else "b"',
    "index into constants": '["a", "b"][int(value)]',
}


@pytest.mark.parametrize("way", HARMLESS_WAYS.values(), ids=HARMLESS_WAYS)
def test_what_cannot_carry_text_is_not_claimed(way: str) -> None:
    assert rules(FLOW.format(way=way)) == set()


SOURCES = {
    "flask": 'from flask import request\nimport os\ndef f():\n    os.system(request.form["a"])',
    "flask body": "import flask, os\ndef f():\n    os.system(flask.request.get_json()['a'])",
    "django": 'import os\ndef view(request):\n    os.system(request.POST.get("a"))',
    "fastapi": 'import os\n@app.get("/{a}")\ndef f(a: str):\n    os.system(a)',
    "starlette": 'import os\nasync def f(request):\n    os.system(request.query_params["a"])',
    "aiohttp": "import os\nasync def f(request):\n    data = await request.json()\n"
    '    os.system(data["a"])',
    "tornado": "import os\nclass A(RequestHandler):\n    def get(self):\n"
    '        os.system(self.get_argument("a"))',
    "http.server": "import os\nclass A(BaseHTTPRequestHandler):\n    def do_GET(self):\n"
    "        os.system(self.path)",
    "argv": "import os, sys\nos.system(sys.argv[1])",
    "input": "import os\nos.system(input())",
    "socket": "import os, socket\ns = socket.socket()\nos.system(s.recv(10).decode())",
    "parameter": "import os\ndef run(command):\n    os.system(command)",
    "unknown name": 'import os\nos.system("rm " + folder)',
}


@pytest.mark.parametrize("code", SOURCES.values(), ids=SOURCES)
def test_every_source_is_known(code: str) -> None:
    assert "command_injection" in rules(code)


def test_a_request_is_surer_than_a_parameter_and_a_parameter_than_an_unknown_name() -> None:
    scores = [claims(SOURCES[name])[0].score for name in ("unknown name", "parameter", "flask")]

    assert scores == sorted(scores) and len(set(scores)) == 3


def test_typed_route_parameters_are_numbers() -> None:
    code = """
        @app.get("/<int:item>")
        def show(item):
            connection.execute("SELECT * FROM items WHERE id = %s" % item)
    """

    assert rules(code) == set()


def test_a_helper_called_only_with_constants_is_not_claimed() -> None:
    code = """
        import os

        def _run(command):
            os.system(command)

        def clean():
            _run("make clean")
    """

    assert rules(code) == set()


def test_a_claim_in_a_helper_stands_at_the_sink() -> None:
    code = """\
        import os
        from flask import request

        def _run(command):
            os.system(command)

        def handler():
            _run("ls " + request.args["a"])
    """

    assert [finding.span for finding in claims(code)] == [(5, 5)]


QUIET = {
    "recursive fibonacci": "def fib(n):\n    return n if n < 2 else fib(n - 1) + fib(n - 2)",
    "read a file": "def read(path):\n    with open(path) as file:\n        return file.read()",
    "list arguments": 'import subprocess\ndef run(args):\n    subprocess.run(["git", *args])',
    "dice": "import random\ndef roll():\n    return random.randint(1, 6)",
    "shuffled cards": "import random\ndef deal(deck):\n    random.shuffle(deck)",
    "checksum": "import hashlib\ndef etag(content):\n    return hashlib.md5(content).hexdigest()",
    "environment secret": 'import os\nAPI_KEY = os.environ["API_KEY"]',
    "placeholder secret": 'API_KEY = "your-api-key-here"',
    "form field": 'password_field = "password"',
    "method called eval": "def score(model, data):\n    model.eval()\n    return model(data)",
    "sql without holes": 'def all(c):\n    c.execute("SELECT * FROM t")\n    return c.fetchall()',
    "query parameters": 'def one(c, n):\n    c.execute("SELECT * FROM t WHERE n = ?", (n,))',
    "logging": 'import logging\ndef f(x):\n    logging.info("got %s", x)',
    "request to a fixed host": "import requests\ndef get(n):\n"
    '    return requests.get(f"https://api.example.org/items/{n}")',
    "template rendering": 'from flask import render_template, request\n@app.route("/")\ndef f():\n'
    '    return render_template("a.html", name=request.args["name"])',
    "json answer": 'from flask import jsonify, request\n@app.route("/")\ndef f():\n'
    '    return jsonify(name=request.args["name"])',
    "regex": 'import re\ndef is_number(s):\n    return re.match(r"^-?\\d+(\\.\\d+)?$", s)',
}


@pytest.mark.parametrize("code", QUIET.values(), ids=QUIET)
def test_ordinary_code_is_left_alone(code: str) -> None:
    assert rules(code) == set()


def test_test_code_weighs_less() -> None:
    body = "(connection, name):\n    connection.execute(\"SELECT * FROM t WHERE n = '%s'\" % name)"

    assert "sql_injection" in rules("def find" + body)
    assert rules("def test_find" + body) == set()


async def test_a_finding_says_where_why_and_what_instead() -> None:
    code = "import os\ndef run(name):\n    os.system(\n        'rm ' + name\n    )\n"

    (finding,) = await PythonChecker().inspect(
        Snippet(code=code, language="python", origin="fence")
    )

    assert finding.category is Category.VULNERABLE_CODE
    assert (finding.rule, finding.cwe, finding.span) == ("python.command_injection", 78, (3, 5))
    assert "name" not in finding.reason and finding.reason.endswith(".") and finding.advice


def test_every_rule_is_complete() -> None:
    for name, rule in RULES.items():
        assert name.startswith("python.") and rule.cwe > 0
        assert rule.title and rule.reason.endswith(".") and rule.advice
        assert not rule.advice.endswith(".")


def test_code_that_hides_its_direction_is_claimed() -> None:
    assert "hidden_text_direction" in rules('allowed = "user\u202e \u2066# admin\u2069"\n')


@pytest.mark.parametrize("lines", [12_000, 60_000])
def test_code_that_is_too_large_is_not_called_clean(lines: int) -> None:
    code = "\n".join(f"x{i} = [y for y in range({i})]" for i in range(lines))

    with pytest.raises(DetectorError) as caught:
        claims(code)

    assert caught.value.unchecked == "partial"


@pytest.mark.parametrize("piece", ["(", "[", "-", "not ", "f("])
def test_deep_nesting_ends_in_time_and_never_crashes(piece: str) -> None:
    start = time.perf_counter()
    try:
        claims("x = " + piece * 5000 + "1")
    except DetectorError:
        pass

    assert time.perf_counter() - start < 5


def test_a_test_that_names_itself_is_walked_once() -> None:
    code = """
        def check(items, other):
            fine = True
            for item in items:
                fine = fine and item in other
            return fine
    """

    assert rules(code) == set()


def test_work_grows_with_length_not_faster() -> None:
    part = (
        "def f{i}(a, b):\n    if a:\n        b = f{i}(b, a)\n"
        "    return g(a, f'{{b}}', [a for a in b])\n"
    )

    def steps(count: int) -> int:
        run = Run(steps=1_000_000, walker=Walk())
        walk_module(run, ast.parse("".join(part.format(i=index) for index in range(count))))
        return 1_000_000 - run.steps

    assert steps(800) < 9 * steps(100)


TYPED = """
    def read(db, user_id: int):
        return db.execute(f"select name from users where id = {user_id}")
"""
ENFORCED = {
    "percent d": """
        def read(cursor, number):
            cursor.execute("select name from users where id = %d" % number)
    """,
    "annotation that nobody enforces": TYPED,
    "format specification": """
        def read(cursor, number):
            cursor.execute(f"delete from users where id = {number:d}")
    """,
}
CONVERTED = {
    "converted": """
        def read(cursor, number):
            cursor.execute("select name from users where id = %d" % int(number))
    """,
    "enforced by the framework": """
        from fastapi import FastAPI
        app = FastAPI()
        @app.get("/users/{user_id}")
        def read(user_id: int):
            return db.execute(f"select name from users where id = {user_id}")
    """,
    "checked": """
        def read(cursor, number: int):
            if not isinstance(number, int):
                raise TypeError
            cursor.execute(f"select name from users where id = {number}")
    """,
    "counted here": """
        def read(cursor, names):
            cursor.execute("select name from users limit %d" % len(names))
    """,
    "a parameter of the query": """
        def read(cursor, number: int):
            cursor.execute("select name from users where id = %s", (number,))
    """,
}


@pytest.mark.parametrize("code", ENFORCED.values(), ids=ENFORCED)
def test_numbers_formatted_into_sql_are_a_warning_and_no_more(code: str) -> None:
    assert [(f.rule, f.score) for f in claims(code)] == [("python.sql_formatting", 0.5)]


@pytest.mark.parametrize("code", CONVERTED.values(), ids=CONVERTED)
def test_numbers_that_are_sure_to_be_numbers_are_no_warning(code: str) -> None:
    assert rules(code) == set()


def test_statements_of_sql_are_no_commands_however_they_are_run() -> None:
    code = """
        def drop(connection, name):
            connection.exec_driver_sql(f"drop table {name}")
            connection.run(f"create database {name}")
    """

    assert "command_injection" not in rules(code)


def test_a_check_of_one_slice_says_nothing_of_another() -> None:
    code = """
        import os
        def run(text):
            if text[:2] not in ("ls", "df"):
                raise ValueError
            os.system("echo " + text[2:])
    """

    assert "command_injection" in rules(code)


def test_a_file_in_a_folder_is_the_callers_choice_where_both_are_parameters() -> None:
    code = """
        import os
        def save({}, filename, content):
            with open(os.path.join({}, filename), "w") as file:
                file.write(content)
    """

    assert rules(code.format("directory", "directory")) == set()
    assert rules(code.format("upload_root", "upload_root")) == {"path_traversal"}


ROUTE = """
from flask import Flask, request, session
app = Flask(__name__)

@app.post("/admin/members/<int:number>/remove")
{decorator}def remove(number{parameter}):
{body}    Member.query.filter_by(number=number).delete()
    db.session.commit()
    return "removed"
"""


def handler(*, decorator: str = "", parameter: str = "", body: str = "") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return ROUTE.format(decorator=decorator, parameter=parameter, body=lines)


def test_an_administrators_handler_that_asks_nobody_is_claimed() -> None:
    assert rules(handler()) == {"missing_authentication"}


@pytest.mark.parametrize(
    "code",
    [
        handler(decorator="@login_required\n"),
        handler(decorator='@roles.require("admin")\n'),
        handler(parameter=", user=Depends(get_current_user)"),
        handler(body='if not session.get("staff"):\n    abort(403)'),
        handler(body="if not request.user.is_staff:\n    return deny()"),
        handler(body="check_permission(request)"),
        handler() + "\n@app.before_request\ndef first():\n    check()\n",
        handler().replace("/admin/", "/team/").replace("remove", "join"),
        handler().replace("/admin/members/<int:number>/remove", "/admin/login"),
    ],
)
def test_a_handler_that_asks_or_need_not_ask_is_left_alone(code: str) -> None:
    assert rules(code) == set()


FIELDS_CHECKED = """
    FIELDS = {{"name", "mail"}}
    def find(cursor, fields):
        {check}
        columns = ", ".join(fields)
        cursor.execute("select " + columns + " from members where name = 'x'")
"""


@pytest.mark.parametrize(
    ("check", "holds"),
    [
        ("if not set(fields) <= FIELDS:\n            raise ValueError", True),
        ("if not FIELDS >= set(fields):\n            raise ValueError", True),
        ("if not set(fields).issubset(FIELDS):\n            raise ValueError", True),
        ("if not FIELDS.issuperset(fields):\n            raise ValueError", True),
        ("if not set(fields) >= FIELDS:\n            raise ValueError", False),
        ("if not len(fields) <= 4:\n            raise ValueError", False),
        ("pass", False),
    ],
)
def test_all_of_a_known_set_are_harmless(check: str, holds: bool) -> None:
    assert ("sql_injection" not in rules(FIELDS_CHECKED.format(check=check))) is holds
