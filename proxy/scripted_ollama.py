"""The scripted model in Ollama's own protocol, streamed in lines and not."""

import json
import re
from collections.abc import Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluecode.proxy.scripted_protocols import Answering
from bluecode.proxy.scripted_tools import Said

_TOKEN = re.compile(r"\s?\w{1,6}|\s+|[^\w\s]+")
_MADE = "2026-01-01T00:00:00Z"


def routes(answer: Answering, model: str) -> list[Route]:
    """Chat, generate, and what clients ask before they begin."""

    async def chat(request: Request) -> Response:
        asked = await _asked(request)
        said = answer(asked, list(asked.get("messages") or ()), list(asked.get("tools") or ()))
        return _reply(asked, "message", said)

    async def generate(request: Request) -> Response:
        asked = await _asked(request)
        said = answer(asked, [{"role": "user", "content": asked.get("prompt") or ""}], [])
        return _reply(asked, "response", said)

    async def tags(request: Request) -> Response:
        told = {"name": model, "model": model, "modified_at": _MADE, "size": 0, "digest": "0" * 64}
        return JSONResponse({"models": [told]})

    async def version(request: Request) -> Response:
        return JSONResponse({"version": "0.0.0"})

    return [
        Route("/api/chat", chat, methods=["POST"]),
        Route("/api/generate", generate, methods=["POST"]),
        Route("/api/tags", tags),
        Route("/api/version", version),
    ]


async def _asked(request: Request) -> dict[str, Any]:
    try:
        asked = json.loads(await request.body())
    except ValueError:
        return {}
    return asked if isinstance(asked, dict) else {}


def _reply(asked: dict[str, Any], key: str, said: Said) -> Response:
    if asked.get("stream") is False:
        return JSONResponse(_line(asked, key, said.text, said, done=True))
    lines = b"".join(json.dumps(line).encode() + b"\n" for line in _lines(asked, key, said))
    return Response(lines, media_type="application/x-ndjson")


def _lines(asked: dict[str, Any], key: str, said: Said) -> Iterator[dict[str, Any]]:
    for token in _TOKEN.findall(said.text):
        yield _line(asked, key, token, None, done=False)
    if said.tool is not None:
        yield _line(asked, key, "", said, done=False)
    yield _line(asked, key, "", None, done=True)


def _line(
    asked: dict[str, Any], key: str, text: str, said: Said | None, *, done: bool
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if said is not None and said.tool is not None:
        function = {"name": said.tool, "arguments": json.loads(said.arguments)}
        message["tool_calls"] = [{"function": function}]
    told = {"model": asked.get("model"), "created_at": _MADE}
    told |= {key: message if key == "message" else text, "done": done}
    return {**told, "done_reason": "stop", "eval_count": 1} if done else told
