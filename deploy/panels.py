"""What the dashboard shows, as data: rows of panels, each with its queries.

Every metric and label here is one of `bluecode.proxy.metrics`; a test runs each query against a
Prometheus that has scraped a BlueCode under load. `$job` narrows all of them to some deployments.
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


def share(part: str, whole: str) -> str:
    """A ratio that is 0 where nothing happened."""
    return f"({part} or vector(0)) / clamp_min({whole}, 1e-9)"


_ASKED = rate("bluecode_requests_total", only='decision!="passed"')
_BLOCKED = rate("bluecode_requests_total", only='decision="block"')
_LOOKS = rate("bluecode_detector_seconds_count")

OVERVIEW = Row(
    "At a glance",
    [
        Panel(
            title="Requests",
            about="Chat requests a second.",
            queries=[Query(_ASKED)],
            kind="stat",
            unit="reqps",
            width=4,
            height=4,
        ),
        Panel(
            title="Blocked",
            about="Share of chat requests that BlueCode blocked in prompt or code.",
            queries=[Query(share(_BLOCKED, _ASKED))],
            kind="stat",
            unit="percentunit",
            width=4,
            height=4,
            warn=0.05,
            alarm=0.2,
        ),
        Panel(
            title="Would block (shadow)",
            about="Verdicts a second that would block if shadow mode were off.",
            queries=[
                Query(
                    rate("bluecode_verdicts_total", only='action="block", mode="shadow"')
                    + " or vector(0)"
                )
            ],
            kind="stat",
            unit="ops",
            width=4,
            height=4,
        ),
        Panel(
            title="Detectors failing",
            about="Share of looks that failed or came late: what they would have said is unknown.",
            queries=[Query(share(rate("bluecode_detector_failures_total"), _LOOKS))],
            kind="stat",
            unit="percentunit",
            width=4,
            height=4,
            warn=0.001,
            alarm=0.01,
        ),
        Panel(
            title="Screening, 95 %",
            about="Time that screening adds before a request goes on.",
            queries=[Query(recorded("bluecode:stage_seconds:p95", "stage", 'stage="screening"'))],
            kind="stat",
            unit="s",
            width=4,
            height=4,
            warn=0.1,
            alarm=0.25,
        ),
        Panel(
            title="In flight",
            about="Requests being served now.",
            queries=[Query('sum (bluecode_in_flight{job=~"$job"})')],
            kind="stat",
            width=4,
            height=4,
        ),
    ],
)

VERDICTS = Row(
    "Verdicts",
    [
        Panel(
            title="Requests by decision",
            about="`passed` are requests that carry no conversation.",
            queries=[Query(rate("bluecode_requests_total", "decision"), "{{decision}}")],
            kind="stacked",
            unit="reqps",
        ),
        Panel(
            title="Blocks by category",
            about="Enforced verdicts that block. One subject may count in several categories;"
            " `none` was blocked because a detector failed.",
            queries=[
                Query(
                    rate(
                        "bluecode_verdicts_total",
                        "category, phase",
                        'action="block", mode="enforced"',
                    ),
                    "{{category}} · {{phase}}",
                )
            ],
            kind="stacked",
            unit="ops",
        ),
        Panel(
            title="Would block, by category (shadow)",
            about="What enforcing would stop. Read it before you switch shadow mode off.",
            queries=[
                Query(
                    rate(
                        "bluecode_verdicts_total",
                        "category, phase",
                        'action="block", mode="shadow"',
                    ),
                    "{{category}} · {{phase}}",
                )
            ],
            kind="stacked",
            unit="ops",
        ),
        Panel(
            title="Block rate by client",
            about="A client far above the others: an attack, or false positives on its prompts.",
            queries=[
                Query(
                    rate("bluecode_requests_total", "client", 'decision="block"')
                    + " / "
                    + rate("bluecode_requests_total", "client"),
                    "{{client}}",
                )
            ],
            unit="percentunit",
        ),
        Panel(
            title="Requests by client",
            about="Families of clients, told by their headers.",
            queries=[Query(rate("bluecode_requests_total", "client"), "{{client}}")],
            kind="stacked",
            unit="reqps",
        ),
        Panel(
            title="Policy in force",
            about="Replicas by the digest of their policy. More than one: a roll-out under way, or"
            " a replica that refused the new one.",
            queries=[Query('count by (policy) (bluecode_policy_info{job=~"$job"})', "{{policy}}")],
            kind="stacked",
        ),
    ],
)

FINDINGS = Row(
    "Findings",
    [
        Panel(
            title="Top rules",
            about="Over the last hour.",
            queries=[
                Query(
                    'topk(10, sum by (rule) (increase(bluecode_findings_total{job=~"$job"}[1h])))',
                    "{{rule}}",
                )
            ],
            kind="bars",
            width=12,
        ),
        Panel(
            title="Top weaknesses (CWE)",
            about="Over the last hour.",
            queries=[
                Query(
                    "topk(10, sum by (cwe)"
                    ' (increase(bluecode_findings_total{job=~"$job", cwe!=""}[1h])))',
                    "CWE-{{cwe}}",
                )
            ],
            kind="bars",
            width=12,
        ),
    ],
)

LATENCY = Row(
    "Latency",
    [
        Panel(
            title="Stages against the provider, 95 %",
            about="`upstream` is the provider, until its answer begins; the others are BlueCode.",
            queries=[Query(recorded("bluecode:stage_seconds:p95", "stage"), "{{stage}}")],
            unit="s",
            log=True,
        ),
        Panel(
            title="Stages against the provider, median",
            about="`upstream` is the provider, until its answer begins; the others are BlueCode.",
            queries=[Query(recorded("bluecode:stage_seconds:p50", "stage"), "{{stage}}")],
            unit="s",
            log=True,
        ),
        Panel(
            title="Code held back",
            about="How long code waited for its verdict while the client saw only prose.",
            queries=[
                Query(quantile(0.5, "bluecode_seconds", "stage", 'stage="held"'), "median"),
                Query(quantile(0.99, "bluecode_seconds", "stage", 'stage="held"'), "99 %"),
            ],
            unit="s",
        ),
        Panel(
            title="Detectors, 95 %",
            about="The slowest set how long all take: they run side by side.",
            queries=[
                Query(quantile(0.95, "bluecode_detector_seconds", "detector"), "{{detector}}")
            ],
            unit="s",
            width=12,
        ),
        Panel(
            title="Verdicts remembered",
            about="Share of verdicts on messages and code that came from the cache.",
            queries=[
                Query(
                    f"{rate('bluecode_cached_verdicts_total', 'phase')} / "
                    f"({rate('bluecode_cached_verdicts_total', 'phase')} + on (phase)"
                    f" {rate('bluecode_verdicts_total', 'phase')})",
                    "{{phase}}",
                )
            ],
            unit="percentunit",
            width=12,
        ),
    ],
)

SANDBOX = Row(
    "Sandbox",
    [
        Panel(
            title="Runs by outcome",
            about="How runs of returned code ended.",
            queries=[Query(rate("bluecode_guest_runs_total", "outcome"), "{{outcome}}")],
            kind="stacked",
            unit="ops",
            width=12,
        ),
        Panel(
            title="Runs that wait",
            about="Runs without a worker. Above 0 for long: more workers or more replicas.",
            queries=[Query('sum by (job) (bluecode_guests_waiting{job=~"$job"})', "{{job}}")],
            width=12,
            warn=4,
            alarm=16,
        ),
    ],
)

BLIND = Row(
    "Not looked at, and what failed",
    [
        Panel(
            title="Unchecked content by reason",
            about="Parts that nobody looked at; the policy's `[unchecked]` decides about them.",
            queries=[Query(rate("bluecode_unchecked_total", "reason"), "{{reason}}")],
            kind="stacked",
            unit="ops",
            width=6,
        ),
        Panel(
            title="Detector failures",
            about="Failed or late; the policy's `on_failure` decides.",
            queries=[Query(rate("bluecode_detector_failures_total", "detector"), "{{detector}}")],
            kind="stacked",
            unit="ops",
            width=6,
        ),
        Panel(
            title="Provider's answers and failures",
            about="Answers by status class, failures by kind.",
            queries=[
                Query(rate("bluecode_upstream_replies_total", "status"), "{{status}}"),
                Query(rate("bluecode_upstream_errors_total", "kind"), "{{kind}}"),
            ],
            unit="ops",
            width=6,
        ),
        Panel(
            title="Clients that left",
            about="Before their answer was whole.",
            queries=[Query(rate("bluecode_client_disconnects_total", "route"), "{{route}}")],
            unit="ops",
            width=6,
        ),
    ],
)

OBJECTIVES = Row(
    "Objectives",
    [
        Panel(
            title="Burn of the error budget: screened in time",
            about="99 % of screenings within 0.25 s. At 1 the budget lasts the 30 days; at 14.4 it"
            " is gone in two.",
            queries=[
                Query(recorded("bluecode:late:burn5m", "job"), "5 minutes · {{job}}"),
                Query(recorded("bluecode:late:burn1h", "job"), "1 hour · {{job}}"),
                Query(recorded("bluecode:late:burn6h", "job"), "6 hours · {{job}}"),
            ],
            width=12,
            warn=1,
            alarm=14.4,
        ),
        Panel(
            title="Burn of the error budget: looked at",
            about="99.9 % of looks by detectors succeed. At 1 the budget lasts the 30 days; at 14.4"
            " it is gone in two.",
            queries=[
                Query(recorded("bluecode:blind:burn5m", "job"), "5 minutes · {{job}}"),
                Query(recorded("bluecode:blind:burn1h", "job"), "1 hour · {{job}}"),
                Query(recorded("bluecode:blind:burn6h", "job"), "6 hours · {{job}}"),
            ],
            width=12,
            warn=1,
            alarm=14.4,
        ),
        Panel(
            title="Policies read while serving",
            about="`refused`: the new policy cannot be used, the old one stays.",
            queries=[
                Query(
                    'sum by (result) (increase(bluecode_policy_reloads_total{job=~"$job"}[1h]))',
                    "{{result}}",
                )
            ],
            width=24,
            height=6,
        ),
    ],
)

ROWS: Final = (OVERVIEW, VERDICTS, FINDINGS, LATENCY, SANDBOX, BLIND, OBJECTIVES)
