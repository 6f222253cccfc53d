"""The judge: a chat model that is asked about a text where the fitted scores are unsure.

Optional, off by default. What the judge is told stands in `judge_prompts.toml`. The text under
judgement never enters the instructions: it comes as one JSON string between marks that are made at
random for each call. An answer out of form, late or without the mark is a failure, never a verdict.

Two modes. `fast` gives the stored principles of the nearest cases, in one call. `faithful` is the
method of the BlueCodeAgent paper: the three nearest unsafe and the three nearest safe cases, a
constitution written from them, and the decision by it, in two calls; the constitution depends on
the cases alone and is remembered by them.
"""

import hashlib
import json
import secrets
import time
import tomllib
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal, cast

import anyio

from bluecode.defenses import constitution, knowledge, terms
from bluecode.defenses.breaker import Allowance, Breaker, Clock
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.detectors import obfuscation
from bluecode.defenses.knowledge import Match, Nearest, Task
from bluecode.defenses.model import Field, Form, Model, ModelError
from bluecode.defenses.terms import Terms

Mode = Literal["fast", "faithful"]
MODES: tuple[Mode, ...] = ("fast", "faithful")
Guidance = Literal["none", "general", "fine_grained", "principles", "constitution"]
"""What the model is given beside the question: the paper's arms, and the stored principles."""
Decision = Literal["unsafe", "safe"]
Confidence = Literal["high", "medium", "low"]
Near = Callable[[Terms, Task, int], Nearest]
Observer = Callable[[str, float], None]
"""Told how each consultation ended, a word of a closed set, and the seconds it took."""
OUTCOMES = ("unsafe", "safe", "timeout", "unreachable", "refused", "unparsable", "open", "spent")
"""How a consultation may end; `open` is the circuit breaker, `spent` the allowance."""

NEIGHBOURS = 3
"""Cases of each label, as in the paper."""
_WIDER = 8
"""Cases of each label whose stored principles are given: those next to each other share one."""
READ = 8_000
"""Characters of a text that the judge is shown."""
_AROUND = 1_200
"""Characters before and after what was found, where the text is longer."""
_DECODED = 2_000
_TASK = 1_000
_EXAMPLE = 600
_KEPT = 512
"""Constitutions that are remembered."""
_RULES = 8

_SPEAKERS: Mapping[Role, str] = {
    Role.USER: "the user of the assistant",
    Role.TOOL: "a tool, file or page that the assistant read",
    Role.ASSISTANT: "the assistant, earlier in the conversation",
    Role.SYSTEM: "the instructions of the assistant",
}

SCORES: Mapping[tuple[Decision, Confidence], float] = {
    ("unsafe", "high"): 0.95,
    ("unsafe", "medium"): 0.85,
    ("unsafe", "low"): 0.65,
    ("safe", "low"): 0.4,
    ("safe", "medium"): 0.2,
    ("safe", "high"): 0.05,
}
"""What becomes of a score: the shipped policy blocks the first two and warns of the third."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """What the judge decided, and how sure it says it is."""

    decision: Decision
    confidence: Confidence
    principle: str | None = None
    """Id of the principle that it cites."""

    @property
    def score(self) -> float:
        return SCORES[self.decision, self.confidence]


class NotAsked(Exception):
    """Nobody was asked: the allowance of the minute is spent."""


class Judge:
    """Asks one model, within a timeout, an allowance and a circuit breaker."""

    def __init__(
        self,
        model: Model,
        *,
        mode: Mode = "fast",
        timeout: float = 10.0,
        per_minute: int = 60,
        uncertain: tuple[float, float] = (0.3, 0.9),
        near: Near | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.uncertain = uncertain
        """The scores between which the judge is asked, both included."""
        self.observer: Observer = _unheard
        self._model = model
        self._guidance: Guidance = "constitution" if mode == "faithful" else "principles"
        self._timeout = timeout
        self._near = near or _nearest
        self._clock = clock
        self._breaker = Breaker(clock=clock)
        self._allowance = Allowance(per_minute, clock=clock)
        self._constitutions: OrderedDict[str, tuple[str, str]] = OrderedDict()
        parts = (model.name, self._guidance, digest(), constitution.digest(), knowledge.digest())
        self.version = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]
        """Short digest of all that an opinion depends on, but for the text."""

    async def ask(
        self,
        message: Message,
        task: Task,
        *,
        spans: Sequence[tuple[int, int]] = (),
        guidance: Guidance | None = None,
    ) -> Opinion:
        """Is a message unsafe in the way of the task? `spans` are the lines that matter most.

        Raises `ModelError` where the model failed or the breaker is open, `NotAsked` where the
        allowance is spent."""
        started = self._clock()
        outcome = ""
        try:
            opinion = await self._decide(message, task, spans, guidance or self._guidance, started)
            outcome = opinion.decision
        except ModelError as error:
            outcome = "open" if isinstance(error, Open) else error.kind
            raise
        except NotAsked:
            outcome = "spent"
            raise
        finally:
            if outcome:  # else the client has left
                self.observer(outcome, self._clock() - started)
        return opinion

    async def draft(self, task: Task, unsafe: Sequence[str], safe: Sequence[str]) -> dict[str, str]:
        """Title and both sides of a principle that tells examples apart. Raises as `ask` does."""
        drafted = await self._from_examples(
            "principle", task, unsafe, safe, Form(_PRINCIPLE), self._clock()
        )
        return {name: str(drafted[name]) for name in ("title", "unsafe", "safe")}

    async def close(self) -> None:
        await self._model.close()

    async def _decide(
        self,
        message: Message,
        task: Task,
        spans: Sequence[tuple[int, int]],
        guidance: Guidance,
        started: float,
    ) -> Opinion:
        told = prompts()
        shown = excerpt(message.text, spans)
        advice, form = told["guidance"]["none"], _DECISION
        if guidance == "general":
            advice = told["guidance"]["general"]
        elif guidance == "fine_grained":
            advice = told["tasks"][task]["reminder"]
        elif guidance == "principles":
            advice, form = self._principles(shown, task)
        elif guidance == "constitution":
            advice = await self._constitution(shown, task, started)
        instructions, word = _instructions("decision", task, form, guidance=advice)
        data = {"said_by": _SPEAKERS[message.role], "text": shown}
        if decoded := obfuscation.normalise(message.text).decoded:
            data["decoded"] = "\n".join(decoded)[:_DECODED]
        if message.task:
            data["asked_for"] = message.task[:_TASK]
        given = await self._call(instructions, word, data, Form(form), started)
        cited = given.get("principle", "none")
        return Opinion(
            given["decision"], given["confidence"], None if cited == "none" else str(cited)
        )

    def _principles(self, text: str, task: Task) -> tuple[str, Mapping[str, Field]]:
        """The stored principles of the nearest cases, and a form that lets one be cited."""
        near = self._near(terms.read(text), task, _WIDER)
        written = constitution.shipped()
        ids = dict.fromkeys(match.case.principle for match in (*near.unsafe, *near.safe))
        found = [written.principles[key] for key in ids if key in written.principles]
        found = found or list(written.of(task))
        lines = [f"- {it.id}: unsafe when {it.unsafe}; safe when {it.safe}." for it in found]
        advice = prompts()["guidance"]["principles"].format(principles="\n".join(lines))
        return advice, {**_DECISION, "principle": Field(choices=(*(it.id for it in found), "none"))}

    async def _constitution(self, text: str, task: Task, started: float) -> str:
        """What the model makes of the nearest cases of both labels."""
        near = self._near(terms.read(text), task, NEIGHBOURS)
        key = "\0".join(match.case.id for match in (*near.unsafe, *near.safe))
        if (kept := self._constitutions.get(key)) is None:
            rules = await self._from_examples(
                "constitution", task, _texts(near.unsafe), _texts(near.safe), Form(_RULING), started
            )
            kept = _listed(rules["unsafe"]), _listed(rules["safe"])
            self._constitutions[key] = kept
            while len(self._constitutions) > _KEPT:
                self._constitutions.popitem(last=False)
        self._constitutions.move_to_end(key)
        advice: str = prompts()["guidance"]["constitution"]
        return advice.format(unsafe_rules=kept[0], safe_rules=kept[1])

    async def _from_examples(
        self,
        name: str,
        task: Task,
        unsafe: Sequence[str],
        safe: Sequence[str],
        form: Form,
        started: float,
    ) -> dict[str, Any]:
        instructions, word = _instructions(name, task, form.fields)
        data = {
            "unsafe": [text[:_EXAMPLE] for text in unsafe],
            "safe": [text[:_EXAMPLE] for text in safe],
        }
        return await self._call(instructions, word, data, form, started)

    async def _call(
        self, instructions: str, word: str, data: Mapping[str, Any], form: Form, started: float
    ) -> dict[str, Any]:
        if not self._breaker.admits():
            raise Open("unreachable", "The judge failed too often and is not asked for a while.")
        if not self._allowance.take():
            self._breaker.abandoned()
            raise NotAsked
        question = f"{_mark(word)}\n{json.dumps(data, ensure_ascii=True)}\n{_mark(word)}"
        settled = False
        try:
            answer = await self._answer(instructions, question, form, started)
            settled = True
        except ModelError:
            self._breaker.failed()
            settled = True
            raise
        finally:
            if not settled:  # cancelled from outside: it says nothing of the model
                self._breaker.abandoned()
        # A model that answers is no reason to stop asking, whatever it answers: else the author of
        # a text could, by leading it astray a few times, switch the judge off for all.
        self._breaker.succeeded()
        given = form.read(answer)
        if given["word"] != word:
            raise ModelError("unparsable", "The model's answer lacks the word of its question.")
        return given

    async def _answer(self, instructions: str, question: str, form: Form, started: float) -> str:
        left = self._timeout - (self._clock() - started)
        with anyio.move_on_after(max(left, 0)):
            return await self._model.answer(instructions, question, form.schema())
        raise ModelError("timeout", "The judge did not answer in time.")


class Open(ModelError):
    """The circuit breaker is open."""


_ANALYSIS = {"word": Field(longest=64), "analysis": Field()}
"""The word of the question, which data cannot know; and room to think, which nobody reads."""
_DECISION: Mapping[str, Field] = {
    **_ANALYSIS,
    "decision": Field(choices=("unsafe", "safe")),
    "confidence": Field(choices=("high", "medium", "low")),
}
_RULING: Mapping[str, Field] = {
    "word": Field(longest=64),
    "unsafe": Field(listed=True, longest=400, most=_RULES),
    "safe": Field(listed=True, longest=400, most=_RULES),
}
_PRINCIPLE: Mapping[str, Field] = {
    "word": Field(longest=64),
    "title": Field(longest=80),
    "unsafe": Field(longest=400),
    "safe": Field(longest=400),
}


def _instructions(
    name: str, task: Task, fields: Mapping[str, Field], *, guidance: str = ""
) -> tuple[str, str]:
    """What the model is told, and the word that this call is marked with."""
    told = prompts()
    word = secrets.token_hex(12)
    shown = json.dumps({key: _shown(key, field) for key, field in fields.items()})
    text = told[name]["instructions"].strip()
    unsafe = told["tasks"][task]["unsafe"]
    return text.format(unsafe=unsafe, word=word, guidance=guidance, form=shown), word


def _shown(name: str, field: Field) -> str | list[str]:
    if name == "word":
        return "the word of the two lines"
    if field.choices:
        return " | ".join(field.choices)
    return ["…"] if field.listed else "a few sentences"


def _mark(word: str) -> str:
    return f"===== {word} ====="


def excerpt(text: str, spans: Sequence[tuple[int, int]], size: int = READ) -> str:
    """A text as far as the judge is shown it: whole, or what stands around the spans given."""
    if len(text) <= size:
        return text
    pieces: list[tuple[int, int]] = []
    for first, last in sorted(_offsets(text, spans)) or [(0, 0)]:
        start, end = max(first - _AROUND, 0), min(last + _AROUND, len(text))
        if pieces and start <= pieces[-1][1]:
            before = pieces.pop()
            start, end = before[0], max(end, before[1])
        pieces.append((start, end))
    return "\n[…]\n".join(text[start:end] for start, end in pieces)[:size]


def _offsets(text: str, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    most = len(starts) - 1
    return [(starts[min(a, most) - 1], starts[min(b, most)]) for a, b in spans]


def _texts(matches: Sequence[Match]) -> list[str]:
    return [match.case.text for match in matches]


def _listed(rules: Sequence[str]) -> str:
    return "\n".join(f"- {' '.join(rule.split())}" for rule in rules)


def _nearest(found: Terms, task: Task, k: int) -> Nearest:
    return knowledge.shipped().nearest(found, task, k)


def _unheard(_: str, __: float) -> None:
    """Nobody counts."""


@cache
def _file() -> str:
    return resources.files("bluecode.defenses").joinpath("judge_prompts.toml").read_text("utf-8")


@cache
def prompts() -> Mapping[str, Any]:
    """What the judge is told, by name."""
    return cast(Mapping[str, Any], tomllib.loads(_file()))


def digest() -> str:
    """Hex SHA-256 of what the judge is told."""
    return hashlib.sha256(_file().encode()).hexdigest()
