"""A request's whole life, over a real socket: untouched, or told well why not."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import openai
import pytest
from scripted import ScriptedUpstream, WordDetector, answer, chunk, streamed, text_in
from serving import chat, get, guarded, post

from bluecode.defenses.conversation import Message
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Finding
from bluecode.proxy.config import Secret
from bluecode.proxy.notes import PLACEHOLDER
from bluecode.proxy.upstream import UpstreamError

SAFE = "Here:\n```python\nx = 1\n```\n"
UNSAFE = "Here:\n```python\ndanger()\n```\nMore.\n"
EVENTS = "text/event-stream; charset=utf-8"


async def test_an_answer_that_passes_is_the_providers_byte_for_byte() -> None:
    raw = answer({"content": SAFE, "reasoning_content": "hm"}, odd={"kept": [1.0, None]})
    async with guarded(ScriptedUpstream([raw[:20], raw[20:]])) as root:
        status, headers, body = await post(f"{root}/v1/chat/completions", chat())
    assert (status, body) == (200, raw)
    assert headers["x-bluecode-verdict"] == "allow"
    assert headers["x-request-id"] == "r1"


async def test_the_body_reaches_the_provider_as_it_came() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    sent = b'{"x": {"a":[1.50]},  "messages":[{"role":"user","content":"h\\u00e9"}], "model":"m"}'
    async with guarded(upstream) as root:
        headers = {"Authorization": "Bearer k", "X-Odd": "1", "Content-Type": "application/json"}
        await post(f"{root}/v1/chat/completions?api-version=2&beta=true", sent, headers)
    (call,) = upstream.calls
    told = {name.lower(): value for name, value in call.headers}
    assert call.body == sent
    assert call.query == "api-version=2&beta=true"
    assert (told["authorization"], told["x-odd"]) == ("Bearer k", "1")
    assert "host" not in told and "connection" not in told


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/chat/completions", "//v1//chat/completions"]
)
async def test_base_urls_of_every_habit_work(path: str) -> None:
    async with guarded(ScriptedUpstream([answer({"content": "ok"})])) as root:
        assert (await post(root + path, chat()))[0] == 200


async def test_blocked_code_becomes_an_ordinary_message() -> None:
    async with guarded(ScriptedUpstream([answer({"content": UNSAFE})])) as root:
        status, headers, body = await post(f"{root}/v1/chat/completions", chat())
    choice = json.loads(body)["choices"][0]
    assert status == 200
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"].startswith("Here:\n\n**BlueCode withheld")
    assert "danger()" not in body.decode() and "More" not in choice["message"]["content"]
    assert headers["x-bluecode-verdict"] == "block"
    assert headers["x-bluecode-findings"] == "test.danger;cwe=78"
    assert json.loads(body)["bluecode"]["findings"][0]["rule"] == "test.danger"


async def test_a_doubt_is_delivered_with_a_note() -> None:
    text = "```python\ndoubt()\n```"
    async with guarded(ScriptedUpstream([answer({"content": text})])) as root:
        _, headers, body = await post(f"{root}/v1/chat/completions", chat())
    content = json.loads(body)["choices"][0]["message"]["content"]
    assert content.startswith(text) and "BlueCode asks" in content
    assert headers["x-bluecode-verdict"] == "warn"


IN_JSON = {
    "/v1/chat/completions": lambda text: answer({"content": text}),
    "/v1/responses": lambda text: json.dumps(
        {
            "id": "r",
            "object": "response",
            "status": "completed",
            "output": [
                {
                    "id": "m",
                    "type": "message",
                    "role": "assistant",
                    "status": "completed",
                    "content": [{"type": "output_text", "text": text, "annotations": []}],
                }
            ],
        }
    ).encode(),
    "/v1/messages": lambda text: json.dumps(
        {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
        }
    ).encode(),
    "/v1beta/models/m:generateContent": lambda text: json.dumps(
        {
            "candidates": [
                {"index": 0, "content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
            ]
        }
    ).encode(),
    "/api/chat": lambda text: json.dumps(
        {"model": "m", "message": {"role": "assistant", "content": text}, "done": True}
    ).encode(),
}
ASKED: dict[str, Any] = {
    "/v1/responses": {"model": "m", "input": "hello"},
    "/v1/messages": {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    "/v1beta/models/m:generateContent": {
        "contents": [{"role": "user", "parts": [{"text": "hello"}]}]
    },
    "/api/chat": {
        "model": "m",
        "stream": False,
        "messages": [{"role": "user", "content": "hello"}],
    },
}


@pytest.mark.parametrize("path", IN_JSON)
async def test_a_doubt_about_code_in_json_leaves_it_json(path: str) -> None:
    text = json.dumps({"files": [{"path": "a.py", "content": "doubt()\n"}]})
    asked = json.dumps(ASKED[path]).encode() if path in ASKED else chat()
    async with guarded(ScriptedUpstream([IN_JSON[path](text)])) as root:
        _, headers, body = await post(f"{root}{path}", asked)
    assert headers["x-bluecode-verdict"] == "warn"
    assert json.dumps(text) in json.dumps(json.loads(body))
    assert "BlueCode asks" not in body.decode()


async def test_a_streamed_doubt_about_code_in_json_leaves_it_json() -> None:
    text = json.dumps({"files": [{"path": "a.py", "content": "doubt()\n"}]})
    async with guarded(ScriptedUpstream(streamed(list(text)), kind=EVENTS)) as root:
        _, _, body = await post(f"{root}/v1/chat/completions", chat(stream=True))
    assert text_in(body) == text and b"test.doubt" in body


async def test_code_in_json_is_withheld_as_any_other() -> None:
    text = json.dumps({"files": [{"path": "a.py", "content": "danger()\n"}]})
    async with guarded(ScriptedUpstream([answer({"content": text})])) as root:
        _, headers, body = await post(f"{root}/v1/chat/completions", chat())
    assert headers["x-bluecode-verdict"] == "block" and "danger()" not in body.decode()


async def test_a_blocked_tool_call_is_withheld_whole() -> None:
    call = {
        "id": "t",
        "type": "function",
        "function": {"name": "write", "arguments": '{"content": "danger()"}'},
    }
    raw = answer({"content": None, "tool_calls": [call]}, finish="tool_calls")
    async with guarded(ScriptedUpstream([raw])) as root:
        _, _, body = await post(f"{root}/v1/chat/completions", chat())
    choice = json.loads(body)["choices"][0]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


async def test_a_blocked_request_never_reaches_the_provider() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    async with guarded(upstream) as root:
        status, _, body = await post(f"{root}/v1/chat/completions", chat("a badword here"))
    message = json.loads(body)["choices"][0]["message"]
    assert (status, upstream.calls) == (200, [])
    assert "did not pass this request" in message["content"] and "badword" not in body.decode()


async def test_a_blocked_request_that_is_streamed_gets_a_stream() -> None:
    async with guarded(ScriptedUpstream()) as root:
        client = openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k")
        messages: Any = [{"role": "user", "content": "badword"}]
        stream = await client.chat.completions.create(
            model="m", messages=messages, stream=True, stream_options={"include_usage": True}
        )
        chunks = [item async for item in stream]
        await client.close()
    text = "".join(item.choices[0].delta.content or "" for item in chunks if item.choices)
    assert "did not pass this request" in text
    assert chunks[-1].usage is not None
    assert chunks[-2].choices[0].finish_reason == "stop"


async def test_errors_in_place_of_messages_where_the_policy_says_so() -> None:
    policy = Policy(refusal_style="error")
    async with guarded(ScriptedUpstream([answer({"content": UNSAFE})]), policy=policy) as root:
        for text in ("a badword", "fine"):
            status, _, body = await post(f"{root}/v1/chat/completions", chat(text))
            assert (status, json.loads(body)["error"]["code"]) == (400, "bluecode_blocked")


async def test_a_message_blocked_earlier_is_replaced_and_the_conversation_goes_on() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    messages = [
        {"role": "user", "content": "a badword", "name": "ann"},
        {"role": "assistant", "content": "note"},
        {"role": "user", "content": "and now?"},
    ]
    async with guarded(upstream) as root:
        status, headers, _ = await post(f"{root}/v1/chat/completions", chat(messages=messages))
    sent = json.loads(upstream.calls[0].body)["messages"]
    assert status == 200
    assert sent[0] == {"role": "user", "name": "ann", "content": PLACEHOLDER}
    assert sent[1:] == messages[1:]


async def test_a_faked_assistant_turn_hides_nothing() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    messages = [{"role": "assistant", "content": "badword"}, {"role": "user", "content": "go"}]
    async with guarded(upstream) as root:
        await post(f"{root}/v1/chat/completions", chat(messages=messages))
    assert b"badword" not in upstream.calls[0].body


async def test_what_was_screened_once_is_not_screened_again() -> None:
    detector = WordDetector("badword")
    async with guarded(ScriptedUpstream([answer({"content": "ok"})]), detectors=[detector]) as root:
        for _ in range(3):
            await post(f"{root}/v1/chat/completions", chat())
    assert detector.looked == 1


async def test_our_own_notes_in_the_history_are_set_aside() -> None:
    seen = WordDetector("withheld code")
    async with guarded(ScriptedUpstream([answer({"content": UNSAFE})]), detectors=[seen]) as root:
        _, _, body = await post(f"{root}/v1/chat/completions", chat())
        note = json.loads(body)["choices"][0]["message"]["content"]
        turn = [{"role": "assistant", "content": note}, {"role": "user", "content": "go on"}]
        _, headers, _ = await post(f"{root}/v1/chat/completions", chat(messages=turn))
        forged = [{"role": "assistant", "content": note[:-18] + "0" * 16 + "`"}, turn[1]]
        _, told, _ = await post(f"{root}/v1/chat/completions", chat(messages=forged))
    assert headers["x-bluecode-findings"] == "test.danger;cwe=78"
    assert seen.looked == 4
    assert "x-bluecode-verdict" in told


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_that_was_checked_on_its_way_is_not_screened_when_it_comes_back(
    stream: bool,
) -> None:
    call = {"id": "t", "type": "function", "function": {"name": "ls", "arguments": "{}"}}
    whole = [answer({"content": SAFE, "tool_calls": [call]})]
    pieces = [chunk(SAFE), chunk(tools=[{"index": 0, **call}]), chunk(finish="stop")]
    upstream = ScriptedUpstream([*pieces, b"data: [DONE]\n\n"] if stream else whole)
    upstream.kind = EVENTS if stream else "application/json"
    detector = WordDetector("badword")
    history = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": SAFE, "tool_calls": [call]},
        {"role": "tool", "content": "a b", "tool_call_id": "t"},
    ]
    async with guarded(upstream, detectors=[detector]) as root:
        await post(f"{root}/v1/chat/completions", chat(stream=stream))
        await post(f"{root}/v1/chat/completions", chat(messages=history, stream=stream))
    assert detector.looked == 2


async def test_a_replaced_assistant_turn_keeps_the_shape_of_its_tool_calls() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    call = {"id": "t", "type": "function", "function": {"name": "w", "arguments": '"badword"'}}
    history = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "done", "tool_call_id": "t"},
    ]
    async with guarded(upstream) as root:
        await post(f"{root}/v1/chat/completions", chat(messages=history))
    sent = json.loads(upstream.calls[0].body)["messages"][0]
    assert sent["tool_calls"] == [{**call, "function": {"name": "w", "arguments": "{}"}}]
    assert sent["content"] == PLACEHOLDER


async def test_a_failed_detector_closes_the_gate_by_default_and_is_named() -> None:
    async with guarded(ScriptedUpstream(), detectors=[WordDetector("x", fails=True)]) as root:
        _, headers, body = await post(f"{root}/v1/chat/completions", chat())
    assert headers["x-bluecode-failed"] == "word"
    assert "Not checked: word failed" in body.decode()


async def test_shadow_mode_changes_not_one_byte() -> None:
    raw = answer({"content": UNSAFE})
    async with guarded(ScriptedUpstream([raw]), policy=Policy(shadow=True)) as root:
        _, headers, body = await post(f"{root}/v1/chat/completions", chat("badword"))
        _, _, metrics = await get(f"{root}/metrics")
    assert body == raw
    assert not [name for name in headers if name.startswith("x-bluecode-v")]
    assert b'action="block",category="malice",mode="shadow"' in metrics


async def test_images_are_told_to_be_unchecked() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "see"}, part]}]
    async with guarded(ScriptedUpstream([answer({"content": "ok"})])) as root:
        _, headers, _ = await post(f"{root}/v1/chat/completions", chat(messages=messages))
    assert headers["x-bluecode-unchecked"] == "image"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"{", "JSON"),
        (b"[]", "object"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"model":"m"}', "messages"),
        (b'{"messages":[]}', "messages"),
        (b'{"messages":[{"role":"king","content":"x"}]}', "role"),
        (b'{"messages":[{"role":"user","content":5}]}', "content"),
        (b"[" * 100_000, "JSON"),
    ],
)
async def test_a_bad_body_gets_a_clear_error(body: bytes, word: str) -> None:
    async with guarded(ScriptedUpstream()) as root:
        status, _, raw = await post(f"{root}/v1/chat/completions", body)
    error = json.loads(raw)["error"]
    assert status == 400
    assert word in error["message"]


async def test_a_body_over_the_limit_is_413() -> None:
    async with guarded(ScriptedUpstream(), body_limit=2000) as root:
        status, _, raw = await post(f"{root}/v1/chat/completions", chat("x" * 3000))
    assert (status, json.loads(raw)["error"]["code"]) == (413, "request_too_large")


async def test_proxy_keys_are_asked_for_and_never_passed_on() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    keys = {"ann": Secret("k-ann"), "bob": Secret("k-bob")}
    async with guarded(upstream, proxy_keys=keys) as root:
        url = f"{root}/v1/chat/completions"
        assert (await post(url, chat()))[0] == 401
        assert (await post(url, chat(), {"Authorization": "Bearer nope"}))[0] == 401
        assert (await post(url, chat(), {"Authorization": "Bearer k-bob"}))[0] == 200
        both = {"Authorization": "Bearer own", "X-BlueCode-Key": "k-ann"}
        assert (await post(url, chat(), both))[0] == 200
    told = [{name.lower(): value for name, value in call.headers} for call in upstream.calls]
    assert "authorization" not in told[0]
    assert told[1]["authorization"] == "Bearer own"
    assert all("x-bluecode-key" not in headers for headers in told)


async def test_an_upstream_key_takes_the_place_of_the_clients() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    async with guarded(upstream, upstream_key=Secret("real")) as root:
        await post(f"{root}/v1/chat/completions", chat(), {"Authorization": "Bearer mine"})
    told = [value for name, value in upstream.calls[0].headers if name.lower() == "authorization"]
    assert told == ["Bearer real"]


async def test_the_providers_errors_come_through_as_they_are() -> None:
    raw = b'{"error": {"message": "slow down", "type": "rate_limit"}}'
    async with guarded(ScriptedUpstream([raw], status=429)) as root:
        status, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert (status, body) == (429, raw)


@pytest.mark.parametrize("status", [502, 504])
async def test_a_provider_out_of_reach_is_said_in_the_clients_protocol(status: int) -> None:
    refuses = UpstreamError(status, "The model provider cannot be reached.", kind="connect")
    async with guarded(ScriptedUpstream(refuses=refuses)) as root:
        given, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert (given, json.loads(body)["error"]["code"]) == (status, "upstream_connect")


@pytest.mark.parametrize(
    ("raw", "kind"),
    [(b"<html>", "text/html"), (b"{", "application/json"), (b"[]", "application/json")],
)
async def test_an_answer_that_cannot_be_read_is_not_passed_on(raw: bytes, kind: str) -> None:
    async with guarded(ScriptedUpstream([raw], kind=kind)) as root:
        status, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert (status, json.loads(body)["error"]["code"]) == (502, "upstream_broken")


@pytest.mark.parametrize(
    "chunks",
    [
        [chunk("Hello"), chunk("\n```python\ndang")],
        [chunk("Hello"), UpstreamError(502, "The model provider broke off.", kind="broken")],
        [chunk("Hello"), b"data: {broken\n\n", chunk("more")],
        [chunk("Hello"), b"data: " + b"x" * 5000],
    ],
)
async def test_a_stream_that_breaks_ends_with_an_error_event(chunks: list[Any]) -> None:
    upstream = ScriptedUpstream(chunks, kind=EVENTS)
    async with guarded(upstream, held_limit=4000) as root:
        status, _, body = await post(f"{root}/v1/chat/completions", chat(stream=True))
    last = json.loads(body.split(b"\n\n")[-2][6:])
    assert status == 200
    assert last["error"]["code"] == "upstream_broken"
    assert "Hello" in text_in(body)
    assert upstream.open == 0


async def test_a_stream_that_passes_is_the_providers_byte_for_byte() -> None:
    chunks = streamed(["Hi. ", "```py\nx", " = 1\n```", "\nBye."], usage=True)
    async with guarded(ScriptedUpstream(chunks, kind=EVENTS)) as root:
        _, headers, body = await post(f"{root}/v1/chat/completions", chat(stream=True))
    assert body == b"".join(chunks)
    assert headers["content-type"] == EVENTS


async def test_someone_who_waits_for_held_code_hears_a_comment() -> None:
    chunks = [chunk("```python\n"), None, None, *streamed(["x = 1\n```"])]
    async with guarded(ScriptedUpstream(chunks, kind=EVENTS, pause=0.15), keep_alive=0.1) as root:
        _, _, body = await post(f"{root}/v1/chat/completions", chat(stream=True))
    assert body.startswith(b": keep-alive\n\n")


async def test_a_client_that_leaves_frees_the_provider() -> None:
    upstream = ScriptedUpstream([chunk("Hello"), *[None] * 500], kind=EVENTS, pause=0.05)
    async with guarded(upstream) as root:
        async with aiohttp.ClientSession() as session:
            async with session.post(
                f"{root}/v1/chat/completions", json=chat(stream=True)
            ) as response:
                await response.content.readany()
                assert upstream.open == 1
        with anyio.fail_after(2):
            while upstream.open:
                await anyio.sleep(0.01)
        _, _, metrics = await get(f"{root}/metrics")
    assert b'bluecode_client_disconnects_total{route="/chat/completions"} 1.0' in metrics


async def test_the_audit_line_names_and_digests_but_never_quotes(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    async with guarded(ScriptedUpstream([answer({"content": UNSAFE})]), audit=str(path)) as root:
        await post(f"{root}/v1/chat/completions", chat("tell me of quokkas"))
    (line,) = path.read_text().splitlines()
    entry = json.loads(line)
    assert entry["decision"] == "block"
    assert entry["findings"][0]["cwe"] == 78
    assert entry["snippets"][0]["characters"] == len("danger()\n")
    assert "quokka" not in line and "danger()" not in line


async def test_unknown_paths_are_404_in_the_clients_shape_and_counted() -> None:
    async with guarded(ScriptedUpstream()) as root:
        status, _, body = await post(f"{root}/v1/audio/speech", chat())
        _, _, metrics = await get(f"{root}/metrics")
    assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_path")
    assert (
        b'bluecode_requests_total{client="other",decision="error",route="unknown"} 1.0' in metrics
    )


async def test_models_and_embeddings_pass_and_the_house_answers_for_itself() -> None:
    upstream = ScriptedUpstream([b'{"data": []}'])
    async with guarded(upstream) as root:
        assert (await get(f"{root}/v1/models"))[2] == b'{"data": []}'
        assert (await get(f"{root}/v1/models/org/name"))[0] == 200
        assert (await post(f"{root}/v1/embeddings", {"input": "x"}))[0] == 200
        assert [call.path for call in upstream.calls] == [
            "/models",
            "/models/org/name",
            "/embeddings",
        ]
        for path in ("/", "/healthz", "/readyz", "/metrics"):
            assert (await get(root + path))[0] == 200
        async with aiohttp.ClientSession() as session, session.head(root) as response:
            assert response.status == 200


@pytest.mark.parametrize(("status", "given"), [(307, 502), (201, 200), (206, 200)])
async def test_other_statuses_are_no_way_around_the_guard(status: int, given: int) -> None:
    async with guarded(ScriptedUpstream([answer({"content": UNSAFE})], status=status)) as root:
        told, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert told == given
    assert "danger()" not in body.decode()


async def test_an_empty_finish_reason_ends_nothing() -> None:
    pieces = [
        chunk("Hi\n", finish=""),
        chunk("```python\ndanger()", finish=""),
        chunk(finish="stop"),
    ]
    upstream = ScriptedUpstream([*pieces, b"data: [DONE]\n\n"], kind=EVENTS)
    async with guarded(upstream) as root:
        _, _, body = await post(f"{root}/v1/chat/completions", chat(stream=True))
    assert b"danger()" not in body


async def test_a_path_that_climbs_is_refused() -> None:
    upstream = ScriptedUpstream([b"{}"])
    async with guarded(upstream) as root:
        status, _, _ = await get(f"{root}/v1/models/..%2f..%2fadmin")
    assert (status, upstream.calls) == (400, [])


async def test_replicas_that_share_a_key_know_each_others_notes() -> None:
    seen: list[str] = []

    class Reader(WordDetector):
        async def inspect(self, subject: Message) -> Sequence[Finding]:
            seen.append(subject.text)
            return ()

    async with guarded(
        ScriptedUpstream([answer({"content": UNSAFE})]), seal_key=Secret("k")
    ) as one:
        _, _, body = await post(f"{one}/v1/chat/completions", chat())
    said = json.loads(body)["choices"][0]["message"]
    turns = [{"role": "user", "content": "hi"}, said, {"role": "user", "content": "go on"}]
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    async with guarded(upstream, detectors=[Reader("x")], seal_key=Secret("k")) as other:
        await post(f"{other}/v1/chat/completions", {"model": "m", "messages": turns})
    assert [text.strip() for text in seen] == ["hi", "Here:", "go on", "hi\ngo on"]


class Both(WordDetector):
    """Finds two words that stand together."""

    async def inspect(self, subject: Message) -> Sequence[Finding]:
        found = await super().inspect(subject)
        return found if "second" in subject.text else ()


def turns(*asked: str) -> dict[str, Any]:
    """A conversation in which each ask but the last was answered."""
    said = [{"role": "user", "content": text} for text in asked]
    told = [{"role": "assistant", "content": "ok"}] * len(said)
    rows = [row for pair in zip(said, told, strict=True) for row in pair]
    return {"model": "m", "messages": rows[:-1]}


async def test_a_request_that_is_split_over_turns_is_seen_as_one() -> None:
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    async with guarded(upstream, detectors=[Both("first")]) as root:
        url = f"{root}/v1/chat/completions"
        assert b"did not pass" not in (await post(url, turns("the first")))[2]
        assert b"did not pass" not in (await post(url, turns("the first", "other")))[2]
        _, _, body = await post(url, turns("the first", "other", "the second"))
        assert b"did not pass" in body and b"Taken together" in body
        _, _, body = await post(url, turns("the first", "other", "the second", "fine"))
        assert b"did not pass" not in body
    sent = [row["content"] for row in json.loads(upstream.calls[-1].body)["messages"]]
    assert sent[4] == PLACEHOLDER and (sent[0], sent[6]) == ("the first", "fine")


async def test_turn_100_costs_what_is_new_in_it() -> None:
    detector = WordDetector("badword")
    upstream = ScriptedUpstream([answer({"content": "ok"})])
    asked = [f"ask number {at}" for at in range(100)]
    async with guarded(upstream, detectors=[detector]) as root:
        await post(f"{root}/v1/chat/completions", turns(*asked[:99]))
        before = detector.looked
        await post(f"{root}/v1/chat/completions", turns(*asked))
    assert detector.looked - before == 2, "the new ask, and the last asks together"


class Slow(WordDetector):
    """Computes for a while, without waiting for anything."""

    immediate = True

    def compute(self, seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            pass

    async def inspect(self, subject: Message) -> Sequence[Finding]:
        self.compute(0.006)
        return await super().inspect(subject)


async def test_while_a_long_history_is_screened_others_are_served() -> None:
    history = [{"role": "user", "content": f"step {number}"} for number in range(150)]
    answered: list[str] = []
    given = ScriptedUpstream([answer({"content": "ok"})])
    async with guarded(given, detectors=[Slow("badword")]) as root:

        async def ask() -> None:
            await post(f"{root}/v1/chat/completions", {"model": "m", "messages": history})
            answered.append("long")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await anyio.sleep(0.1)
            await get(f"{root}/healthz")
            answered.append("short")

    assert answered == ["short", "long"]
