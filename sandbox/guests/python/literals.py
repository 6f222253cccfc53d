"""The texts that a snippet holds, and the code objects that hold them."""

import re
import types

UNLIKELY = re.compile(r"[\s%{}()<>\\*^$'\"]")
SEPARATORS = frozenset(" .,/:;-_@|=&?#")


def walk(code):
    """A code object and all that are nested in it."""
    yield code
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            yield from walk(constant)


def constants(codes):
    """Short texts of the snippet, those of collections first: an allow-list may hold them."""
    listed, single = [], []
    for code in codes:
        for constant in code.co_consts:
            if isinstance(constant, (tuple, frozenset)):
                listed += [item for item in constant if isinstance(item, str)]
            elif isinstance(constant, str):
                single.append(constant)
    likely = [text for text in dict.fromkeys([*listed, *single]) if fits(text)]
    return likely[:12]


def literals(codes):
    """All texts that the snippet holds, as one."""
    found = (text for code in codes for text in code.co_consts if isinstance(text, str))
    return "\n".join(found)[:20_000]


def separators(codes):
    """Single characters of the snippet at which a text may be taken apart."""
    found = (text for code in codes for text in code.co_consts if isinstance(text, str))
    return [text for text in dict.fromkeys(found) if len(text) == 1 and text in SEPARATORS][:3]


def fits(text):
    return 1 < len(text) <= 40 and not UNLIKELY.search(text) and "__" not in text
