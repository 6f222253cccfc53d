"""Agents that wait for a call, or for code, that ends their turn get BlueCode's words with it."""

import json
from collections.abc import Sequence
from typing import Any

import openai
import pytest
from scripted import ScriptedUpstream, answer, streamed
from serving import chat, guarded

from bluecode.proxy.wire.endings import ending_for


def tool(name: str, description: str = "", required: Sequence[str] = (), **properties: str) -> Any:
    schema = {
        "type": "object",
        "properties": {key: {"type": kind} for key, kind in properties.items()},
        "required": list(required),
    }
    function = {"name": name, "description": description, "parameters": schema}
    return {"type": "function", "function": function}


COMPLETE = tool("complete", "Use this when the autonomous session should end.")
ATTEMPT = tool("attempt_completion", required=["result"], result="string")
SUBMIT = tool("submit_and_exit", summary="string", verified="boolean")
ANSWER = tool("final_answer", "Provides a final answer to the given problem.", answer="any")
CALLED = {
    "attempt_completion": (ATTEMPT, {"result": "why"}),
    "submit_and_exit": (SUBMIT, {"summary": "why", "verified": False}),
    "final_answer": (ANSWER, {"answer": "why"}),
    "complete": (COMPLETE, {}),
}


@pytest.mark.parametrize("name", CALLED)
def test_an_agents_own_tool_ends_its_turn(name: str) -> None:
    offered, arguments = CALLED[name]
    ending = ending_for({"tools": [tool("read", path="string"), offered]}, "why")
    assert ending is not None
    assert ending.tool == name and json.loads(ending.arguments) == arguments


@pytest.mark.parametrize(
    "offered",
    [
        tool("complete", "Marks the order as complete."),
        tool("complete", "The autonomous session should end.", ["order"], order="string"),
        tool("attempt_completion", required=["result", "token"], result="string", token="string"),
        tool("final_answer", "Sends the answer to the customer.", answer="string"),
        tool("submit", answer="string"),
        {"type": "function"},
        "complete",
    ],
)
def test_a_tool_that_only_sounds_like_it_is_not_called(offered: Any) -> None:
    assert ending_for({"tools": [offered]}, "why") is None


def test_an_agent_that_runs_code_gets_code_that_cannot_be_broken_out_of() -> None:
    ending = ending_for({"stop": ["Observation:", "</code>"]}, "it's\n'); import os")
    assert ending is not None
    code = ending.text.removeprefix("<code>\n").removesuffix("\n</code>")
    told: list[str] = []
    exec(code, {"final_answer": told.append})
    assert told == ["it's\n'); import os"]


def test_an_agent_with_a_shell_alone_is_told_by_a_command_only_where_it_says_so() -> None:
    asked = "Finish with: echo COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
    shell = tool("bash", command="string")
    with_word = {"tools": [shell], "messages": [{"role": "system", "content": asked}]}
    ending = ending_for(with_word, "don't; rm -rf $HOME")
    assert ending is not None
    command = json.loads(ending.arguments)["command"]
    assert command.endswith("COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT 'don'\"'\"'t; rm -rf $HOME'")
    assert ending_for({"tools": [shell], "messages": []}, "why") is None


UNSAFE = "Sure.\n\n```python\ndanger()\n```\n"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("asked", ["badword", "write it"], ids=["refused", "withheld"])
@pytest.mark.parametrize("name", CALLED)
async def test_the_sdk_reads_what_an_agent_gets(name: str, asked: str, stream: bool) -> None:
    chunks = streamed([UNSAFE]) if stream else [answer({"content": UNSAFE})]
    upstream = ScriptedUpstream(chunks, kind="text/event-stream" if stream else "application/json")
    async with guarded(upstream) as root:
        async with openai.AsyncOpenAI(base_url=f"{root}/v1", api_key="k", max_retries=0) as sdk:
            body = chat(asked, tools=[CALLED[name][0]])
            if stream:
                async with sdk.chat.completions.stream(**body) as events:
                    completion: Any = await events.get_final_completion()
            else:
                completion = await sdk.chat.completions.create(**body)
    (choice,) = completion.choices
    (call,) = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls" and call.id and call.function.name == name
    told = f"{choice.message.content}{json.loads(call.function.arguments)}"
    assert "**BlueCode " in told and "danger" not in told
