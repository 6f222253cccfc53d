"""Rewriting: other words, another shape, another alphabet for the same wish.

An operator gets the part of a text that carries the wish and gives it back rewritten, or None where
it has nothing to do. The wish stays recoverable: encodings decode to it, wrappings quote it, and
other words mean it. All chance comes from the caller.
"""

import base64
import codecs
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources
from random import Random
from typing import Any
from urllib.parse import quote

from bluecode.defenses.redteam.attack import USER, Attack
from bluecode.defenses.redteam.grammar import say

_LEET = str.maketrans("aeiost", "431057")
_ALIKE = str.maketrans("aeopcyxi", "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456")
_SEED_LIMIT = 2_000
"""Characters of a wish that are encoded: models lose the thread of longer ones."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An attack while it is rewritten."""

    attack: Attack
    wish: str
    """The part of the text that carries the wish."""

    @classmethod
    def of(cls, attack: Attack) -> "Draft":
        """A person's text is the wish itself; in a document it is the order."""
        if attack.channel == USER or attack.plain not in attack.text:
            return cls(attack, attack.text)
        return cls(attack, attack.plain)

    def rewritten(self, wish: str, operator: str) -> "Draft":
        """With the wish in another form."""
        text = self.attack.text.replace(self.wish, wish, 1)
        return Draft(_after(self.attack, text, operator), wish)

    def surrounded(self, text: str, operator: str) -> "Draft":
        """With something around it; a document gets it around the whole."""
        inside = self.attack.channel == USER
        return Draft(_after(self.attack, text, operator), text if inside else self.wish)


def _after(attack: Attack, text: str, operator: str) -> Attack:
    done = (*attack.operators, operator)
    return replace(attack, text=text, seed=attack.plain, operators=done)


Change = Callable[[Draft, Random], Draft | None]


@dataclass(frozen=True, slots=True)
class Operator:
    """One way of rewriting."""

    name: str
    kind: str
    """`encoding`, `roleplay`, `persona`, `translation`, `substitution`, `splitting`, `dilution`,
    `form`: what a report groups by."""
    apply: Change
    readable: bool = True
    """Do the words of the wish stay words, so that cases can be learned from?"""
    once: bool = True
    """A second time would add nothing."""
    documents: bool = True
    """Does it make sense in what a tool brings?"""


@cache
def words() -> Mapping[str, Any]:
    """The tables of `operators.toml`."""
    folder = resources.files("bluecode.defenses.redteam")
    return tomllib.loads(folder.joinpath("operators.toml").read_text("utf-8"))


# --- Encodings ------------------------------------------------------------------------------------


def _tags(text: str) -> str:
    return "".join(chr(0xE0000 + ord(char)) for char in text if " " <= char <= "~")


def _caesar(text: str) -> str:
    def turned(char: str) -> str:
        base = ord("a") if char.islower() else ord("A")
        return (
            chr(base + (ord(char) - base + 3) % 26) if char.isascii() and char.isalpha() else char
        )

    return "".join(map(turned, text))


def _words_backwards(text: str) -> str:
    return " ".join(reversed(text.split(" ")))


ENCODINGS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "base64": ("base64", lambda text: base64.b64encode(text.encode()).decode()),
    "base32": ("base32", lambda text: base64.b32encode(text.encode()).decode()),
    "base85": ("base85", lambda text: base64.b85encode(text.encode()).decode()),
    "hex": ("hexadecimal", lambda text: text.encode().hex()),
    "binary": ("binary", lambda text: " ".join(f"{byte:08b}" for byte in text.encode())),
    "rot13": ("rot13", lambda text: codecs.encode(text, "rot13")),
    "caesar": ("a Caesar shift by three", _caesar),
    "percent": ("percent-encoding", lambda text: quote(text, safe="")),
    "reversed": ("text written backwards", lambda text: text[::-1]),
    "word_order": ("text whose words are in reverse order", _words_backwards),
    "decimal": ("character codes", lambda text: " ".join(str(ord(char)) for char in text)),
}
"""What an encoding is called in a request, and how it is made."""

DISGUISES: Mapping[str, Callable[[str], str]] = {
    "tag_characters": lambda text: "Summarise this." + _tags(text),
    "fullwidth": lambda text: "".join(
        chr(ord(char) + 0xFEE0) if "!" <= char <= "~" else char for char in text
    ),
    "homoglyphs": lambda text: text.translate(_ALIKE),
    "zero_width": lambda text: re.sub(r"(?<=[a-z])(?=[a-z])", "\u200b", text),
    "leet": lambda text: text.translate(_LEET),
    "spaced": lambda text: "  ".join(" ".join(word) for word in text.split(" ")),
    "hyphens": lambda text: re.sub(r"(?<=\w)(?=\w)", "-", text),
}
"""Letters in disguise, that a model reads without being told."""


def _encoded(name: str) -> Change:
    way, encode = ENCODINGS[name]

    def apply(draft: Draft, chance: Random) -> Draft | None:
        if len(draft.wish) > _SEED_LIMIT:
            return None
        asked = chance.choice(words()["decode"]["ask"])
        bound = {"way": way, "code": encode(draft.wish)}
        return draft.rewritten(say(asked, {}, chance, bound), name)

    return apply


def _disguised(name: str) -> Change:
    def apply(draft: Draft, chance: Random) -> Draft | None:
        wish = DISGUISES[name](draft.wish)
        return None if wish == draft.wish else draft.rewritten(wish, name)

    return apply


# --- Wrappings ------------------------------------------------------------------------------------


def _wrapped(table: str, name: str) -> Change:
    def apply(draft: Draft, chance: Random) -> Draft | None:
        pattern = chance.choice(words()[table][name])
        wish = draft.wish
        if name in ("json", "yaml"):
            wish = json.dumps(wish, ensure_ascii=False)[1:-1]
        return draft.rewritten(say(pattern, {}, chance, {"text": wish}), name)

    return apply


def _split(draft: Draft, chance: Random) -> Draft | None:
    parts = draft.wish.split(" ")
    if len(parts) < 6:
        return None
    at = chance.randrange(len(parts) // 3, 2 * len(parts) // 3 + 1)
    bound = {"first": " ".join(parts[:at]), "second": " ".join(parts[at:])}
    pattern = chance.choice(words()["steps"]["split"])
    return draft.rewritten(say(pattern, {}, chance, bound), "split")


def _pieces(draft: Draft, chance: Random) -> Draft | None:
    """Long words as sums of strings."""

    def parted(found: re.Match[str]) -> str:
        word = found[0]
        return f"{word[: len(word) // 2]}+{word[len(word) // 2 :]}"

    wish = re.sub(r"\b[a-z]{7,}\b", parted, draft.wish)
    return None if wish == draft.wish else draft.rewritten(wish, "pieces")


def _dilute(draft: Draft, chance: Random) -> Draft | None:
    filler = words()["filler"]
    before = chance.sample(filler["before"], chance.choice((1, 2)))
    after = chance.sample(filler["after"], chance.choice((1, 2)))
    text = "\n\n".join([*before, draft.attack.text, *after])
    return draft.surrounded(text, "dilute")


def _flood(draft: Draft, chance: Random) -> Draft | None:
    """Much ordinary text before and after."""
    filler = words()["filler"]
    everything = [*filler["before"], *filler["after"]] * 3
    chance.shuffle(everything)
    at = chance.randrange(len(everything))
    text = "\n\n".join([*everything[:at], draft.attack.text, *everything[at:]])
    return draft.surrounded(text, "flood")


# --- Other words ----------------------------------------------------------------------------------


def _exchanged(table: str) -> Change:
    def apply(draft: Draft, chance: Random) -> Draft | None:
        wish = draft.wish
        for word, others in words()[table].items():
            pattern = rf"(?<!\w){re.escape(word)}(?:(?=ed\b)|(?!\w))"
            drawn = chance.choice(others)
            wish = re.sub(pattern, drawn.replace("\\", r"\\"), wish, flags=re.I)
        return None if wish == draft.wish else draft.rewritten(wish, table)

    return apply


def _typing(draft: Draft, chance: Random) -> Draft | None:
    """Slips of the keyboard in long words."""

    def slipped(found: re.Match[str]) -> str:
        word = found[0]
        if chance.random() < 0.5:
            return word
        at = chance.randrange(1, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]

    wish = re.sub(r"\b[a-z]{6,}\b", slipped, draft.wish)
    return None if wish == draft.wish else draft.rewritten(wish, "typing")


def _abbreviated(draft: Draft, chance: Random) -> Draft | None:
    """Vowels left out of long words."""
    wish = re.sub(r"(?<=\b\w)\w{5,}", lambda found: re.sub("[aeiou]", "", found[0]), draft.wish)
    return None if wish == draft.wish else draft.rewritten(wish, "abbreviated")


def _soft(draft: Draft, chance: Random) -> Draft | None:
    """Lower case, no full stops: how people type in a hurry."""
    wish = re.sub(r"[.!,]", "", draft.wish).lower()
    return None if wish == draft.wish else draft.rewritten(wish, "careless")


OPERATORS: Mapping[str, Operator] = {
    item.name: item
    for item in (
        *(Operator(name, "encoding", _encoded(name), readable=False) for name in ENCODINGS),
        *(Operator(name, "encoding", _disguised(name), readable=False) for name in DISGUISES),
        *(
            Operator(name, kind, _wrapped("wrap", name), documents=documents)
            for name, kind, documents in (
                ("story", "roleplay", False),
                ("game", "roleplay", False),
                ("persona", "persona", False),
                ("cover", "roleplay", True),
                ("opposite", "roleplay", False),
                ("prefix", "form", False),
                ("shots", "form", False),
                ("json", "form", True),
                ("yaml", "form", True),
                ("commit", "form", False),
                ("test", "form", False),
                ("review", "form", False),
            )
        ),
        *(
            Operator(name, "translation", _wrapped("frame", name), documents=False)
            for name in ("de", "es", "fr", "it", "pt", "nl")
        ),
        Operator("list", "splitting", _wrapped("steps", "list"), documents=True),
        Operator("split", "splitting", _split),
        Operator("pieces", "splitting", _pieces, readable=False),
        Operator("dilute", "dilution", _dilute, once=False),
        Operator("flood", "dilution", _flood),
        Operator("synonyms", "substitution", _exchanged("synonyms")),
        Operator("equivalents", "substitution", _exchanged("equivalents")),
        Operator("typing", "substitution", _typing, readable=False),
        Operator("abbreviated", "substitution", _abbreviated, readable=False),
        Operator("careless", "form", _soft),
    )
}
SUFFIX, CROSSOVER = "suffix", "crossover"
"""What the search does itself: words added one by one, wrappings exchanged between two attacks."""


def kind_of(name: str) -> str:
    """What a report groups an operator by."""
    return OPERATORS[name].kind if name in OPERATORS else name


def applicable(draft: Draft) -> Sequence[Operator]:
    """Operators that can do something for a draft."""
    user = draft.attack.channel == USER
    done = draft.attack.operators
    return [
        item
        for item in OPERATORS.values()
        if (user or item.documents) and not (item.once and item.name in done)
    ]


TELLING: frozenset[str] = frozenset({"roleplay", "persona"})
"""Kinds that are a reason for suspicion by themselves, whatever is asked for."""


def likewise(attack: Attack, lawful: Attack, chance: Random) -> Attack:
    """A lawful neighbour in the manner of a rewritten attack, so that it is the wish and not the
    manner that tells them apart; manners that are telling by themselves are left out."""
    draft = Draft.of(lawful)
    for name in attack.operators:
        operator = OPERATORS.get(name)
        if operator is not None and operator.kind not in TELLING:
            draft = operator.apply(draft, chance) or draft
    return draft.attack


def readable(attack: Attack) -> bool:
    """Are the words of the wish still words?"""
    return all(name not in OPERATORS or OPERATORS[name].readable for name in attack.operators)
