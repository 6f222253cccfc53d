"""Completions without a conversation: the legacy protocol, and fill-in-the-middle for editors.

What comes back goes into an editor as it is, so nothing but code may come back: a completion that
is blocked is empty, and a warning shows in headers and the `bluecode` object alone. The code before
and after the cursor is the user's own: it gives context and is not judged.
"""

import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bluecode.defenses.conversation import Conversation, Message, Role
from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import as_json
from bluecode.proxy.sse import BrokenStream, data_of, with_member
from bluecode.proxy.wire import content, openai_answer, openai_chat, reading
from bluecode.proxy.wire.around import Around, screened
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import AnswerStream, Judging, Request, WholeAnswer

_PAYLOAD_KEYS = frozenset("prompt suffix model stream n".split())
_NO_TEXT = frozenset(
    "prompt suffix model stream n best_of echo frequency_penalty presence_penalty logit_bias"
    " logprobs max_tokens min_tokens seed stop stream_options temperature top_p top_k user"
    " random_seed metadata options keep_alive".split()
)


class CompletionsWire:
    """See `Wire`."""

    paths = ("/completions", "/fim/completions")
    key_header = "authorization"
    keep_alive = openai_answer.KEEP_ALIVE
    done = openai_answer.DONE

    def parse(self, body: bytes, path: str) -> Request:
        payload = reading.body(body)
        content.refuse_variants(payload, _PAYLOAD_KEYS, "The request body")
        prompts = _prompts(payload.get("prompt"))
        suffix = payload.get("suffix")
        if suffix is not None and not isinstance(suffix, str):
            raise WireError(400, "`suffix` must be a string.")
        role = Role.USER if suffix is None else Role.TOOL
        messages = [message for prompt in prompts for message in _messages(role, prompt)]
        if suffix:
            messages.append(Message(role=role, text=suffix))
        model = payload.get("model")
        count = payload.get("n")
        return Request(
            payload=payload,
            conversation=Conversation(
                messages=tuple(messages), model=model if isinstance(model, str) else ""
            ),
            extras=tuple(content.extras(payload, _NO_TEXT, {})),
            stream=payload.get("stream") is True,
            choices=count if type(count) is int and 0 < count <= 128 else 1,
        )

    def replace_message(self, request: Request, at: int, text: str) -> None:
        raise WireError(400, "The prompt holds what was refused.", code="bluecode_blocked")

    def refusal(self, request: Request, text: str) -> dict[str, Any]:
        usage = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
        return {**_empty(request), "usage": usage}

    def refusal_events(self, request: Request, text: str, told: Mapping[str, Any]) -> list[bytes]:
        event = openai_answer.event({**_empty(request), "bluecode": dict(told)})
        return [event, openai_answer.DONE]

    def error(self, message: str, *, code: str, kind: str, status: int) -> dict[str, Any]:
        return openai_chat.error(message, code=code, kind=kind)

    def error_event(self, error: Mapping[str, Any]) -> bytes:
        return openai_answer.event(error)

    def whole(self, request: Request, body: bytes, judging: Judging) -> WholeAnswer:
        return WholeCompletion(_arounds(request), request.choices, body, judging)

    def stream(self, request: Request, judging: Judging) -> AnswerStream:
        return CompletionStream(_arounds(request), request.choices, judging)


class _Completions:
    """Texts by choice, and the verdict on them."""

    def __init__(self, around: Sequence[Around], each: int, judging: Judging) -> None:
        self._around = around
        self._each = each
        self.judging = judging
        self.texts: dict[int, str] = {}
        self.unseen: set[str] = set()

    def take(self, payload: Mapping[str, Any]) -> None:
        """Add what an event or an answer says. Raises `BrokenStream`."""
        for index, choice in openai_answer.choices_of(payload):
            for key in ("text", "delta", "message"):
                said = "".join(text for path, text in _said(choice.get(key)))
                self.texts[index] = self.texts.get(index, "") + said

    async def judge(self) -> Verdict:
        verdicts = []
        for index, text in self.texts.items():
            if text.strip():
                verdicts.append(await self._judge(index, text))
        if self.unseen:
            told = self.judging.policy.decide((), unchecked=sorted(self.unseen))
            verdicts.append(told)
        return merge(verdicts)

    async def _judge(self, index: int, text: str) -> Verdict:
        at = min(index // self._each, len(self._around) - 1)
        around = self._around[at]
        verdict = await self.judging.check([around.snippet(text)])
        if around.after and "syntax" in verdict.unchecked:  # the cursor stands within a statement
            verdict = await self.judging.check([around.snippet(text, whole=False)])
        return verdict


def _said(value: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    for path, text in reading.strings(value):
        if path[-1:] not in (("role",), ("type",), ("finish_reason",)):
            yield path, text


class WholeCompletion:
    """See `WholeAnswer`."""

    def __init__(self, around: Sequence[Around], each: int, raw: bytes, judging: Judging) -> None:
        """Raises `BrokenStream` for what no client could read."""
        payload = reading.answer(raw)
        if not isinstance(payload, dict):
            raise BrokenStream("the answer is no JSON object")
        self._payload: dict[str, Any] = payload
        self._completions = _Completions(around, each, judging)
        self._completions.take(payload)
        self.verdict = merge([])
        self.unseen = self._completions.unseen

    async def judge(self) -> Verdict:
        self.verdict = await self._completions.judge()
        if self.verdict.blocks:
            self._payload["choices"] = [
                _emptied(choice) for _, choice in openai_answer.choices_of(self._payload)
            ]
        return self.verdict

    def delivered(self) -> list[str]:
        return []

    def with_verdict(self, told: Mapping[str, Any]) -> bytes:
        return reading.written({**self._payload, "bluecode": told})


class CompletionStream:
    """See `AnswerStream`. All of it waits: a completion is short, and all of it is code."""

    def __init__(self, around: Sequence[Around], each: int, judging: Judging) -> None:
        self._completions = _Completions(around, each, judging)
        self._judging = judging
        self._queue: list[tuple[bytes, dict[str, Any] | None]] = []
        self._size = 0
        self.verdict = merge([])
        self.unseen = self._completions.unseen
        self.done = False
        self.failed = False

    @property
    def holding(self) -> bool:
        return bool(self._queue)

    @property
    def over(self) -> bool:
        return False

    @property
    def complete(self) -> bool:
        """These protocols often end without saying so."""
        return True

    async def push(self, raw: bytes) -> list[bytes]:
        data = data_of(raw)
        if data == b"[DONE]":
            return await self.finish(raw)
        payload = reading.event_object(data) if data else None
        if payload is not None:
            self.failed = self.failed or bool(payload.get("error") and not payload.get("choices"))
            self._completions.take(payload)
        self._queue.append((raw, payload))
        self._size += len(raw)
        if self._size > 32 * self._judging.limit:
            raise BrokenStream("more is held back than the limit allows")
        return []

    async def finish(self, done: bytes, *, early: bool = False) -> list[bytes]:
        if self.done:
            return []
        self.done = True
        if sum(map(len, self._completions.texts.values())) > self._judging.limit:
            self.unseen.add("oversized")
        self.verdict = await self._completions.judge()
        if self.verdict.blocks:
            return [*self._emptied(), done]
        raws = [raw for raw, _ in self._queue]
        whole = merge([self._judging.prompt, self.verdict])
        if raws and not whole.shadow and (self._judging.explain or not whole.passes):
            at = max((n for n, (_, told) in enumerate(self._queue) if told), default=-1)
            if at >= 0:
                raws[at] = with_member(raws[at], "bluecode", as_json(whole))
        return [*raws, done]

    def delivered(self) -> list[str]:
        return []

    def _emptied(self) -> list[bytes]:
        told = as_json(merge([self._judging.prompt, self.verdict]))
        spoken = [payload for _, payload in self._queue if payload and payload.get("choices")]
        last: dict[str, Any] = spoken[-1] if spoken else {}
        choices = [_emptied(choice) for _, choice in openai_answer.choices_of(last)]
        return [openai_answer.event({**last, "choices": choices, "bluecode": told})]


def _emptied(choice: Mapping[str, Any]) -> dict[str, Any]:
    """A choice that says nothing, in the form that it had."""
    form: dict[str, Any] = {"index": choice.get("index", 0), "finish_reason": "stop"}
    for key in ("delta", "message"):
        if key in choice:
            return {**form, key: {"role": "assistant", "content": ""}}
    return {**form, "text": "", "logprobs": None}


def _prompts(given: Any) -> list[Any]:
    """One prompt or several; tokens in place of text are counted as unread."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        raise WireError(400, "`prompt` must be a string or a list.")
    if all(type(item) is int for item in given):
        return [given]
    if all(isinstance(item, str | list) for item in given):
        return list(given)
    raise WireError(400, "`prompt` must be a string, a list of strings, or tokens.")


def _messages(role: Role, prompt: Any) -> list[Message]:
    if not isinstance(prompt, str):
        return [Message(role=role, text="", unread=("other",))]
    texts = screened(prompt) if role is Role.TOOL else (prompt,)
    return [Message(role=role, text=text) for text in texts]


def _arounds(request: Request) -> list[Around]:
    suffix = request.payload.get("suffix") or ""
    prompts = _prompts(request.payload.get("prompt"))
    if request.payload.get("echo"):  # the answer repeats the prompt
        return [Around("", suffix) for _ in prompts]
    return [Around(prompt if isinstance(prompt, str) else "", suffix) for prompt in prompts]


def _empty(request: Request) -> dict[str, Any]:
    """An empty completion, in the form of either protocol."""
    key, said = "delta" if request.stream else "message", {"role": "assistant", "content": ""}
    return {
        "id": f"cmpl-bluecode-{secrets.token_hex(8)}",
        "object": "text_completion",
        "created": int(time.time()),
        "model": request.conversation.model,
        "choices": [
            {"index": at, "text": "", key: said, "logprobs": None, "finish_reason": "stop"}
            for at in range(request.choices)
        ],
    }
