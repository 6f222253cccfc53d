"""What is run, and for which findings."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from bluecode.defenses.checking import check
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Evidence, Finding


def finding(rule: str, score: float) -> Finding:
    return Finding(
        detector="fixed", rule=rule, category=Category.VULNERABLE_CODE, score=score, reason="."
    )


@dataclass
class Fixed:
    """A checker that always says the same."""

    findings: Sequence[Finding]
    name: str = "fixed"
    languages: frozenset[str] = frozenset({"python"})

    async def inspect(self, snippet: Snippet) -> Sequence[Finding]:
        return self.findings


@dataclass
class Report:
    evidence: Sequence[Evidence]
    discovered: Sequence[Finding] = ()


@dataclass
class ConfirmsAll:
    """A prover that confirms what it is asked about."""

    asked: list[str] = field(default_factory=list)
    name: str = "dynamic"
    languages: frozenset[str] = frozenset({"python"})
    ready: bool = True

    async def test(self, snippet: Snippet, claims: Sequence[Finding]) -> Report:
        self.asked += [claim.rule for claim in claims]
        return Report([Evidence(outcome="confirmed")] * len(claims))


async def test_remarks_are_not_run_and_stay_what_they_are() -> None:
    found = [finding("a.claim", 0.6), finding("a.remark", 0.1)]
    prover = ConfirmsAll()
    snippet = Snippet(code="x = 1", language="python", origin="fence")

    verdict = await check(snippet, [Fixed(found)], prover, Policy.default())

    assert prover.asked == ["a.claim"]
    assert {item.rule: item.score for item in verdict.findings} == {
        "a.claim": 0.98,
        "a.remark": 0.1,
    }


async def test_a_remark_alone_lets_code_pass() -> None:
    snippet = Snippet(code="x = 1", language="python", origin="fence")
    checkers = [Fixed([finding("a.remark", 0.3)])]

    verdict = await check(snippet, checkers, ConfirmsAll(), Policy.default())

    assert verdict.action is Action.ALLOW
    assert [item.rule for item in verdict.findings] == ["a.remark"]
