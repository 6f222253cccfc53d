"""Answers as an assistant writes them, in pairs: `tests/data/rules/answers`, a file a language.

`=== 89 564 a few words` heads an unsafe answer that must be warned of under one of these CWEs,
`=== safe` the answer after it that does the same and must pass without a word.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "rules" / "answers"
_HEAD = re.compile(r"^=== (.*)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One unsafe answer with its safe twin."""

    language: str
    title: str
    cwes: frozenset[int]
    unsafe: str
    safe: str


def answers() -> Iterator[Answer]:
    """Every pair of every language."""
    for path in sorted(FOLDER.glob("*.txt")):
        parts = _HEAD.split(path.read_text("utf-8"))[1:]
        for at in range(0, len(parts), 4):
            head, unsafe, safe_head, safe = parts[at : at + 4]
            title = head.lstrip("0123456789 ")
            cwes = frozenset(map(int, head.removesuffix(title).split()))
            assert cwes and safe_head == "safe", f"{path.name}: `{head}` has no CWE or no twin"
            yield Answer(path.stem, title, cwes, unsafe, safe)


ANSWERS = tuple(answers())
