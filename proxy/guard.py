"""The life of one chat request: screen, forward, check, answer.

Whatever goes wrong on the way, the client gets a well-formed answer in its own protocol, the
provider's connection is closed, and one audit line says what happened.
"""

import json
import logging
import secrets
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import anyio
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from bluecode.defenses.conversation import Message, Role, Snippet
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy import gate, notes
from bluecode.proxy.audit import Audit
from bluecode.proxy.client import Client, raw
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Decided, Engine
from bluecode.proxy.exchange import Exchange, family_of
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.sse import BrokenStream, EventSplitter
from bluecode.proxy.stream import HeldStream
from bluecode.proxy.upstream import Call, Reply, Upstream, UpstreamError
from bluecode.proxy.whole import WholeAnswer
from bluecode.proxy.wire import openai_answer as answers
from bluecode.proxy.wire import openai_chat as chat
from bluecode.proxy.wire import reading

log = logging.getLogger("bluecode.guard")
_BUDGETS = 10


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
        sent = Client(send, exchange.request_id)
        self._s.metrics.in_flight.inc()
        try:
            await self._serve(scope, receive, sent, headers, exchange)
        except reading.WireError as error:
            await sent.error(error.status, chat.error(str(error), code=error.code))
        except gate.ClientGone:
            exchange.decision = "disconnect"
        finally:
            self._s.metrics.in_flight.dec()
            if exchange.decision == "disconnect":
                self._s.metrics.disconnects.labels(self._path).inc()
            exchange.record(self._s.engine.policy_version, self._s.metrics, self._s.audit)

    async def _serve(
        self, scope: Scope, receive: Receive, sent: Client, headers: Headers, exchange: Exchange
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
        sent: Client,
        headers: Headers,
        body: bytes,
        request: chat.ChatRequest,
        exchange: Exchange,
    ) -> None:
        try:
            await self._answer(scope, sent, headers, body, request, exchange)
        except (UpstreamError, BrokenStream) as error:
            exchange.decision = "error"
            status, kind = _failure_of(error)
            self._s.metrics.upstream_errors.labels(kind).inc()
            told = chat.error(f"{error}", code=f"upstream_{kind}", kind="upstream_error")
            await sent.error(status, told)
        except Exception as error:  # the edge: a fault of ours ends this request and no other
            exchange.decision = "error"
            log.error("fault", extra={"type": type(error).__name__, "at": _where(error)})
            told = chat.error("BlueCode failed.", code="internal_error", kind="server_error")
            await sent.error(500, told)

    async def _answer(
        self,
        scope: Scope,
        sent: Client,
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
        """Screen all that the model reads; True where blocked messages were replaced.

        Blocked messages of earlier turns are replaced, and so is a message of the user that was
        refused before and has been followed by another one.
        """
        started = time.perf_counter()
        messages = request.conversation.messages
        turn = request.conversation.history
        asked = max((at for at, m in enumerate(messages) if m.role is Role.USER), default=0)
        verdicts: list[Verdict] = []
        for at, message in enumerate(messages):
            decided = await self._decide(self._own_notes_aside(message), exchange)
            again = decided.cached and at < asked and message.role is Role.USER
            if decided.verdict.blocks and (at < turn or again):
                exchange.replaced += 1
                chat.replace_message(request.payload, at, notes.PLACEHOLDER)
            elif at >= turn or not decided.cached:
                verdicts.append(decided.verdict)
            exchange.chain.update(message.digest.encode())
        verdicts += [(await self._decide(extra, exchange)).verdict for extra in request.extras]
        exchange.prompt = merge(verdicts)
        exchange.add("screening", time.perf_counter() - started)
        return exchange.replaced > 0

    async def _decide(self, message: Message, exchange: Exchange) -> Decided:
        decided = self._s.engine.trusted(exchange.so_far, message)
        decided = decided or await self._s.engine.decide_message(message)
        exchange.messages += 1
        exchange.screened += not decided.cached
        if decided.cached:
            self._s.metrics.cached.labels("prompt").inc()
        else:
            self._s.metrics.count("prompt", decided.verdict)
        return decided

    def _remember(self, texts: Sequence[str], exchange: Exchange) -> None:
        """What the model said here comes back as history, and was looked at on its way out."""
        for text in texts:
            message = self._own_notes_aside(Message(role=Role.ASSISTANT, text=text))
            self._s.engine.trust(exchange.so_far, message)

    def _own_notes_aside(self, message: Message) -> Message:
        if message.role is not Role.ASSISTANT:
            return message
        text = self._s.notes.without(message.text)
        return message if text == message.text else replace(message, text=text)

    async def _refuse(self, sent: Client, request: chat.ChatRequest, verdict: Verdict) -> None:
        told = notes.as_json(verdict)
        headers = raw(notes.as_headers(verdict))
        text = self._s.notes.refusal(verdict)
        if self._s.engine.policy.refusal_style == "error":
            await sent.json(400, {**_blocked_error(text), "bluecode": told}, headers)
        elif request.stream:
            kind = (b"content-type", b"text/event-stream; charset=utf-8")
            await sent.open(200, [*headers, kind])
            await sent.events(list(chat.refusal_events(request, text, told)))
            await sent.close()
        else:
            await sent.json(200, {**chat.refusal(request, text), "bluecode": told}, headers)

    async def _relay(
        self, sent: Client, request: chat.ChatRequest, reply: Reply, exchange: Exchange
    ) -> None:
        headers = gate.headers_for_client(reply)
        kind = dict(headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
        if 300 <= reply.status < 400:  # a client that follows it would leave the guard
            raise UpstreamError(502, "The model provider redirects.", kind="broken")
        if not 200 <= reply.status < 300:
            exchange.decision = "error"
            await sent.whole(reply.status, headers, await self._failure(reply, kind))
        elif kind == b"text/event-stream":
            await self._stream(sent, request, reply, exchange, headers)
        elif kind.endswith(b"json") or not kind:
            await self._whole(sent, reply, exchange, headers)
        else:
            raise UpstreamError(
                502, "The model provider answered with neither JSON nor events.", kind="broken"
            )

    async def _failure(self, reply: Reply, kind: bytes) -> bytes:
        """The provider's error as it came; an answer under a status of failure is none."""
        body = await _read_all(reply, self._s.config.body_limit)
        if kind == b"text/event-stream" or b'"choices"' in body:
            raise UpstreamError(
                502, "The model provider answered with a status of failure.", kind="broken"
            )
        return body

    async def _whole(
        self, sent: Client, reply: Reply, exchange: Exchange, headers: list[tuple[bytes, bytes]]
    ) -> None:
        policy = self._s.engine.policy
        body = await _read_all(reply, self._s.config.body_limit)
        answer = WholeAnswer(body)
        exchange.code = await answer.check(partial(self._check, exchange), policy, self._s.notes)
        self._s.metrics.count_unseen(answer.unseen)
        verdict = exchange.settle([exchange.prompt, exchange.code])
        if not exchange.code.blocks:
            self._remember(_said(answer.payload), exchange)
        said = [] if verdict.shadow else raw(notes.as_headers(verdict))
        if verdict.shadow or (verdict.passes and not exchange.explain):
            await sent.whole(200, [*headers, *said], body)
        elif exchange.code.blocks and policy.refusal_style == "error":
            text = self._s.notes.withheld(exchange.code)
            await sent.json(400, {**_blocked_error(text), "bluecode": notes.as_json(verdict)}, said)
        else:
            told = answer.with_member("bluecode", notes.as_json(verdict))
            await sent.whole(200, [*headers, *said], told)

    async def _check(self, exchange: Exchange, snippets: Sequence[Snippet]) -> Verdict:
        """Decide on snippets. One answer may take ten budgets; what is left then is not checked."""
        policy = self._s.engine.policy
        verdicts = []
        for snippet in snippets:
            started = time.perf_counter()
            if exchange.seconds.get("checking", 0.0) > _BUDGETS * policy.budget:
                verdict = policy.decide((), failed=("budget",))
            else:
                decided = await self._s.engine.decide_snippet(snippet)
                verdict = decided.verdict
                if decided.cached:
                    self._s.metrics.cached.labels("code").inc()
            self._s.metrics.count("code", verdict)
            verdicts.append(verdict)
            exchange.add("checking", time.perf_counter() - started)
        exchange.snippets += snippets
        return merge(verdicts)

    async def _stream(
        self,
        sent: Client,
        request: chat.ChatRequest,
        reply: Reply,
        exchange: Exchange,
        headers: list[tuple[bytes, bytes]],
    ) -> None:
        ready: list[bytes] = []

        async def check(snippets: Sequence[Snippet]) -> Verdict:
            await sent.events(ready)  # prose does not wait for the verdict on code behind it
            ready.clear()
            return await self._check(exchange, snippets)

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
            headers = [*headers, *raw(notes.as_headers(exchange.prompt))]
        await sent.open(200, headers)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_keep_alive, sent, held, self._s.config.keep_alive)
            await self._pump_or_tell(sent, reply, held, ready, request, exchange)
            tasks.cancel_scope.cancel()
        self._s.metrics.count_unseen(held.unseen)
        await sent.close()

    async def _pump_or_tell(
        self,
        sent: Client,
        reply: Reply,
        held: HeldStream,
        ready: list[bytes],
        request: chat.ChatRequest,
        exchange: Exchange,
    ) -> None:
        try:
            await self._pump(sent, reply, held, ready, request, exchange)
        except (UpstreamError, BrokenStream) as error:
            _, kind = _failure_of(error)
            self._s.metrics.upstream_errors.labels(kind).inc()
            told = answers.event(
                chat.error(f"{error}", code=f"upstream_{kind}", kind="upstream_error")
            )
            await sent.events([*ready, *(await held.finish(done=told, early=True) or [told])])
            exchange.code = held.verdict
            exchange.decision = "error"
            return
        exchange.code = held.verdict
        exchange.settle([exchange.prompt, held.verdict])
        self._remember(held.delivered(), exchange)
        if held.failed:
            self._s.metrics.upstream_errors.labels("provider").inc()
            exchange.decision = "error"

    async def _pump(
        self,
        sent: Client,
        reply: Reply,
        held: HeldStream,
        ready: list[bytes],
        request: chat.ChatRequest,
        exchange: Exchange,
    ) -> None:
        """Events in, events out."""
        shadow = self._s.engine.policy.shadow
        splitter = EventSplitter(self._s.config.held_limit)
        since: float | None = None
        while not held.done and not (held.over and not request.include_usage):
            data = await reply.chunk()
            if not data:
                break
            for event in splitter.feed(data):
                ready += await held.push(event)
            await sent.events(ready)
            ready.clear()
            since = self._time_held(held, since, exchange)
        if (rest := splitter.rest()).strip():
            await sent.events(await held.push(rest if shadow else rest.rstrip() + b"\n\n"))
        if not held.complete:
            raise UpstreamError(502, "The model provider ended its answer early.", kind="broken")
        await sent.events(await held.finish(done=b"" if shadow else answers.DONE))

    def _time_held(self, held: HeldStream, since: float | None, exchange: Exchange) -> float | None:
        now = time.perf_counter()
        if held.holding:
            return now if since is None else since
        if since is not None:
            exchange.add("held", now - since)
        return None


def _failure_of(error: UpstreamError | BrokenStream) -> tuple[int, str]:
    return (error.status, error.kind) if isinstance(error, UpstreamError) else (502, "broken")


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


def _said(answer: Mapping[str, Any]) -> list[str]:
    """An answer's texts as they are read when they come back in the history."""
    messages = [choice.get("message") for _, choice in answers.choices_of(answer)]
    return [
        chat.read_message({**message, "role": "assistant"}, 0).text
        for message in messages
        if isinstance(message, dict) and isinstance(message.get("content"), str | list | None)
    ]


async def _keep_alive(sent: Client, held: HeldStream, interval: float) -> None:
    """A comment now and then while something is held, whatever it is that takes so long."""
    while True:
        await anyio.sleep(max(0.01, sent.due(interval)))
        if sent.due(interval) <= 0:
            if held.holding and not held.done:
                await sent.events([answers.KEEP_ALIVE])
            else:
                await anyio.sleep(interval / 10)


async def _leave_with_client(
    receive: Receive, scope: anyio.CancelScope, sent: Client, exchange: Exchange
) -> None:
    """When the client leaves, everything done for it ends."""
    while (await receive())["type"] != "http.disconnect":
        pass
    if sent.closed:  # servers also say so once the answer is whole
        return
    exchange.decision = "disconnect"
    scope.cancel()
