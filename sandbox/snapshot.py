"""A guest that is initialised already: its memory and globals after `g_init`, written back into
the module. Pure rewriting of bytes, so that the same state gives the same module everywhere.

Understood: modules as zig's linker writes them: one memory, active data segments, globals that are
set by constants. Anything else is refused, never guessed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bluecode.sandbox.outcome import SandboxUnavailable
from bluecode.sandbox.wasi import World
from bluecode.sandbox.wasm import MEMORY as GIVEN
from bluecode.sandbox.wasm import PAGE, Image, initialise

HEADER = b"\0asm\1\0\0\0"
CUSTOM, IMPORT, MEMORY, GLOBAL, EXPORT, START, DATA_COUNT, DATA = 0, 2, 5, 6, 7, 8, 12, 11
I32, I64, I32_CONST, I64_CONST, END = 0x7F, 0x7E, 0x41, 0x42, 0x0B
CHUNK = 4_096  # memory is compared to zero in such steps
GAP = 8 * CHUNK  # segments nearer than this are joined: fewer, and still mapped by pages
STATE = "state."  # the exports under which mutable globals are read


@dataclass(frozen=True, slots=True)
class Section:
    kind: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Global:
    type: int
    mutable: bool
    initial: bytes


def snapshot(wasm: bytes, world: World) -> bytes:
    """Initialise a guest and return it in that state, without its start-up code's exports."""
    return write(initialised(wasm, world)[0])


@dataclass(frozen=True, slots=True)
class Parted:
    """An initialised guest in two parts."""

    module: bytes
    """It imports its memory; or holds it, if there is none beside it."""
    memory: bytes


def parted_snapshot(wasm: bytes, world: World) -> Parted:
    """Like `snapshot`, with the memory beside the module, to be given to it."""
    sections, memory = initialised(wasm, world)
    found = body_of(sections, IMPORT)
    count, start = read_unsigned(found, 0)
    names = b"".join(unsigned(len(name)) + name.encode() for name in GIVEN)
    wanted = names + b"\2\0" + unsigned(len(memory) // PAGE)
    imports = Section(IMPORT, unsigned(count + 1) + found[start:] + wanted)
    rest = [imports if s.kind == IMPORT else s for s in sections]
    return Parted(write([s for s in rest if s.kind not in (MEMORY, DATA)]), memory)


def initialised(wasm: bytes, world: World) -> tuple[list[Section], bytes]:
    """The module's sections, and its memory, after `g_init`."""
    sections = list(read_sections(wasm))
    variables = read_globals(body_of(sections, GLOBAL))
    image = initialise(write(exposed(sections, variables)), world)
    return restored(sections, variables, image), image.memory


def exposed(sections: list[Section], variables: list[Global]) -> list[Section]:
    """With each mutable global exported, so that its value can be read afterwards."""
    count, start = read_unsigned(body_of(sections, EXPORT), 0)
    extra = [index for index, variable in enumerate(variables) if variable.mutable]
    body = unsigned(count + len(extra)) + body_of(sections, EXPORT)[start:]
    for index in extra:
        name = f"{STATE}{index}".encode()
        body += unsigned(len(name)) + name + b"\3" + unsigned(index)
    return [Section(EXPORT, body) if s.kind == EXPORT else s for s in sections]


def restored(sections: list[Section], variables: list[Global], image: Image) -> list[Section]:
    bodies = {
        MEMORY: unsigned(1) + b"\0" + unsigned(len(image.memory) // PAGE),
        GLOBAL: write_globals(variables, image.globals),
        DATA: write_data(image.memory),
    }
    dropped = (CUSTOM, START, DATA_COUNT)
    return [Section(s.kind, bodies.get(s.kind, s.body)) for s in sections if s.kind not in dropped]


def body_of(sections: list[Section], kind: int) -> bytes:
    found = [section.body for section in sections if section.kind == kind]
    if len(found) != 1:
        raise SandboxUnavailable(f"the guest has {len(found)} sections of kind {kind}, not one")
    return found[0]


# --- globals ---


def read_globals(body: bytes) -> list[Global]:
    count, at = read_unsigned(body, 0)
    found = []
    for _ in range(count):
        kind, mutable, start = body[at], body[at + 1] == 1, at + 2
        if (kind, body[start]) not in ((I32, I32_CONST), (I64, I64_CONST)):
            raise SandboxUnavailable(f"the guest has a global of kind {kind:#x}")
        at = skip_number(body, start + 1) + 1
        found.append(Global(kind, mutable, body[start:at]))
    return found


def write_globals(variables: list[Global], values: Mapping[str, int]) -> bytes:
    body = unsigned(len(variables))
    for index, variable in enumerate(variables):
        initial = variable.initial
        if variable.mutable:
            constant = I32_CONST if variable.type == I32 else I64_CONST
            initial = bytes([constant]) + signed(values[f"{STATE}{index}"]) + bytes([END])
        body += bytes([variable.type, variable.mutable]) + initial
    return body


# --- data ---


def write_data(memory: bytes) -> bytes:
    segments = list(occupied(memory))
    parts = [unsigned(len(segments))]
    for start, end in segments:
        offset = bytes([0, I32_CONST]) + signed(start) + bytes([END])
        parts += [offset, unsigned(end - start), memory[start:end]]
    return b"".join(parts)


def occupied(memory: bytes) -> Iterator[tuple[int, int]]:
    """The ranges that hold anything but zeros, joined over small gaps."""
    zeros = bytes(CHUNK)
    start = end = -1
    for at in range(0, len(memory), CHUNK):
        if memory[at : at + CHUNK] == zeros:
            continue
        if start >= 0 and at - end > GAP:
            yield start, end
            start = at
        elif start < 0:
            start = at
        end = at + CHUNK
    if start >= 0:
        yield start, end


# --- the binary format ---


def read_sections(wasm: bytes) -> Iterator[Section]:
    if not wasm.startswith(HEADER):
        raise SandboxUnavailable("the guest is no WebAssembly module")
    at = len(HEADER)
    while at < len(wasm):
        size, start = read_unsigned(wasm, at + 1)
        yield Section(wasm[at], wasm[start : start + size])
        at = start + size


def write(sections: list[Section]) -> bytes:
    parts = [HEADER]
    for section in sections:
        parts += [bytes([section.kind]), unsigned(len(section.body)), section.body]
    return b"".join(parts)


def skip_number(data: bytes, at: int) -> int:
    while data[at] & 0x80:
        at += 1
    return at + 1


def read_unsigned(data: bytes, at: int) -> tuple[int, int]:
    end = skip_number(data, at)
    value = sum((byte & 0x7F) << (7 * place) for place, byte in enumerate(data[at:end]))
    return value, end


def unsigned(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value: int) -> bytes:
    out = bytearray()
    while not -0x40 <= value < 0x40:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value & 0x7F)
    return bytes(out)
