"""Requests as real assistants send them are accepted, and reach the provider as they were sent."""

import json
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedUpstream, answer, streamed
from serving import guarded, post

from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.policy import Policy

FOLDER = Path(__file__).parents[2].parent / "shared" / "fixtures" / "clients"
REQUESTS = {path.stem: json.loads(path.read_text())["request"] for path in FOLDER.glob("*.json")}
RECORDED = {
    name: request
    for name, request in sorted(REQUESTS.items())
    if request["path"] == "/v1/chat/completions"
}
needs_recordings = pytest.mark.skipif(
    not RECORDED, reason="the recorded requests are not part of the project"
)


@needs_recordings
@pytest.mark.parametrize("name", RECORDED)
async def test_a_recorded_request_reaches_the_provider_unchanged(name: str) -> None:
    request = RECORDED[name]
    own = ("host", "content-length", "connection", "transfer-encoding")
    headers = {name: value for name, value in request["headers"].items() if name not in own}
    sent = json.dumps(request["body"], separators=(",", ":"), ensure_ascii=False).encode()
    reply: Any = answer({"content": "Fine."})
    async with guarded(
        upstream := ScriptedUpstream([reply]),
        policy=Policy.default(),
        detectors=[make() for make in DETECTORS.values()],
    ) as root:
        if request["body"].get("stream"):
            upstream.chunks, upstream.kind = streamed(["Fine."]), "text/event-stream"
        status, told, body = await post(f"{root}/v1/chat/completions", sent, headers)
    assert (status, told["x-bluecode-verdict"]) == (200, "allow"), body
    assert [call.body for call in upstream.calls] == [sent]
