import asyncio

from aiohttp import web


async def convert(request):
    data = await request.json()
    process = await asyncio.create_subprocess_shell("ffmpeg -i in.mp4 out." + data["format"])
    await process.wait()
    return web.json_response({"code": process.returncode})
