from flask import Flask, request
from ldap3 import Connection, Server
from ldap3.utils.conv import escape_filter_chars

app = Flask(__name__)


@app.route("/people")
def people():
    connection = Connection(Server("ldap.example.org"), auto_bind=True)
    name = escape_filter_chars(request.args["name"])
    connection.search("dc=example,dc=org", "(&(cn=%s)(active=1))" % name)
    return {"found": len(connection.entries)}
