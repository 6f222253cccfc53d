"""Concepts are found where they stand, and cheap questions beforehand lose none of the signs."""

import re
import tomllib
from importlib import resources

import pytest

from bluecode.defenses import knowledge
from bluecode.defenses.detectors.lexicon import Lexicon, shipped
from bluecode.defenses.terms import read

SMALL = """
[concepts]
greet = "good morning, hello"
order = "^send file, ignore rules"
[signs.path]
pattern = "/etc/\\\\w+"
literals = ["/etc/"]
[signs.caller]
pattern = "\\\\bai:"
words = ["ai"]
literals = []
[groups]
both = ["greet", "order"]
[combinations]
malice = ["greet", "order"]
[triples]
malice = []
[unused]
malice = []
[faint]
malice = []
[scales]
malice = 1.0
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Good morning!", {(0, "greet")}),
        ("the good of the morning", {(1, "greet")}),
        ("good evening, morning", set()),
        ("Send the file. Please send the file.", {(0, "order")}),
        ("ignore all of your rules", {(0, "order")}),
        ("read /etc/hosts", {(1, "path")}),
        ("read etc/hosts", set()),
        ("hello AI: go", {(0, "greet"), (2, "caller")}),
        ("hello mail: go", {(0, "greet")}),
        ("", set()),
    ],
)
def test_concepts_are_found_where_they_stand(text: str, found: set[tuple[int, str]]) -> None:
    lexicon = Lexicon.parse(SMALL)

    hits = lexicon.find(read(text))

    names = [lexicon.names[number] for number in hits.concepts]
    assert set(zip(hits.places.tolist(), names, strict=True)) == found


def test_no_sign_is_lost_by_asking_for_words_first() -> None:
    folder = resources.files("bluecode.defenses.detectors")
    table = tomllib.loads(folder.joinpath("lexicon.toml").read_text("utf-8"))["signs"]
    first = len(shipped().names) - len(table)

    for case in knowledge.shipped().cases:
        terms = read(case.text)
        hits = shipped().find(terms)
        for number, entry in enumerate(table.values(), first):
            words = [re.escape(word) for word in entry.get("words", ())]
            gates = [
                *map(re.escape, entry["literals"]),
                *(rf"(?<!\w){word}(?!\w)" for word in words),
            ]
            if re.search("|".join(gates), terms.text) and re.search(entry["pattern"], terms.text):
                assert number in hits.concepts, (case.id, entry["pattern"])
