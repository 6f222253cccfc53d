import sqlite3

from flask import Flask, request

app = Flask(__name__)


@app.route("/user")
def user():
    connection = sqlite3.connect("app.db")
    query = "SELECT id, email FROM users WHERE name = ?"
    return {"rows": connection.execute(query, (request.args["name"],)).fetchall()}
