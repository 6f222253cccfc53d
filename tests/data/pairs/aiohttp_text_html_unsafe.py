from aiohttp import web


async def page(request):
    tag = request.query["tag"]
    return web.Response(text="<ul><li>" + tag + "</li></ul>", content_type="text/html")
