"""Detectors side by side within the budget, then the policy decides."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import anyio

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Detector, DetectorError, Finding, Verdict

Subject = TypeVar("Subject")
Timer = Callable[[str, float], None]
"""Told each detector's name and the seconds it took."""

log = logging.getLogger("bluecode.screening")


async def screen(
    subject: Subject,
    detectors: Sequence[Detector[Subject]],
    policy: Policy,
    *,
    unchecked: Sequence[str] = (),
    timer: Timer | None = None,
) -> Verdict:
    """One deadline for all. A detector that raises or is late is named in `failed`.

    Detectors that do not wait (`immediate`) run one after the other; the others run side by side.
    """
    look = _Look(subject, timer)
    waiting = [item for item in detectors if not _at_once(item, subject)]
    for detector in detectors:
        if detector not in waiting:
            await look.at(detector)
    if waiting:
        with anyio.move_on_after(policy.budget):
            async with anyio.create_task_group() as tasks:
                for detector in waiting:
                    tasks.start_soon(look.at, detector)
    return policy.decide(
        [finding for detector in detectors for finding in look.found.get(detector.name, ())],
        failed=[detector.name for detector in detectors if detector.name not in look.found],
        unchecked=[*unchecked, *sorted(look.unseen)],
    )


def _at_once(detector: Detector[Subject], subject: Subject) -> bool:
    """Does it look at this subject without waiting for anything?"""
    immediate: bool | Callable[[Subject], bool] = getattr(detector, "immediate", False)
    return immediate(subject) if callable(immediate) else immediate


class _Look(Generic[Subject]):
    """What was found so far in one subject."""

    def __init__(self, subject: Subject, timer: Timer | None) -> None:
        self._subject = subject
        self._timer = timer
        self.found: dict[str, Sequence[Finding]] = {}
        self.unseen: set[str] = set()

    async def at(self, detector: Detector[Subject]) -> None:
        """A detector that raises has failed, whatever it raises; nothing else is lost by it."""
        started = time.perf_counter()
        try:
            self.found[detector.name] = await detector.inspect(self._subject)
        except DetectorError as error:
            if error.unchecked:
                self.found[detector.name] = error.findings
                self.unseen.add(error.unchecked)
        except Exception as error:  # detectors come from other packages too: their fault is no 500
            log.error("%s failed with %s", detector.name, type(error).__name__)
        finally:
            if self._timer is not None:
                self._timer(detector.name, time.perf_counter() - started)
