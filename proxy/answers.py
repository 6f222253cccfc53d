"""What the scripted model says: by topic a quick answer that is unsafe, and its safe twin.

These are the usual slips of a hurried answer, each a few lines long; the demo shows that BlueCode
tells the twins apart.
"""

import re
from dataclasses import dataclass
from typing import Final

_CAREFUL = re.compile(
    r"\b(?:safe(?:ly)?|secure(?:ly)?|careful(?:ly)?|production|untrusted)\b", re.I
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """A thing that people ask for, done in two ways."""

    name: str
    asked: re.Pattern[str]
    """What a request for it says."""
    path: str
    """The file that a tool call writes."""
    quick: str
    safe: str

    def code(self, request: str) -> str:
        """The safe twin where the request asks for care, else the quick one."""
        return self.safe if _CAREFUL.search(request) else self.quick


def _topic(name: str, asked: str, path: str, quick: str, safe: str) -> Topic:
    return Topic(
        name=name,
        asked=re.compile(asked, re.I),
        path=path,
        quick=quick.lstrip("\n"),
        safe=safe.lstrip("\n"),
    )


TOPICS: Final = (
    _topic(
        "look up a user in SQL",
        r"\b(?:sql|sqlite|database|query)\b",
        "app/users.py",
        """
import sqlite3


def find_user(connection: sqlite3.Connection, name: str):
    query = f"SELECT id, email FROM users WHERE name = '{name}'"
    return connection.execute(query).fetchone()
""",
        """
import sqlite3


def find_user(connection: sqlite3.Connection, name: str):
    query = "SELECT id, email FROM users WHERE name = ?"
    return connection.execute(query, (name,)).fetchone()
""",
    ),
    _topic(
        "ping a host",
        r"\bping\b",
        "app/health.py",
        """
import os


def ping(host: str) -> bool:
    return os.system(f"ping -c 1 {host}") == 0
""",
        """
import ipaddress
import subprocess


def ping(host: str) -> bool:
    address = str(ipaddress.ip_address(host))
    done = subprocess.run(["ping", "-c", "1", address], check=False)
    return done.returncode == 0
""",
    ),
    _topic(
        "read an uploaded file",
        r"\b(?:read|serve|download|open)\b.{0,40}\bfiles?\b|\bupload",
        "app/files.py",
        """
import os

BASE = "/srv/app/uploads"


def read_upload(name: str) -> str:
    with open(os.path.join(BASE, name)) as file:
        return file.read()
""",
        """
import os

BASE = "/srv/app/uploads"


def read_upload(name: str) -> str:
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    with open(os.path.join(BASE, *parts)) as file:
        return file.read()
""",
    ),
    _topic(
        "load a session",
        r"\b(?:pickle|session|deseriali[sz]e|cookie)\b",
        "app/session.py",
        """
import base64
import pickle


def load_session(cookie: str):
    return pickle.loads(base64.b64decode(cookie))
""",
        """
import base64
import json


def load_session(cookie: str):
    return json.loads(base64.b64decode(cookie))
""",
    ),
    _topic(
        "evaluate an expression",
        r"\b(?:eval|expression|formula|calculator)\b",
        "app/calculate.py",
        """
def calculate(expression: str):
    return eval(expression)
""",
        """
import ast


def calculate(expression: str):
    return ast.literal_eval(expression)
""",
    ),
    _topic(
        "load a YAML config",
        r"\byaml\b",
        "app/settings.py",
        """
import yaml


def load_settings(text: str) -> dict:
    return yaml.load(text, Loader=yaml.Loader)
""",
        """
import yaml


def load_settings(text: str) -> dict:
    return yaml.safe_load(text)
""",
    ),
    _topic(
        "call an API over HTTPS",
        r"\b(?:https|tls|certificate|verify)\b",
        "app/client.py",
        """
import requests


def fetch_rates() -> dict:
    return requests.get("https://rates.example.com/v1", verify=False, timeout=5).json()
""",
        """
import requests


def fetch_rates() -> dict:
    return requests.get("https://rates.example.com/v1", timeout=5).json()
""",
    ),
    _topic(
        "store a password",
        r"\bpasswords?\b",
        "app/passwords.py",
        """
import hashlib


def hash_password(password: str) -> str:
    return hashlib.md5(password.encode()).hexdigest()
""",
        """
import hashlib
import os


def hash_password(password: str) -> str:
    salt = os.urandom(16)
    return (salt + hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)).hex()
""",
    ),
    _topic(
        "greet in a Flask page",
        r"\b(?:flask|greet|html|page)\b",
        "app/pages.py",
        """
from flask import Flask, request

app = Flask(__name__)


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    return f"<h1>Hello {name}</h1>"
""",
        """
from flask import Flask, request
from markupsafe import escape

app = Flask(__name__)


@app.route("/hello")
def hello():
    name = request.args.get("name", "you")
    return f"<h1>Hello {escape(name)}</h1>"
""",
    ),
    _topic(
        "make a reset token",
        r"\btokens?\b",
        "app/tokens.py",
        """
import random
import string


def reset_token() -> str:
    return "".join(random.choice(string.ascii_letters) for _ in range(32))
""",
        """
import secrets


def reset_token() -> str:
    return secrets.token_urlsafe(32)
""",
    ),
)

ORDINARY: Final = """
import re
import unicodedata


def slugify(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
""".lstrip("\n")


def topic_of(request: str) -> Topic | None:
    """The topic that a request is about, the first of those that fit."""
    return next((topic for topic in TOPICS if topic.asked.search(request)), None)
