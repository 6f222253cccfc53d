"""Titles, commit messages and answers in JSON: what BlueCode says there does not break them."""

import json
from typing import Any

import openai
import pytest
from pydantic import BaseModel
from scripted import ScriptedUpstream, answer, streamed
from serving import chat, get, guarded, post

from bluecode.proxy.wire.forms import is_side, is_upkeep, one_line, wants_json
from bluecode.proxy.wires import WIRES

TITLED = {
    "a title generator": [
        {"role": "system", "content": "You are a title generator. You output ONLY a title."},
        {"role": "user", "content": "hello"},
    ],
    "a commit message": [
        {"role": "system", "content": "You write concise, one-line git commit messages."},
        {"role": "user", "content": "# Diffs:\n+x = 1"},
    ],
    "a title without instructions": [
        {"role": "user", "content": "Generate a short title for this conversation:\n\nhello"}
    ],
}
OWN = {
    "a page with a title": [{"role": "user", "content": "Write an HTML page with a title."}],
    "a commit hook": [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Write a hook that checks who may commit."},
    ],
    "a question": [{"role": "user", "content": "hello"}],
}
FORMATS = {
    "openai_chat": {"response_format": {"type": "json_object"}},
    "openai_responses": {"text": {"format": {"type": "json_schema", "name": "x", "schema": {}}}},
    "anthropic_messages": {"output_config": {"format": {"type": "json_schema", "schema": {}}}},
    "gemini": {"generationConfig": {"responseMimeType": "application/json"}},
    "ollama": {"format": "json"},
}


def read(messages: Any, **more: Any) -> Any:
    body = json.dumps({"model": "m", "messages": messages, **more}).encode()
    return WIRES["openai_chat"].parse(body, "/chat/completions")


@pytest.mark.parametrize("name", TITLED)
def test_what_an_assistant_asks_for_itself_is_no_turn(name: str) -> None:
    assert is_side(read(TITLED[name]))


@pytest.mark.parametrize("name", TITLED)
def test_an_agent_with_tools_asks_for_its_user(name: str) -> None:
    assert not is_side(read(TITLED[name], tools=[{"type": "function"}]))


@pytest.mark.parametrize(
    "asked",
    [
        "Look through the last part of the conversation and bring your memory files up to date.",
        "Your task is to create a detailed summary.\nSummarize the conversation so far.",
        "Compact the chat history above.",
    ],
)
@pytest.mark.parametrize("more", [{}, {"tools": [{"type": "function"}]}])
def test_an_agent_that_looks_after_its_memory_takes_no_turn(asked: str, more: Any) -> None:
    request = read([{"role": "user", "content": "hi"}, {"role": "user", "content": asked}], **more)
    assert is_upkeep(request) and not is_side(request)


@pytest.mark.parametrize(
    "asked",
    [
        "Find the memory leak in the session store.\nIt shows after an hour.",
        "Summarize the file README.md",
        "hello",
    ],
)
def test_who_speaks_of_memory_or_asks_for_a_summary_takes_a_turn(asked: str) -> None:
    assert is_upkeep(read([{"role": "user", "content": asked}])) is False


@pytest.mark.parametrize("name", OWN)
def test_a_users_words_are_a_turn(name: str) -> None:
    assert not is_side(read(OWN[name]))


@pytest.mark.parametrize("name", FORMATS)
def test_json_is_asked_for_in_each_protocol(name: str) -> None:
    assert wants_json(FORMATS[name])


@pytest.mark.parametrize("payload", [{}, {"text": {"format": {"type": "text"}}}, {"format": ""}])
def test_plain_text_is_no_json(payload: dict[str, Any]) -> None:
    assert not wants_json(payload)


def test_a_line_tells_what_was_done_and_the_first_reason() -> None:
    note = "**BlueCode withheld code.**\n\n- One reason (x).\n- Another.\n\n— BlueCode 0123456789ab"
    assert one_line(note) == "BlueCode withheld code: One reason (x)."


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_title_is_refused_in_one_line(stream: bool) -> None:
    messages = [*TITLED["a title generator"][:1], {"role": "user", "content": "badword"}]
    async with guarded(ScriptedUpstream([answer({"content": "A title"})])) as root:
        url = f"{root}/v1/chat/completions"
        _, _, body = await post(url, {"model": "m", "messages": messages, "stream": stream})
        _, _, told = await get(f"{root}/metrics")
    text = body.decode()
    said = (
        json.loads(text.split("\n\n")[0][6:])["choices"][0]["delta"]
        if stream
        else json.loads(text)["choices"][0]["message"]
    )
    assert said["content"].startswith("BlueCode did not pass this request") and (
        "\n" not in said["content"]
    )
    assert 'bluecode_turns_total{client="other"} 0.0' in told.decode()


async def test_a_users_request_is_counted_as_a_turn() -> None:
    async with guarded(ScriptedUpstream([answer({"content": "Hi."})])) as root:
        await post(f"{root}/v1/chat/completions", chat("hello"))
        _, _, told = await get(f"{root}/metrics")
    assert 'bluecode_turns_total{client="other"} 1.0' in told.decode()


class Reply(BaseModel):
    """What a program wants from the model."""

    code: str


UNSAFE = json.dumps({"code": "import os\n\n\ndef run(x):\n    danger(os.environ[x])\n"})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("asked", ["badword", "write it"], ids=["refused", "withheld"])
async def test_who_asks_for_json_finds_the_reason_where_the_sdk_looks_for_it(
    asked: str, stream: bool
) -> None:
    chunks = streamed([UNSAFE[:5], UNSAFE[5:]]) if stream else [answer({"content": UNSAFE})]
    upstream = ScriptedUpstream(chunks, kind="text/event-stream" if stream else "application/json")
    body: dict[str, Any] = {
        "model": "m",
        "messages": [{"role": "user", "content": asked}],
        "response_format": Reply,
    }
    async with guarded(upstream) as root:
        async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as sdk:
            if stream:
                async with sdk.chat.completions.stream(**body) as events:
                    completion: Any = await events.get_final_completion()
            else:
                completion = await sdk.chat.completions.parse(**body)
    (choice,) = completion.choices
    assert choice.finish_reason == "stop" and choice.message.parsed is None
    assert choice.message.refusal.startswith("**BlueCode ")
    assert json.loads(choice.message.content) == {"refusal": choice.message.refusal}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (
            "/v1/messages",
            {**chat("badword"), "max_tokens": 9, **FORMATS["anthropic_messages"]},
        ),
        ("/api/chat", {**chat("badword"), "stream": False, **FORMATS["ollama"]}),
        (
            "/v1beta/models/m:generateContent",
            {"contents": [{"role": "user", "parts": [{"text": "badword"}]}], **FORMATS["gemini"]},
        ),
    ],
)
async def test_in_every_protocol_a_refusal_is_json_where_json_was_asked_for(
    path: str, body: dict[str, Any]
) -> None:
    async with guarded(ScriptedUpstream([b"{}"])) as root:
        _, _, raw = await post(f"{root}{path}", body)
    texts = [text for text in _strings(json.loads(raw)) if text.startswith("{")]
    assert [json.loads(text)["refusal"][:11] for text in texts] == ["**BlueCode "]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_who_asks_for_json_by_responses_gets_a_refusal(stream: bool) -> None:
    """The SDK would fail on text that is not what was asked for."""
    body: dict[str, Any] = {"model": "m", "input": "badword", "text_format": Reply}
    async with guarded(ScriptedUpstream([b"{}"])) as root:
        async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as sdk:
            if stream:
                async with sdk.responses.stream(**body) as events:
                    kinds = [event.type async for event in events]
                    response: Any = await events.get_final_response()
                assert kinds[0] == "response.created" and "response.refusal.done" in kinds
            else:
                response = await sdk.responses.parse(**body)
    assert response.status == "completed" and response.output_parsed is None
    (part,) = response.output[0].content
    assert part.type == "refusal" and part.refusal.startswith("**BlueCode ")


def _strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in inner for text in _strings(item)]
