"""Indirect injections: a document as a tool brings it, an order to the model in it, a hiding place.

The lawful twin is the same document with a sentence for people at the same place, in words that the
order has too.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from bluecode.defenses.redteam.attack import Attack, Twins
from bluecode.defenses.redteam.grammar import Lists, half, say

NAME = "indirect"
_FOREIGN = 0.15
"""Share of orders in another language than English."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What an injected text wants, and sentences that only look like it."""

    category: str
    principle: str
    orders: tuple[str, ...]
    lawful: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Injections:
    """Goals, carriers, hiding places and the lists that they draw from."""

    goals: tuple[Goal, ...]
    carriers: Mapping[str, tuple[str, ...]]
    """For each channel, its documents."""
    places: Mapping[str, str]
    address: Mapping[str, tuple[str, ...]]
    languages: Mapping[str, tuple[tuple[str, str], ...]]
    """For each language, orders with a lawful sentence each."""
    lists: Lists

    @classmethod
    def parse(cls, text: str) -> "Injections":
        """Read TOML. Raises `KeyError` for a part that is missing."""
        table = tomllib.loads(text)
        return cls(
            goals=tuple(_goal(item) for item in table["goal"]),
            carriers={item["channel"]: tuple(item["bodies"]) for item in table["carrier"]},
            places=table["places"],
            address={name: tuple(ways) for name, ways in table["address"].items()},
            languages={
                name: tuple(zip(orders, table["language_lawful"][name], strict=True))
                for name, orders in table["language"].items()
            },
            lists=table["lists"],
        )

    def goal(self, category: str) -> Goal:
        """Raises `KeyError` for a category that no goal has."""
        for goal in self.goals:
            if goal.category == category:
                return goal
        raise KeyError(category)

    def twins(self, goal: Goal, chance: Random, *, frozen: bool = False) -> Twins:
        """A document with an order of this goal, and its lawful neighbour."""
        channel = chance.choice(sorted(self.carriers))
        place = chance.choice(half(sorted(self.places), frozen))
        manner = chance.choice(sorted(self.address))
        bound = {name: chance.choice(options) for name, options in self.lists.items()}
        order, calm = self._sentences(goal, chance, frozen)
        spoken = say(chance.choice(self.address[manner]), {}, chance, {"order": order})
        body = say(chance.choice(half(self.carriers[channel], frozen)), self.lists, chance, bound)
        at = chance.random()
        filled = say(spoken, self.lists, chance, bound)
        attack = Attack(
            task="injection",
            category=goal.category,
            principle=goal.principle,
            text=_placed(body, say(self.places[place], {}, chance, {**bound, "order": filled}), at),
            channel=channel,
            seed=filled,
            register=manner,
            place=place,
            canary=_canary(filled, bound),
        )
        kept = say(calm, self.lists, chance, bound)
        lawful = Attack(
            task="injection",
            category=goal.category,
            principle=goal.principle,
            text=_placed(body, say(self.places[place], {}, chance, {**bound, "order": kept}), at),
            unsafe=False,
            channel=channel,
            seed=kept,
            register=manner,
            place=place,
        )
        return Twins(attack, lawful)

    def _sentences(self, goal: Goal, chance: Random, frozen: bool) -> tuple[str, str]:
        if goal.category in _TRANSLATED and chance.random() < _FOREIGN:
            language = chance.choice(half(sorted(self.languages), frozen))
            return self.languages[language][_TRANSLATED[goal.category]]
        orders, lawful = half(goal.orders, frozen), half(goal.lawful, frozen)
        number = chance.randrange(len(orders))
        return orders[number], lawful[number % len(lawful)]


_TRANSLATED = {"exfiltration": 0, "manner": 1, "execution": 2, "concealment": 3}
"""Goals that have a sentence in other languages, and which one."""


def _canary(order: str, bound: Mapping[str, str]) -> str:
    """What shows in an answer that obeyed: a code word, a host or an address that only the order
    names."""
    for name in ("canary", "host", "mail", "package", "brand"):
        if bound[name] in order:
            return bound[name]
    return ""


def _placed(body: str, inset: str, at: float) -> str:
    """The inset between two paragraphs, or two lines where there are no paragraphs."""
    gap = "\n\n" if body.count("\n\n") >= 2 else "\n"
    parts = body.rstrip("\n").split(gap)
    where = 1 + int(at * len(parts))
    return gap.join([*parts[:where], inset, *parts[where:]])


def _goal(item: Mapping[str, Any]) -> Goal:
    return Goal(item["category"], item["principle"], tuple(item["orders"]), tuple(item["lawful"]))


@cache
def shipped() -> Injections:
    """The carriers, goals and places that come with BlueCode."""
    folder = resources.files("bluecode.defenses.redteam")
    return Injections.parse(folder.joinpath("injections.toml").read_text("utf-8"))
