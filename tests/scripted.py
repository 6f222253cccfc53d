"""Fakes that implement the seams: an upstream that says what it is told, detectors of one word."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio

from bluecode.defenses.conversation import Message, Snippet
from bluecode.defenses.verdict import Category, DetectorError, Finding
from bluecode.proxy.upstream import Call, UpstreamError


class ScriptedReply:
    """Chunks one by one; None is a pause of `pause` seconds, an exception is raised."""

    def __init__(
        self,
        chunks: Sequence[bytes | None | Exception],
        status: int,
        kind: str,
        pause: float,
        extra: tuple[tuple[str, str], ...],
    ) -> None:
        self._chunks = list(chunks)
        self._pause = pause
        self.status = status
        self.headers: tuple[tuple[str, str], ...] = (
            ("content-type", kind),
            ("x-request-id", "r1"),
            *extra,
        )
        self.closed = False

    async def chunk(self) -> bytes:
        while self._chunks and self._chunks[0] is None:
            self._chunks.pop(0)
            await anyio.sleep(self._pause)
        if not self._chunks:
            return b""
        item = self._chunks.pop(0)
        if isinstance(item, Exception):
            raise item
        assert item is not None
        return item


class ScriptedUpstream:
    """Answers every call with the same chunks and remembers what it was sent."""

    def __init__(
        self,
        chunks: Sequence[bytes | None | Exception] = (),
        *,
        status: int = 200,
        kind: str = "application/json",
        pause: float = 0.01,
        refuses: UpstreamError | None = None,
    ) -> None:
        self.chunks = chunks
        self.status = status
        self.kind = kind
        self.pause = pause
        self.refuses = refuses
        self.extra_headers: tuple[tuple[str, str], ...] = ()
        self.calls: list[Call] = []
        self.open = 0
        self.state = "untried"

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[ScriptedReply]:
        self.calls.append(call)
        if self.refuses is not None:
            raise self.refuses
        self.open += 1
        try:
            yield ScriptedReply(self.chunks, self.status, self.kind, self.pause, self.extra_headers)
        finally:
            self.open -= 1

    async def close(self) -> None:
        """Nothing is held."""


class WordDetector:
    """Finds one word in messages; `fails` makes it raise."""

    def __init__(
        self,
        word: str,
        *,
        name: str = "word",
        category: Category = Category.MALICE,
        fails: bool = False,
    ) -> None:
        self.name = name
        self.word = word
        self.category = category
        self.fails = fails
        self.looked = 0

    async def inspect(self, subject: Message) -> Sequence[Finding]:
        self.looked += 1
        if self.fails:
            raise DetectorError("the scripted detector fails")
        if self.word not in subject.text:
            return ()
        return (finding(f"test.{self.name}", self.category, name=self.name),)


class WordChecker:
    """Finds `danger` (blocked) and `doubt` (warned about) in Python code."""

    name = "word"
    languages = frozenset({"python"})

    def __init__(self) -> None:
        self.looked: list[Snippet] = []

    async def inspect(self, subject: Snippet) -> Sequence[Finding]:
        self.looked.append(subject)
        scores = {"danger": 0.95, "doubt": 0.6}
        return [
            finding(f"test.{word}", Category.VULNERABLE_CODE, score=score, cwe=78)
            for word, score in scores.items()
            if word in subject.code
        ]


def finding(
    rule: str,
    category: Category,
    *,
    name: str = "word",
    score: float = 0.95,
    cwe: int | None = None,
    span: tuple[int, int] | None = None,
) -> Finding:
    return Finding(
        detector=name,
        rule=rule,
        category=category,
        score=score,
        reason="A word.",
        cwe=cwe,
        span=span,
    )


def chunk(
    text: str | None = None,
    *,
    finish: str | None = None,
    tools: list[dict[str, Any]] | None = None,
    index: int = 0,
    **extra: Any,
) -> bytes:
    """One streamed chunk as a provider writes it."""
    delta: dict[str, Any] = {}
    if text is not None:
        delta["content"] = text
    if tools is not None:
        delta["tool_calls"] = tools
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    payload = {
        "id": "c1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return b"data: " + json.dumps({**payload, **extra}).encode() + b"\n\n"


def streamed(pieces: Sequence[str], *, usage: bool = False) -> list[bytes]:
    """A whole stream of text pieces."""
    end = [chunk(finish="stop")]
    if usage:
        told = {"total_tokens": 7}
        end.append(
            b"data: " + json.dumps({"id": "c1", "choices": [], "usage": told}).encode() + b"\n\n"
        )
    return [*(chunk(piece) for piece in pieces), *end, b"data: [DONE]\n\n"]


def answer(message: dict[str, Any], *, finish: str = "stop", **extra: Any) -> bytes:
    """A whole answer with one choice, as a provider writes it."""
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}
    payload = {
        "id": "c1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [choice],
    }
    return json.dumps({**payload, **extra}, indent=1).encode()


def text_in(stream: bytes) -> str:
    """All content of a stream, as a client would put it together."""
    parts = []
    for event in stream.split(b"\n\n"):
        if event.startswith(b"data: {"):
            for choice in json.loads(event[6:]).get("choices", ()):
                parts.append(choice.get("delta", {}).get("content") or "")
    return "".join(parts)
