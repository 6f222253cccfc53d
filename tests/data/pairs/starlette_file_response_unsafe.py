from starlette.responses import FileResponse


async def asset(request):
    return FileResponse("assets/" + request.path_params["name"])
