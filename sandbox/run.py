"""One run as the host sees it: its world, its events, and why it is to end.

Events are copied out of the guest's memory here, and counted; they are parsed in `outcome.py`.
"""

from __future__ import annotations

import struct

from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import SandboxUnavailable
from bluecode.sandbox.wasi import U32, Memory, World

FROM_HARNESS, FROM_HOOK, REFUSED_MEMORY = 0, 1, 2  # the channels of reactor.c
EVENT = struct.Struct("<BI")
PENDING = struct.Struct("<I")
PENDING_BYTES = 32 * 1024  # as in reactor.c


class Run:
    """What one run has done so far."""

    def __init__(self, world: World, limits: Limits, *, distinct: bool = False) -> None:
        """`distinct`: an event that was told before, word for word, is neither kept nor counted."""
        self.world = world
        self.events: list[tuple[bool, bytes]] = []
        self.refused_memory = False
        self.flooded = False
        self.fuel_left: int | None = None
        """What was left when the run was ended for a flood, before all was taken from it."""
        self.broken: Exception | None = None
        """What went wrong in the host; the run is void then."""
        self._event_bytes = limits.event_bytes
        self._event_count = limits.events
        self._told: set[tuple[int, bytes]] | None = set() if distinct else None

    def take(self, events: bytes) -> None:
        """Events as they lie in the guest: channel, length, text, and again."""
        at = 0
        while at < len(events) and not self.flooded:
            channel, length = EVENT.unpack_from(events, at)
            at += EVENT.size + length
            self._take(channel, events[at - length : at])

    def _take(self, channel: int, text: bytes) -> None:
        if channel == REFUSED_MEMORY:
            self.refused_memory = True
            return
        if self._told is not None:
            if (channel, text) in self._told:
                return
            self._told.add((channel, text))
        self._event_bytes -= len(text)
        self._event_count -= 1
        if self._event_bytes < 0 or self._event_count < 0:
            self.flooded = True
            return
        self.events.append((channel == FROM_HOOK, text))

    def take_pending(self, memory: Memory, address: int) -> None:
        """The events that the guest had not delivered when it ended."""
        try:
            (length,) = PENDING.unpack(memory.read(address, PENDING.size))
            self.take(memory.read(address + PENDING.size, min(length, PENDING_BYTES)))
        except (struct.error, IndexError) as error:
            raise SandboxUnavailable("the guest's events cannot be read") from error

    def deliver(self, memory: Memory, address: int, length: int) -> None:
        if length & U32 > self._event_bytes + (self._event_count + 1) * EVENT.size:
            self.flooded = True  # too large a heap to copy at all
            return
        self.take(memory.read(address, length))

    def wasi(self, memory: Memory, name: str, arguments: tuple[int, ...]) -> int:
        answer = self.world.call(name, memory, arguments)
        self.flooded = self.flooded or self.world.flooded
        return answer
