"""Every rule of every language: what it must find, what it must leave alone, and what looks safe.

The cases stand in `tests/data/rules`; `rule_cases.py` says how.
"""

import pytest
from rule_cases import CASES, cases

from bluecode.defenses.checkers.rules.checker import find
from bluecode.defenses.checkers.rules.languages import LANGUAGES
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Finding

WARN = 0.5


def warned(language: str, code: str) -> list[Finding]:
    snippet = Snippet(code=code, language=language, origin="fence")
    return [finding for finding in find(snippet) if finding.score >= WARN]


@pytest.mark.parametrize(
    ("language", "rule", "code"),
    [(language, rule, code) for language, rule, kind, code in CASES if kind in "-!"],
)
def test_the_unsafe_is_found_also_where_it_looks_safe(language: str, rule: str, code: str) -> None:
    assert f"{language}.{rule}" in {finding.rule for finding in warned(language, code)}


@pytest.mark.parametrize(
    ("language", "code"), [(language, code) for language, _, kind, code in CASES if kind == "+"]
)
def test_the_safe_is_left_alone(language: str, code: str) -> None:
    assert [finding.rule for finding in warned(language, code)] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_has_an_unsafe_and_a_safe_case(language: str) -> None:
    kinds: dict[str, set[str]] = {}
    for rule, kind, _ in cases(language):
        kinds.setdefault(rule, set()).add(kind)

    assert set(kinds) == set(LANGUAGES[language]().weaknesses)
    assert all({"-", "+"} <= found for found in kinds.values())
