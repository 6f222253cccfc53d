"""Rate limits and budgets: how much each key, each team or all together may ask and use.

Amounts are counted over the minute or the day so far and, in the share that still lies in the last
60 seconds or 24 hours, over the one before: nobody gets twice the amount by asking at the turn of
the minute. Tokens are counted once an answer told them, so the answer that goes over a budget is
still given and the next request is refused; one that tells none is counted by a guess, since
clients choose whether some providers tell. Counts are in memory and start anew with the process,
unless replicas share them (`shared.py`).
"""

import math
import time
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Final

from bluecode.defenses.limit import AMOUNTS, Limit
from bluecode.defenses.matching import Asker, Teams
from bluecode.defenses.policy import Policy
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.upstream import Reply
from bluecode.proxy.usage import WatchedReply
from bluecode.proxy.wire.reading import WireError

_WINDOWS: Final = 10_000
"""Counts at which old ones are let go."""

Counted = tuple[str, str, str]
"""The limit, what it counts, and whose."""


class LimitReached(WireError):
    """A request over a limit; `Retry-After` says when it would be let through."""

    kind = "rate_limit_error"
    decision = "limited"

    def __init__(self, limit: Limit, what: str, seconds: int) -> None:
        told = what.replace("_", " ")
        super().__init__(
            429,
            f"The limit `{limit.name}` of {limit.amounts[what]} {told} is reached."
            f" Try again in {seconds} s.",
            code="rate_limit_exceeded",
        )
        self.headers = ((b"retry-after", str(seconds).encode()),)
        self.limit = limit.name
        self.what = what


@dataclass(slots=True)
class Window:
    """What was counted in one minute or one day."""

    seconds: int
    number: int
    """Which minute or day it is."""
    own: int = 0
    others: int = 0
    """What other replicas counted, as last heard."""
    before: int = 0
    """All that was counted in the one before."""
    unsent: int = 0
    """What the others have not heard of."""
    stirred: bool = False
    """Was it asked since the others were last heard?"""

    def turn(self, now: float) -> "Window":
        """Go on to the minute or day that it is."""
        self.stirred = True
        number = int(now // self.seconds)
        if number != self.number:
            self.before = self.total if number == self.number + 1 else 0
            self.number = number
            self.own = self.others = self.unsent = 0
        return self

    @property
    def total(self) -> int:
        return self.own + self.others

    def add(self, amount: int) -> None:
        self.own += amount
        self.unsent += amount

    def heard(self, number: int, sent: int, all_told: int | None, before: int | None) -> None:
        """What all together counted once the others had heard `sent`; None where it is unknown."""
        if number != self.number:
            return
        self.stirred = False
        if all_told is not None:
            self.unsent -= sent
            self.others = max(0, all_told - (self.own - self.unsent))
        if before is not None:
            self.before = max(self.before, before)

    def estimate(self, now: float) -> float:
        """How much lies in the last minute or day."""
        return self.total + self.before * (1 - now % self.seconds / self.seconds)

    def wait(self, room: int, now: float) -> int:
        """Whole seconds until the estimate is no more than `room`."""
        passed = now % self.seconds
        if self.total <= room:
            share = 1 - (room - self.total) / self.before if self.before else 0.0
            return max(1, math.ceil(share * self.seconds - passed))
        share = 1 - room / self.total
        return max(1, math.ceil(self.seconds - passed + share * self.seconds))


class Limits:
    """The limits of one policy at work; counts outlive a change of policy."""

    def __init__(
        self, policy: Policy, metrics: Metrics, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self.windows: dict[Counted, Window] = {}
        self.adopt(policy)

    def adopt(self, policy: Policy) -> None:
        """Limit by another policy from now on."""
        self._limits = policy.limits
        self._teams = policy.teams
        self.any = bool(policy.limits)

    def admit(self, asker: Asker, body_limit: int) -> "Meter | None":
        """Count a request; what its tokens are counted by, None where they are not.

        Raises `LimitReached`; a request that is refused counts for nothing.
        """
        now = self._clock()
        counted: list[Window] = []
        spent: list[Counted] = []
        for limit in self._limits:
            if not limit.match.fits(asker):
                continue
            for what, most in limit.amounts.items():
                key = (limit.name, what, _whose(limit, asker, self._teams))
                window = self._window(key, now)
                room = most - 1
                if window.estimate(now) > room:
                    self._metrics.limited.labels(limit.name, what).inc()
                    raise LimitReached(limit, what, window.wait(room, now))
                if what.startswith("tokens"):
                    spent.append(key)
                else:
                    counted.append(window)
        for window in counted:
            window.add(1)
        return Meter(self, spent, body_limit) if spent else None

    def spend(self, spent: list[Counted], tokens: int) -> None:
        """Count tokens."""
        now = self._clock()
        for key in spent:
            self._window(key, now).add(tokens)

    def unknown(self) -> None:
        """Count an answer of which nobody knows how many tokens it used."""
        self._metrics.unmetered.inc()

    def _window(self, key: Counted, now: float) -> Window:
        window = self.windows.get(key)
        if window is None:
            self._forget_old(now)
            seconds = AMOUNTS[key[1]]
            window = self.windows[key] = Window(seconds, int(now // seconds))
        return window.turn(now)

    def _forget_old(self, now: float) -> None:
        if len(self.windows) >= _WINDOWS:
            self.windows = {
                key: window
                for key, window in self.windows.items()
                if now // window.seconds - window.number <= 1
            }


def _whose(limit: Limit, asker: Asker, teams: Teams) -> str:
    """Keys without a team are a team of their own."""
    if limit.per == "all":
        return ""
    if limit.per == "key":
        return asker.key or ""
    return next(_teams_of(asker.key, teams), "")


def _teams_of(key: str | None, teams: Teams) -> Iterator[str]:
    for name, patterns in teams.items():
        if key is not None and any(fnmatchcase(key, pattern) for pattern in patterns):
            yield name


@dataclass(slots=True)
class Meter:
    """Counts the tokens of one answer."""

    limits: Limits
    spent: list[Counted]
    body_limit: int
    asked: int = 0
    """Tokens of what is asked, as guessed where the answer tells none."""
    watched: WatchedReply | None = field(default=None)

    def watch(self, reply: Reply) -> Reply:
        """The reply, read as it passes. One that failed uses nothing."""
        if not 200 <= reply.status < 300:
            return reply
        self.watched = WatchedReply(reply, self.body_limit)
        return self.watched

    def end(self) -> None:
        """The answer is whole, or nobody reads on."""
        if self.watched is None:
            return
        usage = self.watched.usage.end()
        if usage is None:
            self.limits.unknown()
            self.limits.spend(self.spent, self.asked + self.watched.usage.guess)
        else:
            self.limits.spend(self.spent, usage.total)


METER: ContextVar[Meter | None] = ContextVar("meter", default=None)
"""Of the request that this task serves."""
