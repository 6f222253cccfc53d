"""How commands print: tables for people, JSON for programs."""

import json
import sys
from collections.abc import Collection
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

WIDTH: Final = 160
"""Columns where the output goes to no terminal."""


def console(width: int = WIDTH) -> Console:
    """Standard output."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else width)


def table(*columns: str, whole: Collection[str] = ()) -> Table:
    """An empty table; the columns in `whole` are never broken into lines."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, no_wrap=column in whole, overflow="fold")
    return made


def print_json(value: Any) -> None:
    """One value on standard output."""
    print(json.dumps(value, indent=2, ensure_ascii=False))
