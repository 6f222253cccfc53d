"""The guest's world: nothing real in it, and every argument bounded."""

from __future__ import annotations

import struct

import pytest

from bluecode.sandbox.files import MemoryFiles
from bluecode.sandbox.wasi import FUNCTIONS, World

BAD_DESCRIPTOR, BAD_ADDRESS, INVALID, IO, NOT_SUPPORTED = 8, 21, 28, 29, 58
SIZE = 4096


class Bytes:
    """A memory of one page that refuses what lies outside."""

    def __init__(self) -> None:
        self.data = bytearray(SIZE)

    def read(self, address: int, length: int) -> bytes:
        self._check(address, length)
        return bytes(self.data[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        self._check(address, len(data))
        self.data[address : address + len(data)] = data

    def _check(self, address: int, length: int) -> None:
        if address < 0 or length < 0 or address + length > SIZE:
            raise IndexError(address)

    def number(self, address: int, form: str = "<I") -> int:
        value = struct.unpack_from(form, self.data, address)[0]
        assert isinstance(value, int)
        return value


ARGUMENTS = {
    "fd_prestat_dir_name": 3,
    "fd_readdir": 5,
    "path_filestat_get": 5,
    "path_open": 9,
    "poll_oneoff": 4,
    "fd_write": 4,
    "fd_read": 4,
    "fd_seek": 4,
    "clock_time_get": 3,
    "sched_yield": 0,
    "proc_exit": 1,
    "fd_close": 1,
}


@pytest.mark.parametrize("world", [World(100), MemoryFiles({"/a/b": b"text"})])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
@pytest.mark.parametrize("value", [-1, 0, 3, 2**31 - 1, -(2**31), 2**40])
def test_absurd_arguments_get_an_error_number(world: World, name: str, value: int) -> None:
    number = world.call(name, Bytes(), (value,) * ARGUMENTS.get(name, 2))

    assert 0 <= number < 77


def test_what_is_not_there_is_not_supported() -> None:
    assert World(0).call("sock_send", Bytes(), (0, 0, 0, 0, 0)) == NOT_SUPPORTED
    assert World(0).call("__init__", Bytes(), (0,)) == NOT_SUPPORTED


def test_the_clock_moves_by_its_readings_only() -> None:
    memory = Bytes()
    first, second = World(0), World(0)
    readings = []
    for world in (first, first, second):
        world.call("clock_time_get", memory, (0, 0, 0))
        readings.append(memory.number(0, "<Q"))

    assert readings[1] - readings[0] == 10**6
    assert readings[2] == readings[0]


def test_a_wait_is_over_at_once_and_moves_the_clock() -> None:
    world, memory = World(0), Bytes()
    memory.data[0:48] = struct.pack("<QB7xI4xQQH6x", 77, 0, 0, 5 * 10**9, 0, 0)
    world.call("clock_time_get", memory, (0, 0, 200))

    number = world.call("poll_oneoff", memory, (0, 100, 1, 300))
    world.call("clock_time_get", memory, (0, 0, 208))

    assert (number, memory.number(300), memory.number(100, "<Q")) == (0, 1, 77)
    assert memory.number(208, "<Q") - memory.number(200, "<Q") == 5 * 10**9 + 10**6


def test_random_bytes_differ_within_a_run_and_repeat_between_runs() -> None:
    memory = Bytes()
    first, second = World(0), World(0)
    for place, world in enumerate((first, first, second)):
        world.call("random_get", memory, (16 * place, 16))

    assert memory.read(0, 16) != memory.read(16, 16)
    assert memory.read(0, 16) == memory.read(32, 16)


def test_output_is_kept_up_to_a_bit_and_counted_to_its_limit() -> None:
    world, memory = World(10), Bytes()
    memory.data[0:8] = struct.pack("<II", 100, 6)
    memory.data[100:106] = b"hello\n"

    assert world.call("fd_write", memory, (1, 0, 1, 50)) == 0
    assert (world.output, memory.number(50), world.flooded) == (b"hello\n", 6, False)
    assert world.call("fd_write", memory, (2, 0, 1, 50)) == IO
    assert world.flooded


def test_files_of_the_initialisation_read_as_they_are() -> None:
    world, memory = MemoryFiles({"/guest/a.py": b"x = 1", "/lib/z": b""}), Bytes()
    memory.data[0:10] = b"guest/a.py"
    memory.data[20:28] = struct.pack("<II", 100, 50)

    assert world.call("path_open", memory, (3, 0, 0, 10, 0, 0, 0, 0, 40)) == 0
    descriptor = memory.number(40)
    assert world.call("fd_read", memory, (descriptor, 20, 1, 44)) == 0
    assert memory.read(100, memory.number(44)) == b"x = 1"
    assert world.call("fd_close", memory, (descriptor,)) == 0
    assert world.call("fd_read", memory, (descriptor, 20, 1, 44)) == BAD_DESCRIPTOR


def test_folders_of_the_initialisation_are_listed_in_order() -> None:
    world, memory = MemoryFiles({"/guest/b": b"", "/guest/a": b"", "/guest/c/d": b""}), Bytes()
    memory.data[0:5] = b"guest"
    world.call("path_open", memory, (3, 0, 0, 5, 0, 0, 0, 0, 40))

    world.call("fd_readdir", memory, (memory.number(40), 100, 1000, 0, 50))

    listing = memory.read(100, memory.number(50))
    assert [listing[at + 24 : at + 25] for at in range(0, len(listing), 25)] == [b"a", b"b", b"c"]


def test_files_of_the_initialisation_cannot_be_written() -> None:
    world, memory = MemoryFiles({"/a": b""}), Bytes()
    memory.data[0:1] = b"a"

    assert world.call("path_open", memory, (3, 0, 0, 1, 1, 0, 0, 0, 40)) == 69
    assert world.call("path_open", memory, (3, 0, 0, 1, 8, 0, 0, 0, 40)) == 69
