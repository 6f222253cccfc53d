"""Who says what within one message: the words of a person, and what an assistant wrapped around them.

Assistants send file listings, rules files and reminders in the name of the user. A block in tags of
more than a few words is taken as such; it is screened too, with more caution, because an attacker
could put tags around anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bluecode.defenses.conversation import Message, Role

Voice = Literal["said", "wrapped", "brought"]
"""`said` by the person; `wrapped` by the assistant's program; `brought` by a tool."""

LIMIT = 120_000
"""Characters of one message that are read: the first two thirds and the last third of them."""

_BLOCK = re.compile(
    r"<(?P<tag>[a-z][\w-]{3,40})(?:\s[^<>\n]{0,200})?>\n?(?P<body>.*?)</(?P=tag)>",
    re.DOTALL | re.IGNORECASE,
)
_REQUEST = frozenset("task user_query user_request query request prompt question message".split())
"""Tags around the person's own words."""
_MARKUP = frozenset("html head body table style script code span title template".split())


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a message with one voice."""

    text: str
    voice: Voice
    line: int
    """The line of the message, from 1, on which it begins."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The segments of a message, and whether they are all of it."""

    segments: tuple[Segment, ...]
    whole: bool


def split(message: Message) -> Reading:
    """The parts of a message that are screened. The client's own instructions are not."""
    text = message.text
    whole = len(text) <= LIMIT
    if not whole:
        text = text[: LIMIT * 2 // 3] + "\n" + text[-LIMIT // 3 :]
    match message.role:
        case Role.SYSTEM:
            return Reading((), True)
        case Role.TOOL:
            return Reading(_some(text, "brought", 1), whole)
        case Role.ASSISTANT:
            return Reading(_some(text, "wrapped", 1), whole)
        case _:
            return Reading(tuple(_unwrap(text)), whole)


def _unwrap(text: str) -> Iterator[Segment]:
    """Blocks in tags, and what stands between them as one segment."""
    said: list[str] = []
    end = 0
    for block in _BLOCK.finditer(text):
        if block["tag"].lower() in _REQUEST | _MARKUP:
            continue
        said += [text[end : block.start()], "\n" * block.group().count("\n")]
        end = block.end()
        yield from _some(block["body"], "wrapped", 1 + text.count("\n", 0, block.start("body")))
    yield from _some("".join([*said, text[end:]]), "said", 1)


def _some(text: str, voice: Voice, line: int) -> tuple[Segment, ...]:
    return (Segment(text, voice, line),) if text.strip() else ()
