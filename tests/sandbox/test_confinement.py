"""A confined process can compute, read and write to its pipes, and little else."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from bluecode.sandbox.landlock import version

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"),
    reason="the walls of other systems are fewer",
)

FORBIDDEN = {
    "socket": "import socket; socket.socket()",
    "a pair of sockets": "import socket; socket.socketpair()",
    "program": "os.execv('/bin/true', ['true'])",
    "kill": "os.kill(os.getppid(), 0)",
    "a signal to a thread": "call(TGKILL, os.getppid(), os.getppid(), 0)",
    "a signal to any thread": "call(TKILL, os.getppid(), 0)",
    "limits of others": "import resource; resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
    "remove": "os.unlink('/nothing-of-this-name')",
    "rename": "os.rename('/nothing-of-this-name', '/nor-this')",
    "folder": "os.mkdir('/nothing-of-this-name')",
    "link": "os.symlink('/nothing', '/nothing-of-this-name')",
    "mode": "os.chmod('/', 0o755)",
}
ALLOWED = {
    "threads": "import threading; t = threading.Thread(target=print); t.start(); t.join()",
    "memory": "bytearray(100_000_000)",
    "reading its own modules": "import wave",
    "signals to itself": "import signal; signal.raise_signal(signal.SIGCHLD)",
    "its own limits": "import resource; resource.prlimit(0, resource.RLIMIT_CPU)",
}


SCRIPT = """
import ctypes, os, platform, sys
TKILL, TGKILL = (200, 234) if platform.machine() == "x86_64" else (130, 131)
libc = ctypes.CDLL(None, use_errno=True)

def call(*numbers):
    if libc.syscall(*numbers) < 0:
        raise OSError(ctypes.get_errno(), "refused")
"""


def confined(code: str, confining: str = "") -> subprocess.CompletedProcess[str]:
    confining = confining or (
        f"from bluecode.sandbox.confinement import confine; confine({os.getpid()})"
    )
    script = f"""{SCRIPT}
{confining}
try:
    {code}
except OSError as error:
    sys.exit(f"errno {{error.errno}}")
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@pytest.mark.parametrize("code", FORBIDDEN.values(), ids=FORBIDDEN)
def test_what_reaches_beyond_the_process_is_refused(code: str) -> None:
    assert confined(code).stderr.strip() == "errno 1"


@pytest.mark.parametrize("code", ALLOWED.values(), ids=ALLOWED)
def test_what_a_worker_needs_is_allowed(code: str) -> None:
    assert confined(code).returncode == 0


def test_nothing_can_be_written_to_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file"

    done = confined(f"os.write(os.open({str(path)!r}, os.O_CREAT | os.O_WRONLY), b'x')")

    assert done.stderr.strip() in (f"errno {errno.EFBIG}", f"errno {errno.EACCES}")
    assert not path.exists() or path.read_bytes() == b""


@pytest.mark.skipif(version() == 0, reason="this kernel has no Landlock")
def test_other_files_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret")

    assert confined(f"open({str(tmp_path / 'file')!r})").stderr.strip() == f"errno {errno.EACCES}"
    assert confined("open('/etc/passwd')").stderr.strip() == f"errno {errno.EACCES}"


def test_memory_beyond_the_limit_is_refused() -> None:
    assert "MemoryError" in confined("bytearray(2 * 1024**3)").stderr


def test_a_process_whose_parent_is_gone_ends() -> None:
    script = "from bluecode.sandbox.confinement import confine; confine(1); print('on')"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")
