"""create_app(config, policy, upstream): routes and lifespan.

Every path that is served is listed here. Anything else is a 404 in the OpenAI shape and counted:
nothing passes to the provider that nobody looked at, but for the routes in `PASSED`, which carry
no conversation.
"""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bluecode.defenses.policy import Policy
from bluecode.proxy import gate, stores
from bluecode.proxy.agentgateway import PATHS as WEBHOOK
from bluecode.proxy.agentgateway import Webhook, WebhookWire
from bluecode.proxy.audit import Audit
from bluecode.proxy.beside import beside
from bluecode.proxy.config import Config, UpstreamConfig, key_of
from bluecode.proxy.engine import Engine, Progress
from bluecode.proxy.families import family_of
from bluecode.proxy.feedback_route import PATH as FEEDBACK
from bluecode.proxy.feedback_route import FeedbackRoute
from bluecode.proxy.guard import Guard, Services
from bluecode.proxy.guardrail import PATH, Guardrail, GuardrailWire, pending
from bluecode.proxy.limits import Limits
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.moderations import Moderations, ModerationsWire
from bluecode.proxy.notes import Notes
from bluecode.proxy.passing import PASSED, Passing
from bluecode.proxy.reload import PolicyReload
from bluecode.proxy.routing import RoutedUpstream, Way
from bluecode.proxy.taken import Taken
from bluecode.proxy.timing import TimedUpstream
from bluecode.proxy.upstream import HttpUpstream, LiteLLMUpstream, Upstream
from bluecode.proxy.wire import openai_chat as chat
from bluecode.proxy.wire.wire import Wire
from bluecode.proxy.wires import WIRES

if TYPE_CHECKING:
    from bluecode.proxy.tracing import Tracing

Keep = Callable[[Mapping[str, Any]], None]
Take = Callable[[Mapping[str, Any], Taken], None]
Kind = TypeVar("Kind", bound=Guard)
_PREFIXES = ("/v1", "/v1beta", "")


def create_app(
    config: Config,
    *,
    policy: Policy,
    upstream: Upstream | None = None,
    engine: Engine | None = None,
    on_progress: Progress | None = None,
) -> ASGIApp:
    """The service. Its lifespan loads the detectors, warms the sandbox and closes all it opened.

    An upstream given is used in place of the config's, and closed; an engine given is used as it
    is, and left open.
    """
    metrics = Metrics()
    house = _House(config, policy, upstream, engine, metrics, on_progress)
    routes: list[BaseRoute] = [
        Route("/", _alive, methods=["GET", "HEAD"]),
        Route("/healthz", _alive),
        Route("/readyz", house.ready),
        Route("/metrics", house.expose),
        Route(PATH, house.guardrail(), methods=["POST"]),
        *(Route(path, house.webhook(path), methods=["POST"]) for path in WEBHOOK),
        Route(
            FEEDBACK,
            FeedbackRoute(config, stores.feedback(config), metrics).serve,
            methods=["POST"],
        ),
    ]
    for prefix in _PREFIXES:
        routes += [Route(prefix + path, house.passed, methods=[how]) for path, how in PASSED]
        routes += [
            Route(prefix + path, house.guarded(wire, path), methods=["POST"])
            for wire in WIRES.values()
            for path in wire.paths
        ]
        routes.append(Route(prefix + "/moderations", house.moderations(), methods=["POST"]))
    app = Starlette(
        routes=routes,
        lifespan=house.lifespan,
        exception_handlers={HTTPException: house.unserved},
    )
    direct = {
        prefix + path: house.guarded(wire, path)
        for prefix in _PREFIXES
        for wire in WIRES.values()
        for path in wire.paths
        if "{" not in path
    }
    return _Front(app, house, direct)


class _House:
    """What the routes share once the lifespan has begun."""

    def __init__(
        self,
        config: Config,
        policy: Policy,
        upstream: Upstream | None,
        engine: Engine | None,
        metrics: Metrics,
        on_progress: Progress | None,
    ) -> None:
        self._config = config
        self._policy = policy
        self._given = upstream
        self._engine = engine
        self._metrics = metrics
        self._on_progress = on_progress
        self._services: Services | None = None
        self._tracing: Tracing | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            engine = self._engine
            if engine is None:
                opened = Engine.open(self._config, self._policy, on_progress=self._on_progress)
                engine = await stack.enter_async_context(opened)
            engine.timer = self._metrics.time_detector
            engine.watch_judge(self._metrics.count_judge)
            self._watch_records(engine)
            self._metrics.watch_guests(engine.guest_runs, engine.guests_waiting)
            self._metrics.show_policy(engine.policy_version)
            await self._trace(engine, stack)
            upstream = TimedUpstream(
                self._upstream(), self._metrics.seconds.labels("upstream").observe
            )
            stack.push_async_callback(upstream.close)
            database = await self._open_database(stack)
            audit = Audit(
                self._config.audit,
                max_bytes=self._config.audit_max_bytes,
                backups=self._config.audit_backups,
                days=self._config.audit_days,
                lost=self._metrics.audit_lost.inc,
                also=database,
            )
            stack.callback(audit.close)
            limits = Limits(self._policy, self._metrics)
            await self._share(engine, limits, stack)
            self._services = Services(
                config=self._config,
                engine=engine,
                upstream=upstream,
                metrics=self._metrics,
                audit=audit,
                notes=Notes(self._policy, self._config.seal),
                limits=limits,
                capture=await self._open_capture(stack),
            )
            if self._config.policy is not None:
                reload = PolicyReload(self._config.policy, self._adopt, self._metrics)
                await stack.enter_async_context(beside(reload.run))
            yield
            self._services = None

    async def _open_capture(self, stack: AsyncExitStack) -> Take | None:
        """Where full texts go."""
        if self._config.capture is None:
            return None
        from bluecode.proxy.capture import Capture  # its library is an extra

        opened = Capture.open(
            self._config.capture,
            self._config.capture_key,
            days=self._config.capture_days,
            most=self._config.capture_max_bytes,
            lost=self._metrics.captures_lost.inc,
        )
        return (await stack.enter_async_context(opened)).add

    def _watch_records(self, engine: Engine) -> None:
        if self._config.database is None:
            return
        from bluecode.proxy.shared_records import SharedRecords  # its libraries are an extra

        if isinstance(records := engine.records, SharedRecords):
            self._metrics.watch_database("records", lambda: records.up)

    async def _open_database(self, stack: AsyncExitStack) -> Keep | None:
        """Where else lines of the audit go."""
        if self._config.audit_database is None:
            return None
        from bluecode.proxy.audit_database import AuditDatabase  # its libraries are an extra

        opened = AuditDatabase.open(
            self._config.audit_database.get(),
            days=self._config.audit_days,
            lost=self._metrics.audit_lost.inc,
        )
        database = await stack.enter_async_context(opened)
        self._metrics.watch_database("audit", lambda: database.up)
        return database.add

    def _upstream(self) -> Upstream:
        """Where requests go: the one provider, or the one of several that has the model."""
        if self._given is not None or not self._config.upstreams:
            given = self._given or upstream_for(self._config)
            return self._traced(given, self._config.upstream)
        ways = [
            Way(one, self._traced(opened(one, self._config), one.upstream), key_of(one))
            for one in self._config.all_upstreams
        ]
        tried = self._metrics.upstream_tries
        return RoutedUpstream(
            ways,
            lambda name, outcome: tried.labels(name, outcome).inc(),
            limit=self._config.body_limit,
        )

    def _traced(self, upstream: Upstream, root: str) -> Upstream:
        return upstream if self._tracing is None else self._tracing.upstream(upstream, root)

    async def _trace(self, engine: Engine, stack: AsyncExitStack) -> None:
        """Trace requests, where the config says to whom."""
        if not self._config.traces:
            return
        from bluecode.proxy.tracing import Tracing  # its libraries are an extra

        opened = Tracing.open(self._config.traces, self._config.body_limit, self._metrics)
        self._tracing = await stack.enter_async_context(opened)
        engine.wrap_prover(self._tracing.prover)

    def _kind(self, kind: type[Kind]) -> type[Kind]:
        """The guard to use for such a route."""
        return kind if self._tracing is None else self._tracing.guard(kind)

    async def _share(self, engine: Engine, limits: Limits, stack: AsyncExitStack) -> None:
        """Use what other replicas know, where the config names a store."""
        key = self._config.seal
        if self._config.shared is None or key is None:
            return
        from bluecode.proxy.shared import Shared  # its library is an extra

        url, wait = self._config.shared.get(), self._config.shared_wait
        opened = Shared.open(url, key, limits, self._metrics, wait=wait)
        engine.shared = await stack.enter_async_context(opened)
        stack.callback(setattr, engine, "shared", None)

    def _adopt(self, policy: Policy) -> None:
        """Serve by another policy from now on. Raises `PolicyError` where that cannot be."""
        self.services.engine.adopt(policy)
        self.services.notes.adopt(policy)
        self.services.limits.adopt(policy)
        self._metrics.show_policy(policy.version)

    @property
    def open(self) -> bool:
        """Has the lifespan begun?"""
        return self._services is not None

    @property
    def services(self) -> Services:
        if self._services is None:
            raise HTTPException(503, "BlueCode is not ready yet.")
        return self._services

    def guarded(self, wire: Wire, path: str) -> ASGIApp:
        """The screened route for a path below the API root."""
        house = self

        class Guarded:
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                kind = house._kind(Guard)
                guard = kind(house.services, wire, path, _below_root(scope["path"]))
                await guard.serve(scope, receive, send)

        return Guarded()

    def guardrail(self) -> ASGIApp:
        """The route for LiteLLM's questions."""
        house, wire, asked = self, GuardrailWire(), pending()

        class Asked:
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                guard = house._kind(Guardrail)(house.services, wire, asked)
                await guard.serve(scope, receive, send)

        return Asked()

    def webhook(self, path: str) -> ASGIApp:
        """A route for agentgateway's questions."""
        house, wire = self, WebhookWire()

        class Asked:
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                guard = house._kind(Webhook)(house.services, wire, path)
                await guard.serve(scope, receive, send)

        return Asked()

    def moderations(self) -> ASGIApp:
        """The route for clients of OpenAI's moderations."""
        house, wire = self, ModerationsWire()

        class Moderated:
            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                guard = house._kind(Moderations)(house.services, wire)
                await guard.serve(scope, receive, send)

        return Moderated()

    async def passed(self, request: Request) -> Response:
        """A route that carries no conversation goes to the provider as it came."""
        path = _below_root(request.scope["path"])
        return await Passing(self.services, request, path).answer()

    async def ready(self, request: Request) -> Response:
        if self._services is None:
            return JSONResponse({"ready": False}, 503)
        parts = self._services.engine.ready
        whole = {**parts, "upstream": self._services.upstream.state}
        return JSONResponse(
            {"ready": all(parts.values()), "parts": whole}, 200 if all(parts.values()) else 503
        )

    async def expose(self, request: Request) -> Response:
        key = self._config.metrics_key
        if key is not None and not key.matches(gate.bearer(request.headers)):
            denied = {"www-authenticate": "Bearer"}
            return PlainTextResponse("The key is missing or wrong.\n", 401, headers=denied)
        return Response(self._metrics.render(), media_type=self._metrics.content_type)

    async def unserved(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        self._metrics.requests.labels("unknown", family_of(request.headers), "error").inc()
        if error.status_code == 404:
            paths = ", ".join(path for wire in WIRES.values() for path in wire.paths)
            message = f"BlueCode serves no such path. Screened are POST requests to {paths}."
            return JSONResponse(chat.error(message, code="unknown_path"), 404)
        told = chat.error(error.detail, code=f"http_{error.status_code}")
        return JSONResponse(told, error.status_code, headers=dict(error.headers or {}))


async def _alive(request: Request) -> Response:
    return PlainTextResponse("BlueCode is running.\n")


def _below_root(path: str) -> str:
    """A request's path less what names the API and its version."""
    for prefix in _PREFIXES:
        if prefix and path.startswith(prefix + "/"):
            return path[len(prefix) :]
    return path


class _Front:
    """What comes before the router. A base URL that ends in a slash gives paths with two; one is
    meant. Screened paths are looked up, since the router tries one pattern after the other."""

    def __init__(self, app: ASGIApp, house: _House, direct: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._house = house
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            if "//" in scope["path"]:
                scope = {**scope, "path": re.sub("/{2,}", "/", scope["path"])}
            if scope["method"] == "POST" and self._house.open:
                app = self._direct.get(scope["path"], app)
        await app(scope, receive, send)


def upstream_for(config: Config) -> Upstream:
    """The one upstream that the config names: a URL, or a litellm model name."""
    return opened(config.all_upstreams[-1], config)


def opened(one: UpstreamConfig, config: Config) -> Upstream:
    """One provider of the config."""
    if "://" in one.upstream:
        return HttpUpstream(one.upstream, connect=config.connect_timeout, read=config.read_timeout)
    return LiteLLMUpstream(one.upstream, key=key_of(one), read=config.read_timeout)
