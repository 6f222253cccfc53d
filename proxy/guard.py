"""The life of one guarded request: screen, forward, relay.

Whatever goes wrong on the way, the client gets a well-formed answer in its own protocol, the
provider's connection is closed, and one audit line says what happened.
"""

import json
import logging
import secrets
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
import anyio.lowlevel
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from bluecode.defenses.asks import Asks, cautious
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.verdict import Action, Verdict, merge
from bluecode.proxy import gate, notes
from bluecode.proxy.audit import Audit, line_of
from bluecode.proxy.client import Client, raw
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Decided, Engine
from bluecode.proxy.exchange import Exchange
from bluecode.proxy.families import family_of
from bluecode.proxy.framing import framing_of
from bluecode.proxy.later import Later
from bluecode.proxy.limits import METER, Limits
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.relay import Relay, failure_of
from bluecode.proxy.repair import Repair
from bluecode.proxy.routing import protocol_of
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.taken import Taken
from bluecode.proxy.upstream import Call, Upstream, UpstreamError
from bluecode.proxy.usage import LETTERS
from bluecode.proxy.wire.forms import form_for
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Request, Wire
from bluecode.sandbox import turns

log = logging.getLogger("bluecode.guard")
_TURN = 0.005
"""Seconds of screening after which other requests have their turn."""
_UNWATCHED = 0.1
"""Seconds that a client must have waited before it is watched for leaving."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a request needs, opened once by the application."""

    config: Config
    engine: Engine
    upstream: Upstream
    metrics: Metrics
    audit: Audit
    notes: notes.Notes
    limits: Limits
    capture: Callable[[Mapping[str, Any], Taken], None] | None = None
    """Where full texts go, where somebody switched that on."""


class Guard:
    """One request; an ASGI conversation from the first byte to the last."""

    def __init__(self, services: Services, wire: Wire, route: str, path: str) -> None:
        self._s = services
        self._wire = wire
        self._route = route
        self._path = path
        self._since = time.perf_counter()

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = gate.Incoming(scope)
        exchange = Exchange(
            request_id=f"bc-{secrets.token_hex(8)}",
            route=self._route,
            client=family_of(headers),
            chosen=self._s.engine.rollout.base,
            explain="x-bluecode-explain" in headers,
        )
        turns.REQUEST.set(exchange.request_id)  # the sandbox is fair between requests
        client = Client(send, exchange.request_id, self._wire)
        self._s.metrics.in_flight.inc()
        try:
            await self._serve(scope, receive, client, headers, exchange)
        except WireError as error:
            exchange.decision = error.decision
            told = {"code": error.code, "kind": error.kind}
            await client.error(error.status, str(error), headers=error.headers, **told)
        except gate.ClientGone:
            exchange.decision = "disconnect"
        finally:
            self._s.metrics.in_flight.dec()
            if exchange.decision == "disconnect":
                self._s.metrics.disconnects.labels(self._route).inc()
            entry = exchange.record(self._s.engine.policy_version, self._s.metrics, self._s.audit)
            if self._s.capture is not None and exchange.taken is not None:
                self._s.capture(line_of(entry), exchange.taken)

    async def _serve(
        self, scope: Scope, receive: Receive, client: Client, headers: Headers, exchange: Exchange
    ) -> None:
        exchange.key_name = gate.admit(headers, self._s.config)
        body = await gate.read_body(receive, headers, self._s.config.body_limit)
        request = self._wire.parse(body, self._path)
        if self._s.capture is not None:
            exchange.taken = Taken(self._path, body)
        exchange.know(request)
        model = self._answering(request.conversation.model)
        exchange.asks(request.conversation, model, self._s.engine.rollout)
        if self._s.limits.any:
            meter = self._s.limits.admit(exchange.asker, self._s.config.body_limit)
            METER.set(meter)
            if meter is not None:
                said = (*request.conversation.messages, *request.extras)
                meter.asked = sum(len(message.text) for message in said) // LETTERS
        call = Call(
            method="POST",
            path=self._path,
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=gate.headers_for_upstream(headers, self._s.config, self._wire.key_header),
            body=body,
            model=request.conversation.model,
        )
        with anyio.CancelScope() as work:
            watch = partial(_leave_with_client, receive, work, client, exchange)
            async with Later(_UNWATCHED, watch):
                await self._answer_or_tell(client, call, request, exchange)

    def _answering(self, model: str) -> str:
        """What will answer. A client's word counts only where it decides on that."""
        return self._s.config.answering(model, protocol_of(self._path))

    async def _answer_or_tell(
        self, client: Client, call: Call, request: Request, exchange: Exchange
    ) -> None:
        try:
            await self._answer(client, call, request, exchange)
        except WireError as error:  # a wire whose messages cannot be replaced
            exchange.decision = "block"
            await client.error(error.status, str(error), code=error.code)
        except (UpstreamError, BrokenStream) as error:
            exchange.decision = "error"
            status, kind = failure_of(error)
            self._s.metrics.upstream_errors.labels(kind).inc()
            await client.error(status, f"{error}", code=f"upstream_{kind}", kind="upstream_error")
        except Exception as error:  # the edge: a fault of ours ends this request and no other
            exchange.decision = "error"
            log.error("fault: %s at %s", type(error).__name__, _where(error))
            told = "BlueCode failed."
            await client.error(500, told, code="internal_error", kind="server_error")

    async def _answer(
        self, client: Client, call: Call, request: Request, exchange: Exchange
    ) -> None:
        if await self._screen(request, exchange):
            call = replace(call, body=json.dumps(request.payload).encode())
        if exchange.prompt.blocks:
            exchange.settle([exchange.prompt])
            await self._refuse(client, request, exchange)
            return
        relay = self._relay(exchange)
        if exchange.policy.repair or self._s.config.repair:
            given = self._s.upstream, call, self._wire, exchange.policy
            relay.repair = Repair(*given, limit=self._s.config.body_limit)
        async with self._s.upstream.send(call) as reply:
            self._s.metrics.upstream_replies.labels(f"{reply.status // 100}xx").inc()
            if exchange.taken is not None:
                reply = exchange.taken.watch(reply, self._s.config.body_limit)
            self._remember(await relay.pass_on(client, request, reply, exchange), exchange)
            if exchange.taken is not None:
                exchange.taken.end()

    async def _screen(self, request: Request, exchange: Exchange) -> bool:
        """Screen all that the model reads; True where blocked messages were replaced.

        Blocked messages of earlier turns are replaced, and so is a message of the user that was
        refused before and has been followed by another one. What the user asks is also seen
        together with what was asked before.
        """
        started = time.perf_counter()
        messages = request.conversation.messages
        turn = request.conversation.history
        asked = max((at for at, m in enumerate(messages) if m.role is Role.USER), default=0)
        verdicts: list[Verdict] = []
        task, asks = "", Asks()
        for at, message in enumerate(messages):
            if message.role is Role.USER:
                task = self._s.engine.task_of(message)
            seen = self._own_notes_aside(message)
            if message.role is Role.TOOL and task:
                seen = replace(seen, task=task)
            decided = await self._decide(seen, exchange)
            if message.role is Role.USER and decided.verdict.action is Action.ALLOW:
                decided = await self._together(asks, task, decided, exchange)
            again = decided.cached and at < asked and message.role is Role.USER
            if decided.verdict.blocks and (at < turn or again):
                exchange.replaced += 1
                self._wire.replace_message(request, at, notes.PLACEHOLDER)
            elif at >= turn or not decided.cached:
                verdicts.append(decided.verdict)
            exchange.chain.update(message.digest.encode())
        verdicts += [(await self._decide(extra, exchange)).verdict for extra in request.extras]
        exchange.prompt = merge(verdicts)
        exchange.add("screening", time.perf_counter() - started)
        return exchange.replaced > 0

    async def _together(self, asks: Asks, said: str, alone: Decided, exchange: Exchange) -> Decided:
        """The stricter verdict on an ask: alone, or with those before it."""
        joined = asks.joined(said)
        if joined is not None:
            decided = await self._s.engine.decide_message(joined)
            decided = replace(decided, verdict=cautious(decided.verdict, exchange.policy))
            if not decided.cached:
                self._s.metrics.count("prompt", decided.verdict)
            if decided.verdict.action is not Action.ALLOW:
                return decided
        asks.add(said)
        return alone

    async def _decide(self, message: Message, exchange: Exchange) -> Decided:
        if time.perf_counter() - self._since > _TURN:
            await anyio.lowlevel.checkpoint()
            self._since = time.perf_counter()
        decided = self._s.engine.trusted(exchange.so_far, message)
        decided = decided or await self._s.engine.decide_message(message)
        decided = self._s.engine.under(exchange.policy, decided)
        exchange.messages += 1
        exchange.screened += not decided.cached
        if decided.cached:
            self._s.metrics.cached.labels("prompt").inc()
        else:
            self._s.metrics.count("prompt", decided.verdict)
        return decided

    def _remember(self, texts: Sequence[str], exchange: Exchange) -> None:
        """What the model said here comes back as history, and was looked at on its way out."""
        for text in filter(None, texts):
            message = self._own_notes_aside(Message(role=Role.ASSISTANT, text=text))
            self._s.engine.trust(exchange.so_far, message)

    def _own_notes_aside(self, message: Message) -> Message:
        if message.role is not Role.ASSISTANT:
            return message
        text = self._s.notes.without(message.text)
        return message if text == message.text else replace(message, text=text)

    def _relay(self, exchange: Exchange) -> Relay:
        s = self._s
        return Relay(s.config, s.engine, s.metrics, s.notes, self._wire, exchange.policy)

    async def _refuse(self, client: Client, request: Request, exchange: Exchange) -> None:
        verdict = exchange.prompt
        told = notes.as_json(verdict)
        headers = raw(notes.as_headers(verdict))
        form = form_for(request, side=exchange.side)
        text = self._s.notes.under(exchange.policy).in_form(form).refusal(verdict)
        if exchange.policy.refusal_style == "error":
            await client.blocked(text, told, headers)
        elif request.stream:
            told_as = framing_of(self._wire).content_type
            kind = (b"content-type", f"{told_as}; charset=utf-8".encode())
            await client.open(200, [*headers, kind])
            await client.events(self._wire.refusal_events(request, text, told))
            await client.close()
        else:
            answer = {**self._wire.refusal(request, text), "bluecode": told}
            await client.json(200, answer, headers)


def _where(error: Exception) -> str:
    """File and line of a fault; its message may quote what a user wrote and stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"


async def _leave_with_client(
    receive: Receive, scope: anyio.CancelScope, client: Client, exchange: Exchange
) -> None:
    """When the client leaves, everything done for it ends."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if client.served:  # servers also say so once the answer is whole
        return
    exchange.decision = "disconnect"
    scope.cancel()
