"""The work of a fixed regular expression of JavaScript on texts made for it, counted in fuel.

A pattern that backtracks is run in the sandbox on a text that begins like a match, goes on for long
and then fails, at several lengths. What grows faster than the text is told, with the figures; that
nothing grew proves nothing, since another text might do it.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bluecode.defenses.checkers.python_regex import Pump, pumps
from bluecode.sandbox.outcome import Outcome

_LITERAL = re.compile(
    r"(?:^|=>|[=(,:;!&|?{}\[]|\breturn\b)\s*(?P<literal>/(?![*/])(?P<source>(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\[\n])+)"
    r"/(?P<flags>[dgimsuvy]*))",
    re.MULTILINE,
)
_MADE = re.compile(r"RegExp\(\s*(?P<text>\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')")
_NAMED = re.compile(r"\(\?<(?=[A-Za-z_$])")
SHORT = (10, 28)
"""Repetitions between which exponential matching runs out of fuel."""
LONG = (250, 500, 1_000)
STEEP = 3.0
"""So many times as much must the second doubling of the text cost as the first, where twice as much
is what work in proportion would."""
NOTICEABLE = 10_000_000
"""Units of fuel below which growth is not worth a word."""
_MOST_PATTERNS, _MOST_PUMPS = 3, 2


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression as the code has it."""

    expression: str
    """JavaScript that makes it."""
    source: str


def patterns(code: str, first: int, last: int) -> list[Pattern]:
    """Fixed patterns in some lines, as far as they are plain to see."""
    return list(_found("\n".join(code.split("\n")[first - 1 : last])))[:_MOST_PATTERNS]


def _found(text: str) -> Iterator[Pattern]:
    for literal in _LITERAL.finditer(text):
        yield Pattern(literal["literal"], literal["source"])
    for made in _MADE.finditer(text):
        try:
            source = json.loads('"' + made["text"][1:-1].replace("\\'", "'") + '"')
        except ValueError:
            continue
        yield Pattern(f"new RegExp({json.dumps(source)})", source)


def trials(pattern: Pattern) -> list[Pump]:
    """Texts to try it on; none where it cannot be read."""
    return pumps(_NAMED.sub("(?P<", pattern.source))[:_MOST_PUMPS]


def program(pattern: Pattern, pump: Pump, times: int) -> str:
    """JavaScript that matches once."""
    text = f"{json.dumps(pump.prefix)} + {json.dumps(pump.piece)}.repeat({times})"
    return f'const made = {pattern.expression};\nmade.exec({text} + "\\n!");\n'


def ended(outcome: Outcome) -> bool:
    """Did matching come to its end, within the fuel and the guest's own patience?"""
    impatient = any(event.kind == "end" and "Exhausted" in event.args for event in outcome.events)
    return outcome.ended == "exited" and not impatient


def steep(fuel: Sequence[int]) -> bool:
    """Did the work grow faster than the text, over lengths that double each time?"""
    first, second = fuel[1] - fuel[0], fuel[2] - fuel[1]
    return second > NOTICEABLE and second > STEEP * max(first, 1)
