import os

from flask import Flask, request
from werkzeug.utils import secure_filename

app = Flask(__name__)


def locate(name):
    return os.path.join("/srv/docs", secure_filename(name))


@app.route("/doc")
def doc():
    with open(locate(request.args["doc"])) as file:
        return {"text": file.read()}
