"""What is too risky: thresholds, what happens when a check fails, shadow mode. The only decider.

A policy is one TOML file; `deploy/policy.toml` is the commented default. An unknown key is an
error, so that a typo never switches a guard off in silence.
"""

import hashlib
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from bluecode.defenses.verdict import Action, Category, Finding, Severity, Verdict

RefusalStyle = Literal["message", "error"]


class PolicyError(Exception):
    """A policy file that cannot be used; the message says what, and what would do."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """Scores from which a category warns or blocks."""

    warn: float = 0.5
    block: float = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """See `deploy/policy.toml` for what each field means to the person who sets it."""

    shadow: bool = False
    refusal_style: RefusalStyle = "message"
    budget: float = 2.0
    """Seconds for all detectors on one subject."""
    on_failure: Action = Action.BLOCK
    unchecked: Mapping[str, Action] = field(default_factory=dict)
    """Action for a part nobody looked at, by reason; reasons not named are allowed."""
    thresholds: Mapping[Category, Threshold] = field(default_factory=dict)
    severity: Mapping[Severity, Action] = field(default_factory=dict)
    """The strictest action that findings of a severity may lead to."""
    rules: Mapping[str, Action] = field(default_factory=dict)
    """The strictest action of single rules, by name; `allow` switches a rule off."""
    disabled: frozenset[str] = frozenset()
    """Detectors and checkers that are not run at all, by name."""

    @classmethod
    def default(cls) -> "Policy":
        text = resources.files("bluecode.deploy").joinpath("policy.toml").read_text("utf-8")
        return cls.parse(text)

    @classmethod
    def load(cls, path: Path | None) -> "Policy":
        """Read a policy file, or the default for None. Raises `PolicyError`."""
        if path is None:
            return cls.default()
        try:
            return cls.parse(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise PolicyError(f"The policy file cannot be read: {error}.") from error

    @classmethod
    def parse(cls, text: str) -> "Policy":
        """Read TOML. Raises `PolicyError` for unknown keys and values out of range."""
        try:
            table = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise PolicyError(f"The policy is not valid TOML: {error}.") from error
        known = {item.name for item in fields(cls)}
        for key in table:
            if key not in known:
                raise PolicyError(
                    f"`{key}` is no policy key; known are {', '.join(sorted(known))}."
                )
        read: dict[str, Any] = {key: _READERS[key](key, value) for key, value in table.items()}
        return cls(**read)

    @property
    def version(self) -> str:
        """Short digest of all settings: part of every cache key and audit line."""
        parts = [f"{item.name}={_plain(getattr(self, item.name))}" for item in fields(self)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    def decide(
        self,
        findings: Sequence[Finding],
        *,
        failed: Sequence[str] = (),
        unchecked: Sequence[str] = (),
    ) -> Verdict:
        """The verdict on one subject."""
        actions = [self.action_for(finding) for finding in findings]
        actions += [self.on_failure] * bool(failed)
        actions += [self.unchecked.get(reason, Action.ALLOW) for reason in unchecked]
        return Verdict(
            action=max(actions, default=Action.ALLOW),
            findings=tuple(findings),
            failed=tuple(failed),
            unchecked=tuple(unchecked),
            shadow=self.shadow,
        )

    def action_for(self, finding: Finding) -> Action:
        """What one finding leads to by itself."""
        threshold = self.thresholds.get(finding.category, Threshold())
        if finding.score >= threshold.block:
            action = Action.BLOCK
        elif finding.score >= threshold.warn:
            action = Action.WARN
        else:
            action = Action.ALLOW
        cap = self.severity.get(finding.severity, Action.BLOCK)
        return min(action, cap, self.rules.get(finding.rule, Action.BLOCK))


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return repr(sorted((str(key), str(item)) for key, item in value.items()))
    return repr(sorted(value)) if isinstance(value, frozenset) else repr(value)


def _bool(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise PolicyError(f"`{key}` is {value!r}; it must be true or false.")
    return value


def _style(key: str, value: Any) -> RefusalStyle:
    if value not in ("message", "error"):
        raise PolicyError(f'`{key}` is {value!r}; it must be "message" or "error".')
    style: RefusalStyle = value
    return style


def _seconds(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 600:
        raise PolicyError(f"`{key}` is {value!r}; it must be seconds, over 0 and at most 600.")
    return float(value)


def _score(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise PolicyError(f"`{key}` is {value!r}; it must lie between 0 and 1.")
    return float(value)


def _action(key: str, value: Any) -> Action:
    if not isinstance(value, str) or value.upper() not in Action.__members__:
        raise PolicyError(f'`{key}` is {value!r}; it must be "allow", "warn" or "block".')
    return Action[value.upper()]


def _table(key: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise PolicyError(f"`{key}` is {value!r}; it must be a table.")
    return value


def _actions(key: str, value: Any) -> Mapping[str, Action]:
    return {name: _action(f"{key}.{name}", item) for name, item in _table(key, value).items()}


def _severities(key: str, value: Any) -> Mapping[Severity, Action]:
    known = {severity.name.lower(): severity for severity in Severity}
    for name in _table(key, value):
        if name not in known:
            raise PolicyError(f"`{key}.{name}` is no severity; known are {', '.join(known)}.")
    return {known[name]: action for name, action in _actions(key, value).items()}


def _thresholds(key: str, value: Any) -> Mapping[Category, Threshold]:
    known = {category.value: category for category in Category}
    read: dict[Category, Threshold] = {}
    for name, item in _table(key, value).items():
        if name not in known:
            raise PolicyError(f"`{key}.{name}` is no category; known are {', '.join(known)}.")
        read[known[name]] = _threshold(f"{key}.{name}", item)
    return read


def _threshold(key: str, value: Any) -> Threshold:
    table = _table(key, value)
    for name in table:
        if name not in ("warn", "block"):
            raise PolicyError(f"`{key}.{name}` is no threshold; known are warn, block.")
    threshold = Threshold(**{name: _score(f"{key}.{name}", item) for name, item in table.items()})
    if threshold.warn > threshold.block:
        raise PolicyError(f"`{key}.warn` is above `{key}.block`; warn must come first.")
    return threshold


def _names(key: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise PolicyError(f"`{key}` is {value!r}; it must be a list of detector names.")
    return frozenset(value)


_READERS: Mapping[str, Callable[[str, Any], Any]] = {
    "shadow": _bool,
    "refusal_style": _style,
    "budget": _seconds,
    "on_failure": _action,
    "unchecked": _actions,
    "thresholds": _thresholds,
    "severity": _severities,
    "rules": _actions,
    "disabled": _names,
}
