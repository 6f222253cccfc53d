import xml.etree.ElementTree as ET

from flask import Flask, request

app = Flask(__name__)
BOOKS = ET.parse("books.xml")


@app.route("/book")
def book():
    found = BOOKS.find(f".//book[@id='{int(request.args['id'])}']")
    return {"found": found is not None}
