"""Real assistants from PyPI, headless, pointed at BlueCode as their manuals say.

They are found through `ASSISTANTS`, a folder with the virtual environments `aider` and
`llm`; `.ci/run` makes it. See CONTRIBUTING.md for the command.
"""

import os
from pathlib import Path

import anyio
import pytest
from scripted import ScriptedUpstream, streamed
from serving import guarded

FOLDER = Path(os.environ.get("ASSISTANTS", ""))
SAFE = "Sure.\n\n```python\nx = 1\n```\n"
UNSAFE = "Sure.\n\n```python\ndanger()\n```\n"
EDIT = "app.py\n```python\n<<<<<<< SEARCH\nx = 0\n=======\nx = {new}\n>>>>>>> REPLACE\n```\n"


def program(name: str) -> str:
    path = FOLDER / name / "bin" / name
    if not os.environ.get("ASSISTANTS") or not path.exists():
        pytest.skip(f"{name} is not installed under ASSISTANTS")
    return str(path)


async def run(command: list[str], folder: Path, **environment: str) -> str:
    given = {
        "HOME": str(folder),
        "PATH": os.environ["PATH"],
        "NO_PROXY": "127.0.0.1",
        **environment,
    }
    with anyio.fail_after(120):
        done = await anyio.run_process(command, cwd=folder, env=given, check=False)
    return (done.stdout + done.stderr).decode()


async def ask_llm(text: str, folder: Path) -> str:
    command = program("llm")
    async with guarded(
        ScriptedUpstream(streamed([text[:9], text[9:]]), kind="text/event-stream")
    ) as root:
        (folder / "extra-openai-models.yaml").write_text(
            "- {model_id: guarded, model_name: m, api_key_name: guarded,"
            f" api_base: '{root}/v1'}}\n"
        )
        (folder / "keys.json").write_text('{"guarded": "k"}')
        return await run([command, "-m", "guarded", "write it"], folder, LLM_USER_PATH=str(folder))


async def ask_aider(text: str, folder: Path) -> str:
    command = program("aider")
    (folder / "app.py").write_text("x = 0\n")
    async with guarded(
        ScriptedUpstream(streamed([text[:9], text[9:]]), kind="text/event-stream")
    ) as root:
        return await run(
            [
                command, "--openai-api-base", f"{root}/v1", "--openai-api-key", "k",
                "--model", "openai/m", "--no-git", "--yes-always", "--no-check-update",
                "--no-analytics", "--no-show-model-warnings", "--no-pretty",
                "--edit-format", "diff", "--map-tokens", "0",
                "--message", "set x", "app.py",
            ],
            folder,
            LITELLM_LOCAL_MODEL_COST_MAP="True",
        )  # fmt: skip


async def test_llm_shows_an_answer_that_passes(tmp_path: Path) -> None:
    assert "x = 1" in await ask_llm(SAFE, tmp_path)


async def test_llm_shows_the_note_in_place_of_code(tmp_path: Path) -> None:
    shown = await ask_llm(UNSAFE, tmp_path)
    assert "BlueCode withheld code" in shown
    assert "danger()" not in shown


async def test_aider_applies_an_edit_that_passes(tmp_path: Path) -> None:
    await ask_aider(EDIT.format(new="1"), tmp_path)
    assert (tmp_path / "app.py").read_text() == "x = 1\n"


async def test_aider_shows_the_note_and_leaves_the_file_alone(tmp_path: Path) -> None:
    shown = await ask_aider(EDIT.format(new="danger()"), tmp_path)
    assert "BlueCode withheld code" in shown
    assert (tmp_path / "app.py").read_text() == "x = 0\n"
