"""Requests that assistants make beside the user's turns: for a title or a commit message.

They are screened like all others. They are told apart so that they are not counted as turns, and
that what BlueCode says to them is one line: it ends up in a list of chats, or in a repository.
"""

import re

from bluecode.defenses.conversation import Conversation, Role

_VERBS = r"(?:generat|creat|craft|writ|output|repl|suggest|provid|produc|summari|com(?:e|ing)\b)\w*"
_TASK = re.compile(
    rf"\b{_VERBS}[^.\n\\]{{0,80}}\b(?:titles?|commit messages?|git commits?)\b|\btitle generator\b",
    re.I,
)
"""What the instructions of such a request say."""
_ASKED = re.compile(
    rf"\b{_VERBS}[^.\n]{{0,80}}\b(?:(?:title|name)\b[^.\n]{{0,60}}\b(?:conversation|chat|thread"
    r"|session|discussion)|commit message)\b",
    re.I,
)
"""What the user's message of one says, where there are no instructions: more, since people ask
for titles, too."""
_FIRST = 600
"""Characters in which it is said."""
_LONGEST = 200


def says_title(text: str) -> bool:
    """Do instructions that begin so ask for a title or a commit message?"""
    return _TASK.search(text[:_FIRST]) is not None


def is_side(conversation: Conversation, *, tools: bool) -> bool:
    """Is this none of the user's turns? An agent's own request offers `tools`."""
    if tools:
        return False
    said = conversation.messages
    told = any(says_title(message.text) for message in said if message.role is Role.SYSTEM)
    asked = [message.text[:_FIRST] for message in said if message.role is Role.USER][-1:]
    return told or any(map(_ASKED.search, asked))


def one_line(note: str) -> str:
    """A note of several lines as one: what was done, and the first reason."""
    title, _, rest = note.partition("\n")
    reasons = (line[2:] for line in rest.splitlines() if line.startswith("- "))
    told = f"{title.strip('*').rstrip('.')}: {next(reasons, '')}".rstrip(": ")
    return told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…"
