from aiohttp import web

ACTIONS = {"reload": lambda: "reloaded", "status": lambda: "fine"}


async def run_script(request):
    body = await request.text()
    action = ACTIONS.get(body)
    if action is None:
        raise web.HTTPBadRequest()
    return web.json_response({"result": action()})
