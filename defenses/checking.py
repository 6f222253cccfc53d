"""The checking of one snippet: static claims, then proof or refutation by running it.

This is the paper's Algorithm 1 (BlueCodeAgent, 2025) made fast: static checkers claim, the dynamic
checker confirms, refutes or says that it cannot test, fusion weighs both, the policy decides.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import anyio

from bluecode.defenses import language
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.fusion import fuse
from bluecode.defenses.policy import Policy
from bluecode.defenses.screening import Timer, screen
from bluecode.defenses.verdict import Detector, DetectorError, Evidence, Finding, Verdict

WORTH_A_RUN = 0.35
"""Findings of a lower score are remarks, on which nothing rests: nothing is run for them."""


class Checker(Detector[Snippet], Protocol):
    """A detector of code."""

    @property
    def languages(self) -> frozenset[str]:
        """Canonical names of the languages it reads; `*` reads any text but settles none."""
        ...


class DynamicReport(Protocol):
    """What running a snippet showed."""

    @property
    def evidence(self) -> Sequence[Evidence]:
        """One for each claim, in the order of the claims."""
        ...

    @property
    def discovered(self) -> Sequence[Finding]:
        """What no static checker had claimed."""
        ...


class Prover(Protocol):
    """The dynamic checker."""

    @property
    def name(self) -> str: ...

    @property
    def languages(self) -> frozenset[str]: ...

    @property
    def ready(self) -> bool:
        """Can it run something at once?"""
        ...

    async def test(self, snippet: Snippet, claims: Sequence[Finding]) -> DynamicReport:
        """Run the snippet. Raises `DetectorError` when the sandbox cannot be used."""
        ...


async def check(
    snippet: Snippet,
    checkers: Sequence[Checker],
    prover: Prover | None,
    policy: Policy,
    *,
    timer: Timer | None = None,
) -> Verdict:
    """Decide on one snippet; a language that no checker reads makes it `unchecked`.

    Code of which a part alone is judged (`focus`), as a completion in an editor, is not run.
    """
    # Clients write U+FFFD for a lone surrogate, and so the file runs: no parser may stumble on it.
    plain = snippet.code.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if plain != snippet.code:
        snippet = replace(snippet, code=plain)
    spoken = snippet.language
    if spoken in language.DATA:
        unchecked: tuple[str, ...] = ()
    else:
        unchecked = (
            () if any(spoken in checker.languages for checker in checkers) else ("language",)
        )
    readers = [item for item in checkers if spoken in item.languages or "*" in item.languages]
    static = await screen(snippet, readers, policy, unchecked=unchecked, timer=timer)
    if snippet.focus is not None:  # an editor waits at every keystroke: no time for a run
        own = [finding for finding in static.findings if _within(finding, snippet.focus)]
        return policy.decide(own, failed=static.failed, unchecked=static.unchecked)
    if prover is None or spoken not in prover.languages:
        return static
    failed = list(static.failed)
    findings: Sequence[Finding] = static.findings
    started = time.perf_counter()
    with anyio.move_on_after(policy.budget) as scope:
        try:
            claims = [item for item in static.findings if item.score >= WORTH_A_RUN]
            remarks = [item for item in static.findings if item.score < WORTH_A_RUN]
            report = await prover.test(snippet, claims)
            findings = (*_weigh(claims, report), *remarks)
        except DetectorError:
            failed.append(prover.name)
    if scope.cancelled_caught:
        failed.append(prover.name)
    if timer is not None:
        timer(prover.name, time.perf_counter() - started)
    return policy.decide(findings, failed=failed, unchecked=static.unchecked)


def _within(finding: Finding, focus: tuple[int, int]) -> bool:
    """Does a finding touch the lines that are judged?"""
    return finding.span is None or (finding.span[0] <= focus[1] and finding.span[1] >= focus[0])


def _weigh(claims: Sequence[Finding], report: DynamicReport) -> tuple[Finding, ...]:
    fused = [fuse(claim, proof) for claim, proof in zip(claims, report.evidence, strict=True)]
    return (*fused, *report.discovered)
