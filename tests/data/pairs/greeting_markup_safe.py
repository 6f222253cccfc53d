from html import escape

from flask import Flask, request

app = Flask(__name__)


@app.route("/hello")
def hello():
    return "<h1>Hello " + escape(request.args.get("name", "")) + "</h1>"
