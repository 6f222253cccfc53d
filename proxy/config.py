"""Where BlueCode listens, what it stands in front of, and which keys it knows.

Settings come from one TOML file, then from `BLUECODE_*` in the environment, then from flags; the
later source wins, key by key. An unknown key stops the start, so that a typo never leaves a guard
half configured in silence. What is too risky is not said here but in the policy.
"""

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal

from bluecode.proxy import setting_values as values
from bluecode.proxy.setting_values import ConfigError, Protocol, Secret
from bluecode.sandbox.processors import processors

__all__ = [
    "PREFIX",
    "SETTINGS",
    "Config",
    "ConfigError",
    "JudgeConfig",
    "Protocol",
    "Secret",
    "UpstreamConfig",
    "key_of",
]

JudgeMode = Literal["fast", "faithful"]
PREFIX: Final = "BLUECODE_"
_ASIDE = re.compile(r"BLUECODE_(?:CONFIG=.*|SERVICE_\w+=.*|PORT=\w+://.*|PORT_\w+=.*)", re.DOTALL)
"""Read elsewhere, or set by Kubernetes for a Service that is named `bluecode`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgeConfig:
    """The table `[judge]`: a chat model that is asked where the detectors are unsure."""

    model: str
    """The model's name; litellm's name for it where there is no `base_url`."""
    base_url: str = ""
    """An OpenAI-compatible API root; with none, litellm knows the way."""
    api_key: Secret | None = None
    """From the file that `api_key_file` names."""
    api_key_env: str = ""
    """The variable of the environment that holds the key."""
    mode: JudgeMode = "fast"
    """`fast`: stored principles, one call; `faithful`: a constitution from the nearest cases."""
    timeout: float = 10.0
    """Seconds for one opinion."""
    per_minute: int = 60
    """Calls of the model in any 60 seconds."""
    uncertain: tuple[float, float] = (0.3, 0.9)
    """Scores of the detectors between which the judge is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamConfig:
    """One of the tables `[[upstreams]]`: a provider, and the models for which it is asked."""

    name: str
    """Under which metrics, `doctor` and the fallbacks of others know it."""
    upstream: str
    """As `Config.upstream`; a `*` in a litellm model name stands for the model asked for."""
    models: tuple[str, ...] = ()
    """Names, or patterns of them."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """What clients may call a model, and what its provider calls it."""
    protocols: tuple[Protocol, ...] = ()
    """What it speaks; everything where empty."""
    key: Secret | None = None
    """From the file that `key_file` names."""
    key_env: str = ""
    """The variable of the environment that holds the key."""
    fallbacks: tuple[str, ...] = ()
    """Names of others, asked in their order where this one cannot answer."""

    @property
    def by_litellm(self) -> bool:
        return "/" in self.upstream and "://" not in self.upstream

    def has(self, model: str, protocol: str) -> bool:
        """Is it the one to ask for this model in this protocol?"""
        named = model in self.aliases or any(_fits(model, one) for one in self.models)
        return named and self.speaks(protocol)

    def speaks(self, protocol: str) -> bool:
        return not self.protocols or protocol in self.protocols

    def answering(self, model: str) -> str:
        """The model's name for policies and limits: as the client says it, where that decides."""
        fixed = self.by_litellm and "*" not in self.upstream
        return self.upstream if fixed and model not in {*self.aliases, *self.models} else model


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of one BlueCode. Every field is a key of the file and, upper-cased behind
    `BLUECODE_`, a variable of the environment."""

    listen: str = "127.0.0.1:8787"
    """Address and port to serve on; a port alone means loopback."""
    upstream: str = ""
    """The provider: an OpenAI-compatible API root, `demo`, or a litellm model name."""
    upstream_key: Secret | None = None
    """Sent to the provider in place of the client's own key."""
    upstreams: tuple[UpstreamConfig, ...] = ()
    """Providers for some models; `upstream` is the one for all others, where it is given."""
    seal_key: Secret | None = None
    """With which the service seals its own notes, so that replicas know each other's; one of its
    own, made at the start, where none is given."""
    metrics_key: Secret | None = None
    """What those must present who read `/metrics`; anybody may where there is none."""
    traces: str = ""
    """Root of an OTLP receiver, as in `http://collector:4318`; no traces where empty."""
    shared: Secret | None = None
    """Address of a Redis or Valkey that replicas share; it may hold a password."""
    shared_wait: float = 0.005
    """Seconds that a lookup there may take."""
    proxy_keys: Mapping[str, Secret] = field(default_factory=dict)
    """Keys that clients must present, by the name under which the audit knows them."""
    repair: bool = False
    """Ask the model once to repair code that was blocked, whatever the policy says."""
    policy: Path | None = None
    """Policy file; the built-in policy where there is none."""
    audit: str = "stdout"
    """Where decisions are written: `stdout`, `none`, or a file's path."""
    audit_max_bytes: int = 50 * 1024**2
    """Size at which the audit file is put aside and a new one begun."""
    audit_backups: int = 5
    """Files put aside that are kept."""
    audit_days: int = 0
    """Days after which a file put aside is removed, and one is put aside each day; 0 for never."""
    audit_database: Secret | None = None
    """Address of a database where lines of the audit are kept too; it may hold a password."""
    capture: Path | None = None
    """Folder for the full text of requests and answers, sealed; nothing is captured without it."""
    capture_key: str = ""
    """The public key with which that is sealed; the private one has no place here."""
    capture_days: int = 14
    """Days after which what was captured is removed."""
    capture_max_bytes: int = 1024**3
    """Bytes of all that was captured; the oldest is removed first."""
    database: Secret | None = None
    """Address of a database in which replicas share the user's own records and feedback, in place
    of the files; it may hold a password."""
    cache_dir: Path = field(default_factory=lambda: _default_cache_dir())
    """Where the compiled guest is kept between starts."""
    cache_entries: int = 20_000
    """Verdicts that are remembered."""
    workers: int = field(default_factory=processors)
    """Processes that run untrusted code."""
    body_limit: int = 32 * 1024**2
    """Bytes of the largest request, and of the largest answer that is not streamed."""
    held_limit: int = 2 * 1024**2
    """Bytes of code held back in one answer; the policy says what happens beyond."""
    connect_timeout: float = 10.0
    """Seconds to reach the provider."""
    read_timeout: float = 600.0
    """Seconds that the provider may be silent."""
    drain_timeout: float = 30.0
    """Seconds that running answers have to end once BlueCode is told to stop."""
    health_listen: str = ""
    """A second address for `/healthz`, `/readyz` and `/metrics` alone; none where empty."""
    keep_alive: float = 10.0
    """Seconds after which a client that waits for held code gets a sign of life."""
    knowledge: Path = field(default_factory=lambda: _default_data_dir() / "knowledge.db")
    """The user's own records, beside the shipped knowledge base."""
    feedback: Path = field(default_factory=lambda: _default_data_dir() / "feedback.db")
    """What people said of decisions."""
    judge: JudgeConfig | None = None
    """A model that is asked where the detectors of prompts are unsure; none by default."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
    log_format: str = "text"
    """`text` or `json`, on standard error."""

    @classmethod
    def load(
        cls,
        path: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        flags: Mapping[str, Any] | None = None,
    ) -> "Config":
        """Read all sources; None among the flags means not given. Raises `ConfigError`."""
        given = os.environ if environ is None else environ
        if path is None and given.get(PREFIX + "CONFIG"):
            path = Path(given[PREFIX + "CONFIG"])
        settings = {} if path is None else _from_file(path)
        settings |= _from_environment(given)
        settings |= _from_flags(flags or {})
        return cls(**settings)

    @property
    def host(self) -> str:
        return values.host_and_port(self.listen)[0]

    @property
    def all_upstreams(self) -> tuple[UpstreamConfig, ...]:
        """Those that are named and, behind them, the one for every other model."""
        if not self.upstream:
            return self.upstreams
        last = UpstreamConfig(
            name="default", upstream=self.upstream, models=("*",), key=self.upstream_key
        )
        return (*self.upstreams, last)

    def upstream_of(self, model: str, protocol: str) -> UpstreamConfig | None:
        """The first that has the model."""
        return next((one for one in self.all_upstreams if one.has(model, protocol)), None)

    def answering(self, model: str, protocol: str) -> str:
        """What answers a client that asks for this model: its word counts where it decides."""
        chosen = self.upstream_of(model, protocol)
        return model if chosen is None else chosen.answering(model)

    @property
    def port(self) -> int:
        return values.host_and_port(self.listen)[1]

    @property
    def seal(self) -> bytes | None:
        """With what notes, shared verdicts and decisions on shared records are sealed."""
        return None if self.seal_key is None else self.seal_key.get().encode()

    @property
    def health_address(self) -> tuple[str, int] | None:
        return values.host_and_port(self.health_listen) if self.health_listen else None

    def name_of(self, presented: str) -> str | None:
        """The name of a proxy key; every key is compared, so that time tells nothing."""
        found = None
        for name, key in self.proxy_keys.items():
            if key.matches(presented):
                found = name
        return found


def _fits(model: str, pattern: str) -> bool:
    """A name that no provider would give is not looked at."""
    return pattern == "*" or (len(model) <= _LONGEST_NAME and fnmatchcase(model, pattern))


def key_of(one: UpstreamConfig) -> str | None:
    """The key to send to a provider. Raises `ConfigError` where its variable is not there."""
    if one.key_env:
        if not (key := os.environ.get(one.key_env, "").strip()):
            raise ConfigError(
                f"`{one.key_env}`, the `key_env` of the upstream `{one.name}`, is not set."
            )
        return values.as_secret(f"`{one.key_env}`", key, Path()).get()
    return None if one.key is None else one.key.get()


def _default_cache_dir() -> Path:
    return _own_folder("XDG_CACHE_HOME", ".cache")


def _default_data_dir() -> Path:
    return _own_folder("XDG_DATA_HOME", ".local/share")


def _own_folder(variable: str, usual: str) -> Path:
    if base := os.environ.get(variable):
        return Path(base) / "bluecode"
    try:
        return Path.home() / usual / "bluecode"
    except RuntimeError:  # a user without a home, as in containers, where it is the root
        return Path("/") / usual / "bluecode"


def _from_file(path: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file cannot be read: {error}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"The config file `{path}` is not valid TOML: {error}.") from error
    for key in table:
        if key not in _READERS:
            raise ConfigError(f"`{key}` in `{path}` is no setting{_near(key, _READERS)}.")
    return _read(table, base=path.parent, named=lambda key: f"`{key}` in `{path}`")


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    known = {PREFIX + key.upper(): key for key in _READERS}
    for name, value in environ.items():
        if not name.startswith(PREFIX):
            continue
        if name in known:
            table[known[name]] = value
        elif not _ASIDE.fullmatch(f"{name}={value}"):
            raise ConfigError(f"`{name}` in the environment is no setting{_near(name, known)}.")
    return _read(table, base=Path(), named=lambda key: f"`{PREFIX}{key.upper()}`")


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    table = {key: value for key, value in flags.items() if value is not None}
    return _read(table, base=Path(), named=lambda key: f"`--{key.replace('_', '-')}`")


def _read(table: Mapping[str, Any], *, base: Path, named: Callable[[str], str]) -> dict[str, Any]:
    """One source's settings. A key and the file that holds it are one setting, given once."""
    settings: dict[str, Any] = {}
    for key, value in table.items():
        target = key.removesuffix("_file")
        if target in settings:
            raise ConfigError(
                f"{named(target)} and {named(target + '_file')} are both set; keep one."
            )
        settings[target] = _READERS[key](named(key), value, base)
    return settings


def _near(key: str, known: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"; the nearest is `{close[0]}`" if close else f"; known are {', '.join(known)}"


def _judge(name: str, value: Any, base: Path) -> JudgeConfig:
    """A table in the file; the inside of an inline table in the environment."""
    if isinstance(value, str):
        inside = value.strip().removeprefix("{").removesuffix("}")
        try:
            value = tomllib.loads(f"judge = {{{inside}}}")["judge"]
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f'{name} must hold settings as in `model = "…", base_url = "…"`: {error}.'
            ) from error
    if not isinstance(value, dict) or "model" not in value:
        raise ConfigError(f'{name} must be a table that names a model, as in `judge.model = "…"`.')
    for key in value:
        if key not in _JUDGE_READERS:
            raise ConfigError(f"{name} has no setting `{key}`{_near(key, _JUDGE_READERS)}.")
    read = {
        key.removesuffix("_file"): _JUDGE_READERS[key](f"`judge.{key}`", item, base)
        for key, item in value.items()
    }
    if "api_key" in read and "api_key_env" in read:
        raise ConfigError("`judge.api_key_file` and `judge.api_key_env` are both set; keep one.")
    return JudgeConfig(**read)


def _upstreams(name: str, value: Any, base: Path) -> tuple[UpstreamConfig, ...]:
    """An array of tables in the file; the same written inline in the environment."""
    if isinstance(value, str):
        try:
            value = tomllib.loads(f"upstreams = {value}")["upstreams"]
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"{name} must be an array of inline tables: {error}.") from error
    if not isinstance(value, list) or not 0 < len(value) <= _MOST_UPSTREAMS:
        raise ConfigError(f"{name} must be 1 to {_MOST_UPSTREAMS} tables, as in `[[upstreams]]`.")
    read = tuple(_one_upstream(f"upstreams[{at}]", item, base) for at, item in enumerate(value))
    names = [one.name for one in read]
    for at, one in enumerate(read):
        if one.name == "default" or one.name in names[:at]:
            raise ConfigError(f"`upstreams[{at}].name` is {one.name!r}, which is taken.")
        for other in one.fallbacks:
            if other not in names or other == one.name:
                raise ConfigError(
                    f"`upstreams[{at}].fallbacks` names {other!r}, which is no other of them."
                )
    return read


def _one_upstream(name: str, value: Any, base: Path) -> UpstreamConfig:
    if not isinstance(value, dict) or not {"name", "upstream"} <= value.keys():
        raise ConfigError(f"`{name}` must be a table with a `name` and an `upstream`.")
    for key in value:
        if key not in _UPSTREAM_READERS:
            raise ConfigError(f"`{name}` has no setting `{key}`{_near(key, _UPSTREAM_READERS)}.")
    if "key_file" in value and "key_env" in value:
        raise ConfigError(f"`{name}.key_file` and `{name}.key_env` are both set; keep one.")
    return UpstreamConfig(
        **{
            key.removesuffix("_file"): _UPSTREAM_READERS[key](f"`{name}.{key}`", item, base)
            for key, item in value.items()
        }
    )


_GIB = 1024**3
_MOST_UPSTREAMS = 32
_LONGEST_NAME = 256
_READERS: Mapping[str, Callable[[str, Any, Path], Any]] = {
    "listen": values.as_listen,
    "upstream": values.as_upstream,
    "upstream_key": values.as_secret,
    "upstream_key_file": values.as_secret_file,
    "upstreams": _upstreams,
    "seal_key": values.as_secret,
    "seal_key_file": values.as_secret_file,
    "metrics_key": values.as_secret,
    "metrics_key_file": values.as_secret_file,
    "traces": values.as_receiver,
    "shared": values.as_store,
    "shared_file": values.as_store_file,
    "shared_wait": values.as_seconds,
    "proxy_keys": values.as_keys,
    "proxy_keys_file": values.as_keys_file,
    "repair": values.as_switch,
    "policy": values.as_path,
    "audit": values.as_audit,
    "audit_max_bytes": values.as_whole(1024, 1024 * _GIB),
    "audit_backups": values.as_whole(1, 1000),
    "audit_days": values.as_whole(0, 36_500),
    "audit_database": values.as_database,
    "audit_database_file": values.as_database_file,
    "capture": values.as_path,
    "capture_key": values.as_text,
    "capture_days": values.as_whole(1, 3_650),
    "capture_max_bytes": values.as_whole(1024**2, 1024 * _GIB),
    "database": values.as_database,
    "database_file": values.as_database_file,
    "cache_dir": values.as_path,
    "cache_entries": values.as_whole(1, 10_000_000),
    "workers": values.as_whole(1, 256),
    "body_limit": values.as_whole(1024, 4 * _GIB),
    "held_limit": values.as_whole(1024, 4 * _GIB),
    "connect_timeout": values.as_seconds,
    "read_timeout": values.as_seconds,
    "drain_timeout": values.as_seconds,
    "health_listen": values.as_listen,
    "keep_alive": values.as_seconds,
    "knowledge": values.as_path,
    "feedback": values.as_path,
    "judge": _judge,
    "log_level": values.as_one_of("debug", "info", "warning", "error"),
    "log_format": values.as_one_of("text", "json"),
}
_JUDGE_READERS: Mapping[str, Callable[[str, Any, Path], Any]] = {
    "model": values.as_text,
    "base_url": values.as_judge_root,
    "api_key_file": values.as_secret_file,
    "api_key_env": values.as_text,
    "mode": values.as_one_of("fast", "faithful"),
    "timeout": values.as_seconds,
    "per_minute": values.as_whole(1, 1_000_000),
    "uncertain": values.as_band,
}
_UPSTREAM_READERS: Mapping[str, Callable[[str, Any, Path], Any]] = {
    "name": values.as_label,
    "upstream": values.as_upstream,
    "models": values.as_words,
    "aliases": values.as_aliases,
    "protocols": values.as_protocols,
    "key_file": values.as_secret_file,
    "key_env": values.as_text,
    "fallbacks": values.as_words,
}
SETTINGS: Final = tuple(_READERS)
"""Every key that a config file may hold."""
