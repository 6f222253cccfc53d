"""The assistants that BlueCode knows, and how each is pointed at it; the data is in a TOML file."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Literal
from urllib.parse import urlsplit

from bluecode.proxy.config import ConfigError

Base = Literal["v1", "root"]
By = Literal["file", "environment", "command", "screen", "code"]
Format = Literal["json", "toml", "yaml"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where BlueCode is reached, and the model that is asked for."""

    root: str
    """Without a slash or `/v1` at its end."""
    model: str

    @classmethod
    def read(cls, url: str, model: str) -> "Target":
        """Take the URL in either form. Raises `ConfigError`."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ConfigError(f"`--url` is {url!r}; it must look like http://127.0.0.1:8787.")
        if not model.strip() or not model.isprintable() or set(model) & set("\"'\\` "):
            raise ConfigError(f"`--model` is {model!r}; it must be a model's plain name.")
        return cls(url.rstrip("/").removesuffix("/v1").rstrip("/"), model)

    @property
    def local(self) -> bool:
        """Is it reached from this machine alone?"""
        host = urlsplit(self.root).hostname or ""
        return host in ("localhost", "::1", "0.0.0.0") or host.startswith("127.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Assistant:
    """One assistant and its settings."""

    name: str
    title: str
    protocol: str
    base: Base
    """The form of the URL that it wants."""
    by: By
    """What the settings are: one file, variables, a command, a screen to fill in, or code."""
    settings: str
    note: str = ""
    file: str = ""
    format: Format | None = None
    """What `file` is written in."""
    public: bool = False
    """Must the URL be reachable from the internet?"""

    def url(self, target: Target) -> str:
        """The base URL in the form that it wants."""
        return target.root + ("/v1" if self.base == "v1" else "")

    def settings_for(self, target: Target) -> str:
        """The settings as they are to be."""
        return self._filled(self.settings.strip("\n"), target)

    def note_for(self, target: Target) -> str:
        """What else there is to know."""
        return self._filled(self.note, target)

    def _filled(self, text: str, target: Target) -> str:
        filled = text.replace("<v1>", f"{target.root}/v1").replace("<root>", target.root)
        return filled.replace("<model>", target.model)


def known() -> Mapping[str, Assistant]:
    """All of them, by name."""
    text = resources.files("bluecode.proxy").joinpath("assistants.toml").read_text("utf-8")
    table: dict[str, dict[str, Any]] = tomllib.loads(text)
    return {name: Assistant(name=name, **fields) for name, fields in sorted(table.items())}
