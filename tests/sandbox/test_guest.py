"""A guest is what `guests.toml` says, or it is not used."""

from __future__ import annotations

import platform
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from bluecode.sandbox.guest import GUESTS, TARGETS, GuestSource, Part, compile_target
from bluecode.sandbox.languages.python import PYTHON
from bluecode.sandbox.outcome import SandboxUnavailable

HARNESS = Path(__file__).parent / "data" / "harness"
PARTS = ["python.wasm.xz", "python_library.zip.xz"]


@pytest.fixture
def guests(tmp_path: Path) -> Path:
    for name in PARTS:
        shutil.copy(GUESTS / name, tmp_path)
    return tmp_path


def test_the_committed_guest_is_the_one_that_was_built(guests: Path) -> None:
    source = GuestSource.load(PYTHON, HARNESS, guests)

    assert source.wasm.content().startswith(b"\0asm")
    assert source.library.content().startswith(b"PK")


@pytest.mark.parametrize("name", PARTS)
def test_a_changed_part_is_refused(guests: Path, name: str) -> None:
    data = bytearray((guests / name).read_bytes())
    data[-1] ^= 1
    (guests / name).write_bytes(data)

    with pytest.raises(SandboxUnavailable, match="has the digest"):
        GuestSource.load(PYTHON, HARNESS, guests)


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_part_is_refused(guests: Path, name: str) -> None:
    (guests / name).unlink()

    with pytest.raises(SandboxUnavailable, match="cannot be read"):
        GuestSource.load(PYTHON, HARNESS, guests)


def test_a_part_that_unpacks_to_something_else_is_refused(source: GuestSource) -> None:
    part = Part(source.wasm.packed, source.wasm.digest, source.library.content_digest)

    with pytest.raises(SandboxUnavailable, match="unpacks to something else"):
        part.content()


def test_a_folder_without_a_harness_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match=r"no harness\.py"):
        GuestSource.load(PYTHON, tmp_path)


def test_the_key_changes_with_every_part(source: GuestSource) -> None:
    other = Part(b"", "other", "other")
    variants = [
        source,
        replace(source, wasm=other),
        replace(source, library=other),
        replace(source, harness={"harness.py": b""}),
        replace(source, harness={"harness.py": b"", "more.py": b""}),
        replace(source, harness={"harness.pymore.py": b""}),
    ]

    assert len({variant.key() for variant in variants}) == len(variants)
    assert source.key() == replace(source).key()


def test_a_guest_is_compiled_for_the_least_processor_where_its_kind_is_known() -> None:
    here = (platform.system(), platform.machine())

    assert compile_target() == TARGETS.get(here)
    assert all(target.startswith(machine) for (_, machine), target in TARGETS.items())
