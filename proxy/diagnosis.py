"""What the doctor says of one part, and the table that it makes of all of them."""

from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.text import Text

from bluecode.proxy import printing

State = Literal["ok", "note", "failed"]
_SIGNS = {"ok": ("✓", "green"), "note": ("•", "yellow"), "failed": ("✗", "bold red")}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part."""

    part: str
    state: State
    """`failed`: something that is needed does not work; `note`: worth knowing, and no failure."""
    told: str


def show(console: Console, found: list[Finding]) -> None:
    """The table, and one line that sums up."""
    table = printing.table("", "Part", "Found", whole={"", "Part"})
    for item in found:
        sign, color = _SIGNS[item.state]
        table.add_row(Text(sign, color), item.part, Text(item.told))
    console.print(table)
    failed = [item.part for item in found if item.state == "failed"]
    if failed:
        console.print(Text(f"Needed and not working: {', '.join(failed)}.", "bold red"))
    else:
        console.print(Text("All that is needed works.", "green"))
