"""What a campaign writes down: one line of JSON for each case, in the order of trying."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.redteam.target import Heard
from bluecode.defenses.verdict import Action

Kind = Literal["attack", "lawful", "search"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A text that was tried. Of a search: the one that went furthest."""

    kind: Kind
    generator: str
    attack: Attack
    heard: Heard
    seed_passed: bool | None = None
    """Of a search: did the plain wish pass already?"""
    tries: int = 1
    operators: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Of a search, for each operator: texts that it was in, and those of them that passed."""
    twin: Attack | None = None
    """Of an attack: its lawful neighbour; of the best of a search: the same in its manner. Of a
    lawful text: the attack."""

    @property
    def passed(self) -> bool:
        return self.heard.passed

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "generator": self.generator,
            "attack": self.attack.as_json(),
            "heard": self.heard.as_json(),
            "seed_passed": self.seed_passed,
            "tries": self.tries,
            "operators": {name: list(counts) for name, counts in self.operators.items()},
            "twin": None if self.twin is None else self.twin.as_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PairRecord:
    """A vulnerability pair, and what the checkers made of both twins."""

    name: str
    cwe: int
    language: str
    verified: bool
    """Did the sandbox tell the twins apart? All that follows is empty where it did not."""
    pair: Mapping[str, Any]
    """The verified pair as JSON: both twins, the exploit, what was seen."""
    unsafe: Action | None = None
    """What the policy decides on the unsafe twin by reading and running it."""
    safe: Action | None = None

    @property
    def missed(self) -> bool:
        """Would the unsafe twin get through without so much as a warning?"""
        return self.verified and self.unsafe is Action.ALLOW

    @property
    def alarmed(self) -> bool:
        """Would the safe twin be warned about or blocked?"""
        return self.verified and self.safe is not None and self.safe > Action.ALLOW

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": "pair",
            "name": self.name,
            "cwe": self.cwe,
            "language": self.language,
            "verified": self.verified,
            "pair": dict(self.pair),
            "unsafe": None if self.unsafe is None else self.unsafe.name.lower(),
            "safe": None if self.safe is None else self.safe.name.lower(),
        }


@dataclass(frozen=True, slots=True)
class Failure:
    """A case that the target could not be asked about."""

    generator: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"kind": "failure", "generator": self.generator, "reason": self.reason}


AnyRecord = Record | PairRecord | Failure


class RecordError(Exception):
    """A line that is no record."""


def parse(line: str) -> AnyRecord:
    """One line. Raises `RecordError`."""
    try:
        return _read(json.loads(line))
    except (ValueError, KeyError, TypeError) as error:
        raise RecordError(f"no record of a campaign: {type(error).__name__}") from error


def _read(given: Mapping[str, Any]) -> AnyRecord:
    if given["kind"] == "failure":
        return Failure(given["generator"], given["reason"])
    if given["kind"] == "pair":
        return PairRecord(
            name=given["name"],
            cwe=given["cwe"],
            language=given["language"],
            verified=given["verified"],
            pair=given["pair"],
            unsafe=_action(given["unsafe"]),
            safe=_action(given["safe"]),
        )
    heard = given["heard"]
    return Record(
        kind=given["kind"],
        generator=given["generator"],
        attack=Attack.from_json(given["attack"]),
        heard=Heard(**{**heard, "action": Action[heard["action"].upper()]}),
        seed_passed=given["seed_passed"],
        tries=given["tries"],
        operators={name: (part[0], part[1]) for name, part in given["operators"].items()},
        twin=None if given["twin"] is None else Attack.from_json(given["twin"]),
    )


def _action(name: str | None) -> Action | None:
    return None if name is None else Action[name.upper()]


def render(records: Iterable[AnyRecord]) -> str:
    """Lines of JSON."""
    return "".join(json.dumps(item.as_json(), ensure_ascii=True) + "\n" for item in records)
