"""`bluecode setup`: the exact settings that point an assistant at BlueCode, printed or written."""

import difflib
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bluecode.proxy import settings_file
from bluecode.proxy.assistants import Assistant, Target, known
from bluecode.proxy.config import Config, ConfigError

MODEL = "MODEL"
"""Stands where a model's name goes."""
_WIDE = 110


def url_of(config: Config) -> str:
    """Where a client on this machine reaches a BlueCode with these settings."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"


def run(
    config: Config, name: str | None, *, url: str | None, model: str | None, writing: bool
) -> int:
    """Show all assistants, or one's settings; write them where that is asked for."""
    target = Target.read(url or url_of(config), model or MODEL)
    console = Console(highlight=False, soft_wrap=name is not None)
    if name is None:
        if writing:
            raise ConfigError("`--write` needs the name of an assistant.")
        _show_all(console, target)
        return 0
    assistant = _found(name)
    if writing:
        _write(console, assistant, target)
    else:
        _show(console, assistant, target)
    return 0


def _found(name: str) -> Assistant:
    assistants = known()
    if name in assistants:
        return assistants[name]
    close = difflib.get_close_matches(name, assistants, n=1)
    told = f"; the nearest is `{close[0]}`" if close else f"; known are {', '.join(assistants)}"
    raise ConfigError(f"`{name}` is no assistant that BlueCode knows{told}.")


def _show_all(console: Console, target: Target) -> None:
    wide = console.width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for title in ("Name", "Assistant", "Base URL" if wide else "URL", "Set by"):
        table.add_column(title, no_wrap=True)
    if wide:
        table.add_column("Protocol")
    for name, item in known().items():
        by = "file, or --write" if item.format is not None else item.by
        url = item.url(target) if wide else item.url(Target("…", target.model))
        row: list[str | Text] = [Text(name, "cyan"), item.title, url, by]
        table.add_row(*row, *([item.protocol] if wide else []))
    console.print(table)
    told = f"BlueCode is at {target.root}. `bluecode setup NAME` prints the exact settings."
    console.print(Text(told, "dim"))


def _show(console: Console, assistant: Assistant, target: Target) -> None:
    console.print(Text(assistant.title, "bold"))
    if assistant.file:
        console.print(Text(f"In {assistant.file}:", "dim"))
    print()
    print(assistant.settings_for(target))
    print()
    _remarks(console, assistant, target)


def _remarks(console: Console, assistant: Assistant, target: Target) -> None:
    if assistant.public and target.local:
        warning = f"{target.root} is local: give a public address by --url."
        console.print(Text(warning, "bold yellow"))
    if assistant.note:
        console.print(Text(assistant.note_for(target)))
    if assistant.format is not None:
        told = f"`bluecode setup {assistant.name} --write` adds this to the file."
        console.print(Text(told, "dim"))


def _write(console: Console, assistant: Assistant, target: Target) -> None:
    if assistant.format is None:
        raise ConfigError(
            f"The settings of {assistant.title} are no file that BlueCode can edit;"
            f" `bluecode setup {assistant.name}` prints them."
        )
    if target.model == MODEL and "<model>" in assistant.settings:
        raise ConfigError("`--write` needs `--model`, the model's name.")
    path = Path(assistant.file).expanduser()
    kept = settings_file.write(path, assistant.settings_for(target), assistant.format)
    console.print(f"{path} points {assistant.title} at {assistant.url(target)}.")
    if kept is not None:
        console.print(Text(f"The file as it was is {kept}.", "dim"))
    if assistant.note:
        console.print(Text(assistant.note_for(target)))
