"""One cache of compiled guests for the session: building the guest takes some seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.python import PYTHON, program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome
from bluecode.sandbox.wasm import Guest
from bluecode.sandbox.workers import Sandbox

HARNESS = Path(__file__).parent / "data" / "harness"

RunCode = Callable[..., Outcome]
OpenSandbox = Callable[..., AbstractAsyncContextManager[Sandbox]]


@pytest.fixture(scope="session")
def cache_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`BLUECODE_CACHE`, to keep compiled guests between sessions, or a new folder."""
    given = os.environ.get("BLUECODE_CACHE")
    return Path(given) if given else tmp_path_factory.mktemp("cache", numbered=True)


@pytest.fixture(scope="session")
def source() -> GuestSource:
    return GuestSource.load(PYTHON, HARNESS)


@pytest.fixture(scope="session")
def guest(source: GuestSource, cache_folder: Path) -> Iterator[Guest]:
    steps: list[str] = []
    with Guest(build(source, Cache(cache_folder), steps.append)) as guest:
        yield guest


@pytest.fixture
def run_code(guest: Guest) -> RunCode:
    def run(code: str, **limits: float) -> Outcome:
        return guest.run(program(code).job, Limits(**limits)).outcome()  # type: ignore[arg-type]

    return run


@pytest.fixture
def open_sandbox(guest: Guest, cache_folder: Path) -> OpenSandbox:
    """`Sandbox.open` with the small harness; `guest` has filled the cache."""

    def open_it(**options: object) -> AbstractAsyncContextManager[Sandbox]:
        return Sandbox.open(cache=cache_folder, harness=HARNESS, **options)  # type: ignore[arg-type]

    return open_it
