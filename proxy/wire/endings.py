"""How an agent that goes on until it is told to stop is told so, in chat completions.

Such an agent takes plain text for a mistake and asks again. What BlueCode says to it comes with the
call, or the code, by which a model ends that agent's turn. Names that other programs may have too
count only with the rest of the tool as that agent writes it.
"""

import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluecode.proxy.wire.forms import wants_json

Json = Mapping[str, Any]
_SUBMIT = "COMPLETE_TASK_AND_SUBMIT_FINAL_OUTPUT"
"""What mini-swe-agent looks for in the first line that a command prints."""


@dataclass(frozen=True, slots=True)
class Ending:
    """What ends a turn."""

    text: str = ""
    tool: str = ""
    arguments: str = ""
    tells: bool = True
    """Does it carry what there is to say?"""
    refusal: str = ""
    """What stands in the message's field of that name: who asks for JSON looks there first."""


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool that ends a turn."""

    filled: Callable[[str], dict[str, Any]]
    described: str = ""
    """What its description says, where the name alone would not do."""


_TOOLS: Mapping[str, _Tool] = {
    "attempt_completion": _Tool(lambda text: {"result": text}),
    "submit_and_exit": _Tool(lambda text: {"summary": text, "verified": False}),
    "final_answer": _Tool(lambda text: {"answer": text}, "final answer to the given problem"),
    "complete": _Tool(lambda text: {}, "autonomous session should end"),
}


def ending_for(payload: Json, text: str) -> Ending | None:
    """What ends the turn of whoever sent this request, and says `text`; None for plain text."""
    if wants_json(payload):
        return Ending(text=text, refusal=_refusal(text))
    if "</code>" in _strings(payload.get("stop")):  # smolagents' agents that write code
        return Ending(text=f"<code>\nfinal_answer({text!r})\n</code>")
    functions = list(_functions(payload.get("tools")))
    for function in functions:
        if (ending := _by_tool(function, text)) is not None:
            return ending
    if [function.get("name") for function in functions] == ["bash"] and _submits(payload):
        command = f"printf '%s\\n' {_SUBMIT} {shlex.quote(text)}"
        return Ending(tool="bash", arguments=json.dumps({"command": command}))
    return None


def _refusal(text: str) -> str:
    """The note in its JSON; of anything else, all of it."""
    try:
        return str(json.loads(text)["refusal"])
    except (ValueError, TypeError, KeyError):
        return text


def _by_tool(function: Json, text: str) -> Ending | None:
    known = _TOOLS.get(str(function.get("name")))
    if known is None or not re.search(known.described, str(function.get("description"))):
        return None
    given = known.filled(text)
    schema = function.get("parameters")
    schema = schema if isinstance(schema, dict) else {}
    if (
        not set(schema.get("required") or ())
        <= given.keys()
        <= (schema.get("properties") or {}).keys()
    ):
        return None
    return Ending(tool=str(function["name"]), arguments=json.dumps(given), tells=bool(given))


def _functions(tools: Any) -> Iterator[Json]:
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict):
            yield function


def _submits(payload: Json) -> bool:
    """Do the first messages tell the model of the word that ends the turn?"""
    first = payload.get("messages")
    told = json.dumps(first[:2]) if isinstance(first, list) else ""
    return _SUBMIT in told


def _strings(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
