"""Where PostgreSQL is, and one of its own for a test. `POSTGRES` names the folder into which
Debian's packages were unpacked; without it, it is looked for where they install it, and on the
path."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from replicas import free_port

_FOLDER = Path(os.environ.get("POSTGRES", "/"))
_BINARIES = sorted(_FOLDER.glob("usr/lib/postgresql/*/bin"))
_FOUND = shutil.which("initdb", path=_BINARIES[-1] if _BINARIES else None)
BINARIES = None if _FOUND is None else Path(_FOUND).parent
NOBODY = 65534

needs_postgres = pytest.mark.skipif(
    BINARIES is None, reason="PostgreSQL is not here; see CONTRIBUTING.md"
)


class Database:
    """A PostgreSQL that a test stops, starts and kills as it likes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"postgresql://bluecode:secret@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """A fresh one, which trusts whoever has the password."""
        password = self._folder / "password"
        password.write_text("secret\n", encoding="utf-8")
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            for path in (self._folder, password):
                shutil.chown(path, NOBODY)
        given = [f"--pwfile={password}", "--auth=scram-sha-256", "--username=bluecode"]
        made = self._run("initdb", ["-D", str(self._folder / "data"), "--no-sync", *given])
        _, told = made.communicate(timeout=120)
        assert made.returncode == 0, told

    async def start(self) -> None:
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "fsync": "off",
        }
        given = [f"--{name}={value}" for name, value in settings.items()]
        self._process = self._run("postgres", ["-D", str(self._folder / "data"), *given])
        with anyio.fail_after(60):
            while not await anyio.to_thread.run_sync(self._answers):
                assert self._process.poll() is None, self._process.communicate()
                await anyio.sleep(0.1)

    def _answers(self) -> bool:
        assert BINARIES is not None
        asked = [BINARIES / "pg_isready", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, stdout=subprocess.DEVNULL).returncode == 0

    def kill(self) -> None:
        """At once; all its processes end with it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stop(self) -> None:
        """In good order, but at once."""
        if self._process is not None:
            self._process.send_signal(3)
            self._process.communicate(timeout=60)
            self._process = None

    def _run(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        assert BINARIES is not None
        return subprocess.Popen(
            [BINARIES / name, *arguments],
            cwd=self._folder,
            env={**os.environ, "LC_ALL": "C", "TZ": "UTC"},
            user=NOBODY if os.geteuid() == 0 else None,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


@asynccontextmanager
async def database() -> AsyncIterator[Database]:
    """One that runs, and ends with the block at the latest."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        one = Database(Path(folder))
        await anyio.to_thread.run_sync(one.create)
        await one.start()
        try:
            yield one
        finally:
            one.stop()
