"""Code of a fragment as the guest can run it: completed as for the static checks, line by line known.

What parses is run as it stands. What does not is read as far as possible and written anew; whose
line is whose is remembered, so that claims and sinks meet.
"""

import ast
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bluecode.defenses.checkers import python_fragments
from bluecode.defenses.checkers.observations import Entry, Observations
from bluecode.defenses.verdict import DetectorError

LONGEST = 40_000
"""Characters of a fragment that is written anew; for a longer one it would take too long."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """What is run in the place of a snippet."""

    code: str
    lines: Mapping[int, int] | None = None
    """From lines of the code that is run to lines of the snippet; None where they are the same."""

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where lines of the snippet are in the code that is run."""
        if self.lines is None:
            return first, last
        found = [line for line, own in self.lines.items() if first <= own <= last]
        return (min(found), max(found)) if found else (first, last)

    def restored(self, seen: Observations) -> Observations:
        """Observations with the snippet's lines."""
        if self.lines is not None:
            for entry in seen.entries:
                self._restore(entry)
        return seen

    def _restore(self, entry: Entry) -> None:
        entry.first, entry.last = self._own(entry.first), self._own(entry.last)
        for call in entry.calls:
            call.line = self._own(call.line)
            call.sinks = [replace(sink, line=self._own(sink.line)) for sink in call.sinks]

    def _own(self, line: int) -> int:
        assert self.lines is not None
        above = [known for known in self.lines if known <= line]
        return self.lines[max(above)] if line and above else line


def runnable(code: str) -> Runnable:
    """The code itself where it parses, else what of it can be read."""
    if len(code) > LONGEST or _parses(code) or _parses(textwrap.dedent(code)):
        return Runnable(code)
    try:
        parsed = python_fragments.parse(code)
        text = ast.unparse(parsed.tree)
        again = ast.parse(text)
    except (DetectorError, SyntaxError, ValueError, RecursionError, MemoryError):
        return Runnable(code)
    lines: dict[int, int] = {}
    for new, old in zip(ast.walk(again), ast.walk(parsed.tree), strict=False):
        at, was = getattr(new, "lineno", None), getattr(old, "lineno", None)
        if type(new) is type(old) and at is not None and was is not None:
            lines.setdefault(at, max(1, was - parsed.shift))
    return Runnable(text, lines)


def _parses(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
