"""Every Prometheus metric by name. Labels come from closed sets; nothing a user wrote is one."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from bluecode.defenses.verdict import Verdict

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one application, in a registry of its own."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = self._counter(
            "requests", "Requests by route, client family and decision", "route client decision"
        )
        self.models = self._counter(
            "models", "Requests by family of the model and decision", "model decision"
        )
        self.turns = self._counter(
            "turns", "Requests with new words of a user, by client", "client"
        )
        self.scopes = self._counter(
            "scoped_requests",
            "Requests that an entry of `policies` decided on, by entry, decision and mode",
            "scope decision mode",
        )
        self.verdicts = self._counter(
            "verdicts", "Verdicts by phase, category, action and mode", "phase category action mode"
        )
        self.findings = self._counter(
            "findings", "Findings by rule, CWE and phase", "rule cwe phase"
        )
        self.unchecked = self._counter("unchecked", "Content nobody looked at, by reason", "reason")
        self.failed = self._counter(
            "detector_failures", "Detectors that failed or came late", "detector"
        )
        self.upstream_errors = self._counter("upstream_errors", "Upstream failures by kind", "kind")
        self.upstream_replies = self._counter(
            "upstream_replies", "Upstream replies by status class", "status"
        )
        self.repairs = self._counter(
            "repairs",
            "Blocked answers by how the attempt to have them repaired ended",
            "outcome",
        )
        self.upstream_tries = self._counter(
            "upstream_tries",
            "Requests sent to one of several upstreams, by its name and how that ended",
            "upstream outcome",
        )
        self.cached = self._counter("cached_verdicts", "Verdicts from the cache, by phase", "phase")
        self.disconnects = self._counter(
            "client_disconnects", "Clients that left before the end", "route"
        )
        self.spans_lost = Counter(
            "bluecode_spans_lost",
            "Spans that could not be handed to the receiver of traces",
            registry=self.registry,
        )
        self.shared_up = Gauge(
            "bluecode_shared_up",
            "1 while the shared store is asked",
            ["store"],
            registry=self.registry,
        )
        self.shared_lookups = self._counter(
            "shared_lookups",
            "Lookups in the shared store by result: hit, miss, late, failed, forged, skipped",
            "result",
        )
        self.limited = self._counter(
            "limited_requests", "Requests over a limit, by limit and amount", "limit amount"
        )
        self.unmetered = Counter(
            "bluecode_unmetered_answers",
            "Answers under a budget of tokens that told none",
            registry=self.registry,
        )
        self.audit_lost = Counter(
            "bluecode_audit_lost",
            "Lines of the audit that could not be written",
            registry=self.registry,
        )
        self.captures_lost = Counter(
            "bluecode_captures_lost",
            "Requests whose full text was to be captured and was not",
            registry=self.registry,
        )
        self.feedback = self._counter(
            "feedback",
            "What clients said of decisions: false_positive, missed; lost where it was not kept",
            "said",
        )
        for said in ("false_positive", "missed", "lost"):  # an increase is only seen from 0 on
            self.feedback.labels(said)
        self._databases = Gauge(
            "bluecode_database_up",
            "1 while the database is reached, by what it is used for: audit, records",
            ["use"],
            registry=self.registry,
        )
        self.policy = Gauge(
            "bluecode_policy_info", "1 for the policy in force", ["policy"], registry=self.registry
        )
        self.policy_reloads = self._counter(
            "policy_reloads", "Policies read while serving, by result: adopted, refused", "result"
        )
        for result in ("adopted", "refused"):  # an increase can only be seen from 0 on
            self.policy_reloads.labels(result)
        self.seconds = Histogram(
            "bluecode_seconds",
            "Seconds by stage: screening, upstream, checking, held, request",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.detector_seconds = Histogram(
            "bluecode_detector_seconds",
            "Seconds by detector",
            ["detector"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.judge_calls = self._counter(
            "judge_calls",
            "Texts that the judge was to decide about, by how that ended",
            "outcome",
        )
        self.judge_seconds = Histogram(
            "bluecode_judge_seconds",
            "Seconds until the judge decided or failed",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "bluecode_in_flight", "Requests being served", registry=self.registry
        )

    def _counter(self, name: str, text: str, labels: str) -> Counter:
        return Counter(f"bluecode_{name}", text, labels.split(), registry=self.registry)

    def time_detector(self, name: str, seconds: float) -> None:
        self.detector_seconds.labels(name).observe(seconds)

    def count_judge(self, outcome: str, seconds: float) -> None:
        """Count one text that the judge was to decide about."""
        self.judge_calls.labels(outcome).inc()
        if outcome not in ("open", "spent"):  # nobody was asked
            self.judge_seconds.observe(seconds)

    def watch_database(self, use: str, up: Callable[[], bool]) -> None:
        """Show whether a database is reached."""
        self._databases.labels(use).set_function(up)

    def show_policy(self, version: str) -> None:
        """Name the policy in force."""
        self.policy.clear()
        self.policy.labels(version).set(1)

    def watch_guests(
        self, runs: Callable[[], Mapping[str, int]], waiting: Callable[[], int] = lambda: 0
    ) -> None:
        """Show the sandbox's own count of runs by outcome, and how many wait for a worker."""
        self.registry.register(_GuestRuns(runs))
        queue = Gauge(
            "bluecode_guests_waiting", "Runs that wait for a worker", registry=self.registry
        )
        queue.set_function(waiting)

    def render(self) -> bytes:
        return generate_latest(self.registry)

    def count(self, phase: str, verdict: Verdict) -> None:
        """Count one verdict; `phase` is `prompt` or `code`."""
        mode = "shadow" if verdict.shadow else "enforced"
        action = verdict.action.name.lower()
        categories = {finding.category.value for finding in verdict.telling} or {"none"}
        for category in categories:
            self.verdicts.labels(phase, category, action, mode).inc()
        for finding in verdict.telling:
            self.findings.labels(finding.rule, str(finding.cwe or ""), phase).inc()
        self.count_unseen(verdict.unchecked, verdict.failed)

    def count_unseen(self, unchecked: Iterable[str], failed: Iterable[str] = ()) -> None:
        for reason in unchecked:
            self.unchecked.labels(reason).inc()
        for name in failed:
            self.failed.labels(name).inc()


class _GuestRuns(Collector):
    def __init__(self, runs: Callable[[], Mapping[str, int]]) -> None:
        self._runs = runs

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(
            "bluecode_guest_runs", "Sandbox runs by outcome", labels=["outcome"]
        )
        for outcome, count in self._runs().items():
            family.add_metric([outcome], count)
        yield family
