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
    more_violate: tuple[str, ...]
    """Written after the frozen set was drawn, and never in it, so that it stays what it was."""
    more_lawful: tuple[str, ...]
    more_registers: Mapping[str, tuple[str, ...]]

    def wishes(self, *, frozen: bool) -> tuple[Sequence[str], Sequence[str]]:
        """What breaks the rule and what keeps it, at the same place where both have one."""
        asked, kept = half(self.violate, frozen), half(self.lawful, frozen)
        return (
            (asked, kept) if frozen else ((*asked, *self.more_violate), (*kept, *self.more_lawful))
        )

    def frames(self, register: str, *, frozen: bool) -> Sequence[str]:
        """How a request is spoken."""
        own = half(self.registers[register], frozen)
        return own if frozen else (*own, *self.more_registers.get(register, ()))


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
        frame = chance.choice(rule.frames(register, frozen=frozen))
        bound = {
            name: chance.choice(self.lists[name])
            for name in ("lang", "artefact", "weekday", "ticket", "name", "few_words")
        }
        bound["group"] = chance.choice(half(rule.groups, frozen))
        bound["where"] = chance.choice(rule.situations)
        asked, kept = rule.wishes(frozen=frozen)
        number = chance.randrange(len(asked))
        wish = kept[number % len(kept)]
        if not frozen and rule.task in self.calm and chance.random() < _CALM:
            wish = chance.choice(self.calm[rule.task])
        attack = self._spoken(rule, frame, asked[number], bound, chance)
        if rule.task == "malice":
            bound["where"] = chance.choice(self.lists[_LAWFUL_WHERE])
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
    bare = "bare" in names
    spoken = table["bare"] if bare else table["registers"]
    more = {} if bare else table["more_registers"]
    groups, wide = item["groups"], table["wide"]
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
        more_violate=(*item.get("more_violate", ()), *wide.get(f"{item['task']}_violate", ())),
        more_lawful=(*item.get("more_lawful", ()), *wide.get(f"{item['task']}_lawful", ())),
        more_registers={name: tuple(frames) for name, frames in more.items()},
    )


@cache
def shipped() -> Policies:
    """The policies that come with BlueCode."""
    folder = resources.files("bluecode.defenses.redteam")
    return Policies.parse(folder.joinpath("policies.toml").read_text("utf-8"))
