"""Requests as real assistants send them are accepted, and reach the provider as they were sent."""

import json
from pathlib import Path

import gemini_events
import pytest
import responses_events
from anthropic_events import message, text, whole
from completion_events import events as completion_events
from completion_events import whole as whole_completion
from scripted import ScriptedUpstream, answer, streamed
from serving import guarded, post

from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.policy import Policy

FOLDER = Path(__file__).parents[2].parent / "shared" / "fixtures" / "clients"
REQUESTS = {path.stem: json.loads(path.read_text())["request"] for path in FOLDER.glob("*.json")}
ANSWERS = {
    "/v1/chat/completions": (answer({"content": "Fine."}), streamed(["Fine."])),
    "/v1/messages": (
        whole({"type": "text", "text": "Fine."}),
        message(text(0, "Fine.")),
    ),
    "/v1/completions": (whole_completion("x = 1\n"), completion_events("x = 1\n")),
    "/v1/fim/completions": (whole_completion("x = 1\n"), completion_events("x = 1\n")),
    "/v1beta/models/gemini-2.5-pro:streamGenerateContent": (
        b"",
        gemini_events.streamed(gemini_events.said("Fine.", finish="STOP")),
    ),
    "/v1/responses": (
        json.dumps(responses_events.response(responses_events.said("Fine."))).encode(),
        responses_events.stream(responses_events.text(0, "Fine.")),
    ),
}
"""What the provider answers, by path: whole, and streamed."""
RECORDED = {
    name: request for name, request in sorted(REQUESTS.items()) if request["path"] in ANSWERS
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
    reply, events = ANSWERS[request["path"]]
    async with guarded(
        upstream := ScriptedUpstream([reply]),
        policy=Policy.default(),
        detectors=[make() for make in DETECTORS.values()],
    ) as root:
        if request["body"].get("stream") or "stream" in request["path"]:
            upstream.chunks, upstream.kind = events, "text/event-stream"
        query = f"?{request['query']}" if request.get("query") else ""
        status, told, body = await post(f"{root}{request['path']}{query}", sent, headers)
    assert (status, told["x-bluecode-verdict"]) == (200, "allow"), body
    assert [call.body for call in upstream.calls] == [sent]
