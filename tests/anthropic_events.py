"""Answers in Anthropic's Messages protocol, as the provider writes them."""

import json
from collections.abc import Sequence
from typing import Any


def event(kind: str, **fields: Any) -> bytes:
    data = json.dumps({"type": kind, **fields})
    return f"event: {kind}\ndata: {data}\n\n".encode()


START = event(
    "message_start",
    message={
        "id": "m1",
        "type": "message",
        "role": "assistant",
        "model": "m",
        "content": [],
        "stop_reason": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    },
)
STOP = event("message_stop")


def text(index: int, *pieces: str) -> list[bytes]:
    deltas = [
        event("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})
        for piece in pieces
    ]
    block = {"type": "text", "text": ""}
    return [
        event("content_block_start", index=index, content_block=block),
        *deltas,
        event("content_block_stop", index=index),
    ]


def tool(index: int, value: Any, *, cut: int = 7) -> list[bytes]:
    given = json.dumps(value)
    block = {"type": "tool_use", "id": f"t{index}", "name": "Write", "input": {}}
    deltas = [
        event(
            "content_block_delta",
            index=index,
            delta={"type": "input_json_delta", "partial_json": piece},
        )
        for piece in (given[:cut], given[cut:])
    ]
    return [
        event("content_block_start", index=index, content_block=block),
        *deltas,
        event("content_block_stop", index=index),
    ]


def message(*blocks: Sequence[bytes], reason: str = "end_turn") -> list[bytes]:
    end = event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 9})
    return [START, *(item for block in blocks for item in block), end, STOP]


def whole(*blocks: Any) -> bytes:
    told = {"id": "m1", "type": "message", "role": "assistant", "model": "m"}
    usage = {"input_tokens": 1, "output_tokens": 1}
    rest = {"stop_reason": "end_turn", "stop_sequence": None, "usage": usage}
    return json.dumps({**told, "content": list(blocks), **rest}).encode()
