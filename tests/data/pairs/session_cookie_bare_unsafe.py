from flask import Flask, make_response

app = Flask(__name__)


@app.post("/enter")
def enter():
    response = make_response("welcome")
    response.set_cookie("session", new_session())
    return response
