"""The screening of one message: detectors, the user's records, the judge where they are unsure.

Without records and a judge it is `screen` and no more. With a judge, the detectors also report what
is too faint to be a finding; where the highest score of a category lies in the judge's uncertain
middle, its opinion replaces them. What is certain, or blocked anyway, is not asked about.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

import anyio

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.detectors.prompts import Prompts
from bluecode.defenses.judge import Judge, NotAsked, Opinion
from bluecode.defenses.knowledge import TASKS, Task
from bluecode.defenses.model import ModelError
from bluecode.defenses.policy import Policy
from bluecode.defenses.records import NAME as RECORDS
from bluecode.defenses.records import Records, RecordSource
from bluecode.defenses.screening import Timer, screen
from bluecode.defenses.verdict import (
    Action,
    Category,
    Detector,
    DetectorError,
    Evidence,
    Finding,
    Verdict,
)

log = logging.getLogger("bluecode.screening")

JUDGE = "judge"
"""Its name among what failed, and the reason where the allowance left a text to the detectors."""
_KNOWN = 0.05
"""Score of what the user's safe record is."""


class PromptScreen:
    """Detectors of prompts, and who is asked where they are unsure."""

    def __init__(
        self,
        detectors: Sequence[Detector[Message]],
        *,
        judge: Judge | None = None,
        records: RecordSource | None = None,
    ) -> None:
        self.judge = judge
        self._records = records
        self._looking = detectors
        self._reported: dict[str, float] = {}
        if judge is not None:
            self._looking = [_attentive(item, judge.uncertain[0]) for item in detectors]
            self._reported = {it.name: it.reported for it in detectors if isinstance(it, Prompts)}

    @property
    def version(self) -> str:
        """Digest of what verdicts depend on beside the policy; part of their keys."""
        records = None if self._records is None else self._records.current()
        judge = "" if self.judge is None else self.judge.version
        if self._unseen:
            return f"{judge}+?"
        return judge if records is None else f"{judge}+{records.version}"

    @property
    def _unseen(self) -> tuple[str, ...]:
        """Why a message is not wholly looked at, whatever it says."""
        return (RECORDS,) if self._records is not None and self._records.unseen else ()

    async def screen(
        self, message: Message, policy: Policy, *, timer: Timer | None = None
    ) -> Verdict:
        """The verdict on one message; see `screening.screen` for deadlines and failures."""
        unchecked = (*message.unread, *self._unseen)
        verdict = await screen(message, self._looking, policy, unchecked=unchecked, timer=timer)
        if (records := None if self._records is None else self._records.current()) is not None:
            verdict = await self._recorded(records, message, verdict, policy)
        # What the assistant said was looked at on its way out; histories would cost many calls.
        if self.judge is not None and message.role is not Role.ASSISTANT:
            verdict = await self._judged(self.judge, message, verdict, policy)
        return self._without_faint(verdict, policy)

    async def _recorded(
        self, records: Records, message: Message, verdict: Verdict, policy: Policy
    ) -> Verdict:
        """The verdict with what the user's approved records say."""
        try:
            findings = [*verdict.findings, *records.findings(message)]
            for task in {Category(item.category).value for item in verdict.findings} & set(TASKS):
                cleared = records.harmless(message, cast(Task, task))
                if cleared:
                    findings = await self._cleared(message, cast(Task, task), cleared, findings)
        except DetectorError:
            failed = (*verdict.failed, RECORDS)
            return policy.decide(verdict.findings, failed=failed, unchecked=verdict.unchecked)
        if len(findings) == len(verdict.findings) and all(
            new is old for new, old in zip(findings, verdict.findings, strict=True)
        ):
            return verdict
        return policy.decide(findings, failed=verdict.failed, unchecked=verdict.unchecked)

    async def _cleared(
        self,
        message: Message,
        task: Task,
        cleared: Sequence[tuple[str, tuple[int, int]]],
        findings: Sequence[Finding],
    ) -> list[Finding]:
        """Findings in the lines of safe records, lowered; and those in what remains."""
        rest = replace(message, text=_without(message.text, [lines for _, lines in cleared]))
        told: list[Finding] = []
        anew: dict[str, Sequence[Finding]] = {}
        for item in findings:
            if item.detector != task:
                told.append(item)
                continue
            known = next((name for name, lines in cleared if _lies(item.span, lines)), None)
            told.append(item if known is None else _lowered(item, known))
            if known is not None and item.detector not in anew:
                anew[item.detector] = await self._again(item.detector, rest)
        return [*told, *(new for found in anew.values() for new in found if new not in told)]

    async def _again(self, name: str, message: Message) -> Sequence[Finding]:
        detector = next(item for item in self._looking if item.name == name)
        try:
            return await detector.inspect(message)
        except DetectorError as error:
            if not error.unchecked:
                raise
            return error.findings

    async def _judged(
        self, judge: Judge, message: Message, verdict: Verdict, policy: Policy
    ) -> Verdict:
        """The verdict with the judge's opinions on each category that is unsure."""
        asked = self._unsure(judge, verdict, policy)
        if not asked:
            return verdict
        heard = _Heard()
        async with anyio.create_task_group() as tasks:
            for task, found in asked.items():
                tasks.start_soon(_ask, judge, message, task, found, heard)
        return policy.decide(
            [_weighed(finding, heard.opinions) for finding in verdict.findings],
            failed=[*verdict.failed, *[JUDGE] * heard.failed],
            unchecked=[*verdict.unchecked, *[JUDGE] * heard.left],
        )

    def _unsure(self, judge: Judge, verdict: Verdict, policy: Policy) -> dict[Task, list[Finding]]:
        """Findings of each category whose highest score the judge is to decide about."""
        low, high = judge.uncertain
        own = [item for item in verdict.findings if item.detector in self._reported]
        others = [item for item in verdict.findings if item not in own or item.score > high]
        if any(policy.action_for(item) is Action.BLOCK for item in others):
            return {}
        found = {task: [it for it in own if it.category == Category(task)] for task in TASKS}
        return {
            task: items
            for task, items in found.items()
            if items and low <= max(item.score for item in items) <= high
        }

    def _without_faint(self, verdict: Verdict, policy: Policy) -> Verdict:
        """Without what no detector would have reported, and about which nobody was asked."""
        kept = [item for item in verdict.findings if not self._is_faint(item)]
        if len(kept) == len(verdict.findings):
            return verdict
        return policy.decide(kept, failed=verdict.failed, unchecked=verdict.unchecked)

    def _is_faint(self, finding: Finding) -> bool:
        judged = finding.evidence is not None and finding.evidence.judge is not None
        return not judged and finding.score < self._reported.get(finding.detector, 0.0)


@dataclass(slots=True)
class _Heard:
    """What came of asking."""

    opinions: dict[Category, Opinion] = field(default_factory=dict)
    failed: bool = False
    left: bool = False


async def _ask(
    judge: Judge, message: Message, task: Task, found: Sequence[Finding], heard: _Heard
) -> None:
    loudest = sorted(found, key=lambda item: -item.score)
    spans = [item.span for item in loudest if item.span is not None]
    try:
        heard.opinions[Category(task)] = await judge.ask(message, task, spans=spans)
    except ModelError:
        heard.failed = True
    except NotAsked:
        heard.left = True
    except Exception as error:  # models come by other packages: their fault is no 500
        log.error("%s failed with %s", JUDGE, type(error).__name__)
        heard.failed = True


def _weighed(finding: Finding, opinions: Mapping[Category, Opinion]) -> Finding:
    """A finding with the judge's score in place of its own, and its opinion as evidence."""
    opinion = opinions.get(finding.category)
    if opinion is None or finding.detector not in TASKS:
        return finding
    evidence = finding.evidence or Evidence()
    told = replace(
        evidence,
        judge=f"{opinion.decision}, {opinion.confidence}",
        principle=opinion.principle or evidence.principle,
    )
    return replace(finding, score=opinion.score, evidence=told)


def _lies(span: tuple[int, int] | None, lines: tuple[int, int]) -> bool:
    """Is what was found within these lines? What was hidden has no lines."""
    return span is not None and lines[0] <= span[0] and span[1] <= lines[1]


def _lowered(finding: Finding, name: str) -> Finding:
    """A false alarm that the user's safe record speaks against."""
    evidence = replace(finding.evidence or Evidence(), cases=(name,))
    return replace(finding, score=min(finding.score, _KNOWN), evidence=evidence)


def _without(text: str, stretches: Sequence[tuple[int, int]]) -> str:
    """A text with some lines empty, so that the others keep their numbers."""
    lines = text.split("\n")
    for first, last in stretches:
        lines[first - 1 : last] = [""] * len(lines[first - 1 : last])
    return "\n".join(lines)


def _attentive(detector: Detector[Message], low: float) -> Detector[Message]:
    """A detector that reports as much as the judge is asked about."""
    if not isinstance(detector, Prompts):
        return detector
    return cast(Detector[Message], replace(detector, reported=min(detector.reported, low)))
