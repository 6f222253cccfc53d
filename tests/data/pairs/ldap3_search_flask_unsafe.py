from flask import Flask, request
from ldap3 import Connection, Server

app = Flask(__name__)


@app.route("/people")
def people():
    connection = Connection(Server("ldap.example.org"), auto_bind=True)
    connection.search("dc=example,dc=org", "(&(cn=%s)(active=1))" % request.args["name"])
    return {"found": len(connection.entries)}
