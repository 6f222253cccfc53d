"""Reading: stems, lines, and what counts as the opening of a sentence."""

import pytest

from bluecode.defenses.terms import read


@pytest.mark.parametrize(
    ("text", "stems"),
    [
        ("Deleting deletes deleted", ("delet", "delet", "delet")),
        ("stealCookies snake_case", ("steal", "cooky", "snak", "case")),
        ("Don't never can't", ("not", "not", "not")),
        ("contraseña", ("contrasena",)),
        ("勒索软件", ("勒", "索", "软", "件")),
        ("typing.List ends. Here", ("typ", "list", "end", ".", "here")),
    ],
)
def test_words_are_reduced_to_stems(text: str, stems: tuple[str, ...]) -> None:
    assert tuple(read(text).stems) == stems


def test_terms_know_their_line_and_where_sentences_open() -> None:
    terms = read("First line\nsecond one. Third")

    opening = [stem for stem, opens in zip(terms.stems, terms.opens, strict=True) if opens]
    assert opening == ["first", "second", "third"]
    assert terms.line(len(terms.stems) - 1) == 2


def test_an_empty_text_has_no_terms() -> None:
    assert not read("").stems
