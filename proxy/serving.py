"""Applications on sockets: until a signal comes, or on loopback beside other work.

uvicorn would answer SIGTERM by ending the process where it stands; here a signal only asks the
server to stop, so that worker processes and connections are closed by those who opened them.
"""

import contextlib
import importlib.util
import logging
import math
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import anyio
import uvicorn
from anyio.abc import TaskStatus
from starlette.types import ASGIApp

from bluecode.defenses.policy import Policy
from bluecode.proxy.app import create_app
from bluecode.proxy.config import Config, ConfigError, key_of
from bluecode.proxy.engine import Engine
from bluecode.proxy.health import HealthApp
from bluecode.proxy.scripted import scripted_model

log = logging.getLogger("bluecode")
_DEMO_PACE = (
    0.01  # seconds between pieces of the scripted model's answers: about as fast as a real one
)


class _Server(uvicorn.Server):
    """Leaves signals to its owner, and tells when it has started or failed to."""

    def __init__(self, settings: uvicorn.Config) -> None:
        super().__init__(settings)
        self.settled = anyio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except SystemExit:  # uvicorn's way to say that the lifespan failed
            self.should_exit = True
        finally:
            self.settled.set()

    async def up(self) -> None:
        """Wait for the start. Raises `ConfigError` where it failed."""
        await self.settled.wait()
        if not self.started:
            raise ConfigError("The service could not start; the log says why.")


def on_loopback(app: ASGIApp) -> AbstractAsyncContextManager[str]:
    """The application on a free loopback port; its root URL."""
    return _on(app, "127.0.0.1", 0)


@asynccontextmanager
async def _on(app: ASGIApp, host: str, port: int) -> AsyncIterator[str]:
    with _listen(host, port) as listener:
        server = _server(app, grace=1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(server.serve, [listener])
            await server.up()
            try:
                yield f"http://{host}:{listener.getsockname()[1]}"
            finally:
                server.should_exit = True


async def serve(config: Config, policy: Policy) -> None:
    """Serve until SIGINT or SIGTERM. Raises `ConfigError` and `SandboxUnavailable` at the start."""
    _look_ahead(config)
    with _listen(config.host, config.port) as listener:
        async with anyio.create_task_group() as tasks:
            stop = _Stop(tasks.cancel_scope)
            await tasks.start(stop.on_signal)
            await _serve(config, policy, listener, stop)
            tasks.cancel_scope.cancel()


async def _serve(config: Config, policy: Policy, listener: socket.socket, stop: "_Stop") -> None:
    async with AsyncExitStack() as stack:
        engine = await stack.enter_async_context(
            Engine.open(config, policy, on_progress=lambda step: log.info("%s", step))
        )
        shown = " and ".join(dict.fromkeys(one.upstream for one in config.all_upstreams))
        if any(one.upstream == "demo" for one in config.all_upstreams):
            root = await stack.enter_async_context(on_loopback(scripted_model(pace=_DEMO_PACE)))
            config = _with_demo(config, f"{root}/v1")
        app = create_app(config, policy=policy, engine=engine)
        if config.health_address is not None:
            await stack.enter_async_context(_on(HealthApp(app), *config.health_address))
        server = _server(app, grace=math.ceil(config.drain_timeout))
        stop.server = server
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_announce, server, listener.getsockname()[:2], shown)
            await server.serve([listener])


def _with_demo(config: Config, root: str) -> Config:
    """The config with the address of the scripted model in place of its name."""
    given = [
        replace(one, upstream=root) if one.upstream == "demo" else one for one in config.upstreams
    ]
    only = root if config.upstream == "demo" else config.upstream
    return replace(config, upstream=only, upstreams=tuple(given))


class _Stop:
    """Asks the server to stop on a signal; before there is one, ends the start."""

    def __init__(self, start: anyio.CancelScope) -> None:
        self._start = start
        self.server: _Server | None = None

    async def on_signal(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                if self.server is None or not self.server.started:
                    self._start.cancel()
                    return
                self.server.force_exit = self.server.should_exit  # asked twice: wait for nobody
                self.server.should_exit = True


def _look_ahead(config: Config) -> None:
    """What would only fail later, in the middle of things, fails now and clearly."""
    if not config.all_upstreams:
        raise ConfigError(
            "No upstream is set; give `--upstream https://api.openai.com/v1`, any other"
            " OpenAI-compatible URL, a litellm model name, or `--upstream demo` to look around."
        )
    for one in config.all_upstreams:
        key_of(one)
        if one.by_litellm and not _installed("litellm"):
            raise ConfigError(
                f"`upstream` is {one.upstream!r}, which litellm serves, and litellm is not"
                " installed; install BlueCode with its `litellm` extra."
            )
    if config.capture is not None or config.capture_key:
        _look_at_capture(config)
    for name, given in (("audit_database", config.audit_database), ("database", config.database)):
        if given is not None and not _installed("alembic"):
            raise ConfigError(
                f"`{name}` needs packages; install BlueCode with its `postgres` extra."
            )
    if config.shared is not None and config.seal_key is None:
        raise ConfigError(
            "`shared` needs `seal_key`, the same for all replicas: what is shared is sealed by it."
        )
    if config.traces and not _installed("opentelemetry.exporter.otlp.proto.http"):
        raise ConfigError(
            "`traces` needs packages of OpenTelemetry; install BlueCode with its `otel` extra."
        )
    if config.shared is not None and not _installed("redis"):
        raise ConfigError(
            "`shared` needs the package `redis`; install BlueCode with its `redis` extra."
        )
    if config.audit_days > config.audit_backups:
        raise ConfigError(
            f"`audit_days` is {config.audit_days} and `audit_backups` {config.audit_backups}: with"
            " a file a day, fewer files than days would lose the older ones; raise the second."
        )
    if config.audit not in ("stdout", "none"):
        try:
            Path(config.audit).open("a").close()
        except OSError as error:
            raise ConfigError(f"The audit file cannot be written: {error}.") from error


def _look_at_capture(config: Config) -> None:
    if not _installed("nacl"):
        raise ConfigError(
            "`capture` needs the package `pynacl`; install BlueCode with its `capture` extra."
        )
    from bluecode.proxy.capture_keys import Seal

    if config.capture is None or not config.capture_key:
        raise ConfigError("`capture` and `capture_key` belong together; set both.")
    Seal(config.capture_key)
    try:
        config.capture.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"`capture` cannot be written: {error.strerror}.") from error


def _installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a package above it is not there
        return False


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where a socket says that it is TCP; with it on,
    # each answer on a kept connection would wait 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"`listen` is {host}:{port}, and that cannot be had ({error.strerror or error})."
            " Choose another with `--listen`."
        ) from error
    return listener


def _server(app: ASGIApp, *, grace: int) -> _Server:
    return _Server(
        uvicorn.Config(
            app,
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=grace,
        )
    )


async def _announce(server: _Server, address: tuple[str, int], upstream: str) -> None:
    await server.up()
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    log.info(
        "BlueCode %s serves http://%s:%d/v1 in front of %s",
        metadata.version("bluecode"),
        host,
        address[1],
        upstream,
    )
