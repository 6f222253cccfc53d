"""What is too risky: thresholds, what happens when a check fails, shadow mode. The only decider.

A policy is one TOML file; `deploy/policy.toml` is the commented default. An unknown key is an
error, so that a typo never switches a guard off in silence. `policies` holds what is decided
otherwise for some keys, teams, models or routes; which of them a request falls under is said by
`rollout.py`.
"""

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from bluecode.defenses.limit import Limit, read_limits
from bluecode.defenses.matching import Match, read_match, read_table, read_teams
from bluecode.defenses.matching import PolicyError as PolicyError
from bluecode.defenses.verdict import Action, Category, Finding, Severity, Verdict

RefusalStyle = Literal["message", "error"]
EnforceBy = Literal["conversation", "key"]


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
    repair: bool = False
    """Is the model asked once to repair code that was blocked?"""
    repair_timeout: float = 30.0
    """Seconds that it may take for that."""
    unchecked: Mapping[str, Action] = field(default_factory=dict)
    """Action for a part nobody looked at, by reason; reasons not named are allowed."""
    thresholds: Mapping[Category, Threshold] = field(default_factory=dict)
    severity: Mapping[Severity, Action] = field(default_factory=dict)
    """The strictest action that findings of a severity may lead to."""
    rules: Mapping[str, Action] = field(default_factory=dict)
    """The strictest action of single rules, by name; `allow` switches a rule off."""
    disabled: frozenset[str] = frozenset()
    """Detectors and checkers that are not run at all, by name."""
    enforce: float = 100.0
    """Percent of conversations for which verdicts are enforced; the rest are in shadow mode."""
    enforce_by: EnforceBy = "conversation"
    """What falls on one side as a whole: a conversation, or all that one key asks."""
    teams: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Names of proxy keys, or patterns of them, by team."""
    limits: tuple[Limit, ...] = ()
    """How much may be asked, and used; all that fit a request hold."""
    policies: tuple["Variant", ...] = ()
    """What is decided otherwise; the first that fits a request counts."""

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
        rest = {key: value for key, value in table.items() if key not in _WITH_MATCHES}
        base = cls(**_read(rest))
        variants = _variants(rest, base, table.get("policies", []))
        limits = read_limits(table.get("limits", []), base.teams)
        return replace(base, policies=tuple(variants), limits=tuple(limits))

    @property
    def version(self) -> str:
        """Short digest of all settings: part of every audit line."""
        parts = [f"{item.name}={_plain(getattr(self, item.name))}" for item in fields(self)]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def verdict_version(self) -> str:
        """The same over what a verdict under this very policy depends on: not who falls under
        which entry, nor for what part it is enforced."""
        return replace(
            self, enforce=100.0, enforce_by="conversation", teams={}, limits=(), policies=()
        ).version

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

    def again(self, verdict: Verdict) -> Verdict:
        """What this policy makes of what another one's verdict rests on."""
        return self.decide(verdict.findings, failed=verdict.failed, unchecked=verdict.unchecked)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """What is decided otherwise for some requests."""

    name: str
    match: Match
    policy: Policy
    """The whole of it: the file's own settings, less what this entry puts in their place."""


def _plain(value: Any) -> str:
    """The same text for the same settings, in every process."""
    if isinstance(value, Mapping):
        return repr(sorted((str(key), _plain(item)) for key, item in value.items()))
    if isinstance(value, frozenset):
        return repr(sorted(value))
    if isinstance(value, tuple):
        return repr([_plain(item) for item in value])
    if is_dataclass(value):
        return repr([(item.name, _plain(getattr(value, item.name))) for item in fields(value)])
    return repr(value)


def _read(table: Mapping[str, Any]) -> dict[str, Any]:
    for key in table:
        if key not in _READERS:
            known = ", ".join(sorted([*_READERS, *_WITH_MATCHES]))
            raise PolicyError(f"`{key}` is no policy key; known are {known}.")
    return {key: _READERS[key](key, value) for key, value in table.items()}


_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
_WITH_MATCHES = ("policies", "limits")
"""Read last, since their matches name teams."""
_BY_ITSELF = ("disabled", "budget", "teams", "limits", "policies")
"""What holds for all requests, since each text is looked at once, whoever asks."""
_MOST_VARIANTS = 100


def _variants(base: Mapping[str, Any], read: Policy, value: Any) -> Iterator[Variant]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise PolicyError("`policies` must be tables, each begun with `[[policies]]`.")
    if len(value) > _MOST_VARIANTS:
        raise PolicyError(f"`policies` has {len(value)} entries; at most {_MOST_VARIANTS} will do.")
    names: set[str] = set()
    for item in value:
        variant = _variant(base, read, item)
        if variant.name in names:
            raise PolicyError(f"`policies` has two entries named {variant.name!r}.")
        names.add(variant.name)
        yield variant


def _variant(base: Mapping[str, Any], read: Policy, item: Mapping[str, Any]) -> Variant:
    name = item.get("name")
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name == "base":
        raise PolicyError(
            f"An entry of `policies` is named {name!r}; give 1-40 of a-z, 0-9, _ and -, not `base`."
        )
    for key in _BY_ITSELF:
        if key in item:
            raise PolicyError(f"`policies.{name}.{key}` cannot be; `{key}` holds for all requests.")
    own = {key: given for key, given in item.items() if key not in ("name", "match")}
    match = read_match(f"policies.{name}.match", item.get("match"), read.teams)
    try:
        policy = Policy(**_read(_over(base, own)))
    except PolicyError as error:
        raise PolicyError(f"In the entry {name!r} of `policies`: {error}") from error
    return Variant(name=name, match=match, policy=policy)


def _over(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Both tables, key by key, down to single thresholds."""
    merged = dict(base)
    for key, value in own.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict):
            value = _over(below, value)
        merged[key] = value
    return merged


def _percent(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise PolicyError(f"`{key}` is {value!r}; it must be percent, from 0 to 100.")
    return float(value)


def _by(key: str, value: Any) -> EnforceBy:
    if value not in ("conversation", "key"):
        raise PolicyError(f'`{key}` is {value!r}; it must be "conversation" or "key".')
    by: EnforceBy = value
    return by


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


def _actions(key: str, value: Any) -> Mapping[str, Action]:
    return {name: _action(f"{key}.{name}", item) for name, item in read_table(key, value).items()}


def _severities(key: str, value: Any) -> Mapping[Severity, Action]:
    known = {severity.name.lower(): severity for severity in Severity}
    for name in read_table(key, value):
        if name not in known:
            raise PolicyError(f"`{key}.{name}` is no severity; known are {', '.join(known)}.")
    return {known[name]: action for name, action in _actions(key, value).items()}


def _thresholds(key: str, value: Any) -> Mapping[Category, Threshold]:
    known = {category.value: category for category in Category}
    read: dict[Category, Threshold] = {}
    for name, item in read_table(key, value).items():
        if name not in known:
            raise PolicyError(f"`{key}.{name}` is no category; known are {', '.join(known)}.")
        read[known[name]] = _threshold(f"{key}.{name}", item)
    return read


def _threshold(key: str, value: Any) -> Threshold:
    table = read_table(key, value)
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
    "repair": _bool,
    "repair_timeout": _seconds,
    "enforce": _percent,
    "enforce_by": _by,
    "teams": read_teams,
}
