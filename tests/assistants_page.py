"""Writes docs/assistants/README.md, from what `bluecode setup` knows and what `clients` tried.

python tests/assistants_page.py
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from clients.catalogue import CLIENTS
from clients.scenes import MOST_REQUESTS, SCENES

from bluecode.proxy.assistants import Assistant, Target, known

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "assistants"
PAGE = FOLDER / "README.md"
TARGET = Target("http://127.0.0.1:8787", "MODEL")
LANGUAGES = {"environment": "sh", "command": "sh", "screen": "text"}
ELSEWHERE = {"litellm-proxy": "[yes](litellm.md)"}
"""What is no client of the matrix, and is tried in a way of its own."""
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

The upstream must speak the assistant's protocol. With an upstream by its litellm name (such as
`openai/gpt-5` or `anthropic/claude-sonnet-4-5`) chat completions, Responses and Messages are
translated to what the provider speaks, tool calls and streams included: Claude Code in front of an
OpenAI model, or Codex in front of Anthropic's.

LiteLLM's proxy can ask BlueCode as its guardrail: [litellm.md](litellm.md); agentgateway, too:
[agentgateway.md](agentgateway.md). Several providers behind one BlueCode, with aliases and
fallbacks: [proxy](../../proxy/README.md#several-providers).
"""
TRIED = """\
## What was tried

Each client ran without a person, with BlueCode, sandbox included, in front of its scripted model
and with the settings above, by `PYTHONPATH=tests python -m clients FOLDER --install`. What must
come of each scene:

{scenes}

The number is how many requests the client made, those of its own for a title among them; after a
block it may make {most}. *Warned*: the answer came through, with BlueCode's verdict beside it: a
false alarm that stopped nothing. A dash: the scene does not apply.
"""
UNTRIED = """\
Not run here, since they need a screen, an account or a public address: {names}. Their settings are
those of their manuals.
"""
NO_PACKAGE = """\
Not known to `bluecode setup`, since no registry has them in a form that runs here: Crush (its
package fetches a program from elsewhere), Goose (no package), and Kimi CLI and Mistral Vibe (for a
newer Python than the one used here). All of them take a base URL and speak chat completions.
"""


def page() -> str:
    """The whole page."""
    assistants = known()
    runs = json.loads((FOLDER / "runs.json").read_text("utf-8"))
    sections = [part for item in assistants.values() for part in _section(item)]
    tried = TRIED.format(scenes="\n".join(_scenes()), most=MOST_REQUESTS)
    without = [
        item.title
        for name, item in assistants.items()
        if not _runs_of(item, runs) and name not in ELSEWHERE
    ]
    parts = [HEAD, *_table(assistants, runs), "", *sections, tried, *_matrix(runs), ""]
    return "\n".join([*parts, UNTRIED.format(names=", ".join(without)), NO_PACKAGE])


def _runs_of(item: Assistant, runs: Mapping[str, Any]) -> list[str]:
    """The clients that ran with an assistant's settings."""
    return [name for name in runs if CLIENTS[name].setup == item.name]


def _table(assistants: Mapping[str, Assistant], runs: Mapping[str, Any]) -> Iterator[str]:
    yield "| assistant | name | base URL | protocol | tried |"
    yield "|---|---|---|---|---|"
    for name, item in assistants.items():
        link = f"[{item.title}](#{name})"
        versions = ", ".join(f"{runs[own]['version']}" for own in _runs_of(item, runs))
        tried = versions or ELSEWHERE.get(name, "no")
        yield f"| {link} | `{name}` | `{item.url(TARGET)}` | {item.protocol} | {tried} |"


def _scenes() -> Iterator[str]:
    for name, scene in SCENES.items():
        yield f"- *{name}*: “{scene.asked}” {scene.told[0].upper()}{scene.told[1:]}."


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
    yield f"| client | version | protocol | {' | '.join(SCENES)} | date |"
    yield "|---|---|---|" + "---|" * (len(SCENES) + 1)
    for name, run in runs.items():
        cells = [_cell(run["scenes"].get(scene)) for scene in SCENES]
        yield (
            f"| {name} | {run['package']} {run['version']} | {run['protocol']} |"
            f" {' | '.join(cells)} | {run['date']} |"
        )


def _cell(scene: Mapping[str, Any] | None) -> str:
    if scene is None:
        return "–"
    told = "yes" if scene["right"] else "no" if scene["ended"] else "did not end"
    return f"{told}{', warned' if scene.get('warned') else ''} ({scene['requests']})"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
