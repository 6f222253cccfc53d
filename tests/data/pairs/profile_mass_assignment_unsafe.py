from flask import Flask, request

app = Flask(__name__)


@app.post("/profile")
def profile():
    user = load_user()
    for key, value in request.json.items():
        setattr(user, key, value)
    return {"ok": True}
