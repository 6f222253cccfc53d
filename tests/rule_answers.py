"""Answers as an assistant writes them: `tests/data/rules/answers`, a file a language.

`=== 89 564 a few words` heads an unsafe answer that must be warned of under one of these CWEs,
`=== safe` the answer after it that does the same and must pass without a word. `=== fine a few
words` heads everyday code that stands alone and must pass as well.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "data" / "rules" / "answers"
_HEAD = re.compile(r"^=== (.*)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: unsafe where it has CWEs."""

    language: str
    title: str
    cwes: frozenset[int]
    code: str


def answers() -> Iterator[Answer]:
    """Every answer of every language, a safe twin under its unsafe one's title."""
    for path in sorted(FOLDER.glob("*.txt")):
        parts = _HEAD.split(path.read_text("utf-8"))[1:]
        title = ""
        for head, code in zip(parts[::2], parts[1::2], strict=True):
            words = head.lstrip("0123456789 ")
            cwes = frozenset(map(int, head.removesuffix(words).split()))
            if head != "safe":
                title = words
                assert cwes or head.startswith("fine "), f"{path.name}: `{head}` has no CWE"
            yield Answer(path.stem, title, cwes, code)


ANSWERS = tuple(answers())
UNSAFE = tuple(answer for answer in ANSWERS if answer.cwes)
SAFE = tuple(answer for answer in ANSWERS if not answer.cwes)
