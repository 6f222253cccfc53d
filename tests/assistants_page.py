"""Writes docs/assistants/README.md, from what `bluecode setup` knows and what `clients.py` tried.

python tests/assistants_page.py
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bluecode.proxy.assistants import Assistant, Target, known

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "assistants"
PAGE = FOLDER / "README.md"
TARGET = Target("http://127.0.0.1:8787", "MODEL")
LANGUAGES = {"environment": "sh", "command": "sh", "screen": "text"}
WHERE = {
    "file": "In `{file}`",
    "environment": "In the environment",
    "command": "On the command line",
    "screen": "By hand",
    "code": "In code",
}
HEAD = """\
# Assistants

How each assistant is pointed at BlueCode at `http://127.0.0.1:8787`. `bluecode setup NAME` prints
the same with your own address and model, and `--write` adds it to the assistant's file, with a copy
of the file as it was. `KEY` stands for your provider's key (or a proxy key, where BlueCode has one
of its own for the provider); BlueCode never writes it anywhere.

The upstream must speak the assistant's protocol; only chat completions are translated, by litellm.
LiteLLM's proxy can ask BlueCode as its guardrail: [litellm.md](litellm.md).
"""
TRIED = """\
## What was tried

Each client ran without a person, with BlueCode in front of its scripted model, by `python
tests/clients.py`. *Safe code*: shown as the model wrote it. *Vulnerable code*: withheld, and the
note shown. *Biased request*: refused, and the reason shown. The number is how many requests the
client made for it; clients make some of their own, for titles or to try again. What is not in this
table was not run here: its settings above come from its manual.
"""


def page() -> str:
    """The whole page."""
    assistants = known()
    sections = [part for item in assistants.values() for part in _section(item)]
    runs = json.loads((FOLDER / "runs.json").read_text("utf-8"))
    return "\n".join([HEAD, *_table(assistants), "", *sections, TRIED, *_matrix(runs), ""])


def _table(assistants: Mapping[str, Assistant]) -> Iterator[str]:
    yield "| assistant | name | base URL | protocol |"
    yield "|---|---|---|---|"
    for name, item in assistants.items():
        link = f"[{item.title}](#{name})"
        yield f"| {link} | `{name}` | `{item.url(TARGET)}` | {item.protocol} |"


def _section(item: Assistant) -> Iterator[str]:
    yield f'<a id="{item.name}"></a>\n'
    yield f"## {item.title}\n"
    yield WHERE[item.by].format(file=item.file) + ":\n"
    language = item.format or LANGUAGES.get(item.by, "")
    if item.by == "code":
        language = "ts" if "import {" in item.settings else "python"
    yield f"```{language}\n{item.settings_for(TARGET)}\n```\n"
    if item.note:
        yield f"{item.note_for(TARGET)}\n"


def _matrix(runs: Mapping[str, Any]) -> Iterator[str]:
    scenes = list(next(iter(runs.values()))["scenes"])
    yield f"| client | version | protocol | {' | '.join(scenes)} | date |"
    yield "|---|---|---|" + "---|" * (len(scenes) + 1)
    for name, run in runs.items():
        cells = [_cell(run["scenes"][scene]) for scene in scenes]
        yield (
            f"| {name} | {run['package']} {run['version']} | {run['protocol']} |"
            f" {' | '.join(cells)} | {run['date']} |"
        )


def _cell(scene: Mapping[str, Any]) -> str:
    told = "yes" if scene["right"] else "no" if scene["ended"] else "did not end"
    return f"{told} ({scene['requests']})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
