"""Kinds of weakness in few lines: what each rule must match, and the near miss it must not."""

import textwrap

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.conversation import Snippet


def rules(code: str) -> set[str]:
    snippet = Snippet(code=textwrap.dedent(code), language="python", origin="fence")
    return {item.rule.removeprefix("python.") for item in find(snippet) if item.score >= 0.5}


MATCHED = {
    "quoted, then put between quotation marks": (
        "command_injection",
        """
        import os, shlex
        def look(pattern):
            quoted = shlex.quote(pattern)
            os.system(f"find . -name '{quoted}' -print")
        """,
    ),
    "quoted once for two shells": (
        "command_injection",
        """
        import shlex, subprocess
        def look(host, folder):
            subprocess.run(f'ssh {shlex.quote(host)} "ls {shlex.quote(folder)}"', shell=True)
        """,
    ),
    "name beside a number that is written out": (
        "command_injection",
        """
        import os
        def copy(name, position):
            number = int(position)
            os.system("cp " + name + " out/" + str(number))
        """,
    ),
    "names beside their places in a list": (
        "xss",
        """
        from django.http import HttpResponse
        def page(items):
            out = ""
            for place in range(len(items)):
                out += "<li id=" + str(place) + ">" + items[place] + "</li>"
            return HttpResponse(out)
        """,
    ),
    "name in front of a number in another base": (
        "command_injection",
        """
        import os
        def run(name, position):
            os.system(name + hex(int(position)))
        """,
    ),
    "objects out of a record of Django's": (
        "unsafe_deserialization",
        """
        import pickle
        from .models import Draft
        def restore(user):
            draft = Draft.objects.filter(owner=user).latest("saved")
            return pickle.loads(draft.state)
        """,
    ),
    "command out of a record of SQLAlchemy's": (
        "command_injection",
        """
        import os
        from .models import Picture
        def shrink(number):
            picture = Picture.query.filter_by(number=number).first_or_404()
            os.system("mogrify -resize 50% uploads/" + picture.title)
        """,
    ),
    "checked, then decoded": (
        "path_traversal",
        """
        from urllib.parse import unquote
        def show(page):
            if ".." in page or page.startswith("/"):
                raise ValueError
            return open("/srv/pages/" + unquote(page)).read()
        """,
    ),
    "escaped, then unescaped": (
        "xss",
        """
        import html
        from flask import request
        def show():
            name = html.unescape(html.escape(request.args["name"]))
            return f"<b>{name}</b>"
        """,
    ),
    "folded over": (
        "code_injection",
        """
        from functools import reduce
        def apply(steps, value):
            return reduce(lambda made, step: eval(f"made {step}"), steps, value)
        """,
    ),
    "hash of a method that sets passwords": (
        "weak_password_hash",
        """
        import hashlib
        class Account:
            def set_password(self, raw):
                self.digest = hashlib.sha256(raw.encode()).hexdigest()
        """,
    ),
    "generator of passwords": (
        "weak_random",
        """
        import random
        class PasswordMaker:
            def make(self):
                return "".join(random.choice("abcdef") for _ in range(12))
        """,
    ),
    "mode of a path that is a parameter": (
        "loose_permissions",
        """
        from pathlib import Path
        def share(path: Path):
            path.chmod(0o666)
        """,
    ),
    "secret in an ordinary file": (
        "loose_permissions",
        """
        def save_private_key(path, key):
            with open(path, "wb") as file:
                file.write(key)
        """,
    ),
    "secret in a path's file": (
        "loose_permissions",
        """
        from pathlib import Path
        def store_credentials(text):
            Path("credentials.ini").write_text(text)
        """,
    ),
    "secret in a file of the default mode": (
        "loose_permissions",
        """
        import os
        def write_secret(path, data):
            handle = os.open(path, os.O_CREAT | os.O_WRONLY)
            os.write(handle, data)
        """,
    ),
    "fields of a payload": (
        "mass_assignment",
        """
        def change(member, payload):
            for name, value in payload.items():
                setattr(member, name, value)
        """,
    ),
    "record of a form": (
        "mass_assignment",
        """
        from flask import request
        def create():
            return Member(**request.form)
        """,
    ),
    "markdown in a page": (
        "xss",
        """
        import markdown
        from flask import request
        def preview():
            return markdown.markdown(request.form["text"])
        """,
    ),
    "engine of a fragment": (
        "autoescape_off",
        """
        def make(folder):
            return Environment(loader=FileSystemLoader(folder)).get_template("page.html")
        """,
    ),
    "listing of files": (
        "path_traversal",
        """
        import glob
        from flask import request
        def listing():
            return {"files": glob.glob(request.args["folder"] + "/*")}
        """,
    ),
    "short passwords": (
        "weak_password_rule",
        """
        def valid(password):
            return len(password) >= 6 and password.isalnum()
        """,
    ),
    "password in a file": (
        "secret_stored",
        """
        def register(name, password):
            with open("users.txt", "a") as file:
                file.write(f"{name}:{password}\\n")
        """,
    ),
    "password in a path's file": (
        "secret_stored",
        """
        from pathlib import Path
        def remember(password):
            Path("remembered").write_text(password)
        """,
    ),
    "parameter that says who wrote it": (
        "ssrf",
        """
        import requests
        def preview(user_url):
            return requests.get(user_url, timeout=3).text
        """,
    ),
    "parameter that says so of a pattern": (
        "regex_injection",
        """
        import re
        def grep(untrusted_pattern, lines):
            return [line for line in lines if re.search(untrusted_pattern, line)]
        """,
    ),
    "page of a server of its own": (
        "xss",
        """
        from http.server import BaseHTTPRequestHandler
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(f"<p>{self.path}</p>".encode())
        """,
    ),
    "address in the event of a function in the cloud": (
        "ssrf",
        """
        import json, urllib.request
        def handler(event, context):
            return urllib.request.urlopen(json.loads(event["body"])["image"]).read()
        """,
    ),
    "cipher that was put aside": (
        "weak_cipher",
        """
        from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
        def cipher(key):
            return TripleDES(key)
        """,
    ),
    "hash of old systems": (
        "weak_password_hash",
        """
        import crypt
        def keep(password):
            return crypt.crypt(password, "ab")
        """,
    ),
    "hash of passlib": (
        "weak_password_hash",
        """
        from passlib.hash import hex_sha1
        def keep(password):
            return hex_sha1.hash(password)
        """,
    ),
    "method without effort": (
        "weak_password_hash",
        """
        from werkzeug.security import generate_password_hash
        def keep(password):
            return generate_password_hash(password, method="sha256")
        """,
    ),
    "few rounds": (
        "weak_password_hash",
        """
        import bcrypt
        def keep(password):
            return bcrypt.hashpw(password, bcrypt.gensalt(4))
        """,
    ),
    "verification off in the environment": (
        "unverified_certificate",
        """
        import os
        os.environ["PYTHONHTTPSVERIFY"] = "0"
        """,
    ),
    "verification off by a keyword": (
        "unverified_certificate",
        """
        from elasticsearch import Elasticsearch
        search = Elasticsearch("https://search:9200", verify_certs=False)
        """,
    ),
    "any site with cookies": (
        "open_cors",
        """
        from flask_cors import CORS
        CORS(app, origins="*", supports_credentials=True)
        """,
    ),
    "any site with cookies, as middleware": (
        "open_cors",
        """
        from fastapi.middleware.cors import CORSMiddleware
        app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_credentials=True)
        """,
    ),
    "debugging in the settings": (
        "debug_enabled",
        """
        DEBUG = True
        ALLOWED_HOSTS = []
        INSTALLED_APPS = ["shop"]
        """,
    ),
    "token in a header": (
        "hardcoded_secret",
        """
        import requests
        HEADERS = {"Authorization": "Bearer 6cb75f652a9b52798eb6cf2201057c73"}
        """,
    ),
    "card in a log": (
        "secret_in_log",
        """
        import logging
        def pay(card_number, amount):
            logging.info("paying %s with %s", amount, card_number)
        """,
    ),
    "option of a program that runs commands": (
        "argument_injection",
        """
        import subprocess
        from flask import request
        def log():
            return subprocess.check_output(["git", "log", request.args["branch"]])
        """,
    ),
}

LEFT_ALONE = {
    "quoted twice for two shells": """
        import shlex, subprocess
        def look(host, folder):
            there = "ls " + shlex.quote(folder)
            subprocess.run(f"ssh {shlex.quote(host)} {shlex.quote(there)}", shell=True)
        """,
    "quoted behind a text in quotation marks": """
        import os, shlex
        def look(pattern):
            os.system("echo 'files:' && find . -name " + shlex.quote(pattern))
        """,
    "checked, quoted, then put between quotation marks": """
        import os, shlex
        def look(pattern):
            if not pattern.isalnum():
                raise ValueError
            os.system(f"find . -name '{shlex.quote(pattern)}'")
        """,
    "numbers that are written out": """
        import os
        def wait(position):
            number = int(position)
            os.system("sleep " + str(number) + " && beep -n " + str(number + 1) + hex(number))
        """,
    "sum that is written out": """
        from django.http import HttpResponse
        def total(first, second):
            return HttpResponse("<b>" + str(int(first) + int(second)) + "</b>")
        """,
    "values out of a record": """
        import json
        from .models import Draft
        def restore(user):
            draft = Draft.objects.filter(owner=user).latest("saved")
            return json.loads(draft.state)
        """,
    "quoted name out of a record": """
        import os, shlex
        from .models import Picture
        def shrink(number):
            picture = Picture.query.filter_by(number=number).first_or_404()
            os.system("mogrify -resize 50% uploads/" + shlex.quote(picture.title))
        """,
    "number of records": """
        import os
        from .models import Draft
        def tell(user):
            number = Draft.objects.filter(owner=user).count()
            os.system(f"notify-send 'drafts: {number}'")
            if Draft.objects.filter(owner=user).exists():
                os.system("notify-send drafts")
        """,
    "hash of a password in a file": """
        import bcrypt
        def register(name, password):
            with open("users.txt", "ab") as file:
                file.write(bcrypt.hashpw(password, bcrypt.gensalt()))
        """,
    "encrypted password in a file": """
        def register(name, encrypted_password):
            with open("users.txt", "a") as file:
                file.write(f"{name}:{encrypted_password}")
        """,
    "number of passwords in a file": """
        def report(passwords):
            with open("report.txt", "w") as file:
                file.write(str(len(passwords)))
        """,
    "parameter that says nothing": """
        import requests
        def preview(url):
            return requests.get(url, timeout=3).text
        """,
    "parameter with a model of a user": """
        import requests
        def avatar(user_model, client_name):
            return requests.get(user_model, timeout=3).content
        """,
    "answer that says it is no page": """
        import json
        from http.server import BaseHTTPRequestHandler
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps({"path": self.path}).encode())
        """,
    "settings of a test": """
        import pytest
        @pytest.fixture
        def client():
            return create_app({"TESTING": True, "WTF_CSRF_ENABLED": False}).test_client()
        """,
    "address of our own in an event": """
        import json, urllib.request
        def handler(event, context):
            name = json.loads(event["body"])["name"]
            return urllib.request.urlopen(f"https://img.example.org/{int(name)}").read()
        """,
    "hash with a strong salt": """
        import crypt
        def keep(password):
            return crypt.crypt(password, crypt.mksalt(crypt.METHOD_SHA512))
        """,
    "hash with effort": """
        from werkzeug.security import generate_password_hash
        import bcrypt
        def keep(password):
            return generate_password_hash(password), bcrypt.hashpw(password, bcrypt.gensalt(12))
        """,
    "verification on": """
        from elasticsearch import Elasticsearch
        search = Elasticsearch("https://search:9200", verify_certs=True)
        """,
    "one site with cookies": """
        from flask_cors import CORS
        CORS(app, origins=["https://app.example.org"], supports_credentials=True)
        """,
    "any site without cookies": """
        from flask_cors import CORS
        CORS(app)
        """,
    "debugging of a script": """
        DEBUG = True
        if DEBUG:
            print("starting")
        """,
    "placeholder in a header": """
        HEADERS = {"Authorization": "Bearer <your-token-goes-here>"}
        """,
    "header of a variable": """
        def headers(token):
            return {"Authorization": f"Bearer {token}"}
        """,
    "last digits in a log": """
        import logging
        def pay(card, amount):
            logging.info("paying %s with a card of %s", amount, card.issuer)
        """,
    "after the end of options": """
        import subprocess
        from flask import request
        def log():
            return subprocess.check_output(["git", "log", "--", request.args["path"]])
        """,
    "no option by a check": """
        import subprocess
        from flask import request, abort
        def log():
            branch = request.args["branch"]
            if branch.startswith("-"):
                abort(400)
            return subprocess.check_output(["git", "log", branch])
        """,
    "one of an enumeration": """
        from enum import Enum
        from fastapi import FastAPI
        app = FastAPI()
        class Column(str, Enum):
            name = "name"
            age = "age"
        @app.get("/")
        def listing(column: Column):
            return db.execute(f"select * from people order by {column.value}")
        """,
    "decoded, then checked": """
        from urllib.parse import unquote
        def show(page):
            page = unquote(page)
            if ".." in page or page.startswith("/"):
                raise ValueError
            return open("/srv/pages/" + page).read()
        """,
    "unescaped, then escaped": """
        import html
        from flask import request
        def show():
            return f"<b>{html.escape(html.unescape(request.args['name']))}</b>"
        """,
    "numbers folded over": """
        from functools import reduce
        def product(numbers):
            return reduce(lambda made, number: made * number, numbers, 1)
        """,
    "hash of a file": """
        import hashlib
        class Package:
            def set_checksum(self, raw):
                self.digest = hashlib.sha256(raw).hexdigest()
        """,
    "generator of colours": """
        import random
        class Palette:
            def make(self):
                return [random.randrange(256) for _ in range(3)]
        """,
    "mode for the owner": """
        from pathlib import Path
        def keep(path: Path):
            path.chmod(0o600)
        """,
    "secret in a file for the owner": """
        import os
        def save_private_key(path, key):
            with open(path, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(key)
        """,
    "secret in a file made for the owner": """
        import os
        def write_secret(path, data):
            handle = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
            os.write(handle, data)
        """,
    "secret that is read": """
        def load_private_key(path):
            with open(path, "rb") as file:
                return file.read()
        """,
    "options of one's own": """
        class Options:
            def __init__(self, **given):
                for name, value in given.items():
                    setattr(self, name, value)
        """,
    "fields of a known set": """
        FIELDS = ("name", "mail")
        def change(member, payload):
            for name in FIELDS:
                setattr(member, name, payload[name])
        """,
    "validated record": """
        from flask import request
        def create():
            return MemberSchema(**request.form).save()
        """,
    "cleaned markdown": """
        import bleach, markdown
        from flask import request
        def preview():
            return bleach.clean(markdown.markdown(request.form["text"]))
        """,
    "markdown of a tool": """
        import markdown
        def build(text):
            return markdown.markdown(text)
        """,
    "engine that escapes": """
        def make(folder):
            return Environment(loader=FileSystemLoader(folder), autoescape=True)
        """,
    "environment of another kind": """
        def make(name):
            return Environment(name)
        """,
    "longer passwords": """
        def valid(password):
            return len(password) >= 10
        """,
    "password that must be given": """
        def valid(password):
            return len(password) > 0
        """,
    "upper limit": """
        def valid(password):
            if len(password) > 72:
                raise ValueError
        """,
}


@pytest.mark.parametrize(("rule", "code"), MATCHED.values(), ids=MATCHED)
def test_it_is_claimed(rule: str, code: str) -> None:
    assert rule in rules(code)


@pytest.mark.parametrize("code", LEFT_ALONE.values(), ids=LEFT_ALONE)
def test_the_near_miss_is_left_alone(code: str) -> None:
    assert rules(code) == set()


PROSE = [
    'prompt(f"Select a {kind} from the list")',
    'notify(f"Update {kind} and set the alarm")',
    'screen.say(f"Use {kind} next time")',
    'menu.label(f"Show {kind} in the sidebar")',
    'dialog.ask("Delete from here on? " + kind)',
    'window.subtitle(f"Create table {kind} for two")',
    'log_line(f"execute program {kind}")',
]
STATEMENTS = [
    "handle(f\"SELECT name FROM people WHERE kind = '{kind}'\")",
    "handle(f\"select * from people where kind = '{kind}'\")",
    'handle("insert into people (kind) values (\'" + kind + "\')")',
    "handle(f\"UPDATE people SET kind = '{kind}'\")",
    "cursor.execute(f\"EXEC sp_find '{kind}'\")",
    "database.run(f\"show create table {kind} where x = '{kind}'\")",
]


@pytest.mark.parametrize("call", PROSE)
def test_words_that_sql_has_as_well_make_no_statement(call: str) -> None:
    assert rules(f"def go(kind):\n    {call}\n") == set()


@pytest.mark.parametrize("call", STATEMENTS)
def test_a_statement_is_one_whoever_gets_it(call: str) -> None:
    assert "sql_injection" in rules(f"def go(kind):\n    {call}\n")
