"""`bluecode sandbox run`: what it shows of a snippet, and how it ends."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from bluecode.proxy import sandbox_command
from bluecode.proxy.__main__ import main
from bluecode.proxy.sandbox_command import observed
from bluecode.sandbox.outcome import ENDINGS, Event, Outcome

PYTHON = "import os\n\ndef run(name):\n    os.system('ls ' + name)\n    return eval('1 + 1')\n"
JAVASCRIPT = "const fs = require('fs')\nexports.f = (name) => fs.readFileSync('/srv/' + name)\n"
TYPESCRIPT = "export const f = (id: string): unknown => fetch(`http://example.com/${id}`)\n"


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    given = os.environ.get("BLUECODE_CACHE")
    for name in [name for name in os.environ if name.startswith("BLUECODE_")]:
        monkeypatch.delenv(name)
    if given:
        monkeypatch.setenv("BLUECODE_CACHE_DIR", given)


def shown(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, code: str) -> Any:
    path = tmp_path / name
    path.write_text(code, "utf-8")
    status = main(["sandbox", "run", str(path), "--format", "json"])
    return {**json.loads(capsys.readouterr().out), "status": status}


def tried(found: Any) -> list[tuple[str, str, int, str]]:
    return [(item["what"], item["how"], item["line"], item["text"]) for item in found["actions"]]


@pytest.mark.parametrize(
    ("name", "code", "action"),
    [
        ("a.py", PYTHON, ("command", "os.system", 4, "ls {name}")),
        ("a.py", PYTHON, ("dynamic code", "eval", 5, "1 + 1")),
        ("a.js", JAVASCRIPT, ("file", "fs.readFile", 2, "/srv/{name}")),
        ("a.ts", TYPESCRIPT, ("connection", "fetch", 1, "http://example.com/{id}")),
    ],
)
def test_what_a_snippet_tries_is_shown_with_its_data_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    code: str,
    action: tuple[str, str, int, str],
) -> None:
    found = shown(tmp_path, capsys, name, code)

    assert action in tried(found)
    assert found["status"] == 0 and found["finished"] and found["ended"] == "exited"


def test_the_table_has_a_row_for_each_action_and_a_line_that_sums_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.py"
    path.write_text(PYTHON, "utf-8")

    assert main(["sandbox", "run", str(path)]) == 0

    out = capsys.readouterr().out
    assert "os.system" in out and "ls {name}" in out
    assert "ran to its end" in out


def test_standard_input_is_run_in_the_language_given(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = io.TextIOWrapper(io.BytesIO(b"require('child_process').exec('id')"), "utf-8")
    monkeypatch.setattr("sys.stdin", text)

    status = main(["sandbox", "run", "-", "--language", "javascript", "--format", "json"])

    found = json.loads(capsys.readouterr().out)
    assert status == 0
    assert tried(found) == [("command", "child_process.exec", 1, "id")]


def test_a_snippet_that_does_not_come_to_its_end_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shown(tmp_path, capsys, "a.py", "import itertools\nsum(itertools.count())\n")

    assert found["status"] == 3 and not found["finished"]
    assert found["ended"] in ("out_of_fuel", "timed_out")


def test_code_that_does_not_parse_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shown(tmp_path, capsys, "a.js", "function (")

    assert found["status"] == 3 and not found["readable"]


@pytest.mark.parametrize("arguments", [["missing.py"], ["-"]], ids=str)
def test_what_cannot_be_run_ends_with_2_and_says_the_way_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"x"), "utf-8"))

    assert main(["sandbox", "run", *arguments]) == 2
    assert capsys.readouterr().err.startswith("bluecode: ")


def test_a_language_that_the_sandbox_does_not_run_is_a_mistake(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.rb"
    path.write_text("puts 1", "utf-8")

    assert main(["sandbox", "run", str(path)]) == 2
    assert "--language" in capsys.readouterr().err


def outcome(*events: Event) -> Outcome:
    return Outcome(
        ended="exited",
        finished=True,
        events=events,
        malformed=0,
        fuel_used=1_000,
        seconds=0.001,
        memory_peak=2**20,
    )


def sink(text: str, *sources: int) -> list[Event]:
    """The events of a run with one call of one function."""
    return [
        Event("readable", ("whole",), False),
        Event("entry", ("f", "function", 1, 2), False),
        Event("call", ("benign", "", "", 0, "", "", ""), False),
        Event("sink", ("shell", "os.system", 2, text, list(sources), {}), False),
        Event("end", ("", False, 0, 0), False),
        Event("sources", ("p:a", "p:b"), False),
        Event("done", (), False),
    ]


def test_text_of_a_snippet_cannot_move_the_cursor_or_turn_letters_around() -> None:
    done = observed("a.py", "python", outcome(*sink("a\x1b[2J\u202e\nb")))

    assert done.actions[0].text == "a\\x1b[2J\\u202e\\nb"


def test_a_mark_is_named_only_where_its_source_is_in_the_text() -> None:
    done = observed("a.py", "python", outcome(*sink("ls bluemarka bluemarkb 4701 4700", 0)))

    assert done.actions[0].text == "ls {a} bluemarkb 4701 {a}"


def test_the_same_action_is_shown_once() -> None:
    events = sink("ls")

    done = observed("a.py", "python", outcome(*events[:4], *events[3:]))

    assert len(done.actions) == 1


def test_tampering_is_shown_first() -> None:
    forged = Event("guard.forgery", ("__closure__",), True)

    done = observed("a.py", "python", outcome(*sink("ls"), forged))

    assert [action.group for action in done.actions] == ["tampering", "command"]


def test_every_ending_has_its_words() -> None:
    assert set(sandbox_command.WHY) == set(ENDINGS)


def test_an_early_exit_is_not_the_end() -> None:
    done = observed("a.py", "python", outcome(*sink("ls")[:-1]))
    told = io.StringIO()

    sandbox_command.show(done, Console(file=told, width=100))

    assert not done.whole
    assert "left before all of it was tried" in told.getvalue()
