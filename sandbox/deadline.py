"""A watch over runs that may not return by themselves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICK = 0.002
IDLE_TICKS = 500


class Deadline:
    """Rings once a time has passed. A thread that looks every 2 ms, and sleeps between bursts:
    waking it for each of many short runs would cost more than the runs' own supervision."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._at: float | None = None
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._watch, name="deadline", daemon=True)
        self._thread.start()

    def set(self, seconds: float) -> None:
        self._at = time.monotonic() + seconds
        if not self._wake.is_set():
            self._wake.set()

    def clear(self) -> None:
        self._at = None

    def close(self) -> None:
        self._closed = True
        self._wake.set()
        self._thread.join()

    def _watch(self) -> None:
        idle = 0
        while not self._closed:
            at = self._at
            idle = idle + 1 if at is None else 0
            if at is not None and time.monotonic() >= at:
                self._ring()  # again each tick until cleared: one ring may fall before the run
            if idle > IDLE_TICKS:
                self._wake.clear()
                self._wake.wait(None if self._at is None else 0)
                idle = 0
            time.sleep(TICK)
