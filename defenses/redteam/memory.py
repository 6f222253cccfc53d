"""What worked before, nearest first: the attacks that passed, and by which operators.

As in RedCodeAgent (2025): only successes are kept; what is recalled is the most alike, less a price
for each step, so that short ways are tried before long ones.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

K = 3
RHO = 0.02
"""What each operator of a remembered way costs in similarity."""
_MOST = 200
"""Successes that are kept: the latest."""
_WORD = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True, slots=True)
class Success:
    """An attack that passed."""

    category: str
    text: str
    """The plain wish."""
    operators: tuple[str, ...]


class Memory:
    """Successes of one lane of a campaign."""

    def __init__(self, kept: Sequence[Success] = ()) -> None:
        self._kept = list(kept)

    def keep(self, success: Success) -> None:
        """Remember a success; plain texts teach nothing about rewriting."""
        if success.operators:
            self._kept = [*self._kept, success][-_MOST:]

    def recall(self, category: str, text: str) -> list[tuple[str, ...]]:
        """The ways of the `K` best remembered successes, best first, none twice."""
        wanted = _bag(text)
        scored = [
            (_cosine(wanted, _bag(item.text)) + (item.category == category)
             - RHO * len(item.operators), -at, item)
            for at, item in enumerate(self._kept)
        ]  # fmt: skip
        ways = [item.operators for _, _, item in sorted(scored, reverse=True, key=lambda s: s[:2])]
        return list(dict.fromkeys(ways))[:K]

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {"category": item.category, "text": item.text, "operators": list(item.operators)}
            for item in self._kept
        ]

    @classmethod
    def from_json(cls, records: Sequence[Mapping[str, Any]]) -> "Memory":
        return cls([Success(r["category"], r["text"], tuple(r["operators"])) for r in records])


def _bag(text: str) -> Counter[str]:
    return Counter(_WORD.findall(text.lower()))


def _cosine(left: Counter[str], right: Counter[str]) -> float:
    dot = sum(count * right[word] for word, count in left.items())
    size = sqrt(sum(n * n for n in left.values()) * sum(n * n for n in right.values()))
    return dot / size if size else 0.0
