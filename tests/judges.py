"""Scripted judges: a model that implements the seam, and an OpenAI-compatible server."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
from scripted import finding
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluecode.defenses.conversation import Message
from bluecode.defenses.detectors.prompts import Prompts
from bluecode.defenses.model import ModelError
from bluecode.defenses.verdict import Category, Finding

Say = Callable[[str, str], str]
"""From instructions and question to an answer."""


def word_of(question: str) -> str:
    """The word with which a question is marked."""
    (first, last) = re.findall(r"^===== ([0-9a-f]{24}) =====$", question, re.MULTILINE)
    assert first == last
    return str(first)


def data_of(question: str) -> dict[str, Any]:
    """What stands between the marks: one line of JSON."""
    mark, line, end = question.split("\n")
    assert mark == end
    data: dict[str, Any] = json.loads(line)
    return data


def verdict(
    decision: str = "safe", confidence: str = "high", principle: str | None = "none", **more: Any
) -> Say:
    """A judge that does as it is told."""

    def say(instructions: str, question: str) -> str:
        told = {"word": word_of(question), "analysis": "Looked at.", "decision": decision}
        told["confidence"] = confidence
        if principle is not None and '"principle"' in instructions:
            told["principle"] = principle
        return json.dumps({**told, **more})

    return say


def cited(instructions: str) -> str:
    """The first principle that a judge may cite."""
    return re.findall(r"^- ([a-z]+\.[a-z_]+): unsafe when", instructions, re.MULTILINE)[0]


def rules(unsafe: Sequence[str] = ("it harms",), safe: Sequence[str] = ("it helps",)) -> Say:
    """A judge that writes a constitution."""

    def say(instructions: str, question: str) -> str:
        return json.dumps({"word": word_of(question), "unsafe": [*unsafe], "safe": [*safe]})

    return say


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Prompts):
    """A detector that gives the scores of a table and reports as the real ones do."""

    scores: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, scores: Mapping[str, float], category: Category = Category.MALICE) -> "Scored":
        return cls(name=category.value, category=category, readers={}, scores=scores)

    async def inspect(self, subject: Message) -> tuple[Finding, ...]:
        score = self.scores.get(subject.text, 0.0)
        if score < self.reported:
            return ()
        return (finding(f"{self.name}.x", self.category, name=self.name, score=score),)


class ScriptedModel:
    """Answers one after the other; the last one for ever. An exception is raised."""

    name = "scripted"

    def __init__(self, *answers: Say | ModelError, pause: float = 0.0) -> None:
        self._answers = list(answers)
        self._pause = pause
        self.asked: list[tuple[str, str]] = []
        self.schemas: list[Mapping[str, Any]] = []

    async def answer(self, instructions: str, question: str, schema: Mapping[str, Any]) -> str:
        self.asked.append((instructions, question))
        self.schemas.append(schema)
        await anyio.sleep(self._pause)
        say = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(say, ModelError):
            raise say
        return say(instructions, question)

    async def close(self) -> None:
        """Nothing is held."""


class JudgeServer:
    """`POST /v1/chat/completions`: a step is an answer, a status, a raw body, or a pause."""

    def __init__(self, *steps: Say | int | bytes | float) -> None:
        self._steps = list(steps)
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.app = Starlette(routes=[Route("/v1/chat/completions", self._serve, methods=["POST"])])

    async def _serve(self, request: Request) -> Response:
        body = json.loads(await request.body())
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization", ""))
        step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if isinstance(step, float):
            await anyio.sleep(step)
            return JSONResponse({}, 200)
        if isinstance(step, int):
            return JSONResponse({"error": {"message": "scripted"}}, step)
        if isinstance(step, bytes):
            return Response(step, media_type="application/json")
        system, user = (message["content"] for message in body["messages"])
        message = {"role": "assistant", "content": step(system, user)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m"}
        return JSONResponse({**told, "choices": [choice]})
