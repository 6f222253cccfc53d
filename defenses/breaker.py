"""Not asking: a circuit breaker for what fails, and an allowance for what costs.

Both are told the time by a clock and hold no task or thread of their own.
"""

import time
from collections import deque
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds that only ever grow."""


class Breaker:
    """Opens after some failures in a row; after a pause one try decides whether it closes again."""

    def __init__(
        self, *, failures: int = 5, pause: float = 30.0, clock: Clock = time.monotonic
    ) -> None:
        self._most = failures
        self._pause = pause
        self._clock = clock
        self._failed = 0
        self._opened: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        return self._opened is not None

    def admits(self) -> bool:
        """May something be tried now? What is admitted must end in one of the three below."""
        if self._opened is None:
            return True
        if self._trying or self._clock() - self._opened < self._pause:
            return False
        self._trying = True
        return True

    def succeeded(self) -> None:
        self._failed, self._opened, self._trying = 0, None, False

    def failed(self) -> None:
        self._failed += 1
        if self._trying or self._failed >= self._most:
            self._opened = self._clock()
        self._trying = False

    def abandoned(self) -> None:
        """What was admitted ended before it could tell anything."""
        self._trying = False


class Allowance:
    """So many in any 60 seconds."""

    def __init__(self, per_minute: int, *, clock: Clock = time.monotonic) -> None:
        self._most = per_minute
        self._clock = clock
        self._spent: deque[float] = deque()

    def take(self) -> bool:
        """Use one, where one is left."""
        now = self._clock()
        while self._spent and now - self._spent[0] >= 60:
            self._spent.popleft()
        if len(self._spent) >= self._most:
            return False
        self._spent.append(now)
        return True
