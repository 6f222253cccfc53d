"""Answers in OpenAI's Responses protocol, as the provider writes them."""

import json
from collections.abc import Sequence
from typing import Any

Event = dict[str, Any]


def response(*items: Any, status: str = "completed") -> Event:
    return {
        "id": "r1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": status,
        "output": list(items),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": None,
    }


def said(*texts: str, at: int = 0) -> Event:
    parts = [
        {"type": "output_text", "text": text, "annotations": [], "logprobs": []} for text in texts
    ]
    told = {"id": f"msg{at}", "type": "message", "status": "completed", "role": "assistant"}
    return {**told, "content": parts}


def called(value: Any, at: int = 0) -> Event:
    told = {"id": f"fc{at}", "type": "function_call", "status": "completed", "call_id": f"c{at}"}
    return {**told, "name": "write_file", "arguments": json.dumps(value)}


def custom(text: str, at: int = 0) -> Event:
    told = {"id": f"ct{at}", "type": "custom_tool_call", "status": "completed", "call_id": f"c{at}"}
    return {**told, "name": "apply_patch", "input": text}


def text(at: int, *pieces: str) -> list[Event]:
    whole = "".join(pieces)
    where = {"item_id": f"msg{at}", "output_index": at, "content_index": 0}
    item = said(whole, at=at)
    part = item["content"][0]
    delta = {"type": "response.output_text.delta", **where, "logprobs": []}
    return [
        {
            "type": "response.output_item.added",
            "output_index": at,
            "item": {**item, "content": [], "status": "in_progress"},
        },
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *({**delta, "delta": piece} for piece in pieces),
        {"type": "response.output_text.done", **where, "text": whole, "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
        {"type": "response.output_item.done", "output_index": at, "item": item},
    ]


def tool(item: Event, at: int) -> list[Event]:
    key = "arguments" if item["type"] == "function_call" else "input"
    kind = "function_call_arguments" if key == "arguments" else "custom_tool_call_input"
    where = {"item_id": item["id"], "output_index": at}
    given = item[key]
    begun = {**item, key: "", "status": "in_progress"}
    return [
        {"type": "response.output_item.added", "output_index": at, "item": begun},
        {"type": f"response.{kind}.delta", **where, "delta": given[:9]},
        {"type": f"response.{kind}.delta", **where, "delta": given[9:]},
        {"type": f"response.{kind}.done", **where, key: given},
        {"type": "response.output_item.done", "output_index": at, "item": item},
    ]


def stream(*blocks: Sequence[Event], output: Sequence[Event] | None = None) -> list[bytes]:
    """A whole stream, numbered; its end repeats the items unless others are given."""
    items = [event["item"] for block in blocks for event in block if event["type"].endswith("done")
             and "item" in event] if output is None else output  # fmt: skip
    begun = response(status="in_progress")
    events: list[Event] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
        *(event for block in blocks for event in block),
        {"type": "response.completed", "response": response(*items)},
    ]
    return [raw({**event, "sequence_number": at}) for at, event in enumerate(events)]


def raw(event: Event) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
