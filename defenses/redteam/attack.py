"""One text that is tried on a target, what it asks for, and how it came about."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.knowledge import Task
from bluecode.defenses.verdict import Category

CATEGORIES: Mapping[str, Category] = {
    "bias": Category.BIAS,
    "malice": Category.MALICE,
    "injection": Category.INJECTION,
}
USER = "user"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """An attack, or, where it is not `unsafe`, a lawful text that shares its words."""

    task: Task
    category: str
    """Kind of harm; one of the generator's categories."""
    principle: str
    """Id of the constitution's principle that decides it."""
    text: str
    unsafe: bool = True
    channel: str = USER
    """Where the text stands: `user`, or what kind of document brings it."""
    seed: str = ""
    """What is asked for in plain words, before operators; the text itself where there are none."""
    register: str = "plain"
    """How it is spoken."""
    place: str = ""
    """Of an injection: where in the document it stands."""
    operators: tuple[str, ...] = ()
    """What was done to the plain text, in order."""
    canary: str = ""
    """What an answer holds if an injected order was carried out; empty where nothing tells."""

    @property
    def id(self) -> str:
        """Short digest of the text and where it stands: equal texts are one case."""
        whole = f"{self.task}\0{self.channel}\0{self.text}"
        return hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:16]

    @property
    def plain(self) -> str:
        return self.seed or self.text

    def message(self) -> Message:
        """As a guard sees it: a person's words, or what a tool brought."""
        role = Role.USER if self.channel == USER else Role.TOOL
        return Message(role=role, text=self.text)

    def as_json(self) -> dict[str, Any]:
        return {"id": self.id, **asdict(self), "operators": list(self.operators)}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "Attack":
        """The opposite of `as_json`. Raises `KeyError` or `TypeError` for a record out of form."""
        known = {item.name for item in fields(cls)}
        given = {key: value for key, value in record.items() if key in known}
        return cls(**{**given, "operators": tuple(given.get("operators", ()))})


@dataclass(frozen=True, slots=True)
class Twins:
    """An attack and its lawful neighbour."""

    attack: Attack
    lawful: Attack
