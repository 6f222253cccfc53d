"""The life of one chat request: screen, forward, check, answer.

Whatever goes wrong on the way, the client gets a well-formed answer in its own protocol, the
provider's connection is closed, and one audit line says what happened.
"""

import json
import logging
import secrets
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from bluecode.defenses import carriers
from bluecode.defenses.conversation import Message, Role, Snippet
from bluecode.defenses.snippets import SnippetExtractor
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy import gate, notes
from bluecode.proxy.audit import Audit
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine
from bluecode.proxy.exchange import Exchange, family_of
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.sse import BrokenStream, EventSplitter
from bluecode.proxy.stream import HeldStream, snippets_of
from bluecode.proxy.upstream import Call, Reply, Upstream, UpstreamError
from bluecode.proxy.wire import openai_chat as chat

log = logging.getLogger("bluecode.guard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What a request needs, opened once by the application."""

    config: Config
    engine: Engine
    upstream: Upstream
    metrics: Metrics
    audit: Audit
    notes: notes.Notes


class ChatGuard:
    """One request; an ASGI conversation from the first byte to the last."""

    def __init__(self, services: Services, path: str) -> None:
        self._s = services
        self._path = path

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        exchange = Exchange(
            request_id=f"bc-{secrets.token_hex(8)}",
            route=self._path,
            client=family_of(headers),
            explain="x-bluecode-explain" in headers,
        )
        sent = _Sent(send, exchange.request_id)
        self._s.metrics.in_flight.inc()
        try:
            await self._serve(scope, receive, sent, headers, exchange)
        except chat.WireError as error:
            await sent.error(error.status, chat.error(str(error), code=error.code))
        except gate.ClientGone:
            exchange.decision = "disconnect"
        finally:
            self._s.metrics.in_flight.dec()
            if exchange.decision == "disconnect":
                self._s.metrics.disconnects.labels(self._path).inc()
            exchange.record(self._s.engine.policy_version, self._s.metrics, self._s.audit)

    async def _serve(
        self, scope: Scope, receive: Receive, sent: "_Sent", headers: Headers, exchange: Exchange
    ) -> None:
        exchange.key_name = gate.admit(headers, self._s.config)
        body = await gate.read_body(receive, headers, self._s.config.body_limit)
        request = chat.parse(body)
        exchange.model, exchange.streamed = request.conversation.model, request.stream
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_leave_with_client, receive, tasks.cancel_scope, sent, exchange)
            await self._answer_or_tell(scope, sent, headers, body, request, exchange)
            tasks.cancel_scope.cancel()

    async def _answer_or_tell(
        self,
        scope: Scope,
        sent: "_Sent",
        headers: Headers,
        body: bytes,
        request: chat.ChatRequest,
        exchange: Exchange,
    ) -> None:
        try:
            await self._answer(scope, sent, headers, body, request, exchange)
        except UpstreamError as error:
            exchange.decision = "error"
            self._s.metrics.upstream_errors.labels(error.kind).inc()
            told = chat.error(str(error), code=f"upstream_{error.kind}", kind="upstream_error")
            await sent.error(error.status, told)
        except Exception as error:  # the edge: a fault of ours ends this request and no other
            exchange.decision = "error"
            log.error("fault", extra={"type": type(error).__name__, "at": _where(error)})
            told = chat.error("BlueCode failed.", code="internal_error", kind="server_error")
            await sent.error(500, told)

    async def _answer(
        self,
        scope: Scope,
        sent: "_Sent",
        headers: Headers,
        body: bytes,
        request: chat.ChatRequest,
        exchange: Exchange,
    ) -> None:
        replaced = await self._screen(request, exchange)
        if exchange.prompt.blocks:
            exchange.settle([exchange.prompt])
            await self._refuse(sent, request, exchange.prompt)
            return
        call = Call(
            method="POST",
            path=self._path,
            query=scope.get("query_string", b"").decode("latin-1"),
            headers=gate.headers_for_upstream(headers, self._s.config),
            body=json.dumps(request.payload).encode() if replaced else body,
        )
        async with self._s.upstream.send(call) as reply:
            self._s.metrics.upstream_replies.labels(f"{reply.status // 100}xx").inc()
            await self._relay(sent, request, reply, exchange)

    async def _screen(self, request: chat.ChatRequest, exchange: Exchange) -> bool:
        """Screen every message; blocked ones of earlier turns are replaced. True where any was."""
        started = time.perf_counter()
        turn = request.conversation.history
        verdicts: list[Verdict] = []
        for at, message in enumerate(request.conversation.messages):
            decided = await self._s.engine.decide_message(self._own_notes_aside(message))
            exchange.messages += 1
            exchange.screened += not decided.cached
            if decided.cached:
                self._s.metrics.cached.labels("prompt").inc()
            else:
                self._s.metrics.count("prompt", decided.verdict)
            if decided.verdict.blocks and at < turn:
                exchange.replaced += 1
                chat.replace_message(request.payload, at, notes.PLACEHOLDER)
            elif at >= turn or not decided.cached:
                verdicts.append(decided.verdict)
        exchange.prompt = merge(verdicts)
        exchange.add("screening", time.perf_counter() - started)
        return exchange.replaced > 0

    def _remember(self, texts: Sequence[str]) -> None:
        """What the model said and the client got comes back as history; it was looked at here."""
        for text in texts:
            self._s.engine.trust(Message(role=Role.ASSISTANT, text=text))

    def _own_notes_aside(self, message: Message) -> Message:
        if message.role is not Role.ASSISTANT:
            return message
        text = self._s.notes.without(message.text)
        return message if text == message.text else replace(message, text=text)

    async def _refuse(self, sent: "_Sent", request: chat.ChatRequest, verdict: Verdict) -> None:
        told = notes.as_json(verdict)
        headers = notes.as_headers(verdict)
        text = self._s.notes.refusal(verdict)
        if self._s.engine.policy.refusal_style == "error":
            await sent.json(400, {**_blocked_error(text), "bluecode": told}, headers)
        elif request.stream:
            await sent.open(
                200, [*_raw(headers), (b"content-type", b"text/event-stream; charset=utf-8")]
            )
            await sent.events(list(chat.refusal_events(request, text, told)))
            await sent.close()
        else:
            await sent.json(200, {**chat.refusal(request, text), "bluecode": told}, headers)

    async def _relay(
        self, sent: "_Sent", request: chat.ChatRequest, reply: Reply, exchange: Exchange
    ) -> None:
        headers = gate.headers_for_client(reply)
        kind = dict(headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
        if 300 <= reply.status < 400:  # a client that follows it would leave the guard
            raise UpstreamError(502, "The model provider redirects.", kind="broken")
        if not 200 <= reply.status < 300:
            exchange.decision = "error"
            await sent.open(reply.status, headers)
            while data := await reply.chunk():
                await sent.data(data)
            await sent.close()
        elif kind == b"text/event-stream":
            await self._stream(sent, request, reply, exchange, headers)
        elif kind.endswith(b"json") or not kind:
            await self._whole(sent, reply, exchange, headers)
        else:
            raise UpstreamError(
                502, "The model provider answered with neither JSON nor events.", kind="broken"
            )

    async def _whole(
        self, sent: "_Sent", reply: Reply, exchange: Exchange, headers: list[tuple[bytes, bytes]]
    ) -> None:
        raw = await _read_all(reply, self._s.config.body_limit)
        try:
            answer = json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise UpstreamError(
                502, "The model provider's answer is not JSON.", kind="broken"
            ) from error
        if not isinstance(answer, dict):
            raise UpstreamError(
                502, "The model provider's answer is no JSON object.", kind="broken"
            )
        verdicts = [
            await self._check_choice(choice, exchange) for choice in chat.choices_of(answer)
        ]
        exchange.code = merge(verdicts)
        verdict = exchange.settle([exchange.prompt, exchange.code])
        if not exchange.code.blocks:
            self._remember([chat.said(choice["message"]) for choice in chat.choices_of(answer)])
        said = [] if verdict.shadow else notes.as_headers(verdict)
        if verdict.shadow or (verdict.passes and not exchange.explain):
            await sent.whole(200, [*headers, *_raw(said)], raw)
        elif exchange.code.blocks and self._s.engine.policy.refusal_style == "error":
            text = self._s.notes.withheld(exchange.code)
            await sent.json(400, {**_blocked_error(text), "bluecode": notes.as_json(verdict)}, said)
        else:
            answer["bluecode"] = notes.as_json(verdict)
            await sent.whole(200, [*headers, *_raw(said)], json.dumps(answer).encode())

    async def _check_choice(self, choice: dict[str, Any], exchange: Exchange) -> Verdict:
        """Check one choice of a whole answer, and change it where the verdict asks for it."""
        message = choice["message"]
        text = chat.text_of(message)
        extractor = SnippetExtractor()
        verdicts = []
        for block in extractor.feed(text) + extractor.close():
            verdict = await self._check(carriers.in_block(block), exchange)
            verdicts.append(verdict)
            if verdict.blocks:
                lead = text[: block.start].rstrip()
                note = self._s.notes.withheld(verdict)
                chat.withhold(choice, f"{lead}\n\n{note}" if lead else note)
                return merge(verdicts)
        snippets, unchecked = snippets_of(chat.calls_of(message))
        if message.get("audio") is not None:
            unchecked = (*unchecked, "audio")
        self._s.metrics.count_unseen(unchecked)
        verdict = merge(
            [
                await self._check(snippets, exchange),
                self._s.engine.policy.decide((), unchecked=unchecked),
            ]
        )
        verdicts.append(verdict)
        if verdict.blocks:
            note = self._s.notes.withheld(verdict)
            chat.withhold(choice, f"{text.rstrip()}\n\n{note}" if text.strip() else note)
        elif (all_of_it := merge(verdicts)).warns:
            message["content"] = f"{text}\n\n{self._s.notes.warning(all_of_it)}".lstrip()
        return merge(verdicts)

    async def _check(self, snippets: Sequence[Snippet], exchange: Exchange) -> Verdict:
        started = time.perf_counter()
        verdicts = []
        for snippet in snippets:
            decided = await self._s.engine.decide_snippet(snippet)
            if decided.cached:
                self._s.metrics.cached.labels("code").inc()
            self._s.metrics.count("code", decided.verdict)
            verdicts.append(decided.verdict)
        exchange.snippets += snippets
        exchange.add("checking", time.perf_counter() - started)
        return merge(verdicts)

    async def _stream(
        self,
        sent: "_Sent",
        request: chat.ChatRequest,
        reply: Reply,
        exchange: Exchange,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        ready: list[bytes] = []

        async def check(snippets: Sequence[Snippet]) -> Verdict:
            await sent.events(ready)  # prose does not wait for the verdict on code behind it
            ready.clear()
            return await self._check(snippets, exchange)

        policy = self._s.engine.policy
        held = HeldStream(
            check,
            policy,
            self._s.notes,
            limit=self._s.config.held_limit,
            choices=request.choices,
            prompt=exchange.prompt,
            explain=exchange.explain,
        )
        if not policy.shadow:
            headers = [*headers, *_raw(notes.as_headers(exchange.prompt))]
        await sent.open(200, headers)
        try:
            await self._pump(sent, reply, held, ready, request, exchange)
        except (UpstreamError, BrokenStream) as error:
            kind = error.kind if isinstance(error, UpstreamError) else "broken"
            self._s.metrics.upstream_errors.labels(kind).inc()
            told = chat.error(f"{error}", code=f"upstream_{kind}", kind="upstream_error")
            await sent.events([*ready, *await held.finish(done=chat.event(told))])
            exchange.code = held.verdict
            exchange.decision = "error"
        else:
            exchange.code = held.verdict
            exchange.settle([exchange.prompt, held.verdict])
            self._remember(held.delivered())
        self._s.metrics.count_unseen(held.unseen)
        await sent.close()

    async def _pump(
        self,
        sent: "_Sent",
        reply: Reply,
        held: HeldStream,
        ready: list[bytes],
        request: chat.ChatRequest,
        exchange: Exchange,
    ) -> None:
        """Events in, events out, and a comment now and then while something is held."""
        splitter = EventSplitter(self._s.config.held_limit)
        since: float | None = None
        while not held.done and not (held.over and not request.include_usage):
            data: bytes | None = None
            with anyio.move_on_after(max(0.0, sent.due(self._s.config.keep_alive))):
                data = await reply.chunk()
            if data == b"":
                break
            for raw in splitter.feed(data or b""):
                ready += await held.push(raw)
            if ready:
                await sent.events(ready)
                ready.clear()
            elif held.holding and sent.due(self._s.config.keep_alive) <= 0:
                await sent.events([chat.KEEP_ALIVE])
            elif data is None:
                sent.touch()
            since = self._time_held(held, since, exchange)
        if rest := splitter.rest().strip():
            await sent.events(await held.push(rest + b"\n\n"))
        if not held.complete:
            raise UpstreamError(502, "The model provider ended its answer early.", kind="broken")
        await sent.events(await held.finish())

    def _time_held(self, held: HeldStream, since: float | None, exchange: Exchange) -> float | None:
        now = time.perf_counter()
        if held.holding:
            return now if since is None else since
        if since is not None:
            exchange.add("held", now - since)
        return None


class _Sent:
    """The client's side: what was sent, and when."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self._id = (b"x-bluecode-request-id", request_id.encode())
        self._opened = False
        self.closed = False
        """Was the last byte handed over?"""
        self._last = time.monotonic()

    def due(self, interval: float) -> float:
        """Seconds until the client should hear something."""
        return interval - (time.monotonic() - self._last)

    def touch(self) -> None:
        self._last = time.monotonic()

    async def open(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        self._opened = True
        await self._send(gate.start(status, [*headers, self._id]))

    async def data(self, data: bytes) -> None:
        self.touch()
        await self._send(gate.piece(data, more=True))

    async def events(self, events: Sequence[bytes]) -> None:
        if events:
            await self.data(b"".join(events))

    async def close(self) -> None:
        self.closed = True
        await self._send(gate.piece(b"", more=False))

    async def whole(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._opened = self.closed = True
        length = (b"content-length", str(len(body)).encode())
        await gate.send_body(self._send, status, [*headers, self._id, length], body)

    async def json(
        self, status: int, payload: dict[str, Any], headers: list[tuple[str, str]]
    ) -> None:
        kind = (b"content-type", b"application/json")
        await self.whole(status, [*_raw(headers), kind], json.dumps(payload).encode())

    async def error(self, status: int, payload: dict[str, Any]) -> None:
        """An error answer; in the middle of one that has begun, an error event and a clean end."""
        if not self._opened:
            await self.json(status, payload, [])
            return
        await self.events([chat.event(payload)])
        await self.close()


def _raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers]


def _blocked_error(text: str) -> dict[str, Any]:
    return chat.error(text, code="bluecode_blocked", kind="content_policy_violation")


def _where(error: Exception) -> str:
    """File and line of a fault; its message may quote what a user wrote and stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else "?"


async def _read_all(reply: Reply, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while data := await reply.chunk():
        size += len(data)
        if size > limit:
            raise UpstreamError(502, "The model provider's answer is too large.", kind="broken")
        parts.append(data)
    return b"".join(parts)


async def _leave_with_client(
    receive: Receive, scope: anyio.CancelScope, sent: "_Sent", exchange: Exchange
) -> None:
    """When the client leaves, everything done for it ends."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if sent.closed:  # servers also say so once the answer is whole
        return
    exchange.decision = "disconnect"
    scope.cancel()
