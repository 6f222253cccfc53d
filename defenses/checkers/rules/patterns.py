"""What a regular expression lets through, when a whole value matches it."""

import re
from typing import TYPE_CHECKING

from bluecode.defenses.checkers.python_regex import lets_through
from bluecode.defenses.checkers.rules.tree import Node

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.flow import Flow

_DANGEROUS = {
    "shell": ";|&$`<>()\n'\" \\*?~",
    "sql": "'\";\\`",
    "html": "<>\"'&",
    "path": "/\\",
    "url": "/@#?:\\",
    "redirect": "/@:\\",
    "line": "\n\r",
    "xpath": "'\"[]",
    "ldap": "()*\\",
    "code": "abcdefghijklmnopqrstuvwxyz",
    "regex": "+*([{",
    "template": "{}<%$",
    "nosql": "${",
    "format": "%{",
}
"""For each kind of harm the characters without which it cannot be done."""


def by_regex(flow: "Flow", node: Node, *, whole: bool = False) -> frozenset[str]:
    """What a value cannot do that the expression matches, anchored at both ends."""
    value = flow.eval(node)
    text = node.name if node.role == "regex" else ""
    if not text and value.path.startswith("re:"):
        text = value.path[3:]
    if not text and node.role in ("text", "name", "member", "call"):
        text = value.known or ""
        if text[:1] in "/#~" and len(text) > 2:  # PHP writes the marks into the text
            text = text[1:].rpartition(text[0])[0]
    if not text:
        return frozenset()
    begins = text.startswith(("^", r"\A"))
    ends = re.search(r"(?:\$|\\z|\\Z)\)*$", text) is not None
    if not whole and not (begins and ends):
        return frozenset()
    plain = _plain(text)
    labels = {label for label, letters in _DANGEROUS.items() if not lets_through(plain, letters)}
    return frozenset(labels)


_POSIX = {
    "[:alnum:]": "a-zA-Z0-9", "[:alpha:]": "a-zA-Z", "[:digit:]": "0-9", "[:xdigit:]": "0-9a-fA-F",
    "[:lower:]": "a-z", "[:upper:]": "A-Z", "[:word:]": r"\w", "[:space:]": r"\s",
}  # fmt: skip


def _plain(text: str) -> str:
    """An expression as Python writes it."""
    for posix, letters in _POSIX.items():
        text = text.replace(posix, letters)
    text = text.replace(r"\z", r"\Z").replace(r"\h", "[0-9a-fA-F]")
    return re.sub(r"\(\?<(?=[a-zA-Z])", "(?P<", text)
