import os

from aiohttp import web

UPLOADS = "/srv/uploads"


async def remove(request):
    data = await request.post()
    full = os.path.abspath(f"{UPLOADS}/{data['file']}")
    if os.path.commonpath([UPLOADS, full]) != UPLOADS:
        raise web.HTTPForbidden()
    os.remove(full)
    return web.json_response({"removed": True})
