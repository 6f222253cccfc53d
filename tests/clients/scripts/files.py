"""The one tool that the programs beside this offer to the model: it writes a file."""

import json
from pathlib import Path

PARAMETERS = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path", "content"],
    "additionalProperties": False,
}
FUNCTION = {"name": "write_file", "description": "Write a file", "parameters": PARAMETERS}


def write_file(path: str, content: str) -> str:
    """Write a file.

    Args:
        path: Where.
        content: What it holds.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(content)
    return "Written."


def written(arguments: str) -> str:
    """The same, told in JSON."""
    return write_file(**json.loads(arguments))
