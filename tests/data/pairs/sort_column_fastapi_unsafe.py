import sqlite3

from fastapi import FastAPI

app = FastAPI()


@app.get("/items")
def items(sort: str = "id"):
    connection = sqlite3.connect("shop.db")
    rows = connection.execute(f"SELECT id, price FROM items ORDER BY {sort}").fetchall()
    return {"items": rows}
