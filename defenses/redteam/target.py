"""What is attacked, and what it made of one attack.

A target says what happened, not what it means: whether that is a success is said by `passed`, from
what the target let through and, where a model stands behind it, from what came back.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from bluecode.defenses.conversation import Message
from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.detectors.prompts import Prompts
from bluecode.defenses.policy import Policy
from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.verdict import Action, Category, Detector, DetectorError, Finding


class TargetError(Exception):
    """The target could not be asked; nothing is known of the attack. The message is safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What a target made of one text."""

    action: Action
    pressure: float
    """How near it came to being stopped: the highest score as a share of its threshold. 1 and more
    is stopped. Of a target that tells no scores, 0 or 1."""
    effect: bool | None = None
    """Did what came back do what was asked? None where no model was asked, or nothing tells."""
    cost: float = 0.0
    """What the request cost, in the currency of the target's price."""

    @property
    def passed(self) -> bool:
        """Did the attack succeed: not stopped, and where the effect can be seen, seen?"""
        return self.action < Action.BLOCK and self.effect is not False

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "action": self.action.name.lower()}


class Target(Protocol):
    """Something that attacks are tried on."""

    async def hear(self, attack: Attack) -> Heard:
        """Raises `TargetError` where it cannot be asked."""
        ...


Opens = Callable[[], AbstractAsyncContextManager[Target]]
"""Opens a target in the process that attacks it; must be picklable."""


class Detectors:
    """The detectors of prompts, in this process, under a policy."""

    def __init__(
        self, policy: Policy, detectors: Sequence[Detector[Message]] | None = None
    ) -> None:
        made = (
            [make() for name, make in DETECTORS.items() if name not in policy.disabled]
            if detectors is None
            else detectors
        )
        self._detectors = [frank(item) for item in made]
        self._policy = policy

    async def hear(self, attack: Attack) -> Heard:
        findings = await self.findings(attack.message())
        verdict = self._policy.decide(findings)
        return Heard(action=verdict.action, pressure=round(self._pressure(findings), 4))

    async def findings(self, message: Message) -> list[Finding]:
        """Everything that any detector says, low scores too. Raises `TargetError`."""
        found: list[Finding] = []
        for detector in self._detectors:
            try:
                found += await detector.inspect(message)
            except DetectorError as error:
                if not error.unchecked:
                    raise TargetError(f"the detector `{detector.name}` failed") from error
                found += error.findings
        return found

    def _pressure(self, findings: Sequence[Finding]) -> float:
        limits = self._policy.thresholds
        return max((item.score / limits[item.category].block for item in findings), default=0.0)

    async def scores(self, message: Message) -> Mapping[Category, float]:
        """The highest score of each category. Raises `TargetError`."""
        highest: dict[Category, float] = {}
        for item in await self.findings(message):
            highest[item.category] = max(item.score, highest.get(item.category, 0.0))
        return highest


def frank(detector: Detector[Message]) -> Detector[Message]:
    """A detector that tells every score: a search needs to know when it gets warmer."""
    return replace(detector, reported=0.0) if isinstance(detector, Prompts) else detector


@dataclass(frozen=True, slots=True)
class InProcess:
    """Opens the shipped detectors under a policy file, or the default policy."""

    policy: Path | None = None

    def __call__(self) -> "_Opened":
        return _Opened(Detectors(Policy.load(self.policy)))


class _Opened:
    """A target that needs no closing."""

    def __init__(self, target: Target) -> None:
        self._target = target

    async def __aenter__(self) -> Target:
        return self._target

    async def __aexit__(self, *error: object) -> None:
        return None
