"""A verdict with a seal: read back whole, and nothing else is read."""

import json
from dataclasses import fields, replace

import pytest

from bluecode.defenses.verdict import Action, Category, Evidence, Finding, Severity, Verdict
from bluecode.proxy.sealed import NotSealed, Sealer

EVIDENCE = Evidence(
    cases=("case-1", "case-2"),
    principle="p",
    outcome="confirmed",
    observed="os.system('rm ~/letters')",
    judge="unsafe, high",
)
FINDING = Finding(
    detector="python",
    rule="python.command_injection",
    category=Category.VULNERABLE_CODE,
    score=0.875,
    reason="Shell command built from untrusted text.",
    severity=Severity.MEDIUM,
    cwe=78,
    span=(3, 4),
    advice="a list of arguments",
    evidence=EVIDENCE,
)
VERDICT = Verdict(
    action=Action.BLOCK, findings=(FINDING,), unchecked=("language", "partial"), shadow=True
)
SEALER = Sealer(b"key")


def test_the_verdict_of_the_test_says_something_in_every_field() -> None:
    for part in (FINDING, EVIDENCE):
        bare = {item.name for item in fields(part) if getattr(part, item.name) == item.default}
        assert bare == set()


def test_what_is_sealed_is_opened_but_for_what_may_quote_code() -> None:
    raw = SEALER.sealed("place", VERDICT)
    opened = SEALER.opened("place", raw)

    finding = replace(FINDING, evidence=replace(EVIDENCE, observed=None))
    assert opened == replace(VERDICT, findings=(finding,))
    assert b"letters" not in raw


@pytest.mark.parametrize(
    "finding", [replace(FINDING, span=None, cwe=None), replace(FINDING, evidence=None)]
)
def test_what_is_not_there_stays_away(finding: Finding) -> None:
    verdict = Verdict(action=Action.ALLOW, findings=(finding,))
    (opened,) = SEALER.opened("place", SEALER.sealed("place", verdict)).findings

    assert (opened.span, opened.cwe, opened.evidence is None) == (
        finding.span,
        finding.cwe,
        finding.evidence is None,
    )


CLEAN = SEALER.sealed("clean", Verdict(action=Action.ALLOW))


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"x",
        CLEAN[32:],
        bytes(32) + CLEAN[32:],
        CLEAN[:-1],
        CLEAN + b" ",
        CLEAN.replace(b'"action":0', b'"action":1'),
        Sealer(b"other key").sealed("place", Verdict(action=Action.ALLOW)),
        CLEAN,
    ],
    ids=["empty", "short", "bare", "zeros", "cut", "longer", "changed", "other key", "moved"],
)
def test_nothing_else_is_opened(raw: bytes) -> None:
    with pytest.raises(NotSealed):
        SEALER.opened("place", raw)


@pytest.mark.parametrize("told", [b"[]", b"{}", b"no json", b'{"action": 9}'])
def test_sealed_nonsense_is_no_verdict(told: bytes) -> None:
    with pytest.raises(NotSealed):
        SEALER.opened("place", SEALER._seal("place", told) + told)


def test_a_seal_is_over_the_place_and_the_text_apart() -> None:
    assert SEALER._seal("ab", b"c") != SEALER._seal("a", b"bc")
    assert json.loads(SEALER.sealed("a", VERDICT)[32:])["shadow"] is True
