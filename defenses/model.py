"""A chat model that is asked a question and must answer in a form, and nothing else.

`Model` is the seam: the proxy brings an OpenAI-compatible one or litellm's. `Form` says what an
answer must look like and reads it strictly: an answer out of form raises, it is never guessed at.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Kind = Literal["timeout", "unreachable", "refused", "unparsable"]
KINDS: tuple[Kind, ...] = ("timeout", "unreachable", "refused", "unparsable")

_LONGEST = 20_000
"""Characters of an answer; a form needs far fewer."""
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)


class ModelError(Exception):
    """The model could not be asked, or did not answer in the form. The message quotes nothing."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Model(Protocol):
    """A chat model."""

    @property
    def name(self) -> str:
        """Which model, and where: part of the key under which its answers are remembered."""
        ...

    async def answer(self, instructions: str, question: str, schema: Mapping[str, Any]) -> str:
        """The raw answer, at temperature 0. Raises `ModelError`."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of an answer: one of some words, a text, or a list of texts."""

    choices: tuple[str, ...] = ()
    """The words that are allowed; any text where empty."""
    listed: bool = False
    longest: int = 1_200
    """Characters of a text."""
    most: int = 12
    """Texts of a list; it holds at least one."""

    def schema(self) -> dict[str, Any]:
        one: dict[str, Any] = {"type": "string"}
        if self.choices:
            one["enum"] = list(self.choices)
        return {"type": "array", "items": one} if self.listed else one

    def accepts(self, value: Any) -> bool:
        if not self.listed:
            return self._accepts_text(value)
        right = isinstance(value, list) and 0 < len(value) <= self.most
        return right and all(self._accepts_text(item) for item in value)

    def _accepts_text(self, value: Any) -> bool:
        if not isinstance(value, str) or len(value) > self.longest:
            return False
        return value in self.choices if self.choices else True


@dataclass(frozen=True, slots=True)
class Form:
    """A JSON object with exactly these fields."""

    fields: Mapping[str, Field] = field(default_factory=dict)

    def schema(self) -> dict[str, Any]:
        """The same as JSON schema, as strict output of providers wants it."""
        return {
            "type": "object",
            "properties": {name: item.schema() for name, item in self.fields.items()},
            "required": list(self.fields),
            "additionalProperties": False,
        }

    def read(self, answer: str) -> dict[str, Any]:
        """The fields of an answer that is one JSON object, or one fence around it, and no more.

        Raises `ModelError` of the kind `unparsable`."""
        if len(answer) > _LONGEST:
            raise _broken(f"it has {len(answer)} characters")
        fenced = _FENCE.fullmatch(answer)
        try:
            given = json.loads(fenced[1] if fenced else answer, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise _broken("it is no JSON object") from error
        if not isinstance(given, dict) or given.keys() != self.fields.keys():
            raise _broken("it has other fields than asked for")
        for name, item in self.fields.items():
            if not item.accepts(given[name]):
                raise _broken(f"`{name}` is not what was asked for")
        return given


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A name given twice could be read in two ways."""
    given = dict(pairs)
    if len(given) != len(pairs):
        raise ValueError("a name is given twice")
    return given


def _broken(why: str) -> ModelError:
    return ModelError("unparsable", f"The model's answer cannot be used: {why}.")
