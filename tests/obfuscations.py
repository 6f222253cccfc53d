"""Ways in which a text can be hidden from a screen and still be read by a model."""

import base64
import codecs
import html
from collections.abc import Callable, Mapping
from urllib.parse import quote

_GREEK_AND_CYRILLIC = str.maketrans("aeopcxi", "аеорсхі")
_LEET = str.maketrans("aeiost", "431057")
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_SMALL_CAPITALS = str.maketrans(
    "abcdefghijklmnoprstuvwyz",
    "\u1d00\u0299\u1d04\u1d05\u1d07\ua730\u0262\u029c\u026a\u1d0a\u1d0b\u029f\u1d0d\u0274\u1d0f"
    "\u1d18\u0280\ua731\u1d1b\u1d1c\u1d20\u1d21\u028f\u1d22",
)
_MORSE = dict(
    zip(
        "abcdefghijklmnopqrstuvwxyz",
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...-"
        " .-- -..- -.-- --..".split(),
        strict=True,
    )
)


def _shifted(text: str, step: int) -> str:
    """Each letter replaced by the one so many places on."""
    small = "abcdefghijklmnopqrstuvwxyz"
    turned = small[step:] + small[:step]
    return text.translate(str.maketrans(small + small.upper(), turned + turned.upper()))


def _mirrored(text: str) -> str:
    """The first letter for the last, the second for the one before."""
    small = "abcdefghijklmnopqrstuvwxyz"
    return text.lower().translate(str.maketrans(small, small[::-1]))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _bold(text: str) -> str:
    """Mathematical bold letters."""
    return "".join(
        chr(0x1D41A + ord(char) - 97) if "a" <= char <= "z" else char for char in text.lower()
    )


ENCODINGS: Mapping[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "base64": _b64,
    "base64 twice": lambda text: _b64(_b64(text)),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "base64 in lines": lambda text: "\n".join(
        _b64(text)[at : at + 64] for at in range(0, len(_b64(text)), 64)
    ),
    "hex": lambda text: text.encode().hex(),
    "hex with blanks": lambda text: text.encode().hex(" "),
    "rot13": lambda text: codecs.encode(text, "rot13"),
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "percent of some": lambda text: quote(text, safe=""),
    "entities": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "hexadecimal entities": lambda text: "".join(f"&#x{ord(char):x};" for char in text),
    "escapes": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "byte escapes": lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()),
    "octal escapes": lambda text: "".join(f"\\{byte:03o}" for byte in text.encode()),
    "zero width": lambda text: "\u200b".join(text),
    "tag characters": lambda text: (
        "Hello." + "".join(chr(0xE0000 + ord(char)) for char in text if char.isascii())
    ),
    "variation selectors": lambda text: (
        "Hello."
        + "".join(
            chr(0xFE00 + byte) if byte < 16 else chr(0xE0100 + byte - 16) for byte in text.encode()
        )
    ),
    "soft hyphens": lambda text: "\u00ad".join(text),
    "look-alikes": lambda text: text.translate(_GREEK_AND_CYRILLIC),
    "full width": lambda text: text.translate(_WIDE),
    "bold letters": _bold,
    "spaced": lambda text: "   ".join(" ".join(word) for word in text.split()),
    "dotted": lambda text: "  ".join(".".join(word) for word in text.split()),
    "leetspeak": lambda text: text.lower().translate(_LEET),
    "capitals": str.upper,
    "underlined": lambda text: "".join(f"{char}\u0332" for char in text),
    "reversed": lambda text: text[::-1],
    "HTML comment": lambda text: f"<p>Notes of the release.</p>\n<!-- {text} -->",
    "attribute": lambda text: f'<img src="a.png" alt="{html.escape(text)}">',
    "code comment": lambda text: f"def run():\n    # {text}\n    return 1\n",
    "JSON value": lambda text: f'{{"name": "notes", "description": "{text}"}}',
    "each word reversed": lambda text: " ".join(word[::-1] for word in text.split()),
    "shifted by three": lambda text: _shifted(text, 3),
    "shifted by eleven": lambda text: _shifted(text, 11),
    "mirrored alphabet": _mirrored,
    "spaced without gaps": lambda text: " ".join(text.replace(" ", "")),
    "dotted words": lambda text: " ".join(".".join(word) for word in text.split()),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "base85": lambda text: base64.b85encode(text.encode()).decode(),
    "ascii85": lambda text: base64.a85encode(text.encode()).decode(),
    "numbers in C": lambda text: ", ".join(f"0x{byte:02x}" for byte in text.encode()) + ", ",
    "struck through": lambda text: "".join(f"{char}\u0336" for char in text),
    "small capitals": lambda text: text.lower().translate(_SMALL_CAPITALS),
    "morse": lambda text: " / ".join(
        " ".join(_MORSE[char] for char in word if char in _MORSE) for word in text.lower().split()
    ),
    "decimal codes": lambda text: " ".join(str(ord(char)) for char in text),
    "binary": lambda text: " ".join(f"{byte:08b}" for byte in text.encode()),
}
