"""What a language's rules are made of: plain data that the engine reads.

A call is named by a pattern. `eval` is a call without receiver; `fs.open` one on something that is
`fs` by name, type or import; `*.open` one on anything; `@db.query` one on something whose name or
type matches the language's expression for `db`; `new.T` a construction.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import Level, Value

BASE = -2
"""In place of an argument's index: what the method is called on."""
ANY = -1
"""In place of an argument's index: every argument."""


Test = Callable[[Site], bool]


@dataclass(frozen=True, slots=True)
class Sink:
    """Where untrusted data does harm."""

    rule: str
    calls: str
    """Patterns, separated by blanks."""
    args: tuple[int, ...] = (0,)
    label: str = ""
    """The kind of harm, as cleaners name it; the rule's own name where it is empty."""
    options: tuple[str, ...] = ()
    """Named arguments that count as well."""
    when: Test | None = None
    built: bool = False
    """Only a text that was put together counts, not one that is handed on."""
    least: Level = Level.UNKNOWN
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Property:
    """A call that is wrong by itself, whatever the data: as likely as `when` says."""

    rule: str
    calls: str
    when: Callable[[Site], float]


@dataclass(frozen=True, slots=True)
class Setting:
    """An option, field or variable that must not have such a value."""

    rule: str
    keys: str
    """Names, separated by blanks."""
    value: Callable[[Value], bool]
    score: float
    within: str = ""
    """An expression that the name of what holds the field must match."""


@dataclass(frozen=True, slots=True)
class Store:
    """An assignment to a field through which untrusted data does harm."""

    rule: str
    fields: str
    label: str = ""
    within: str = ""
    built: bool = False
    """Only a text that was put together counts."""
    least: Level = Level.UNKNOWN
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Source:
    """Names or calls that give data from outside."""

    level: Level
    paths: str = ""
    """A regular expression for dotted paths."""
    calls: str = ""
    parameters: str = ""
    """A regular expression for names of parameters."""
    types: str = ""
    """A regular expression for types and annotations of parameters."""
    acts_as: str = ""
    """The path that such a parameter goes by: the whole is harmless, its parts are looked up."""
    cleared: str = ""
    """Kinds of harm that data from there cannot do, separated by blanks."""


@dataclass(frozen=True, slots=True)
class Cleaner:
    """Calls whose result can do less harm than their argument."""

    calls: str
    labels: str
    arg: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """Calls whose true answer says that a value is harmless in some ways."""

    calls: str
    labels: str
    arg: int = 0
    says: bool = True
    """The answer that is the good one."""


@dataclass(frozen=True, slots=True)
class Writer:
    """Calls that put a text together in one of their arguments or in what they are called on."""

    calls: str
    target: int
    parts: tuple[int, ...]
    format: int | None = None
    keeps: bool = False
    """What was there before stays in it."""
    level: Level = Level.NONE
    """The least level of what is written: a read from outside."""
    mark: str = ""
    """What is said of it from then on."""


@dataclass(frozen=True, slots=True, eq=False)
class Language:
    """All that the engine knows of one language."""

    name: str
    sinks: tuple[Sink, ...] = ()
    properties: tuple[Property, ...] = ()
    settings: tuple[Setting, ...] = ()
    stores: tuple[Store, ...] = ()
    sources: tuple[Source, ...] = ()
    cleaners: tuple[Cleaner, ...] = ()
    checks: tuple[Check, ...] = ()
    writers: tuple[Writer, ...] = ()
    formats: str = ""
    """Calls that insert their arguments into a format text."""
    joins: str = ""
    """Calls that put parts of a path together."""
    resolves: str = ""
    """Calls that bring a path into its one true form."""
    harmless: str = ""
    """An expression for types whose values are numbers, truth values or fixed names."""
    trusted: str = ""
    """An expression for names of parameters that are tools of the function, not data."""
    receivers: Mapping[str, str] = field(default_factory=dict)
    globals: str = ""
    """An expression for paths that are there everywhere and harmless."""
    ends: str = ""
    """Calls that do not come back."""
    advice: Mapping[str, str] = field(default_factory=dict)
    """The safe pattern for each rule, in this language's words."""
    implicit_return: bool = False
    """The last expression of a function is its result."""
    linear_regex: bool = False
    """Its regular expressions never backtrack."""
