"""Landlock: a process gives up the file system, but for what it names, for the rest of its life.

Linux alone, from 5.13 on; where the kernel has it not, `restrict` says so and nothing changes.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446  # the same on every processor
VERSION, BENEATH_PATH = 1, 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1, 2, 4, 8
REMOVE_FILE, MAKE_FILE = 1 << 5, 1 << 8
TRUNCATE = 1 << 14
READ = READ_FILE | READ_DIR
CHANGE = READ | WRITE_FILE | REMOVE_FILE | MAKE_FILE | TRUNCATE
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
"""Rights that a rule for one file may hold."""

RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
"""All rights over files that a version of the interface knows."""
NETWORK = 3  # binding and connecting TCP sockets, from version 4 on
SCOPES = 3  # abstract sockets and signals of others, from version 6 on

Rule = tuple[Path, int]


def version() -> int:
    """Of the kernel's interface; 0 where there is none."""
    if sys.platform != "linux":
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)))


def restrict(rules: Iterable[Rule] = ()) -> bool:
    """Leave this process, its later threads and children only what the rules allow; without rules,
    no file can be opened. False where the kernel cannot. Wants `no_new_privs`. Raises `OSError` if
    a path of a rule is missing or the kernel refuses."""
    known = version()
    if known == 0:
        return False
    handled = RIGHTS[min(known, max(RIGHTS))]
    attributes = struct.pack("QQQ", handled, NETWORK if known >= 4 else 0, SCOPES)
    size = 24 if known >= 6 else 16 if known >= 4 else 8
    ruleset = call(CREATE_RULESET, attributes, ctypes.c_size_t(size), 0)
    try:
        for path, rights in rules:
            allow(ruleset, path, rights & handled)
        call(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return True


def allow(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rights &= ~0 if path.is_dir() else OF_FILES
        call(ADD_RULE, ruleset, BENEATH_PATH, struct.pack("=Qi", rights, descriptor), 0)
    finally:
        os.close(descriptor)


def call(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    answer = int(libc.syscall(number, *arguments))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code or errno.EINVAL, os.strerror(code))
    return answer
