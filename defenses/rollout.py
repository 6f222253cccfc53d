"""Which policy decides on a request: the entry of `policies` that it falls under, and whether that
is enforced for it or only watched.

A conversation stays on its side while a percentage grows: those for which 10 % was enforced are
among those of 25 %. Who chooses the first words of a conversation can try them until they fall
into shadow mode; `enforce_by = "key"` leaves no such choice.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Final

from bluecode.defenses.matching import Asker, Match
from bluecode.defenses.policy import Policy

BASE: Final = "base"
"""The name of what the file says for all that falls under no entry."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What decides on one request."""

    policy: Policy
    scope: str
    """The name of the entry of `policies`, or `base`."""


class Rollout:
    """One policy file at work."""

    def __init__(self, policy: Policy) -> None:
        self.base = Chosen(policy, BASE)
        """For a request that falls under no entry, and is enforced as a whole."""
        self._sides = [_Side(item.name, item.match, item.policy) for item in policy.policies]
        self._rest = _Side(BASE, Match(), policy)
        self.varied = bool(self._sides) or self._rest.divided
        """Does it make a difference who asks? Where not, `base` decides on everything."""

    @property
    def scopes(self) -> list[str]:
        """The name of every entry, and `base`."""
        return [*(side.name for side in self._sides), BASE]

    def choose(self, asker: Asker, conversation: str) -> Chosen:
        """What decides on a request; `conversation` is what all its turns have in common."""
        fitting = (side for side in self._sides if side.match.fits(asker))
        return next(fitting, self._rest).choose(asker, conversation)


class _Side:
    """One entry, in force and in shadow mode."""

    def __init__(self, name: str, match: Match, policy: Policy) -> None:
        self.name = name
        self.match = match
        self._percent = policy.enforce
        self._by = policy.enforce_by
        self._enforced = Chosen(policy, name)
        self._watched = Chosen(replace(policy, shadow=True), name)

    @property
    def divided(self) -> bool:
        return self._percent < 100 and not self._enforced.policy.shadow

    def choose(self, asker: Asker, conversation: str) -> Chosen:
        if not self.divided:
            return self._enforced
        whole = asker.key if self._by == "key" or not conversation else conversation
        told = f"{self.name}\0{whole or ''}".encode("utf-8", "surrogatepass")
        part = int.from_bytes(hashlib.sha256(told).digest()[:8], "big") / 2**64
        return self._enforced if 100 * part < self._percent else self._watched
