"""agentgateway's guardrail webhook: a verdict for those who have that gateway already.

The gateway sends the texts of a request, or of an answer, and does as it is told: pass, reject with
a status and a body, or put other messages in place (`mask`). In streams it takes `mask` for `pass`,
and the webhook is not told which it is; so code in an answer is rejected, unless whoever set up the
gateway says by the header `X-BlueCode-Replace: answer` that a replacement will arrive. Tool calls
are not sent, and neither is what kind of answer it is.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from bluecode.defenses.conversation import Conversation
from bluecode.defenses.verdict import Verdict
from bluecode.proxy import notes
from bluecode.proxy.client import Client, raw
from bluecode.proxy.exchange import Exchange
from bluecode.proxy.guard import Guard, Services
from bluecode.proxy.upstream import Call
from bluecode.proxy.wire import openai_chat, reading
from bluecode.proxy.wire.openai_whole import WholeChat
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Request

PATHS: Final = ("/request", "/response")
"""As the gateway names them; they stand at the root."""
_ROLES: Final = frozenset("system developer user assistant tool function".split())
_STATUS: Final = 400
"""Of a rejection: clients take 403 for a wrong key, and try again after others."""


class WebhookWire(openai_chat.ChatWire):
    """Reads what the gateway tells; an answer's choices are kept for `Webhook`."""

    def parse(self, body: bytes, path: str) -> Request:
        payload = reading.body(body)
        told = payload.get("body")
        key = "messages" if path == "/request" else "choices"
        rows = told.get(key) if isinstance(told, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise WireError(400, f"`body.{key}` must be a list of objects.")
        messages = [_row(row) for row in rows] if key == "messages" else []
        read = tuple(openai_chat.read_message(row, at) for at, row in enumerate(messages))
        payload = {"messages": messages, "choices": rows if key == "choices" else []}
        return Request(payload=payload, conversation=Conversation(messages=read, model=""))


class Webhook(Guard):
    """One question of the gateway's; nothing is sent upstream."""

    def __init__(self, services: Services, wire: WebhookWire, path: str) -> None:
        super().__init__(services, wire, path, path)
        self._asks = path == "/request"
        self._may_replace = False

    def _answering(self, model: str) -> str:
        """The gateway does not say it."""
        return model

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        told = Headers(scope=scope).get("x-bluecode-replace", "").strip().lower()
        self._may_replace = told == "answer"
        await super().serve(scope, receive, send)

    async def _answer(
        self, client: Client, call: Call, request: Request, exchange: Exchange
    ) -> None:
        action, verdict = await (self._ask if self._asks else self._respond)(request, exchange)
        told: dict[str, Any] = {"action": action}
        if exchange.explain or not verdict.passes:
            told["bluecode"] = notes.as_json(verdict)
        await client.json(200, told, raw(notes.as_headers(verdict)))

    async def _ask(self, request: Request, exchange: Exchange) -> tuple[dict[str, Any], Verdict]:
        """What the model is about to read."""
        replaced = await self._screen(request, exchange)
        verdict = exchange.settle([exchange.prompt])
        if verdict.shadow or not (verdict.blocks or replaced):
            return _passed(verdict), verdict
        if verdict.blocks:
            return _rejected(self._s.notes.under(exchange.policy).refusal(verdict)), verdict
        return {"body": {"messages": request.payload["messages"]}, "reason": "history"}, verdict

    async def _respond(
        self, request: Request, exchange: Exchange
    ) -> tuple[dict[str, Any], Verdict]:
        """What the model answered."""
        given = request.payload["choices"]
        choices = [{"index": at, "message": _row(_said(row))} for at, row in enumerate(given)]
        relay = self._relay(exchange)
        answer = WholeChat(
            json.dumps({"choices": choices}).encode(), relay.judging(request, exchange)
        )
        exchange.code = await answer.judge()
        self._s.metrics.count_unseen(answer.unseen)
        verdict = exchange.settle([exchange.code])
        if verdict.shadow or verdict.passes or (verdict.warns and not self._may_replace):
            return _passed(verdict), verdict
        if not self._may_replace:
            return _rejected(self._s.notes.under(exchange.policy).withheld(verdict)), verdict
        judged = json.loads(answer.with_verdict({}))["choices"]
        said = [{"message": _row(choice["message"])} for choice in judged]
        return {"body": {"choices": said}, "reason": "code"}, verdict


def _row(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message as the gateway tells it: a role, which may be of any protocol, and a text."""
    role = message.get("role")
    known = role if isinstance(role, str) and role in _ROLES else "user"
    known = "assistant" if role == "model" else known
    return {"role": known, "content": message.get("content") or ""}


def _said(choice: Mapping[str, Any]) -> Mapping[str, Any]:
    message = choice.get("message")
    if not isinstance(message, dict) or not isinstance(message.get("content", ""), str | None):
        raise WireError(400, "Each of `body.choices` must hold a message with a text.")
    return {"role": "assistant", "content": message.get("content")}


def _passed(verdict: Verdict) -> dict[str, Any]:
    return {"reason": verdict.action.name.lower()}


def _rejected(note: str) -> dict[str, Any]:
    """The body is what the gateway's client gets: an error that SDKs can read."""
    told = openai_chat.error(note, code="bluecode_blocked")
    return {"body": json.dumps(told), "status_code": _STATUS, "reason": "block"}
