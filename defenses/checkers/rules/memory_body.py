"""A function in C or C++ taken apart: its variables, and what happens to them in which order."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from bluecode.defenses.checkers.rules.tree import Node

Kind = Literal["store", "deref", "use", "free", "test", "bound", "call", "address"]


Branch = tuple[tuple[int, int], ...]


@dataclass(slots=True)
class Event:
    """Something that happens to a name."""

    kind: Kind
    key: str
    node: Node
    order: int
    branch: Branch
    value: Node | None = None
    """What is stored."""


@dataclass(slots=True)
class Local:
    """A declared variable or parameter."""

    name: str
    type: str
    size: Node | None = None
    parameter: bool = False
    static: bool = False
    line: int = 0


@dataclass(slots=True)
class Body:
    """A function taken apart."""

    function: Node
    locals: dict[str, Local] = field(default_factory=dict)
    outer: Mapping[str, Local] = field(default_factory=dict)
    """Arrays that are declared outside of the function."""
    events: list[Event] = field(default_factory=list)
    by_key: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    ended: set[tuple[int, int]] = field(default_factory=set)
    """Branches that leave before they reach what stands behind them."""
    leaves: list[tuple[int, Branch, str]] = field(default_factory=list)
    """Where the function is left for good, or the label that is jumped to."""
    labels: dict[str, int] = field(default_factory=dict)
    """Where each label stands."""
    calls: list[Event] = field(default_factory=list)
    loops: list[tuple[Node, Branch]] = field(default_factory=list)
    lower_checked: set[int] = field(default_factory=set)
    """Identities of names that are compared with a lower limit."""
    returned: set[int] = field(default_factory=set)
    """Identities of names that are given back, or handed on to a call."""
    null_tests: set[int] = field(default_factory=set)
    """Identities of names that are tested as they stand, or compared with nothing."""

    spend: Callable[[int], None] = lambda looks: None
    """Told how many events a question looked at, so that hostile code cannot ask for ever."""

    def between(self, key: str, kinds: tuple[Kind, ...], start: int, end: int) -> bool:
        """Does such an event happen to the name after the start and before the end?"""
        events = self.by_key.get(key, ())
        self.spend(len(events))
        return any(event.kind in kinds and start < event.order < end for event in events)

    def before(self, key: str, kinds: tuple[Kind, ...], end: int) -> bool:
        """Did such an event happen to the name before this point?"""
        return self.between(key, kinds, -1, end)

    def last_store(self, key: str, before: int) -> Event | None:
        """The latest store to the name before this point."""
        found = None
        events = self.by_key.get(key, ())
        self.spend(len(events))
        for event in events:
            if event.kind == "store" and event.order < before:
                found = event
        return found

    def reaches(self, first: Event, second: Event) -> bool:
        """Can the second happen after the first in one run, loops left aside?"""
        theirs = dict(second.branch)
        for number, way in first.branch:
            if number in theirs:
                if theirs[number] != way:
                    return False
            elif (number, way) in self.ended:
                return False
        begin = bisect_left(self.leaves, first.order, key=lambda leave: leave[0])
        end = bisect_left(self.leaves, second.order, key=lambda leave: leave[0])
        self.spend(end - begin)
        return not any(
            first.branch[: len(branch)] == branch for _, branch, _ in self.leaves[begin:end]
        )

    def resumes(self, first: Event) -> int:
        """Where the way that this event is on goes on: the label that it jumps forward to, the
        event itself where it does not jump, and nowhere, -1, where it leaves."""
        begin = bisect_left(self.leaves, first.order, key=lambda leave: leave[0])
        self.spend(len(self.leaves) - begin)
        for _, branch, label in self.leaves[begin:]:
            if first.branch[: len(branch)] == branch:
                place = self.labels.get(label, -1)
                return place if place > first.order else -1
        return first.order
