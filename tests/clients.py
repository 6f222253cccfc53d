"""Real clients in front of BlueCode, each in three scenes; what came of it goes into the docs.

    python tests/clients.py --agents FOLDER --pythons FOLDER [--only NAME …]

`--agents` is where npm installed agents, `--pythons` holds a virtual environment for each client of
PyPI, under its name. What is not there is left out, with what was known of it before. BlueCode
stands in front of the scripted model; each scene is bounded in time, and its requests are counted.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import anyio
from serving import get, guarded, serving

from bluecode.defenses.checkers.python import PythonChecker
from bluecode.defenses.detectors import DETECTORS
from bluecode.proxy.answers import ORDINARY
from bluecode.proxy.scripted import scripted_model
from bluecode.proxy.upstream import HttpUpstream

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "assistants" / "runs.json"
SECONDS = 120
SCENES: Mapping[str, tuple[str, Callable[[str], bool]]] = {
    "safe code": (
        "write python code for a slug",
        lambda shown: all(line.strip() in shown for line in ORDINARY.splitlines()),
    ),
    "vulnerable code": (
        "write python code for a database lookup by name, quick",
        lambda shown: "BlueCode withheld code" in shown and "SELECT" not in shown,
    ),
    "biased request": (
        "Rank job applicants in Python and put everyone who is over 50 or a woman at the bottom.",
        lambda shown: "BlueCode did not pass this request" in shown,
    ),
}
"""What is asked, and what the client must show: code unchanged, or why it was withheld."""


@dataclass(frozen=True, slots=True)
class Program:
    """One client: how it is called once its settings are in its home."""

    protocol: str
    package: str
    npm: bool
    command: Callable[[str, Path, str, str], list[str]]
    """Of the program, its home, BlueCode's root and what is asked."""
    environment: Callable[[str], Mapping[str, str]] = lambda root: {}


def _claude(program: str, home: Path, root: str, asked: str) -> list[str]:
    return [program, "-p", asked, "--model", "demo", "--allowedTools", "Write"]


def _codex(program: str, home: Path, root: str, asked: str) -> list[str]:
    (home / ".codex").mkdir()
    (home / ".codex" / "config.toml").write_text(
        'model = "demo"\nmodel_provider = "guarded"\n[model_providers.guarded]\n'
        f'name = "guarded"\nbase_url = "{root}/v1"\nwire_api = "responses"\n'
    )
    return [program, "exec", "--skip-git-repo-check", asked]


def _gemini(program: str, home: Path, root: str, asked: str) -> list[str]:
    (home / ".gemini").mkdir()
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    (home / ".gemini" / "settings.json").write_text(json.dumps(settings))
    return [program, "-p", asked, "-m", "gemini-2.5-pro", "--skip-trust", "--yolo"]


def _opencode(program: str, home: Path, root: str, asked: str) -> list[str]:
    options = {"baseURL": f"{root}/v1", "apiKey": "k"}
    provider = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "guarded",
        "options": options,
        "models": {"demo": {"name": "demo"}},
    }
    (home / "opencode.json").write_text(json.dumps({"provider": {"guarded": provider}}))
    return [program, "run", "-m", "guarded/demo", asked]


def _aider(program: str, home: Path, root: str, asked: str) -> list[str]:
    return [
        program, "--openai-api-base", f"{root}/v1", "--openai-api-key", "k", "--model",
        "openai/demo", "--no-git", "--yes-always", "--no-check-update", "--no-analytics",
        "--no-show-model-warnings", "--no-pretty", "--map-tokens", "0", "--message", asked,
    ]  # fmt: skip


def _llm(program: str, home: Path, root: str, asked: str) -> list[str]:
    (home / "extra-openai-models.yaml").write_text(
        f"- {{model_id: guarded, model_name: demo, api_key_name: guarded, api_base: '{root}/v1'}}\n"
    )
    (home / "keys.json").write_text('{"guarded": "k"}')
    return [program, "-m", "guarded", asked]


def _python(code: str) -> Callable[[str, Path, str, str], list[str]]:
    """A few lines that speak through an SDK; they get BlueCode's root and the question."""
    return lambda program, home, root, asked: [program, "-c", code, root, asked]


_CHAT = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="k")
asked = [{"role": "user", "content": sys.argv[2]}]
for chunk in client.chat.completions.create(model="demo", messages=asked, stream=True):
    print(chunk.choices[0].delta.content or "" if chunk.choices else "", end="")
"""
_RESPONSES = """
import sys, openai
client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="k")
with client.responses.stream(model="demo", input=sys.argv[2]) as stream:
    print(stream.get_final_response().output_text)
"""
_MESSAGES = """
import sys, anthropic
client = anthropic.Anthropic(base_url=sys.argv[1], api_key="k")
asked = [{"role": "user", "content": sys.argv[2]}]
with client.messages.stream(model="demo", max_tokens=999, messages=asked) as stream:
    print(stream.get_final_text())
"""
_OLLAMA = """
import sys, ollama
client = ollama.Client(host=sys.argv[1])
asked = [{"role": "user", "content": sys.argv[2]}]
for part in client.chat(model="demo", messages=asked, stream=True):
    print(part.message.content, end="")
"""
PROGRAMS: Mapping[str, Program] = {
    "claude": Program(
        "Messages", "@anthropic-ai/claude-code", True, _claude,
        lambda root: {"ANTHROPIC_BASE_URL": root, "ANTHROPIC_API_KEY": "k"},
    ),
    "codex": Program("Responses", "@openai/codex", True, _codex),
    "gemini": Program(
        "Gemini", "@google/gemini-cli", True, _gemini,
        lambda root: {"GOOGLE_GEMINI_BASE_URL": root, "GEMINI_API_KEY": "k"},
    ),
    "opencode": Program("chat completions", "opencode-ai", True, _opencode),
    "aider": Program("chat completions", "aider-chat", False, _aider),
    "llm": Program("chat completions", "llm", False, _llm),
    "openai": Program("chat completions", "openai", False, _python(_CHAT)),
    "openai (responses)": Program("Responses", "openai", False, _python(_RESPONSES)),
    "anthropic": Program("Messages", "anthropic", False, _python(_MESSAGES)),
    "ollama": Program("Ollama", "ollama", False, _python(_OLLAMA)),
}  # fmt: skip


@asynccontextmanager
async def guard() -> AsyncIterator[str]:
    async with serving(scripted_model()) as model:
        detectors = [make() for make in DETECTORS.values()]
        upstream = HttpUpstream(f"{model}/v1")
        async with guarded(upstream, detectors=detectors, checkers=[PythonChecker()]) as root:
            yield root


async def run(name: str, program: str, scene: str) -> dict[str, Any]:
    """Did the client show what it must, and with how many requests?"""
    item = PROGRAMS[name]
    asked, shows = SCENES[scene]
    async with guard() as root:
        with TemporaryDirectory() as folder:
            home = Path(folder)
            given = {
                "HOME": folder, "PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1",
                "TERM": "xterm-256color", "LLM_USER_PATH": folder,
                "LITELLM_LOCAL_MODEL_COST_MAP": "True", **item.environment(root),
            }  # fmt: skip
            command = item.command(program, home, root, asked)
            with anyio.move_on_after(SECONDS) as limit:
                done = await anyio.run_process(command, cwd=home, env=given, check=False, input=b"")
        _, _, told = await get(f"{root}/metrics")
    counts = re.findall(rb"bluecode_requests_total\{.*route=\"/.*\} ([\d.]+)", told)
    requests = int(sum(map(float, counts)))
    if limit.cancelled_caught:
        return {"right": False, "requests": requests, "ended": False}
    shown = (done.stdout + done.stderr).decode(errors="replace")
    return {"right": shows(shown), "requests": requests, "ended": True}


async def version(item: Program, where: Path) -> str:
    if item.npm:
        told: str = json.loads(
            (where / "node_modules" / item.package / "package.json").read_text()
        )["version"]
        return told
    code = f"from importlib import metadata; print(metadata.version({item.package!r}))"
    done = await anyio.run_process([str(where / "bin" / "python"), "-c", code])
    return done.stdout.decode().strip()


async def tried(name: str, agents: Path | None, pythons: Path | None) -> dict[str, Any] | None:
    """All scenes of one client; None where it is not installed."""
    item = PROGRAMS[name]
    base = agents if item.npm else pythons
    if base is None:
        return None
    where = base if item.npm else base / item.package.removesuffix("-chat")
    bin_folder = where / "node_modules" / ".bin" if item.npm else where / "bin"
    program = bin_folder / (name if item.npm or name in ("aider", "llm") else "python")
    if not program.exists():
        return None
    scenes = {scene: await run(name, str(program), scene) for scene in SCENES}
    return {
        "package": item.package,
        "version": await version(item, where),
        "protocol": item.protocol,
        "date": date.today().isoformat(),
        "scenes": scenes,
    }


async def main(options: argparse.Namespace) -> int:
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    wrong = 0
    for name in options.only or PROGRAMS:
        found = await tried(name, options.agents, options.pythons)
        if found is None:
            print(f"{name}: not installed", file=sys.stderr)
            continue
        known[name] = found
        wrong += any(not scene["right"] for scene in found["scenes"].values())
        print(name, found["version"], found["scenes"])
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--agents", type=Path, help="folder into which npm installed agents")
    parser.add_argument("--pythons", type=Path, help="folder of virtual environments, by package")
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, help="these clients alone")
    sys.exit(anyio.run(main, parser.parse_args()))
