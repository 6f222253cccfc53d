"""The policy decides, and a policy that cannot be meant is refused."""

import os
import subprocess
import sys

import pytest
from scripted import finding

from bluecode.defenses.policy import Policy, PolicyError
from bluecode.defenses.verdict import Action, Category, Severity

POLICY = Policy.parse(
    '[thresholds.malice]\nwarn = 0.4\nblock = 0.8\n[severity]\nlow = "warn"\n'
    '[rules]\n"test.off" = "allow"\n[unchecked]\npartial = "warn"\n'
)


@pytest.mark.parametrize(
    ("score", "rule", "action"),
    [
        (0.39, "test.a", Action.ALLOW),
        (0.4, "test.a", Action.WARN),
        (0.8, "test.a", Action.BLOCK),
        (1.0, "test.off", Action.ALLOW),
    ],
)
def test_scores_meet_thresholds_and_rules(score: float, rule: str, action: Action) -> None:
    verdict = POLICY.decide([finding(rule, Category.MALICE, score=score)])
    assert verdict.action is action


def test_the_strictest_finding_decides() -> None:
    findings = [finding("test.a", Category.MALICE, score=score) for score in (0.1, 0.9, 0.5)]
    assert POLICY.decide(findings).action is Action.BLOCK


def test_a_failed_detector_blocks_by_default() -> None:
    assert Policy().decide((), failed=("injection",)).action is Action.BLOCK


def test_what_was_not_looked_at_is_told_and_the_policy_decides() -> None:
    verdict = POLICY.decide((), unchecked=("partial", "image"))
    assert (verdict.action, verdict.unchecked) == (Action.WARN, ("partial", "image"))
    assert not verdict.passes


def test_shadow_decides_but_does_not_block() -> None:
    verdict = Policy(shadow=True).decide([finding("test.a", Category.BIAS, score=1.0)])
    assert verdict.action is Action.BLOCK
    assert not verdict.blocks


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("shaddow = true", "shaddow"),
        ("shadow = 1", "shadow"),
        ("budget = 0", "budget"),
        ("on_failure = 'panic'", "on_failure"),
        ("[thresholds.malicious]\nwarn = 0.1", "thresholds.malicious"),
        ("[thresholds.bias]\nwarn = 1.5", "thresholds.bias.warn"),
        ("[thresholds.bias]\nwarn = 0.9\nblock = 0.5", "thresholds.bias.warn"),
        ("[severity]\nfatal = 'block'", "severity.fatal"),
        ("refusal_style = 'shout'", "refusal_style"),
        ("disabled = 'all'", "disabled"),
        ("x = [", "TOML"),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(PolicyError, match=word):
        Policy.parse(text)


def test_the_version_changes_with_every_setting() -> None:
    versions = {
        Policy().version,
        Policy(shadow=True).version,
        Policy(severity={Severity.LOW: Action.WARN}).version,
        Policy(disabled=frozenset({"bias"})).version,
    }
    assert len(versions) == 4


def test_the_shipped_default_is_valid() -> None:
    assert Policy.default().on_failure is Action.BLOCK


SCOPED = """
[thresholds.malice]
warn = 0.4
block = 0.8
[teams]
payments = ["alice", "ci-*"]
[[policies]]
name = "payments"
match = { teams = ["payments"], routes = ["/chat/*"] }
shadow = true
thresholds.malice.block = 0.6
[[policies]]
name = "gpt"
match = { models = ["gpt-*"] }
rules = { "test.a" = "allow" }
"""


def test_an_entry_puts_its_own_in_place_of_single_settings_and_keeps_the_rest() -> None:
    payments, gpt = Policy.parse(SCOPED).policies

    assert payments.policy.thresholds[Category.MALICE].warn == 0.4
    assert payments.policy.thresholds[Category.MALICE].block == 0.6
    assert (payments.policy.shadow, gpt.policy.shadow) == (True, False)
    assert gpt.policy.rules == {"test.a": Action.ALLOW}


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("policies = 3", r"\[\[policies\]\]"),
        ("[[policies]]\nmatch = { keys = ['a'] }", "None"),
        ("[[policies]]\nname = 'base'\nmatch = { keys = ['a'] }", "base"),
        ("[[policies]]\nname = 'a'", "policies.a.match"),
        ("[[policies]]\nname = 'a'\nmatch = {}", "names nothing"),
        ("[[policies]]\nname = 'a'\nmatch = { keyes = ['a'] }", "keyes"),
        ("[[policies]]\nname = 'a'\nmatch = { keys = [] }", "at least|one name"),
        ("[[policies]]\nname = 'a'\nmatch = { teams = ['ops'] }", "'ops'"),
        ("[[policies]]\nname = 'a'\nmatch = { keys = ['a'] }\ndisabled = []", "all requests"),
        ("[[policies]]\nname = 'a'\nmatch = { keys = ['a'] }\nenforce = 101", "'a'.*percent"),
        ("[[policies]]\nname = 'a'\nmatch = { keys = ['a'] }\nshadw = true", "'a'.*shadw"),
        (2 * "[[policies]]\nname = 'a'\nmatch = { keys = ['a'] }\n", "two entries"),
        ("enforce_by = 'day'", "enforce_by"),
        ("[teams]\nops = 'a'", "teams.ops"),
    ],
)
def test_an_entry_that_cannot_be_meant_is_refused_by_name(text: str, word: str) -> None:
    with pytest.raises(PolicyError, match=word):
        Policy.parse(text)


def test_the_version_changes_with_an_entry_and_is_the_same_in_every_process() -> None:
    texts = (SCOPED, SCOPED.replace("gpt-*", "gpt-5*"), SCOPED.replace('"alice", ', ""))
    code = "import sys; from bluecode.defenses.policy import Policy as P;"
    code += "print(*(P.parse(text).version for text in sys.argv[1:]))"
    told = {
        subprocess.run(
            [sys.executable, "-c", code, *texts],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (versions,) = told

    assert len(set(versions.split())) == 3
