"""What families are made by."""

from dataclasses import replace

import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.families import AXES

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
