"""Ways in which a text can be hidden from a screen and still be read by a model."""

import base64
import codecs
import html
from collections.abc import Callable, Mapping
from urllib.parse import quote

_GREEK_AND_CYRILLIC = str.maketrans("aeopcxi", "аеорсхі")
_LEET = str.maketrans("aeiost", "431057")
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


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
    "decimal codes": lambda text: " ".join(str(ord(char)) for char in text),
    "binary": lambda text: " ".join(f"{byte:08b}" for byte in text.encode()),
}
