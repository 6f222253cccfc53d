"""What a run changed in a guest's memory is undone, page by page, with the kernel's word for it
and without."""

from __future__ import annotations

import ctypes
import mmap
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluecode.sandbox.cache import IMAGE, Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.python import program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.memory import MOST_KEPT, MemoryImage, PageMap
from bluecode.sandbox.outcome import SandboxUnavailable
from bluecode.sandbox.wasm import USES, Guest, address_of

PAGE = mmap.PAGESIZE
needs_page_map = pytest.mark.skipif(PageMap.open() is None, reason="this kernel does not tell")


@pytest.fixture(params=["told", "untold"])
def pages(request: pytest.FixtureRequest) -> PageMap | None:
    if request.param == "untold":
        return None
    pages = PageMap.open()
    if pages is None:
        pytest.skip("this kernel does not tell")
    return pages


@pytest.fixture
def content() -> bytes:
    return random.Random(7).randbytes(MOST_KEPT + 64 * PAGE)


@pytest.fixture
def image(content: bytes, pages: PageMap | None, tmp_path: Path) -> Iterator[MemoryImage]:
    (tmp_path / "image").write_bytes(content)
    image = MemoryImage(tmp_path / "image", pages)
    yield image
    image.close()


@pytest.fixture
def place(image: MemoryImage) -> Iterator[int]:
    """Memory of this process in which the image was put."""
    with mmap.mmap(-1, image.size) as own:
        address = ctypes.addressof(ctypes.c_char.from_buffer(own))
        image.put(address)
        yield address


@pytest.mark.parametrize("changed", [0, 1, 40, MOST_KEPT // PAGE + 30])
def test_what_was_changed_is_restored(
    image: MemoryImage, place: int, content: bytes, changed: int
) -> None:
    chance = random.Random(changed)
    for round in range(3):
        for page in chance.sample(range(image.size // PAGE), changed):
            ctypes.memset(place + page * PAGE + chance.randrange(PAGE - 8), round, 8)
        image.restore(place)

        assert ctypes.string_at(place, image.size) == content


def test_the_file_does_not_change(image: MemoryImage, place: int, tmp_path: Path) -> None:
    before = (tmp_path / "image").read_bytes()
    ctypes.memset(place, 0, image.size)

    assert (tmp_path / "image").read_bytes() == before


@needs_page_map
def test_changed_pages_are_told_and_others_not(tmp_path: Path) -> None:
    pages = PageMap.open()
    assert pages is not None
    (tmp_path / "image").write_bytes(bytes(2_000 * PAGE))
    image = MemoryImage(tmp_path / "image", pages)
    with mmap.mmap(-1, image.size) as own:
        address = ctypes.addressof(ctypes.c_char.from_buffer(own))
        image.put(address)
        ctypes.string_at(address, image.size)  # reading changes nothing
        assert list(pages.changed(address, image.size)) == []

        for page in range(0, 2_000, 2):  # more regions than one question brings
            ctypes.memset(address + page * PAGE, 1, 1)
        told = [(start - address) // PAGE for start, end in pages.changed(address, image.size)]

    assert told == list(range(0, 2_000, 2))


def test_an_image_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="not there"):
        MemoryImage(tmp_path / "image", None)


RUNS = [
    "x = 1",
    "x = [bytearray(10_000) for _ in range(100)]",
    "import json; json.dumps = None; import builtins; builtins.len = None",
    "class A:\n def __del__(self): pass\nx = [A() for _ in range(999)]",
    "raise SystemExit(3)",
    "x = bytearray(40_000_000)",
]


@pytest.mark.parametrize("code", RUNS)
def test_after_a_run_a_guests_memory_is_as_it_was(
    source: GuestSource, guest: Guest, cache_folder: Path, pages: PageMap | None, code: str
) -> None:
    path = Cache(cache_folder).path(source.key())
    with Guest(path, pages) as own:
        first = own.run(program("tell(1)").job, Limits())
        own.run(program(code).job, Limits())
        again = own.run(program("tell(1)").job, Limits())
        store, memory = own._room._store, own._room._memory
        assert store is not None and memory is not None
        left = ctypes.string_at(address_of(memory, store), memory.data_len(store))

    assert (first.events, first.fuel_used) == (again.events, again.fuel_used)
    assert left == path.with_suffix(IMAGE).read_bytes()


def test_runs_beyond_the_uses_of_one_store_are_the_same(
    source: GuestSource, guest: Guest, cache_folder: Path, pages: PageMap | None
) -> None:
    with Guest(Cache(cache_folder).path(source.key()), pages) as own:
        runs = [own.run(program("tell(id([]))").job, Limits()) for _ in range(2 * USES + 3)]

    assert len({(run.events, run.fuel_used) for run in runs}) == 1
