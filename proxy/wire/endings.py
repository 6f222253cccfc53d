"""How an agent that goes on until it is told to stop is told so, in every protocol.

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

    @property
    def given(self) -> dict[str, Any]:
        """The tool's arguments, for protocols that do not write them down as a text."""
        given: dict[str, Any] = json.loads(self.arguments)
        return given

    def behind(self, text: str) -> str:
        """An answer's text with what ends the turn, where that is a text too."""
        if self.tool or self.refusal:
            return text
        return f"{text}\n\n{self.text}" if text else self.text


Endings = Callable[[str], Ending | None]
"""From what there is to say to what ends the turn."""


def no_ending(text: str) -> None:
    """Plain text is all that is needed."""


@dataclass(frozen=True, slots=True)
class _Tool:
    """A tool that ends a turn."""

    filled: Callable[[str], dict[str, Any]]
    described: str = ""
    """What its description says, where the name alone would not do."""


_SCHEMAS = ("parameters", "input_schema", "parametersJsonSchema", "parameters_json_schema")
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
    if any("</code>" in _strings(stop) for stop in _stops(payload)):
        # smolagents' agents that write code
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
    found = (function.get(key) for key in _SCHEMAS)
    schema = next((schema for schema in found if isinstance(schema, dict)), {})
    if (
        not set(schema.get("required") or ())
        <= given.keys()
        <= (schema.get("properties") or {}).keys()
    ):
        return None
    return Ending(tool=str(function["name"]), arguments=json.dumps(given), tells=bool(given))


def _functions(tools: Any) -> Iterator[Json]:
    """The functions, wherever a protocol's tools hold them."""
    for tool in tools if isinstance(tools, list) else ():
        if not isinstance(tool, dict):
            continue
        declared = tool.get("functionDeclarations", tool.get("function_declarations"))
        function = tool.get("function", tool if "name" in tool else None)
        for item in declared if isinstance(declared, list) else [function]:
            if isinstance(item, dict):
                yield item


def _stops(payload: Json) -> Iterator[Any]:
    yield payload.get("stop")
    yield payload.get("stop_sequences")
    for name, key in (("generationConfig", "stopSequences"), ("options", "stop")):
        inner = payload.get(name)
        yield inner.get(key) if isinstance(inner, dict) else None


def _submits(payload: Json) -> bool:
    """Do the first messages tell the model of the word that ends the turn?"""
    rows = (payload.get(key) for key in ("messages", "input", "contents"))
    first = [row[:2] for row in rows if isinstance(row, list)]
    told = [payload.get(key) for key in ("system", "instructions", "systemInstruction")]
    return _SUBMIT in json.dumps([*first, *told])


def _strings(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
