"""Seed-based optimisation: a wish is rewritten until the target lets it pass.

A beam of drafts is widened by operators, ways that worked before first; two good ones exchange
their wrappings; last, harmless words are added one by one. The search stops at the first success
of a round, or when it may ask no more. It is decided by the caller's random numbers alone.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from bluecode.defenses.redteam.attack import USER, Attack
from bluecode.defenses.redteam.memory import Memory, Success
from bluecode.defenses.redteam.operators import (
    CROSSOVER,
    OPERATORS,
    SUFFIX,
    Draft,
    applicable,
    kind_of,
    words,
)
from bluecode.defenses.redteam.target import Heard, Target

NAME = "search"
Rewrites = Callable[[Draft, Random], Awaitable[Draft | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far one search may go."""

    beam: int = 3
    """Drafts that are kept from round to round."""
    width: int = 5
    """Rewritings of each draft that are tried in a round."""
    depth: int = 3
    """Rounds, and so operators in a row."""
    suffix: int = 4
    """Harmless words that are added at the end."""
    tries: int = 80
    """Times that the target is asked for one seed."""
    without: tuple[str, ...] = ()
    """Kinds of operators that are not used, such as `encoding`."""

    def allows(self, name: str) -> bool:
        """May an operator be used?"""
        return kind_of(name) not in self.without


@dataclass(frozen=True, slots=True)
class Try:
    """One text, and what came of it."""

    attack: Attack
    heard: Heard

    def as_json(self) -> dict[str, Any]:
        return {"attack": self.attack.as_json(), "heard": self.heard.as_json()}


@dataclass(frozen=True, slots=True)
class Found:
    """A whole search."""

    seed: Try
    best: Try
    """The text that went furthest; a success, where there was one."""
    tries: tuple[Try, ...]
    """All of them, the seed first."""

    @property
    def passed(self) -> bool:
        return self.best.heard.passed


class _Asking:
    """A target that counts, and never hears the same text twice."""

    def __init__(self, target: Target, limits: Limits) -> None:
        self._target = target
        self._limits = limits
        self.tries: list[Try] = []
        self._known: set[str] = set()

    @property
    def over(self) -> bool:
        return len(self.tries) >= self._limits.tries

    async def all(self, drafts: Iterable[Draft]) -> list[tuple[Draft, Try]]:
        heard = []
        for draft in drafts:
            if self.over:
                break
            if draft.attack.id not in self._known:
                self._known.add(draft.attack.id)
                tried = Try(draft.attack, await self._target.hear(draft.attack))
                self.tries.append(tried)
                heard.append((draft, tried))
        return heard


async def optimise(
    seed: Attack,
    target: Target,
    chance: Random,
    memory: Memory,
    limits: Limits | None = None,
    rewrite: Rewrites | None = None,
) -> Found:
    """Rewrite a seed until it passes; `rewrite` is asked for one more draft each round.

    Raises `TargetError` of the target, and what `rewrite` raises."""
    bounds = limits or Limits()
    asking = _Asking(target, bounds)
    beam = await asking.all([Draft.of(seed)])
    if not asking.tries[0].heard.passed:
        beam = await _climb(beam, asking, chance, memory, bounds, rewrite)
    best = min(asking.tries, key=_rank)
    if best.heard.passed:
        memory.keep(Success(seed.category, seed.plain, best.attack.operators))
    return Found(asking.tries[0], best, tuple(asking.tries))


async def _climb(
    beam: list[tuple[Draft, Try]],
    asking: _Asking,
    chance: Random,
    memory: Memory,
    limits: Limits,
    rewrite: Rewrites | None,
) -> list[tuple[Draft, Try]]:
    first = beam[0][0]
    ways = memory.recall(first.attack.category, first.attack.plain)
    heard = await asking.all(_walked(first, way, chance) for way in ways)
    for _ in range(limits.depth):
        beam = _best([*beam, *heard], limits.beam)
        if _done(beam) or asking.over:
            return beam
        drafts = [draft for draft, _ in beam]
        widened = [new for draft in drafts for new in _widened(draft, chance, limits)]
        if rewrite is not None and (new := await rewrite(drafts[0], chance)) is not None:
            widened.append(new)
        heard = await asking.all([*widened, *_crossed(drafts, chance, limits)])
    beam = _best([*beam, *heard], limits.beam)
    if _done(beam) or not limits.allows(SUFFIX):
        return beam
    return await _suffixed(beam, asking, chance, limits)


def _rank(item: Try) -> tuple[bool, float, int]:
    """Successes first, then what came nearest, with the fewest operators."""
    return not item.heard.passed, item.heard.pressure, len(item.attack.operators)


def _best(heard: Sequence[tuple[Draft, Try]], size: int) -> list[tuple[Draft, Try]]:
    return sorted(heard, key=lambda item: _rank(item[1]))[:size]


def _done(beam: Sequence[tuple[Draft, Try]]) -> bool:
    return beam[0][1].heard.passed


def _walked(draft: Draft, way: Sequence[str], chance: Random) -> Draft:
    """A draft after a remembered way; steps that do nothing here are left out."""
    user = draft.attack.channel == USER
    for name in way:
        operator = OPERATORS.get(name)
        if operator is not None and (user or operator.documents):
            draft = operator.apply(draft, chance) or draft
    return draft


def _widened(draft: Draft, chance: Random, limits: Limits) -> list[Draft]:
    possible = [item for item in applicable(draft) if limits.allows(item.name)]
    chosen = chance.sample(possible, min(limits.width, len(possible)))
    return [new for operator in chosen if (new := operator.apply(draft, chance)) is not None]


def _crossed(drafts: Sequence[Draft], chance: Random, limits: Limits) -> list[Draft]:
    """The last operator of one on top of another: wrappings are exchanged between the two."""
    if len(drafts) < 2:
        return []
    left, right = drafts[0], drafts[1]
    crossed = []
    for one, other in ((left, right), (right, left)):
        names = [name for name in other.attack.operators if name not in one.attack.operators]
        if names and names[-1] in OPERATORS and limits.allows(names[-1]):
            new = OPERATORS[names[-1]].apply(one, chance)
            if new is not None:
                crossed.append(_marked(new, CROSSOVER))
    return crossed


def _marked(draft: Draft, name: str) -> Draft:
    return draft.surrounded(draft.attack.text, name)


async def _suffixed(
    beam: list[tuple[Draft, Try]], asking: _Asking, chance: Random, limits: Limits
) -> list[tuple[Draft, Try]]:
    """Words of everyday work, added greedily: the one that calms the detectors most stays."""
    draft, best = beam[0]
    added: list[str] = []
    for _ in range(limits.suffix):
        pool = chance.sample(words()["filler"]["words"], 6)
        options = [" ".join([*added, word]) for word in pool]
        heard = await asking.all(_ended(draft, option) for option in options)
        if not heard:
            break
        new, tried = min(heard, key=lambda item: _rank(item[1]))
        if _rank(tried) >= _rank(best):
            break
        added = new.attack.text.removeprefix(draft.attack.text).split()
        best = tried
        beam = [(new, tried), *beam]
        if tried.heard.passed:
            break
    return beam


def _ended(draft: Draft, words_added: str) -> Draft:
    return draft.surrounded(f"{draft.attack.text} {words_added}", SUFFIX)
