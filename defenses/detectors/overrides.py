"""Orders that set earlier instructions aside, in so many words.

The one kind of injection that is known by its wording wherever it stands, in the languages that
BlueCode is made for. A text that quotes such an order speaks about it and does not give it.
"""

import re
from collections.abc import Iterator

_LONGEST = 120_000
_START = r"(?:^|[.!?:;>*\-\u3002\uff01]\s*|\b(?:please|now|first|and|then|but|must|should|to)\s+)"
_ENGLISH = (
    r"(?:ignore|disregard|forget|override|bypass|discard)\s+"
    r"(?:(?:all|any|everything|every|each|of|the|your|these|those|my|our)\s+){0,4}"
    r"(?:previous|prior|above|earlier|preceding|foregoing|original|initial|existing|system)\s+"
    r"(?:\w+\s+){0,2}(?:instruction|prompt|rule|direction|guideline|order|command|directive)s?\b"
)
_ENGLISH_AFTER = (
    r"(?:ignore|disregard|forget|override|bypass|discard)\s+(?:(?:all|any|every|each|of|the|your)\s+){0,4}"
    r"(?:instruction|prompt|rule|direction|guideline|order|command|directive)s?\s+"
    r"(?:(?:given|written|stated)\s+)?(?:above|before|so\s+far|earlier|up\s+to\s+(?:here|now))\b"
)
_OTHERS = (
    r"ignorier\w*\s+(?:\w+\s+){0,2}(?:vorherig|bisherig|obig|vorangegangen|fr\u00fcher)\w*\s+"
    r"(?:\w+\s+)?(?:anweisung|anordnung|regel|befehl|instruktion)\w*",
    r"(?:ignora|ignore|olvida|descarta|esque\u00e7a|desconsidere|dimentica)\w*\s+(?:\w+\s+){0,3}"
    r"(?:instruc|instru\u00e7|istruzion|reglas|regras|regole|\u00f3rdenes|ordens|indicaciones)\w*\s+"
    r"(?:anterior|previa|pr\u00e9via|precedent|de arriba|acima)\w*",
    r"(?:ignore[zr]?|oublie[zr]?)\s+(?:\w+\s+){0,3}(?:instructions|consignes|r\u00e8gles|ordres)\s+"
    r"(?:pr\u00e9c\u00e9dent|ant\u00e9rieur|ci-dessus)\w*",
    r"(?:\u0438\u0433\u043d\u043e\u0440\u0438\u0440\u0443\u0439|\u0437\u0430\u0431\u0443\u0434\u044c)\w*\s+(?:\w+\s+){0,2}"
    r"(?:\u043f\u0440\u0435\u0434\u044b\u0434\u0443\u0449|\u043f\u0440\u0435\u0436\u043d)\w*\s+"
    r"(?:\u0438\u043d\u0441\u0442\u0440\u0443\u043a\u0446\u0438|\u0443\u043a\u0430\u0437\u0430\u043d\u0438|\u043f\u0440\u0430\u0432\u0438\u043b|\u043a\u043e\u043c\u0430\u043d\u0434)\w*",
    r"\u5ffd\u7565(?:\u4e4b\u524d|\u4ee5\u4e0a|\u5148\u524d|\u6b64\u524d|\u524d\u9762|\u4e0a\u8ff0)\S{0,4}(?:\u6307\u4ee4|\u6307\u793a|\u8bf4\u660e|\u89c4\u5219|\u63d0\u793a)",
    r"(?:\u4ee5\u524d|\u3053\u308c\u307e\u3067|\u4e0a\u8a18|\u524d)\u306e\S{0,6}(?:\u6307\u793a|\u547d\u4ee4|\u6307\u4ee4|\u30eb\u30fc\u30eb)\u3092?\S{0,4}(?:\u7121\u8996|\u5fd8\u308c)",
    r"\uc774\uc804\S{0,2}\s*(?:\ubaa8\ub4e0\s*)?(?:\uc9c0\uc2dc|\uba85\ub839|\uaddc\uce59)\S{0,4}\s*(?:\ubaa8\ub450\s*)?\ubb34\uc2dc",
)
_ORDER = re.compile(
    f"(?P<english>{_START}(?:{_ENGLISH}|{_ENGLISH_AFTER}))|" + "|".join(_OTHERS),
    re.IGNORECASE | re.MULTILINE,
)
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb\u201e\u300c\u300e"


_WORDS = (
    "ignor disregard forget overrid bypass discard olvid descart esque desconsid dimentic oubli"
    " \u0438\u0433\u043d\u043e\u0440 \u0437\u0430\u0431\u0443\u0434\u044c"
    " \u5ffd\u7565 \u7121\u8996 \u5fd8\u308c \ubb34\uc2dc"
).split()
"""What every such order holds one of."""
_BEFORE, _AFTER = 60, 240
"""Characters around such a word that an order takes at most."""
_OWN = re.compile(r"\b(?:my|our)\s", re.IGNORECASE)


def line_of(text: str, *, said: bool = False) -> int | None:
    """The line, from 1, of the first such order that nobody quotes; None where there is none.

    A person who `said` it may well set aside what they told the model themselves."""
    text = text[:_LONGEST]
    for first, last in _stretches(text):
        for found in _ORDER.finditer(text, first, last):
            if not _quoted(text, found) and not (said and _OWN.search(found.group())):
                return text.count("\n", 0, found.end()) + 1
    return None


def _stretches(text: str) -> Iterator[tuple[int, int]]:
    """Where such an order may stand: around its words. To look for these is far quicker."""
    plain = text.lower()
    words = [word for word in _WORDS if word in plain]
    if len(plain) != len(text) and words:  # a few letters grow, and places are no longer the same
        yield 0, len(text)
        return
    first = last = 0
    for place in sorted(found.start() for word in words for found in re.finditer(word, plain)):
        if place - _BEFORE > last:
            if last:
                yield first, last
            first = place - _BEFORE
        last = place + _AFTER
    if words:
        yield first, last


def _quoted(text: str, found: re.Match[str]) -> bool:
    """Does a mark of quotation stand open before it on its line, or right at its beginning?"""
    begin = text.rfind("\n", 0, found.end()) + 1
    before = text[begin : found.start() + 3]
    return any(mark in before for mark in _QUOTES)
