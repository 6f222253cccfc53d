"""What a model answered in Google's Gemini protocol, streamed or whole.

Every event has the form of a whole answer. Calls of functions come whole, and wait all the same
for the end of their candidate.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from bluecode.defenses.verdict import Verdict, merge
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.endings import Ending, Endings, no_ending
from bluecode.proxy.wire.reading import Calls
from bluecode.proxy.wire.shape import Part, Payload
from bluecode.proxy.wire.wire import Judging

_QUIET = frozenset({"thoughtSignature", "thought_signature", "thought", "partMetadata"})
_CALLS = ("functionCall", "function_call")


def candidate(
    index: int, text: str, finish: str | None = None, more: Sequence[Any] = ()
) -> dict[str, Any]:
    """A candidate of ours; `more` are parts behind the text."""
    parts = [{"text": text}, *more] if text or not more else [*more]
    told = {"content": {"parts": parts, "role": "model"}, "index": index}
    return told if finish is None else {**told, "finishReason": finish}


def parts_after(ending: Ending | None) -> list[dict[str, Any]]:
    """What ends the client's turn behind a note."""
    if ending is None or ending.refusal:
        return []
    if not ending.tool:
        return [{"text": f"\n\n{ending.text}"}]
    return [{"functionCall": {"name": ending.tool, "args": ending.given}}]


def event(payload: Payload) -> bytes:
    """One event. Raises ValueError for numbers that JSON cannot hold."""
    return b"data: " + json.dumps(payload, allow_nan=False).encode() + b"\r\n\r\n"


def candidates_of(payload: Payload) -> list[tuple[int, dict[str, Any]]]:
    """The candidates with their indexes. Raises `BrokenStream`."""
    listed = payload.get("candidates")
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise BrokenStream("the answer's candidates are not a list of objects")
    found = []
    for at, item in enumerate(listed):
        index = item.get("index", at)
        if type(index) is not int or not 0 <= index < 1024:
            raise BrokenStream("a candidate's index is not a small number")
        found.append((index, item))
    return found


def _parts(item: Mapping[str, Any]) -> list[dict[str, Any]]:
    said = item.get("content")
    parts = said.get("parts") if isinstance(said, dict) else None
    if said is not None and not isinstance(said, dict):
        raise BrokenStream("a candidate's content is no object")
    if parts is None:
        return []
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise BrokenStream("a candidate's parts are not a list of objects")
    return parts


def part_of(item: Mapping[str, Any], index: int) -> Part:
    """What a candidate of an event, or of a whole answer, holds."""
    finish = item.get("finishReason")
    told = Part(index, finish=finish if isinstance(finish, str) and finish else None)
    pieces = []
    for part in _parts(item):
        text = part.get("text")
        if text is not None and not isinstance(text, str):
            raise BrokenStream("a part's text is no text")
        if part.get("thought"):
            told.reasoning += text or ""
        else:
            told.text += text or ""
        call = next((part[key] for key in _CALLS if key in part), None)
        if call is not None:
            pieces.append(_piece(call))
        elif text is None and not part.keys() <= _QUIET:
            told.unread += ("other",)
    told.pieces = pieces
    return told


def _piece(call: Any) -> dict[str, Any]:
    """A call as `reading.Calls` takes it, always one of its own."""
    if not isinstance(call, dict):
        return {"id": "", "arguments": json.dumps(call)}
    rest = {key: value for key, value in call.items() if key not in ("args", "id")}
    return {**rest, "arguments": json.dumps(call.get("args") or {})}


class GeminiShape:
    """See `Shape`."""

    def __init__(self, ending: Endings = no_ending) -> None:
        """`ending` says what ends the client's turn after BlueCode said something."""
        self._ending = ending
        self._noted: dict[int, str] = {}
        self._like: Payload = {}
        self._calls = 0

    def read(self, data: bytes) -> dict[str, Any] | None:
        payload = reading.event_object(data)
        self._like = payload
        return payload

    def failed(self, payload: Payload) -> bool:
        return bool(payload.get("error") and not payload.get("candidates"))

    def final(self, payload: Payload) -> bool:
        return False

    def parts(self, payload: Payload) -> list[Part]:
        found = [part_of(item, index) for index, item in candidates_of(payload)]
        for part in found:
            part.pieces = [{**piece, "index": self._next()} for piece in part.pieces]
        return found

    def _next(self) -> int:
        self._calls += 1
        return self._calls

    def leaving(self, payload: Payload, raw: bytes) -> tuple[Payload, bytes]:
        return payload, raw

    def shortened(
        self, payload: Payload, index: int, text: str, *, rest: bool = False
    ) -> dict[str, Any] | None:
        kept = []
        for at, item in candidates_of(payload):
            if at != index:
                kept.append(item)
            elif rest:
                said = [part for part in _parts(item) if "text" not in part or part.get("thought")]
                parts = [{"text": text}, *said] if text or not said else said
                kept.append({**item, "content": {**item["content"], "parts": parts}})
                text = ""
            elif text:
                kept.append(candidate(index, text))
                text = ""
        return {**payload, "candidates": kept} if kept else None

    def note(self, index: int, text: str, before: Sequence[Payload]) -> list[dict[str, Any]]:
        self._noted[index] = text.strip()
        return [{**self._same(), "candidates": [candidate(index, text)]}]

    def ending(self, index: int, before: Sequence[Payload]) -> list[dict[str, Any]]:
        parts = parts_after(self._ending(self._noted.get(index, "")))
        last = candidate(index, "", "STOP", parts)
        return [{**self._same(), "candidates": [last]}]

    def nothing(self) -> dict[str, Any]:
        return {**self._same(), "candidates": []}

    def event(self, payload: Payload) -> bytes:
        return event(payload)

    def said(self, index: int, text: str, calls: Calls) -> str:
        return text if not calls else ""

    def _same(self) -> dict[str, Any]:
        known = ("usageMetadata", "modelVersion", "responseId")
        return {key: self._like[key] for key in known if key in self._like}


class WholeGemini:
    """See `WholeAnswer`. Without `alt=sse` a stream is one list of answers, and is read whole."""

    def __init__(self, raw: bytes, judging: Judging, ending: Endings = no_ending) -> None:
        """`ending` says what ends the client's turn after BlueCode said something.

        Raises `BrokenStream` for what no client could read."""
        self._ending = ending
        payload = reading.answer(raw)
        listed = payload if isinstance(payload, list) else [payload]
        if not listed or not all(isinstance(item, dict) for item in listed):
            raise BrokenStream("the answer is no JSON object")
        self._payload = payload
        self._listed: list[dict[str, Any]] = listed
        self._judging = judging
        self.verdict = merge([])
        self.unseen: set[str] = set()

    async def judge(self) -> Verdict:
        parts: dict[int, list[Part]] = {}
        for payload in self._listed:
            for index, item in candidates_of(payload):
                parts.setdefault(index, []).append(part_of(item, index))
        verdicts = [await self._judge(index, row) for index, row in parts.items()]
        self.verdict = merge(verdicts)
        return self.verdict

    def delivered(self) -> list[str]:
        return []

    def with_verdict(self, told: Mapping[str, Any]) -> bytes:
        self._listed[-1]["bluecode"] = dict(told)
        return reading.written(self._payload)

    async def _judge(self, index: int, row: Sequence[Part]) -> Verdict:
        text = "".join(part.text for part in row)
        verdicts, told = [], []
        for found in await reading.blocks_of(text):
            verdicts.append(await self._judging.check(await reading.unwrapped(found)))
            told += verdicts[-1:] if not found.is_answer else []  # a note would break it
            if verdicts[-1].blocks:
                self._withhold(index, text[: found.start].rstrip(), verdicts[-1])
                return merge(verdicts)
        verdicts.append(await self._judge_rest(row))
        told.append(verdicts[-1])
        if verdicts[-1].blocks:
            self._withhold(index, text.rstrip(), verdicts[-1])
        elif self._judging.notes.due(merge(told)):
            self._add(index, f"\n\n{self._judging.notes.warning(merge(told))}")
        return merge(verdicts)

    async def _judge_rest(self, row: Sequence[Part]) -> Verdict:
        calls = Calls()
        for at, piece in enumerate(piece for part in row for piece in part.pieces):
            calls.add({**piece, "index": at})
        traced = self._judging.trace([call.text for call in calls])
        snippets, unchecked = await reading.snippets_of(calls)
        reasons = {*unchecked, *(reason for part in row for reason in part.unread)}
        if any("```" in part.reasoning for part in row):
            reasons.add("reasoning")
        self.unseen |= reasons
        unread = self._judging.policy.decide((), unchecked=sorted(reasons))
        return merge([await self._judging.check(snippets), unread, traced])

    def _withhold(self, index: int, lead: str, verdict: Verdict) -> None:
        note = self._judging.notes.withheld(verdict)
        ending = self._ending(note)
        lead = "" if ending is not None and ending.refusal else lead
        text = self._judging.notes.behind(lead, note)
        ours = candidate(index, text, "STOP", parts_after(ending))
        first = True
        for payload in self._listed:
            kept = []
            for at, item in candidates_of(payload):
                if at != index:
                    kept.append(item)
                elif first:
                    kept.append(ours)
                    first = False
            payload["candidates"] = kept

    def _add(self, index: int, note: str) -> None:
        for payload in reversed(self._listed):
            for at, item in candidates_of(payload):
                if at == index and isinstance(item.get("content"), dict):
                    item["content"]["parts"] = [*_parts(item), {"text": note}]
                    return
