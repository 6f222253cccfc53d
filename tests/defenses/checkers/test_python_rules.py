"""Every rule for Python: the least code that it must speak of, and the same done well."""

import textwrap

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.checkers.python_rules import RULES
from bluecode.defenses.conversation import Snippet

HEAD = "from flask import Flask, request\napp = Flask(__name__)\n"

CASES: dict[str, tuple[str, str]] = {
    "command_injection": (
        'import os\ndef f(name):\n    os.system("ls " + name)',
        'import subprocess\ndef f(name):\n    subprocess.run(["ls", "--", name])',
    ),
    "argument_injection": (
        'import subprocess\n@app.get("/")\ndef f():\n    subprocess.run([request.args["a"], "-v"])',
        'import subprocess\n@app.get("/")\ndef f():\n'
        '    subprocess.run(["ls", "--", request.args["a"]])',
    ),
    "sql_injection": (
        "def f(db, name):\n    db.execute(f\"SELECT a FROM t WHERE n = '{name}'\")",
        'def f(db, name):\n    db.execute("SELECT a FROM t WHERE n = ?", (name,))',
    ),
    "sql_formatting": (
        'def f(db, number: int):\n    db.execute(f"SELECT a FROM t WHERE n = {number}")',
        'def f(db, number: int):\n    db.execute("SELECT a FROM t WHERE n = ?", (number,))',
    ),
    "nosql_injection": (
        '@app.post("/")\ndef f():\n'
        '    return db.users.find_one({"name": request.json["name"]})',
        '@app.post("/")\ndef f():\n'
        '    return db.users.find_one({"name": str(request.json["name"])})',
    ),
    "code_injection": (
        "def f(text):\n    return eval(text)",
        "import ast\ndef f(text):\n    return ast.literal_eval(text)",
    ),
    "dynamic_import": (
        'import importlib\n@app.get("/")\ndef f():\n'
        '    return importlib.import_module(request.args["a"])',
        'import csv, json\n@app.get("/")\ndef f():\n'
        '    return {"csv": csv, "json": json}[request.args["a"]]',
    ),
    "template_injection": (
        'from flask import render_template_string\n@app.get("/")\ndef f():\n'
        '    return render_template_string("Hello " + request.args["a"])',
        'from flask import render_template_string\n@app.get("/")\ndef f():\n'
        '    return render_template_string("Hello {{ a }}", a=request.args["a"])',
    ),
    "format_injection": (
        '@app.get("/")\ndef f():\n    return request.args["a"].format(user=current_user)',
        '@app.get("/")\ndef f():\n    return "{user}".format(user=current_user.number)',
    ),
    "ldap_injection": (
        'def f(link, name):\n    return link.search_s("dc=x", 2, f"(uid={name})")',
        "from ldap.filter import escape_filter_chars\ndef f(link, name):\n"
        '    return link.search_s("dc=x", 2, f"(uid={escape_filter_chars(name)})")',
    ),
    "xpath_injection": (
        "from lxml import etree\ndef f(name):\n"
        "    return etree.parse(\"a.xml\").xpath(f\"//u[n='{name}']\")",
        "from lxml import etree\ndef f(name):\n"
        '    return etree.parse("a.xml").xpath("//u[n=$n]", n=name)',
    ),
    "xss": (
        '@app.get("/")\ndef f():\n    return f"<b>{request.args[\'a\']}</b>"',
        'import html\n@app.get("/")\ndef f():\n'
        "    return f\"<b>{html.escape(request.args['a'])}</b>\"",
    ),
    "autoescape_off": (
        "from jinja2 import Environment\npages = Environment(autoescape=False)",
        "from jinja2 import Environment\npages = Environment(autoescape=True)",
    ),
    "header_injection": (
        '@app.get("/")\ndef f():\n    answer = make_response("a")\n'
        '    answer.headers["X-Name"] = request.args["a"]\n    return answer',
        '@app.get("/")\ndef f():\n    answer = make_response("a")\n'
        '    answer.headers["X-Name"] = "a"\n    return answer',
    ),
    "log_injection": (
        'import logging\n@app.get("/")\ndef f():\n'
        '    logging.info("name: " + request.args["a"])\n    return "a"',
        'import logging\n@app.get("/")\ndef f():\n'
        '    logging.info("100 %% of %r for %s", request.args["a"], "b")\n    return "a"',
    ),
    "open_redirect": (
        'from flask import redirect\n@app.get("/")\ndef f():\n'
        '    return redirect(request.args["next"])',
        "from flask import redirect, url_for\n@app.get(\"/\")\ndef f():\n"
        '    return redirect(url_for("start"))',
    ),
    "weak_host_check": (
        "from urllib.parse import urlparse\ndef f(url):\n"
        '    if urlparse(url).netloc.endswith("example.com"):\n        return True',
        "from urllib.parse import urlparse\ndef f(url):\n"
        '    if urlparse(url).hostname == "example.com":\n        return True',
    ),
    "ssrf": (
        'import requests\n@app.get("/")\ndef f():\n'
        '    return requests.get(request.args["url"], timeout=3).text',
        'import requests\n@app.get("/")\ndef f():\n'
        '    return requests.get("https://example.com/", timeout=3).text',
    ),
    "mass_assignment": (
        '@app.post("/")\ndef f():\n    for name, value in request.json.items():\n'
        "        setattr(current_user, name, value)",
        '@app.post("/")\ndef f():\n    current_user.mail = request.json["mail"]',
    ),
    "regex_injection": (
        'import re\n@app.get("/")\ndef f():\n    return str(re.search(request.args["a"], TEXT))',
        'import re\n@app.get("/")\ndef f():\n'
        '    return str(re.search(re.escape(request.args["a"]), TEXT))',
    ),
    "slow_regex": (
        'import re\ndef f(text):\n    return re.match(r"^(a+)+$", text)',
        'import re\ndef f(text):\n    return re.match(r"^a+$", text)',
    ),
    "path_traversal": (
        '@app.get("/")\ndef f():\n    return open("/srv/" + request.args["a"]).read()',
        'from werkzeug.utils import secure_filename\n@app.get("/")\ndef f():\n'
        '    return open("/srv/" + secure_filename(request.args["a"])).read()',
    ),
    "archive_traversal": (
        'import tarfile\ndef f(upload):\n    tarfile.open(upload).extractall("/srv")',
        "import tarfile\ndef f(upload):\n"
        '    tarfile.open(upload).extractall("/srv", filter="data")',
    ),
    "unrestricted_upload": (
        'import os\n@app.post("/")\ndef f():\n    file = request.files["a"]\n'
        '    file.save(os.path.join("static", file.filename))',
        'import os, uuid\n@app.post("/")\ndef f():\n    file = request.files["a"]\n'
        '    file.save(os.path.join("static", f"{uuid.uuid4()}.bin"))',
    ),
    "unsafe_deserialization": (
        "import pickle\n@app.post(\"/\")\ndef f():\n    return pickle.loads(request.data)",
        "import json\n@app.post(\"/\")\ndef f():\n    return json.loads(request.data)",
    ),
    "xml_external_entity": (
        "from lxml import etree\ndef f(text):\n"
        "    return etree.fromstring(text, etree.XMLParser(resolve_entities=True))",
        "from lxml import etree\ndef f(text):\n"
        "    return etree.fromstring(text, etree.XMLParser(resolve_entities=False))",
    ),
    "temporary_file": (
        "import tempfile\ndef f():\n    return open(tempfile.mktemp(), 'w')",
        "import tempfile\ndef f():\n    return tempfile.NamedTemporaryFile('w')",
    ),
    "loose_permissions": (
        "import os\ndef f(path):\n    os.chmod(path, 0o777)",
        "import os\ndef f(path):\n    os.chmod(path, 0o600)",
    ),
    "race_condition": (
        "import os\ndef f(path):\n    if os.access(path, os.W_OK):\n"
        "        with open(path, 'w') as file:\n            file.write('a')",
        "import os\ndef f(path):\n    with open(path, 'x') as file:\n        file.write('a')",
    ),
    "weak_hash": (
        "import hashlib\ndef signature(data):\n    return hashlib.md5(data).hexdigest()",
        "import hashlib\ndef signature(data):\n    return hashlib.sha256(data).hexdigest()",
    ),
    "weak_password_hash": (
        "import hashlib\ndef f(password):\n"
        "    return hashlib.sha256(password.encode()).hexdigest()",
        "import bcrypt\ndef f(password):\n"
        "    return bcrypt.hashpw(password.encode(), bcrypt.gensalt())",
    ),
    "predictable_salt": (
        "import hashlib\ndef f(password):\n"
        '    return hashlib.pbkdf2_hmac("sha256", password, b"salt", 600_000)',
        "import hashlib, os\ndef f(password):\n"
        '    return hashlib.pbkdf2_hmac("sha256", password, os.urandom(16), 600_000)',
    ),
    "weak_cipher": (
        "from Crypto.Cipher import DES\ndef f(key):\n    return DES.new(key, DES.MODE_CBC)",
        "from Crypto.Cipher import AES\ndef f(key):\n    return AES.new(key, AES.MODE_GCM)",
    ),
    "fixed_key": (
        "from Crypto.Cipher import AES\ndef f(data):\n"
        '    return AES.new(b"0123456789abcdef", AES.MODE_GCM).encrypt(data)',
        "from Crypto.Cipher import AES\ndef f(key, data):\n"
        "    return AES.new(key, AES.MODE_GCM).encrypt(data)",
    ),
    "fixed_iv": (
        "from Crypto.Cipher import AES\ndef f(key, data):\n"
        '    return AES.new(key, AES.MODE_CBC, iv=b"0" * 16).encrypt(data)',
        "import os\nfrom Crypto.Cipher import AES\ndef f(key, data):\n"
        "    return AES.new(key, AES.MODE_CBC, iv=os.urandom(16)).encrypt(data)",
    ),
    "short_key": (
        "from Crypto.PublicKey import RSA\nkey = RSA.generate(1024)",
        "from Crypto.PublicKey import RSA\nkey = RSA.generate(3072)",
    ),
    "weak_random": (
        "import random\ndef make_token():\n    return str(random.randint(0, 10**9))",
        "import secrets\ndef make_token():\n    return secrets.token_urlsafe()",
    ),
    "unverified_certificate": (
        "import requests\ndef f(url):\n    return requests.get(url, verify=False, timeout=3)",
        "import requests\ndef f(url):\n    return requests.get(url, timeout=3)",
    ),
    "old_protocol": (
        "import ssl\ncontext = ssl.SSLContext(ssl.PROTOCOL_TLSv1)",
        "import ssl\ncontext = ssl.create_default_context()",
    ),
    "unverified_signature": (
        "import jwt\ndef f(token):\n"
        '    return jwt.decode(token, options={"verify_signature": False})',
        'import jwt\ndef f(token, key):\n    return jwt.decode(token, key, algorithms=["HS256"])',
    ),
    "timing_comparison": (
        "import hmac\ndef f(key, data, signature):\n"
        '    return hmac.new(key, data, "sha256").hexdigest() == signature',
        "import hmac\ndef f(key, data, signature):\n"
        '    return hmac.compare_digest(hmac.new(key, data, "sha256").hexdigest(), signature)',
    ),
    "hardcoded_secret": (
        'DB_PASSWORD = "hunter2-Zx81!"',
        'import os\nDB_PASSWORD = os.environ["DB_PASSWORD"]',
    ),
    "debug_enabled": ("app.run(debug=True)", "app.run()"),
    "insecure_cookie": (
        '@app.get("/")\ndef f():\n    answer = make_response("a")\n'
        '    answer.set_cookie("session", make_token(), secure=False, httponly=False)\n'
        "    return answer",
        '@app.get("/")\ndef f():\n    answer = make_response("a")\n'
        '    answer.set_cookie("session", make_token(), secure=True, httponly=True, '
        'samesite="Lax")\n    return answer',
    ),
    "missing_authentication": (
        '@app.post("/admin/users/delete")\ndef delete_user():\n'
        '    User.query.filter_by(id=request.form["id"]).delete()\n    return "gone"',
        '@app.post("/admin/users/delete")\n@admin_required\ndef delete_user():\n'
        '    User.query.filter_by(id=request.form["id"]).delete()\n    return "gone"',
    ),
    "missing_authorization": (
        '@app.post("/notes")\n@login_required\ndef add():\n    db.session.add(Note())\n'
        '    db.session.commit()\n    return "a"\n'
        '@app.post("/notes/<int:number>/delete")\ndef delete(number):\n'
        '    db.session.delete(Note.query.get(number))\n    db.session.commit()\n    return "a"',
        '@app.post("/notes")\n@login_required\ndef add():\n    db.session.add(Note())\n'
        '    db.session.commit()\n    return "a"\n'
        '@app.post("/notes/<int:number>/delete")\n@login_required\ndef delete(number):\n'
        '    db.session.delete(Note.query.get(number))\n    db.session.commit()\n    return "a"',
    ),
    "requester_ignored": (
        "def close_ticket(tickets, ticket_id, requester):\n"
        '    tickets[ticket_id]["open"] = False\n    return ticket_id',
        "def close_ticket(tickets, ticket_id, requester):\n"
        '    if tickets[ticket_id]["owner"] != requester:\n        return None\n'
        '    tickets[ticket_id]["open"] = False\n    return ticket_id',
    ),
    "authenticated_only": (
        "def grant_role(current_user, target, role):\n"
        '    """Only administrators may do this."""\n    if current_user is None:\n'
        '        raise PermissionError("log in")\n    target.roles.append(role)',
        "def grant_role(current_user, target, role):\n"
        '    """Only administrators may do this."""\n    if not current_user.is_admin:\n'
        '        raise PermissionError("no")\n    target.roles.append(role)',
    ),
    "sensitive_field_returned": (
        'def profile(user):\n    return {"name": user["name"], "ssn": user["ssn"]}',
        'def profile(user):\n    return {"name": user["name"], "since": user["since"]}',
    ),
    "unbounded_size": (
        '@app.get("/")\ndef f():\n    size = int(request.args["size"])\n    return bytes(size)',
        '@app.get("/")\ndef f():\n    size = int(request.args["size"])\n'
        "    return bytes(min(size, 4096))",
    ),
    "unsynchronised_state": (
        "class Wallet:\n    # several threads pay from it\n    def pay(self, price):\n"
        "        if self.left >= price:\n            self.left -= price",
        "class Wallet:\n    # several threads pay from it\n    def pay(self, price):\n"
        "        with self.lock:\n            if self.left >= price:\n"
        "                self.left -= price",
    ),
    "weak_password_rule": (
        "def valid(password):\n    return len(password) >= 4",
        "def valid(password):\n    return len(password) >= 12",
    ),
    "reflection": (
        '@app.get("/")\ndef f():\n    return getattr(tools, request.args["a"])()',
        '@app.get("/")\ndef f():\n    return tools.show(request.args["a"])',
    ),
    "csrf_disabled": (
        "from django.views.decorators.csrf import csrf_exempt\n@csrf_exempt\n"
        "def change(request):\n    request.user.mail = request.POST['mail']\n"
        "    request.user.save()",
        "def change(request):\n    request.user.mail = request.POST['mail']\n"
        "    request.user.save()",
    ),
    "error_disclosure": (
        'import traceback\n@app.get("/")\ndef f():\n    try:\n        return work()\n'
        "    except Exception:\n        return traceback.format_exc(), 500",
        'import logging\n@app.get("/")\ndef f():\n    try:\n        return work()\n'
        '    except Exception:\n        logging.exception("work")\n        return "sorry", 500',
    ),
    "secret_in_log": (
        'import logging\ndef f(user, password):\n    logging.info("login %s %s", user, password)',
        'import logging\ndef f(user, password):\n    logging.info("login %s", user)',
    ),
    "secret_stored": (
        "def register(name, password):\n    with open('users.txt', 'a') as file:\n"
        "        file.write(f'{name}:{password}')",
        "import bcrypt\ndef register(name, password):\n    with open('users.txt', 'ab') as file:\n"
        "        file.write(bcrypt.hashpw(password, bcrypt.gensalt()))",
    ),
    "plain_password": (
        'def check(users, name, password):\n    return users[name]["password"] == password',
        "import bcrypt\ndef check(users, name, password):\n"
        '    return bcrypt.checkpw(password, users[name]["password_hash"])',
    ),
    "cleartext_protocol": (
        "import telnetlib\ndef f(host):\n    return telnetlib.Telnet(host)",
        "import paramiko\ndef f(host):\n    client = paramiko.SSHClient()\n"
        "    client.load_system_host_keys()\n    client.connect(host)",
    ),
    "open_cors": (
        'from flask_cors import CORS\nCORS(app, origins="*", supports_credentials=True)',
        'from flask_cors import CORS\nCORS(app, origins=["https://example.com"], '
        "supports_credentials=True)",
    ),
    "config_listener": (
        "import logging.config\nthread = logging.config.listen(9999)",
        'import logging.config\nlogging.config.fileConfig("log.ini")',
    ),
    "remote_code_trusted": (
        "from transformers import AutoModel\n"
        'model = AutoModel.from_pretrained("a/b", trust_remote_code=True)',
        "from transformers import AutoModel\n"
        'model = AutoModel.from_pretrained("a/b", revision="4f1c0a2")',
    ),
    "protected_attribute": (
        "def approve(applicant):\n    if applicant.gender == 'female':\n        return False\n"
        "    return applicant.income > 30_000",
        "def approve(applicant):\n    return applicant.income > 30_000",
    ),
    "hidden_text_direction": (
        'allowed = "user\u202e \u2066# admin\u2069"\n',
        'allowed = "user  # admin"\n',
    ),
    "assertion_check": (
        "def f(user):\n    assert user.is_admin\n    return wipe()",
        "def f(user):\n    if not user.is_admin:\n        raise PermissionError\n    return wipe()",
    ),
    "ignored_error": (
        "def f():\n    try:\n        work()\n    except Exception:\n        pass",
        "def f():\n    try:\n        work()\n    except KeyError:\n        return None",
    ),
    "open_binding": (
        'import socket\ndef f():\n    socket.socket().bind(("0.0.0.0", 80))',
        'import socket\ndef f():\n    socket.socket().bind(("127.0.0.1", 80))',
    ),
    "process_started": (
        'import os\ndef f():\n    os.system("ls")',
        "import os\ndef f():\n    return os.listdir()",
    ),
    "wildcard_command": (
        'import os\ndef f():\n    os.system("tar cf all.tar *")',
        'import os\ndef f():\n    os.system("tar cf all.tar -- ./*")',
    ),
    "ordinary_random": (
        "import random\ndef roll():\n    return random.randint(1, 6)",
        "import secrets\ndef roll():\n    return secrets.randbelow(6) + 1",
    ),
    "no_timeout": (
        'import requests\ndef f():\n    return requests.get("https://example.com/")',
        'import requests\ndef f():\n    return requests.get("https://example.com/", timeout=3)',
    ),
    "open_scheme": (
        "from urllib.request import urlopen\ndef f(url):\n    return urlopen(url).read()",
        "from urllib.request import urlopen\ndef f():\n"
        '    return urlopen("https://example.com/").read()',
    ),
    "xml_expansion": (
        "import xml.etree.ElementTree as ET\ndef f(text):\n    return ET.fromstring(text)",
        "import defusedxml.ElementTree as ET\ndef f(text):\n    return ET.fromstring(text)",
    ),
    "cgi_proxy": (
        "from wsgiref.handlers import CGIHandler\nCGIHandler().run(app)",
        'from wsgiref.simple_server import make_server\nmake_server("127.0.0.1", 80, app)',
    ),
    "unpinned_download": (
        'from datasets import load_dataset\nrows = load_dataset("a/b")',
        'from datasets import load_dataset\nrows = load_dataset("a/b", revision="4f1c0a2")',
    ),
}  # fmt: skip


def said(code: str) -> set[str]:
    snippet = Snippet(code=HEAD + textwrap.dedent(code), language="python", origin="fence")
    return {finding.rule.removeprefix("python.") for finding in find(snippet)}


def test_every_rule_has_an_unsafe_and_a_safe_case() -> None:
    assert {f"python.{rule}" for rule in CASES} == set(RULES)


@pytest.mark.parametrize("rule", CASES)
def test_the_rule_speaks_of_the_unsafe(rule: str) -> None:
    assert rule in said(CASES[rule][0])


@pytest.mark.parametrize("rule", CASES)
def test_the_rule_is_silent_about_the_safe(rule: str) -> None:
    assert rule not in said(CASES[rule][1])
