"""The demo's table: request, what was found, what the sandbox saw, action, time.

On a narrow terminal what was found and what was seen share a column, so that nothing is cut off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, Group
from rich.markdown import Markdown
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from bluecode.proxy.demo import Answered

_WIDE = 110
_ACTIONS = {"allow": ("passed", "green"), "warn": ("noted", "yellow"), "block": ("blocked", "red")}
_OUTCOMES = {
    "confirmed": ("confirmed", "red"),
    "refuted": ("refuted", "green"),
    "not_testable": ("not testable", "dim"),
}
_STREAMED = "≈"
_LONGEST = 160


def show(console: Console, answers: Sequence[Answered]) -> None:
    """Print the table, one note as an assistant shows it, and how to go on."""
    console.print()
    console.print(_table(answers, wide=console.width >= _WIDE))
    console.print(_summary(answers))
    if note := next((item for item in answers if item.right and item.action == "block"), None):
        console.print()
        console.print(_note(note))
    console.print()
    console.print(_next_steps())


def _table(answers: Sequence[Answered], *, wide: bool) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        expand=True,
        pad_edge=False,
        collapse_padding=True,
        header_style="bold",
        caption=f"{_STREAMED} streamed",
        caption_justify="left",
    )
    table.add_column("", width=1, style="dim")
    table.add_column("Request", width=24 if wide else 22)
    if wide:
        table.add_column("Found", width=34)
        table.add_column("Evidence", ratio=1)
    else:
        table.add_column("Found and evidence", ratio=1)
    table.add_column("Action", no_wrap=True, width=9)
    table.add_column("ms", justify="right", no_wrap=True, width=4)
    for answer in answers:
        found, seen = _found(answer), _evidence(answer)
        cells = [found, seen] if wide else [Group(found, seen) if seen.plain else found]
        time = Text(f"{answer.milliseconds:.0f}", style="dim")
        table.add_row(
            _STREAMED if answer.asked.streamed else "",
            answer.asked.title,
            *cells,
            _action(answer),
            time,
        )
    return table


def _found(answer: Answered) -> Text:
    worst = _worst(answer.findings)
    if worst is None:
        unseen = ", ".join(answer.unseen)
        return Text(f"not checked: {unseen}" if unseen else "nothing", style="dim")
    parts = [str(worst["category"]).replace("_", " ")]
    if worst["cwe"] is not None:
        parts.append(f"CWE-{worst['cwe']}")
    if worst["span"]:
        parts.append(f"line {worst['span'][0]}")
    return Text(" · ".join(parts))


def _evidence(answer: Answered) -> Text:
    worst = _worst(answer.findings)
    evidence = (worst or {}).get("evidence") or {}
    if outcome := evidence.get("outcome"):
        word, style = _OUTCOMES[outcome]
        told = f": {_short(evidence['observed'])}" if evidence.get("observed") else ""
        return Text.assemble((word, style), told)
    if principle := evidence.get("principle"):
        case = (evidence.get("cases") or [None])[0]
        return Text(f"against {principle}" + (f", as in case {case}" if case else ""))
    return Text(str(worst["reason"])) if worst else Text("")


def _worst(findings: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The surest finding; a remark below even odds that was not tried out is none."""
    telling = [it for it in findings if float(it["score"]) >= 0.5 or it.get("evidence")]
    return max(telling, key=lambda found: float(found["score"]), default=None)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _action(answer: Answered) -> Text:
    word, style = _ACTIONS.get(answer.action, (answer.action, "magenta"))
    sign = ("✓ ", "green") if answer.right else ("✗ ", "bold red")
    return Text.assemble(sign, (word, style))


def _summary(answers: Sequence[Answered]) -> Text:
    right = sum(answer.right for answer in answers)
    if right == len(answers):
        return Text(f"All {right} verdicts are as expected.", style="green")
    wrong = ", ".join(answer.asked.title for answer in answers if not answer.right)
    return Text(f"{right} of {len(answers)} verdicts are as expected. Not: {wrong}.", "bold red")


def _note(answer: Answered) -> Panel:
    title = f"What the assistant shows for “{answer.asked.title}”"
    return Panel(Markdown(answer.text), title=title, title_align="left", border_style="dim")


def _next_steps() -> Group:
    return Group(
        Text("Now in front of a real model, with any assistant:", style="bold"),
        Text("  bluecode serve --upstream https://api.openai.com/v1", style="cyan"),
        Text("  export OPENAI_BASE_URL=http://127.0.0.1:8787/v1", style="cyan"),
        Text("  aider --openai-api-base http://127.0.0.1:8787/v1 --model openai/MODEL", "cyan"),
    )
