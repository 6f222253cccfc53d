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
    labels = {label for label, letters in _DANGEROUS.items() if not lets_through(text, letters)}
    return frozenset(labels)
