"""How the scripted model puts code into a file: by whichever tool the assistant offers."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PATHS = ("path", "file_path", "filePath", "filepath", "filename", "absolute_path")
_CONTENTS = ("content", "contents", "file_text", "text")
_SHELLS = ("bash", "shell", "run_commands", "run_shell_command", "exec_command", "execute_bash")
_COMMANDS = ("command", "cmd", "commands")
_FOLDER = re.compile(
    r"(?:work(?:ing|space) (?:in the )?director(?:y|ies)|workdir|cwd|project root)\W{0,12}"
    r"(?:is\W{0,4})?(/[^\s\\<>\"'`*,;]+)",
    re.I,
)

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says: text, or one call of a tool."""

    text: str
    tool: str | None = None
    arguments: str = ""
    custom: bool = False
    """Is what the tool gets plain text, and no JSON?"""


def folder_in(text: str) -> str:
    """The folder that an assistant says, anywhere in its request, it works in; of several the last:
    examples stand in the manual before it."""
    found = _FOLDER.findall(text)
    return found[-1].rstrip("/") if found else ""


def file_call(tools: Sequence[Any], path: str, code: str, folder: str = "") -> Said | None:
    """A call that writes the file; the tools made for it are tried before a shell."""
    if folder and "absolute" in json.dumps(tools):
        path = f"{folder}/{path}"
    known = list(_functions(tools))
    for way in (_by_content, _by_custom_patch, _by_patch, _by_code, _by_shell):
        for tool in known:
            if (call := way(tool, path, code)) is not None:
                return call
    return None


def _functions(tools: Sequence[Any]) -> Iterator[Json]:
    for tool in tools:
        if not isinstance(tool, dict):
            continue
        for key in ("function", "custom"):
            if isinstance(function := tool.get(key), dict):
                yield {**function, "custom": key == "custom"}


def _by_content(tool: Json, path: str, code: str) -> Said | None:
    known = _properties(tool)
    path_key = next((key for key in _PATHS if key in known), None)
    content_key = next((key for key in _CONTENTS if key in known), None)
    if path_key is None or content_key is None:
        return None
    return _call(tool, {path_key: path, content_key: code})


def _by_custom_patch(tool: Json, path: str, code: str) -> Said | None:
    if tool["custom"] and tool.get("name") == "apply_patch":
        return Said("", "apply_patch", _patch(path, code), custom=True)
    return None


def _by_patch(tool: Json, path: str, code: str) -> Said | None:
    if tool.get("name") != "apply_patch" or "input" not in _properties(tool):
        return None
    return _call(tool, {"input": _patch(path, code)})


def _by_code(tool: Json, path: str, code: str) -> Said | None:
    """An interpreter runs what it is given: a file is written by a program."""
    if not {"code", "language"} <= set(_properties(tool)):
        return None
    return _call(tool, {"language": "python", "code": writing(path, code)})


def _by_shell(tool: Json, path: str, code: str) -> Said | None:
    known = _properties(tool)
    key = next((key for key in _COMMANDS if key in known), None)
    if key is None or str(tool.get("name")).lower() not in _SHELLS:
        return None
    command = _heredoc(path, code)
    several = isinstance(known[key], dict) and known[key].get("type") == "array"
    return _call(tool, {key: [command] if several else command})


def _call(tool: Json, arguments: Json) -> Said:
    more = {key: _FILLED[key](key) for key in _required(tool) - arguments.keys() if key in _FILLED}
    return Said("", str(tool.get("name")), json.dumps({**arguments, **more}))


_FILLED: Mapping[str, Callable[[str], Any]] = {
    "description": lambda key: "Write the file",
    "is_background": lambda key: False,
    "requires_approval": lambda key: False,
}
"""What some tools want beside the file."""


def _properties(tool: Json) -> Mapping[str, Any]:
    known = (tool.get("parameters") or {}).get("properties")
    return known if isinstance(known, dict) else {}


def _required(tool: Json) -> set[str]:
    return set((tool.get("parameters") or {}).get("required") or ())


def _patch(path: str, code: str) -> str:
    lines = "".join(f"+{line}\n" for line in code.splitlines())
    return f"*** Begin Patch\n*** Add File: {path}\n{lines}*** End Patch\n"


def _heredoc(path: str, code: str) -> str:
    folder = path.rpartition("/")[0] or "."
    return f"mkdir -p {folder} && cat > {path} <<'END'\n{code}END"


def writing(path: str, code: str) -> str:
    """A program that writes the file."""
    return f"from pathlib import Path\n\nPath({path!r}).write_text({code!r})\n"
