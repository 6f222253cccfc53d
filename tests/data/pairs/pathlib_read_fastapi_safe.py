from pathlib import Path

from fastapi import FastAPI, HTTPException

app = FastAPI()
BASE = Path("/srv/notes")


@app.get("/note")
def note(name: str):
    path = (BASE / name).resolve()
    if not path.is_relative_to(BASE):
        raise HTTPException(status_code=404)
    return {"text": path.read_text()}
