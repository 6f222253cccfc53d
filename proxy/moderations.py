"""OpenAI's moderations, so that whatever can ask them can ask BlueCode.

A text is screened as a user's message, and code in it is checked as if a model had written it.
Besides BlueCode's categories all of OpenAI's are in the answer, since its clients read them; for
those that BlueCode does not look for, `category_applied_input_types` is empty.
"""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bluecode.defenses.conversation import Conversation, Message, Role, Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Finding, Verdict, merge
from bluecode.proxy import notes
from bluecode.proxy.client import Client, raw
from bluecode.proxy.exchange import Exchange
from bluecode.proxy.guard import Guard, Services
from bluecode.proxy.upstream import Call
from bluecode.proxy.wire import content, openai_chat, reading
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Request

PATH: Final = "/moderations"
THEIRS: Final[Mapping[str, tuple[Category, ...]]] = {
    **dict.fromkeys(
        (
            "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit/violent",
            "self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "sexual/minors",
            "violence", "violence/graphic",
        ),
        (),
    ),
    "illicit": (Category.MALICE, Category.MALICIOUS_CODE),
}  # fmt: skip
"""OpenAI's categories, and which of BlueCode's are meant by them."""
_MOST: Final = 256
"""Inputs of one request."""


class ModerationsWire(openai_chat.ChatWire):
    """Reads `input`: a text, texts, or the parts of one multimodal input."""

    paths = (PATH,)

    def parse(self, body: bytes, path: str) -> Request:
        payload = reading.body(body)
        model = payload.get("model")
        return Request(
            payload=payload,
            conversation=Conversation(
                messages=tuple(_messages(payload.get("input"))),
                model=model if isinstance(model, str) else "",
            ),
        )


class Moderations(Guard):
    """One request; nothing is sent upstream."""

    def __init__(self, services: Services, wire: ModerationsWire) -> None:
        super().__init__(services, wire, PATH, PATH)

    async def _answer(
        self, client: Client, call: Call, request: Request, exchange: Exchange
    ) -> None:
        results, verdicts = [], []
        for message in request.conversation.messages:
            verdict = await self._moderate(request, message, exchange)
            results.append(_result(verdict, exchange.policy))
            verdicts.append(verdict)
        verdict = exchange.settle(verdicts)
        told = {
            "id": f"modr-bluecode-{secrets.token_hex(8)}",
            "model": request.conversation.model or "bluecode",
            "results": results,
        }
        await client.json(200, told, raw(notes.as_headers(verdict)))

    async def _moderate(self, request: Request, message: Message, exchange: Exchange) -> Verdict:
        prompt = (await self._decide(message, exchange)).verdict
        relay = self._relay(exchange)
        snippets: list[Snippet] = []
        for block in await reading.blocks_of(message.text):
            snippets += await reading.unwrapped(block)
        code = await relay.judging(request, exchange).check(snippets)
        exchange.prompt = merge([exchange.prompt, prompt])
        exchange.code = merge([exchange.code, code])
        return merge([prompt, code])


def _messages(given: Any) -> list[Message]:
    """One message for each input. Raises `WireError`."""
    if isinstance(given, str):
        return [Message(role=Role.USER, text=given)]
    if not isinstance(given, list) or not 0 < len(given) <= _MOST:
        raise WireError(400, f"`input` must be a string or a list of 1 to {_MOST} items.")
    if all(isinstance(item, str) for item in given):
        return [Message(role=Role.USER, text=item) for item in given]
    if all(isinstance(item, dict) for item in given):
        texts: list[str] = []
        unread: set[str] = set()
        for part in given:
            content.read_part(part, texts, unread)
        return [Message(role=Role.USER, text="\n".join(texts), unread=tuple(sorted(unread)))]
    raise WireError(400, "`input` must hold strings alone, or parts with a `type` alone.")


def _result(verdict: Verdict, policy: Policy) -> dict[str, Any]:
    own = {
        category: [f for f in verdict.findings if f.category is category] for category in Category
    }
    told = {**{category.value: (category,) for category in Category}, **THEIRS}
    found = {name: [f for one in meant for f in own[one]] for name, meant in told.items()}
    return {
        "flagged": verdict.blocks,
        "categories": {name: _blocks(listed, policy) for name, listed in found.items()},
        "category_scores": {name: _score(listed) for name, listed in found.items()},
        "category_applied_input_types": {
            name: ["text"] if meant else [] for name, meant in told.items()
        },
        "bluecode": notes.as_json(verdict),
    }


def _blocks(findings: Sequence[Finding], policy: Policy) -> bool:
    return any(policy.action_for(finding) is Action.BLOCK for finding in findings)


def _score(findings: Sequence[Finding]) -> float:
    return max((finding.score for finding in findings), default=0.0)
