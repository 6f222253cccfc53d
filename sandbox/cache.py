"""The private folder of compiled guests. Native code is loaded from it, so it belongs to this user
alone: a folder or file that others could have written is refused, never repaired."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bluecode.sandbox.outcome import SandboxUnavailable

SUFFIX = ".cwasm"
IMAGE = ".memory"  # the memory of a guest after its initialisation, beside its code
HEADERS = ".pch"  # what a compiler made of headers, beside the guest that it belongs to
KEPT = 8  # compiled guests of up to 40 MB each; other versions may still be running


def default_folder() -> Path:
    """`$XDG_CACHE_HOME/bluecode`, or `~/.cache/bluecode`.

    Raises `SandboxUnavailable` for a user who has neither."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(base):
        return Path(base) / "bluecode"
    try:
        return Path.home() / ".cache" / "bluecode"
    except RuntimeError as error:
        raise SandboxUnavailable("this user has no home folder; name a cache folder") from error


class Cache:
    """Compiled guests by key. Raises `SandboxUnavailable` if its folder is not private."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder = folder.absolute()  # workers stand elsewhere
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            check_private(folder)
        except OSError as error:
            raise SandboxUnavailable(
                f"the cache folder `{folder}` cannot be used ({error.strerror}); name another."
            ) from error

    def path(self, key: str) -> Path:
        return self.folder / f"{key}{SUFFIX}"

    def find(self, key: str) -> Path | None:
        path = self.path(key)
        try:
            check_private(path)
            if path.with_suffix(IMAGE).exists():
                check_private(path.with_suffix(IMAGE))
        except FileNotFoundError:
            return None
        with suppress(OSError):  # in a read-only image nothing grows old
            os.utime(path)  # used now: not among the oldest
        return path

    def headers(self, guest: Path) -> Path | None:
        """What was made of headers beside a guest; None where there is nothing."""
        path = guest.with_suffix(HEADERS)
        try:
            check_private(path)
        except FileNotFoundError:
            return None
        return path

    def put(self, key: str, code: bytes, memory: bytes = b"") -> Path:
        """Store the code, and a memory that goes with it, whole or not at all; drop the oldest
        beyond a few."""
        path = self.path(key)
        if memory:  # first: who finds the code finds both
            self._write(path.with_suffix(IMAGE), memory)
        self._write(path, code)
        self._prune()
        return path

    def _write(self, path: Path, content: bytes) -> None:
        with tempfile.NamedTemporaryFile(dir=self.folder, suffix=".part", delete=False) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)

    @contextmanager
    def building(self) -> Iterator[None]:
        """Only one process builds; the others wait and then find the result."""
        with (self.folder / "build.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in self.folder.glob("*.part"):
                leftover.unlink(missing_ok=True)
            yield

    def _prune(self) -> None:
        compiled = sorted(self.folder.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
        for old in compiled[:-KEPT]:
            old.unlink(missing_ok=True)
            for beside in (HEADERS, IMAGE):
                old.with_suffix(beside).unlink(missing_ok=True)


def check_private(path: Path) -> None:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise SandboxUnavailable(f"`{path}` is a link; compiled guests are not loaded through one.")
    if status.st_uid != os.geteuid():
        raise SandboxUnavailable(f"`{path}` belongs to another user; name another cache folder.")
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise SandboxUnavailable(
            f"`{path}` can be written by others (mode {stat.S_IMODE(status.st_mode):o}); "
            f"run `chmod go-w` on it or name another cache folder."
        )
