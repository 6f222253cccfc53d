"""The two-sided principles that findings cite: what makes a prompt unsafe, what keeps it safe.

They stand in `constitution.toml`, written and reviewed by hand, not summarised anew for each
request as in the paper: what a decision cites can be read beforehand, and it does not change
between two equal requests. `constitution_examples.toml` holds what each must find and let pass.
"""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any, Literal

_EXAMPLES = ("must_fail", "must_pass")
_OPTIONAL = frozenset({*_EXAMPLES, "said_by", "provenance", "reviewed_by"})
_SPEAKERS = ("user", "tool")
Speaker = Literal["user", "tool"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """One principle. Its id is `task.name`, for example `bias.proxy_decision`."""

    id: str
    title: str
    unsafe: str
    """Completes "unsafe when …"."""
    safe: str
    """Completes "safe when …"."""
    must_fail: tuple[str, ...] = ()
    """Texts that the detectors must find."""
    must_pass: tuple[str, ...] = ()
    """Texts that look alike and must pass."""
    said_by: Speaker = "user"
    """Who says the examples: the user, or what a tool brought."""
    provenance: str = ""
    reviewed_by: str = ""
    """Who has read a drafted principle; empty where nobody has."""

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

    principles: Mapping[str, Principle] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Constitution":
        """Read a constitution in TOML. Raises `ValueError` where a principle is not whole."""
        tables = tomllib.loads(text)
        tables.pop("version", None)
        found = {}
        for task, entries in tables.items():
            for name, entry in entries.items():
                key = f"{task}.{name}"
                found[key] = Principle(id=key, **_entry(key, entry))
        return cls(found)

    def principle(self, key: str) -> Principle:
        """Raises `KeyError` for an id that the constitution does not have."""
        return self.principles[key]

    def of(self, task: str) -> tuple[Principle, ...]:
        """The principles of one task, in the order of the file."""
        return tuple(item for item in self.principles.values() if item.task == task)

    def with_examples(self, text: str) -> "Constitution":
        """The same with the examples of another file, in TOML by the principles' ids."""
        given = {key: _examples(key, entry) for key, entry in tomllib.loads(text).items()}
        if unknown := sorted(given.keys() - self.principles.keys()):
            raise ValueError(f"There is no principle `{unknown[0]}`.")
        return Constitution(
            {key: replace(it, **given.get(key, {})) for key, it in self.principles.items()}
        )


def _entry(key: str, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"`{key}` is no principle: it must be a table.")
    needed = {"title", "unsafe", "safe"}
    if missing := {name for name in needed if not entry.get(name)}:
        raise ValueError(f"Principle `{key}` lacks {', '.join(sorted(missing))}.")
    if unknown := sorted(entry.keys() - needed - _OPTIONAL):
        raise ValueError(f"Principle `{key}` has `{unknown[0]}`, which is not known.")
    return _examples(key, entry)


def _examples(key: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry with its lists as tuples. Raises `ValueError` for what is no list of texts."""
    for name in _EXAMPLES:
        if not _are_texts(entry.get(name, [])):
            raise ValueError(f"`{name}` of principle `{key}` must be a list of texts.")
    if entry.get("said_by", "user") not in _SPEAKERS:
        raise ValueError(f"`said_by` of principle `{key}` must be one of {', '.join(_SPEAKERS)}.")
    return {**entry, **{name: tuple(entry[name]) for name in _EXAMPLES if name in entry}}


def _are_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and all(isinstance(item, str) and item for item in value)


@cache
def text() -> str:
    """The constitution that comes with BlueCode, as it is written."""
    return _read("constitution.toml")


def _read(name: str) -> str:
    return resources.files("bluecode.defenses").joinpath(name).read_text("utf-8")


@cache
def shipped() -> Constitution:
    """The constitution that comes with BlueCode."""
    return Constitution.parse(text())


@cache
def exemplified() -> Constitution:
    """The same with what each principle must find and let pass."""
    return shipped().with_examples(_read("constitution_examples.toml"))


def digest() -> str:
    """Hex SHA-256 of the shipped constitution."""
    return hashlib.sha256(text().encode()).hexdigest()
