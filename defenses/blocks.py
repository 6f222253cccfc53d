"""Blocks of code: one that was found, and one whose end is still looked for."""

import re
from dataclasses import dataclass, field

from bluecode.defenses import fences
from bluecode.defenses.fences import BlockKind, Opener

_PATH = re.compile(
    r"<(?:file_?)?path>\s*([^<\n]{1,300}?)\s*</|parameter=path>\s*([^<\n]{1,300}?)\s*<"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of the text that holds code. Offsets are characters from the text's start."""

    kind: BlockKind
    start: int
    end: int
    info: str
    """What follows the opening fence, stripped; for a tool's tag, what it says of the language."""
    code: str
    """Less what stands around each line: marks of quotation, a list's indent, line numbers."""
    before: str
    """The last non-empty line before the block: some assistants put the file's path there."""
    first_line: int
    """Line of the text, from 1, on which the code starts."""
    closed: bool
    """False where the text ended before the block did."""

    @property
    def is_answer(self) -> bool:
        """Is it JSON with which the answer begins? A note behind that would break it."""
        return self.kind == "json" and not self.before


@dataclass(slots=True)
class OpenBlock:
    """A block whose end is looked for, and what of it was looked through."""

    opener: Opener
    start: int
    before: str
    first_line: int
    body: int
    """Where the code begins in what was taken."""
    lead: str = ""
    """The settled first word of the line, where that is part of the code."""
    taken: list[str] = field(default_factory=list)
    size: int = 0
    lines: int = 0
    blank: bool = False
    quoted: str = ""
    """The quotation mark of a text that is open, if one is."""
    depth: int = 0
    """How many brackets are open."""
    sure: bool = True
    """False while only indented lines make a program of what was taken."""
    coded: bool = False
    """Is it known that what was taken is no prose?"""

    def take(self, text: str) -> None:
        self.taken.append(text)
        self.size += len(text)


def path_in(text: str) -> str:
    """The last file that a tool's tag names."""
    found = _PATH.findall(text) if "path>" in text else []
    return found[-1][0] or found[-1][1] if found else ""


def program(line: str) -> Opener:
    """A line without any fence that begins a program."""
    start = fences.sent_first(line)
    prefix = (re.match(fences.PREFIX, line) or [""])[0]
    quoted = ">" in prefix and not prefix.endswith(">>> ")  # which is a REPL's, not a quotation's
    return Opener(kind="unfenced", start=start, body=start, prefix=prefix if quoted else "")


def closing_tag(names: str) -> re.Pattern[str]:
    """What ends a tag of one of these names."""
    return re.compile(rf"</(?:{names})\s{{0,100}}>", re.IGNORECASE)
