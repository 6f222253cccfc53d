"""The snapshot is the same wherever it is made, and refuses what it does not understand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluecode.sandbox.files import MemoryFiles
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.outcome import SandboxUnavailable
from bluecode.sandbox.snapshot import (
    HEADER,
    occupied,
    parted_snapshot,
    read_sections,
    read_unsigned,
    signed,
    skip_number,
    snapshot,
    unsigned,
    write,
)

OTHER = """
import hashlib, sys
from bluecode.sandbox.files import MemoryFiles
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.snapshot import parted_snapshot

source = GuestSource.load(LANGUAGES[sys.argv[1]])
files = dict(reversed(source.files().items()))
parted = parted_snapshot(source.wasm.content(), MemoryFiles(files))
print(hashlib.sha256(parted.module + parted.memory).hexdigest())
"""


@pytest.mark.parametrize("language", LANGUAGES)
def test_two_processes_make_the_same_snapshot_of_a_guest(language: str, tmp_path: Path) -> None:
    source = GuestSource.load(LANGUAGES[language])
    here = parted_snapshot(source.wasm.content(), MemoryFiles(source.files()))
    other = subprocess.run(
        [sys.executable, "-c", OTHER, language],
        env=os.environ | {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "tr_TR.UTF-8"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout

    assert other.strip() == hashlib.sha256(here.module + here.memory).hexdigest()


def test_what_the_guest_said_is_told_when_it_fails_to_initialise(source: GuestSource) -> None:
    files = source.files() | {"/guest/harness.py": b"import nothing_of_this_name"}

    with pytest.raises(SandboxUnavailable, match="nothing_of_this_name"):
        snapshot(source.wasm.content(), MemoryFiles(files))


@pytest.mark.parametrize("wasm", [b"", b"\x7fELF", HEADER, HEADER + b"\x07\x01\x00"])
def test_what_is_no_guest_is_refused(wasm: bytes) -> None:
    with pytest.raises(SandboxUnavailable):
        snapshot(wasm, MemoryFiles({}))


def test_sections_are_written_as_they_were_read(source: GuestSource) -> None:
    wasm = source.wasm.content()

    # Longer than needed are only the linker's padded sizes, so compare what is in the sections.
    assert list(read_sections(write(list(read_sections(wasm))))) == list(read_sections(wasm))


@given(st.integers(0, 2**64))
def test_unsigned_numbers_read_as_written(value: int) -> None:
    data = unsigned(value) + b"\0"

    assert read_unsigned(data, 0) == (value, len(data) - 1)


@given(st.integers(-(2**63), 2**63 - 1))
def test_signed_numbers_are_two_s_complement(value: int) -> None:
    data = signed(value)
    bits = 7 * len(data)
    number, end = read_unsigned(data, 0)

    assert (number - (1 << bits) if data[-1] & 0x40 else number) == value
    assert end == skip_number(data, 0) == len(data)


@given(st.dictionaries(st.integers(0, 40), st.binary(min_size=1, max_size=9), max_size=5))
def test_the_occupied_ranges_hold_all_that_is_not_zero(pages: dict[int, bytes]) -> None:
    memory = bytearray(41 * 4096)
    for page, data in pages.items():
        memory[page * 4096 : page * 4096 + len(data)] = data

    ranges = list(occupied(bytes(memory)))

    rebuilt = bytearray(len(memory))
    for start, end in ranges:
        rebuilt[start:end] = memory[start:end]
    assert rebuilt == memory
    assert all(before[1] < after[0] for before, after in zip(ranges, ranges[1:], strict=False))
