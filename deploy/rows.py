"""What the dashboard shows: rows of panels, each with its queries.

Every metric and label here is one of `bluecode.proxy.metrics`; a test runs each query against a
Prometheus that has scraped a BlueCode under load.
"""

from typing import Final

from bluecode.deploy.panels import (
    Panel,
    Query,
    Row,
    burn,
    quantile,
    rate,
    recorded,
    share,
    split,
    stages,
    tile,
    top,
    under_policy,
)

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
            title="Block rate by model",
            about="By families of models; the audit has the names.",
            queries=[
                Query(
                    rate("bluecode_models_total", "model", 'decision="block"')
                    + " / "
                    + rate("bluecode_models_total", "model"),
                    "{{model}}",
                )
            ],
            unit="percentunit",
        ),
        Panel(
            title="Block rate by policy",
            about="By the digest of the policy in force on the replicas that blocked.",
            queries=[
                Query(
                    under_policy('decision="block"') + " / " + under_policy('decision!="passed"'),
                    "{{policy}}",
                )
            ],
            unit="percentunit",
            width=12,
        ),
        Panel(
            title="Policy in force",
            about="Replicas by the digest of their policy. More than one: a roll-out under way, or"
            " a replica that refused the new one.",
            queries=[Query('count by (policy) (bluecode_policy_info{job=~"$job"})', "{{policy}}")],
            kind="stacked",
            width=12,
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
        Panel(
            title="What people say of decisions",
            about="Feedback by clients, over a day; `bluecode feedback summary` tells the rules.",
            queries=[
                Query(
                    'sum by (said) (increase(bluecode_feedback_total{job=~"$job"}[1d]))',
                    "{{said}}",
                )
            ],
            kind="bars",
            width=24,
            height=6,
        ),
    ],
)

LATENCY = Row(
    "Latency",
    [
        stages("Stages against the provider, 95 %", "p95"),
        stages("Stages against the provider, median", "p50"),
        Panel(
            title="Code held back",
            about="From code's first character until its verdict, so with the provider's writing.",
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
            width=6,
        ),
        Panel(
            title="Replicas that reach the database",
            about="By what they use it for. Records stay as they were, lines of the audit wait.",
            queries=[
                Query('sum by (use) (bluecode_database_up{job=~"$job"})', "reach it · {{use}}"),
                Query('count by (use) (bluecode_database_up{job=~"$job"})', "set up · {{use}}"),
            ],
            width=6,
        ),
        split(
            "Lookups in the shared store",
            "`hit` saved a look. `late` and `failed` are few, for then nobody asks; `forged` had no"
            " seal of ours.",
            "bluecode_shared_lookups_total",
            "result",
            width=6,
        ),
        Panel(
            title="Not written down",
            about="Lines of the audit, captures and spans that were lost; answers under a budget"
            " that told no tokens.",
            queries=[
                Query(rate("bluecode_audit_lost_total"), "audit"),
                Query(rate("bluecode_captures_lost_total"), "captures"),
                Query(rate("bluecode_spans_lost_total"), "spans"),
                Query(rate("bluecode_unmetered_answers_total"), "tokens unknown"),
            ],
            unit="ops",
            width=6,
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
