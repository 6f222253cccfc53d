import subprocess

from fastapi import FastAPI

app = FastAPI()


@app.get("/disk/{mount}")
def disk(mount: str):
    output = subprocess.check_output(["bash", "-c", "df -h " + mount])
    return {"usage": output.decode()}
