"""Traces by OpenTelemetry: a span for each request, and below it for screening, the provider, each
check of code and each run in the sandbox.

Loaded only where the config names a receiver; without one, no request does anything for it. Names
and attributes of the provider's span follow the semantic conventions for generative AI. A client's
trace goes on here and at the provider. No prompt, no code, no key and no name of one is in a span.
"""

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import replace
from importlib import metadata
from typing import Any, Final, TypeVar, cast
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, StatusCode, set_span_in_context, use_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.datastructures import Headers
from starlette.types import Receive, Scope

from bluecode.defenses.checking import DynamicReport, Prover
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Finding, Verdict
from bluecode.proxy.client import Client
from bluecode.proxy.exchange import Exchange
from bluecode.proxy.guard import Guard
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.relay import Relay
from bluecode.proxy.upstream import Call, Reply, Upstream, UpstreamError
from bluecode.proxy.usage import WatchedReply
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Request

_CONTEXT: Final = TraceContextTextMapPropagator()
_TRIED: Final = 3.0
"""Seconds for which it is tried to hand some spans over."""
_PATIENCE: Final = 5.0
"""Seconds to hand over the last spans at the end."""
_PROTOCOLS: Final = (
    ("/chat/completions", "chat", "openai"),
    ("/responses", "chat", "openai"),
    ("/completions", "text_completion", "openai"),
    ("/fim/completions", "text_completion", "openai"),
    ("/embeddings", "embeddings", "openai"),
    ("/messages", "chat", "anthropic"),
    ("/models/", "generate_content", "gcp.gemini"),
    ("/api/embed", "embeddings", "ollama"),
    ("/api/generate", "text_completion", "ollama"),
    ("/api/", "chat", "ollama"),
)
"""What begins a path, what is asked there, and whose protocol it is."""
_EXCHANGE: ContextVar[Exchange | None] = ContextVar("traced_exchange", default=None)
Kind = TypeVar("Kind", bound=Guard)


class Tracing:
    """See `Tracing.open`."""

    def __init__(self, provider: TracerProvider, body_limit: int) -> None:
        self.tracer = provider.get_tracer("bluecode", metadata.version("bluecode"))
        self.body_limit = body_limit
        self._kinds: dict[type[Guard], type[Guard]] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, root: str, body_limit: int, metrics: Metrics) -> AsyncIterator["Tracing"]:
        """Send spans to the OTLP receiver at `root`, beside the requests.

        The environment's `OTEL_…` says the rest: headers, sampling, attributes of the service.
        """
        named = {"service.version": metadata.version("bluecode")}
        if "OTEL_SERVICE_NAME" not in os.environ:
            named["service.name"] = "bluecode"
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=f"{root}/v1/traces", timeout=_TRIED)
        provider.add_span_processor(BatchSpanProcessor(_Counted(exporter, metrics.spans_lost.inc)))
        try:
            yield cls(provider, body_limit)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(_PATIENCE):
                await anyio.to_thread.run_sync(provider.shutdown, abandon_on_cancel=True)

    def guard(self, kind: type[Kind]) -> type[Kind]:
        """The same guard, traced."""
        if kind not in self._kinds:
            made = type(f"Traced{kind.__name__}", (_Traced, kind), {"tracing": self})
            self._kinds[kind] = cast(type[Guard], made)
        return cast(type[Kind], self._kinds[kind])

    def upstream(self, upstream: Upstream, root: str) -> Upstream:
        """The same upstream, traced."""
        return _TracedUpstream(self, upstream, root)

    def prover(self, prover: Prover) -> Prover:
        """The same prover, traced."""
        return _TracedProver(self, prover)

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        """A part of a request. What goes wrong in it is named by its type alone."""
        with use_span(
            self.tracer.start_span(name),
            end_on_exit=True,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as error:
                _fail(span, type(error).__name__)
                raise


def takes_spans(root: str) -> bool:
    """Does the OTLP receiver at `root` take spans? It is handed none, as all are."""
    exporter: SpanExporter = OTLPSpanExporter(endpoint=f"{root}/v1/traces", timeout=_TRIED)
    try:
        return exporter.export([]) is SpanExportResult.SUCCESS
    finally:
        exporter.shutdown()


class _Counted(SpanExporter):
    """Another exporter; what it could not hand over is counted."""

    def __init__(self, exporter: SpanExporter, lost: Callable[[float], None]) -> None:
        self._exporter = exporter
        self._lost = lost

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._lost(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


class _Traced(Guard):
    """Mixed into a guard by `Tracing.guard`."""

    tracing: Tracing

    async def _serve(
        self, scope: Scope, receive: Receive, client: Client, headers: Headers, exchange: Exchange
    ) -> None:
        _EXCHANGE.set(exchange)
        span = self.tracing.tracer.start_span(
            f"POST {exchange.route}",
            context=_CONTEXT.extract(headers),
            kind=SpanKind.SERVER,
            attributes={
                "http.request.method": "POST",
                "http.route": exchange.route,
                "bluecode.request_id": exchange.request_id,
                "bluecode.client": exchange.client,
            },
        )
        with use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        ):
            try:
                await super()._serve(scope, receive, client, headers, exchange)
            except WireError as error:
                exchange.decision = error.decision
                span.set_attribute("http.response.status_code", error.status)
                raise
            finally:
                _tell(span, exchange, self._s.engine.policy_version)

    async def _screen(self, request: Request, exchange: Exchange) -> bool:
        with self.tracing.span("screen") as span:
            replaced = await super()._screen(request, exchange)
            span.set_attribute("bluecode.messages", exchange.messages)
            span.set_attribute("bluecode.screened", exchange.screened)
            span.set_attribute("bluecode.replaced", exchange.replaced)
            _judge(span, exchange.prompt)
            return replaced

    def _relay(self, exchange: Exchange) -> Relay:
        s = self._s
        relay = _TracedRelay(s.config, s.engine, s.metrics, s.notes, self._wire, exchange.policy)
        relay.tracing = self.tracing
        return relay


class _TracedRelay(Relay):
    tracing: Tracing

    async def _check(self, exchange: Exchange, ready: Any, snippets: Sequence[Snippet]) -> Verdict:
        with self.tracing.span("check") as span:
            verdict = await super()._check(exchange, ready, snippets)
            languages = {snippet.language or "unknown" for snippet in snippets}
            span.set_attribute("bluecode.snippets", len(snippets))
            span.set_attribute("bluecode.languages", sorted(languages))
            _judge(span, verdict)
            return verdict


class _TracedProver:
    def __init__(self, tracing: Tracing, prover: Prover) -> None:
        self._tracing = tracing
        self._prover = prover
        self.name = prover.name
        self.languages = prover.languages

    @property
    def ready(self) -> bool:
        return self._prover.ready

    async def test(self, snippet: Snippet, claims: Sequence[Finding]) -> DynamicReport:
        with self._tracing.span("sandbox") as span:
            span.set_attribute("bluecode.language", snippet.language or "unknown")
            span.set_attribute("bluecode.claims", len(claims))
            report = await self._prover.test(snippet, claims)
            outcomes = [item.outcome for item in report.evidence if item.outcome is not None]
            span.set_attribute("bluecode.outcomes", outcomes)
            span.set_attribute("bluecode.discovered", len(report.discovered))
            return report


class _TracedUpstream:
    def __init__(self, tracing: Tracing, upstream: Upstream, root: str) -> None:
        self._tracing = tracing
        self._upstream = upstream
        self._server = _server(root)

    @property
    def state(self) -> str:
        return self._upstream.state

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        span = self._start(call)
        watched: WatchedReply | None = None
        try:
            async with self._upstream.send(_passing_on(call, span)) as reply:
                span.set_attribute("http.response.status_code", reply.status)
                if reply.status >= 400:
                    _fail(span, str(reply.status))
                watched = WatchedReply(reply, self._tracing.body_limit)
                yield watched
        except UpstreamError as error:
            _fail(span, error.kind)
            raise
        except Exception as error:
            _fail(span, type(error).__name__)
            raise
        finally:
            if watched is not None and (usage := watched.usage.end()) is not None:
                span.set_attribute("gen_ai.usage.input_tokens", usage.input)
                span.set_attribute("gen_ai.usage.output_tokens", usage.output)
            span.end()

    async def close(self) -> None:
        await self._upstream.close()

    def _start(self, call: Call) -> Span:
        """A span below the request's; a route that is only passed on has the client's above."""
        exchange = _EXCHANGE.get()
        context = None if exchange is not None else _CONTEXT.extract(_lower(call.headers))
        asked = ((what, whose) for begin, what, whose in _PROTOCOLS if call.path.startswith(begin))
        what, whose = next(asked, ("", ""))
        told: dict[str, Any] = {"http.request.method": call.method, **self._server}
        name = call.method
        if what and call.method == "POST":
            name = what
            told |= {"gen_ai.operation.name": what, "gen_ai.provider.name": whose}
            if exchange is not None and exchange.model:
                name = f"{what} {exchange.named_model}"
                told["gen_ai.request.model"] = exchange.named_model
        return self._tracing.tracer.start_span(
            name, context=context, kind=SpanKind.CLIENT, attributes=told
        )


def _server(root: str) -> dict[str, Any]:
    """Where it goes, as far as the upstream is an address."""
    parts = urlsplit(root)
    if not parts.hostname:
        return {}
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return {"server.address": parts.hostname, "server.port": port}


def _passing_on(call: Call, span: Span) -> Call:
    """The call as part of this trace; the client's own place in it is not the provider's."""
    carried: dict[str, str] = {}
    _CONTEXT.inject(carried, context=set_span_in_context(span))
    kept = [item for item in call.headers if item[0].lower() not in _CONTEXT.fields]
    return replace(call, headers=(*kept, *carried.items()))


def _lower(headers: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    return {name.lower(): value for name, value in headers}


def _tell(span: Span, exchange: Exchange, policy: str) -> None:
    span.set_attribute("bluecode.decision", exchange.decision)
    span.set_attribute("bluecode.policy", policy)
    span.set_attribute("bluecode.scope", exchange.chosen.scope)
    if exchange.model:
        span.set_attribute("gen_ai.request.model", exchange.named_model)
    if exchange.decision == "error":
        span.set_status(StatusCode.ERROR)


def _judge(span: Span, verdict: Verdict) -> None:
    """What was decided, in names of closed sets."""
    span.set_attribute("bluecode.action", verdict.action.name.lower())
    span.set_attribute("bluecode.shadow", verdict.shadow)
    span.set_attribute("bluecode.rules", sorted({item.rule for item in verdict.findings}))
    span.set_attribute("bluecode.failed", list(verdict.failed))
    span.set_attribute("bluecode.unchecked", list(verdict.unchecked))


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(StatusCode.ERROR)
