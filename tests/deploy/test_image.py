"""The image, as far as it can be tried without a container engine: its rules, every RUN step in a
fresh folder, and a start as its user on a read-only file system."""

import gzip
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dockerfile import instructions
from packaging.requirements import Requirement

from bluecode.sandbox.languages import LANGUAGES

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
LINES = instructions(DEPLOY / "Dockerfile")
LAST = [line for line in LINES if line.stage == LINES[-1].stage]
USER = "10001"


def of(word: str, lines: list = LINES) -> list[str]:
    return [line.text for line in lines if line.word == word]


(EXTRAS,) = (text.split("=")[1].strip('"') for text in of("ARG") if text.startswith("EXTRAS="))


def test_the_base_is_pinned_by_digest_and_every_stage_stands_on_it() -> None:
    (base,) = [text for text in of("ARG") if text.startswith("BASE=")]

    assert re.fullmatch(r"BASE=[\w./:-]+@sha256:[0-9a-f]{64}", base)
    assert all(text.split()[0] == "${BASE}" for text in of("FROM"))


def test_what_runs_is_no_root_and_needs_no_shell() -> None:
    assert of("USER", LAST) == [f"{USER}:{USER}"]
    assert of("RUN", LAST) == []
    assert all(text.startswith("[") for text in of("ENTRYPOINT", LAST) + of("CMD", LAST))
    assert "CMD [" in of("HEALTHCHECK", LAST)[0]


def test_nothing_is_fetched_by_address_and_no_key_is_built_in() -> None:
    assert of("ADD") == []
    settings = " ".join(of("ENV") + of("ARG")).upper()
    assert not re.search(r"\w*(KEY|TOKEN|SECRET|PASSWORD)\w*=", settings)


def test_the_versions_in_the_image_are_those_that_the_package_works_with() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lines = (DEPLOY / "constraints.txt").read_text("utf-8").splitlines()
    pinned = {
        found.name: str(next(iter(found.specifier)).version)
        for found in (Requirement(line) for line in lines if not line.startswith("#"))
    }

    extras = [project["optional-dependencies"][name] for name in EXTRAS.strip("[]").split(",")]
    for wanted in map(Requirement, sum(extras, project["dependencies"])):
        assert wanted.name in pinned, f"freeze {wanted.name} and what it needs in constraints.txt"
        assert wanted.specifier.contains(pinned[wanted.name]), wanted


def sent_to_the_builder(target: Path) -> None:
    """Copy what `.dockerignore` lets through: the names with `!`, less what is never wanted."""
    rules = (ROOT / ".dockerignore").read_text("utf-8").split("\n")
    assert "*" in rules
    never = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in (rule[1:] for rule in rules if rule.startswith("!")):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target / name, ignore=never)
        else:
            shutil.copy(ROOT / name, target / name)


QUICK = {**os.environ, "PIP_NO_COMPILE": "1"}
"""Bytecode takes half of the time, and whether it is there changes nothing but the start."""


def in_memory() -> Path | None:
    """A folder in memory, where tens of thousands of small files cost no disk; None for none."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shutil.disk_usage(shared).free < 4 * 1024**3:
        return None
    return None if os.statvfs(shared).f_flag & os.ST_NOEXEC else shared


@pytest.fixture(scope="module")
def image() -> Iterator[Path]:
    """A folder with what the RUN steps make, owned as the COPY steps say."""
    # Not below pytest's own folder, which no other user may enter.
    with tempfile.TemporaryDirectory(prefix="image-", dir=in_memory()) as folder:
        root = Path(folder)
        root.chmod(0o755)
        sent_to_the_builder(root)
        for command in of("RUN"):
            command = command.replace("/opt/", f"{root}/opt/").replace('".${EXTRAS}"', f".{EXTRAS}")
            command = re.sub(r"^python ", f"{sys.executable} ", command)
            made = subprocess.run(
                command.split(), cwd=root, env=QUICK, capture_output=True, text=True, timeout=600
            )
            assert made.returncode == 0, made.stderr[-2000:]
        yield root


def test_every_run_step_works_in_a_fresh_folder(image: Path) -> None:
    told = subprocess.run(
        [image / "opt/bluecode/bin/bluecode", "version"], capture_output=True, text=True
    )

    assert told.stdout.startswith("bluecode ")
    assert len(list((image / "opt/guests").glob("*.cwasm"))) == sum(
        not language.compiled for language in LANGUAGES.values()
    )  # the compiler is an extra that the image leaves out


def test_as_a_registry_keeps_it_it_is_small(image: Path) -> None:
    """300 MB less what its base takes; bytecode, which the test leaves out, adds a quarter."""
    counted = _Counted()
    with (
        gzip.GzipFile(fileobj=counted, mode="wb", compresslevel=1) as small,
        tarfile.open(fileobj=small, mode="w|") as packed,
    ):
        packed.add(image / "opt")

    assert counted.size < 200 * 1000**2


class _Counted(io.RawIOBase):
    """A file of which only the size is kept."""

    size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)


CONFINED = """
set -e
mount --make-rprivate /
python=$(dirname "$(dirname "$(readlink -f {root}/opt/bluecode/bin/python)")")
case $python in {home}/*)
    mkdir {root}/python && mount --bind "$python" {root}/python
    mount -t tmpfs -o mode=755 none {home}
    mkdir -p "$python" && mount --bind {root}/python "$python" ;;
esac
mount -o remount,ro,bind /
mount --bind {root} {root}
mount -o remount,ro,bind {root}
! touch {root}/written 2>/dev/null
cd /
exec setpriv --reuid {user} --regid {user} --clear-groups --no-new-privs --bounding-set=-all \
    env -i {settings} BLUECODE_LISTEN=127.0.0.1:{port} BLUECODE_UPSTREAM=demo \
    {entry} {arguments}
"""
"""A mount namespace of its own, all of it read-only, and the image's user."""

needs_root = pytest.mark.skipif(
    os.name != "posix" or os.geteuid() != 0 or not shutil.which("unshare"),
    reason="needs root and unshare to make the file system read-only",
)


@needs_root
def test_it_serves_as_its_user_on_a_read_only_file_system(image: Path) -> None:
    shutil.chown(image / "opt/guests", int(USER), int(USER))
    for path in (image / "opt/guests").iterdir():
        shutil.chown(path, int(USER), int(USER))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = CONFINED.format(
        root=image,
        user=USER,
        home=Path.home(),
        port=port,
        settings=" ".join(of("ENV", LAST)).replace("/opt/", f"{image}/opt/"),
        entry=" ".join(json.loads(of("ENTRYPOINT", LAST)[0])),
        arguments=" ".join(json.loads(of("CMD", LAST)[0])),
    )
    process = subprocess.Popen(
        ["unshare", "--mount", "bash", "-c", script], stderr=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        ready = answers(f"http://127.0.0.1:{port}/readyz", process)
        owner = Path(f"/proc/{process.pid}").stat().st_uid if ready else None
    finally:
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=20)
    assert (ready, owner, process.returncode) == (True, int(USER), 0), told


def answers(url: str, process: subprocess.Popen[bytes]) -> bool:
    """True once the address answers 200; False where the process ended or a minute went by."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2) as reply:
                return bool(reply.status == 200)
        except OSError:
            time.sleep(0.1)
    return False
