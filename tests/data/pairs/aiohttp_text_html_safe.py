from aiohttp import web
from markupsafe import escape


async def page(request):
    tag = escape(request.query["tag"])
    return web.Response(text="<ul><li>" + tag + "</li></ul>", content_type="text/html")
