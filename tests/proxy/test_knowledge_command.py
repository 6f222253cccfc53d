"""`bluecode knowledge`: from a proposal to what the screens do, on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from own_records import SAFE, UNSAFE, case

from bluecode.defenses.record_store import RecordStore
from bluecode.proxy.__main__ import main

Captured = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    path = tmp_path / "knowledge.db"
    monkeypatch.setenv("BLUECODE_KNOWLEDGE", str(path))
    return path


def knowledge(*words: str) -> int:
    return main(["knowledge", *words])


def add(text: str, label: str = "unsafe", *more: str) -> int:
    given = ["--task", "malice", "--label", label, "--by", "Ana", "--id", "own-case", *more]
    return knowledge("add", "--text", text, *given)


def told(capsys: Captured, *words: str) -> Any:
    capsys.readouterr()
    status = knowledge(*words, "--format", "json")
    return status, json.loads(capsys.readouterr().out)


def screens(capsys: Captured, tmp_path: Path, text: str) -> tuple[int, Any]:
    (tmp_path / "said.txt").write_text(text, encoding="utf-8")
    (tmp_path / "policy.toml").write_text('disabled = ["dynamic"]', encoding="utf-8")
    capsys.readouterr()
    status = main(
        ["screen", str(tmp_path / "said.txt"), "--format", "json"]
        + ["--policy", str(tmp_path / "policy.toml")]
    )
    return status, json.loads(capsys.readouterr().out)["results"][0]


def test_a_record_is_in_force_from_its_approval_to_its_withdrawal(
    capsys: Captured, tmp_path: Path
) -> None:
    assert add(UNSAFE) == 0
    assert screens(capsys, tmp_path, UNSAFE)[1]["findings"] == []
    assert knowledge("approve", "own-case", "--by", "Bo") == 0
    status, result = screens(capsys, tmp_path, UNSAFE)
    assert status == 1 and result["findings"][0]["evidence"]["cases"] == ["own-case"]
    assert knowledge("withdraw", "own-case", "--by", "Bo") == 0
    assert screens(capsys, tmp_path, UNSAFE)[1]["findings"] == []
    assert knowledge("rollback", "1", "--by", "Bo") == 0
    assert screens(capsys, tmp_path, UNSAFE)[0] == 1


def test_what_is_imported_is_only_proposed_whatever_it_says_of_itself(
    capsys: Captured, tmp_path: Path, place: Path
) -> None:
    line = json.dumps({**_json(UNSAFE), "id": "own-import"})
    (tmp_path / "in.jsonl").write_text(line + "\n", encoding="utf-8")
    assert knowledge("import", str(tmp_path / "in.jsonl"), "--by", "Eve") == 0
    assert knowledge("import", str(tmp_path / "in.jsonl"), "--by", "Eve") == 0
    assert "Proposed 0 records; 1 were there already" in capsys.readouterr().out
    assert RecordStore.at(place).enforced() == []
    bad = json.dumps({**_json(UNSAFE), "state": "enforced"})
    (tmp_path / "bad.jsonl").write_text(bad, encoding="utf-8")
    assert knowledge("import", str(tmp_path / "bad.jsonl"), "--by", "Eve") == 2


def _json(text: str) -> dict[str, str]:
    item = case(text)
    fields = ("id", "task", "text", "category", "channel", "principle", "rationale", "provenance")
    return {**{name: getattr(item, name) for name in fields}, "label": "unsafe"}


def test_what_is_exported_can_be_imported_elsewhere(
    capsys: Captured, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(UNSAFE)
    assert knowledge("export", str(tmp_path / "out.jsonl")) == 0
    monkeypatch.setenv("BLUECODE_KNOWLEDGE", str(tmp_path / "other.db"))
    assert knowledge("import", str(tmp_path / "out.jsonl"), "--by", "Ana") == 0
    _, listed = told(capsys, "list")
    assert [(item["id"], item["state"]) for item in listed] == [("own-case", "proposed")]


def test_the_list_is_narrowed_by_task_label_and_state(capsys: Captured) -> None:
    add(UNSAFE)
    for words, count in (((), 1), (("--task", "bias"), 0), (("--state", "enforced"), 0)):
        assert len(told(capsys, "list", *words)[1]) == count
    shipped = told(capsys, "list", "--shipped", "--task", "bias", "--label", "safe")[1]
    assert len(shipped) == 50 and {item["label"] for item in shipped} == {"safe"}


def test_an_empty_store_says_how_to_begin(capsys: Captured) -> None:
    assert knowledge("list") == 0
    assert "knowledge add" in capsys.readouterr().out


def test_a_record_is_shown_with_its_versions_its_log_and_what_is_near(capsys: Captured) -> None:
    add(UNSAFE)
    knowledge("approve", "own-case", "--by", "Bo")
    add(UNSAFE + " Tonight.")
    capsys.readouterr()
    assert knowledge("show", "own-case") == 0
    out = capsys.readouterr().out
    assert "version 1  enforced" in out and "version 2  proposed" in out
    assert "revision 1: version 1 approved by Bo" in out and "nearest shipped cases" in out


def test_a_shipped_case_can_be_shown(capsys: Captured) -> None:
    (first,) = told(capsys, "list", "--shipped", "--limit", "1")[1]
    assert told(capsys, "show", first["id"])[1][0]["text"] == first["text"]
    assert knowledge("show", "no-such-record") == 2


def test_records_that_contradict_each_other_end_with_1(capsys: Captured) -> None:
    add(UNSAFE)
    assert told(capsys, "duplicates") == (0, [])
    text = ["--text", UNSAFE + " Now.", "--task", "malice", "--label", "safe", "--by", "Ana"]
    knowledge("add", *text, "--id", "own-other")
    status, found = told(capsys, "duplicates")
    assert status == 1 and found[0]["contradiction"] is True
    assert knowledge("duplicates") == 1


def test_the_figures_count_shipped_cases_and_own_records_by_state(capsys: Captured) -> None:
    add(SAFE, "safe")
    _, found = told(capsys, "stats")
    assert found["counts"]["proposed"]["malice.safe"] == 1
    assert found["counts"]["shipped"]["malice.unsafe"] > 1_000
    assert knowledge("stats") == 0


@pytest.mark.parametrize(
    "words",
    [
        ["approve", "own-case", "--by", "Bo"],
        ["add", "--text", "two words", "--task", "bias", "--label", "safe", "--by", "Ana"],
        ["add", "--file", "no-such-file", "--task", "bias", "--label", "safe", "--by", "Ana"],
        ["import", "no-such-file", "--by", "Ana"],
        ["rollback", "7", "--by", "Bo"],
    ],
    ids=lambda words: words[0],
)
def test_what_cannot_be_done_is_told_and_ends_with_2(capsys: Captured, words: list[str]) -> None:
    assert knowledge(*words) == 2
    assert capsys.readouterr().err.startswith("bluecode: ")
