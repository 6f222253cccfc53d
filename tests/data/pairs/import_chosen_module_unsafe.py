import importlib

from flask import Flask, request

app = Flask(__name__)


@app.post("/plugin")
def plugin():
    module = importlib.import_module(request.form["module"])
    return {"version": module.__version__}
