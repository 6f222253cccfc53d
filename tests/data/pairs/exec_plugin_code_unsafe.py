from aiohttp import web


async def run_script(request):
    body = await request.text()
    scope = {}
    exec(body, scope)
    return web.json_response({"names": sorted(scope)})
