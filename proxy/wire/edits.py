"""Requests whose answer an editor puts into a file as it is: edits of a part, merges of a change.

Prose there would be written into the user's code. What such a request gets instead of a note is the
code that it sent, so that nothing changes; headers and the `bluecode` object say why. The wordings
are those of Continue's edit and apply prompts, of Zed's inline assistant, and of the models that
merge a change (`<code>` and `<update>`).
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from bluecode.defenses.conversation import Role
from bluecode.proxy.wire.wire import Request

_FENCE = re.compile(r"\A```[^\n]*\n(?P<code>.*?)\n?```", re.DOTALL)
_FILE: Final = "Please rewrite the above file"
_BARE: Final = "DO NOT surround the code"
"""A person who asks for a file does not say this."""
_REWRITE: Final = re.compile(r'This is the "?code to rewrite"?:\s*')
_SUGGESTED: Final = "The following code was suggested as an edit:"
_BLANK: Final = re.compile(r'replace the\s+"\[BLANK\]"')
_MOST_TEXT: Final = 2_000_000


def unchanged(request: Request) -> str | None:
    """The code that stays as it is when nothing is done; None for any other request."""
    if request.payload.get("tools"):
        return None
    said = [item.text for item in request.conversation.messages if item.role is Role.USER]
    text = said[-1] if said else ""
    if len(text) > _MOST_TEXT or not any(sign in text for sign in _READERS):
        return None
    found = (read(text) for sign, read in _READERS.items() if sign in text)
    return next((code for code in found if code is not None), None)


def _merged(text: str) -> str | None:
    """What stands between `<code>` and `</code>`, before an `<update>`."""
    start, end = text.find("<code>"), text.rfind("</code>", 0, text.find("<update>"))
    return text[start + len("<code>") : end] if 0 <= start < end else None


def _rewritten(text: str) -> str | None:
    """The part to rewrite, by its fence; the whole file where all of it is."""
    named = _REWRITE.search(text)
    if named is None and not (_FILE in text and _BARE in text):
        return None
    fenced = _FENCE.match(text[named.end() :] if named is not None else text.lstrip())
    return fenced["code"] if fenced is not None else None


def _applied(text: str) -> str | None:
    """What a suggestion is to be applied to: all before it."""
    before = text.partition(_SUGGESTED)[0].strip("\n")
    fenced = _FENCE.match(before)
    return fenced["code"] if fenced is not None else before


def _tagged(text: str) -> str | None:
    """What stands in the last `<rewrite_this>` that holds something."""
    start = text.rfind("<rewrite_this>\n")
    end = text.find("\n</rewrite_this>", start)
    return text[start + len("<rewrite_this>\n") : end] if 0 <= start < end else None


def _inserted(text: str) -> str | None:
    return "" if _BLANK.search(text) else None


_READERS: Final[Mapping[str, Callable[[str], str | None]]] = {
    "<update>": _merged,
    "to rewrite": _rewritten,
    _FILE: _rewritten,
    _SUGGESTED: _applied,
    "<rewrite_this>": _tagged,
    "[BLANK]": _inserted,
}
"""By words that every such request holds."""
