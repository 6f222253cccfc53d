import sqlite3

from fastapi import FastAPI, HTTPException

app = FastAPI()
COLUMNS = {"id", "price"}


@app.get("/items")
def items(sort: str = "id"):
    if sort not in COLUMNS:
        raise HTTPException(status_code=400)
    connection = sqlite3.connect("shop.db")
    rows = connection.execute(f"SELECT id, price FROM items ORDER BY {sort}").fetchall()
    return {"items": rows}
