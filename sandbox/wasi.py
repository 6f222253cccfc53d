"""The world as a guest sees it: a clock that only its own calls move, fixed random bytes, standard
streams that are counted, and nothing else.

The functions are those of `wasi_snapshot_preview1`; a name missing here answers "not supported".
Nothing reaches a file, a socket, the real time or the environment, so the same guest does the same
on every machine. Arguments come from untrusted code: every length is bounded before it is used.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from typing import Protocol

SUCCESS, BAD_DESCRIPTOR, BAD_ADDRESS, INVALID, IO = 0, 8, 21, 28, 29
NO_ENTRY, NOT_SUPPORTED, NO_SEEK = 44, 58, 70
CHARACTER_DEVICE, DIRECTORY = 2, 3
ROOT = 3  # the descriptor of `/`: empty here, but wasi-libc asks about it before it opens a path
KINDS = {0: CHARACTER_DEVICE, 1: CHARACTER_DEVICE, 2: CHARACTER_DEVICE, ROOT: DIRECTORY}

START = 1_767_225_600 * 10**9  # 2026-01-01T00:00:00Z in nanoseconds
STEP = 10**6  # A clock that each reading moves by 1 ms: loops that wait for a time do end.
RANDOM_BYTES = 64 * 1024
ITEMS = 1_024
KEPT_OUTPUT = 4_096
U32 = 0xFFFF_FFFF
U64 = 0xFFFF_FFFF_FFFF_FFFF


class Memory(Protocol):
    """A guest's linear memory during one call; out of bounds raises `IndexError`."""

    def read(self, address: int, length: int) -> bytes: ...
    def write(self, address: int, data: bytes) -> None: ...


FUNCTIONS = frozenset(
    "clock_res_get clock_time_get environ_get environ_sizes_get fd_close fd_fdstat_get "
    "fd_filestat_get fd_prestat_dir_name fd_prestat_get fd_read fd_readdir fd_seek fd_tell "
    "fd_write path_filestat_get path_open poll_oneoff proc_exit random_get sched_yield".split()
)


class World:
    """The state of one run's world. Methods that are named for a WASI function take the guest's
    memory and the function's arguments and return its error number."""

    def __init__(self, output_limit: int) -> None:
        self.output = b""
        """The first bytes that the guest wrote to its standard streams."""
        self.flooded = False
        self.exit_status: int | None = None
        self._output_left = output_limit
        self._now = START
        self._random_calls = 0

    def call(self, name: str, memory: Memory, arguments: tuple[int, ...]) -> int:
        """Answer a guest's call; never raises."""
        if name not in FUNCTIONS:
            return NOT_SUPPORTED
        function: Callable[..., int] = getattr(self, name)
        try:
            return function(memory, *arguments)
        except IndexError:
            return BAD_ADDRESS

    # --- arguments, time, chance ---

    def environ_sizes_get(self, memory: Memory, count: int, size: int) -> int:
        memory.write(count, bytes(4))
        memory.write(size, bytes(4))
        return SUCCESS

    def environ_get(self, memory: Memory, *arguments: int) -> int:
        return SUCCESS

    def sched_yield(self, memory: Memory) -> int:
        return SUCCESS

    def clock_res_get(self, memory: Memory, clock: int, result: int) -> int:
        memory.write(result, struct.pack("<Q", STEP))
        return SUCCESS

    def clock_time_get(self, memory: Memory, clock: int, precision: int, result: int) -> int:
        self._now += STEP
        memory.write(result, struct.pack("<Q", self._now & U64))
        return SUCCESS

    def random_get(self, memory: Memory, buffer: int, length: int) -> int:
        if not 0 <= length <= RANDOM_BYTES:
            return INVALID
        self._random_calls += 1
        seed = b"bluecode %d" % self._random_calls
        memory.write(buffer, hashlib.shake_256(seed).digest(length))
        return SUCCESS

    def poll_oneoff(self, memory: Memory, events: int, results: int, count: int, done: int) -> int:
        """Every wait is over at once: the clock jumps to the earliest end."""
        if not 0 < count <= ITEMS:
            return INVALID
        ends: list[int] = []
        answer = b""
        for index in range(count):
            event = memory.read(events + 48 * index, 48)
            user, kind = struct.unpack_from("<QB", event)
            if kind == 0:
                timeout, _, flags = struct.unpack_from("<QQH", event, 24)
                ends.append(timeout if flags & 1 else self._now + timeout)
            answer += struct.pack("<QHB21x", user, SUCCESS, kind)
        if ends:
            self._now = max(self._now, min(ends))
        memory.write(results, answer)
        memory.write(done, struct.pack("<I", count))
        return SUCCESS

    def proc_exit(self, memory: Memory, status: int) -> int:
        self.exit_status = status
        return SUCCESS

    # --- descriptors: the standard streams and an empty root ---

    def fd_fdstat_get(self, memory: Memory, descriptor: int, result: int) -> int:
        if descriptor not in KINDS:
            return BAD_DESCRIPTOR
        memory.write(result, fdstat(KINDS[descriptor]))
        return SUCCESS

    def fd_filestat_get(self, memory: Memory, descriptor: int, result: int) -> int:
        if descriptor not in KINDS:
            return BAD_DESCRIPTOR
        memory.write(result, filestat(KINDS[descriptor], descriptor, 0))
        return SUCCESS

    def fd_read(self, memory: Memory, descriptor: int, vectors: int, count: int, done: int) -> int:
        if descriptor != 0:
            return BAD_DESCRIPTOR
        memory.write(done, bytes(4))  # standard input is at its end
        return SUCCESS

    def fd_write(self, memory: Memory, descriptor: int, vectors: int, count: int, done: int) -> int:
        if descriptor not in (1, 2):
            return BAD_DESCRIPTOR
        total = 0
        for address, length in buffers(memory, vectors, count):
            total += length
            kept = min(length, KEPT_OUTPUT - len(self.output))
            self.output += memory.read(address, kept)
        self._output_left -= total
        if self._output_left < 0:
            self.flooded = True
            return IO
        memory.write(done, struct.pack("<I", total & U32))
        return SUCCESS

    def fd_close(self, memory: Memory, descriptor: int) -> int:
        return BAD_DESCRIPTOR

    def fd_prestat_get(self, memory: Memory, descriptor: int, result: int) -> int:
        return BAD_DESCRIPTOR

    def fd_prestat_dir_name(self, memory: Memory, descriptor: int, buffer: int, length: int) -> int:
        return BAD_DESCRIPTOR

    def fd_readdir(
        self, memory: Memory, descriptor: int, buffer: int, length: int, cookie: int, used: int
    ) -> int:
        return BAD_DESCRIPTOR

    def fd_tell(self, memory: Memory, descriptor: int, result: int) -> int:
        return NO_SEEK

    def fd_seek(
        self, memory: Memory, descriptor: int, offset: int, whence: int, result: int
    ) -> int:
        return NO_SEEK

    def path_filestat_get(
        self, memory: Memory, base: int, flags: int, path: int, length: int, result: int
    ) -> int:
        return NO_ENTRY

    def path_open(
        self, memory: Memory, base: int, lookup: int, path: int, length: int, *rights: int
    ) -> int:
        return NO_ENTRY


def fdstat(kind: int) -> bytes:
    """A WASI descriptor status with all rights, which are then not granted."""
    return struct.pack("<BxH4xQQ", kind, 0, U64, U64)


def filestat(kind: int, inode: int, size: int) -> bytes:
    """A WASI file status; times are the epoch, so that nothing of the host shows."""
    return struct.pack("<QQB7xQQQQQ", 1, inode, kind, 1, size, 0, 0, 0)


def buffers(memory: Memory, vectors: int, count: int) -> Iterator[tuple[int, int]]:
    """The (address, length) pairs of a WASI vector; raises `IndexError` for an absurd count."""
    if not 0 <= count <= ITEMS:
        raise IndexError(count)
    for index in range(count):
        address, length = struct.unpack("<II", memory.read(vectors + 8 * index, 8))
        yield address, length
