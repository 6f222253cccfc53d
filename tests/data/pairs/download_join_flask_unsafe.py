import os

from flask import Flask, request, send_file

app = Flask(__name__)
BASE = "/srv/files"


@app.route("/download")
def download():
    path = os.path.join(BASE, request.args["name"])
    return send_file(path)
