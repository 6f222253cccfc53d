"""Who says what within one message: a person, and the assistant's program around the person.

Assistants send file listings, rules files and reminders in the name of the user. A block in tags of
more than a few words is taken as such; it is screened too, with more caution, because an attacker
could put tags around anything.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from bluecode.defenses.conversation import Message, Role

Voice = Literal["said", "wrapped", "brought", "set"]
"""`said` by the person; `wrapped` by the assistant's program; `brought` by a tool; `set` as the
system's instruction, where that is so short that a person or a script may well have written it."""

LIMIT = 120_000
"""Characters of one message that are read: the first two thirds and the last third of them."""

_SET = 1_500
"""Characters of a system's instruction up to which it is read: an assistant's own is longer, and
speaks of so much that it would be taken for anything."""
_OPENER = re.compile(r"<([a-zA-Z][\w-]{3,40})(?:\s[^<>\n]{0,200})?>")
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_WORDS = re.compile(r"(?:[^\W\d_][\w'’-]*[,;:]?[ \t]+){2}[^\W\d_]{2}|[|;&$`]|[^\W\d_a-zA-ZÀ-ɏ]{3}")
_MOST_BLOCKS = 200
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


@lru_cache(maxsize=8)
def split(message: Message) -> Reading:
    """The parts of a message that are screened. Long instructions of the client's own are not.

    The last few are kept, since every detector of prompts asks for the same message."""
    text = message.text
    whole = len(text) <= LIMIT
    if not whole:
        text = text[: LIMIT * 2 // 3] + "\n" + text[-LIMIT // 3 :]
    match message.role:
        case Role.SYSTEM:
            return Reading(_some(text, "set", 1) if len(text) <= _SET else (), True)
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
    for start, body, stop, after in _blocks(text):
        said += [text[end:start], "\n" * text.count("\n", start, after)]
        end = after
        if _speaks(text[body:stop]):
            yield from _some(text[body:stop], "wrapped", 1 + text.count("\n", 0, body))
    yield from _some(_unquoted("".join([*said, text[end:]])), "said", 1)


def _unquoted(said: str) -> str:
    """The person's words, where the assistant put marks of quotation around the whole of them."""
    bare = said.strip()
    if len(bare) > 2 and bare[0] == bare[-1] == '"' and '"' not in bare[1:-1]:
        start = said.index('"')
        return f"{said[:start]} {bare[1:-1]}"
    return said


def _speaks(body: str) -> bool:
    """Are there words in a row in what an assistant's program says of the machine, or only facts:
    folders, dates, names? A script that sets no spaces between words always speaks."""
    return _WORDS.search(_TAG.sub("\n", body)) is not None


def _blocks(text: str) -> Iterator[tuple[int, int, int, int]]:
    """Offsets of each outermost block: its opening tag, its body, the body's end, and its end."""
    end = 0
    for opener, _ in zip(_OPENER.finditer(text), range(_MOST_BLOCKS), strict=False):
        if opener.start() < end or opener[1].lower() in _REQUEST | _MARKUP:
            continue
        closer = f"</{opener[1]}>"
        if (stop := text.find(closer, opener.end())) >= 0:
            end = stop + len(closer)
            yield opener.start(), opener.end(), stop, end


def _some(text: str, voice: Voice, line: int) -> tuple[Segment, ...]:
    """The segment from its first line with anything on it: how much is left out says nothing."""
    said = text.lstrip("\n")
    return (Segment(said, voice, line + len(text) - len(said)),) if said.strip() else ()
