import logging

from flask import Flask, request

app = Flask(__name__)
log = logging.getLogger(__name__)


@app.post("/login")
def login():
    log.warning("login failed for " + request.form["user"])
    return {"ok": False}
