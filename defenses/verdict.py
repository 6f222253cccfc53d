"""Findings and verdicts: what was seen, how sure, on what evidence, and what is done about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Literal, Protocol, TypeVar


class Category(StrEnum):
    """Kinds of risk. The first three are found in prompts, the last two in code."""

    BIAS = "bias"
    MALICE = "malice"
    INJECTION = "injection"
    VULNERABLE_CODE = "vulnerable_code"
    MALICIOUS_CODE = "malicious_code"


class Severity(IntEnum):
    """How bad it is if the finding is right, apart from how sure it is (the score)."""

    LOW = 0
    MEDIUM = 1
    HIGH = 2


class Action(IntEnum):
    """What is done, mildest first: the strictest of several is `max()`."""

    ALLOW = 0
    WARN = 1
    BLOCK = 2


TestOutcome = Literal["confirmed", "refuted", "not_testable"]
"""What a sandbox run says of a claim. `not_testable` is not `refuted`: nothing was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Why a finding is believed."""

    cases: tuple[str, ...] = ()
    """Ids of the nearest knowledge-base cases, nearest first."""
    principle: str | None = None
    """Id of the constitution principle that applies."""
    outcome: TestOutcome | None = None
    """What the sandbox said; None where no run was tried."""
    observed: str | None = None
    """What the sandbox saw, one line. May quote the code: for the caller's eyes, never a log."""
    judge: str | None = None
    """What the judge model decided, and how sure it was, `safe, high`; None where not asked."""


_SLIGHT = 0.35


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing a detector saw."""

    detector: str
    rule: str
    """Stable dotted name from a closed set, for example `python.command_injection`."""
    category: Category
    score: float
    """Probability, 0-1, that the subject is unsafe in this way."""
    reason: str
    """One plain sentence that quotes nothing of the subject."""
    severity: Severity = Severity.HIGH
    cwe: int | None = None
    span: tuple[int, int] | None = None
    """First and last line in the subject, from 1, both included."""
    advice: str = ""
    """The safe pattern in a few words, for the person who gets the note."""
    evidence: Evidence | None = None

    @property
    def slight(self) -> bool:
        """Is it a mere remark, unlikely by far and shown by no run? None is told unasked."""
        outcome = None if self.evidence is None else self.evidence.outcome
        return self.score < _SLIGHT and outcome in (None, "not_testable")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The decision on one subject, or on several merged."""

    action: Action
    findings: tuple[Finding, ...] = ()
    failed: tuple[str, ...] = ()
    """Names of detectors that failed or came late: what they would have said is unknown."""
    unchecked: tuple[str, ...] = ()
    """Why parts were not looked at (`language`, `image` …): never the same as clean."""
    shadow: bool = False
    """Decided and counted, but not enforced."""

    @property
    def telling(self) -> tuple[Finding, ...]:
        """The findings that are more than remarks; remarks, where nothing else explains the action:
        a policy may be that strict."""
        telling = tuple(finding for finding in self.findings if not finding.slight)
        explained = telling or self.failed or self.unchecked or self.action is Action.ALLOW
        return telling if explained else self.findings

    @property
    def blocks(self) -> bool:
        return self.action is Action.BLOCK and not self.shadow

    @property
    def warns(self) -> bool:
        return self.action is Action.WARN and not self.shadow

    @property
    def passes(self) -> bool:
        """Allowed, and everything was looked at; what was found may be a claim that was refuted."""
        return self.action is Action.ALLOW and not (self.failed or self.unchecked)


Subject_contra = TypeVar("Subject_contra", contravariant=True)


class Detector(Protocol[Subject_contra]):
    """Looks at one message or one snippet. A checker is a detector of code.

    One that never waits for anything may say so by `immediate = True`, one that does not for some
    subjects by a method `immediate(subject)`; it then needs no task.
    """

    @property
    def name(self) -> str: ...

    async def inspect(self, subject: Subject_contra) -> Sequence[Finding]:
        """Findings that depend on the subject alone. Raises `DetectorError`, never guesses."""
        ...


class DetectorError(Exception):
    """A detector could not look, or not at everything.

    With `unchecked`, the reason lies in the subject and the policy's action for that reason
    decides; `findings` are from what was read. `partial`: too long or too deep to be read whole;
    `fragment`: lines within it do not parse; `syntax`: none of it does. Without `unchecked` the
    detector has failed.
    """

    def __init__(
        self,
        reason: str,
        *,
        findings: Sequence[Finding] = (),
        partial: bool = False,
        unchecked: str = "",
    ) -> None:
        super().__init__(reason)
        self.findings = tuple(findings)
        self.unchecked = unchecked or ("partial" if partial else "")


def merge(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict for all: the strictest action, every finding, everything that went unseen."""
    if len(verdicts) == 1:
        return verdicts[0]
    if not verdicts:
        return _NOTHING
    return Verdict(
        action=max((verdict.action for verdict in verdicts), default=Action.ALLOW),
        findings=tuple(finding for verdict in verdicts for finding in verdict.findings),
        failed=tuple(sorted({name for verdict in verdicts for name in verdict.failed})),
        unchecked=tuple(sorted({why for verdict in verdicts for why in verdict.unchecked})),
        shadow=any(verdict.shadow for verdict in verdicts),
    )


_NOTHING = Verdict(action=Action.ALLOW)
