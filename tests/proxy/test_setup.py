"""`bluecode setup`: what each assistant is told, and what becomes of its file."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from bluecode.proxy.__main__ import main
from bluecode.proxy.assistants import Assistant, Target, known

ROOT = "http://127.0.0.1:9999"
WANTS_ROOT = {
    "anthropic-sdk",
    "claude-code",
    "gemini-cli",
    "google-genai",
    "litellm-proxy",
    "ollama",
}
"""Their clients add the version themselves; all others want `/v1`."""
ASKED = (
    "cline continue continue-cli roo kilo aider codex claude-code copilot-cli copilot-vscode"
    " opencode qwen-code gemini-cli zed jetbrains cursor llm open-interpreter gptme openai-sdk"
    " anthropic-sdk"
).split()
WRITABLE = [name for name, item in known().items() if item.format is not None]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def place(name: str) -> Path:
    return Path(known()[name].file).expanduser()


def write(name: str, *more: str) -> int:
    return main(["setup", name, "--url", ROOT, "--model", "m1", "--write", *more])


def test_every_assistant_that_was_asked_for_is_known() -> None:
    assert set(ASKED) <= set(known())


@pytest.mark.parametrize("name", known())
def test_each_is_told_its_url_in_the_form_that_it_wants(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = main(["setup", name, "--url", f"{ROOT}/v1", "--model", "m1"])
    shown = capsys.readouterr().out
    assert status == 0
    assert ROOT in shown and "<" not in known()[name].settings_for(Target(ROOT, "m1"))
    assert (f"{ROOT}/v1" in shown) is (name not in WANTS_ROOT)


@pytest.mark.parametrize("name", WRITABLE)
def test_what_is_printed_is_what_is_written(name: str) -> None:
    assert write(name, "--config", _no_config(place(name))) == 0
    settings = known()[name].settings_for(Target(ROOT, "m1"))
    assert _read(known()[name], place(name).read_text()) == _read(known()[name], settings)
    assert place(name).stat().st_mode & 0o077 == 0


def _no_config(beside: Path) -> str:
    beside.parent.mkdir(parents=True, exist_ok=True)
    path = Path("~/bluecode.toml").expanduser()
    path.write_text("")
    return str(path)


def _read(item: Assistant, text: str) -> Any:
    readers: dict[str, Any] = {"json": json.loads, "toml": tomllib.loads, "yaml": yaml.safe_load}
    return readers[item.format or ""](text)


def test_the_table_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["setup"]) == 0
    shown = capsys.readouterr().out
    assert [name for name in known() if name not in shown] == []


def test_the_url_comes_from_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BLUECODE_LISTEN", "0.0.0.0:8080")
    main(["setup", "aider"])
    assert "http://127.0.0.1:8080/v1" in capsys.readouterr().out


def test_json_keeps_what_it_had_and_a_copy() -> None:
    path = place("claude-code")
    path.parent.mkdir()
    before = json.dumps({"model": "x", "env": {"A": "1", "ANTHROPIC_BASE_URL": "http://old"}})
    path.write_text(before)
    path.chmod(0o640)
    assert write("claude-code") == 0
    told = json.loads(path.read_text())
    assert told == {"model": "x", "env": {"A": "1", "ANTHROPIC_BASE_URL": ROOT}}
    assert path.with_name("settings.json.before-bluecode").read_text() == before
    assert path.stat().st_mode & 0o777 == 0o640


def test_a_second_write_changes_nothing_and_keeps_no_second_copy() -> None:
    for _ in range(2):
        assert write("opencode") == 0
    assert [path.name for path in place("opencode").parent.iterdir()] == ["opencode.json"]


def test_toml_keeps_comments_and_tables() -> None:
    path = place("codex")
    path.parent.mkdir()
    path.write_text(
        '# mine\nmodel = "old"\napproval = "never"\n\n[mcp.a]\ncommand = "x"  # why\n'
        '\n[model_providers.bluecode]\nname = "B"\nbase_url = "http://old/v1"\n'
    )
    assert write("codex") == 0
    text = path.read_text()
    told = tomllib.loads(text)
    assert "# mine" in text and "# why" in text
    assert told["model"] == "m1" and told["approval"] == "never" and told["mcp"]["a"]
    assert told["model_providers"]["bluecode"]["base_url"] == f"{ROOT}/v1"


@pytest.mark.parametrize(
    ("name", "before"),
    [
        ("zed", '// mine\n{"theme": "dark"}'),
        ("pi", "[]"),
        ("continue", "name: mine\n"),
        ("codex", 'model = """\na\n"""\n'),
        ("codex", '[model_providers]\nbluecode = {name = "x"}\n'),
        ("codex", "model = \n"),
    ],
)
def test_a_file_that_could_lose_something_is_left_alone(
    name: str, before: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = place(name)
    path.parent.mkdir(parents=True)
    path.write_text(before)
    assert write(name) == 2
    assert path.read_text() == before
    assert "left alone" in capsys.readouterr().err
    assert list(path.parent.iterdir()) == [path]


def test_a_link_stays_a_link(home: Path) -> None:
    target = home / "dotfiles.json"
    target.write_text("{}")
    path = place("pi")
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    assert write("pi") == 0
    assert path.is_symlink() and "bluecode" in target.read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["setup", "codx"], "`codex`"),
        (["setup", "--write"], "name of an assistant"),
        (["setup", "aider", "--write", "--model", "m"], "no file"),
        (["setup", "codex", "--write"], "`--model`"),
        (["setup", "codex", "--url", "127.0.0.1:1"], "`--url`"),
        (["setup", "codex", "--model", 'a"b'], "`--model`"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(("url", "warned"), [(ROOT, True), ("https://guard.example.org", False)])
def test_cursor_needs_a_public_address(
    url: str, warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["setup", "cursor", "--url", url])
    assert ("is local" in capsys.readouterr().out) is warned
