"""The code around the cursor of an editor: as much of it as a keystroke leaves time to look at.

An editor asks anew at almost every keystroke. So what stands far from the cursor is read by its
imports and plain assignments alone, and what is screened is cut where the next keystroke finds most
of it already screened. Not promised: what flows into a completion from a function far above it is
not seen.
"""

import re
from dataclasses import dataclass

from bluecode.defenses import language
from bluecode.defenses.conversation import Snippet

_BEFORE, _AFTER = 1_600, 400
"""Characters before and after the cursor that are looked at whole."""
_FURTHER = 1_600
"""Characters more, where the function in which the cursor stands begins there."""
_TOLD = re.compile(
    r"^(?:(?:import|from|use|using|package|#include|<\?php)\b[^\n]{0,200}"
    r"|(?:(?:const|let|var) )?[A-Za-z_$]\w{0,80} ?=(?!=)[^\n]{0,200})$",
    re.M,
)
"""Lines from far above that say what names mean."""
_HEAD = 20_000
"""Characters in which they are looked for."""
_MOST_TOLD = 40
_BEGINS = re.compile(r"\n\n(?=[^\s)\]}])")
_SCREENED = 800
"""Characters before the cursor that are screened with every keystroke; more up to an empty line."""


@dataclass(frozen=True, slots=True)
class Around:
    """The code around the cursor, for one prompt."""

    before: str
    after: str

    def snippet(self, text: str, *, whole: bool = True) -> Snippet:
        """The completion where it will stand; `focus` are its own lines."""
        before = _near(self.before)
        code = before + text + (_first_lines(self.after) if whole else "")
        first = before.count("\n") + 1
        return Snippet(
            code=code,
            language=language.decide(code),
            origin="unfenced",
            focus=(first, first + text.count("\n")),
        )


def screened(before: str) -> tuple[str, ...]:
    """The text before the cursor in one piece or two, of which the next keystroke changes the last.

    The pieces overlap, so that a sentence across the cut stands whole in one of them.
    """
    at = before.rfind("\n\n", 0, max(0, len(before) - _SCREENED))
    if at < 2 * _SCREENED:
        return (before,)
    return before[:at], before[at - _SCREENED :]


def _near(before: str) -> str:
    """The end of the code before the cursor, behind what names mean that are said further above."""
    start = len(before) - _BEFORE
    if start <= 0:
        return before
    begins = [found.end() for found in _BEGINS.finditer(before, max(0, start - _FURTHER), start)]
    cut = begins[-1] if begins else before.find("\n", start) + 1 or start
    told = [line for line in _TOLD.findall(before, 0, min(cut, _HEAD)) if _ends(line)][-_MOST_TOLD:]
    return "".join(f"{line}\n" for line in told) + "\n" * bool(told) + before[cut:]


def _first_lines(after: str) -> str:
    """Whole lines, where there are any."""
    if len(after) <= _AFTER:
        return after
    return after[: after.rfind("\n", 0, _AFTER) + 1] or after[:_AFTER]


def _ends(line: str) -> bool:
    """Does what a line begins end in it?"""
    pairs = (("(", ")"), ("[", "]"), ("{", "}"))
    return not line.endswith("\\") and all(line.count(a) == line.count(b) for a, b in pairs)
