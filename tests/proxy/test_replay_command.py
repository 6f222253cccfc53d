"""`bluecode replay`: another policy on the requests of an audit."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from scripted import ScriptedUpstream, answer
from serving import chat, guarded, post

from bluecode.defenses.detectors.malice import malice
from bluecode.defenses.policy import Policy
from bluecode.proxy import audit_lines, replay_command
from bluecode.proxy.__main__ import main
from bluecode.proxy.audit_lines import NoAuditLine
from bluecode.proxy.config import Secret
from bluecode.proxy.replay_command import Replay

ALIKE = Policy.default()
KEYS = {"alice": Secret("alice-key"), "bob": Secret("bob-key")}


async def audited(path: Path, policy: Policy, texts: list[str], **settings: Any) -> None:
    """What a BlueCode writes that was asked this; answers hold code as asked for."""
    for text in texts:
        code = text if "(" in text else "x = 1"
        upstream = ScriptedUpstream([answer({"content": f"```python\n{code}\n```"})])
        async with guarded(upstream, policy=policy, audit=str(path), **settings) as root:
            for name in settings.get("proxy_keys", {"": None}):
                headers = {"Authorization": f"Bearer {name}-key"} if name else {}
                await post(f"{root}/v1/chat/completions", chat(text), headers)


TEXTS = ["hello", "a badword", "danger()", "doubt()", "doubt() again"]


@pytest.fixture
async def audit(tmp_path: Path) -> Path:
    await audited(tmp_path / "audit.jsonl", ALIKE, TEXTS, proxy_keys=KEYS)
    return tmp_path / "audit.jsonl"


def replayed(path: Path, policy: str | Policy) -> Replay:
    replay = Replay(Policy.parse(policy) if isinstance(policy, str) else policy)
    for line in audit_lines.read(path):
        replay.add(line)
    return replay


async def test_the_same_policy_changes_nothing(audit: Path) -> None:
    told = replayed(audit, ALIKE)

    assert (told.requests, told.changes, told.unread, told.undecided) == (10, {}, 0, 0)


async def test_a_stricter_policy_is_told_by_rule_key_and_conversation(audit: Path) -> None:
    told = replayed(audit, "[thresholds.vulnerable_code]\nwarn = 0.5\nblock = 0.55\n").as_json()

    (change,) = told["changes"]
    assert (change["from"], change["to"], change["requests"]) == ("warn", "block", 4)
    assert change["rules"] == {"test.doubt": 4}
    assert change["keys"] == {"alice": 2, "bob": 2}
    assert change["conversations"] == 2
    assert told["newly_blocked"] == 4 and told["unchanged"] == 6


async def test_a_milder_policy_is_told_by_what_no_longer_weighs(audit: Path) -> None:
    told = replayed(audit, '[rules]\n"test.danger" = "warn"\n').as_json()

    (change,) = [item for item in told["changes"] if item["from"] == "block"]
    assert change["to"] == "warn" and change["rules"] == {"test.danger": 2}
    assert told["newly_blocked"] == 0


async def test_entries_for_single_keys_are_replayed_as_they_would_decide(audit: Path) -> None:
    text = "[[policies]]\nname = 'a'\nmatch = { keys = ['alice'] }\nshadow = true\n"
    told = replayed(audit, text).as_json()

    assert {item["from"] for item in told["changes"]} == {"block", "warn"}
    assert all(set(item["scopes"]) == {"a"} for item in told["changes"])
    assert all(set(item["keys"]) == {"alice"} for item in told["changes"])
    assert told["would_block_in_shadow"] == 2


async def test_a_part_falls_as_it_would_fall_while_serving(tmp_path: Path) -> None:
    texts = [f"danger() {number}" for number in range(24)]
    watched, served = tmp_path / "watched.jsonl", tmp_path / "served.jsonl"
    half = Policy.parse("enforce = 50")
    await audited(watched, Policy.parse("shadow = true"), texts)
    await audited(served, half, texts)

    enforced = [json.loads(line)["decision"] for line in served.read_text().splitlines()]
    assert 0 < Counter(enforced)["block"] < 24
    assert replayed(watched, half).newly_blocked == Counter(enforced)["block"]
    assert replayed(served, half).changes == {}


async def test_a_failed_detector_is_decided_on_by_the_new_policy(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    line = {**json.loads(LINE), "decision": "block", "failed": ["late"]}
    path.write_text(json.dumps(line) + "\n", encoding="utf-8")

    told = replayed(path, 'on_failure = "allow"').as_json()
    assert told["changes"][0]["rules"] == {"failed: late": 1}
    assert replayed(path, 'disabled = ["late"]').as_json()["changes"][0]["to"] == "allow"


LINE = json.dumps(
    {
        "time": "2026-11-30T10:00:00.000+00:00",
        "request_id": "bc-1",
        "route": "/messages",
        "client": "other",
        "key": None,
        "model": "m",
        "decision": "allow",
        "findings": [],
        "failed": [],
        "unchecked": [],
    }
)


def test_a_line_of_an_older_version_is_taken_at_its_strictest_and_said(tmp_path: Path) -> None:
    found = {"rule": "a.b", "category": "malicious_code", "cwe": None, "score": 0.9}
    path = tmp_path / "audit.jsonl"
    path.write_text(json.dumps({**json.loads(LINE), "findings": [found]}) + "\n")

    told = replayed(path, '[severity]\nlow = "allow"').as_json()

    assert told["newly_blocked"] == 1
    assert "older version" in told["notes"][0]


def test_what_ended_without_a_verdict_is_not_decided_on(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    ends = ("error", "disconnect", "limited", "block")
    lines = [json.dumps({**json.loads(LINE), "decision": end}) for end in ends]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")

    told = replayed(path, ALIKE)
    assert (told.requests, told.undecided, told.changes) == (0, 4, {})


@pytest.mark.parametrize(
    "raw",
    [
        b"no json",
        b"[]",
        b"{}",
        b'"x"',
        b"[" * 100_000,
        LINE.replace("[]", '[{"rule": "a", "category": "x", "score": 1, "cwe": null}]').encode(),
        LINE.replace('"findings": []', '"findings": [{"score": NaN}]').encode(),
        LINE.encode()[:-9],
        b"x" * (5 * 1024**2),
    ],
    ids=lambda raw: raw[:12].decode(),
)
def test_a_line_that_is_none_is_counted_and_the_rest_is_read(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(raw + b"\n" + LINE.encode() + b"\n\n")

    told = replayed(path, ALIKE)

    assert (told.unread, told.requests) == (1, 1)
    with pytest.raises(NoAuditLine):
        audit_lines.parse(raw)


async def test_the_command_prints_a_table_and_says_by_its_status_whether_more_is_blocked(
    audit: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = tmp_path / "new.toml"
    policy.write_text("[thresholds.vulnerable_code]\nwarn = 0.1\nblock = 0.55\n")

    status = main(["replay", str(audit), "--policy", str(policy)])
    shown = capsys.readouterr().out
    alike = main(["replay", str(audit), str(audit), "--format", "json"])
    told = json.loads(capsys.readouterr().out)

    assert status == 1
    assert "warn → block" in shown and "test.doubt 4" in shown and "4 newly blocked" in shown
    assert alike == 0 and told["requests"] == 20


def test_lines_that_cannot_be_read_show_in_the_status(tmp_path: Path) -> None:
    (tmp_path / "audit.jsonl").write_text("nothing\n")

    assert main(["replay", str(tmp_path / "audit.jsonl")]) == 3
    assert main(["replay", str(tmp_path / "missing.jsonl")]) == 2


def test_a_threshold_below_what_is_reported_is_told() -> None:
    assert malice().reported == replay_command.REPORTED
    assert "0.3" in Replay(Policy.parse("[thresholds.malice]\nwarn = 0.3")).notes[0]
    assert Replay(Policy.default()).notes == []
