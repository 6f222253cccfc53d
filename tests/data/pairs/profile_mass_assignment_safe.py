from flask import Flask, request

app = Flask(__name__)
FIELDS = ("name", "city")


@app.post("/profile")
def profile():
    user = load_user()
    for key, value in request.json.items():
        if key in FIELDS:
            setattr(user, key, value)
    return {"ok": True}
