"""From the provider's answer to the client's: judged, and changed only where the verdict asks."""

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import anyio

from bluecode.defenses import provenance
from bluecode.defenses.conversation import Role, Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy import gate, notes
from bluecode.proxy.client import Client, raw
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine
from bluecode.proxy.exchange import Exchange
from bluecode.proxy.framing import framing_of
from bluecode.proxy.later import Later
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.repair import Repair
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.upstream import Reply, UpstreamError
from bluecode.proxy.wire.forms import Unchanged, form_for
from bluecode.proxy.wire.wire import AnswerStream, Judging, Mended, Request, Wire

_AT_ONCE, _PATIENCE = 3, 0.001
_BUDGETS = 10
"""The checks of one answer may take so many times what those of one snippet may."""


class Relay:
    """Passes one answer on."""

    def __init__(
        self,
        config: Config,
        engine: Engine,
        metrics: Metrics,
        own: notes.Notes,
        wire: Wire,
        policy: Policy,
    ) -> None:
        self._config = config
        self._engine = engine
        self._policy = policy
        self._metrics = metrics
        self._notes = own.under(policy)
        self._wire = wire
        self._framing = framing_of(wire)
        self.repair: Repair | None = None
        """How blocked code is repaired, where that is asked for."""

    async def pass_on(
        self, client: Client, request: Request, reply: Reply, exchange: Exchange
    ) -> list[str]:
        """What the client got whole, as it will send it back.

        Raises `UpstreamError` or `BrokenStream` as long as nothing was sent.
        """
        headers = gate.headers_for_client(reply)
        kind = dict(headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
        if 300 <= reply.status < 400:  # a client that follows it would leave the guard
            raise UpstreamError(502, "The model provider redirects.", kind="broken")
        if not 200 <= reply.status < 300:
            exchange.decision = "error"
            await client.whole(reply.status, headers, await self._failure(reply, kind))
            return []
        if kind == self._framing.content_type.encode():
            return await self._stream(client, request, reply, exchange, headers)
        if kind.endswith(b"json") or not kind:
            return await self._whole(client, request, reply, exchange, headers)
        raise UpstreamError(
            502, "The model provider answered with neither JSON nor events.", kind="broken"
        )

    async def _failure(self, reply: Reply, kind: bytes) -> bytes:
        """The provider's error as it came; an answer under a status of failure is none."""
        body = await gate.read_reply(reply, self._config.body_limit)
        if kind == self._framing.content_type.encode() or any(sign in body for sign in _ANSWERS):
            raise UpstreamError(
                502, "The model provider answered with a status of failure.", kind="broken"
            )
        return body

    async def _whole(
        self,
        client: Client,
        request: Request,
        reply: Reply,
        exchange: Exchange,
        headers: list[tuple[bytes, bytes]],
    ) -> list[str]:
        body = await gate.read_reply(reply, self._config.body_limit)
        judging = self.judging(request, exchange)
        answer = self._wire.whole(request, body, judging)
        exchange.code = await answer.judge()
        self._close_repair(exchange)
        self._metrics.count_unseen(answer.unseen)
        verdict = exchange.settle([exchange.prompt, exchange.code])
        said = [] if verdict.shadow else raw(notes.as_headers(verdict))
        if verdict.shadow or (verdict.passes and not exchange.explain):
            await client.whole(200, [*headers, *said], body)
        elif exchange.code.blocks and self._policy.refusal_style == "error":
            await client.blocked(self._notes.withheld(exchange.code), notes.as_json(verdict), said)
        else:
            told = {**notes.as_json(verdict), **judging.aside(exchange.code)}
            await client.whole(200, [*headers, *said], answer.with_verdict(told))
        return [] if exchange.code.blocks else answer.delivered()

    def judging(
        self, request: Request, exchange: Exchange, ready: "_Ready | None" = None
    ) -> Judging:
        """What an answer to this request is judged with."""
        form = form_for(request, side=exchange.side)
        judging = Judging(
            check=partial(self._check, exchange, ready),
            trace=partial(self._trace, request),
            policy=self._policy,
            notes=self._notes.in_form(form, alone=isinstance(form, Unchanged)),
            limit=self._config.held_limit,
            prompt=exchange.prompt,
            explain=exchange.explain,
        )
        if self.repair is None:
            return judging
        aside = self.repair.told
        if form is not str:  # a new answer behind a note would break what this client reads
            return replace(judging, aside=aside)
        return replace(judging, aside=aside, mend=partial(self._mend, request, exchange, judging))

    async def _mend(
        self, request: Request, exchange: Exchange, judging: Judging, said: str, verdict: Verdict
    ) -> Mended | None:
        assert self.repair is not None
        started = time.perf_counter()
        mended = await self.repair.mend(request, judging.check, judging.notes, said, verdict)
        exchange.add("repair", time.perf_counter() - started)
        return mended

    def _close_repair(self, exchange: Exchange) -> None:
        if self.repair is not None:
            self.repair.told(exchange.code)
            exchange.repair = self.repair.outcome

    def _trace(self, request: Request, calls: Sequence[str]) -> Verdict:
        """The verdict on where the words of tool calls come from."""
        messages = request.conversation.messages
        brought = [message.text for message in messages if message.role is Role.TOOL]
        if not brought or not any(calls) or provenance.NAME in self._policy.disabled:
            return merge([])
        asked = [message.text for message in messages if message.role in (Role.USER, Role.SYSTEM)]
        asked += [extra.text for extra in request.extras]
        found = provenance.trace(calls, asked, brought, self._engine.orders)
        verdict = self._policy.decide(found)
        if found:
            self._metrics.count("code", verdict)
        return verdict

    async def _check(
        self, exchange: Exchange, ready: "_Ready | None", snippets: Sequence[Snippet]
    ) -> Verdict:
        """Decide on snippets. What is left when the answer's budgets are spent is not checked."""
        if ready is not None:
            await ready.leave()  # prose does not wait for the verdict on code behind it
        verdicts = []
        for snippet in snippets:
            started = time.perf_counter()
            if exchange.seconds.get("checking", 0.0) > _BUDGETS * self._policy.budget:
                verdict = self._policy.decide((), failed=("budget",))
            else:
                decided = await self._engine.decide_snippet(snippet)
                decided = self._engine.under(self._policy, decided)
                verdict = decided.verdict
                if decided.cached:
                    self._metrics.cached.labels("code").inc()
            self._metrics.count("code", verdict)
            verdicts.append(verdict)
            exchange.add("checking", time.perf_counter() - started)
        exchange.snippets += snippets
        return merge(verdicts)

    async def _stream(
        self,
        client: Client,
        request: Request,
        reply: Reply,
        exchange: Exchange,
        headers: list[tuple[bytes, bytes]],
    ) -> list[str]:
        ready = _Ready(client)
        held = self._wire.stream(request, self.judging(request, exchange, ready))
        if not self._policy.shadow:
            headers = [*headers, *raw(notes.as_headers(exchange.prompt))]
        await client.open(200, headers)
        async with Later(self._config.keep_alive, partial(self._keep_alive, client, held)):
            await self._pump_or_tell(client, request, reply, exchange, held, ready)
        self._metrics.count_unseen(held.unseen)
        await client.close()
        return [] if exchange.decision == "error" else held.delivered()

    async def _pump_or_tell(
        self,
        client: Client,
        request: Request,
        reply: Reply,
        exchange: Exchange,
        held: AnswerStream,
        ready: "_Ready",
    ) -> None:
        try:
            await self._pump(request, reply, exchange, held, ready)
        except (UpstreamError, BrokenStream) as error:
            _, kind = failure_of(error)
            self._metrics.upstream_errors.labels(kind).inc()
            told = client.error_event(f"{error}", code=f"upstream_{kind}", kind="upstream_error")
            ready.add(await held.finish(told, early=True) or [told])
            await ready.leave()
            exchange.code = held.verdict
            self._close_repair(exchange)
            exchange.decision = "error"
            return
        exchange.code = held.verdict
        self._close_repair(exchange)
        exchange.settle([exchange.prompt, held.verdict])
        if held.failed:
            self._metrics.upstream_errors.labels("provider").inc()
            exchange.decision = "error"

    async def _pump(
        self,
        request: Request,
        reply: Reply,
        exchange: Exchange,
        held: AnswerStream,
        ready: "_Ready",
    ) -> None:
        """Events in, events out. A shadow adds nothing, be it for the form."""
        shadow = self._policy.shadow
        splitter = self._framing.splitter(self._config.held_limit)
        since: float | None = None
        while not held.done and not (held.over and not request.include_usage):
            data = await reply.chunk()
            if not data:
                break
            for event in splitter.feed(data):
                ready.add(await held.push(event))
                if ready.urgent:
                    await ready.leave(last=held.done)
            await ready.leave(last=held.done)
            since = _time_held(held, since, exchange)
        if (rest := splitter.rest()).strip():
            ready.add(await held.push(rest if shadow else rest.rstrip() + b"\n\n"))
        if not held.complete:
            raise UpstreamError(502, "The model provider ended its answer early.", kind="broken")
        ready.add(await held.finish(b"" if shadow else self._wire.done))
        await ready.leave(last=True)

    async def _keep_alive(self, client: Client, held: AnswerStream) -> None:
        """Something now and then while events are held, whatever it is that takes so long."""
        interval = self._config.keep_alive
        while self._wire.keep_alive:
            if client.due(interval) > 0:
                await anyio.sleep(max(0.01, client.due(interval)))
            elif held.holding and not held.done:
                await client.data(self._wire.keep_alive)
            else:
                await anyio.sleep(interval / 10)


_ANSWERS = (b'"choices"', b'"output"', b'"candidates"', b'"stop_reason"', b'"done_reason"')
"""Members that only an answer has, whatever its status says."""


class _Ready:
    """Events that may leave, until they are handed over."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._events: list[bytes] = []
        self._handed = 0
        self._last = time.perf_counter()

    def add(self, events: list[bytes]) -> None:
        self._events += events

    @property
    def urgent(self) -> bool:
        """Is somebody waiting? The first words leave at once; later events that came together
        leave together, but no later than a millisecond after the last ones."""
        late = time.perf_counter() - self._last > _PATIENCE
        return bool(self._events) and (self._handed < _AT_ONCE or late)

    async def leave(self, *, last: bool = False) -> None:
        """Hand them over; after the `last` ones a client may leave whenever it likes."""
        events, self._events = self._events, []
        self._handed += bool(events)
        self._last = time.perf_counter()
        self._client.served = self._client.served or last
        await self._client.events(events)


def _time_held(held: AnswerStream, since: float | None, exchange: Exchange) -> float | None:
    now = time.perf_counter()
    if held.holding:
        return now if since is None else since
    if since is not None:
        exchange.add("held", now - since)
    return None


def failure_of(error: UpstreamError | BrokenStream) -> tuple[int, str]:
    """Status for the client, and kind for the metric."""
    return (error.status, error.kind) if isinstance(error, UpstreamError) else (502, "broken")
