"""The scripted model speaks the OpenAI protocol well enough for the real SDK."""

import ast
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest

from bluecode.proxy.answers import TOPICS, topic_of
from bluecode.proxy.demo import WRITE_FILE
from bluecode.proxy.scripted import MODEL, answer_to, scripted_model
from bluecode.proxy.serving import on_loopback

SQL = [{"role": "user", "content": "Quick: look up a user in our SQLite database."}]


@asynccontextmanager
async def client() -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        on_loopback(scripted_model()) as root,
        openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="none", max_retries=0) as sdk,
    ):
        yield sdk


async def test_an_answer_and_its_stream_say_the_same() -> None:
    async with client() as sdk:
        whole = await sdk.chat.completions.create(model=MODEL, messages=SQL)
        chunks = [
            chunk
            async for chunk in await sdk.chat.completions.create(
                model=MODEL, messages=SQL, stream=True
            )
        ]

    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
    assert len(chunks) > 20


async def test_a_stream_of_several_choices_ends_with_its_usage_where_asked() -> None:
    async with client() as sdk:
        stream = await sdk.chat.completions.create(
            model=MODEL, messages=SQL, stream=True, n=2, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]

    ends = {c.index for chunk in chunks for c in chunk.choices if c.finish_reason == "stop"}
    assert ends == {0, 1}
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens > 0


@pytest.mark.parametrize("streamed", [False, True])
async def test_where_a_tool_writes_files_the_code_comes_in_its_arguments(streamed: bool) -> None:
    asked: dict[str, Any] = {"model": MODEL, "messages": SQL, "tools": [WRITE_FILE]}
    async with client() as sdk:
        if streamed:
            stream = await sdk.chat.completions.create(**asked, stream=True)
            deltas = [c.delta async for chunk in stream for c in chunk.choices]
            pieces = [call for delta in deltas for call in delta.tool_calls or ()]
            name = pieces[0].function.name
            arguments = "".join(piece.function.arguments for piece in pieces)
        else:
            answer = await sdk.chat.completions.create(**asked)
            call = answer.choices[0].message.tool_calls[0]
            name, arguments = call.function.name, call.function.arguments

    assert name == "write_file"
    assert "SELECT" in json.loads(arguments)["content"]


async def test_an_answer_on_a_kept_connection_does_not_wait_for_an_acknowledgement() -> None:
    async with client() as sdk:
        await sdk.models.list()
        spent = []
        for _ in range(5):
            started = time.perf_counter()
            await sdk.models.list()
            spent.append(time.perf_counter() - started)

    assert min(spent) < 0.03


async def test_models_and_embeddings_are_served() -> None:
    async with client() as sdk:
        models = [model.id async for model in sdk.models.list()]
        one = await sdk.models.retrieve(MODEL)
        plain = await sdk.embeddings.create(model=MODEL, input="a", encoding_format="float")
        coded = await sdk.embeddings.create(model=MODEL, input=["a", "b"])

    assert models == [MODEL] == [one.id]
    assert coded.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)
    assert coded.data[0].embedding != coded.data[1].embedding


async def test_what_is_no_request_gets_an_error_in_the_shape_of_the_protocol() -> None:
    async with client() as sdk:
        with pytest.raises(openai.BadRequestError):
            await sdk.post("/chat/completions", cast_to=object, body={"messages": 1})
        with pytest.raises(openai.NotFoundError):
            await sdk.models.retrieve("another")
        with pytest.raises(openai.NotFoundError, match="No such path"):
            await sdk.post("/audio/speech", cast_to=object, body={})


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: topic.name)
def test_each_topic_is_reached_by_its_own_name_and_both_twins_are_programs(topic: Any) -> None:
    assert topic_of(topic.name) is topic
    assert topic.code("quick") != topic.code("safely")
    ast.parse(topic.quick)
    ast.parse(topic.safe)


def test_after_a_tool_result_the_model_only_sums_up() -> None:
    answer = answer_to([*SQL, {"role": "tool", "content": "one\ntwo"}])

    assert "2 lines" in answer.text
    assert "```" not in answer.text
