"""How much may be asked and used: requests and tokens, in a minute and in a day."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from bluecode.defenses.matching import Match, PolicyError, Teams, read_match

Per = Literal["key", "team", "all"]
AMOUNTS: Final[Mapping[str, int]] = {
    "requests_per_minute": 60,
    "requests_per_day": 86_400,
    "tokens_per_minute": 60,
    "tokens_per_day": 86_400,
}
"""What may be limited, and the seconds over which it is counted."""
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_MOST: Final = 10**12
_ENTRIES: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A limit on those requests that it fits."""

    name: str
    match: Match
    per: Per
    """Whose amounts are counted together: one key's, one team's, all."""
    amounts: Mapping[str, int]
    """By the names in `AMOUNTS`."""


def read_limits(value: Any, teams: Teams) -> Iterator[Limit]:
    """Raises `PolicyError`."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise PolicyError("`limits` must be tables, each begun with `[[limits]]`.")
    if len(value) > _ENTRIES:
        raise PolicyError(f"`limits` has {len(value)} entries; at most {_ENTRIES} will do.")
    names: set[str] = set()
    for item in value:
        limit = _limit(item, teams)
        if limit.name in names:
            raise PolicyError(f"`limits` has two entries named {limit.name!r}.")
        names.add(limit.name)
        yield limit


def _limit(item: Mapping[str, Any], teams: Teams) -> Limit:
    name = item.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PolicyError(
            f"An entry of `limits` is named {name!r}; give 1-40 of a-z, 0-9, _ and -."
        )
    key = f"limits.{name}"
    for other in item:
        if other not in ("name", "match", "per", *AMOUNTS):
            known = ", ".join(("name", "match", "per", *AMOUNTS))
            raise PolicyError(f"`{key}.{other}` is no part of a limit; known are {known}.")
    amounts = {what: _amount(f"{key}.{what}", item[what]) for what in AMOUNTS if what in item}
    if not amounts:
        raise PolicyError(f"`{key}` limits nothing; give one of {', '.join(AMOUNTS)}.")
    match = read_match(f"{key}.match", item["match"], teams) if "match" in item else Match()
    return Limit(name=name, match=match, per=_per(f"{key}.per", item), amounts=amounts)


def _per(key: str, item: Mapping[str, Any]) -> Per:
    per: Per = item.get("per", "key")
    if per not in ("key", "team", "all"):
        raise PolicyError(f'`{key}` is {per!r}; it must be "key", "team" or "all".')
    return per


def _amount(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise PolicyError(f"`{key}` is {value!r}; it must be a whole number from 1 on.")
    return value
