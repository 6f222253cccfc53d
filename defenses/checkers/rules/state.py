"""What the engine carries while it follows one snippet."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from bluecode.defenses.checkers.rules.matching import Matcher
from bluecode.defenses.checkers.rules.tree import Node
from bluecode.defenses.checkers.rules.values import SOURCES, Level, Value
from bluecode.defenses.checkers.rules.weaknesses import WEAKNESSES

Env = dict[str, Value]
"""What each name, or dotted path, holds at one point of the code."""

WORTH_SAYING = 0.4
"""Claims below this are not made at all: nobody could act on them."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One weakness at one place."""

    rule: str
    score: float
    first: int
    last: int
    source: str


class OutOfSteps(Exception):
    """The snippet is too large to be followed to its end."""


@dataclass(slots=True)
class Run:
    """One snippet on its way through the engine."""

    matcher: Matcher
    steps: int
    lines: Sequence[str] = ()
    """The snippet's text."""
    claims: dict[tuple[str, int], Claim] = field(default_factory=dict)
    functions: dict[str, Node] = field(default_factory=dict)
    """Functions of the snippet, by name."""
    returns: dict[str, Value] = field(default_factory=dict)
    """What they give back when their parameters come from anywhere."""
    entered: set[tuple[str, tuple[int, ...]]] = field(default_factory=set)
    """Functions that were followed, with the levels of what they were given."""
    purpose: list[str] = field(default_factory=list)
    """Lower-case names around: functions we are in, what is being assigned to."""
    spare: int = 3_000_000
    """Looks at names and events that may still be taken: some questions look at many at once."""
    said: dict[str, bool] = field(default_factory=dict)
    """Expressions that the snippet's text was searched for, and whether they are in it."""
    depth: int = 0
    quiet: int = 0
    """Above 0 nothing is claimed: the code is only followed for its result."""

    def comment(self, function: Node) -> str:
        """The comment right above a function."""
        found: list[str] = []
        at = function.line - 2
        inside = False
        while 0 <= at < len(self.lines) and len(found) < 40:
            line = self.lines[at].strip()
            inside = inside or line.endswith("*/")
            if not inside and not line.startswith(("*", "//", "#", "@", "[")):
                break
            found.append(line)
            if "/*" in line:
                inside = False
            at -= 1
        return "\n".join(reversed(found))

    def says(self, expression: re.Pattern[str]) -> bool:
        """Does the snippet say this anywhere? It is searched once for each expression."""
        known = self.said.get(expression.pattern)
        if known is None:
            known = any(expression.search(line) for line in self.lines)
            self.said[expression.pattern] = known
        return known

    def step(self) -> None:
        """Count one step. Raises `OutOfSteps` when there were too many."""
        self.steps -= 1
        if self.steps < 0:
            raise OutOfSteps

    def spend(self, looks: int) -> None:
        """Count looks at names and events. Raises `OutOfSteps` when there were too many."""
        self.spare -= looks
        if self.spare < 0:
            raise OutOfSteps

    def claim(self, rule: str, node: Node, score: float, level: Level = Level.NONE) -> None:
        """Say that a weakness is here; the surest claim of a rule on a line stays."""
        if score < WORTH_SAYING or self.quiet:
            return
        key = (rule, node.line)
        known = self.claims.get(key)
        if known is None or known.score < score:
            self.claims[key] = Claim(
                rule, min(score, 0.99), node.line, max(node.line, node.last), SOURCES[level]
            )

    def claim_flow(self, rule: str, node: Node, level: Level, factor: float = 1.0) -> None:
        """Say that data of this level does harm here, as likely as its origin makes it."""
        self.claim(rule, node, WEAKNESSES[rule].score(level) * factor, level)
