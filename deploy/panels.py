"""Panels of the dashboard as data, and the kinds of panel that `rows.py` is made of.

The queries of all of them are narrowed by `$job` to some deployments.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["stat", "series", "stacked", "bars"]
Unit = Literal["reqps", "percentunit", "s", "short", "ops", "none"]

WIDTH: Final = 24
"""Columns of a Grafana dashboard."""


@dataclass(frozen=True, slots=True)
class Query:
    """One PromQL expression and what its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture."""

    title: str
    about: str
    """What a person on call reads behind the small `i`."""
    queries: Sequence[Query]
    kind: Kind = "series"
    unit: Unit = "short"
    width: int = 8
    height: int = 8
    warn: float | None = None
    """From this value on it is yellow."""
    alarm: float | None = None
    """From this value on it is red."""
    log: bool = False
    """Values of several magnitudes side by side."""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    panels: Sequence[Panel]


def rate(metric: str, by: str = "", only: str = "") -> str:
    """Events a second, by labels; `only` narrows them."""
    chosen = ", ".join(part for part in ('job=~"$job"', only) if part)
    grouped = f"sum by ({by})" if by else "sum"
    return f"{grouped} (rate({metric}{{{chosen}}}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str, only: str = "") -> str:
    """A quantile of a histogram, in seconds."""
    return f"histogram_quantile({share}, {rate(metric + '_bucket', f'le, {by}', only)})"


def recorded(name: str, by: str, only: str = "") -> str:
    """What a recording rule keeps of each deployment; the worst of several."""
    chosen = ", ".join(part for part in ('job=~"$job"', only) if part)
    return f"max by ({by}) ({name}{{{chosen}}})"


def tile(
    title: str,
    about: str,
    expr: str,
    unit: Unit = "short",
    *,
    warn: float | None = None,
    alarm: float | None = None,
) -> Panel:
    """One number."""
    return Panel(
        title=title,
        about=about,
        queries=[Query(expr)],
        kind="stat",
        unit=unit,
        width=4,
        height=4,
        warn=warn,
        alarm=alarm,
    )


def split(
    title: str,
    about: str,
    metric: str,
    by: str,
    only: str = "",
    *,
    unit: Unit = "ops",
    width: int = 8,
    kind: Kind = "stacked",
) -> Panel:
    """Events a second, told apart by labels."""
    legend = " · ".join(f"{{{{{label}}}}}" for label in by.split(", "))
    queries = [Query(rate(metric, by, only), legend)]
    return Panel(title=title, about=about, queries=queries, kind=kind, unit=unit, width=width)


def top(title: str, label: str, only: str = "", before: str = "") -> Panel:
    """The ten that were found most often."""
    chosen = ", ".join(part for part in ('job=~"$job"', only) if part)
    counted = f"sum by ({label}) (increase(bluecode_findings_total{{{chosen}}}[1h]))"
    queries = [Query(f"topk(10, {counted})", f"{before}{{{{{label}}}}}")]
    return Panel(title=title, about="Over the last hour.", queries=queries, kind="bars", width=12)


def stages(title: str, part: str) -> Panel:
    """All stages side by side."""
    return Panel(
        title=title,
        about="`screening`, `checking` and `repair` are BlueCode; `upstream` is the provider until"
        " its answer begins. `request` is all of it, `held` code on hold: both with what the"
        " provider takes to write.",
        queries=[Query(recorded(f"bluecode:stage_seconds:{part}", "stage"), "{{stage}}")],
        unit="s",
        log=True,
    )


def burn(title: str, about: str, kind: str) -> Panel:
    """How fast the budget of an objective is used up."""
    spans = (("5m", "5 minutes"), ("1h", "1 hour"), ("6h", "6 hours"))
    return Panel(
        title=f"Burn of the error budget: {title}",
        about=f"{about} At 1 the budget lasts the 30 days; at 14.4 it is gone in two.",
        queries=[
            Query(recorded(f"bluecode:{kind}:burn{span}", "job"), f"{told} · {{{{job}}}}")
            for span, told in spans
        ],
        width=12,
        warn=1,
        alarm=14.4,
    )


def share(part: str, whole: str) -> str:
    """A ratio that is 0 where nothing happened."""
    return f"({part} or vector(0)) / clamp_min({whole}, 1e-9)"


def under_policy(only: str) -> str:
    """Requests a second, by the policy in force on the replica that had them."""
    asked = f'rate(bluecode_requests_total{{job=~"$job", {only}}}[$__rate_interval])'
    named = 'max by (job, instance, policy) (bluecode_policy_info{job=~"$job"})'
    return f"sum by (policy) ({asked} * on (job, instance) group_left (policy) {named})"
