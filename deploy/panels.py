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
        about="`upstream` is the provider, until its answer begins; the others are BlueCode.",
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


_ASKED = rate("bluecode_requests_total", only='decision!="passed"')
_BLOCKED = rate("bluecode_requests_total", only='decision="block"')
_LOOKS = rate("bluecode_detector_seconds_count")
_WOULD = rate("bluecode_verdicts_total", only='action="block", mode="shadow"')

OVERVIEW = Row(
    "At a glance",
    [
        tile("Requests", "Chat requests a second.", _ASKED, "reqps"),
        tile(
            "Blocked",
            "Share of chat requests that BlueCode blocked in prompt or code.",
            share(_BLOCKED, _ASKED),
            "percentunit",
            warn=0.05,
            alarm=0.2,
        ),
        tile(
            "Would block (shadow)",
            "Verdicts a second that would block if shadow mode were off.",
            f"{_WOULD} or vector(0)",
            "ops",
        ),
        tile(
            "Detectors failing",
            "Share of looks that failed or came late: what they would have said is unknown.",
            share(rate("bluecode_detector_failures_total"), _LOOKS),
            "percentunit",
            warn=0.001,
            alarm=0.01,
        ),
        tile(
            "Screening, 95 %",
            "Time that screening adds before a request goes on.",
            recorded("bluecode:stage_seconds:p95", "stage", 'stage="screening"'),
            "s",
            warn=0.1,
            alarm=0.25,
        ),
        tile("In flight", "Requests being served now.", 'sum (bluecode_in_flight{job=~"$job"})'),
    ],
)

VERDICTS = Row(
    "Verdicts",
    [
        split(
            "Requests by decision",
            "`passed` are requests that carry no conversation, `limited` were over a limit.",
            "bluecode_requests_total",
            "decision",
            unit="reqps",
        ),
        split(
            "Blocks by category",
            "Enforced verdicts that block. One subject may count in several categories; `none` was"
            " blocked because a detector failed.",
            "bluecode_verdicts_total",
            "category, phase",
            'action="block", mode="enforced"',
        ),
        split(
            "Would block, by category (shadow)",
            "What enforcing would stop. Read it before you switch shadow mode off.",
            "bluecode_verdicts_total",
            "category, phase",
            'action="block", mode="shadow"',
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
        split(
            "Requests by client",
            "Families of clients, told by their headers.",
            "bluecode_requests_total",
            "client",
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

POLICIES = Row(
    "Policies and limits",
    [
        split(
            "Requests by entry of the policy",
            "What an entry of `policies` decided on, enforced and watched. What falls under none is"
            " not shown.",
            "bluecode_scoped_requests_total",
            "scope, mode",
            unit="reqps",
        ),
        Panel(
            title="Block rate by entry of the policy",
            about="Share that each entry blocks of what falls under it and is enforced.",
            queries=[
                Query(
                    rate(
                        "bluecode_scoped_requests_total",
                        "scope",
                        'decision="block", mode="enforced"',
                    )
                    + " / "
                    + rate("bluecode_scoped_requests_total", "scope", 'mode="enforced"'),
                    "{{scope}}",
                )
            ],
            unit="percentunit",
        ),
        split(
            "Over a limit",
            "Requests that were answered with 429, by limit and amount.",
            "bluecode_limited_requests_total",
            "limit, amount",
        ),
    ],
)

FINDINGS = Row(
    "Findings",
    [
        top("Top rules", "rule"),
        top("Top weaknesses (CWE)", "cwe", 'cwe!=""', "CWE-"),
    ],
)

LATENCY = Row(
    "Latency",
    [
        stages("Stages against the provider, 95 %", "p95"),
        stages("Stages against the provider, median", "p50"),
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
    "Sandbox and judge",
    [
        split(
            "Runs by outcome",
            "How runs of returned code ended.",
            "bluecode_guest_runs_total",
            "outcome",
            width=6,
        ),
        Panel(
            title="Runs that wait",
            about="Runs without a worker. Above 0 for long: more workers or more replicas.",
            queries=[Query('sum by (job) (bluecode_guests_waiting{job=~"$job"})', "{{job}}")],
            width=6,
            warn=4,
            alarm=16,
        ),
        split(
            "The judge, by outcome",
            "Texts for the judge model to decide about; of `spent` and `open` nobody was asked.",
            "bluecode_judge_calls_total",
            "outcome",
            width=6,
        ),
        Panel(
            title="The judge, 95 %",
            about="Time until the judge decided or failed.",
            queries=[Query(quantile(0.95, "bluecode_judge_seconds", "job"), "{{job}}")],
            unit="s",
            width=6,
        ),
    ],
)

BLIND = Row(
    "Not looked at, and what failed",
    [
        split(
            "Unchecked content by reason",
            "Parts that nobody looked at; the policy's `[unchecked]` decides about them.",
            "bluecode_unchecked_total",
            "reason",
            width=6,
        ),
        split(
            "Detector failures",
            "Failed or late; the policy's `on_failure` decides.",
            "bluecode_detector_failures_total",
            "detector",
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
        split(
            "Clients that left",
            "Before their answer was whole.",
            "bluecode_client_disconnects_total",
            "route",
            width=6,
            kind="series",
        ),
    ],
)

REPLICAS = Row(
    "Replicas and what they write down",
    [
        Panel(
            title="Replicas that reach the shared store",
            about="Of those that are set up for one. The others go on alone.",
            queries=[
                Query('sum by (job) (bluecode_shared_up{job=~"$job"})', "reach it · {{job}}"),
                Query('count by (job) (bluecode_shared_up{job=~"$job"})', "set up · {{job}}"),
            ],
        ),
        split(
            "Lookups in the shared store",
            "`hit` saved a look. `late` and `failed` are few, for then nobody asks; `forged` had no"
            " seal of ours.",
            "bluecode_shared_lookups_total",
            "result",
        ),
        Panel(
            title="Not written down",
            about="Lines of the audit and spans that were lost; answers under a budget that told no"
            " tokens.",
            queries=[
                Query(rate("bluecode_audit_lost_total"), "audit"),
                Query(rate("bluecode_spans_lost_total"), "spans"),
                Query(rate("bluecode_unmetered_answers_total"), "tokens unknown"),
            ],
            unit="ops",
        ),
    ],
)

OBJECTIVES = Row(
    "Objectives",
    [
        burn("screened in time", "99 % of screenings within 0.25 s.", "late"),
        burn("looked at", "99.9 % of looks by detectors succeed.", "blind"),
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

ROWS: Final = (
    OVERVIEW,
    VERDICTS,
    POLICIES,
    FINDINGS,
    LATENCY,
    SANDBOX,
    BLIND,
    REPLICAS,
    OBJECTIVES,
)
