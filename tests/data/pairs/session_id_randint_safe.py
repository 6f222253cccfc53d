import secrets

from flask import Flask, make_response

app = Flask(__name__)


@app.post("/start")
def start():
    session_id = secrets.token_urlsafe(32)
    response = make_response("started")
    response.set_cookie("sid", session_id, secure=True, httponly=True)
    return response
