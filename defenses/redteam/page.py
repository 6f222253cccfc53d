"""The report as one HTML page: figures as bars with their intervals, survivors as text.

Nothing is fetched; plots are inline SVG. Every text of an attack is escaped, and a strict content
policy forbids scripts: an attack must not run in the report of those who look at it.
"""

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bluecode.defenses.redteam.records import Record
from bluecode.defenses.redteam.summary import Rate, Row, Summary

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --paper: #fbfbf9; --line: #d5d8dc;
  --bad: #b3423a; --mild: #d9a441; --good: #3b7d5a; --soft: #6b7480; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #16191d;
  --line: #3a4048; --soft: #9aa3ad; } }
body { margin: 0 auto; max-width: 68rem; padding: 2rem 1.2rem 4rem; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .6rem; }
p { max-width: 46rem; } .soft { color: var(--soft); } .tiles { display: flex; flex-wrap: wrap;
  gap: .8rem; margin: 1.2rem 0; } .tile { border: 1px solid var(--line); border-radius: 6px;
  padding: .7rem 1rem; min-width: 11rem; } .tile b { display: block; font-size: 1.5rem; }
svg text { fill: var(--ink); font: 11px system-ui, sans-serif; } svg .soft { fill: var(--soft); }
details { border: 1px solid var(--line); border-radius: 6px; padding: .4rem .8rem;
  margin: .4rem 0; } summary { cursor: pointer; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font-size: 13px; max-height: 22rem;
  overflow: auto; } .plots { columns: 2 30rem; column-gap: 2rem; }
.plots section { break-inside: avoid; padding-bottom: 1.4rem; }
.plots h2 { margin: 0 0 .4rem; } .plots svg { display: block; width: 100%; height: auto; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; margin: .4rem 0 1.6rem; }
.key i { display: inline-block; width: .9rem; height: .6rem; border-radius: 2px;
  margin-right: .4rem; }
"""
_TITLES: Final[Mapping[str, str]] = {
    "generator": "By generator",
    "task": "By risk",
    "channel": "By channel",
    "register": "By way of speaking",
    "place": "By hiding place",
}
_LONGEST: Final = 3_000
"""Characters of a survivor that are shown."""


def render(summary: Summary, plan: Mapping[str, Any]) -> str:
    """The whole page."""
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        "<meta name='viewport' content='width=device-width, initial-scale=1'>",
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none';"
        " style-src 'unsafe-inline'\">",
        f"<title>BlueCode red team</title><style>{_STYLE}</style></head><body>",
        "<h1>BlueCode red team</h1>",
        f"<p class='soft'>{_told(plan)}</p>",
        _tiles(summary),
        "<p>Shorter is better, whatever the colour. The thin line is the 95 % interval of a share,"
        " which speaks of further cases of the same generators.</p>",
        _key(),
        "<div class='plots'>",
        *(_group(title, summary.rows.get(name, ())) for name, title in _TITLES.items()),
        *_categories(summary),
        "</div>",
        _section("Operators: rewritten texts that passed", summary.kinds, summary.operators),
        _pair_section(summary),
        _survivors(summary.survivors),
        _failed(summary.failures),
        "</body></html>",
    ]
    return "\n".join(part for part in parts if part)


def _told(plan: Mapping[str, Any]) -> str:
    keys = ("target", "policy", "engine", "seed", "count")
    return html.escape(", ".join(f"{key} {plan[key]}" for key in keys if key in plan))


def _tiles(summary: Summary) -> str:
    row = summary.overall
    tiles = [
        ("plain attacks passed", row.plain),
        ("passed after search", row.searched),
        ("lawful texts stopped", row.lawful),
    ]
    for name in ("verified", "missed", "alarmed"):
        found = summary.pairs.get(f"{name} by language", ())
        total = Rate(sum(r.part for _, r in found), sum(r.whole for _, r in found))
        told = {
            "verified": "vulnerability pairs verified",
            "missed": "unsafe twins missed",
            "alarmed": "safe twins alarmed",
        }
        tiles.append((told[name], total))
    return "<div class='tiles'>" + "".join(_tile(*tile) for tile in tiles) + "</div>"


def _tile(name: str, rate: Rate) -> str:
    figure = rate.figure
    shown = "–" if figure is None else f"{figure.value:.1%}"
    told = "" if figure is None else f"{figure.low:.1%} to {figure.high:.1%}, "
    counts = f"{told}{rate.part} of {rate.whole}"
    return f"<div class='tile'>{name}<b>{shown}</b><span class='soft'>{counts}</span></div>"


_KINDS: Final[Sequence[tuple[str, str, Callable[[Row], Rate]]]] = (
    ("attacks as they were first said, that passed", "--bad", lambda row: row.plain),
    ("wishes of which some rewriting passed", "--mild", lambda row: row.searched),
    ("lawful texts in nearly the same words, that were stopped", "--good", lambda row: row.lawful),
)
"""What is told of a group, with its colour."""


def _key() -> str:
    told = "".join(
        f"<span><i style='background: var({colour})'></i>{name}</span>"
        for name, colour, _ in _KINDS
    )
    return f"<div class='key'>{told}</div>"


def _categories(summary: Summary) -> list[str]:
    """A plot for each risk: all in one would be longer than a screen."""
    rows: dict[str, list[Row]] = {}
    for row in summary.rows.get("category", ()):
        task, _, category = row.name.partition(".")
        rows.setdefault(task, []).append(replace(row, name=category))
    return [_group(f"By category: {task}", own) for task, own in rows.items()]


def _group(title: str, rows: Sequence[Row]) -> str:
    bars: list[Bar] = []
    for row in sorted(rows, key=lambda item: -_value(item.plain)):
        told = [(rate, colour) for _, colour, of in _KINDS if (rate := of(row)).whole]
        bars += [(row.name if at == 0 else "", *each) for at, each in enumerate(told)]
    return f"<section><h2>{title}</h2>{chart(bars)}</section>" if bars else ""


def _value(rate: Rate) -> float:
    return rate.part / rate.whole if rate.whole else 0.0


def _section(title: str, *tables: Sequence[tuple[str, Rate]]) -> str:
    charts = [chart([(name, rate, "--mild") for name, rate in table]) for table in tables if table]
    if not charts:
        return ""
    inner = "".join(f"<section>{plot}</section>" for plot in charts)
    return f"<h2>{title}</h2><div class='plots'>{inner}</div>"


def _pair_section(summary: Summary) -> str:
    shown = []
    for name, table in summary.pairs.items():
        if table:
            colour = "--good" if name.startswith("verified") else "--bad"
            bars = [(key, rate, colour) for key, rate in table]
            shown.append(f"<section><h2>Pairs {name}</h2>{chart(bars)}</section>")
    return f"<div class='plots'>{''.join(shown)}</div>" if shown else ""


_LABEL, _WIDTH, _COUNTS = 170, 220, 100
"""Width of the names, of the longest bar, and of the figures behind it."""
_HIGH, _APART = 15, 7
"""Height of a bar's line, and what stands between two groups of them."""
_LONGEST_NAME = 26
Bar = tuple[str, Rate, str]
"""Name (empty for a further bar of the same group), share and colour."""


def chart(bars: Sequence[Bar]) -> str:
    """Horizontal bars, each with its interval and its counts, a name for each group of them."""
    drawn, top = [], 0
    for at, bar in enumerate(bars):
        top += _APART if at and bar[0] else 0
        drawn.append(_bar(top, *bar))
        top += _HIGH
    size = f"{_LABEL + _WIDTH + _COUNTS} {top + 4}"
    return f"<svg role='img' viewBox='0 0 {size}'>{''.join(drawn)}</svg>"


def _bar(top: int, name: str, rate: Rate, colour: str) -> str:
    figure = rate.figure
    label = name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
    text = f"<text x='{_LABEL - 8}' y='{top + 12}' text-anchor='end'>{html.escape(label)}</text>"
    if figure is None:
        return text
    low, high = (_LABEL + _WIDTH * end for end in (figure.low, figure.high))
    middle = top + 8
    counts = f"{figure.value:.0%} ({rate.part}/{rate.whole})"
    return (
        f"{text if name else ''}"
        f"<rect x='{_LABEL}' y='{top + 3}' width='{_WIDTH * figure.value:.1f}' height='10'"
        f" rx='2' fill='var({colour})' opacity='.85'/>"
        f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{middle}' y2='{middle}'"
        " stroke='var(--ink)' stroke-width='1'/>"
        f"<text class='soft' x='{_LABEL + _WIDTH + 8}' y='{top + 12}'>{counts}</text>"
    )


def _survivors(records: Iterable[Record]) -> str:
    items = "".join(_survivor(record) for record in records)
    return f"<h2>Strongest surviving attacks</h2>{items}" if items else ""


def _survivor(record: Record) -> str:
    attack = record.attack
    way = " → ".join(attack.operators) or "as it was said"
    head = f"{attack.task}.{attack.category} · {attack.channel} · {way}"
    text = attack.text if len(attack.text) <= _LONGEST else attack.text[:_LONGEST] + " …"
    return (
        f"<details><summary>{html.escape(head)} <span class='soft'>pressure"
        f" {record.heard.pressure:.2f}</span></summary><pre>{html.escape(text)}</pre></details>"
    )


def _failed(failures: Mapping[str, int]) -> str:
    if not failures:
        return ""
    items = "".join(f"<li>{html.escape(why)}: {count}</li>" for why, count in failures.items())
    return f"<h2>Could not be tried</h2><ul>{items}</ul>"


def curve(title: str, lines: Mapping[str, Sequence[float]]) -> str:
    """A plot of shares over rounds as an SVG file of its own; round 0 is before the first."""
    colours = ("#b3423a", "#d9a441", "#3b7d5a", "#3f6fb0", "#7d4fa3", "#6b7480", "#0f8b8d")
    left, top, wide, high = 46, 34, 420, 220
    rounds = max((len(values) for values in lines.values()), default=1) - 1 or 1
    most = max((value for values in lines.values() for value in values), default=1.0) or 1.0
    limit = min(1.0, most * 1.1)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' width='720' height='{top + high + 40}'"
        " font-family='system-ui, sans-serif' font-size='12'>"
        f"<rect width='720' height='{top + high + 40}' fill='#fff'/>"
        f"<text x='{left}' y='18' font-size='14'>{html.escape(title)}</text>"
    ]
    for step in range(5):
        y = top + high - high * step / 4
        parts.append(
            f"<line x1='{left}' x2='{left + wide}' y1='{y}' y2='{y}' stroke='#ddd'/>"
            f"<text x='{left - 6}' y='{y + 4}' text-anchor='end'>{limit * step / 4:.0%}</text>"
        )
    for number in range(rounds + 1):
        x = left + wide * number / rounds
        parts.append(
            f"<text x='{x:.1f}' y='{top + high + 18}' text-anchor='middle'>{number}</text>"
        )
    for at, (name, values) in enumerate(lines.items()):
        colour = colours[at % len(colours)]
        points = " ".join(
            f"{left + wide * number / rounds:.1f},{top + high - high * value / limit:.1f}"
            for number, value in enumerate(values)
        )
        parts.append(
            f"<polyline fill='none' stroke='{colour}' stroke-width='2' points='{points}'/>"
            f"<text x='{left + wide + 12}' y='{top + 14 + 18 * at}' fill='{colour}'>"
            f"{html.escape(name)}</text>"
        )
    parts.append(
        f"<text x='{left + wide / 2}' y='{top + high + 34}' text-anchor='middle'>round</text></svg>"
    )
    return "\n".join(parts) + "\n"
