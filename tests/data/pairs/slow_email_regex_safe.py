import re

from flask import Flask, request

app = Flask(__name__)
EMAIL = re.compile(r"^[a-z0-9]+(?:[._-][a-z0-9]+)*@example\.org$")


@app.post("/subscribe")
def subscribe():
    return {"ok": EMAIL.match(request.form["email"]) is not None}
