"""Detectors side by side within the budget, then the policy decides."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import anyio

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Detector, DetectorError, Finding, Verdict

Subject = TypeVar("Subject")
Timer = Callable[[str, float], None]
"""Told each detector's name and the seconds it took."""


async def screen(
    subject: Subject,
    detectors: Sequence[Detector[Subject]],
    policy: Policy,
    *,
    unchecked: Sequence[str] = (),
    timer: Timer | None = None,
) -> Verdict:
    """One task group, one deadline. A detector that raises or is late is named in `failed`."""
    found: dict[str, Sequence[Finding]] = {}
    unseen: set[str] = set()

    async def look(detector: Detector[Subject]) -> None:
        started = time.perf_counter()
        try:
            found[detector.name] = await detector.inspect(subject)
        except DetectorError as error:
            if error.unchecked:
                found[detector.name] = error.findings
                unseen.add(error.unchecked)
        finally:
            if timer is not None:
                timer(detector.name, time.perf_counter() - started)

    with anyio.move_on_after(policy.budget):
        async with anyio.create_task_group() as tasks:
            for detector in detectors:
                tasks.start_soon(look, detector)
    return policy.decide(
        [finding for detector in detectors for finding in found.get(detector.name, ())],
        failed=[detector.name for detector in detectors if detector.name not in found],
        unchecked=[*unchecked, *sorted(unseen)],
    )
