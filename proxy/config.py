"""Where BlueCode listens, what it stands in front of, and which keys it knows.

Settings come from one TOML file, then from `BLUECODE_*` in the environment, then from flags; the
later source wins, key by key. An unknown key stops the start, so that a typo never leaves a guard
half configured in silence. What is too risky is not said here but in the policy.
"""

import difflib
import os
import re
import secrets
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final, Literal, cast, get_args
from urllib.parse import urlsplit

JudgeMode = Literal["fast", "faithful"]
Protocol = Literal["openai", "anthropic", "gemini", "ollama"]
PREFIX: Final = "BLUECODE_"
_ASIDE = re.compile(r"BLUECODE_(?:CONFIG=.*|SERVICE_\w+=.*|PORT=\w+://.*|PORT_\w+=.*)", re.DOTALL)
"""Read elsewhere, or set by Kubernetes for a Service that is named `bluecode`."""


class ConfigError(Exception):
    """A setting that cannot be used; the message says what, what was given, and the way out."""


class Secret:
    """A key that shows itself only when asked by `get()`: never in a repr, a log or an error."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get(self) -> str:
        return self._value

    def matches(self, presented: str) -> bool:
        """Compare in constant time."""
        return secrets.compare_digest(_raw(presented), _raw(self._value))

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self.matches(other._value)

    __hash__ = None  # type: ignore[assignment]  # a key has no place in a set or a mapping


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
    workers: int = field(default_factory=lambda: max(1, min(4, os.cpu_count() or 1)))
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
        return _split_listen(self.listen)[0]

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
        return _split_listen(self.listen)[1]

    @property
    def seal(self) -> bytes | None:
        """With what notes, shared verdicts and decisions on shared records are sealed."""
        return None if self.seal_key is None else self.seal_key.get().encode()

    @property
    def health_address(self) -> tuple[str, int] | None:
        return _split_listen(self.health_listen) if self.health_listen else None

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
        return _secret(f"`{one.key_env}`", key, Path()).get()
    return None if one.key is None else one.key.get()


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


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


def _text(name: str, value: Any, _: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{name} is {_shown(value)}; it must be a text that is not empty.")
    return value.strip()


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def _listen(name: str, value: Any, base: Path) -> str:
    text = _text(name, str(value) if isinstance(value, int) else value, base)
    try:
        host, port = _split_listen(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise ConfigError(f"{name} is {text!r}; it must look like 127.0.0.1:8787, or be a port.")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split_listen(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def _upstream(name: str, value: Any, base: Path) -> str:
    text = _text(name, value, base)
    if "://" in text:
        return _root(name, text)
    first, slash, rest = text.partition("/")
    if text == "demo" or (slash and rest and re.fullmatch(r"[\w-]+", first)):
        return text
    raise ConfigError(
        f"{name} is {text!r}; it must be a URL such as https://api.openai.com/v1, `demo`, or a"
        " litellm model name such as anthropic/claude-sonnet-4-5."
    )


def _root(name: str, text: str) -> str:
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        bare = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        usable, bare = False, True
    if not bare:
        raise ConfigError(
            f"{name} carries a user, a password or a query; give the bare API root, and the key"
            " in `upstream_key`."
        )
    if not usable:
        raise ConfigError(f"{name} is {text!r}; it must begin with http:// or https:// and a host.")
    root = text.rstrip("/")
    if root.endswith("/chat/completions"):
        way_out = root.removesuffix("/chat/completions")
        raise ConfigError(f"{name} is {text!r}; give the API root alone: {way_out}.")
    return root


def _secret(name: str, value: Any, _: Path) -> Secret:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{name} must be a key, as a text that is not empty.")
    if not value.strip().isprintable() or not value.strip().isascii():
        raise ConfigError(f"{name} holds characters that no HTTP header can carry.")
    return Secret(value.strip())


def _secret_file(name: str, value: Any, base: Path) -> Secret:
    return _secret(f"The file of {name}", _contents(name, value, base), base)


def _receiver(name: str, value: Any, base: Path) -> str:
    return _root(name, _text(name, value, base)).removesuffix("/v1/traces")


def _store(name: str, value: Any, base: Path) -> Secret:
    address = _secret(name, value, base)
    if urlsplit(address.get()).scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"{name} must look like redis://host:6379/0, rediss://… or unix://….")
    return address


def _store_file(name: str, value: Any, base: Path) -> Secret:
    return _store(f"The file of {name}", _contents(name, value, base), base)


def _database(name: str, value: Any, base: Path) -> Secret:
    address = _secret(name, value, base)
    if not address.get().startswith(("postgresql://", "sqlite:///")):
        raise ConfigError(
            f"{name} must look like postgresql://user:password@host/name or sqlite:///file."
        )
    asked = urlsplit(address.get()).query
    if asked and asked not in ("sslmode=prefer", "sslmode=verify-full", "sslmode=disable"):
        raise ConfigError(f"{name} may end in ?sslmode=prefer, verify-full or disable, no more.")
    return address


def _database_file(name: str, value: Any, base: Path) -> Secret:
    return _database(f"The file of {name}", _contents(name, value, base), base)


def _contents(name: str, value: Any, base: Path) -> str:
    try:
        return _path(name, value, base).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file of {name} cannot be read: {error}.") from error


def _keys(name: str, value: Any, base: Path) -> Mapping[str, Secret]:
    """A table in the file; `name:key` by lines or commas in the environment."""
    if isinstance(value, str):
        pairs = [item.partition(":") for item in re.split(r"[,\n]", value) if item.strip()]
        if not all(colon for _, colon, _ in pairs):
            raise ConfigError(f"{name} must hold `name:key`, one a line or with commas between.")
        value = {owner.strip(): key for owner, _, key in pairs}
    if not isinstance(value, dict) or not value:
        raise ConfigError(f'{name} must name at least one key, as in `proxy_keys.alice = "…"`.')
    for owner in value:
        if not re.fullmatch(r"[\w.@-]{1,64}", owner):
            raise ConfigError(f"{name} has a name that is not 1-64 letters, digits or . _ @ -.")
    return {owner: _secret(f"{name}, {owner},", key, base) for owner, key in value.items()}


def _keys_file(name: str, value: Any, base: Path) -> Mapping[str, Secret]:
    return _keys(f"The file of {name}", _contents(name, value, base), base)


def _path(name: str, value: Any, base: Path) -> Path:
    """Paths in a file are meant from where that file lies."""
    return (
        base
        / Path(_text(name, str(value) if isinstance(value, Path) else value, base)).expanduser()
    )


def _audit(name: str, value: Any, base: Path) -> str:
    text = _text(name, value, base)
    return text if text in ("stdout", "none") else str(_path(name, text, base))


def _whole(least: int, most: int) -> Callable[[str, Any, Path], int]:
    def read(name: str, value: Any, _: Path) -> int:
        try:
            number = int(value) if isinstance(value, str) else value
        except ValueError:
            number = None
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise ConfigError(
                f"{name} is {_shown(value)}; it must be a whole number from {least} to {most}."
            )
        return number

    return read


def _switch(name: str, value: Any, _: Path) -> bool:
    known = {"true": True, "false": False, True: True, False: False}
    if not isinstance(value, bool | str) or value not in known:
        raise ConfigError(f"{name} is {_shown(value)}; it must be true or false.")
    return known[value]


def _seconds(name: str, value: Any, _: Path) -> float:
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= 86_400:
        raise ConfigError(f"{name} is {_shown(value)}; it must be seconds, over 0, at most 86400.")
    return float(number)


def _one_of(*choices: str) -> Callable[[str, Any, Path], str]:
    def read(name: str, value: Any, base: Path) -> str:
        text = _text(name, value, base).lower()
        if text not in choices:
            raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
        return text

    return read


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


def _label(name: str, value: Any, base: Path) -> str:
    text = _text(name, value, base)
    if not re.fullmatch(r"[\w.-]{1,40}", text):
        raise ConfigError(f"{name} must be 1-40 letters, digits or . _ -.")
    return text


def _words(name: str, value: Any, base: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{name} must be a list of one name or more.")
    return tuple(_text(name, item, base) for item in value)


def _aliases(name: str, value: Any, base: Path) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value:
        raise ConfigError(f'{name} must be a table, as in `fast = "gpt-5-mini"`.')
    return {alias: _text(f"{name}, {alias},", model, base) for alias, model in value.items()}


def _protocols(name: str, value: Any, base: Path) -> tuple[Protocol, ...]:
    told = _words(name, value, base)
    for word in told:
        if word not in get_args(Protocol):
            raise ConfigError(f"{name} names {word!r}; known are {', '.join(get_args(Protocol))}.")
    return cast(tuple[Protocol, ...], told)


def _judge_root(name: str, value: Any, base: Path) -> str:
    return _root(name, _text(name, value, base))


def _band(name: str, value: Any, _: Path) -> tuple[float, float]:
    numbers = isinstance(value, list) and len(value) == 2
    if numbers and all(isinstance(it, int | float) and not isinstance(it, bool) for it in value):
        low, high = float(value[0]), float(value[1])
        if 0 <= low <= high <= 1:
            return low, high
    raise ConfigError(f"{name} must be two scores between 0 and 1, the lower first: [0.3, 0.9].")


_GIB = 1024**3
_MOST_UPSTREAMS = 32
_LONGEST_NAME = 256
_READERS: Mapping[str, Callable[[str, Any, Path], Any]] = {
    "listen": _listen,
    "upstream": _upstream,
    "upstream_key": _secret,
    "upstream_key_file": _secret_file,
    "upstreams": _upstreams,
    "seal_key": _secret,
    "seal_key_file": _secret_file,
    "metrics_key": _secret,
    "metrics_key_file": _secret_file,
    "traces": _receiver,
    "shared": _store,
    "shared_file": _store_file,
    "shared_wait": _seconds,
    "proxy_keys": _keys,
    "proxy_keys_file": _keys_file,
    "repair": _switch,
    "policy": _path,
    "audit": _audit,
    "audit_max_bytes": _whole(1024, 1024 * _GIB),
    "audit_backups": _whole(1, 1000),
    "audit_days": _whole(0, 36_500),
    "audit_database": _database,
    "audit_database_file": _database_file,
    "capture": _path,
    "capture_key": _text,
    "capture_days": _whole(1, 3_650),
    "capture_max_bytes": _whole(1024**2, 1024 * _GIB),
    "database": _database,
    "database_file": _database_file,
    "cache_dir": _path,
    "cache_entries": _whole(1, 10_000_000),
    "workers": _whole(1, 256),
    "body_limit": _whole(1024, 4 * _GIB),
    "held_limit": _whole(1024, 4 * _GIB),
    "connect_timeout": _seconds,
    "read_timeout": _seconds,
    "drain_timeout": _seconds,
    "health_listen": _listen,
    "keep_alive": _seconds,
    "knowledge": _path,
    "feedback": _path,
    "judge": _judge,
    "log_level": _one_of("debug", "info", "warning", "error"),
    "log_format": _one_of("text", "json"),
}
_JUDGE_READERS: Mapping[str, Callable[[str, Any, Path], Any]] = {
    "model": _text,
    "base_url": _judge_root,
    "api_key_file": _secret_file,
    "api_key_env": _text,
    "mode": _one_of("fast", "faithful"),
    "timeout": _seconds,
    "per_minute": _whole(1, 1_000_000),
    "uncertain": _band,
}
_UPSTREAM_READERS: Mapping[str, Callable[[str, Any, Path], Any]] = {
    "name": _label,
    "upstream": _upstream,
    "models": _words,
    "aliases": _aliases,
    "protocols": _protocols,
    "key_file": _secret_file,
    "key_env": _text,
    "fallbacks": _words,
}
SETTINGS: Final = tuple(_READERS)
"""Every key that a config file may hold."""
