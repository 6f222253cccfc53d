"""Which clients are tried, and how each is installed and called; the data is in a TOML file."""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bluecode.proxy.assistants import Assistant, Target, known

HERE = Path(__file__).parent
KEY = "k"
"""What every client gives as its provider's key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """One client."""

    name: str
    setup: str
    """Whose settings, of those that `bluecode setup` prints, it gets."""
    protocol: str
    title: str = ""
    npm: Sequence[str] = ()
    pypi: Sequence[str] = ()
    """Packages; the first one is the client itself."""
    model: str = "demo"
    command: str = ""
    """Shell lines that ask `$ASKED`."""
    arguments: str = ""
    """In place of a command: what follows the last line of its settings."""
    script: str = ""
    """In place of a command: a program in `scripts/` that speaks through an SDK."""
    scenes: Sequence[str] = ()
    """The scenes that apply, where not all do."""
    why: str = ""
    """Why the others do not."""
    environment: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    """What else must be in its home so that it runs without a person."""

    @property
    def assistant(self) -> Assistant:
        return known()[self.setup]

    @property
    def package(self) -> str:
        """The package whose version is told, less the version that is asked for."""
        name = (self.npm or self.pypi)[0]
        return name[0] + name[1:].partition("@")[0].partition("[")[0]

    def program(self, where: Path) -> Path:
        """The folder of its programs."""
        return where / ("node_modules/.bin" if self.npm else "bin")

    def installed(self, where: Path) -> bool:
        return (where / ("node_modules" if self.npm else "bin")).exists()

    def version(self, where: Path) -> str:
        if self.npm:
            found = where / "node_modules" / self.package / "package.json"
            return str(json.loads(found.read_text("utf-8"))["version"])
        name = self.package.replace("-", "_").lower()
        folders = where.glob("lib/python*/site-packages/*.dist-info")
        stems = (folder.name.removesuffix(".dist-info").rpartition("-") for folder in folders)
        return next(version for own, _, version in stems if own.lower().replace("-", "_") == name)

    def settings(self, root: str) -> str:
        """What `bluecode setup` tells it, with a key."""
        text = self.assistant.settings_for(Target(root, self.model))
        return text.replace("=KEY", f"={KEY}").replace(" KEY", f" {KEY}")


def _read() -> Mapping[str, Client]:
    table: dict[str, dict[str, Any]] = tomllib.loads((HERE / "clients.toml").read_text("utf-8"))
    return {name: Client(name=name, **fields) for name, fields in table.items()}


CLIENTS: Mapping[str, Client] = _read()
