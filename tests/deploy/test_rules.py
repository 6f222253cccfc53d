"""The rules: each alert fires when it should, ends when it should, and is in the runbook."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus import RULES, needs_prometheus, promtool

ROOT = Path(__file__).resolve().parents[2]
GROUPS: list[dict[str, Any]] = yaml.safe_load(RULES.read_text("utf-8"))["groups"]
ALERTS = {rule["alert"]: rule for group in GROUPS for rule in group["rules"] if "alert" in rule}
LOOKS = 'bluecode_detector_seconds_count{job="bluecode"}'
FAILURES = 'bluecode_detector_failures_total{job="bluecode"}'
SCREENED = 'bluecode_seconds_count{job="bluecode", stage="screening"}'
IN_TIME = 'bluecode_seconds_bucket{job="bluecode", stage="screening", le="0.25"}'
ALLOWED = 'bluecode_requests_total{job="bluecode", decision="allow"}'
BLOCKED = 'bluecode_requests_total{job="bluecode", decision="block"}'
UNREAD = 'bluecode_unchecked_total{job="bluecode", reason="partial"}'
WAITING = 'bluecode_guests_waiting{job="bluecode"}'
EXITED = 'bluecode_guest_runs_total{job="bluecode", outcome="exited"}'
ENDLESS = 'bluecode_guest_runs_total{job="bluecode", outcome="out_of_fuel"}'
BROKEN = 'bluecode_upstream_errors_total{job="bluecode", kind="connect"}'
REFUSED = 'bluecode_policy_reloads_total{job="bluecode", result="refused"}'
SHARED = 'bluecode_shared_up{job="bluecode", instance="a", store="redis"}'
FORGED = 'bluecode_shared_lookups_total{job="bluecode", result="forged"}'
DATABASE = 'bluecode_database_up{job="bluecode", instance="a", use="records"}'
UNCAPTURED = 'bluecode_captures_lost_total{job="bluecode"}'
LOST = 'bluecode_audit_lost_total{job="bluecode"}'
ONE = 'bluecode_policy_info{job="bluecode", instance="a", policy="1"}'
OTHER = 'bluecode_policy_info{job="bluecode", instance="b", policy="2"}'


@dataclass(frozen=True)
class Case:
    """Series by minute, as promtool writes them; when the alert fires and when it is over."""

    series: dict[str, str]
    fires: int
    over: int


CASES = {
    "BlueCodeDown": Case({'up{job="bluecode", instance="a"}': "1x2 0x5 1x8"}, 6, 10),
    "BlueCodeBlind": Case({FAILURES: "0+60x30 1800x60", LOOKS: "0+100x90"}, 20, 40),
    "BlueCodeBlindSlowly": Case({FAILURES: "0+1x60 60x100", LOOKS: "0+100x160"}, 50, 120),
    "BlueCodeLate": Case({IN_TIME: "0+10x30 300+100x60", SCREENED: "0+100x90"}, 20, 40),
    "BlueCodeLateSlowly": Case({IN_TIME: "0+90x60 5400+100x90", SCREENED: "0+100x150"}, 50, 120),
    "BlueCodeScreensNothing": Case({ALLOWED: "0+10x60", SCREENED: "0x30 0+10x30"}, 25, 40),
    "BlueCodeBlocksMuch": Case({ALLOWED: "0+30x90", BLOCKED: "0+30x40 1200x50"}, 30, 60),
    "BlueCodeBlocksMoreThanUsual": Case(
        {ALLOWED: "0+99x1600", BLOCKED: "0+1x1440 1440+20x50 2440+1x100"}, 1470, 1520
    ),
    "BlueCodeHeldTooMuch": Case({UNREAD: "0+5x60 300x60"}, 40, 90),
    "BlueCodeGuestsWait": Case({WAITING: "10x20 0x30"}, 12, 35),
    "BlueCodeGuestsEndEarly": Case({EXITED: "0+5x100", ENDLESS: "0+5x40 200x60"}, 35, 70),
    "BlueCodeUpstreamFails": Case({ALLOWED: "0+10x60", BROKEN: "0+10x30 300x30"}, 20, 50),
    "BlueCodePolicyRefused": Case({REFUSED: "0x10 1x60"}, 12, 40),
    "BlueCodeSharedLost": Case({SHARED: "1x5 0x20 1x20"}, 15, 30),
    "BlueCodeSharedForged": Case({FORGED: "0x10 3x60"}, 12, 40),
    "BlueCodeDatabaseLost": Case({DATABASE: "1x5 0x20 1x20"}, 15, 30),
    "BlueCodeCapturesLost": Case({UNCAPTURED: "0x10 3x60"}, 12, 40),
    "BlueCodeAuditLost": Case({LOST: "0x10 3x60"}, 12, 40),
    "BlueCodePoliciesDiffer": Case({ONE: "1x60", OTHER: "1x30 stale"}, 25, 45),
}


def test_every_alert_has_a_case_that_fires_and_ends() -> None:
    assert CASES.keys() == ALERTS.keys()


@needs_prometheus
def test_promtool_finds_nothing_wrong() -> None:
    told = promtool("check", "rules", "--lint=all", str(RULES))

    assert told.returncode == 0, told.stderr


@needs_prometheus
@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_and_ends(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    firing = f'count(ALERTS{{alertname="{name}", alertstate="firing"}})'
    when = [(0, []), (case.fires, [{"labels": "{}", "value": 1}]), (case.over, [])]
    test = {
        "rule_files": [str(RULES)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": k, "values": v} for k, v in case.series.items()],
                "promql_expr_test": [
                    {"expr": firing, "eval_time": f"{minute}m", "exp_samples": samples}
                    for minute, samples in when
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(json.dumps(test), encoding="utf-8")

    told = promtool("test", "rules", str(tmp_path / "test.yaml"))

    assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_leads_to_its_page_and_says_what_is_wrong(name: str) -> None:
    alert = ALERTS[name]
    file, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^### (\w+)$", (ROOT / file).read_text("utf-8"), re.MULTILINE)

    assert (name, anchor) == (next(h for h in headings if h.lower() == anchor), name.lower())
    assert alert["annotations"]["summary"].endswith(".")
    assert alert["labels"]["severity"] in ("warning", "critical")


def test_the_runbook_has_no_page_for_an_alert_that_does_not_exist() -> None:
    runbook = (ROOT / "docs" / "operations.md").read_text("utf-8")

    assert set(re.findall(r"^### (BlueCode\w+)$", runbook, re.MULTILINE)) == ALERTS.keys()
