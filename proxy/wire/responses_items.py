"""Items of OpenAI's Responses protocol, in requests and answers: texts, calls, results."""

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from bluecode.proxy.wire import content
from bluecode.proxy.wire.endings import Ending
from bluecode.proxy.wire.reading import Calls, ToolCall

QUIET = frozenset(
    {"reasoning", "web_search_call", "file_search_call", "image_generation_call", "compaction"}
)
"""Items that hold no text or code for the client's hands."""
REMOTE = frozenset({"mcp_call", "mcp_list_tools", "code_interpreter_call", "mcp_approval_request"})
"""What ran, or will, at the provider: nobody here looks at it."""
_META = frozenset(
    "id type status call_id namespace created_by execution role phase caller agent".split()
)
_TEXT_KEYS = {"output_text": "text", "text": "text", "refusal": "refusal"}


def texts_of(item: Mapping[str, Any]) -> Iterator[tuple[int, str]]:
    """The texts of a message item by the index of their part."""
    said = item.get("content")
    for at, part in enumerate(said if isinstance(said, list) else [said]):
        if isinstance(part, str):
            yield at, part
        elif isinstance(part, dict):
            texts: list[str] = []
            content.read(
                {k: v for k, v in part.items() if k not in ("annotations", "logprobs", "type")},
                "",
                texts,
                set(),
            )
            yield at, "".join(texts)


def with_texts(item: Mapping[str, Any], texts: Mapping[int, str]) -> dict[str, Any]:
    """The message item with other texts in its parts."""
    parts = []
    for at, part in enumerate(item.get("content") or ()):
        if isinstance(part, dict) and at in texts:
            key = _TEXT_KEYS.get(str(part.get("type")), "text")
            part = {**part, key: texts[at]}
        parts.append(part)
    return {**item, "content": parts}


def is_call(item: Mapping[str, Any]) -> bool:
    """Does it ask the client to do something? Unknown kinds count as if they did."""
    kind = item.get("type")
    return kind is not None and str(kind) not in {*QUIET, *REMOTE, "message"}


def piece_of(item: Mapping[str, Any], index: int) -> dict[str, Any]:
    """A call as `reading.Calls` takes it."""
    rest = {key: value for key, value in item.items() if key not in _META}
    return {"index": index, "id": item.get("id"), **rest}


def inputs_of(item: Mapping[str, Any]) -> dict[tuple[str, ...], str]:
    """What a call gives to its tool, by place."""
    call = ToolCall()
    call.add(piece_of(item, 0))
    return {path: "".join(texts) for path, texts in call.parts.items() if any(texts)}


def calls_of(items: Mapping[int, Mapping[str, Any]]) -> Calls:
    """The calls among the items."""
    calls = Calls()
    for at, item in items.items():
        if is_call(item):
            calls.add(piece_of(item, at))
    return calls


def message(text: str, name: str, *, done: bool = True) -> dict[str, Any]:
    """A message item of ours."""
    parts = [text_part(text)] if done else []
    return {
        "id": name,
        "type": "message",
        "status": "completed" if done else "in_progress",
        "role": "assistant",
        "content": parts,
    }


def items_after(ending: Ending | None, at: int) -> list[dict[str, Any]]:
    """What ends the client's turn behind a note, from the place `at` on."""
    if ending is None or ending.refusal:
        return []
    if not ending.tool:
        return [message(ending.text, f"msg_bluecode_{at}")]
    number = secrets.token_hex(8)
    return [
        {
            "id": f"fc_bluecode_{number}",
            "type": "function_call",
            "status": "completed",
            "call_id": f"call_bluecode_{number}",
            "name": ending.tool,
            "arguments": ending.arguments,
        }
    ]


def refused(text: str, name: str) -> dict[str, Any]:
    """A message item of ours that refuses: who asks for JSON looks there before it reads any."""
    return {**message("", name), "content": [{"type": "refusal", "refusal": text}]}


def events_of(at: int, item: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a whole item of ours."""
    empty: dict[str, Any] = {"arguments": ""} if is_call(item) else {"content": []}
    begun = {**item, "status": "in_progress", **empty}
    added = {"type": "response.output_item.added", "output_index": at, "item": begun}
    done = {"type": "response.output_item.done", "output_index": at, "item": dict(item)}
    where: dict[str, Any] = {"item_id": item["id"], "output_index": at}
    if item["type"] == "function_call":
        given = item["arguments"]
        stem = "response.function_call_arguments"
        deltas = [
            {"type": f"{stem}.delta", **where, "delta": given},
            {"type": f"{stem}.done", **where, "name": item["name"], "arguments": given},
        ]
        return [added, *deltas, done]
    return [added, *_texts(item["content"][0], {**where, "content_index": 0}), done]


def _texts(part: Mapping[str, Any], where: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The events of a text part."""
    key = _TEXT_KEYS[part["type"]]
    stem = f"response.{part['type']}"
    more: dict[str, Any] = {"logprobs": []} if key == "text" else {}
    yield {"type": "response.content_part.added", **where, "part": {**part, key: ""}}
    yield {"type": f"{stem}.delta", **where, "delta": part[key], **more}
    yield {"type": f"{stem}.done", **where, key: part[key], **more}
    yield {"type": "response.content_part.done", **where, "part": dict(part)}


def text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def replaced(item: Any, text: str) -> Any:
    """An item of a request less what it said; what refers to it finds it still."""
    if not isinstance(item, dict):
        return text
    kind = item.get("type")
    if kind in (None, "message"):
        own = "output_text" if item.get("role") == "assistant" else "input_text"
        kept = {key: item[key] for key in ("type", "id", "role", "status") if key in item}
        return {**kept, "content": [{"type": own, "text": text}]}
    if str(kind).endswith("_output"):
        kept = {key: item[key] for key in ("type", "id", "call_id", "status") if key in item}
        return {**kept, "output": text}
    emptied = {"arguments": "{}", "input": "", "summary": [], "content": []}
    cut = {key: item[key] for key in ("type", "id", "call_id", "status", "name") if key in item}
    return {**cut, **{key: value for key, value in emptied.items() if key in item}}
