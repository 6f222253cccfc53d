from flask import Flask, request

app = Flask(__name__)


class Account:
    def __init__(self, name, key):
        self.name = name
        self.key = key


@app.route("/greet")
def greet():
    template = request.args["template"]
    return {"text": template.format(account=Account("Ann", "k"))}
