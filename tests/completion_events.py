"""Completions as a provider writes them, whole and streamed."""

import json


def whole(text: str, key: str = "text") -> bytes:
    said = {"role": "assistant", "content": text} if key == "message" else text
    choice = {"index": 0, key: said, "finish_reason": "stop"}
    return json.dumps({"id": "c", "object": "text_completion", "choices": [choice]}).encode()


def events(text: str, key: str = "text") -> list[bytes]:
    pieces = [text[at : at + 9] for at in range(0, len(text), 9)]
    out = []
    for piece in pieces:
        said = {"content": piece} if key == "delta" else piece
        choice = {"index": 0, key: said, "finish_reason": None}
        out.append(b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n")
    return [*out, b"data: [DONE]\n\n"]
