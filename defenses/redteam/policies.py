"""Policy-based generation: a rule in words, and requests that break it or keep it.

A policy names groups (or targets), situations, and verb phrases for and against the rule; registers
say how a request is spoken. An attack and its twin share register, group and language.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from random import Random
from typing import Any

from bluecode.defenses.knowledge import Task
from bluecode.defenses.redteam.attack import Attack, Twins
from bluecode.defenses.redteam.grammar import Lists, capital, half, say

NAME = "policy"
_LAWFUL_WHERE = "lawful_where"
_CALM = 0.3
"""Share of neighbours that are another subject's everyday work, told in the same manner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One policy of `policies.toml`."""

    task: Task
    category: str
    principle: str
    rule: str
    """In words; an attacker model gets it as its brief."""
    situations: tuple[str, ...]
    groups: tuple[str, ...]
    violate: tuple[str, ...]
    lawful: tuple[str, ...]
    registers: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Policies:
    """All policies, and the lists that they draw from."""

    rules: tuple[Rule, ...]
    lists: Lists
    calm: Mapping[str, tuple[str, ...]]
    """For each task, what owners and defenders ask for every day."""

    @classmethod
    def parse(cls, text: str) -> "Policies":
        """Read TOML. Raises `KeyError` for a policy that lacks a part."""
        table = tomllib.loads(text)
        calm = {task: tuple(wishes) for task, wishes in table["calm"].items()}
        rules = tuple(_rule(item, table) for item in table["policy"])
        return cls(rules, table["lists"], calm)

    def of(self, task: str, category: str) -> Rule:
        """Raises `KeyError` for a category that no policy has."""
        for rule in self.rules:
            if (rule.task, rule.category) == (task, category):
                return rule
        raise KeyError(f"{task}.{category}")

    def twins(self, rule: Rule, chance: Random, *, frozen: bool = False) -> Twins:
        """A request that breaks the rule, and one that keeps it in nearly the same words."""
        register = chance.choice(sorted(rule.registers))
        frame = chance.choice(half(rule.registers[register], frozen))
        bound = {
            name: chance.choice(self.lists[name])
            for name in ("lang", "artefact", "weekday", "ticket", "name", "few_words")
        }
        bound["group"] = chance.choice(half(rule.groups, frozen))
        bound["where"] = chance.choice(rule.situations)
        number = chance.randrange(len(half(rule.violate, frozen)))
        asked = half(rule.violate, frozen)[number]
        kept = half(rule.lawful, frozen)
        calm = self.calm.get(rule.task, ())
        attack = self._spoken(rule, frame, asked, bound, chance)
        if rule.task == "malice":
            bound["where"] = chance.choice(self.lists[_LAWFUL_WHERE])
        wish = kept[number % len(kept)]
        if calm and chance.random() < _CALM:
            wish = chance.choice(half(calm, frozen))
        lawful = self._spoken(rule, frame, wish, bound, chance)
        attack = replace(attack, register=register)
        return Twins(attack, replace(lawful, register=register, unsafe=False))

    def _spoken(
        self, rule: Rule, frame: str, phrase: str, bound: Mapping[str, str], chance: Random
    ) -> Attack:
        do = say(phrase, self.lists, chance, bound)
        text = say(frame, self.lists, chance, {**bound, "do": do})
        return Attack(
            task=rule.task,
            category=rule.category,
            principle=rule.principle,
            text=_tidy(text),
            seed=capital(do) + ".",
        )


def _tidy(text: str) -> str:
    """Sentences begin with capitals, `a` is `an` before a vowel."""
    words = text.split(" ")
    for at, word in enumerate(words[:-1]):
        if word in ("a", "A") and words[at + 1][:1].lower() in "aeio" and words[at + 1][:1]:
            words[at] = word + "n"
    return capital(" ".join(words))


def _rule(item: Mapping[str, Any], table: Mapping[str, Any]) -> Rule:
    names: Sequence[str] = item.get("registers", ())
    spoken = table["bare"] if "bare" in names else table["registers"]
    groups = item["groups"]
    return Rule(
        task=item["task"],
        category=item["category"],
        principle=item["principle"],
        rule=item["rule"],
        situations=tuple(item["situations"]),
        groups=tuple(table["lists"][groups] if isinstance(groups, str) else groups),
        violate=tuple(item["violate"]),
        lawful=tuple(item["lawful"]),
        registers={name: tuple(frames) for name, frames in spoken.items()},
    )


@cache
def shipped() -> Policies:
    """The policies that come with BlueCode."""
    folder = resources.files("bluecode.defenses.redteam")
    return Policies.parse(folder.joinpath("policies.toml").read_text("utf-8"))
