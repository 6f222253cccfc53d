"""The table of languages and weaknesses in the README is what the registries say."""

from pathlib import Path

from bluecode.defenses.checkers.rules import coverage
from bluecode.defenses.checkers.rules.languages import LANGUAGES

README = Path(__file__).parents[4] / "defenses" / "README.md"


def test_the_table_in_the_readme_is_up_to_date() -> None:
    assert "\n".join(coverage.lines()) in README.read_text("utf-8")


def test_every_language_has_a_column() -> None:
    shared = {"typescript", "cpp"}  # in the columns of javascript and c

    assert set(LANGUAGES) - shared == set(coverage.COLUMNS) - {"python"}
    for language, other in (("typescript", "javascript"), ("cpp", "c")):
        assert LANGUAGES[language]().weaknesses == LANGUAGES[other]().weaknesses
