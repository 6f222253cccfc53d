"""A process under Landlock reads what it named, and nothing else; where the kernel has none, that
is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bluecode.sandbox.landlock import version

needs_landlock = pytest.mark.skipif(version() == 0, reason="this kernel has no Landlock")


def restricted(code: str, *rules: tuple[Path, str]) -> subprocess.CompletedProcess[str]:
    named = ", ".join(f"(Path({str(path)!r}), {rights})" for path, rights in rules)
    script = f"""
import os, sys
from pathlib import Path
from bluecode.sandbox.confinement import PR_SET_NO_NEW_PRIVS, prctl
from bluecode.sandbox.landlock import CHANGE, READ, READ_FILE, restrict
prctl(PR_SET_NO_NEW_PRIVS, 1)
print(restrict([{named}]))
try:
    {code}
except OSError as error:
    sys.exit(f"errno {{error.errno}}")
"""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)


@needs_landlock
def test_without_rules_no_file_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("secret")

    done = restricted(f"open({str(tmp_path / 'file')!r}).read()")

    assert (done.stdout, done.stderr.strip()) == ("True\n", "errno 13")


@needs_landlock
def test_a_named_folder_is_read_and_not_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    path = str(tmp_path / "file")

    assert restricted(f"open({path!r}).read()", (tmp_path, "READ")).returncode == 0
    assert restricted(f"open({path!r}, 'w')", (tmp_path, "READ")).stderr.strip() == "errno 13"
    assert restricted(f"open({path!r}, 'w')", (tmp_path, "CHANGE")).returncode == 0


@needs_landlock
def test_a_named_file_is_read_alone(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("text")
    rule = (tmp_path / "one", "READ_FILE")

    assert restricted(f"open({str(tmp_path / 'one')!r})", rule).returncode == 0
    assert restricted(f"open({str(tmp_path / 'two')!r})", rule).stderr.strip() == "errno 13"


@needs_landlock
def test_what_is_named_must_be_there(tmp_path: Path) -> None:
    assert "FileNotFoundError" in restricted("pass", (tmp_path / "none", "READ")).stderr


def test_other_systems_have_none() -> None:
    assert version() >= 0 if sys.platform == "linux" else version() == 0
