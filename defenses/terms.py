"""Text as the screens read it: word stems, hashed, with the line each stands in.

Alphabetic words are lower-cased and stripped of accents and of common English endings; Chinese,
Japanese and Korean are read character by character. Punctuation that ends a sentence stays, as a
mark of its own. Reading is linear, and costs about 0.1 ms for 2,000 characters.
"""

import re
import struct
import unicodedata
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

_SINGLE = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
"""Chinese, Japanese and Korean: read by the character."""
_MARKED = "\u0900-\u0963\u0966-\u097f"
"""Devanagari: letters with the vowel signs that belong to them."""
_WORD = re.compile(
    rf"[{_SINGLE}]|[{_MARKED}]+"
    rf"|[^\W_{_SINGLE}{_MARKED}]+(?:['\u2019][a-z]{{1,2}}\b)?"
    r"|[.!?;:](?=\s|$)|[|\n\u3002\uff01\uff1f\u061f\u0964]"
)
_PLAIN_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]{1,2}\b)?|[.!?;:](?=\s|$)|[|\n]")
"""The same for lower-case ASCII, in half the time."""
_HUMP = re.compile(r"[A-Z](?<=[a-z][A-Z])(?=[a-z])")
_ACCENTS = re.compile(r"[\u0300-\u036f]")
BOUNDARY = frozenset(".!?;|\n。！？\u061f\u0964")
_SAME: dict[str, str] = dict.fromkeys(
    ("don't dont doesn't didn't cannot can't won't mustn't shouldn't isn't aren't never").split(),
    "not",
)
BUCKETS = 2**14
"""Places for hashed words and word pairs; two that collide share a weight."""
_CUT = 40
"""Letters of a word that are kept: blobs without spaces need no more."""


@dataclass(frozen=True, eq=False)
class Terms:
    """The words of a text in order, as parallel columns."""

    words: Sequence[str]
    """As they stand in `text`."""
    stems: Sequence[str]
    hashes: npt.NDArray[np.uint64]
    """Of the stem of each."""
    ends: npt.NDArray[np.bool_]
    """Which of them end a sentence or a line."""
    opens: npt.NDArray[np.bool_]
    """Which of them open one."""
    text: str
    """What was read: lower-case, accents removed."""
    first: int = 0
    """How many words of `text` come before."""

    @cached_property
    def starts(self) -> tuple[int, ...]:
        """Offset in `text` of each word, also of those before the first."""
        return tuple(match.start() for match in _pattern(self.text).finditer(self.text))

    @property
    def breaks(self) -> npt.NDArray[np.int64]:
        """Where a paragraph begins: after lines with nothing on them."""
        ends = self.hashes == _LINE_END
        (before,) = (ends[:-2] & ends[1:-1] & ~ends[2:]).nonzero()
        found: npt.NDArray[np.int64] = before + 2
        return found

    def line(self, index: int) -> int:
        """The line, from 1, in which a term stands."""
        if not self.words:
            return 1
        return self.text.count("\n", 0, self.starts[self.first + index]) + 1

    def part(self, first: int, last: int) -> "Terms":
        """The terms from `first` up to, but not with, `last`; offsets stay those of the whole."""
        cut = slice(first, last)
        if last - first == len(self.words):
            return self
        return Terms(
            words=self.words[cut],
            stems=self.stems[cut],
            hashes=self.hashes[cut],
            ends=self.ends[cut],
            opens=self.opens[cut],
            text=self.text,
            first=self.first + first,
        )


def read(text: str) -> Terms:
    """Split a text into stems."""
    plain = _plain(text)
    words = _pattern(plain).findall(plain)
    entries = list(map(_ENTRIES.__getitem__, words))
    packed = np.frombuffer(b"".join([entry[1] for entry in entries]), np.uint64).reshape(-1, 2)
    ends = packed[:, 1] != 0
    opens = ~ends
    opens[1:] &= ends[:-1]
    return Terms(
        words=words,
        stems=[entry[0] for entry in entries],
        hashes=packed[:, 0].copy(),
        ends=ends,
        opens=opens,
        text=plain,
    )


def _pattern(plain: str) -> re.Pattern[str]:
    return _PLAIN_WORD if plain.isascii() else _WORD


def _plain(text: str) -> str:
    """Lower case without accents; `camelCase` in two words."""
    split = _HUMP.sub(r" \g<0>", text)
    if split.isascii():
        return split.lower()
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", split))
    return unicodedata.normalize("NFC", bare).lower().replace("\u0131", "i")


class _Entries(dict[str, tuple[str, bytes]]):
    """The stem of each word met lately; its hash, and whether it is a boundary, in 8 bytes each."""

    def __missing__(self, word: str) -> tuple[str, bytes]:
        found = stem(word[:_CUT])
        entry = found, _ENTRY.pack(code(found), word in BOUNDARY)
        if len(word) <= _CUT:
            if len(self) >= _KEPT:
                self.clear()
            self[word] = entry
        return entry


_ENTRY = struct.Struct("=QQ")
_KEPT = 2**16
_ENTRIES = _Entries()


def code(found: str) -> int:
    """The 64-bit hash of a stem."""
    data = found.encode()
    return zlib.crc32(data) | zlib.crc32(data, 0x9E3779B9) << 32


_LINE_END = np.uint64(code("\n"))


def stem(word: str) -> str:
    """A word without the endings of English plurals and verb forms."""
    word = word.replace("\u2019", "'")
    if word in _SAME:
        return _SAME[word]
    word = word.partition("'")[0]
    if len(word) < 4:
        return word
    if word.isascii():
        return _without_verb_ending(_without_plural(word))
    return _elsewhere(word)


def _elsewhere(word: str) -> str:
    """A word of another script without what is put to its ends: rough, and the same for all."""
    first = word[0]
    if "\u0400" <= first <= "\u04ff":  # Russian: the endings begin about there.
        return word[:6] if len(word) > 6 else word.rstrip("аеёиоуыэюяйь")
    if "\u0600" <= first <= "\u06ff":
        return _ARABIC_END.sub("", _ARABIC_START.sub("", word))
    if "\u0900" <= first <= "\u097f":
        return word.rstrip("\u093e\u093f\u0940\u0941\u0942\u0947\u094b\u0902\u0901")
    return word


_ARABIC_START = re.compile("^(?:[وف]?(?:[بك]?ال|لل)|[ول](?=.{4}))(?=.{3})")
_ARABIC_END = re.compile("(?<=.{3})(?:هما|ها|هم|ات|ون|ين|ان|ية|ته|تها|ه|ة|ي)$")


def _without_plural(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes", "zes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _without_verb_ending(word: str) -> str:
    for ending in ("ing", "ed"):
        base = word[: -len(ending)]
        if word.endswith(ending) and len(base) > 2 and re.search("[aeiouy]", base):
            if base[-1] == base[-2] and base[-1] not in "lsz":
                base = base[:-1]
            return base.removesuffix("e")
    return word.removesuffix("e") if len(word) > 4 else word


def prints(terms: Terms) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Hashes of all words, then of all pairs, then of openings; and the terms that open."""
    hashes = terms.hashes
    openings = terms.opens.nonzero()[0]
    pairs = hashes[:-1] * _FIRST_OF_PAIR + hashes[1:] * _SECOND_OF_PAIR
    joined = np.concatenate((hashes, pairs, hashes[openings] * _OPENING))
    joined ^= joined >> _MIX_SHIFT
    joined *= _MIX
    return joined, openings


def grams(terms: Terms) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The same as buckets: few enough to have a weight each, so that some share one."""
    joined, openings = prints(terms)
    return (joined >> _TOP).view(np.int64), openings


_FIRST_OF_PAIR, _SECOND_OF_PAIR, _OPENING = np.uint64(31), np.uint64(7), np.uint64(131)
_MIX_SHIFT, _MIX, _TOP = np.uint64(29), np.uint64(0x9E3779B97F4A7C15), np.uint64(50)


def parts(stem: str) -> npt.NDArray[np.int64]:
    """Buckets of the stretches of three to five letters of a stem, its ends included.

    They tell of words never met before. Numbers, and words of three letters or less, have none, nor
    have those that every text is full of: they tell of a writer's manner."""
    if len(stem) < 4 or not stem.isalpha() or stem in EVERYWHERE:
        return _NO_PARTS
    bound = f"<{stem}>".encode()
    cuts = {bound[at : at + size] for size in (3, 4, 5) for at in range(len(bound) - size + 1)}
    return np.array(sorted(zlib.crc32(cut) % BUCKETS for cut in cuts), dtype=np.int64)


EVERYWHERE = frozenset(
    "a an the of to in on at by for from with into onto upon as or and but if so than too that this"
    " these those it its they them their there then which what where when while whose be been being"
    " is are was were have has had will would can could shall should may might must also such each"
    " some any other about after before between during under over because though although only"
    " just very more most both here".split()
)
"""English words that say nothing of what a text is about."""
_NO_PARTS: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)
