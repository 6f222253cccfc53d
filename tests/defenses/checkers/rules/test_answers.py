"""Whole answers in pairs: the unsafe one is warned of under its weakness, its twin passes.

The pairs stand in `tests/data/rules/answers`; `rule_answers.py` says how.
"""

from collections.abc import Sequence

import pytest
from rule_answers import ANSWERS, Answer

from bluecode.defenses.checkers.rules.checker import find
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Finding

WARN = 0.5


def warned(code: str, language: str) -> Sequence[Finding]:
    found = find(Snippet(code=code, language=language, origin="fence"))
    return [finding for finding in found if finding.score >= WARN]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: f"{one.language}: {one.title}")
def test_the_unsafe_answer_is_warned_of_under_its_weakness(answer: Answer) -> None:
    assert answer.cwes & {finding.cwe for finding in warned(answer.unsafe, answer.language)}


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda one: f"{one.language}: {one.title}")
def test_its_safe_twin_passes_without_a_word(answer: Answer) -> None:
    assert [finding.rule for finding in warned(answer.safe, answer.language)] == []


def test_every_language_has_answers() -> None:
    assert {answer.language for answer in ANSWERS} == {
        "c", "cpp", "csharp", "go", "java", "javascript", "php", "ruby", "rust"
    }  # fmt: skip
