"""Ways of deciding about a prompt, side by side: what each part of the guard is worth.

Local arms: no guard, keyword rules, the fitted classifier alone, retrieval alone, and the full
default. With a judge: the paper's four arms, direct prompting, a general and a fine-grained safety
reminder, and a constitution from the nearest cases; and the full default with the judge behind it.
The judge's arms all ask the same question in the same form; only the guidance differs.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, cast

from bluecode.defenses import knowledge, terms
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.detectors import DETECTORS, classifier
from bluecode.defenses.detectors.prompts import Prompts
from bluecode.defenses.judge import Guidance, Judge, NotAsked
from bluecode.defenses.knowledge import Task
from bluecode.defenses.model import ModelError
from bluecode.defenses.policy import Policy, Threshold
from bluecode.defenses.prompt_screen import PromptScreen
from bluecode.defenses.verdict import Action, Category, Detector

FULL: Final = "full default"


@dataclass(frozen=True, slots=True)
class Looked:
    """What an arm made of one prompt."""

    action: Action = Action.ALLOW
    score: float = 0.0
    unseen: tuple[str, ...] = ()
    """What failed, or why not all was looked at."""
    decided: bool = True
    """False where the arm has no answer: neither right nor wrong."""
    stopped: bool = False
    """Blocked in whatever category, whether the label asks for it or not."""


Look = Callable[[Message, Category], Awaitable[Looked]]


def local(policy: Policy) -> Mapping[str, Look]:
    """The arms that need nothing but the package."""
    return {
        "no guard": _no_guard,
        "keyword rules": _keywords,
        "classifier alone": _Classifier(policy).look,
        "retrieval alone": _retrieval,
        FULL: _Full(PromptScreen(_frank(policy)), policy).look,
    }


def judged(policy: Policy, judge: Judge) -> Mapping[str, Look]:
    """The arms that ask a model."""
    guidance: Mapping[str, Guidance] = {
        "judge: direct": "none",
        "judge: general reminder": "general",
        "judge: fine-grained reminder": "fine_grained",
        "judge: constitution": "constitution",
    }
    arms: dict[str, Look] = {name: _Asked(judge, how).look for name, how in guidance.items()}
    detectors = [make() for name, make in DETECTORS.items() if name not in policy.disabled]
    return {**arms, "full, with judge": _Full(PromptScreen(detectors, judge=judge), policy).look}


def _frank(policy: Policy) -> list[Detector[Message]]:
    """Detectors that report every score, since the AUC needs the low ones too."""
    made = [make() for name, make in DETECTORS.items() if name not in policy.disabled]
    return [
        cast(Detector[Message], replace(item, reported=0.0)) if isinstance(item, Prompts) else item
        for item in made
    ]


class _Full:
    def __init__(self, screen: PromptScreen, policy: Policy) -> None:
        self._screen = screen
        self._policy = policy

    async def look(self, message: Message, category: Category) -> Looked:
        verdict = await self._screen.screen(message, self._policy)
        own = [item for item in verdict.findings if item.category is category]
        acted = [self._policy.action_for(item) for item in verdict.findings]
        return Looked(
            action=max((self._policy.action_for(item) for item in own), default=Action.ALLOW),
            score=max((item.score for item in own), default=0.0),
            unseen=(*verdict.failed, *verdict.unchecked),
            decided=not verdict.failed,
            stopped=max(acted, default=Action.ALLOW) is Action.BLOCK,
        )


async def _no_guard(message: Message, category: Category) -> Looked:
    return Looked()


async def _keywords(message: Message, category: Category) -> Looked:
    """As a list of words does it that everybody has written once."""
    found = KEYWORDS[category].search(message.text) is not None
    return _flagged(1.0 if found else 0.0)


KEYWORDS: Final[Mapping[Category, re.Pattern[str]]] = {
    Category.INJECTION: re.compile(
        r"\b(?:ignore|disregard|forget|override)\b.{0,40}\b(?:instructions?|rules?|prompts?)\b"
        r"|system prompt|jailbreak|developer mode|do anything now|\bpretend (?:to be|you are)\b",
        re.IGNORECASE | re.DOTALL,
    ),
    Category.MALICE: re.compile(
        r"\b(?:ransom|mal|spy|ad)ware\b|\bkeylogg|\bbotnet|\brootkit|\btrojan|\bworm\b|\bviru"
        r"|\bd?dos\b|\bphish|\bexploit|\bbackdoor|\bbrute.?force|\bsteal|\bhack|\bcrack",
        re.IGNORECASE,
    ),
    Category.BIAS: re.compile(
        r"\b(?:race|racial|gender|female|women|men|black|white|muslim|jew|christian|gay|lesbian"
        r"|disab\w+|immigrant|ethnic\w*|religio\w+|nationality|elderly|marital|pregnan\w+)\b",
        re.IGNORECASE,
    ),
}


class _Classifier:
    """The fitted models on the plain text: nothing decoded, no order read by its standing."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._models = classifier.shipped()

    async def look(self, message: Message, category: Category) -> Looked:
        brought = message.role is Role.TOOL
        if brought and category is not Category.INJECTION:
            return Looked()
        name = category.value
        if category is Category.INJECTION:
            name = "injection_brought" if brought else "injection_said"
        score = self._models.judge(message.text, name).score
        limits = self._policy.thresholds.get(category, Threshold())
        blocks, warns = score >= limits.block, score >= limits.warn
        action = Action.BLOCK if blocks else Action.WARN if warns else Action.ALLOW
        return Looked(action, score, stopped=action is Action.BLOCK)


async def _retrieval(message: Message, category: Category) -> Looked:
    """Unsafe where the three nearest unsafe cases are nearer than the three nearest safe ones."""
    near = knowledge.shipped().nearest(terms.read(message.text), cast(Task, category.value), 3)
    unsafe, safe = (sum(it.similarity for it in side) for side in (near.unsafe, near.safe))
    return _flagged(unsafe / (unsafe + safe) if unsafe else 0.0)


class _Asked:
    def __init__(self, judge: Judge, guidance: Guidance) -> None:
        self._judge = judge
        self._guidance = guidance

    async def look(self, message: Message, category: Category) -> Looked:
        try:
            opinion = await self._judge.ask(
                message, cast(Task, category.value), guidance=self._guidance
            )
        except ModelError as error:
            return Looked(unseen=(f"judge {error.kind}",), decided=False)
        except NotAsked:
            return Looked(unseen=("judge spent",), decided=False)
        return _flagged(opinion.score)


def _flagged(score: float) -> Looked:
    """What an arm without thresholds of its own decides: unsafe is more likely than not."""
    action = Action.BLOCK if score > 0.5 else Action.ALLOW
    return Looked(action, score, stopped=action is Action.BLOCK)
