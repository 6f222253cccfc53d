"""The tokens that a provider says an answer used, read beside the answer as it passes.

Each protocol tells them in its own words, whole answers once, streams in one event or in several;
what was told last and most counts. An answer that tells nothing used an unknown number, never none:
it can be guessed by its events or its letters.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bluecode.proxy.upstream import Reply

_INPUT: Final = ("prompt_tokens", "input_tokens", "promptTokenCount", "prompt_eval_count")
_CACHED: Final = ("cache_creation_input_tokens", "cache_read_input_tokens")
"""Anthropic counts these beside the others."""
_OUTPUT: Final = ("completion_tokens", "output_tokens", "candidatesTokenCount", "eval_count")
_TOTAL: Final = ("total_tokens", "totalTokenCount")
"""Read where the parts are not told."""
_THOUGHT: Final = "thoughtsTokenCount"
_SIGNS: Final = (b"sage", b"eval_count")
"""`usage`, `usageMetadata`, and how Ollama says it: in every event that tells."""
_MOST: Final = 10**8
"""Tokens of one answer; who tells more is not believed beyond."""
LETTERS: Final = 4
"""Letters of a token, where it is guessed."""
_LINE: Final = 4 * 1024**2
"""Bytes of one event that is read."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer."""

    input: int
    output: int

    @property
    def total(self) -> int:
        return self.input + self.output


def usage_of(payload: Any) -> Usage | None:
    """What one answer or one event tells; None where it tells nothing."""
    told = [read for part in _places(payload) if (read := _read(part)) is not None]
    return most(told)


def most(told: list[Usage]) -> Usage | None:
    """The most of several, part by part: events of one answer tell what came so far."""
    if not told:
        return None
    return Usage(max(item.input for item in told), max(item.output for item in told))


def _places(payload: Any) -> Iterator[Mapping[str, Any]]:
    """Where protocols put it: by itself, in the answer within an event, or at the top; a stream of
    Gemini's that is one list has it in each item."""
    if isinstance(payload, list):
        for item in payload:
            yield from _places(item) if isinstance(item, dict) else ()
    if not isinstance(payload, dict):
        return
    for holder in (payload, payload.get("response"), payload.get("message")):
        if isinstance(holder, dict):
            for key in ("usage", "usageMetadata"):
                if isinstance(holder.get(key), dict):
                    yield holder[key]
    if "eval_count" in payload or "prompt_eval_count" in payload:
        yield payload


def _read(part: Mapping[str, Any]) -> Usage | None:
    if not any(key in part for key in (*_INPUT, *_OUTPUT)):
        totals = max(_number(part, key) for key in _TOTAL)
        return Usage(min(totals, _MOST), 0) if totals else None
    read = sum(_number(part, key) for key in (*_INPUT, *_CACHED))
    written = sum(_number(part, key) for key in (*_OUTPUT, _THOUGHT))
    return Usage(min(read, _MOST), min(written, _MOST))


def _number(part: Mapping[str, Any], key: str) -> int:
    value = part.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


class UsageReader:
    """Takes an answer's bytes as they come. What cannot be read tells nothing."""

    def __init__(self, kind: str, limit: int) -> None:
        self._streamed = not kind.partition(";")[0].strip().lower().endswith("/json")
        self._limit = min(limit, _LINE) if self._streamed else limit
        self._parts: list[bytes] = []
        self._size = 0
        self._told: list[Usage] = []
        self._events = 0
        self._bytes = 0

    @property
    def guess(self) -> int:
        """Tokens of an answer that tells none: one an event of a stream, else by its length."""
        return min(self._events if self._streamed else self._bytes // LETTERS, _MOST)

    def feed(self, data: bytes) -> None:
        """The next bytes. More than the limit in one piece is not kept."""
        self._bytes += len(data)
        if not self._streamed:
            self._keep(data)
            return
        *whole, rest = data.split(b"\n")
        for line in whole:
            self._keep(line)
            self._read_kept()
        self._keep(rest)

    def end(self) -> Usage | None:
        """What the answer told; None where it told nothing."""
        self._read_kept()
        return most(self._told)

    def _keep(self, data: bytes) -> None:
        self._size += len(data)
        if self._size <= self._limit:
            self._parts.append(data)
        else:
            self._parts.clear()

    def _read_kept(self) -> None:
        line = b"".join(self._parts)
        self._parts.clear()
        self._size = 0
        self._events += line.startswith((b"data:", b"{"))
        if not any(sign in line for sign in _SIGNS):
            return
        try:
            told = usage_of(json.loads(line.removeprefix(b"data:")))
        except (ValueError, RecursionError):
            return
        if told is not None:
            self._told = [item for item in (most([*self._told, told]),) if item is not None]


class WatchedReply:
    """Another reply, read as it passes."""

    def __init__(self, reply: Reply, limit: int) -> None:
        self._reply = reply
        self.status = reply.status
        self.headers = reply.headers
        kind = {name.lower(): value for name, value in reply.headers}.get("content-type", "")
        self.usage = UsageReader(kind, limit)

    async def chunk(self) -> bytes:
        data = await self._reply.chunk()
        self.usage.feed(data)
        return data
