"""The two-sided principles that findings cite: what makes a prompt unsafe, what keeps it safe.

They stand in `constitution.toml`, written and reviewed by hand, not summarised anew for each
request as in the paper: what a decision cites can be read beforehand, and it does not change
between two equal requests.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """One principle. Its id is `task.name`, for example `bias.proxy_decision`."""

    id: str
    title: str
    unsafe: str
    """Completes "unsafe when …"."""
    safe: str
    """Completes "safe when …"."""

    @property
    def task(self) -> str:
        return self.id.partition(".")[0]

    @property
    def reason(self) -> str:
        """The unsafe side as a sentence for the person who gets the finding."""
        return f"{self.unsafe[0].upper()}{self.unsafe[1:]}."


@dataclass(frozen=True, slots=True)
class Constitution:
    """All principles, by id."""

    principles: Mapping[str, Principle]

    @classmethod
    def parse(cls, text: str) -> "Constitution":
        """Read a constitution in TOML. Raises `ValueError` where a side of a principle lacks."""
        tables = tomllib.loads(text)
        tables.pop("version", None)
        found = {}
        for task, entries in tables.items():
            for name, entry in entries.items():
                key = f"{task}.{name}"
                if missing := {"title", "unsafe", "safe"} - entry.keys():
                    raise ValueError(f"Principle `{key}` lacks {', '.join(sorted(missing))}.")
                found[key] = Principle(id=key, **entry)
        return cls(found)

    def principle(self, key: str) -> Principle:
        """Raises `KeyError` for an id that the constitution does not have."""
        return self.principles[key]

    def of(self, task: str) -> tuple[Principle, ...]:
        """The principles of one task, in the order of the file."""
        return tuple(item for item in self.principles.values() if item.task == task)


@cache
def text() -> str:
    """The constitution that comes with BlueCode, as it is written."""
    return resources.files("bluecode.defenses").joinpath("constitution.toml").read_text("utf-8")


@cache
def shipped() -> Constitution:
    """The constitution that comes with BlueCode."""
    return Constitution.parse(text())


def digest() -> str:
    """Hex SHA-256 of the shipped constitution."""
    return hashlib.sha256(text().encode()).hexdigest()
