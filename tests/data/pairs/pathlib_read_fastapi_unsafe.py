from pathlib import Path

from fastapi import FastAPI

app = FastAPI()
BASE = Path("/srv/notes")


@app.get("/note")
def note(name: str):
    return {"text": (BASE / name).read_text()}
