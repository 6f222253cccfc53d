"""A real BlueCode on a real socket, with whatever stands behind it given by the test."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

import aiohttp
import anyio
import uvicorn
from scripted import WordChecker, WordDetector
from starlette.types import ASGIApp

from bluecode.defenses.policy import Policy
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine
from bluecode.proxy.upstream import Upstream


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """The app on a free loopback port; its root URL."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    settings = uvicorn.Config(app, log_level="critical", lifespan="on", timeout_graceful_shutdown=2)
    server = uvicorn.Server(settings)
    with closing(listener):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            while not server.started:
                await anyio.sleep(0.005)
            try:
                yield f"http://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


@asynccontextmanager
async def guarded(
    upstream: Upstream | None,
    /,
    *,
    policy: Policy | None = None,
    detectors: Sequence[Any] | None = None,
    checkers: Sequence[Any] | None = None,
    prover: Any = None,
    **settings: Any,
) -> AsyncIterator[str]:
    """BlueCode with word detectors (`badword` blocks) and no sandbox; its root URL."""
    chosen = policy or Policy.default()
    engine = Engine(
        chosen,
        [WordDetector("badword")] if detectors is None else detectors,
        [WordChecker()] if checkers is None else checkers,
        prover,
    )
    config = Config(**{"upstream": "http://127.0.0.1:1/v1", "audit": "none", **settings})
    async with serving(create_app(config, policy=chosen, upstream=upstream, engine=engine)) as root:
        yield root


async def post(
    url: str, body: Any, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Status, lower-case headers, body."""
    raw = {"data": body} if isinstance(body, bytes) else {"json": body}
    async with aiohttp.ClientSession() as session:
        async with session.post(url, headers=headers, **raw) as response:
            told = {name.lower(): value for name, value in response.headers.items()}
            return response.status, told, await response.read()


async def get(url: str) -> tuple[int, dict[str, str], bytes]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        told = {name.lower(): value for name, value in response.headers.items()}
        return response.status, told, await response.read()


def chat(text: str = "hello", **extra: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **extra}
