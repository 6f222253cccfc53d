"""LiteLLM's generic guardrail API: a verdict for those who have LiteLLM's proxy already.

LiteLLM sends what a request or an answer says and does as it is told: `NONE` lets it pass,
`BLOCKED` ends it with an error, `GUARDRAIL_INTERVENED` puts other texts in its place. It does not
put other texts into every kind of stream, and never into tool calls. So a replacement is made only
where whoever set up LiteLLM says, by the header `X-BlueCode-Replace`, that it will arrive
(`history`: messages of earlier turns, `answer`: code in answers); without it there is a block.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from bluecode.defenses.conversation import Conversation, Message, Role
from bluecode.defenses.snippets import SnippetExtractor
from bluecode.defenses.verdict import Verdict
from bluecode.proxy import notes
from bluecode.proxy.client import Client, raw
from bluecode.proxy.engine import Cache
from bluecode.proxy.exchange import Exchange
from bluecode.proxy.families import family_of
from bluecode.proxy.guard import Guard, Services
from bluecode.proxy.upstream import Call
from bluecode.proxy.wire import content, openai_chat, reading
from bluecode.proxy.wire.openai_whole import WholeChat
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Request

PATH: Final = "/beta/litellm_basic_guardrail_api"
_REPLACEABLE: Final = frozenset({"history", "answer"})
_CALLS: Final = 10_000
"""Requests whose answer is still awaited."""


class GuardrailWire(openai_chat.ChatWire):
    """Reads what LiteLLM tells; messages and tool calls are in the chat protocol's form."""

    paths = (PATH,)

    def parse(self, body: bytes, path: str) -> Request:
        payload = reading.body(body)
        kind = payload.get("input_type")
        if kind not in ("request", "response"):
            raise WireError(400, "`input_type` must be `request` or `response`.")
        _texts(payload)
        _listed(payload, "tool_calls")
        rows = _listed(payload, "structured_messages") if kind == "request" else []
        payload["messages"] = rows
        messages = tuple(openai_chat.read_message(row, at) for at, row in enumerate(rows))
        model = payload.get("model")
        return Request(
            payload=payload,
            conversation=Conversation(
                messages=messages, model=model if isinstance(model, str) else ""
            ),
            extras=tuple(_extras(payload, messages)) if kind == "request" else (),
        )


class Guardrail(Guard):
    """One question of LiteLLM's; nothing is sent upstream."""

    def __init__(self, services: Services, wire: GuardrailWire, asked: Cache[str]) -> None:
        super().__init__(services, wire, PATH, PATH)
        self._asked = asked
        self._replace: frozenset[str] = frozenset()

    def _answering(self, model: str) -> str:
        """LiteLLM chose it, and it is LiteLLM that asks it."""
        return model

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = Headers(scope=scope).get("x-bluecode-replace", "").lower()
        self._replace = frozenset(part.strip() for part in told.split(",") if part.strip())
        await super().serve(scope, receive, send)

    async def _answer(
        self, client: Client, call: Call, request: Request, exchange: Exchange
    ) -> None:
        if self._replace - _REPLACEABLE:
            known = "`X-BlueCode-Replace` may name `history` and `answer`, and nothing else."
            await client.error(400, known, code="invalid_header")
            return
        exchange.client = _family(request.payload.get("request_headers"))
        asks = request.payload["input_type"] == "request"
        told, verdict = await (self._ask if asks else self._respond)(request, exchange)
        if exchange.explain or not verdict.passes:
            told["bluecode"] = notes.as_json(verdict)
        await client.json(200, told, raw(notes.as_headers(verdict)))

    async def _ask(self, request: Request, exchange: Exchange) -> tuple[dict[str, Any], Verdict]:
        """What the model is about to read."""
        before = [dict(row) for row in request.payload["messages"]]
        replaced = await self._screen(request, exchange)
        verdict = exchange.settle([exchange.prompt])
        if isinstance(name := request.payload.get("litellm_call_id"), str):
            self._asked.put(name, exchange.so_far)
        shadow = exchange.policy.shadow
        if verdict.blocks:
            return _blocked(self._s.notes.under(exchange.policy).refusal(verdict)), verdict
        if not replaced or shadow:
            return {"action": "NONE"}, verdict
        if "history" not in self._replace:
            exchange.decision = "block"
            return _blocked("BlueCode refused an earlier message of this conversation."), verdict
        rows = request.payload["messages"]
        gone = [old for old, new in zip(before, rows, strict=True) if old != new]
        texts = _with_placeholders(_texts(request.payload), gone)
        told = {"action": "GUARDRAIL_INTERVENED", "texts": texts, "structured_messages": rows}
        return told, verdict

    async def _respond(
        self, request: Request, exchange: Exchange
    ) -> tuple[dict[str, Any], Verdict]:
        """What the model answered."""
        texts, calls = _texts(request.payload), request.payload.get("tool_calls") or []
        relay = self._relay(exchange)
        answer = WholeChat(_as_answer(texts, calls), relay.judging(request, exchange))
        exchange.code = await answer.judge()
        self._s.metrics.count_unseen(answer.unseen)
        verdict = exchange.settle([exchange.code])
        judged = [_content(choice) for choice in json.loads(answer.with_verdict({}))["choices"]]
        may_replace = "answer" in self._replace and not verdict.shadow
        held = {"stream_holdback_chars": _held(texts, judged)} if may_replace else {}
        self._remember_answer(request, exchange, texts)
        call_blocked = bool(calls) and bool(judged[-1])
        if verdict.blocks and (call_blocked or not may_replace):
            return _blocked(self._s.notes.under(exchange.policy).withheld(verdict)), verdict
        if not may_replace or judged[: len(texts)] == texts:
            return {"action": "NONE", **held}, verdict
        told = [_replaced(text, new) for text, new in zip(texts, judged, strict=False)]
        return {"action": "GUARDRAIL_INTERVENED", "texts": told, **held}, verdict

    def _remember_answer(self, request: Request, exchange: Exchange, texts: list[str]) -> None:
        """An answer that passed comes back as history, and was looked at here."""
        so_far = self._asked.get(str(request.payload.get("litellm_call_id")))
        if so_far is None or exchange.code.blocks:
            return
        for text in filter(None, texts):
            self._s.engine.trust(so_far, Message(role=Role.ASSISTANT, text=text))


def pending() -> Cache[str]:
    """Remembers which conversation a call belongs to until its answer is asked about."""
    return Cache(_CALLS)


def _texts(payload: Mapping[str, Any]) -> list[str]:
    texts = _listed(payload, "texts")
    if not all(isinstance(text, str) for text in texts):
        raise WireError(400, "`texts` must be a list of strings.")
    return texts


def _listed(payload: Mapping[str, Any], key: str) -> list[Any]:
    value = payload.get(key)
    if value is not None and not isinstance(value, list):
        raise WireError(400, f"`{key}` must be a list or null.")
    return value or []


def _extras(payload: Mapping[str, Any], messages: Sequence[Message]) -> Iterator[Message]:
    """What the model reads beside the messages: texts of other protocols, images, tools, calls."""
    known = {text for row in payload["messages"] for text in _said(row.get("content"))}
    for text in _texts(payload):
        if text and text not in known:
            yield Message(role=Role.USER, text=text)
    if _listed(payload, "images") and not any("image" in item.unread for item in messages):
        yield Message(role=Role.USER, text="", unread=("image",))
    if not messages and _listed(payload, "tool_calls"):
        calls = openai_chat.calls_of({"tool_calls": payload["tool_calls"]})
        yield Message(role=Role.ASSISTANT, text="\n".join(call.text for call in calls))
    texts: list[str] = []
    unread: set[str] = set()
    content.read(payload.get("tools"), "", texts, unread)
    if texts or unread:
        yield Message(role=Role.SYSTEM, text="\n".join(texts), unread=tuple(sorted(unread)))


def _family(headers: Any) -> str:
    """The family of the client in front of LiteLLM."""
    if not isinstance(headers, dict):
        return "litellm"
    told = {str(name).lower(): value for name, value in headers.items() if isinstance(value, str)}
    return family_of(told)


def _blocked(reason: str) -> dict[str, Any]:
    return {"action": "BLOCKED", "blocked_reason": reason}


def _with_placeholders(texts: list[str], gone: Sequence[Mapping[str, Any]]) -> list[str]:
    """LiteLLM's texts, less those of the messages that are gone; each is taken once."""
    said = Counter(text for row in gone for text in _said(row.get("content")))
    told = []
    for text in texts:
        replaced = said[text] > 0
        said[text] -= replaced
        told.append(notes.PLACEHOLDER if replaced else text)
    return told


def _said(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    parts = value if isinstance(value, list) else []
    told = [part.get("text") for part in parts if isinstance(part, dict)]
    return [text for text in told if isinstance(text, str)]


def _as_answer(texts: Sequence[str], calls: Sequence[Any]) -> bytes:
    """An answer in the chat protocol: a choice for each text, and one for all tool calls."""
    messages: list[dict[str, Any]] = [{"content": text} for text in texts]
    messages += [{"content": None, "tool_calls": calls}] if calls else []
    choices = [{"index": at, "message": message} for at, message in enumerate(messages)]
    return json.dumps({"choices": choices}).encode()


def _content(choice: Mapping[str, Any]) -> str:
    said = choice["message"].get("content")
    return said if isinstance(said, str) else ""


def _replaced(text: str, judged: str) -> str:
    """The judged text with its seam as it was: what has left already must stay its beginning."""
    if judged == text:
        return text
    same = _same(text, judged)
    note = judged[same:].lstrip()
    kept = text[: same + len(text[same:]) - len(text[same:].lstrip())]
    return kept + ("\n\n" if kept and not kept.endswith("\n") else "") + note


def _same(text: str, judged: str) -> int:
    """How many characters both begin with."""
    pairs = zip(text, judged, strict=False)
    return next((at for at, (old, new) in enumerate(pairs) if old != new), len(text))


def _held(texts: Sequence[str], judged: Sequence[str]) -> list[int]:
    """For each text how many characters at its end are still open, or stand behind an open part."""
    held = []
    for text, new in zip(texts, judged, strict=False):
        extractor = SnippetExtractor()
        extractor.feed(text)
        told = _replaced(text, new)
        same = _same(text, told)
        cut = same < len(text) and extractor.settled > same
        held.append(0 if cut else max(0, len(told) - extractor.settled))
    return held
