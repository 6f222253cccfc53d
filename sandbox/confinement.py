"""What a worker process gives up before it runs anything: the walls behind WebAssembly's own.

Linux has all of them, other systems only the resource limits. Where the kernel has Landlock, a
worker is blind for all files but those that it was started from. Not promised: another user's
rights; run BlueCode in a container for those.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from bluecode.sandbox.landlock import READ_DIR, READ_FILE, Rule, restrict
from bluecode.sandbox.system_calls import forbid_system_calls

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
DATA_BYTES = 1024**3
OPEN_FILES = 64


def confine(parent: int, files: Sequence[Path] = (), kept: Collection[int] = ()) -> None:
    """Give up what a worker never needs; the files are what it will still read, the descriptors
    stay open. Raises `OSError` if the system refuses."""
    if sys.platform == "linux":
        follow_parent(parent)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_DUMPABLE, 0)
        restrict(readable(files))
        forbid_system_calls()
        resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    for descriptor in {*range(3, OPEN_FILES)} - {*kept}:
        with suppress(OSError):  # it is not open
            os.close(descriptor)


def readable(files: Sequence[Path]) -> list[Rule]:
    """Rules for files, and for what the interpreter may still import."""
    own = [Path(place) for place in (sys.prefix, sys.base_prefix, *sys.path) if place]
    found = [place for place in (*own, Path(__file__).resolve().parents[1]) if place.exists()]
    return [(path, READ_FILE | READ_DIR) for path in dict.fromkeys([*files, *found])]


def follow_parent(parent: int) -> None:
    """Die with the service, however it dies."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before the request was made
        os._exit(0)


def prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
