"""A call as rules see it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bluecode.defenses.checkers.rules.tree import Node
from bluecode.defenses.checkers.rules.values import NOTHING, Value


@dataclass(frozen=True, slots=True)
class Site:
    """One call, its parts evaluated."""

    name: str
    base: Value
    args: Sequence[Value]
    node: Node
    words: Sequence[str]
    lines: Sequence[str] = ()
    """The snippet's text."""

    def arg(self, index: int) -> Value:
        """An argument, the receiver for `BASE`; a harmless value where there is none."""
        if index == -2:
            return self.base
        if index < len(self.args):
            return self.args[index]
        return NOTHING

    def option(self, *names: str) -> Value | None:
        """A named argument or an entry of an object argument."""
        for arg in self.args:
            for name in names:
                if name in arg.fields:
                    return arg.fields[name]
        return None

    def text(self, index: int) -> str:
        """The known text of an argument, lower-case; empty where it is not known."""
        return (self.arg(index).known or "").lower()

    def mentions(self, expression: str) -> bool:
        """Does the snippet say this anywhere?"""
        found = re.compile(expression)
        return any(found.search(line) for line in self.lines)

    @property
    def purpose(self) -> str:
        """Lower-case words around: what is assigned to, and the functions we are in."""
        return " ".join(self.words)
