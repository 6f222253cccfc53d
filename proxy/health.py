"""An address of its own for probes and Prometheus: they get through when the other is on loopback,
and what serves assistants is not shown to those who only look at health."""

from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})


class HealthApp:
    """Those three paths of another application, whose lifespan is not this one's affair."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http" and scope["path"] in PATHS:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await PlainTextResponse("Not found.\n", 404)(scope, receive, send)


async def _live(receive: Receive, send: Send) -> None:
    """Start and end at once when asked to."""
    while True:
        asked = (await receive())["type"]
        await send({"type": f"{asked}.complete"})
        if asked == "lifespan.shutdown":
            return
