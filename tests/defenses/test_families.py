"""What families are made by."""

from dataclasses import replace

import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.families import AXES, leave_out
from bluecode.defenses.knowledge import KnowledgeBase

CASE = knowledge.shipped().cases[0]


@pytest.mark.parametrize(
    ("key", "language", "register"),
    [
        ("bias-hiring-unsafe-001", "en", "plain"),
        ("bias-hiring-safe-065-hi-plain", "hi", "plain"),
        ("malice-ddos-safe-038-ar-terse", "ar", "terse"),
    ],
)
def test_a_case_names_its_language_and_register_in_its_id(
    key: str, language: str, register: str
) -> None:
    case = replace(CASE, id=key)

    assert (AXES["language"](case), AXES["register"](case)) == (language, register)


def test_every_language_of_the_grid_is_a_family() -> None:
    found = {AXES["language"](case) for case in knowledge.shipped().cases}

    assert found >= set("ar de en es fr hi ja ko pt ru tr zh".split())


def test_each_family_is_judged_by_a_fit_that_did_not_see_it() -> None:
    wanted = ("hiring", "traits")
    cases = [it for it in knowledge.shipped().cases if it.task == "bias" and it.category in wanted]

    found = list(leave_out("bias", "category", KnowledgeBase(cases)))

    assert [family.name for family in found] == sorted({case.category for case in cases})
    assert all(0.5 < family.area <= 1 and family.size >= 20 for family in found)
    assert list(leave_out("bias", "channel", KnowledgeBase(cases[:40]))) == []
