"""SARIF 2.1.0: what code hosts rely on is there, and points where it should."""

import json
import re
from typing import Any

import pytest

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Evidence, Finding, Verdict
from bluecode.proxy.inspection import Inspected, Source
from bluecode.proxy.sarif import log_of

POLICY = Policy.parse("[thresholds.vulnerable_code]\nwarn = 0.5\nblock = 0.8\n")
TEXT = "import os\n\n\ndef run(name):\n    os.system(name)\n    os.system(name)\n"


def finding(line: int, *, score: float = 0.9, rule: str = "python.command_injection") -> Finding:
    return Finding(
        detector="python",
        rule=rule,
        category=Category.VULNERABLE_CODE,
        score=score,
        reason="A shell runs text that a caller gives.",
        cwe=78,
        span=(line, line),
        advice="pass a list of arguments",
        evidence=Evidence(outcome="confirmed", observed="ran a second command"),
    )


def inspected(*findings: Finding, path: str = "app/my run.py", text: str = TEXT) -> Inspected:
    verdict = Verdict(action=Action.BLOCK, findings=findings)
    return Inspected(source=Source(path=path, text=text), verdict=verdict, language="python")


def run_of(*items: Inspected) -> dict[str, Any]:
    log = json.loads(json.dumps(log_of(POLICY, items)))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert isinstance(run, dict)
    return run


def test_every_reference_leads_to_what_it_names() -> None:
    run = run_of(inspected(finding(5), finding(6), finding(1, rule="python.other")))

    rules, taxa = run["tool"]["driver"]["rules"], run["taxonomies"][0]["taxa"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        for reference in result["taxa"]:
            assert taxa[reference["index"]]["id"] == reference["id"] == "78"
    for rule in rules:
        assert rule["help"]["text"] and rule["help"]["markdown"]
        assert rule["relationships"][0]["target"]["index"] == 0
        assert rule["helpUri"].endswith("/78.html")
        assert "external/cwe/cwe-078" in rule["properties"]["tags"]
        assert re.fullmatch(r"\d\.\d", rule["properties"]["security-severity"])


def test_a_result_says_where_how_bad_and_what_the_sandbox_saw() -> None:
    (result,) = run_of(inspected(finding(5)))["results"]

    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "app/my%20run.py"
    assert place["region"] == {"startLine": 5, "endLine": 5}
    assert result["level"] == "error"
    assert "confirmed: ran a second command" in result["message"]["text"]


@pytest.mark.parametrize(("score", "level"), [(0.9, "error"), (0.6, "warning"), (0.1, "note")])
def test_the_level_follows_the_action_of_the_policy(score: float, level: str) -> None:
    (result,) = run_of(inspected(finding(5, score=score)))["results"]

    assert result["level"] == level


def test_a_fingerprint_outlives_a_move_but_tells_two_alike_lines_apart() -> None:
    def prints(item: Inspected) -> list[str]:
        return [result["partialFingerprints"]["bluecode/v1"] for result in run_of(item)["results"]]

    before = prints(inspected(finding(5), finding(6)))
    after = prints(inspected(finding(7), finding(8), text="# a\n# b\n" + TEXT))

    assert before == after
    assert len(set(before)) == 2


def test_what_could_not_be_checked_is_told() -> None:
    source = Source(path="a.cob", text="MOVE A TO B.")
    unread = Inspected(source=source, verdict=Verdict(action=Action.ALLOW, unchecked=("language",)))
    failed = Inspected(source=source, verdict=Verdict(action=Action.BLOCK, failed=("dynamic",)))

    (invocation,) = run_of(unread)["invocations"]
    assert invocation["executionSuccessful"] is True
    assert invocation["toolExecutionNotifications"][0]["level"] == "warning"
    (invocation,) = run_of(failed)["invocations"]
    assert invocation["executionSuccessful"] is False
    assert "dynamic failed" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_a_log_without_findings_is_whole_too() -> None:
    run = run_of(inspected())

    assert run["results"] == run["tool"]["driver"]["rules"] == run["taxonomies"][0]["taxa"] == []
