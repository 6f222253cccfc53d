"""The compiled guests that workers load: found in the cache, or made in a process of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream

from bluecode.sandbox.cache import Cache
from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.languages.language import Language
from bluecode.sandbox.languages.python import PYTHON
from bluecode.sandbox.outcome import SandboxUnavailable

Report = Callable[[str], None]

BUILD_SECONDS = 300.0
COMPLAINT = 2_000  # characters of a builder's error message that are worth keeping


@dataclass(frozen=True, slots=True)
class Prepared:
    """What the workers load."""

    guests: Mapping[str, Path]
    missing: Mapping[str, SandboxUnavailable]
    """Why languages that need a compiler have no guest, though the compiler is there."""


async def prepared(cache: Cache, harness: Path | None, report: Report) -> Prepared:
    """The compiled guest of each language, built if it is not in the cache; none for a language
    whose compiler is not there. A harness that is given stands in for Python's own.

    Raises `SandboxUnavailable` for a guest that cannot be had, unless it is that of an extra:
    without that the others run all the same."""
    guests, missing = {}, {}
    for language in LANGUAGES.values():
        if language.compiled and found_zig() is None:
            continue
        own = harness if language is PYTHON else None
        try:
            guests[language.name] = await prepare(language, cache, own, report)
        except SandboxUnavailable as unavailable:
            if not language.compiled:
                raise
            missing[language.name] = unavailable
            report(f"going on without `{language.name}`: {unavailable}")
    return Prepared(guests, missing)


async def prepare(language: Language, cache: Cache, harness: Path | None, report: Report) -> Path:
    source = await anyio.to_thread.run_sync(GuestSource.load, language, harness)
    key = await anyio.to_thread.run_sync(source.key)
    found = cache.find(key)
    if found is not None:
        return found
    command = [sys.executable, "-I", "-m", "bluecode.sandbox.builder"]
    command += [str(cache.folder), language.name, *([str(harness)] if harness else [])]
    await build(command, report)
    found = cache.find(key)
    if found is None:
        raise SandboxUnavailable(f"the `{language.name}` guest was built, but not as expected")
    return found


async def build(command: list[str], report: Report) -> None:
    """Run the builder in a process of its own and pass on its steps."""
    complaint = b""
    with anyio.move_on_after(BUILD_SECONDS):
        async with await anyio.open_process(command) as process:
            assert process.stdout is not None and process.stderr is not None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(pass_on, process.stdout, report)
                async for data in process.stderr:
                    complaint += data
            if await process.wait() == 0:
                return
    reason = complaint.decode("utf-8", "replace").strip()[-COMPLAINT:]
    raise SandboxUnavailable(f"the guest could not be built: {reason or 'it took too long'}")


async def pass_on(steps: ByteReceiveStream, report: Report) -> None:
    async for data in steps:
        for step in data.decode().splitlines():
            report(step)
