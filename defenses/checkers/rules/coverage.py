"""Which weakness is looked for in which language, as a table for the README.

`python -m bluecode.defenses.checkers.rules.coverage` prints it; a test compares.
"""

from collections.abc import Iterable, Mapping

from bluecode.defenses.checkers.c_dynamic import SHOWN
from bluecode.defenses.checkers.credentials import RULES as CREDENTIALS
from bluecode.defenses.checkers.dynamic import WEAKNESSES as PROVEN
from bluecode.defenses.checkers.javascript_dynamic import LABOUR, LEFT_OUT
from bluecode.defenses.checkers.proof import PROVABLE
from bluecode.defenses.checkers.python_rules import RULES as PYTHON
from bluecode.defenses.checkers.rules.languages import LANGUAGES
from bluecode.defenses.checkers.rules.weaknesses import WEAKNESSES

COLUMNS: Mapping[str, str] = {
    "python": "Python", "javascript": "JS, TS", "java": "Java", "go": "Go", "c": "C, C++",
    "php": "PHP", "ruby": "Ruby", "csharp": "C#", "rust": "Rust", "bash": "shell",
}  # fmt: skip


def covered(language: str) -> Mapping[int, str]:
    """For each CWE `static`, or `both` where running the code can prove it as well."""
    everywhere = {cwe: "static" for _, cwe in CREDENTIALS.values()}
    if language != "python":
        found = {WEAKNESSES[rule].cwe: "static" for rule in LANGUAGES[language]().weaknesses}
        if language == "javascript":
            kinds = (item for kind, item in PROVEN.items() if kind not in LEFT_OUT)
            shown = {*(item.cwe for item in kinds), *LABOUR}
            found |= {cwe: "both" for cwe in shown if cwe in found}
        if language == "c":
            found |= {cwe: "both" for cwe in SHOWN if cwe in found}
        return {**everywhere, **found}
    static = {rule.cwe: "static" for rule in PYTHON.values()}
    return {**everywhere, **static, **{cwe: "both" for cwe in PROVABLE if cwe in static}}


def titles() -> Mapping[int, str]:
    """A few words for each CWE."""
    found = {cwe: "Secret written into the code" for _, cwe in CREDENTIALS.values()}
    for weakness in WEAKNESSES.values():
        found.setdefault(weakness.cwe, weakness.title)
    for rule in PYTHON.values():
        found.setdefault(rule.cwe, rule.title)
    return found


def lines() -> Iterable[str]:
    """The table, line by line."""
    by_language = {language: covered(language) for language in COLUMNS}
    names = titles()
    yield "| CWE | " + " | ".join(["weakness", *COLUMNS.values()]) + " |"
    yield "|---" * (len(COLUMNS) + 2) + "|"
    for cwe in sorted(names):
        cells = [by_language[language].get(cwe, "") for language in COLUMNS]
        yield f"| {cwe} | " + " | ".join([names[cwe], *cells]) + " |"


def main() -> None:
    """Print the table."""
    print("\n".join(lines()))


if __name__ == "__main__":
    main()
