"""What one setting may be: each reader takes a value as it was given, and says what is wrong with
it.

A reader is told the name under which the setting was given and the folder from which paths are
meant; it raises `ConfigError`.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast, get_args
from urllib.parse import urlsplit

Protocol = Literal["openai", "anthropic", "gemini", "ollama"]


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


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def as_text(name: str, value: Any, _: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{name} is {_shown(value)}; it must be a text that is not empty.")
    return value.strip()


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str | int | float) else f"a {type(value).__name__}"


def as_listen(name: str, value: Any, base: Path) -> str:
    text = as_text(name, str(value) if isinstance(value, int) else value, base)
    try:
        host, port = host_and_port(text)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise ConfigError(f"{name} is {text!r}; it must look like 127.0.0.1:8787, or be a port.")
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def host_and_port(text: str) -> tuple[str, int]:
    """Of an address that was read before."""
    host, _, port = text.rpartition(":")
    return host.removeprefix("[").removesuffix("]") or "127.0.0.1", int(port)


def as_upstream(name: str, value: Any, base: Path) -> str:
    text = as_text(name, value, base)
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


def as_secret(name: str, value: Any, _: Path) -> Secret:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{name} must be a key, as a text that is not empty.")
    if not value.strip().isprintable() or not value.strip().isascii():
        raise ConfigError(f"{name} holds characters that no HTTP header can carry.")
    return Secret(value.strip())


def as_secret_file(name: str, value: Any, base: Path) -> Secret:
    return as_secret(f"The file of {name}", _contents(name, value, base), base)


def as_receiver(name: str, value: Any, base: Path) -> str:
    return _root(name, as_text(name, value, base)).removesuffix("/v1/traces")


def as_store(name: str, value: Any, base: Path) -> Secret:
    address = as_secret(name, value, base)
    if urlsplit(address.get()).scheme not in ("redis", "rediss", "unix"):
        raise ConfigError(f"{name} must look like redis://host:6379/0, rediss://… or unix://….")
    return address


def as_store_file(name: str, value: Any, base: Path) -> Secret:
    return as_store(f"The file of {name}", _contents(name, value, base), base)


def as_database(name: str, value: Any, base: Path) -> Secret:
    address = as_secret(name, value, base)
    if not address.get().startswith(("postgresql://", "sqlite:///")):
        raise ConfigError(
            f"{name} must look like postgresql://user:password@host/name or sqlite:///file."
        )
    asked = urlsplit(address.get()).query
    if asked and asked not in ("sslmode=prefer", "sslmode=verify-full", "sslmode=disable"):
        raise ConfigError(f"{name} may end in ?sslmode=prefer, verify-full or disable, no more.")
    return address


def as_database_file(name: str, value: Any, base: Path) -> Secret:
    return as_database(f"The file of {name}", _contents(name, value, base), base)


def _contents(name: str, value: Any, base: Path) -> str:
    try:
        return as_path(name, value, base).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file of {name} cannot be read: {error}.") from error


def as_keys(name: str, value: Any, base: Path) -> Mapping[str, Secret]:
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
    return {owner: as_secret(f"{name}, {owner},", key, base) for owner, key in value.items()}


def as_keys_file(name: str, value: Any, base: Path) -> Mapping[str, Secret]:
    return as_keys(f"The file of {name}", _contents(name, value, base), base)


def as_path(name: str, value: Any, base: Path) -> Path:
    """Paths in a file are meant from where that file lies."""
    return (
        base
        / Path(as_text(name, str(value) if isinstance(value, Path) else value, base)).expanduser()
    )


def as_audit(name: str, value: Any, base: Path) -> str:
    text = as_text(name, value, base)
    return text if text in ("stdout", "none") else str(as_path(name, text, base))


def as_whole(least: int, most: int) -> Callable[[str, Any, Path], int]:
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


def as_switch(name: str, value: Any, _: Path) -> bool:
    known = {"true": True, "false": False, True: True, False: False}
    if not isinstance(value, bool | str) or value not in known:
        raise ConfigError(f"{name} is {_shown(value)}; it must be true or false.")
    return known[value]


def as_seconds(name: str, value: Any, _: Path) -> float:
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        number = None
    if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number <= 86_400:
        raise ConfigError(f"{name} is {_shown(value)}; it must be seconds, over 0, at most 86400.")
    return float(number)


def as_one_of(*choices: str) -> Callable[[str, Any, Path], str]:
    def read(name: str, value: Any, base: Path) -> str:
        text = as_text(name, value, base).lower()
        if text not in choices:
            raise ConfigError(f"{name} is {value!r}; it must be one of {', '.join(choices)}.")
        return text

    return read


def as_label(name: str, value: Any, base: Path) -> str:
    text = as_text(name, value, base)
    if not re.fullmatch(r"[\w.-]{1,40}", text):
        raise ConfigError(f"{name} must be 1-40 letters, digits or . _ -.")
    return text


def as_words(name: str, value: Any, base: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{name} must be a list of one name or more.")
    return tuple(as_text(name, item, base) for item in value)


def as_aliases(name: str, value: Any, base: Path) -> Mapping[str, str]:
    if not isinstance(value, dict) or not value:
        raise ConfigError(f'{name} must be a table, as in `fast = "gpt-5-mini"`.')
    return {alias: as_text(f"{name}, {alias},", model, base) for alias, model in value.items()}


def as_protocols(name: str, value: Any, base: Path) -> tuple[Protocol, ...]:
    told = as_words(name, value, base)
    for word in told:
        if word not in get_args(Protocol):
            raise ConfigError(f"{name} names {word!r}; known are {', '.join(get_args(Protocol))}.")
    return cast(tuple[Protocol, ...], told)


def as_judge_root(name: str, value: Any, base: Path) -> str:
    return _root(name, as_text(name, value, base))


def as_band(name: str, value: Any, _: Path) -> tuple[float, float]:
    numbers = isinstance(value, list) and len(value) == 2
    if numbers and all(isinstance(it, int | float) and not isinstance(it, bool) for it in value):
        low, high = float(value[0]), float(value[1])
        if 0 <= low <= high <= 1:
            return low, high
    raise ConfigError(f"{name} must be two scores between 0 and 1, the lower first: [0.3, 0.9].")
