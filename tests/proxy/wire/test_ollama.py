"""Ollama's own protocol: lines of JSON, screened, judged and left as they were."""

import json
from typing import Any

import pytest
from scripted import ScriptedUpstream, WordChecker
from serving import get, guarded, post, serving

from bluecode.proxy.answers import ORDINARY
from bluecode.proxy.scripted import scripted_model
from bluecode.proxy.upstream import HttpUpstream, UpstreamError

NDJSON = "application/x-ndjson"
CODE = "Look:\n\n```python\ndanger()\n```\nDone."
SAFE = "Look:\n\n```python\nfine()\n```\nDone."


def line(text: str = "", *, key: str = "message", done: bool = False, **more: Any) -> bytes:
    said = {"role": "assistant", "content": text} if key == "message" else text
    told: dict[str, Any] = {"model": "m", "created_at": "t", key: said, "done": done}
    told |= {"done_reason": "stop", "eval_count": 3} if done else {}
    return json.dumps({**told, **more}).encode() + b"\n"


def lines(text: str, key: str = "message") -> list[bytes]:
    pieces = [text[at : at + 5] for at in range(0, len(text), 5)]
    return [*(line(piece, key=key) for piece in pieces), line(key=key, done=True)]


def call(content: str) -> bytes:
    function = {"name": "write", "arguments": {"path": "a.py", "content": content}}
    said = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    return line(message=said)


def read(body: bytes, key: str = "message") -> tuple[str, list[dict[str, Any]]]:
    """The text that a client puts together, and all lines."""
    told = [json.loads(part) for part in body.splitlines()]
    texts = [item[key]["content"] if key == "message" else item[key] for item in told]
    return "".join(texts), told


def asked(text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


async def through(
    chunks: Any, body: Any, path: str = "/api/chat", kind: str = NDJSON
) -> tuple[int, dict[str, str], bytes]:
    async with guarded(ScriptedUpstream(chunks, kind=kind)) as root:
        return await post(f"{root}{path}", body)


@pytest.mark.parametrize("size", [1, 7, 60, 4000])
async def test_what_passes_is_the_same_byte_for_byte(size: int) -> None:
    sent = b"".join(lines(SAFE))
    chunks = [sent[at : at + size] for at in range(0, len(sent), size)]
    status, headers, body = await through(chunks, asked())
    assert (status, headers["content-type"], body) == (200, NDJSON, sent)


@pytest.mark.parametrize(("path", "key"), [("/api/chat", "message"), ("/api/generate", "response")])
async def test_code_of_a_stream_is_withheld_and_the_stream_ends_well(path: str, key: str) -> None:
    body = asked() if key == "message" else {"model": "m", "prompt": "hello"}
    _, _, told = await through(lines(CODE, key), body, path)
    text, all_lines = read(told, key)
    assert text.startswith("Look:\n\n") and "BlueCode withheld code" in text
    assert "danger" not in text
    assert [item["done"] for item in all_lines].count(True) == 1 and all_lines[-1]["done"]
    assert all_lines[-1]["bluecode"]["action"] == "block"


@pytest.mark.parametrize(("path", "key"), [("/api/chat", "message"), ("/api/generate", "response")])
async def test_code_of_a_whole_answer_is_withheld(path: str, key: str) -> None:
    body = {**asked(), "prompt": "hello", "stream": False}
    if key == "response":
        del body["messages"]
    reply = [line(CODE, key=key, done=True, context=[1, 2])]
    _, _, told = await through(reply, body, path, "application/json")
    answer = json.loads(told)
    text = answer[key]["content"] if key == "message" else answer[key]
    assert "BlueCode withheld code" in text and "danger" not in told.decode().split("bluecode")[0]
    assert answer["done"] is True and "context" not in answer


@pytest.mark.parametrize("message", [{}, {"content": ""}, {"content": "Here."}, None])
@pytest.mark.parametrize("code", [CODE, "```python\ndoubt()\n```\n"])
async def test_an_answer_in_the_other_place_is_judged_and_told_all_the_same(
    message: Any, code: str
) -> None:
    more = {} if message is None else {"message": message}
    for stream in (False, True):
        reply = [line(code, key="response", done=True, **more)]
        kind = NDJSON if stream else "application/json"
        _, _, told = await through(reply, asked(stream=stream), kind=kind)
        spoken = b"".join(told.split(b'"bluecode":')[::2])
        assert (b"danger()" in spoken, b"BlueCode" in spoken) == (False, True)


@pytest.mark.parametrize(("content", "kept"), [("fine()", True), ("danger()", False)])
async def test_a_tool_call_leaves_only_once_it_passed(content: str, kept: bool) -> None:
    sent = [line("Writing."), call(content), line(done=True)]
    _, _, told = await through(sent, asked())
    text, all_lines = read(told)
    calls = [item for item in all_lines if item["message"].get("tool_calls")]
    assert bool(calls) is kept and ("withheld" in text) is not kept
    assert (told == b"".join(sent)) is kept


async def test_code_to_look_at_gets_its_note() -> None:
    _, _, told = await through(lines("```python\ndoubt()\n```\n"), asked())
    text, _ = read(told)
    assert "doubt()" in text and "look at this" in text


@pytest.mark.parametrize(
    "body",
    [
        asked("a badword"),
        asked("x", tools=[{"type": "function", "function": {"description": "badword"}}]),
        asked("x", format={"description": "badword"}),
        {"model": "m", "messages": [{"role": "tool", "tool_name": "t", "content": "badword"}]},
    ],
)
@pytest.mark.parametrize("stream", [True, False])
async def test_a_blocked_request_is_refused_in_form(body: dict[str, Any], stream: bool) -> None:
    _, headers, told = await through([], {**body, "stream": stream})
    text, all_lines = read(told)
    assert "BlueCode did not pass this request" in text
    assert len(all_lines) == 1 and all_lines[0]["done"] is True
    assert headers["content-type"].startswith(NDJSON if stream else "application/json")


@pytest.mark.parametrize("key", ["prompt", "system", "template", "suffix"])
async def test_every_text_of_a_generate_request_is_screened(key: str) -> None:
    body = {"model": "m", "prompt": "hello", key: "a badword", "stream": False}
    _, headers, _ = await through([], body, "/api/generate")
    assert headers["x-bluecode-verdict"] == "block"


async def test_images_and_kept_contexts_count_as_unread() -> None:
    body = asked(images=None)
    body["messages"][0]["images"] = ["aGVsbG8=" * 99]
    async with guarded(ScriptedUpstream([line("ok", done=True)])) as root:
        await post(f"{root}/api/chat", body)
        await post(f"{root}/api/generate", {"model": "m", "prompt": "x", "context": [1]})
        _, _, metrics = await get(f"{root}/metrics")
    assert b'bluecode_unchecked_total{reason="image"} 1.0' in metrics
    assert b'bluecode_unchecked_total{reason="history"} 1.0' in metrics


FILLS = [
    {"prompt": "def f():\n    ", "suffix": "\n"},
    {"prompt": "<|fim_prefix|>def f():\n    <|fim_suffix|>\n<|fim_middle|>", "raw": True},
    {"prompt": "<PRE> def f():\n     <SUF>\n <MID>", "raw": True},
]


@pytest.mark.parametrize("fill", FILLS)
@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("said", "kept"), [("danger()", False), ("return 1", True)])
async def test_a_completion_for_an_editor_that_is_blocked_is_empty(
    fill: dict[str, Any], stream: bool, said: str, kept: bool
) -> None:
    reply = lines(said, "response") if stream else [line(said, key="response", done=True)]
    kind = NDJSON if stream else "application/json"
    body = {"model": "m", "stream": stream, **fill}
    _, _, told = await through(reply, body, "/api/generate", kind)
    text, all_lines = read(told, "response")
    assert text == (said if kept else "")
    assert all_lines[-1]["done"] is True


async def test_code_around_the_cursor_is_not_judged() -> None:
    checker = WordChecker()
    upstream = ScriptedUpstream(lines("1", "response"), kind=NDJSON)
    body = {"model": "m", "prompt": "import os\nx = ", "suffix": "\nprint(x)\n"}
    async with guarded(upstream, checkers=[checker]) as root:
        await post(f"{root}/api/generate", body)
    (snippet,) = checker.looked
    assert snippet.code == "import os\nx = 1\nprint(x)\n" and snippet.focus == (2, 2)


async def test_a_blocked_message_of_an_earlier_turn_does_not_go_out_again() -> None:
    upstream = ScriptedUpstream(lines("Fine."), kind=NDJSON)
    rows = [("user", "a badword"), ("assistant", "No."), ("user", "hello")]
    body = {"model": "m", "messages": [{"role": role, "content": text} for role, text in rows]}
    async with guarded(upstream) as root:
        status, _, _ = await post(f"{root}/api/chat", body)
    assert status == 200
    assert "badword" not in upstream.calls[0].body.decode()


@pytest.mark.parametrize(
    "chunks",
    [
        [line("Look:\n```python\ndanger()")],
        [line("x"), b"[1]\n", line(done=True)],
        [b"not json\n"],
        [line("x"), b'{"message": {"content": ["danger()"]}, "done": true}\n'],
        [b'{"message": {"content": "a"}}\r{"message": {"content": "danger()"}}\n'],
        [line("x"), UpstreamError(502, "Gone.", kind="broken")],
    ],
)
async def test_a_broken_stream_ends_with_an_error_and_nothing_unseen(chunks: Any) -> None:
    _, _, told = await through(chunks, asked())
    last = json.loads(told.splitlines()[-1])
    assert "error" in last and "danger()" not in told.decode()


async def test_an_error_of_the_provider_is_its_own() -> None:
    upstream = ScriptedUpstream([b'{"error":"no such model"}'], status=404)
    async with guarded(upstream) as root:
        status, _, told = await post(f"{root}/api/chat", asked())
    assert (status, told) == (404, b'{"error":"no such model"}')


@pytest.mark.parametrize(
    "body", [{}, {"messages": []}, {"messages": [{"role": "x", "content": "y"}]}, {"Messages": []}]
)
async def test_a_body_that_cannot_be_read_is_refused_in_form(body: dict[str, Any]) -> None:
    status, _, told = await through([], body)
    assert status == 400 and isinstance(json.loads(told)["error"], str)


async def test_the_scripted_model_speaks_it_through_an_upstream_below_v1() -> None:
    async with serving(scripted_model()) as model:
        async with guarded(HttpUpstream(f"{model}/v1")) as root:
            _, _, told = await post(f"{root}/api/chat", asked("write python code for a slug"))
            _, _, tags = await get(f"{root}/api/tags")
            status, _, _ = await get(f"{root}/v1/models")
    assert ORDINARY in read(told)[0]
    assert json.loads(tags)["models"][0]["name"] == "demo"
    assert status == 200
