import re

from flask import Flask, request

app = Flask(__name__)
LINES = ["alpha", "beta"]


@app.route("/grep")
def grep():
    pattern = request.args["pattern"]
    return {"lines": [line for line in LINES if re.search(pattern, line)]}
