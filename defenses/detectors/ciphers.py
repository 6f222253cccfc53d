"""Text in a cipher that a model reads: shifted letters, reversed text, digits for letters, spelled
out letters, numbers for letters, base32 and base85.

What counts is whether the outcome reads as language, by the words of the knowledge base: ordinary
code, hashes and numbers decode to nothing. Work is bounded: a few stretches of a text are tried, of
each a few thousand characters. Not promised: ciphers with a key, and languages whose words the
knowledge base does not have.
"""

import base64
import re
import string
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import NamedTuple

import numpy as np

from bluecode.defenses import knowledge

_WORD = re.compile(r"[a-z]+")
_FEWEST, _SHARE = 4, 0.6
"""Words that a text has at least, and the share of known ones, where it reads as language."""
_STRANGE = 0.34
"""Share of known words below which a stretch is tried for a cipher."""
_MOST, _LONGEST = 8, 4_000
"""Stretches that are tried, and characters of each."""
_SOME = 64
"""Stretches that are looked at closely."""


@cache
def _vocabulary() -> frozenset[str]:
    """Words that stand in several cases of the knowledge base."""
    counted: Counter[str] = Counter()
    for case in knowledge.shipped().cases:
        counted.update(set(_WORD.findall(case.text.lower())))
    often = {word for word, times in counted.items() if times > 2 and len(word) > 2}
    return frozenset(often | _SHORT)


_SHORT = frozenset(
    "a i am an and as at be by do go he if in is it me my no of on or so to up us we the you"
    " de la le el en un es du et il ne se te da em no um os as zu im am".split()
)


def _known(text: str) -> tuple[int, float]:
    """How many words a text has, and the share of its letters that is in known words."""
    words = _WORD.findall(text.lower())
    letters = sum(map(len, words))
    known = _vocabulary()
    return len(words), sum(len(word) for word in words if word in known) / max(letters, 1)


def reads(text: str) -> bool:
    """Is this, for the greater part, words of a language?"""
    words, share = _known(text)
    return words >= _FEWEST and share >= _SHARE and 3 * words < len(text) < 12 * words


def uncovered(text: str, marks: bytes) -> Iterator[tuple[str, str]]:
    """Each cipher that was met, and what it hides. `marks` is the ASCII of the text."""
    for cipher in _CIPHERS:
        if cipher.suspected(marks):
            found = zip(cipher.pattern.finditer(text), range(_MOST), strict=False)
            for piece in (cipher.decode(match.group()[:_LONGEST]) for match, _ in found):
                if piece and reads(piece):
                    yield cipher.name, piece
    for stretch, _ in zip(_strange(text), range(_MOST), strict=False):
        for name, piece in _turned(stretch):
            yield name, piece


_UNIT = re.compile(r"[^\n.!?;:\"`|=(){}<>]{16,}")
_EVERYDAY = frozenset(
    "the to of and in is for with this that if de la que und der die le les del et es da".split()
)


def _strange(text: str) -> Iterator[str]:
    """Stretches of words of which hardly one is known; neighbours are taken together."""
    begin = end = looked = 0
    for unit in _UNIT.finditer(text.lower()[: len(text)]):
        words = unit.group().split()
        if len(words) < _FEWEST or not _EVERYDAY.isdisjoint(words) or looked >= _SOME:
            continue
        looked += 1
        if not _is_strange(unit.group()):
            continue
        if end and unit.start() - end < 8:
            end = unit.end()
            continue
        if end:
            yield text[begin:end][:_LONGEST]
        begin, end = unit.start(), unit.end()
    if end:
        yield text[begin : end + 1][:_LONGEST]


def _is_strange(unit: str) -> bool:
    """Are these letters and blanks for the most part, in words that are not known?"""
    words = _WORD.findall(unit[:400])
    letters = sum(map(len, words))
    if len(words) < _FEWEST or letters * 4 < 3 * len(unit[:400]):
        return False
    known = _vocabulary()
    return sum(len(word) for word in words if word in known) < _STRANGE * letters


def _turned(text: str) -> Iterator[tuple[str, str]]:
    """A stretch read backwards, each word backwards, and with its letters shifted back."""
    if reads(each := re.sub(r"\w+", lambda word: word.group()[::-1], text)):
        # The words are the same from the other end; which order was meant is told by sense alone.
        yield "reversed", each
        yield "reversed", text[::-1]
    elif reads(mirrored := text.translate(_MIRROR)):
        yield "shifted", mirrored
    else:
        for step in _likely_steps(text):
            if reads(shifted := text.translate(_SHIFTS[step])):
                yield "rot13" if step == 13 else "shifted", shifted
                return


_LETTERS = string.ascii_lowercase
_MIRROR = str.maketrans(_LETTERS + _LETTERS.upper(), _LETTERS[::-1] + _LETTERS[::-1].upper())
_SHIFTS = [
    str.maketrans(
        _LETTERS + _LETTERS.upper(),
        (_LETTERS[step:] + _LETTERS[:step]) + (_LETTERS[step:] + _LETTERS[:step]).upper(),
    )
    for step in range(26)
]
_USUAL = np.array(
    [8.2, 1.5, 2.8, 4.3, 12.7, 2.2, 2.0, 6.1, 7.0, 0.2, 0.8, 4.0, 2.4, 6.7, 7.5, 1.9, 0.1, 6.0, 6.3]
    + [9.1, 2.8, 1.0, 2.4, 0.2, 2.0, 0.1]
)
"""How often each letter stands in a hundred of English."""


def _likely_steps(text: str) -> list[int]:
    """The five shifts after which letters are about as frequent as in language."""
    small = text.lower()
    counts = np.array([small.count(letter) for letter in _LETTERS], dtype=np.float64)
    fits = [float(np.roll(counts, step) @ np.log(_USUAL)) for step in range(26)]
    return sorted(range(1, 26), key=lambda step: -fits[step])[:5]


_LEET = {"4": "a", "@": "a", "3": "e", "0": "o", "5": "s", "$": "s", "7": "t", "8": "b", "9": "g"}
_DIGITS = {**{key: (value,) for key, value in _LEET.items()}, "1": ("i", "l"), "!": ("i", "l")}
_MIXED = re.compile(
    r"(?<![\w$@])(?=[\w$@!]*[a-zA-Z])(?=[\w$@!]*[0-9$@!])[a-zA-Z0-9$@!]{2,20}(?!\w)"
)


_ALONE = re.compile(r"(?<!\S)[0134578]{1,3}(?!\S)")


def _leet(text: str) -> str:
    """The text with letters for the digits in its words, where that makes known words of most."""
    tried: dict[str, str] = {}
    for word in _MIXED.findall(text):
        tried.setdefault(word, _spelled(word.rstrip("!")))
    changed = {word: plain for word, plain in tried.items() if plain}
    if len(changed) < 3 or len(changed) * 2 < len(tried):
        return ""
    plain = _MIXED.sub(lambda word: changed.get(word.group(), word.group()), text)
    return _ALONE.sub(lambda word: _spelled(word.group()) or word.group(), plain)


def _spelled(word: str) -> str:
    """A known word that a word with digits stands for; "" where there is none."""
    choices = [_DIGITS.get(char, (char,)) for char in word.lower()]
    known = _vocabulary()
    for letters in product(*choices):
        plain = "".join(letters)
        if plain in known or (plain.endswith("s") and plain[:-1] in known):
            return plain
        if len(letters) > 16:
            break
    return ""


def _spaced(blob: str) -> str:
    """Letters that are set apart; a wider gap, or a blank among dots, parts two words."""
    marked = len(re.findall(r"\w[.\-_*]\w", blob)) > len(re.findall(r"\w\s+\w", blob))
    gap = re.compile(r"\s+" if marked else r"\s{2,}|\s*[|/]\s*")
    words = [re.sub(r"[\s.\-_*]+(?=\w)", "", word) for word in gap.split(blob)]
    if len(words) * 14 > len(blob):
        return " ".join(words)
    return " ".join(_parted("".join(words).lower()))


def _parted(letters: str) -> list[str]:
    """Words that letters without gaps most likely spell: the fewest and longest known ones."""
    known = _vocabulary()
    best: list[tuple[int, int]] = [(0, 0)]
    for end in range(1, min(len(letters), _MOST_LETTERS) + 1):
        choices = [(best[end - 1][0] - 4, end - 1)]
        for begin in range(max(0, end - 14), end):
            if letters[begin:end] in known:
                choices.append((best[begin][0] + (end - begin) ** 2, begin))
        best.append(max(choices))
    words: list[str] = []
    end = len(best) - 1
    while end:
        words.append(letters[best[end][1] : end])
        end = best[end][1]
    return words[::-1]


_MOST_LETTERS = 600


def _bytes(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _from_octal(blob: str) -> str:
    codes = re.findall(r"\\([0-3]?[0-7]{2})", blob)
    return _bytes(bytes(int(code, 8) for code in codes))


def _from_decimal(blob: str) -> str:
    codes = [int(code) for code in re.findall(r"\d+", blob)]
    return _bytes(bytes(codes)) if all(code in _PRINTED for code in codes) else ""


_PRINTED = frozenset((9, 10, 13, *range(32, 256)))


def _from_hex(blob: str) -> str:
    return _bytes(bytes(int(code, 16) for code in re.findall(r"0x([0-9a-fA-F]{2})", blob)))


def _from_binary(blob: str) -> str:
    return _bytes(bytes(int(code, 2) for code in re.findall("[01]{8}", blob)))


def _from_base32(blob: str) -> str:
    bare = blob.rstrip("=")
    return _decoded(base64.b32decode, bare + "=" * (-len(bare) % 8))


def _from_base85(blob: str) -> str:
    """In either of the two usual alphabets, if a first piece of it makes sense in one."""
    bare = blob.removeprefix("<~").removesuffix("~>")
    for decode in (base64.b85decode, base64.a85decode):
        first = _decoded(decode, bare[:30])
        if first.isprintable() and first.count(" ") >= 2:
            return _decoded(decode, bare)
    return ""


def _decoded(decode: Callable[[str], bytes], blob: str) -> str:
    try:
        return _bytes(decode(blob))
    except ValueError:  # Not in this alphabet: it is no such code.
        return ""


_MORSE = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...-"
        " .-- -..- -.-- --.. ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.".split(),
        _LETTERS + string.digits,
        strict=True,
    )
)


def _from_morse(blob: str) -> str:
    words = re.split(r"\s*[/|]\s*|\s{2,}", blob.strip())
    return " ".join("".join(_MORSE.get(code, "") for code in word.split()) for word in words)


class _Cipher(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    decode: Callable[[str], str]
    suspected: Callable[[bytes], bool]
    """Can the pattern be in this text? Asked of its ASCII, in a fraction of the pattern's time."""


def _runs(members: str, least: int, dropped: bytes = b"") -> Callable[[bytes], bool]:
    """Is there a run of so many of these characters, those that are dropped left aside?"""
    table = bytes(97 if chr(code) in members else 32 for code in range(256))
    wanted = b"a" * least
    return lambda marks: wanted in marks.translate(table, dropped)


_APART = bytes(
    98 if chr(code) in string.ascii_letters + string.digits else 99 if chr(code) in " .-_*" else 32
    for code in range(256)
)
_WITHIN = bytes(
    97 if chr(code) in string.ascii_letters else 98 if chr(code) in "0134578@$" else 32
    for code in range(256)
)


def _apart(marks: bytes) -> bool:
    return b"bc" * 4 in marks.translate(_APART)


_CIPHERS = (
    _Cipher(
        "octal",
        re.compile(r"(?:\\[0-3]?[0-7]{2}){8,2000}"),
        _from_octal,
        lambda marks: marks.count(b"\\0") + marks.count(b"\\1") >= 8,
    ),
    _Cipher(
        "spaced",
        re.compile(
            r"(?<![\w.])\w(?:(?:[ \t]{1,4}|[.\-_*]|[.\-_*]?[ \t]{1,3})[\w.,!?'](?!\w)){12,800}"
        ),
        _spaced,
        _apart,
    ),
    _Cipher(
        "leetspeak",
        re.compile(r"[^\n]{12,2000}"),
        _leet,
        lambda marks: marks.translate(_WITHIN).count(b"aba") >= 3,
    ),
    _Cipher(
        "decimal",
        re.compile(r"(?<![\w.,-])(?:\d{2,3}[ ,;]{1,2}){11,1000}\d{2,3}(?![\w.])"),
        _from_decimal,
        _runs(string.digits, 24, b" ,;"),
    ),
    _Cipher(
        "hex",
        re.compile(r"(?:0x[0-9a-fA-F]{2}[ ,;]{1,2}){11,1000}"),
        _from_hex,
        lambda marks: marks.count(b"0x") >= 12,
    ),
    _Cipher(
        "binary",
        re.compile(r"(?<!\w)(?:[01]{8}[ ,]?){12,600}(?!\w)"),
        _from_binary,
        _runs("01", 96, b" ,"),
    ),
    _Cipher(
        "base32",
        re.compile(r"(?<![\w=])[A-Z2-7]{24,8000}={0,6}(?![\w=])"),
        _from_base32,
        _runs(string.ascii_uppercase + "234567", 24),
    ),
    _Cipher(
        "base85",
        re.compile(r"(?<!\S)[!-~]{24,4000}(?!\S)"),
        _from_base85,
        _runs("".join(map(chr, range(33, 127))), 40),
    ),
    _Cipher(
        "morse",
        re.compile(r"(?<![\w.-])(?:[.-]{1,5}[ /|]{1,3}){12,2000}[.-]{1,5}(?![\w.-])"),
        _from_morse,
        lambda marks: marks.count(b".- ") + marks.count(b"-. ") >= 4,
    ),
)
