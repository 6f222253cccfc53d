"""Makes a guest ready on this machine, once: initialise it, snapshot it, compile the snapshot.

Run as `python -m bluecode.sandbox.builder CACHE [LANGUAGE [HARNESS]]`, for all languages where none
is named, in a process of its own, since compiling takes hundreds of megabytes for some seconds.
Prints a line for each step.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from bluecode.sandbox.cache import HEADERS, Cache
from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.compiler_process import precompile
from bluecode.sandbox.files import MemoryFiles
from bluecode.sandbox.guest import GuestSource, compile_target
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.outcome import SandboxUnavailable
from bluecode.sandbox.snapshot import Parted, parted_snapshot, snapshot
from bluecode.sandbox.wasm import compiled

Report = Callable[[str], None]


def build(source: GuestSource, cache: Cache, report: Report) -> Path:
    """The compiled guest, made now unless the cache has it. Raises `SandboxUnavailable`."""
    key = source.key()
    with cache.building():
        found = cache.find(key)
        if found is not None:
            return found
        report("initialising the guest")
        wasm, world = source.wasm.content(), MemoryFiles(source.files())
        if source.language.compiled:  # it grows with each program
            parted = Parted(snapshot(wasm, world), b"")
        else:
            parted = parted_snapshot(wasm, world)
        report("compiling the guest")
        made = cache.put(key, compiled(parted.module, compile_target()), parted.memory)
        zig = found_zig()
        if source.language.compiled and zig is not None:
            report("compiling the headers of C++")
            precompile(zig, made.with_suffix(HEADERS))
        return made


def main(cache: str, language: str | None = None, harness: str | None = None) -> None:
    for name in LANGUAGES if language is None else [language]:
        if LANGUAGES[name].compiled and found_zig() is None:
            continue  # nothing would be run by it
        source = GuestSource.load(LANGUAGES[name], Path(harness) if harness else None)
        build(source, Cache(Path(cache)), lambda step: print(step, flush=True))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except SandboxUnavailable as unavailable:
        sys.exit(str(unavailable))
