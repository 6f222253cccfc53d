"""The cases of the rules of all languages: `tests/data/rules`, a file a language.

`## rule`, then lines that begin with `-` (unsafe: the rule speaks), `+` (safe: nothing is said) and
`!` (looks safe and is not).
"""

from collections.abc import Iterator
from pathlib import Path

from bluecode.defenses.checkers.rules.languages import LANGUAGES

FOLDER = Path(__file__).parent / "data" / "rules"
SHARED = {"typescript": "javascript", "cpp": "c"}
"""Languages that have the cases of another."""


def cases(language: str) -> Iterator[tuple[str, str, str]]:
    """Rule, kind and code of each case."""
    rule = ""
    path = FOLDER / f"{SHARED.get(language, language)}.txt"
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("## "):
            rule = line[3:]
        elif line:
            yield rule, line[0], line[2:]


CASES = [(language, *case) for language in LANGUAGES for case in cases(language)]
