"""Which requests a part of a policy is about: by key, team, model and route."""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

Teams = Mapping[str, frozenset[str]]
"""Names of proxy keys, or patterns of them, by team."""
_MATCHERS: Final = ("keys", "teams", "models", "routes")


class PolicyError(Exception):
    """A policy file that cannot be used; the message says what, and what would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for what."""

    key: str | None
    """The name of the proxy key; None where there are none."""
    model: str
    route: str
    """The path below the API root, for example `/chat/completions`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Some requests: all that is given here must fit, each by one of its patterns."""

    keys: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    """Names of `teams`; their members stand in `members`."""
    members: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    routes: frozenset[str] = frozenset()

    def fits(self, asker: Asker) -> bool:
        return (
            _fits(self.keys, asker.key)
            and (not self.teams or (bool(self.members) and _fits(self.members, asker.key)))
            and _fits(self.models, asker.model)
            and _fits(self.routes, asker.route)
        )


def _fits(patterns: frozenset[str], name: str | None) -> bool:
    """No pattern fits all; a name that is not there fits no pattern."""
    if not patterns:
        return True
    return name is not None and any(fnmatchcase(name, pattern) for pattern in patterns)


def read_match(key: str, value: Any, teams: Teams) -> Match:
    """Raises `PolicyError` for a match that names nothing, or a team that there is not."""
    table = read_table(key, value)
    for name in table:
        if name not in _MATCHERS:
            raise PolicyError(f"`{key}.{name}` is no matcher; known are {', '.join(_MATCHERS)}.")
    read = {name: _patterns(f"{key}.{name}", item) for name, item in table.items()}
    if not read:
        raise PolicyError(f"`{key}` names nothing; give one of {', '.join(_MATCHERS)}.")
    for name in read.get("teams", ()):
        if name not in teams:
            raise PolicyError(f"`{key}.teams` names {name!r}, which is not in `teams`.")
    members = frozenset().union(*(teams[name] for name in read.get("teams", ())))
    return Match(**read, members=members)


def _patterns(key: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not value or not all(_is_word(item) for item in value):
        raise PolicyError(f"`{key}` must be a list of one name or more; `*` stands for anything.")
    return frozenset(value)


def _is_word(item: Any) -> bool:
    return isinstance(item, str) and bool(item)


def read_teams(key: str, value: Any) -> Teams:
    """Raises `PolicyError`."""
    return {name: _patterns(f"{key}.{name}", item) for name, item in read_table(key, value).items()}


def read_table(key: str, value: Any) -> Mapping[str, Any]:
    """Raises `PolicyError` for what is no table."""
    if not isinstance(value, dict):
        raise PolicyError(f"`{key}` is {value!r}; it must be a table.")
    return value
