import re
import subprocess

from flask import Flask, abort, request

app = Flask(__name__)


@app.post("/lookup")
def lookup():
    domain = request.form["domain"]
    if not re.fullmatch(r"[a-z0-9.-]+", domain):
        abort(400)
    return {"text": subprocess.getoutput(f"nslookup {domain}")}
