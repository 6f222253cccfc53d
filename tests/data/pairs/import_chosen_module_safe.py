import importlib

from flask import Flask, abort, request

app = Flask(__name__)
PLUGINS = frozenset({"plugins.csv", "plugins.pdf"})


@app.post("/plugin")
def plugin():
    name = request.form["module"]
    if name not in PLUGINS:
        abort(400)
    module = importlib.import_module(name)
    return {"version": module.__version__}
