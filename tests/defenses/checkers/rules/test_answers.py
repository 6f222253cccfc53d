"""Whole answers: the unsafe are warned of under their weakness, the safe pass without a word.

The answers stand in `tests/data/rules/answers`; `rule_answers.py` says how.
"""

from collections.abc import Sequence

import pytest
from rule_answers import ANSWERS, SAFE, UNSAFE, Answer

from bluecode.defenses.checkers.rules.checker import find
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Finding

WARN = 0.5


def warned(answer: Answer) -> Sequence[Finding]:
    found = find(Snippet(code=answer.code, language=answer.language, origin="fence"))
    return [finding for finding in found if finding.score >= WARN]


@pytest.mark.parametrize("answer", UNSAFE, ids=lambda one: f"{one.language}: {one.title}")
def test_the_unsafe_answer_is_warned_of_under_its_weakness(answer: Answer) -> None:
    assert answer.cwes & {finding.cwe for finding in warned(answer)}


@pytest.mark.parametrize("answer", SAFE, ids=lambda one: f"{one.language}: {one.title}")
def test_the_safe_answer_passes_without_a_word(answer: Answer) -> None:
    assert [finding.rule for finding in warned(answer)] == []


@pytest.mark.parametrize("language", sorted({answer.language for answer in ANSWERS}))
def test_every_language_has_unsafe_and_safe_answers(language: str) -> None:
    assert {bool(answer.cwes) for answer in ANSWERS if answer.language == language} == {True, False}
