"""Requests as real assistants send them are accepted, reach the provider as they were sent, and are
answered as the provider answers; each as it was recorded, and with streaming the other way round.
"""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import gemini_events
import pytest
import responses_events
from anthropic_events import message, text, whole
from anyio.from_thread import start_blocking_portal
from completion_events import events as completion_events
from completion_events import whole as whole_completion
from scripted import ScriptedUpstream, answer, streamed
from serving import serving

from bluecode.defenses.policy import Policy
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine

FOLDER = Path(__file__).parents[2].parent / "shared" / "fixtures" / "clients"
REQUESTS = {path.stem: json.loads(path.read_text())["request"] for path in FOLDER.glob("*.json")}
GEMINI = "/v1beta/models/gemini-2.5-pro"
FINE = gemini_events.said("Fine.", finish="STOP")
ANSWERS: dict[str, tuple[bytes, list[bytes]]] = {
    "/": (b"BlueCode is running.\n", []),
    "/v1/chat/completions": (answer({"content": "Fine."}), streamed(["Fine."])),
    "/v1/messages": (whole({"type": "text", "text": "Fine."}), message(text(0, "Fine."))),
    "/v1/completions": (whole_completion("x = 1\n"), completion_events("x = 1\n")),
    "/v1/fim/completions": (whole_completion("x = 1\n"), completion_events("x = 1\n")),
    f"{GEMINI}:generateContent": (json.dumps(FINE).encode(), []),
    f"{GEMINI}:streamGenerateContent": (b"", gemini_events.streamed(FINE)),
    "/v1/responses": (
        json.dumps(responses_events.response(responses_events.said("Fine."))).encode(),
        responses_events.stream(responses_events.text(0, "Fine.")),
    ),
    "/v1/models": (b'{"object": "list", "data": []}', []),
    "/v1/embeddings": (b'{"object": "list", "data": []}', []),
    "/v1/rerank": (b'{"results": [{"index": 0, "relevance_score": 0.5}]}', []),
}
"""What the provider answers, by path: whole, and streamed."""
OWN = frozenset({"host", "content-length", "connection", "transfer-encoding"})
needs_recordings = pytest.mark.skipif(
    not REQUESTS, reason="the recorded requests are not part of the project"
)


def cases() -> Iterator[tuple[str, bool]]:
    """Each recorded request, and each that can be streamed the other way round."""
    for name, request in sorted(REQUESTS.items()):
        yield name, False
        if request["path"].startswith(GEMINI) or "stream" in (request.get("body") or {}):
            yield name, True


def turned(request: dict[str, Any]) -> dict[str, Any]:
    """The request with streaming the other way round."""
    if request["path"].startswith(GEMINI):
        return {**request, "path": f"{GEMINI}:generateContent", "query": ""}
    rest = {key: value for key, value in request["body"].items() if key != "stream_options"}
    return {**request, "body": {**rest, "stream": not rest["stream"]}}


class House:
    """BlueCode with everything on, and the upstream that it stands in front of."""

    def __init__(self, root: str, upstream: ScriptedUpstream) -> None:
        self.root = root
        self.upstream = upstream


@asynccontextmanager
async def open_house() -> AsyncIterator[House]:
    config = Config(upstream="http://127.0.0.1:1/v1", audit="none")
    policy = Policy.default()
    async with Engine.open(config, policy) as engine:
        upstream = ScriptedUpstream()
        app = create_app(config, policy=policy, upstream=upstream, engine=engine)
        async with serving(app) as root:
            yield House(root, upstream)


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    with start_blocking_portal() as portal:
        with portal.wrap_async_context_manager(open_house()) as opened:
            yield opened


@needs_recordings
@pytest.mark.parametrize(("name", "turn"), list(cases()))
async def test_a_recorded_request_makes_its_way_and_back(
    house: House, name: str, turn: bool
) -> None:
    request = turned(REQUESTS[name]) if turn else REQUESTS[name]
    told, events = ANSWERS[request["path"]]
    body = request.get("body")
    streams = bool(body and body.get("stream")) or ":stream" in request["path"]
    house.upstream.chunks = events if streams else [told]
    house.upstream.kind = "text/event-stream" if streams else "application/json"
    house.upstream.calls.clear()
    sent = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
    headers = {key: value for key, value in request["headers"].items() if key not in OWN}
    query = f"?{request['query']}" if request.get("query") else ""
    async with aiohttp.ClientSession() as session:
        asked = session.request(
            request["method"], f"{house.root}{request['path']}{query}",
            data=sent or None, headers=headers,
        )  # fmt: skip
        async with asked as reply:
            heard = await reply.read()
            verdict = reply.headers.get("x-bluecode-verdict", "allow")
    assert (reply.status, verdict) == (200, "allow"), heard
    wanted = b"".join(events) if streams else told
    assert heard == (b"" if request["method"] == "HEAD" else wanted)
    forwarded = request["path"] != "/"
    assert [call.body for call in house.upstream.calls] == ([sent] if forwarded else [])
