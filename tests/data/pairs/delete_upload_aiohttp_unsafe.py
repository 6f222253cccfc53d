import os

from aiohttp import web

UPLOADS = "/srv/uploads"


async def remove(request):
    data = await request.post()
    os.remove(f"{UPLOADS}/{data['file']}")
    return web.json_response({"removed": True})
