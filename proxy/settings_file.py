"""An assistant's settings file: read, added to, and written with the old one kept beside it.

What is there stays, key by key; where two differ, the new value is taken. A file that cannot be
changed without losing something of it (comments in JSON, YAML that exists) is left alone.
"""

import json
import os
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bluecode.proxy.config import ConfigError

_TOP_LEVEL_END = re.compile(r"^\s*\[", re.MULTILINE)


def write(path: Path, settings: str, style: str) -> Path | None:
    """Add settings to a file; where the old one was kept, None for none. Raises `ConfigError`."""
    try:
        old = path.read_text("utf-8") if path.exists() else None
        new = (
            settings + "\n" if old is None or not old.strip() else _ADD[style](path, old, settings)
        )
        if new == old:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = None if old is None else _keep(path, old)
        _replace(path, new)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"`{path}` cannot be changed: {error}.") from error
    return kept


def _keep(path: Path, old: str) -> Path:
    """A copy beside it, under a name that no file has."""
    number = 1
    while True:
        kept = path.with_name(f"{path.name}.before-bluecode{'' if number == 1 else f'-{number}'}")
        try:
            descriptor = os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            number += 1
            continue
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(old)
        return kept


def _replace(path: Path, text: str) -> None:
    """Whole or not at all; a link stays a link, and the file's mode stays its own."""
    target = path.resolve()
    mode = target.stat().st_mode & 0o777 if target.exists() else 0o600
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(name, mode)
    os.replace(name, target)


def _add_json(path: Path, old: str, settings: str) -> str:
    try:
        given = json.loads(old)
    except ValueError as error:
        raise _by_hand(path, "it is not plain JSON (comments?)") from error
    if not isinstance(given, dict):
        raise _by_hand(path, "it holds no object")
    wanted = merged(given, json.loads(settings))
    if wanted == given:
        return old
    return json.dumps(wanted, indent=2, ensure_ascii=False) + "\n"


def _add_toml(path: Path, old: str, settings: str) -> str:
    """Keys go to the top, tables to the end, all else stays as it is, comments included."""
    try:
        given = tomllib.loads(old)
    except tomllib.TOMLDecodeError as error:
        raise _by_hand(path, f"it is not valid TOML ({error})") from error
    wanted = merged(given, tomllib.loads(settings))
    if wanted == given:
        return old
    head, tables = _split(settings)
    mine, theirs = _split(old)
    for line in head.splitlines():
        if key := line.partition("=")[0].strip():
            mine = re.sub(rf"^{re.escape(key)}\s*=.*\n?", "", mine, flags=re.MULTILINE)
    for name in re.findall(r"^\[([\w.]+)\]", tables, re.MULTILINE):
        theirs = re.sub(rf"^\[{re.escape(name)}\][^\[]*", "", theirs, flags=re.MULTILINE)
    parts = (head.strip(), mine.strip(), theirs.strip(), tables.strip())
    new = "\n\n".join(part for part in parts if part) + "\n"
    if _parsed(new) != wanted:
        raise _by_hand(path, "its form is one that BlueCode does not dare to change")
    return new


def _split(text: str) -> tuple[str, str]:
    """What stands before the first table, and the rest."""
    found = _TOP_LEVEL_END.search(text)
    return (text, "") if found is None else (text[: found.start()], text[found.start() :])


def _parsed(text: str) -> Any:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _add_yaml(path: Path, old: str, settings: str) -> str:
    if settings in old:
        return old
    raise _by_hand(path, "it exists, and BlueCode adds nothing to YAML")


def _by_hand(path: Path, why: str) -> ConfigError:
    return ConfigError(f"`{path}` was left alone: {why}. Add the settings by hand.")


def merged(given: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where both have an object, both again, else the second's value."""
    both = dict(given)
    for key, value in more.items():
        mine = both.get(key)
        if isinstance(mine, dict) and isinstance(value, dict):
            both[key] = merged(mine, value)
        else:
            both[key] = value
    return both


_ADD: Mapping[str, Callable[[Path, str, str], str]] = {
    "json": _add_json,
    "toml": _add_toml,
    "yaml": _add_yaml,
}
