from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import FileResponse

ASSETS = Path("assets").resolve()


async def asset(request):
    path = (ASSETS / request.path_params["name"]).resolve()
    try:
        path.relative_to(ASSETS)
    except ValueError:
        raise HTTPException(404) from None
    return FileResponse(path)
