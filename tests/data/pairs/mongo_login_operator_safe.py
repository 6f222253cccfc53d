from flask import Flask, request
from pymongo import MongoClient

app = Flask(__name__)
users = MongoClient().site.users


@app.post("/login")
def login():
    name = str(request.json["name"])
    found = users.find_one({"name": name})
    return {"ok": found is not None}
