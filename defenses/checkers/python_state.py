"""What the Python checker knows at one point of the code, and what it has claimed so far.

`State` is what branches copy and joins merge; `Run` is one walk over one snippet, bounded in steps.
"""

import ast
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from bluecode.defenses.checkers.python_checks import (
    NO_CHECKS,
    Checks,
    both,
    checked,
    prefixes,
    ruling_out,
)
from bluecode.defenses.checkers.python_tree import Called, called
from bluecode.defenses.checkers.python_values import (
    DANGERS,
    Level,
    Tag,
    Tags,
    Value,
    all_tags,
    merge,
)

_SHORT = 8000
"""Characters that are sooner searched for a name than parsed code is walked for all names."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


class OutOfSteps(Exception):
    """The snippet is too large to be walked to its end."""


class State:
    """Variables and checked sources at one point; `dead` when the point is not reached."""

    __slots__ = ("cleared", "dead", "names", "owners")

    def __init__(self, names: dict[str, Value], cleared: Checks = NO_CHECKS) -> None:
        self.names = names
        self.cleared = cleared
        self.dead = False
        self.owners: frozenset[str] = frozenset()
        """Variables of which `names` holds attributes as well, under dotted keys."""

    def copy(self) -> "State":
        made = State(dict(self.names), self.cleared)
        made.owners = self.owners
        return made

    def set_part(self, key: str, value: Value) -> None:
        """Give a value to a variable or, where `key` is dotted, to an attribute."""
        self.names[key] = value
        owner, dot, _ = key.partition(".")
        if dot:
            self.owners |= {owner}

    def forget_parts(self, owner: str) -> None:
        """The variable holds something else now: nothing is known of its attributes."""
        if owner in self.owners:
            for key in [name for name in self.names if name.startswith(f"{owner}.")]:
                del self.names[key]
            self.owners -= {owner}

    def clear(
        self, value: Value, dangers: Iterable[str] = DANGERS, *, parent: bool = False
    ) -> None:
        """Rule out dangers for all sources of the value (with `parent`: of all it is part of)."""
        roots = {tag.root for tag in all_tags(value)}
        if parent:
            roots = {prefix for root in roots for prefix in prefixes(root)}
        if roots:
            self.cleared |= ruling_out(roots, dangers)

    def live(self, tags: Tags, danger: str, least: Level = Level.UNKNOWN) -> list[Tag]:
        """Tags of input that still are dangerous here, surest first."""
        found = [
            tag
            for tag in tags
            if tag.kind == "input"
            and tag.level >= least
            and danger not in tag.cleared
            and not self.cleared.covers(tag.root, danger)
        ]
        return sorted(found, key=lambda tag: (-tag.level, tag.root))

    def bake(self, value: Value, only: Checks | None = None) -> Value:
        """The value with this path's checks written into its tags, to outlive the path."""
        return checked(value, self.cleared if only is None else only)


def join(states: Iterable[State], into: State) -> None:
    """Make `into` what holds whichever of the states the program came through."""
    alive = [state for state in states if not state.dead]
    if not alive:
        into.dead = True
        return
    shared = both(state.cleared for state in alive)
    names: dict[str, Value] = {}
    for state in alive:
        extra = state.cleared - shared
        for name, value in state.names.items():
            own = state.bake(value, extra) if extra else value
            names[name] = merge(names[name], own) if name in names else own
    into.names, into.cleared, into.dead = names, shared, False
    into.owners = frozenset().union(*(state.owners for state in alive))


class Claim(NamedTuple):
    """A weakness seen at a place."""

    rule: str
    score: float
    first: int
    last: int
    source: str


@dataclass(slots=True)
class Frame:
    """The function whose body is walked."""

    name: str
    handler: str = ""
    """`html`, `json` or empty: what a returned text becomes for a client."""
    owner: str = ""
    """The class a method belongs to."""
    targets: tuple[str, ...] = ()
    """Names that the current statement assigns or passes to."""
    returns: list["Inlined"] = field(default_factory=list)
    test: bool = False
    shared: set[str] = field(default_factory=set)
    """Names declared `global`."""
    plain: bool = False
    """Whether the answer says that it is no page."""
    told: bool = False
    """Whether the function says of itself that strangers give it what it works on."""
    asked: set[str] = field(default_factory=set)
    """Files that `os.access` was asked about, as dumped expressions."""
    vacant: set[str] = field(default_factory=set)
    """Files that must not exist from here on, as dumped expressions."""


class Inlined(NamedTuple):
    """One way out of a function, or all merged: what it gave and what was ruled out by then."""

    value: Value
    cleared: Checks
    if_true: Checks
    """Ruled out where the returned value is true."""
    if_false: Checks


class Walker(Protocol):
    """The parts of the walk that call each other."""

    def assume(self, run: "Run", state: State, test: ast.expr, truth: bool) -> None: ...

    def call(self, run: "Run", state: State, node: ast.Call) -> Value: ...

    def invoke(self, run: "Run", state: State, call: "Invocation") -> Value: ...


class Call(NamedTuple):
    """A call with its arguments evaluated."""

    node: ast.Call
    name: str
    """Dotted name of what is called, as far as it is known."""
    method: str
    """Last part of the name where it is an attribute."""
    receiver: Value
    callee: Value
    args: tuple[Value, ...]
    keywords: tuple[tuple[str, Value], ...]
    state: State

    def keyword(self, name: str) -> Value | None:
        for key, value in self.keywords:
            if key == name:
                return value
        return None

    def argument(self, index: int, name: str = "") -> Value | None:
        """An argument by position or by name."""
        if index < len(self.args):
            return self.args[index]
        return self.keyword(name) if name else None

    @property
    def last(self) -> str:
        return self.method or self.name.rpartition(".")[2]

    @property
    def values(self) -> tuple[Value, ...]:
        return (*self.args, *(value for _, value in self.keywords))


class Invocation(NamedTuple):
    """A call of a function of the snippet."""

    function: Function
    positional: tuple[Value, ...]
    named: tuple[tuple[str, Value], ...]
    receiver: Value | None = None
    owner: str = ""


@dataclass(slots=True)
class Run:
    """One walk over one snippet."""

    steps: int
    walker: Walker
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    methods: dict[str, dict[str, Function]] = field(default_factory=dict)
    fields: dict[str, dict[str, Value]] = field(default_factory=dict)
    """By class: what its attributes hold after `__init__`."""
    imports: frozenset[str] = frozenset()
    frames: list[Frame] = field(default_factory=lambda: [Frame("")])
    claims: dict[tuple[str, int], Claim] = field(default_factory=dict)
    decorated: list[Function] = field(default_factory=list)
    text: str = ""
    """The code itself, where it is at hand: what is called by name stands there twice."""
    tree: ast.Module = field(default_factory=lambda: ast.Module(body=[], type_ignores=[]))
    names: Called | None = None
    remarks: dict[str, Claim] = field(default_factory=dict)
    """By rule: what is worth a look and no more, at its first place."""
    is_test: bool = False
    """Whether the whole snippet is tests."""
    active: list[ast.AST] = field(default_factory=list)
    memory: dict[object, "Inlined"] = field(default_factory=dict)
    inlined: dict[int, int] = field(default_factory=dict)
    top: State = field(default_factory=lambda: State({}))
    """What the module's own statements leave behind."""
    breaks: list[list[State]] = field(default_factory=list)
    stars: list[str] = field(default_factory=list)
    """Modules of which every name was imported."""
    pending: deque[tuple[Function, State, str]] = field(default_factory=deque)
    queued: set[int] = field(default_factory=set)
    """Functions that wait there, by identity."""
    nested: set[int] = field(default_factory=set)
    """Functions defined inside others, by identity: they see the names around them."""
    last_call: "Inlined | None" = None
    """How the latest call of one of the snippet's own functions came out."""

    @property
    def frame(self) -> Frame:
        return self.frames[-1]

    def calls(self, name: str) -> bool:
        """Whether the snippet itself calls a function of its own by this name."""
        if 0 < len(self.text) < _SHORT and not self._spelled(name):
            return False
        return name in self.called.own

    def _spelled(self, name: str) -> bool:
        """Whether a bracket follows the name anywhere but where it is defined."""
        return self.text.count(f"{name}(") > 1 or f"{name} (" in self.text

    @property
    def called(self) -> Called:
        """What the snippet calls; known once somebody asks."""
        if self.names is None:
            self.names = called(self.tree)
        return self.names

    def spend(self, steps: int = 1) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise OutOfSteps

    def claim(self, rule: str, node: ast.AST, score: float, level: Level = Level.NONE) -> None:
        """Note a weakness; of several at one line the surest stays."""
        first = getattr(node, "lineno", 1)
        last = getattr(node, "end_lineno", None) or first
        if self.frame.test or self.is_test:
            score *= 0.6
        name = f"python.{rule}"
        known = self.claims.get((name, first))
        if known is None or known.score < score:
            claim = Claim(name, round(score, 3), first, last, SOURCES[level])
            self.claims[name, first] = claim

    def remark(self, rule: str, node: ast.AST, score: float) -> None:
        """Note once what seldom is a weakness; a claim of the same rule makes it needless."""
        name = f"python.{rule}"
        if name not in self.remarks:
            first = getattr(node, "lineno", 1)
            last = getattr(node, "end_lineno", None) or first
            self.remarks[name] = Claim(name, score, first, last, SOURCES[Level.NONE])

    def found(self) -> list[Claim]:
        """All claims, and the remarks of other kinds and at other lines."""
        rules, lines = {rule for rule, _ in self.claims}, {line for _, line in self.claims}
        left = [
            it for it in self.remarks.values() if it.rule not in rules and it.first not in lines
        ]
        return [*self.claims.values(), *left]


SOURCES: Mapping[Level, str] = {
    Level.NONE: "the program",
    Level.UNKNOWN: "an unknown place",
    Level.FIELD: "an attribute of the object",
    Level.PRIVATE: "a caller",
    Level.PARAMETER: "a parameter",
    Level.STORED: "a file, database or service",
    Level.INPUT: "the program's input",
    Level.REQUEST: "a request",
}
