"""The base of the C guest as a linker sees it: `symbols.py BASE OUT` writes an object file that
names each of its variables with its address, so that programs can be linked against a module that
is complete already. The same input gives the same bytes everywhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

GLOBAL, EXPORT = 6, 7
DATA, ABSOLUTE, HIDDEN = 1, 0x200, 4
FIRST = 30_408_704  # where programs are linked to, `GLOBAL_BASE` in languages/c.py
OWN = ("__stack_pointer", "__tls_", "__heap_", "__memory_base", "__table_base", "__wasm_",
       "__data_end", "__global_base", "__dso_handle", "__stack_low", "__stack_high", "__rodata",
       "here", "telling", "g_pending", "g_lines")  # fmt: skip
"""What each module has its own of, and what is the runtime's alone."""


def main(base: Path, out: Path) -> None:
    wanted = [(name, at) for name, at in variables(base.read_bytes()) if not name.startswith(OWN)]
    symbols = unsigned(len(wanted))
    for name, at in sorted(wanted):
        # The linker adds an address to that of a segment, and the first one's is known.
        offset = (at - FIRST) % 2**64
        symbols += bytes([DATA]) + unsigned(ABSOLUTE | HIDDEN) + text(name)
        symbols += unsigned(0) + unsigned(offset) + unsigned(4)
    segments = unsigned(1) + text(".rodata.base") + unsigned(4) + unsigned(0)
    linking = unsigned(2) + section(5, segments) + section(8, symbols)
    memory = unsigned(1) + text("env") + text("__linear_memory") + b"\2\0\1"
    data = unsigned(1) + b"\0\x41\0\x0b" + unsigned(16) + bytes(16)
    sections = (2, memory), (12, unsigned(1)), (11, data), (0, text("linking") + linking)
    out.write_bytes(b"\0asm\1\0\0\0" + b"".join(section(*part) for part in sections))


def text(name: str) -> bytes:
    return unsigned(len(name.encode())) + name.encode()


def variables(wasm: bytes) -> Iterator[tuple[str, int]]:
    """The names and values of exported globals that never change: addresses."""
    bodies = dict(sections(wasm))
    values = list(constants(bodies[GLOBAL]))
    data = bodies[EXPORT]
    count, at = read(data, 0)
    for _ in range(count):
        size, at = read(data, at)
        name, kind = data[at : at + size].decode(), data[at + size]
        index, at = read(data, at + size + 1)
        if kind == 3:
            yield name, values[index]


def constants(data: bytes) -> Iterator[int]:
    count, at = read(data, 0)
    for _ in range(count):
        value, end = read(data, at + 3)  # type, mutability, i32.const
        bits = 7 * (end - at - 3)
        yield (value - (1 << bits) if value >> (bits - 1) else value) & 0xFFFF_FFFF
        at = end + 1


def sections(wasm: bytes) -> Iterator[tuple[int, bytes]]:
    at = 8
    while at < len(wasm):
        size, start = read(wasm, at + 1)
        yield wasm[at], wasm[start : start + size]
        at = start + size


def section(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + unsigned(len(body)) + body


def read(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


def unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


main(Path(sys.argv[1]), Path(sys.argv[2]))
