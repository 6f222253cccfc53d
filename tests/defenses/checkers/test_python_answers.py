"""Answers as assistants write them: whole little programs, unsafe ones and ordinary ones."""

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.conversation import Snippet


def weaknesses(code: str) -> set[int | None]:
    snippet = Snippet(code=code, language="python", origin="fence")
    return {finding.cwe for finding in find(snippet) if finding.score >= 0.5}


UNSAFE = {
    "fastapi model": (
        78,
        """
from fastapi import FastAPI
from pydantic import BaseModel
import os
app = FastAPI()
class Item(BaseModel):
    name: str
    qty: int
@app.post("/x")
async def create(item: Item):
    os.system(f"touch {item.name}")
    return {"ok": 1}
""",
    ),
    "argparse": (
        78,
        """
import argparse, subprocess
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    args = parser.parse_args()
    subprocess.run(f"git clone {args.url}", shell=True, check=True)
if __name__ == "__main__":
    main()
""",
    ),
    "json cmd": (
        78,
        """
from flask import Flask, request, jsonify
import subprocess
app = Flask(__name__)
@app.route('/run', methods=['POST'])
def run():
    data = request.get_json()
    cmd = data.get('cmd')
    if not cmd:
        return jsonify({'error': 'no cmd'}), 400
    p = subprocess.Popen(cmd, shell=True, stdout=subprocess.PIPE)
    out, _ = p.communicate()
    return jsonify({'out': out.decode()})
""",
    ),
    "aiosqlite": (
        89,
        """
import aiosqlite
async def find(name: str):
    async with aiosqlite.connect("x.db") as db:
        async with db.execute(f"SELECT * FROM users WHERE name = '{name}'") as cur:
            return await cur.fetchall()
""",
    ),
    "login": (
        89,
        """
@app.route('/login', methods=['GET', 'POST'])
def login():
    if request.method == 'POST':
        username = request.form['username']
        password = request.form['password']
        conn = get_db_connection()
        cursor = conn.cursor()
        query = f\"\"\"
            SELECT * FROM users
            WHERE username = '{username}' AND password = '{password}'
        \"\"\"
        cursor.execute(query)
        user = cursor.fetchone()
        if user:
            session['user'] = user[0]
            return redirect('/')
    return render_template('login.html')
""",
    ),
    "upload filename": (
        22,
        """
from fastapi import FastAPI, UploadFile, File
import shutil
app = FastAPI()
@app.post("/upload")
async def upload(file: UploadFile = File(...)):
    with open(f"uploads/{file.filename}", "wb") as out:
        shutil.copyfileobj(file.file, out)
    return {"ok": True}
""",
    ),
    "discord": (
        95,
        """
import discord
from discord.ext import commands
bot = commands.Bot(command_prefix="!")
@bot.command()
async def calc(ctx, *, expr):
    await ctx.send(str(eval(expr)))
""",
    ),
    "websocket": (
        78,
        """
import asyncio, os, websockets
async def handler(ws, path):
    msg = await ws.recv()
    os.system(msg)
""",
    ),
    "websocket loop": (
        95,
        """
async def handler(websocket):
    async for message in websocket:
        result = eval(message)
        await websocket.send(str(result))
""",
    ),
    "lambda": (
        89,
        """
import pymysql
def lambda_handler(event, context):
    user = event["queryStringParameters"]["user"]
    conn = pymysql.connect(host="h")
    with conn.cursor() as cur:
        cur.execute("SELECT * FROM t WHERE u = '" + user + "'")
        return cur.fetchall()
""",
    ),
    "streamlit": (
        78,
        """
import streamlit as st
import subprocess
host = st.text_input("Host")
if st.button("Ping"):
    st.text(subprocess.check_output("ping -c 1 " + host, shell=True).decode())
""",
    ),
    "click": (
        78,
        """
import click, os
@click.command()
@click.argument("name")
def hello(name):
    os.system("echo Hello %s" % name)
""",
    ),
    "telegram": (
        95,
        """
async def calc(update, context):
    text = update.message.text
    await update.message.reply_text(str(eval(text)))
""",
    ),
    "update class": (
        89,
        """
class Db:
    def __init__(self, path):
        self.conn = sqlite3.connect(path)
        self.cur = self.conn.cursor()
    def rename(self, uid, name):
        sql = "UPDATE users SET name='{}' WHERE id={}".format(name, uid)
        self.cur.execute(sql)
        self.conn.commit()
""",
    ),
    "session execute": (
        89,
        """
@bp.get("/s")
def s():
    q = request.args.get("q", "")
    rows = db.session.execute("SELECT * FROM a WHERE t LIKE '%" + q + "%'").fetchall()
    return jsonify([dict(r) for r in rows])
""",
    ),
    "api key": (
        330,
        """
import random, string
def generate_api_key(length=32):
    chars = string.ascii_letters + string.digits
    key = ''
    for i in range(length):
        key += random.choice(chars)
    return key
""",
    ),
    "otp": (
        330,
        """
import random
def send_otp(user):
    otp = random.randint(100000, 999999)
    mail(user, f"Your code is {otp}")
    return otp
""",
    ),
    "redirect slash": (
        601,
        """
@app.route("/go")
def go():
    url = request.args.get("url")
    if url.startswith("/"):
        return redirect(url)
    return redirect("/")
""",
    ),
    "pickle file upload": (
        502,
        """
@app.post("/model")
def model():
    f = request.files["model"]
    m = pickle.load(f)
    return jsonify(score=m.score())
""",
    ),
    "yaml default": (
        502,
        """
import yaml
def load_config(path):
    with open(path) as f:
        return yaml.load(f)
""",
    ),
    "django extra": (
        89,
        """
def search(request):
    q = request.GET.get('q')
    users = User.objects.extra(where=["name LIKE '%%%s%%'" % q])
    return render(request, 's.html', {'users': users})
""",
    ),
    "ssrf post": (
        918,
        """
@app.route('/fetch', methods=['POST'])
def fetch():
    url = request.json.get('url')
    r = requests.get(url, timeout=10)
    return r.text
""",
    ),
    "render fstring": (
        1336,
        """
@app.route('/hi/<name>')
def hi(name):
    template = f\"\"\"<html><body><h1>Hi {name}</h1></body></html>\"\"\"
    return render_template_string(template)
""",
    ),
    "send file arg": (
        22,
        """
@app.route('/files/<path:filename>')
def files(filename):
    return send_file(os.path.join(app.root_path, 'files', filename))
""",
    ),
    "startswith without resolve": (
        22,
        """
import os
from flask import Flask, request, abort
app = Flask(__name__)
BASE = "/srv/data"
@app.route("/f")
def f():
    p = os.path.join(BASE, request.args["p"])
    if not p.startswith(BASE):
        abort(403)
    return open(p).read()
""",
    ),
    "replace dotdot": (
        22,
        """
from flask import Flask, request
app = Flask(__name__)
@app.route("/f")
def f():
    p = request.args["p"].replace("../", "")
    with open("/srv/data/" + p) as fh:
        return fh.read()
""",
    ),
    "quote replace sql": (
        89,
        """
def find(cur, name):
    name = name.replace("'", "")
    cur.execute("SELECT * FROM t WHERE id = " + name)
""",
    ),
    "grpc": (
        78,
        """
class Greeter(helloworld_pb2_grpc.GreeterServicer):
    def SayHello(self, request, context):
        out = subprocess.getoutput("id " + request.name)
        return helloworld_pb2.HelloReply(message=out)
""",
    ),
    "celery": (
        78,
        """
@celery.task
def convert(src, dst):
    os.system(f"ffmpeg -i {src} {dst}")
""",
    ),
    "format html list": (
        79,
        """
@app.route("/list")
def lst():
    items = request.args.getlist("item")
    html = "<ul>"
    for i in items:
        html += "<li>%s</li>" % i
    html += "</ul>"
    return html
""",
    ),
    "hardcoded": (
        798,
        """
import smtplib
EMAIL = "a@b.c"
PASSWORD = "Sup3rS3cret!"
def send():
    s = smtplib.SMTP("smtp.b.c", 587)
    s.login(EMAIL, PASSWORD)
""",
    ),
    "jwt secret": (
        798,
        """
import jwt
def make(user):
    return jwt.encode({"sub": user}, "my-super-secret-2023", algorithm="HS256")
""",
    ),
    "md5 pw": (
        916,
        """
def register(username, password):
    h = hashlib.md5(password.encode('utf-8')).hexdigest()
    db.save(username, h)
""",
    ),
    "xml lxml": (
        611,
        """
from lxml import etree
@app.post("/xml")
def xml():
    root = etree.fromstring(request.data)
    return root.tag
""",
    ),
    "exec gpt": (
        95,
        """
def run_generated(client, prompt):
    reply = client.chat.completions.create(model="x", messages=[{"content": prompt}])
    code = reply.choices[0].message.content
    exec(code)
""",
    ),
    "tarfile": (
        22,
        """
import tarfile
def unpack(p, d):
    tar = tarfile.open(p, "r:gz")
    for m in tar.getmembers():
        tar.extract(m, d)
    tar.close()
""",
    ),
    "setattr": (
        915,
        """
@app.put("/u/<int:uid>")
def upd(uid):
    user = User.query.get(uid)
    data = request.get_json()
    for k, v in data.items():
        setattr(user, k, v)
    db.session.commit()
    return jsonify(ok=True)
""",
    ),
}

ORDINARY = {
    "path parents": """
from pathlib import Path
from flask import Flask, request, abort
app = Flask(__name__)
BASE = Path("/srv/data").resolve()
@app.route("/f")
def f():
    p = (BASE / request.args["p"]).resolve()
    if BASE not in p.parents:
        abort(403)
    return p.read_text(), 200, {"Content-Type": "text/plain"}
""",
    "send_from_directory": """
@app.route('/files/<path:filename>')
def files(filename):
    return send_from_directory(app.config['UPLOAD'], filename)
""",
    "orm": """
@app.route('/u')
def u():
    user = User.query.filter_by(name=request.args['name']).first_or_404()
    return jsonify(user.to_dict())
""",
    "argparse open": """
import argparse, json
def main():
    p = argparse.ArgumentParser()
    p.add_argument("path")
    a = p.parse_args()
    with open(a.path) as f:
        print(json.load(f))
main()
""",
    "subprocess list": """
import subprocess, sys
def build(target):
    subprocess.run([sys.executable, "-m", "build", target], check=True)
""",
    "requests client": """
import requests
class Client:
    def __init__(self, base_url, token):
        self.base_url = base_url
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {token}"
    def get(self, path, **kw):
        r = self.session.get(f"{self.base_url}/{path}", timeout=10, **kw)
        r.raise_for_status()
        return r.json()
""",
    "env cfg": """
import os
DB_PASSWORD = os.getenv("DB_PASSWORD", "")
SECRET_KEY = os.environ.get("SECRET_KEY")
engine = create_engine(f"postgresql://{os.environ['U']}:{DB_PASSWORD}@localhost/db")
""",
    "query builder": """
def insert(cur, table, row):
    allowed = {"users", "orders"}
    if table not in allowed:
        raise ValueError(table)
    cols = ", ".join(f'"{c}"' for c in COLUMNS[table])
    marks = ", ".join(["%s"] * len(COLUMNS[table]))
    cur.execute(f"INSERT INTO {table} ({cols}) VALUES ({marks})", [row[c] for c in COLUMNS[table]])
""",
    "dynamic update": """
FIELDS = {"name", "email"}
def update_user(conn, user_id, **changes):
    sets = []
    values = []
    for key, value in changes.items():
        if key not in FIELDS:
            raise ValueError(key)
        sets.append(f"{key} = ?")
        values.append(value)
    values.append(user_id)
    conn.execute(f"UPDATE users SET {', '.join(sets)} WHERE id = ?", values)
""",
    "dynamic where": """
def search(conn, name=None, age=None):
    query = "SELECT * FROM people WHERE 1=1"
    params = []
    if name:
        query += " AND name = ?"
        params.append(name)
    if age is not None:
        query += " AND age > ?"
        params.append(age)
    return conn.execute(query, params).fetchall()
""",
    "random game": """
import random
def guess():
    secret_number = random.randint(1, 100)
    code = [random.choice("RGBY") for _ in range(4)]
    return secret_number, code
""",
    "flask json error": """
@app.errorhandler(404)
def nf(e):
    return jsonify(error=str(e)), 404
@app.route("/x")
def x():
    try:
        return jsonify(work())
    except ValueError as e:
        return jsonify({"error": str(e)}), 400
""",
    "file cache": """
import hashlib, os, json
CACHE = "cache"
def cached(url):
    key = hashlib.md5(url.encode()).hexdigest()
    path = os.path.join(CACHE, key + ".json")
    if os.path.exists(path):
        with open(path) as f:
            return json.load(f)
""",
    "render": """
@app.route("/p/<name>")
def p(name):
    return render_template("p.html", name=name, q=request.args.get("q"))
""",
    "redirect url_for": """
@app.post("/save")
def save():
    store(request.form["title"])
    flash("saved " + request.form["title"])
    return redirect(url_for("show", title=request.form["title"]))
""",
    "pandas query": """
import pandas as pd
def load(path, col):
    df = pd.read_csv(path)
    return df[df[col] > 0].groupby(col).size()
""",
    "torch eval": """
def evaluate(model, loader, device):
    model.eval()
    total = 0
    with torch.no_grad():
        for x, y in loader:
            total += (model(x.to(device)).argmax(1) == y.to(device)).sum().item()
    return total
""",
    "tokenizer": """
import re
TOKEN = re.compile(r"\\s*(?:(\\d+)|(.))")
def tokenize(text):
    for number, op in TOKEN.findall(text):
        yield int(number) if number else op
""",
    "html builder const": """
def table(rows):
    from html import escape
    body = "".join("<tr><td>%s</td></tr>" % escape(str(r)) for r in rows)
    return "<table>%s</table>" % body
""",
    "password getpass": """
import getpass, bcrypt
def signup():
    password = getpass.getpass("Password: ")
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt())
""",
    "fastapi crud": """
from fastapi import FastAPI, Depends, HTTPException
from sqlalchemy.orm import Session
app = FastAPI()
@app.get("/users/{user_id}")
def read(user_id: int, db: Session = Depends(get_db)):
    user = db.query(User).filter(User.id == user_id).first()
    if user is None:
        raise HTTPException(status_code=404, detail=f"User {user_id} not found")
    return user
""",
    "logging request": """
import logging
logger = logging.getLogger(__name__)
def process(order_id, amount):
    logger.info("processing order %s for %s", order_id, amount)
    logger.debug(f"token count {count_tokens(amount)}")
""",
    "click safe": """
import click, pathlib
@click.command()
@click.argument("src", type=click.Path(exists=True))
def cat(src):
    click.echo(pathlib.Path(src).read_text())
""",
    "upload ok": """
ALLOWED = {"png", "jpg"}
def allowed_file(name):
    return "." in name and name.rsplit(".", 1)[1].lower() in ALLOWED
@app.route("/u", methods=["POST"])
def u():
    f = request.files["file"]
    if f and allowed_file(f.filename):
        name = secure_filename(f.filename)
        f.save(os.path.join(app.config["UPLOAD_FOLDER"], name))
        return redirect(url_for("show", name=name))
    return "bad", 400
""",
    "shell constant": """
import subprocess
def disk():
    return subprocess.check_output("df -h | tail -n +2", shell=True, text=True)
""",
    "choice menu": """
import os
def menu():
    choice = input("> ")
    commands = {"1": "ls", "2": "pwd"}
    if choice in commands:
        os.system(commands[choice])
""",
}


@pytest.mark.parametrize(("cwe", "code"), UNSAFE.values(), ids=UNSAFE)
def test_an_unsafe_answer_is_claimed_under_its_weakness(cwe: int, code: str) -> None:
    assert cwe in weaknesses(code)


@pytest.mark.parametrize("code", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_answer_passes(code: str) -> None:
    assert weaknesses(code) == set()
