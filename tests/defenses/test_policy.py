"""The policy decides, and a policy that cannot be meant is refused."""

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
