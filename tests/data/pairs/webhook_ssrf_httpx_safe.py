import httpx
from fastapi import FastAPI

app = FastAPI()


@app.post("/hook")
async def hook(room: int):
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"https://chat.example.org/rooms/{room}/notify")
    return {"status": answer.status_code}
