"""The scripted model speaks every protocol that BlueCode guards, so that each can be tried."""

from typing import Any

import anthropic
import openai
import pytest
from serving import serving

from bluecode.proxy.scripted import scripted_model

LOOKUP = "write python code for a database lookup by name, safely"
SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
}


@pytest.mark.parametrize("stream", [True, False])
async def test_messages(stream: bool) -> None:
    asked: Any = {
        "model": "demo",
        "max_tokens": 9,
        "messages": [{"role": "user", "content": LOOKUP}],
    }
    tools: Any = [{"name": "write", "description": "", "input_schema": SCHEMA}]
    async with (
        serving(scripted_model()) as root,
        anthropic.AsyncAnthropic(base_url=root, api_key="k", max_retries=0) as client,
    ):
        if stream:
            async with client.messages.stream(**asked) as events:
                said: Any = await events.get_final_message()
            async with client.messages.stream(**asked, tools=tools) as events:
                called: Any = await events.get_final_message()
        else:
            said = await client.messages.create(**asked)
            called = await client.messages.create(**asked, tools=tools)
    assert "```python" in said.content[0].text and said.stop_reason == "end_turn"
    assert called.content[0].name == "write" and "SELECT" in called.content[0].input["content"]


@pytest.mark.parametrize("stream", [True, False])
async def test_responses(stream: bool) -> None:
    tools: Any = [{"type": "function", "name": "write", "parameters": SCHEMA, "strict": False}]
    async with (
        serving(scripted_model()) as root,
        openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as client,
    ):
        if stream:
            async with client.responses.stream(model="demo", input=LOOKUP) as events:
                said: Any = await events.get_final_response()
            async with client.responses.stream(model="demo", input=LOOKUP, tools=tools) as events:
                called: Any = await events.get_final_response()
        else:
            said = await client.responses.create(model="demo", input=LOOKUP)
            called = await client.responses.create(model="demo", input=LOOKUP, tools=tools)
    assert "```python" in said.output_text
    assert called.output[0].name == "write" and "SELECT" in called.output[0].arguments


@pytest.mark.parametrize("stream", [True, False])
async def test_completions(stream: bool) -> None:
    async with (
        serving(scripted_model()) as root,
        openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as client,
    ):
        got: Any = await client.completions.create(model="demo", prompt="# slug\n", stream=stream)
        if stream:
            text = "".join([chunk.choices[0].text async for chunk in got])
        else:
            text = got.choices[0].text
    assert "def " in text
