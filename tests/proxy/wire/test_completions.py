"""Completions for editors: code alone comes back, or nothing; the user's own code is not judged."""

import json
from typing import Any

import openai
import pytest
from completion_events import events, whole
from scripted import ScriptedUpstream
from serving import guarded, post

from bluecode.defenses.checkers.python import PythonChecker

BEFORE = "import sqlite3\n\n\ndef find(db: sqlite3.Connection, name: str):\n    "
AFTER = "\n    return cur.fetchone()\n"
BAD = 'cur = db.execute("SELECT id FROM users WHERE name = \'" + name + "\'")'
GOOD = 'cur = db.execute("SELECT id FROM users WHERE name = ?", (name,))'
OWN = "import os\n\n\ndef old(name):\n    os.system('rm ' + name)\n\n\n"
PATHS = ("/v1/completions", "/v1/fim/completions")


def ask(before: str = BEFORE, after: str | None = AFTER, **extra: Any) -> dict[str, Any]:
    return {"model": "m", "prompt": before, "suffix": after, **extra}


async def answered(path: str, upstream: ScriptedUpstream, body: Any) -> tuple[Any, bytes]:
    async with guarded(upstream, checkers=[PythonChecker()]) as root:
        status, headers, raw = await post(root + path, body)
    assert status == 200
    return headers, raw


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["text", "message"])
async def test_a_blocked_completion_is_empty(path: str, key: str) -> None:
    headers, raw = await answered(path, ScriptedUpstream([whole(BAD, key)]), ask())
    (choice,) = json.loads(raw)["choices"]
    assert headers["x-bluecode-verdict"] == "block"
    assert "python.sql_injection" in headers["x-bluecode-findings"]
    assert choice["text"] == "" if key == "text" else choice["message"]["content"] == ""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("key", ["text", "delta"])
async def test_a_blocked_stream_is_empty(path: str, key: str) -> None:
    upstream = ScriptedUpstream(events(BAD, key), kind="text/event-stream")
    _, raw = await answered(path, upstream, ask(stream=True))
    assert b"SELECT" not in raw
    assert b'"bluecode"' in raw
    assert raw.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("before", [BEFORE, OWN + BEFORE])
async def test_a_safe_completion_passes_byte_for_byte_whatever_stands_around_it(
    before: str,
) -> None:
    raw = whole(GOOD)
    headers, got = await answered("/v1/completions", ScriptedUpstream([raw]), ask(before))
    assert (headers["x-bluecode-verdict"], got) == ("allow", raw)
    streamed = events(GOOD)
    upstream = ScriptedUpstream(streamed, kind="text/event-stream")
    _, got = await answered("/v1/completions", upstream, ask(before, stream=True))
    assert got == b"".join(streamed)


async def test_the_code_before_the_cursor_says_what_flows_into_the_completion() -> None:
    alone = "os.system('rm ' + name)\n"
    before = "import os\n\n\ndef clean(name: str) -> None:\n    "
    headers, _ = await answered(
        "/v1/completions", ScriptedUpstream([whole(alone)]), ask(before, None)
    )
    assert "python.command_injection" in headers["x-bluecode-findings"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_prompt_gets_nothing(stream: bool) -> None:
    upstream = ScriptedUpstream([])
    _, raw = await answered("/v1/completions", upstream, ask("# badword\n", stream=stream))
    assert upstream.calls == []
    assert b'"text":""' in raw.replace(b" ", b"")


@pytest.mark.parametrize(
    "prompt", [None, [], [["a"], 5], {"a": 1}, 5], ids=["none", "empty", "mixed", "object", "int"]
)
async def test_a_bad_prompt_gets_a_clear_error(prompt: Any) -> None:
    async with guarded(ScriptedUpstream([])) as root:
        status, _, raw = await post(f"{root}/v1/completions", {"model": "m", "prompt": prompt})
    assert (status, json.loads(raw)["error"]["code"]) == (400, "invalid_request")


async def test_tokens_in_place_of_text_are_told_to_be_unchecked() -> None:
    upstream = ScriptedUpstream([whole("x = 1\n")])
    headers, _ = await answered("/v1/completions", upstream, {"model": "m", "prompt": [1, 2, 3]})
    assert headers["x-bluecode-unchecked"] == "other"


async def test_the_sdk_reads_what_it_gets() -> None:
    async with (
        guarded(ScriptedUpstream([whole(BAD)]), checkers=[PythonChecker()]) as root,
        openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as client,
    ):
        got = await client.completions.create(model="m", prompt=BEFORE, suffix=AFTER)
    assert got.choices[0].text == ""


async def test_a_prompt_that_was_refused_before_gets_a_clear_error_and_no_fault() -> None:
    body = {"model": "m", "prompt": ["a badword", "hello"]}
    async with guarded(ScriptedUpstream()) as root:
        first, _, _ = await post(f"{root}/v1/completions", body)
        again, _, told = await post(f"{root}/v1/completions", body)
    assert (first, again) == (200, 400)
    assert json.loads(told)["error"]["code"] == "bluecode_blocked"
