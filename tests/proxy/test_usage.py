"""Tokens as each protocol tells them, in whole answers and in streams."""

import json
from typing import Any

import pytest

from bluecode.proxy.usage import Usage, UsageReader

EVENTS = "text/event-stream; charset=utf-8"
LINES = "application/x-ndjson"
WHOLE = "application/json"
LIMIT = 1_000_000


def read(kind: str, data: bytes, *, piece: int = 7, limit: int = LIMIT) -> Usage | None:
    reader = UsageReader(kind, limit)
    for at in range(0, len(data), piece):
        reader.feed(data[at : at + piece])
    return reader.end()


def events(*payloads: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(item).encode() + b"\n\n" for item in payloads)


CHAT = {"choices": [], "usage": {"prompt_tokens": 12, "completion_tokens": 5, "total_tokens": 17}}
RESPONSE = {"usage": {"input_tokens": 12, "output_tokens": 5, "total_tokens": 17}}
MESSAGE = {
    "usage": {"input_tokens": 2, "cache_read_input_tokens": 10, "output_tokens": 5},
}
GEMINI = {
    "usageMetadata": {
        "promptTokenCount": 12,
        "candidatesTokenCount": 2,
        "thoughtsTokenCount": 3,
        "totalTokenCount": 17,
    }
}
OLLAMA = {"done": True, "prompt_eval_count": 12, "eval_count": 5}
MESSAGES = (
    {"type": "message_start", "message": {"usage": {"input_tokens": 12, "output_tokens": 1}}},
    {"type": "content_block_delta", "delta": {"text": "usage"}},
    {"type": "message_delta", "usage": {"output_tokens": 5}},
)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (WHOLE, json.dumps(CHAT).encode()),
        (WHOLE, json.dumps(RESPONSE, indent=2).encode()),
        (WHOLE, json.dumps(MESSAGE).encode()),
        (WHOLE, json.dumps(GEMINI, indent=1).encode()),
        (WHOLE, json.dumps(OLLAMA).encode()),
        (EVENTS, events({"choices": []}, {**CHAT, "usage": None}, CHAT) + b"data: [DONE]\n\n"),
        (EVENTS, events({"type": "response.completed", "response": RESPONSE})),
        (EVENTS, events(*MESSAGES)),
        (EVENTS, events({"usageMetadata": {"promptTokenCount": 12}}, GEMINI)),
        (WHOLE, json.dumps([{"usageMetadata": {"promptTokenCount": 12}}, GEMINI]).encode()),
        (EVENTS, b"data: " + json.dumps(CHAT).encode()),
        (EVENTS, events(CHAT).replace(b"\n", b"\r\n")),
        (LINES, json.dumps({"done": False}).encode() + b"\n" + json.dumps(OLLAMA).encode()),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 10_000])
def test_every_protocol_is_read_however_it_comes(kind: str, data: bytes, piece: int) -> None:
    assert read(kind, data, piece=piece) == Usage(12, 5)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (WHOLE, b'{"choices": []}'),
        (WHOLE, b'{"usage": "much"}'),
        (WHOLE, b'{"usage": {"seats": 3}}'),
        (WHOLE, b'{"choices": [{"message": {"content": "{\\"usage\\": {\\"eval_count\\": 9}}"}}]}'),
        (WHOLE, b'{"usage": '),
        (WHOLE, b'"usage"'),
        (EVENTS, b"data: [DONE]\n\n"),
        (EVENTS, b'event: usage\ndata: {"usage": [\n\n'),
        (EVENTS, b"data: " + b"[" * 200_000 + b'"usage"\n\n'),
        (WHOLE, b""),
    ],
)
def test_what_tells_nothing_is_unknown_and_not_none(kind: str, data: bytes) -> None:
    assert read(kind, data, piece=50_000) is None


@pytest.mark.parametrize("value", [-5, True, 3.5, "9", None, [1]])
def test_a_number_that_is_none_counts_for_nothing(value: Any) -> None:
    told = {"usage": {"prompt_tokens": value, "completion_tokens": 5}}

    assert read(WHOLE, json.dumps(told).encode()) == Usage(0, 5)


def test_a_sum_alone_counts_as_what_was_read() -> None:
    assert read(WHOLE, b'{"usage": {"total_tokens": 7}}') == Usage(7, 0)


def test_who_tells_more_than_can_be_is_not_believed() -> None:
    told = {"usage": {"prompt_tokens": 10**30, "completion_tokens": 1}}

    assert read(WHOLE, json.dumps(told).encode()) == Usage(10**8, 1)


def test_an_event_beyond_the_limit_is_not_kept_and_the_next_is_read() -> None:
    long = b"data: " + b"x" * 50_000 + b"usage\n\n"
    reader = UsageReader(EVENTS, 10_000)
    for at in range(0, len(long), 1_000):
        reader.feed(long[at : at + 1_000])
        assert sum(map(len, reader._parts)) <= 10_000
    reader.feed(events(CHAT))

    assert reader.end() == Usage(12, 5)
