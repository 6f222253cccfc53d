import asyncio

from aiohttp import web

FORMATS = {"webm": "webm", "gif": "gif"}


async def convert(request):
    data = await request.json()
    suffix = FORMATS.get(data["format"], "webm")
    process = await asyncio.create_subprocess_shell("ffmpeg -i in.mp4 out." + suffix)
    await process.wait()
    return web.json_response({"code": process.returncode})
