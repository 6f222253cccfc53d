import html

from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI()


@app.get("/profile")
def profile(name: str):
    return HTMLResponse(f"<body><h2>{html.escape(name)}</h2></body>")
