"""Text that hides: unseen characters, look-alike letters, encodings. Deterministic, and linear.

`normalise` gives the other detectors what a model would read; the detector itself reports where the
hiding is an attack of its own. Emoji sequences, right-to-left scripts, hashes, images in base64 and
minified code are ordinary.
"""

import base64
import binascii
import html
import re
import string
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import ClassVar, NamedTuple
from urllib.parse import unquote

from bluecode.defenses.conversation import Message
from bluecode.defenses.detectors import ciphers, classifier
from bluecode.defenses.detectors.classifier import Classifier
from bluecode.defenses.detectors.segments import Voice, split
from bluecode.defenses.verdict import Category, DetectorError, Finding, Severity

_TAGS = re.compile("[\U000e0020-\U000e007e]{3,}")  # Unseen by people, read by models (UTS #51).
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007f]{2,8}")  # Flags of Scotland, Wales …
_UNSEEN = re.compile("[\u00ad\u200b\u2060-\u2064\ufeff\U000e0000-\U000e007f\ufe00-\ufe0f]")
_SPLIT_WORD = re.compile("[a-zA-Z](?:[\u200b-\u200d\u2060-\u2064\ufeff]+[a-zA-Z]){3,}")
_JOINERS = re.compile("(?<=[a-zA-Z])[\u200c\u200d]+(?=[a-zA-Z])")
_SELECTORS = re.compile("[\U000e0100-\U000e01ef]{4,}")  # Variation selectors carry bytes, one each.
_BIDI = re.compile("[\u202d\u202e\u2066-\u2068]")
_UNSEEN_MARKS = frozenset(
    map(
        chr,
        (
            0xAD,
            *range(0x200B, 0x200E),
            *range(0x202D, 0x202F),
            *range(0x2060, 0x2069),
            *range(0xFE00, 0xFE10),
            0xFEFF,
            *range(0xE0000, 0xE01F0),
        ),
    )
)
"""Every character that one of the patterns above needs."""
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff]")
_MIXED = re.compile(
    r"\b(?=\w*[a-zA-Z])(?=\w*[\u0370-\u03ff\u0400-\u04ff])[a-zA-Z\u0370-\u04ff]{3,}\b"
)
_LOOK_ALIKES = str.maketrans(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0456\u0458\u0455\u04bb\u0501\u0410\u0412\u0415\u041a"
    "\u041c\u041d\u041e\u0420\u0421\u0422\u0425\u03bf\u03b1\u03c1\u03bd\u03b9\u03ba\u0391\u0392\u0395"
    "\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a7",
    "aeopcyxijshdABEKMHOPCTXoapvikABEHIKMNOPTX",
)
_STRUCK = re.compile("(?<=[\u0021-\u007e])[\u0300-\u036f\u20d0-\u20f0]+")
"""Lines and rings under or through letters, where no letter has them of its own."""
_SMALL_CAPITALS = str.maketrans(
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f"
    "\u1d18\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22",
    "abcdefghijklmnoprstuvwyz",
)
_BASE64 = re.compile(
    r"(?<![\w+/=:,-])[A-Za-z0-9+/]{24,16384}={0,2}(?![\w+/=])"
    r"(?:(?<=[^=]{32})\r?\n[A-Za-z0-9+/]{4,76}={0,2}(?![\w+/=]))*"
)
_HEX = re.compile(r"(?<!\w)(?:[0-9a-fA-F]{2}[ :]?){16,8192}(?!\w)")
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}){8,4096}")
_PERCENT = re.compile(r"(?<![\w%])[\w.~-]{0,24}(?:%[0-9a-fA-F]{2}[\w.~-]{0,16}){4,2048}")
_ENTITIES = re.compile(r"(?:&#(?:\d{2,5}|x[0-9a-fA-F]{2,4});){8,2048}")
_READABLE = re.compile(
    r"(?<![A-Za-z])[A-Za-z]{2,24}(?:[\s,.:;'\"!?-]{1,4}[A-Za-z]{1,24}){2,}|[\u3040-\u9fff]{6,}"
)
_MOST_PIECES = 24
_DEEPEST = 2
_MOST_HIDDEN = 8192


@dataclass(frozen=True, slots=True)
class Normalised:
    """A text as a model reads it, and what was hidden in it."""

    text: str
    decoded: tuple[str, ...]
    """Readable texts found inside encodings and unseen characters."""
    tricks: frozenset[str]
    """Ways of hiding that were met: `tag_characters`, `homoglyphs`, `base64` …"""


class _Encoding(NamedTuple):
    name: str
    pattern: re.Pattern[str]
    decode: Callable[[str], str]
    suspected: Callable[[bytes], bool]
    """Can the pattern be in this text? Asked of its ASCII, in a fraction of the pattern's time."""


@lru_cache(maxsize=8)
def normalise(text: str) -> Normalised:
    """Uncover a text. Pure, and bounded in work; never fails on any text.

    The last few are kept, since every detector of prompts asks for the same message.
    """
    tricks: set[str] = set()
    decoded: list[str] = []
    plain = text if text.isascii() else _uncover(text, tricks, decoded)
    layer = [plain, *decoded]
    for _ in range(_DEEPEST):
        layer = [piece for item in layer for piece in _decode(item, tricks)][:_MOST_PIECES]
        decoded += [piece for piece in layer if _is_readable(piece)]
    return Normalised(plain, tuple(decoded[:_MOST_PIECES]), frozenset(tricks))


def _uncover(text: str, tricks: set[str], decoded: list[str]) -> str:
    """Take away what people do not see, and turn look-alikes into the letters they stand for."""
    marks = frozenset(text)
    bare = text
    if not marks.isdisjoint(_UNSEEN_MARKS):
        bare = _reveal(text, tricks, decoded)
    bare = _STRUCK.sub("", unicodedata.normalize("NFKC", bare)).translate(_SMALL_CAPITALS)
    if any("\u0370" <= mark <= "\u04ff" for mark in marks):
        bare = _MIXED.sub(lambda word: _plain_letters(word.group(), tricks), bare)
    return bare


def _reveal(text: str, tricks: set[str], decoded: list[str]) -> str:
    bare = _FLAG.sub("\U0001f3f4", text)
    if hidden := "".join(_TAGS.findall(bare)):
        tricks.add("tag_characters")
        decoded.append("".join(chr(ord(char) - 0xE0000) for char in hidden[:_MOST_HIDDEN]))
    if hidden := "".join(_SELECTORS.findall(bare)):
        tricks.add("variation_selectors")
        data = bytes((ord(char) - 0xE0100 + 16) % 256 for char in hidden[:_MOST_HIDDEN])
        decoded.append(data.decode("utf-8", "replace"))
    if _SPLIT_WORD.search(bare):
        tricks.add("zero_width")
    if _BIDI.search(bare) and not _RIGHT_TO_LEFT.search(bare):
        tricks.add("bidi")
    return _BIDI.sub("", _JOINERS.sub("", _UNSEEN.sub("", bare)))


def _plain_letters(word: str, tricks: set[str]) -> str:
    plain = word.translate(_LOOK_ALIKES)
    if not plain.isascii():
        return word
    tricks.add("homoglyphs")
    return plain


def _decode(text: str, tricks: set[str]) -> Iterator[str]:
    marks = text.encode("ascii", "replace")
    for encoding in _ENCODINGS:
        if not encoding.suspected(marks):
            continue
        for blob, _ in zip(encoding.pattern.finditer(text), range(_MOST_PIECES), strict=False):
            piece = encoding.decode(blob.group())
            if piece != blob.group() and (_is_readable(piece) or _BASE64.fullmatch(piece)):
                tricks.add(encoding.name)
                yield piece
    for name, piece in ciphers.uncovered(text, marks):
        tricks.add(name)
        yield piece


def _is_readable(text: str) -> bool:
    """Words of a human language, for the greater part: most bytes decode to something."""
    words = _READABLE.findall(text)
    return bool(words) and sum(map(len, words)) * 2 > len(text)


def _from_base64(blob: str) -> str:
    """What the lines of a blob hide together; its first alone where the others are none of it."""
    lines = blob.split()
    bare = "".join(lines)
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return _from_base64(lines[0]) if len(lines) > 1 else ""
    if b"\0" in data[1:2]:  # PowerShell encodes UTF-16.
        return data.decode("utf-16-le", "replace")
    return data.decode("utf-8", "replace")


def _from_hex(blob: str) -> str:
    digits = re.sub("[ :]", "", blob)
    return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")


def _from_escapes(blob: str) -> str:
    codes = re.findall(r"\\[ux]([0-9a-fA-F]+)", blob)
    return "".join(chr(int(code, 16)) for code in codes)


def _table(*classes: str) -> bytes:
    """Characters of the first class become `a`, of the second `b`, all others a blank."""
    marks = bytearray(b" " * 256)
    for kind, members in zip(b"ab", classes, strict=False):
        for char in members.encode():
            marks[char] = kind
    return bytes(marks)


_OF_BASE64 = _table(string.ascii_letters + string.digits + "+/")
_OF_HEX = _table(string.hexdigits)

_ENCODINGS = (
    _Encoding(
        "base64", _BASE64, _from_base64, lambda text: b"a" * 24 in text.translate(_OF_BASE64)
    ),
    _Encoding("hex", _HEX, _from_hex, lambda text: b"a" * 32 in text.translate(_OF_HEX, b" :")),
    _Encoding(
        "escapes",
        _ESCAPES,
        _from_escapes,
        lambda text: text.count(b"\\u") + text.count(b"\\x") >= 8,
    ),
    _Encoding("percent", _PERCENT, unquote, lambda text: text.count(b"%") >= 4),
    _Encoding("entities", _ENTITIES, html.unescape, lambda text: text.count(b"&#") >= 8),
)


class _Trick(NamedTuple):
    score: float
    severity: Severity
    reason: str


_TRICKS = {
    "tag_characters": _Trick(0.97, Severity.HIGH, "Characters that people do not see spell words."),
    "variation_selectors": _Trick(0.95, Severity.HIGH, "Bytes are hidden in variation selectors."),
    "zero_width": _Trick(0.85, Severity.MEDIUM, "Words are broken up by unseen characters."),
    "bidi": _Trick(0.7, Severity.MEDIUM, "Direction marks make text look other than it is."),
    "homoglyphs": _Trick(0.65, Severity.LOW, "Words mix letters of alphabets that look alike."),
}
"""Hiding that no ordinary text needs. Encodings are judged by what they hide."""

_HIDDEN_ORDER = "An encoded text decodes to an order or a request for harm."
_CAUTION = -1.0
"""What is hidden needs less to be taken for an attack than what stands in the open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Obfuscation:
    """The detector of hiding."""

    name: str = "obfuscation"
    models: Classifier = field(default_factory=classifier.shipped)
    immediate: ClassVar[bool] = True

    async def inspect(self, subject: Message) -> tuple[Finding, ...]:
        """Raises `DetectorError`, with what was found, for a message too long to read whole."""
        reading = split(subject)
        findings: list[Finding] = []
        for segment in reading.segments:
            plain = normalise(segment.text)
            findings += [
                _found(name, *_TRICKS[name]) for name in sorted(plain.tricks & _TRICKS.keys())
            ]
            if plain.decoded and (score := self._worst(plain.decoded, segment.voice)) >= 0.5:
                findings.append(_found("encoded_order", score, Severity.HIGH, _HIDDEN_ORDER))
        if not reading.whole:
            raise DetectorError(
                "message longer than is read", findings=findings, unchecked="partial"
            )
        return tuple(findings)

    def _worst(self, decoded: tuple[str, ...], voice: Voice) -> float:
        brought = 0.0 if voice == "said" else _CAUTION
        models = {"injection_brought": brought, "injection_said": _CAUTION, "malice": _CAUTION}
        return max(
            self.models.judge(text, model, caution=caution).score
            for text in decoded
            for model, caution in models.items()
        )


def _found(trick: str, score: float, severity: Severity, reason: str) -> Finding:
    return Finding(
        detector="obfuscation",
        rule=f"obfuscation.{trick}",
        category=Category.INJECTION,
        score=round(score, 3),
        reason=reason,
        severity=severity,
        advice="Write the text plainly, in characters that people can see.",
    )
