"""What regular expressions admit, and which of them explode."""

import pytest

from bluecode.defenses.checkers import python_regex

EXPLODING = (
    r"(a+)+$",
    r"^(\d+)*$",
    r"(\w+\s?)*$",
    r"^(([a-z])+.)+[A-Z]([a-z])+$",
    r"^(\w+[,;]?)+$",
    r"([a-z0-9]{2,4})+$",
    r"(?:x+x+)+y",
)
LINEAR = (
    r"^[\w.-]+@[\w.-]+\.\w+$",
    r"(?:[a-z0-9-]+\.)+[a-z]{2,}$",
    r'^(?:[^"\\]|\\.)*$',
    r"^\w+(?:\s+\w+)*$",
    r"(.|\n)*x",
    r"^\s*(\w+)\s*=",
    r"^-?\d+(\.\d+)?$",
    r"(foo|bar)*$",
    r"[",
)


@pytest.mark.parametrize("pattern", EXPLODING)
def test_overlapping_repetitions_explode(pattern: str) -> None:
    assert python_regex.explodes(pattern)


@pytest.mark.parametrize("pattern", LINEAR)
def test_unambiguous_repetitions_do_not(pattern: str) -> None:
    assert not python_regex.explodes(pattern)


@pytest.mark.parametrize(
    ("pattern", "characters", "through"),
    [
        (r"[\w.-]+", "/;", False),
        (r"[^/]+", "/", False),
        (r"[^/]+", ";", True),
        (r".*", "\n", False),
        (r"(?:a|b;)*", ";", True),
        (r"[", "x", True),
    ],
)
def test_a_match_lets_through_what_its_classes_hold(
    pattern: str, characters: str, through: bool
) -> None:
    assert python_regex.lets_through(pattern, characters) is through


@pytest.mark.parametrize(
    ("pattern", "call", "whole"),
    [
        (r"^a$", "search", True),
        (r"a$", "match", True),
        (r"a$", "search", False),
        (r"^a", "match", False),
        (r"a", "fullmatch", True),
        (r"^a|b$", "match", False),
        (r"a\$", "match", False),
    ],
)
def test_only_anchored_matches_cover_the_whole_text(pattern: str, call: str, whole: bool) -> None:
    assert python_regex.anchored(pattern, call) is whole
