"""The system calls that a worker never makes, refused by the kernel for the rest of its life.

A list of what is forbidden, not of what is allowed: the interpreter and wasmtime stay free to do
their work in their own way, and what would reach beyond the process is gone: network, programs,
other processes, changes to files.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from collections.abc import Iterable, Mapping

PR_SET_SECCOMP, MODE_FILTER = 22, 2
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in the kernel's `struct seccomp_data`
ALLOW, REFUSE = 0x7FFF_0000, 0x0005_0000 | errno.EPERM
X32 = 0x4000_0000  # a second set of numbers for the same calls

Calls = tuple[int, tuple[int, ...]]
"""An architecture, and numbers of its system calls."""

FORBIDDEN: Mapping[str, Calls] = {
    # socket connect accept sendto recvfrom sendmsg recvmsg bind listen socketpair; fork vfork
    # execve kill truncate rename mkdir link unlink symlink chmod fchmod chown fchown ptrace chroot
    # mount unlinkat renameat linkat symlinkat fchmodat mkdirat fchownat perf_event_open
    # open_by_handle_at setns process_vm_readv process_vm_writev renameat2 bpf execveat userfaultfd
    # pidfd_send_signal io_uring_setup pidfd_open pidfd_getfd process_madvise
    # tkill rt_sigqueueinfo rt_tgsigqueueinfo
    "x86_64": (
        0xC000_003E,
        (41, 42, 43, 44, 45, 46, 47, 49, 50, 53, 57, 58)
        + (59, 62, 76, 82, 83, 86, 87, 88, 90, 91, 92, 93, 101, 161)
        + (165, 263, 264, 265, 266, 268, 258, 260, 298)
        + (304, 308, 310, 311, 316, 321, 322, 323)
        + (424, 425, 434, 438, 440)
        + (200, 129, 297),
    ),
    "aarch64": (
        0xC000_00B7,
        (198, 203, 202, 206, 207, 211, 212, 200, 201, 199)
        + (221, 129, 45, 52, 55, 117, 51)
        + (40, 35, 38, 37, 36, 53, 34, 54, 241)
        + (265, 268, 270, 271, 276, 280, 281, 282)
        + (424, 425, 434, 438, 440)
        + (130, 138, 240),
    ),
}

OF_ITSELF: Mapping[str, Mapping[int, bool]] = {
    # tgkill prlimit64: only of the process itself, which the second knows as 0, too.
    "x86_64": {234: False, 302: True},
    "aarch64": {131: False, 261: True},
}
NEEDED_BY_COMPILERS = {
    # vfork fork execve rename mkdir rmdir unlink mkdirat unlinkat renameat renameat2
    "x86_64": frozenset({57, 58, 59, 82, 83, 87, 258, 263, 264, 316}),
    "aarch64": frozenset({221, 34, 35, 38, 276}),
}
COMPILERS = {
    machine: (architecture, tuple(n for n in numbers if n not in NEEDED_BY_COMPILERS[machine]))
    for machine, (architecture, numbers) in FORBIDDEN.items()
}
"""What a compiler never makes: it starts programs and changes files, where Landlock lets it."""


def forbid_system_calls(calls: Mapping[str, Calls] = FORBIDDEN) -> None:
    """Forbid them where this kernel and processor can. Raises `OSError` if it refuses.

    Wants `no_new_privs`, and holds for threads that are started later."""
    machine = platform.machine()
    known = calls.get(machine)
    if known is None:
        return
    program = filter_program(*known, OF_ITSELF[machine])
    code = ctypes.create_string_buffer(program)
    count = len(program) // 8
    descriptor = ctypes.create_string_buffer(
        struct.pack("@HP", count, ctypes.addressof(code))  # `struct sock_fprog`
    )
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_SECCOMP, MODE_FILTER, descriptor, 0, 0) == 0:
        return
    number = ctypes.get_errno()
    if number != errno.EINVAL:  # EINVAL: a kernel without such filters
        raise OSError(number, os.strerror(number))


def filter_program(
    architecture: int, numbers: Iterable[int], of_itself: Mapping[int, bool]
) -> bytes:
    """The BPF code: refuse the numbers, those of `of_itself` where they name another process, and
    every foreign architecture; allow the rest."""
    return b"".join(
        [
            step(LOAD, 0, 0, ARCHITECTURE),
            step(IF_EQUAL, 1, 0, architecture),
            step(RETURN, 0, 0, REFUSE),
            step(LOAD, 0, 0, NUMBER),
            step(IF_AT_LEAST, 0, 1, X32),
            step(RETURN, 0, 0, REFUSE),
            *(
                step(IF_EQUAL, 0, 1, number) + step(RETURN, 0, 0, REFUSE)
                for number in sorted(numbers)
            ),
            *(only_of_itself(number, zero) for number, zero in of_itself.items()),
            step(RETURN, 0, 0, ALLOW),
        ]
    )


def only_of_itself(number: int, zero: bool) -> bytes:
    """Refuse a call whose first argument is another process; 0 stands for the caller, or not."""
    return (
        step(IF_EQUAL, 0, 5, number)
        + step(LOAD, 0, 0, FIRST_ARGUMENT)
        + step(IF_EQUAL, 2, 0, os.getpid())
        + step(IF_EQUAL, 1, 0, 0 if zero else os.getpid())
        + step(RETURN, 0, 0, REFUSE)
        + step(RETURN, 0, 0, ALLOW)
    )


def step(code: int, then: int, otherwise: int, value: int) -> bytes:
    return struct.pack("@HBBI", code, then, otherwise, value)
