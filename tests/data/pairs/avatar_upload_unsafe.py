import os
import uuid

from flask import Flask, request

app = Flask(__name__)


@app.post("/avatar")
def avatar():
    file = request.files["avatar"]
    file.save(os.path.join("/srv/avatars", file.filename))
    return {"ok": True}
