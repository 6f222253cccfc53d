"""What a model answered in Ollama's own protocol, streamed or whole.

Each line of a stream has the form of a whole answer; the last one says `done`. Tool calls come
whole, and wait all the same for the end. A completion for an editor waits for its end as a whole:
it is short, and all of it is code.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.notes import as_json
from bluecode.proxy.sse import BrokenStream, data_of, with_member
from bluecode.proxy.wire import openai_chat, reading
from bluecode.proxy.wire.around import Around
from bluecode.proxy.wire.endings import Ending, Endings, no_ending
from bluecode.proxy.wire.reading import Calls
from bluecode.proxy.wire.shape import Part, Payload
from bluecode.proxy.wire.wire import Judging

_KNOWN = frozenset(
    "model created_at message response thinking done done_reason context total_duration"
    " load_duration prompt_eval_count prompt_eval_duration eval_count eval_duration remote_model"
    " remote_host logprobs error".split()
)
_SAID = frozenset("role content thinking tool_calls tool_name tool_call_id images".split())


def event(payload: Payload) -> bytes:
    """One event. Raises ValueError for numbers that JSON cannot hold."""
    data = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    return b"data: " + data.encode() + b"\n\n"


def told(
    model: str, key: str, text: str, *, done: bool, calls: Sequence[Any] = ()
) -> dict[str, Any]:
    """An answer of ours, or a line of one; `key` is `message` or `response`."""
    said: Any = {"role": "assistant", "content": text} if key == "message" else text
    if calls and key == "message":
        said["tool_calls"] = list(calls)
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    line = {"model": model, "created_at": now, key: said, "done": done}
    return {**line, "done_reason": "stop"} if done else line


def saying(payload: Payload, key: str, text: str) -> dict[str, Any]:
    """The line, or the whole answer, with this text in the one place and none in the other."""
    said = dict(payload)
    if key == "message" or isinstance(said.get("message"), dict):
        here = text if key == "message" else ""
        said["message"] = {"role": "assistant", **(said.get("message") or {}), "content": here}
    if key == "response" or "response" in said:
        said["response"] = text if key == "response" else ""
    return said


def calls_after(ending: Ending | None) -> list[dict[str, Any]]:
    """The call that ends the client's turn behind a note."""
    if ending is None or not ending.tool:
        return []
    return [{"function": {"name": ending.tool, "arguments": ending.given}}]


def part_of(payload: Payload) -> Part:
    """What a line, or a whole answer, holds. Raises `BrokenStream`."""
    part = Part(0)
    message = payload.get("message")
    if message is not None and not isinstance(message, dict):
        raise BrokenStream("the answer's message is no object")
    body: Mapping[str, Any] = message or {}
    part.text = _text(payload.get("response")) + _text(body.get("content"))
    part.reasoning = _text(payload.get("thinking")) + _text(body.get("thinking"))
    calls = body.get("tool_calls") or []
    if not isinstance(calls, list) or not all(isinstance(call, dict) for call in calls):
        raise BrokenStream("the answer's tool calls are not a list of objects")
    part.pieces = calls
    for place, extra in (("line", payload.keys() - _KNOWN), ("message", body.keys() - _SAID)):
        source = payload if place == "line" else body
        for key in extra:
            if text := "".join(text for _, text in reading.strings(source[key])):
                part.asides[f"{place}.{key}"] = text
    if body.get("images"):
        part.unread = ("image",)
    if payload.get("done") is True:
        part.finish = str(payload.get("done_reason") or "stop")
    return part


def _text(value: Any) -> str:
    if value is not None and not isinstance(value, str):
        raise BrokenStream("the answer's text is no text")
    return value or ""


class OllamaShape:
    """See `Shape`; `key` is where the text stands: `message` or `response`."""

    def __init__(self, key: str, ending: Endings = no_ending) -> None:
        """`ending` says what ends the client's turn after BlueCode said something."""
        self._key = key
        self._ending = ending
        self._noted = ""
        self._model = ""
        self._calls = 0

    def read(self, data: bytes) -> dict[str, Any] | None:
        payload = reading.event_object(data)
        self._model = self._model or str(payload.get("model", ""))
        return payload

    def failed(self, payload: Payload) -> bool:
        return bool(payload.get("error")) and payload.get("done") is not True

    def parts(self, payload: Payload) -> list[Part]:
        part = part_of(payload)
        part.pieces = [{**piece, "id": "", "index": self._next()} for piece in part.pieces]
        return [part]

    def _next(self) -> int:
        self._calls += 1
        return self._calls

    def final(self, payload: Payload) -> bool:
        return payload.get("done") is True

    def leaving(self, payload: Payload, raw: bytes) -> tuple[Payload, bytes]:
        return payload, raw

    def shortened(
        self, payload: Payload, index: int, text: str, *, rest: bool = False
    ) -> dict[str, Any] | None:
        if not rest:
            return told(self._model, self._key, text, done=False) if text else None
        return saying(payload, self._key, text)

    def note(self, index: int, text: str, before: Sequence[Payload]) -> list[dict[str, Any]]:
        self._noted = text.strip()
        return [told(self._model, self._key, text, done=False)]

    def ending(self, index: int, before: Sequence[Payload]) -> list[dict[str, Any]]:
        ending = self._ending(self._noted)
        text = "" if ending is None or not ending.behind("") else f"\n\n{ending.text}"
        return [told(self._model, self._key, text, done=True, calls=calls_after(ending))]

    def nothing(self) -> dict[str, Any]:
        return told(self._model, self._key, "", done=False)

    def event(self, payload: Payload) -> bytes:
        return event(payload)

    def said(self, index: int, text: str, calls: Calls) -> str:
        return "\n".join(filter(None, (text, *(call.text for call in calls))))


class WholeOllama:
    """See `WholeAnswer`; with `around` all of it is code for an editor."""

    def __init__(
        self, raw: bytes, judging: Judging, around: Around | None, ending: Endings = no_ending
    ) -> None:
        """`ending` says what ends the client's turn after BlueCode said something.

        Raises `BrokenStream` for what no client could read."""
        self._ending = ending
        try:
            payload = reading.strictly(raw)
        except (ValueError, RecursionError) as error:
            raise BrokenStream("the answer is not JSON") from error
        if not isinstance(payload, dict):
            raise BrokenStream("the answer is no JSON object")
        self._payload: dict[str, Any] = payload
        self._part = part_of(payload)
        self._judging = judging
        self._around = around
        self.verdict = merge([])
        self.unseen: set[str] = set()

    async def judge(self) -> Verdict:
        if self._around is not None:
            self.verdict = await completed(self._around, self._part.text, self._judging)
            if self.verdict.blocks:
                self._say("")
            return self.verdict
        self.verdict = await self._judge()
        return self.verdict

    def delivered(self) -> list[str]:
        message = self._payload.get("message")
        if not isinstance(message, dict):
            return []
        calls = [call.text for call in openai_chat.calls_of(message)]
        return ["\n".join(filter(None, (_text(message.get("content")), *calls)))]

    def with_verdict(self, verdict: Mapping[str, Any]) -> bytes:
        try:
            return json.dumps({**self._payload, "bluecode": verdict}, allow_nan=False).encode()
        except ValueError as error:
            raise BrokenStream("the answer holds a number that JSON cannot hold") from error

    async def _judge(self) -> Verdict:
        notes, text = self._judging.notes, self._part.text
        verdicts, told = [], []
        for found in await reading.blocks_of(text):
            verdicts.append(await self._judging.check(await reading.unwrapped(found)))
            told += verdicts[-1:] if not found.is_answer else []  # a note would break it
            if verdicts[-1].blocks:
                self._withhold(text[: found.start].rstrip(), notes.withheld(verdicts[-1]))
                return merge(verdicts)
        verdicts.append(await self._judge_rest())
        told.append(verdicts[-1])
        if verdicts[-1].blocks:
            self._withhold(text.rstrip(), notes.withheld(verdicts[-1]))
        elif notes.due(merge(told)):
            self._say(f"{text}\n\n{notes.warning(merge(told))}".lstrip())
        return merge(verdicts)

    async def _judge_rest(self) -> Verdict:
        """Tool calls, and text that stands elsewhere."""
        calls = Calls()
        for at, piece in enumerate(self._part.pieces):
            calls.add({**piece, "id": "", "index": at})
        traced = self._judging.trace([call.text for call in calls])
        snippets, unchecked = await reading.snippets_of(calls)
        for text in self._part.asides.values():
            for found in await reading.blocks_of(text):
                snippets += await reading.unwrapped(found)
        reasons = {*unchecked, *self._part.unread}
        if "```" in self._part.reasoning:
            reasons.add("reasoning")
        self.unseen |= reasons
        unread = self._judging.policy.decide((), unchecked=sorted(reasons))
        return merge([await self._judging.check(snippets), unread, traced])

    def _withhold(self, lead: str, note: str) -> None:
        self._payload = {key: self._payload[key] for key in self._payload.keys() & _KNOWN}
        self._payload.pop("context", None)  # the text as the model remembers it
        ending = self._ending(note)
        if isinstance(self._payload.get("message"), dict):
            calls = {"tool_calls": calls_after(ending)} if calls_after(ending) else {}
            self._payload["message"] = {"role": "assistant", **calls}
        lead = "" if ending is not None and ending.refusal else lead
        text = self._judging.notes.behind(lead, note)
        self._say(text if ending is None else ending.behind(text))
        self._payload["done_reason"] = "stop"

    def _say(self, text: str) -> None:
        key = "message" if isinstance(self._payload.get("message"), dict) else "response"
        self._payload = saying(self._payload, key, text)


async def completed(around: Around, text: str, judging: Judging) -> Verdict:
    """The verdict on a completion where it will stand."""
    if not text.strip():
        return merge([])
    verdict = await judging.check([around.snippet(text)])
    if around.after and "syntax" in verdict.unchecked:  # the cursor stands within a statement
        verdict = await judging.check([around.snippet(text, whole=False)])
    return verdict


class HeldCompletion:
    """See `AnswerStream`: all lines wait for the last one."""

    over = False
    complete = True
    """A stream that breaks off is judged as far as it came."""

    def __init__(self, around: Around, judging: Judging) -> None:
        self._around = around
        self._judging = judging
        self._queue: list[tuple[bytes, dict[str, Any]]] = []
        self._size = 0
        self.verdict = merge([])
        self.unseen: set[str] = set()
        self.done = False
        self.failed = False

    @property
    def holding(self) -> bool:
        return bool(self._queue)

    async def push(self, raw: bytes) -> list[bytes]:
        data = data_of(raw)
        if not data:
            return []
        payload = reading.event_object(data)
        self.failed = self.failed or bool(payload.get("error"))
        self._queue.append((raw, payload))
        self._size += len(raw)
        if self._size > 32 * self._judging.limit:
            raise BrokenStream("more is held back than the limit allows")
        return await self.finish(b"") if payload.get("done") is True else []

    async def finish(self, done: bytes, *, early: bool = False) -> list[bytes]:
        if self.done:
            return []
        self.done = True
        text = "".join(part_of(payload).text for _, payload in self._queue)
        verdicts = [await completed(self._around, text, self._judging)]
        if len(text) > self._judging.limit:
            self.unseen.add("oversized")
            verdicts.append(self._judging.policy.decide((), unchecked=("oversized",)))
        self.verdict = merge(verdicts)
        raws = [raw for raw, _ in self._queue]
        if self.verdict.blocks:
            model = str(self._queue[-1][1].get("model", ""))
            raws = [event(told(model, "response", "", done=True))]
        whole = merge([self._judging.prompt, self.verdict])
        if raws and not whole.shadow and (self._judging.explain or not whole.passes):
            raws[-1] = with_member(raws[-1], "bluecode", as_json(whole))
        return [*raws, done]

    def delivered(self) -> list[str]:
        return []
