"""The audit as a file: whole lines, rotation, retention, and what is lost is counted."""

import io
import json
import logging
import os
import resource
import signal
import stat
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scripted import finding

from bluecode.defenses.verdict import Action, Category, Verdict, merge
from bluecode.proxy import audit_lines, serving
from bluecode.proxy.audit import Audit, Entry
from bluecode.proxy.audit_lines import AuditLine, NoAuditLine
from bluecode.proxy.config import Config, ConfigError

DAY = 86_400
FOUND = finding("test.a", Category.MALICE, score=0.123456789)


def entry(number: int) -> Entry:
    return Entry(
        request_id=f"bc-{number}",
        route="/chat/completions",
        client="other",
        key_name="alice",
        model="m",
        conversation="0123456789abcdef",
        scope="base",
        streamed=False,
        side=False,
        decision="block",
        policy="p",
        prompt=Verdict(action=Action.BLOCK, findings=(FOUND,)),
        code=merge([]),
        messages=1,
        screened=1,
        replaced=0,
        snippets=[],
    )


@contextmanager
def audited(path: Path | str, **settings: int) -> Iterator[tuple[Audit, list[None]]]:
    lost: list[None] = []
    audit = Audit(str(path), lost=lambda: lost.append(None), **settings)
    try:
        yield audit, lost
    finally:
        audit.close()


def numbers(*paths: Path) -> list[int]:
    read = [line for path in paths for line in audit_lines.read(path)]
    assert all(isinstance(line, AuditLine) for line in read), read
    return [int(line.request_id.partition("-")[2]) for line in read]  # type: ignore[union-attr]


def test_what_is_written_is_read_back_as_a_policy_would_decide_on_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with audited(path) as (audit, _):
        audit.write(entry(1))

    (line,) = audit_lines.read(path)

    assert isinstance(line, AuditLine) and line.whole
    (found,) = line.findings
    assert (found.detector, found.rule, found.severity) == ("word", "test.a", FOUND.severity)
    assert found.score == pytest.approx(FOUND.score, abs=1e-6)
    assert (line.asker.key, line.decision, line.conversation) == (
        "alice",
        Action.BLOCK,
        "0123456789abcdef",
    )


def test_over_rotations_each_line_is_there_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with audited(path, max_bytes=4_000, backups=100) as (audit, lost):
        for number in range(200):
            audit.write(entry(number))
    files = sorted(tmp_path.iterdir(), key=lambda item: -int(item.suffix[1:] or 0, 36))

    assert len(files) > 5
    assert sorted(numbers(*files)) == list(range(200)) and not lost


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with audited(path, max_bytes=2_000, backups=3) as (audit, _):
        for number in range(20):
            audit.write(entry(number))

    assert {stat.S_IMODE(item.stat().st_mode) for item in tmp_path.iterdir()} == {0o600}


def test_a_file_that_another_moved_is_begun_anew(tmp_path: Path) -> None:
    path, moved = tmp_path / "audit.jsonl", tmp_path / "moved.jsonl"
    with audited(path) as (audit, lost):
        audit.write(entry(1))
        path.rename(moved)
        audit.write(entry(2))
        path.unlink()
        audit.write(entry(3))

    assert (numbers(moved), numbers(path), lost) == ([1], [3], [])


def aged(path: Path, days: int) -> None:
    then = time.time() - days * DAY
    os.utime(path, (then, then))


def test_with_days_a_file_a_day_and_none_beyond_them(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    for number, days in enumerate((10, 6, 2)):
        with audited(path, backups=20, days=7) as (audit, _):
            audit.write(entry(number))
        aged(path, days)
    with audited(path, backups=20, days=7) as (audit, _):
        audit.write(entry(3))

    kept = {item.name: numbers(item) for item in tmp_path.iterdir()}
    assert kept == {"audit.jsonl": [3], "audit.jsonl.1": [2], "audit.jsonl.2": [1]}


def test_what_is_too_old_is_removed_at_the_start_too(tmp_path: Path) -> None:
    path, old = tmp_path / "audit.jsonl", tmp_path / "audit.jsonl.1"
    old.write_text("{}\n")
    aged(old, 30)
    with audited(path, days=0):
        assert old.exists()
    with audited(path, days=7):
        assert not old.exists()


def test_fewer_files_than_days_stop_the_start() -> None:
    config = Config(upstream="http://127.0.0.1:1/v1", audit_days=30, audit_backups=5)

    with pytest.raises(ConfigError, match="audit_backups"):
        serving._look_ahead(config)


def test_after_half_a_line_the_next_begins_one_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with audited(path) as (audit, lost):
            audit.write(entry(1))
            resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 50, limits[1]))
            audit.write(entry(2))
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            audit.write(entry(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    one, half, three = audit_lines.read(path)

    assert len(lost) == 1 and isinstance(half, NoAuditLine)
    assert [getattr(line, "request_id", None) for line in (one, three)] == ["bc-1", "bc-3"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_on_a_full_disk_lines_are_counted_and_it_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with audited("/dev/full") as (audit, lost), caplog.at_level(logging.ERROR):
        for number in range(5):
            audit.write(entry(number))
    told = [record.getMessage() for record in caplog.records]

    assert len(lost) == 5
    assert told == ["Lines of the audit cannot be written (No space left on device) and are lost."]


def test_a_folder_that_is_gone_loses_lines_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with audited(folder / "audit.jsonl") as (audit, lost):
        audit.write(entry(1))
        (folder / "audit.jsonl").unlink()
        folder.rmdir()
        audit.write(entry(2))
        folder.mkdir()
        audit.write(entry(3))

    assert len(lost) == 1
    assert numbers(folder / "audit.jsonl") == [3]


def test_on_standard_output_each_line_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(sys, "stdout", written)
    with audited("stdout") as (audit, _):
        for number in range(3):
            audit.write(entry(number))

    read = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line["request_id"] for line in read] == ["bc-0", "bc-1", "bc-2"]
