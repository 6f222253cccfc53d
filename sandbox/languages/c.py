"""C and C++: a program is compiled for wasm32-wasi with checks that end it at the first defect, and
linked with a base that holds the libraries and answers the checks.

A program is tried in cases, each in a fresh copy of it: what it is given, in fields. The checks,
the stand-ins and the forms of a case are those of `guests/c/`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bluecode.sandbox.languages.language import Language, Program

C = Language(name="c", harness="c", suffix=".h", library="/lib/symbols.o", compiled=True)
DIALECTS = ("c", "cpp")

GLOBAL_BASE = 30_408_704  # `EARLY_END` of runtime.h: where a program's own data begin
STACK_TOP = 0x1C0_0000  # `STACK_HIGH` of runtime.h
TABLE_BASE = 2_048
"""Functions of the base that can be called by address are below, those of a program above."""

FIELD = struct.Struct("<cBI")
COUNT, LENGTH = struct.Struct("<H"), struct.Struct("<I")
MOST_CASES = 400

MAIN = """
#line 1 "harness"
void __bluecode_main(void) { char **list; int count = __bluecode_arguments(&list); %s }
"""
"""What a program is entered by, appended to it. C++ gets it in `extern "C"`."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that a case gives: `A`rgument, `S`tandard input and network, `D`ata of files,
    `V`alue of the environment, `E`ntry, `T`ext or `N`umber of a parameter, `M`ark of outside data,
    `F`irst allocation that is refused, `O`pening refused, high `R`andom numbers."""

    key: str
    value: bytes
    index: int = 0


def case(fields: Sequence[Field]) -> bytes:
    return b"".join(
        FIELD.pack(field.key.encode(), field.index, len(field.value)) + field.value + b"\0"
        for field in fields
    )


def program(code: str, cases: Sequence[bytes], *, dialect: str = "c") -> Program:
    """A program to be compiled, and tried in each case. The code defines `__bluecode_main`."""
    return Program(C.name, pack(cases), source=code, dialect=dialect)


def pack(parts: Sequence[bytes]) -> bytes:
    return COUNT.pack(len(parts)) + b"".join(LENGTH.pack(len(part)) + part for part in parts)


def unpack(data: bytes) -> Iterator[bytes]:
    """The parts again; raises `ValueError` for what `pack` does not make."""
    try:
        (count,) = COUNT.unpack_from(data)
        at = COUNT.size
        for _ in range(count):
            (length,) = LENGTH.unpack_from(data, at)
            at += LENGTH.size
            if length > len(data) - at:
                raise ValueError("a part is cut off")
            yield data[at : at + length]
            at += length
    except struct.error as error:
        raise ValueError("no list of parts") from error
