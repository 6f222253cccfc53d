"""Signs: what is no word. Shell idioms, paths, role markers, each a regular expression.

Trying dozens of patterns on every text is dear, so a pattern is tried only where the text holds one
of its words or literals; and a literal is looked for only where a word of the text fits into it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bluecode.defenses.terms import Terms

_KEPT = 2**16
_RUN = re.compile(r"[a-z0-9]+")


def _core(literal: str) -> str:
    """A pattern for the word that a text with this literal must have; "" where there is none.

    The ends of the word are known where the literal goes on with what is no letter."""
    if not literal.isascii() or not (runs := list(_RUN.finditer(literal))):
        return ""
    run = max(runs, key=lambda match: len(match.group()))
    first = "^" if run.start() else ""
    last = "$" if run.end() < len(literal) else ""
    return first + run.group() + last


class _Gate:
    """The literals that a text may hold which has some words."""

    def __init__(self, literals: Iterable[str]) -> None:
        self._cores = [(number, re.compile(core)) for number, core in enumerate(literals) if core]
        self._any = re.compile("|".join({core.pattern for _, core in self._cores}) or r"(?!)")
        self._met: set[str] = set()
        self._telling: dict[str, frozenset[int]] = {}
        """For each word met lately that fits into a literal: which."""

    def open(self, words: set[str]) -> Iterator[frozenset[int]]:
        """For each of the words that fits into a literal: which."""
        if not words <= self._met:
            self._meet(words - self._met)
        return map(self._telling.__getitem__, self._telling.keys() & words)

    def _meet(self, words: set[str]) -> None:
        if len(self._met) >= _KEPT:
            self._met.clear()
            self._telling.clear()
        self._met |= words
        for word in words:
            if self._any.search(word):
                found = [number for number, core in self._cores if core.search(word)]
                self._telling[word] = frozenset(found)


class Signs:
    """The signs of a lexicon, in the order of their numbers."""

    def __init__(self, entries: Iterable[Mapping[str, Any]]) -> None:
        table = list(entries)
        self._patterns = [re.compile(entry["pattern"]) for entry in table]
        whole = [(word, f"^{word}$", sign) for word, sign in _listed(table, "words")]
        parts = [(text, _core(text), sign) for text, sign in _listed(table, "literals")]
        self._literals = [text for text, _, _ in (*whole, *parts)]
        self._owners = [sign for _, _, sign in (*whole, *parts)]
        cores = [core for _, core, _ in (*whole, *parts)]
        self._gate = _Gate(cores)
        self._always = frozenset(number for number, core in enumerate(cores) if not core)
        self._far = {at for at, literal in enumerate(self._literals) if not literal.isascii()}

    def __len__(self) -> int:
        return len(self._patterns)

    def find(self, terms: Terms) -> Iterator[tuple[int, int]]:
        """The place among the terms, and the number, of each sign."""
        near = self._always.union(*self._gate.open(set(terms.words)))
        if terms.text.isascii():
            near -= self._far
        tried = {self._owners[number] for number in near if self._literals[number] in terms.text}
        for sign in sorted(tried):
            for match in self._patterns[sign].finditer(terms.text):
                place = bisect_right(terms.starts, match.start())
                yield min(place, max(len(terms.words) - 1, 0)), sign


def _listed(table: Sequence[Mapping[str, Any]], key: str) -> Iterator[tuple[str, int]]:
    for sign, entry in enumerate(table):
        for text in entry.get(key, ()):
            yield text, sign
