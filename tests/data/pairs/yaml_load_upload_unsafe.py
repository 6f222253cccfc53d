import yaml
from fastapi import FastAPI, Request

app = FastAPI()


@app.post("/config")
async def config(request: Request):
    settings = yaml.load(await request.body(), Loader=yaml.Loader)
    return {"keys": list(settings)}
