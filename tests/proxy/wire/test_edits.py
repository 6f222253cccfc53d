"""What an editor writes into a file is code, or what was there before."""

import json
from typing import Any

import pytest
from scripted import ScriptedUpstream, answer, streamed
from serving import guarded, post

from bluecode.proxy.wire.edits import unchanged
from bluecode.proxy.wires import WIRES

OLD = "def area(side):\n    return side * side"
NEW = "def area(side):\n    danger(side)\n    return side * side"
DOUBT = "def area(side):\n    doubt(side)\n    return side * side"
EDITS = {
    "a part": (
        "A section of the file is to be rewritten.\n\nThis is the prefix of the file:\n"
        "```python\nimport math\n```\n\nThis is the code to rewrite:\n"
        f'```python\n{OLD}\n```\n\nThe user\'s request is: "faster"\n\nHere is the rewritten code:'
    ),
    "a file": (
        f"```python\n{OLD}\n```\n\nPlease rewrite the above file to address the following request:"
        "\n\nfaster\n\nDO NOT surround the code in a code block."
    ),
    "a suggestion": (
        f"```\n{OLD}\n```\n\nThe following code was suggested as an edit:\n```\nx = 1\n```\n"
        "Please apply it to the previous code."
    ),
    "a merge": f"<instruction>faster</instruction>\n<code>{OLD}</code>\n<update>x = 1</update>",
    "a tag": f"Rewrite the part.\n<rewrite_this>\n{OLD}\n</rewrite_this>\nOnly the code, please.",
}
INSERTION = 'x = [BLANK]\n\nGive only the code that should replace the "[BLANK]".'
OTHERS = [
    "hello",
    "Explain <update> and <code> in HTML.",
    "What is left to rewrite in the code?",
    "Fill [BLANK] in: the capital of France is [BLANK].",
    "How do I use <rewrite_this>?",
    "```\nx = 1\n```\n\nPlease rewrite the above file, it is too long.",
]


def chat(text: str, **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **more}


def read(text: str, **more: Any) -> str | None:
    body = json.dumps(chat(text, **more)).encode()
    return unchanged(WIRES["openai_chat"].parse(body, "/chat/completions"))


@pytest.mark.parametrize("name", EDITS)
def test_the_code_is_found_that_an_edit_would_change(name: str) -> None:
    assert read(EDITS[name]) == OLD


def test_an_insertion_changes_nothing_where_nothing_is_inserted() -> None:
    assert read(INSERTION) == ""


@pytest.mark.parametrize("text", OTHERS)
def test_other_requests_are_none(text: str) -> None:
    assert read(text) is None


def test_an_agent_with_tools_edits_by_those() -> None:
    assert read(EDITS["a part"], tools=[{"type": "function"}]) is None


def test_a_hostile_text_costs_no_more_than_its_length() -> None:
    for text in ("<code>" * 200_000 + "<update>", "to rewrite" * 100_000, "```\n" * 300_000):
        assert read(text + "Please rewrite the above file") in (None, "")


def said(body: bytes, stream: bool) -> str:
    if not stream:
        return str(json.loads(body)["choices"][0]["message"]["content"])
    events = [json.loads(item[6:]) for item in body.decode().split("\n\n") if "{" in item]
    choices = [choice for event in events for choice in event["choices"]]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize(
    ("answered", "asked", "comes"),
    [(NEW, "", OLD), (OLD, "\nbadword", OLD), (DOUBT, "", DOUBT), (OLD + "\n\nx = 1", "", None)],
    ids=["withheld", "refused", "warned", "passed"],
)
async def test_an_editor_gets_code_and_nothing_else(
    name: str, stream: bool, answered: str, asked: str, comes: str | None
) -> None:
    pieces = [answered[at : at + 9] for at in range(0, len(answered), 9)]
    upstream = ScriptedUpstream(
        streamed(pieces) if stream else [answer({"content": answered})],
        kind="text/event-stream" if stream else "application/json",
    )
    async with guarded(upstream) as root:
        body = chat(EDITS[name] + asked, stream=stream)
        _, headers, raw = await post(f"{root}/v1/chat/completions", body)
    assert said(raw, stream) == (answered if comes is None else comes)
    if comes == OLD:
        assert b'"action":"block"' in raw.replace(b'": ', b'":')
