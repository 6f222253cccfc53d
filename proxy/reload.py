"""A policy that changes while BlueCode serves: on SIGHUP, or when its file is written anew.

A policy that cannot be used is refused: the old one stays, an error is logged, and the refusal is
counted. Not promised: a change of `disabled`, which says what is loaded, needs a new start.
"""

import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import anyio

from bluecode.defenses.policy import Policy, PolicyError
from bluecode.proxy.metrics import Metrics

log = logging.getLogger("bluecode.policy")

PAUSE = 2.0
"""Seconds between two looks at the file."""


class PolicyReload:
    """Reads one policy file again and gives what it finds to `adopt`, which may raise
    `PolicyError` to refuse it."""

    def __init__(
        self,
        path: Path,
        adopt: Callable[[Policy], None],
        metrics: Metrics,
        *,
        pause: float = PAUSE,
    ) -> None:
        self._path = path
        self._adopt = adopt
        self._metrics = metrics
        self._pause = pause
        self._seen = self._written()

    async def run(self) -> None:
        """Watch until cancelled."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._on_change)
            tasks.start_soon(self._on_signal)

    def reload(self) -> None:
        """Read the file now. Never raises: what is wrong is logged and counted."""
        self._seen = self._written()
        try:
            policy = Policy.load(self._path)
            self._adopt(policy)
        except PolicyError as error:
            self._metrics.policy_reloads.labels("refused").inc()
            log.error("The new policy is refused and the old one stays: %s", error)
            return
        self._metrics.policy_reloads.labels("adopted").inc()
        log.warning("Policy %s is in force.", policy.version)

    async def _on_change(self) -> None:
        while True:
            await anyio.sleep(self._pause)
            if self._written() != self._seen:
                self.reload()

    async def _on_signal(self) -> None:
        elsewhere = threading.current_thread() is not threading.main_thread()
        if elsewhere or not hasattr(signal, "SIGHUP"):  # Windows has none
            return
        with anyio.open_signal_receiver(signal.SIGHUP) as signals:
            async for _ in signals:
                self.reload()

    def _written(self) -> bytes | None:
        """What the file holds; None where it cannot be read. A time of change would not do: a
        mounted ConfigMap changes by a link that is moved."""
        try:
            return self._path.read_bytes()
        except OSError:
            return None
