"""Answers in Google's Gemini protocol, as the provider writes them."""

import json
from typing import Any


def _answer(part: dict[str, Any], finish: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {"content": {"parts": [part], "role": "model"}, "index": 0}
    if finish is not None:
        item["finishReason"] = finish
    return {"candidates": [item], "modelVersion": "m", "responseId": "r"}


def said(text: str, *, finish: str | None = None, thought: bool = False) -> dict[str, Any]:
    return _answer({"text": text} | ({"thought": True} if thought else {}), finish)


def call(value: Any, *, finish: str | None = None) -> dict[str, Any]:
    return _answer({"functionCall": {"name": "write_file", "args": value}}, finish)


def raw(payload: Any) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\r\n\r\n"


def streamed(*payloads: dict[str, Any]) -> list[bytes]:
    return [raw(payload) for payload in payloads]
