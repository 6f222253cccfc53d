import sqlite3

from bottle import request, route


@route("/logs")
def logs():
    query = "SELECT line FROM logs WHERE 1 = 1"
    level = request.query.level
    if level:
        query += " AND level = '" + level + "'"
    return {"lines": sqlite3.connect("logs.db").execute(query).fetchall()}
