"""Code blocks out of text that comes in pieces.

The extractor follows one grammar over the whole text, line by line, so where the pieces were cut
never changes what it finds. Text is *settled* once no continuation can make it part of a block
that is still open; everything else is to be held back.

What counts as a block: fences of backticks (anywhere in a line) or tildes (at its start), `<code>`
with or without an end, SEARCH/REPLACE and V4A patch blocks, and lines without any fence that look
like the start of a program, up to the next paragraph of prose.
"""

import re
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["fence", "code_tag", "search_replace", "patch", "unfenced"]

_DECIDED = 300  # a line's first characters, on which alone it is judged as the start of code
_PREFIX = r"[ \t]*(?:(?:>|[-*+]|\d{1,3}[.)])[ \t]+)*"
_OPENER = re.compile(
    rf"(?P<ticks>`{{3,}})|(?P<tag><code\b[^>\n]{{0,100}}>)|^{_PREFIX}(?P<tilde>~{{3,}})"
    r"|(?P<search>^[ \t]*<{5,9}(?: |$))|(?P<patch>^[ \t]*\*\*\* Begin Patch)",
    re.IGNORECASE,
)
_KINDS: dict[str, BlockKind] = {
    "ticks": "fence",
    "tilde": "fence",
    "tag": "code_tag",
    "search": "search_replace",
    "patch": "patch",
}
_UNSURE_TAIL = re.compile(r"(?:`+|<(?:c(?:o(?:d(?:e[^>\n]{0,100})?)?)?)?)$", re.IGNORECASE)
_SYMBOL_STARTS = ("~~~", "<<<<<", "*** Begin Patch", "#!", "#include", "--- a/", "@@ -", "<?php")
_KEYWORDS = frozenset(
    "import from def async class const let var function export package using public private "
    "static func fn if for while try with return print diff use require module interface type "
    "enum struct void int char unsigned sudo pip npm curl".split()
)
_START = re.compile(
    r"""(?:
      import\ [\w.*{"'][^.!?]*;?$ | from\ [\w.]+\ import\  | (?:async\ )?def\ \w+\s*[(\[]
    | class\ \w+\s*(?:[:({]|extends\b) | @[\w.]+(?:\(.*)?$ | \#! | \#include\s*[<"]
    | (?:const|let|var)\ [\w{\[$][^.!?]*[=;] | (?:export\ )?(?:default\ )?(?:async\ )?function\b.*\(
    | package\ [\w.]+;?$ | using\ [\w.: ]+; | (?:public|private|static|void|int|char)\ .*[({;]$
    | if\ .*:$ | for\ .*:$ | while\ .*:$ | try:$ | with\ .*:$ | (?:if|for|while)\ ?\(.*\{$
    | func\ .*\( | fn\ \w+.*\( | <\?php | diff\ --git\  | ---\ a/ | @@\ -\d
    | [a-z_$][\w.$\[\]'"]*(?:\ *:\ *[\w\[\], .|]+)?\ *(?:[-+*/|&]?=)\ *[^=\s].*
    | [a-z_$][\w.$]*\(.*\)?[;:,]?$
    )""",
    re.VERBOSE,
)
_PROSE = re.compile(
    r"[A-Z][\w'’-]*[,:]? (?![=(])[\w`*\"'(‘“]|[A-Z]\w*:$|(?:[-*>]|\d+[.)]) [A-Z`*]|#+ \w"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A stretch of the text that holds code. Offsets are characters from the text's start."""

    kind: BlockKind
    start: int
    end: int
    info: str
    """What follows the opening fence, stripped; empty for other kinds."""
    code: str
    before: str
    """The last non-empty line before the block: some assistants put the file's path there."""
    first_line: int
    """Line of the text, from 1, on which the code starts."""
    closed: bool
    """False where the text ended before the block did."""


class SnippetExtractor:
    """Feed it text, take the blocks that closed, and send on what is `settled`."""

    def __init__(self) -> None:
        self._text = ""  # what is not settled yet
        self._base = 0  # offset of its first character
        self._line = 0  # start of the current line, in self._text, or -n where it began earlier
        self._lines = 1  # number of the current line
        self._before = ""
        self._head = ""  # the settled part of the current line
        self._open: _Open | None = None

    @property
    def settled(self) -> int:
        """Offset up to which the text is prose or belongs to a block that was returned."""
        return self._base

    @property
    def held(self) -> int:
        """Characters that are not settled."""
        return len(self._text)

    @property
    def inside(self) -> bool:
        """Is a block open?"""
        return self._open is not None

    def feed(self, text: str) -> list[Block]:
        """Take the next piece; the blocks that it closed."""
        self._text += text
        return self._advance(final=False)

    def close(self) -> list[Block]:
        """The text has ended; a block that is still open is a block."""
        return self._advance(final=True)

    def _advance(self, *, final: bool) -> list[Block]:
        blocks: list[Block] = []
        while self._step(blocks, final):
            pass
        return blocks

    def _step(self, blocks: list[Block], final: bool) -> bool:
        if self._open is not None:
            block = self._open.close(self._text, final)
            if block is None:
                return False
            self._finish(block, blocks)
            return bool(self._text)
        return self._prose(final)

    def _prose(self, final: bool) -> bool:
        """Settle prose up to the next block or to what is not sure yet; true to go on."""
        if not self._text:
            return False
        end = self._text.find("\n")
        whole = final or end >= 0
        piece = self._text if end < 0 else self._text[:end]
        line = self._head + piece
        if opened := _find_opener(line, len(self._head), whole):
            self._settle(opened.start - len(self._head))
            opened.start = 0
            self._open = opened
            return True
        if whole:
            self._settle(len(piece) + (end >= 0))
            return True
        if self._head or not may_start_code(line):
            unsure = _UNSURE_TAIL.search(piece)
            self._settle(unsure.start() if unsure else len(piece))
        return False

    def _settle(self, count: int) -> None:
        piece, self._text = self._text[:count], self._text[count:]
        self._base += count
        self._lines += piece.count("\n")
        *done, last = (self._head + piece).split("\n")
        self._before = next((line for line in reversed(done) if line.strip()), self._before)
        self._head = last

    def _finish(self, found: "_Closed", blocks: list[Block]) -> None:
        assert self._open is not None
        raw = self._text[: found.end]
        blocks.append(
            Block(
                kind=self._open.kind,
                start=self._base,
                end=self._base + found.end,
                info=found.info,
                code=raw[found.body_start : found.body_end],
                before=self._head.strip() or self._before.strip(),
                first_line=self._lines + raw[: found.body_start].count("\n"),
                closed=found.closed,
            )
        )
        self._open = None
        self._settle(found.end)


@dataclass(slots=True)
class _Closed:
    end: int
    body_start: int
    body_end: int
    info: str = ""
    closed: bool = True


@dataclass(slots=True)
class _Open:
    """A block whose end is looked for; `seen` is where the next look starts."""

    kind: BlockKind
    start: int
    marker: str
    indent: bool = False
    """Tildes, and backticks at a line's start, close at a line of their own."""
    seen: int = 0
    info_end: int = -1
    blank: bool = False
    quoted: str = ""

    def close(self, text: str, final: bool) -> _Closed | None:
        match self.kind:
            case "fence":
                return self._close_fence(text, final)
            case "code_tag":
                return self._close_tag(text, final)
            case "unfenced":
                return self._close_unfenced(text, final)
            case _:
                return self._close_at_line(text, final)

    def _close_fence(self, text: str, final: bool) -> _Closed | None:
        body = len(self.marker)
        if self.info_end < 0:
            end = text.find("\n", body)
            first = text[body:] if end < 0 else text[body:end]
            if self.marker.endswith("`") and (inline := re.search("`{3,}(?!`)", first)):
                if end >= 0 or final or inline.end() < len(first):
                    stop = body + inline.end()
                    return _Closed(stop, body, body + inline.start())
                return None
            if end < 0:
                return (
                    _Closed(len(text), len(text), len(text), first.strip(), False)
                    if final
                    else None
                )
            self.info_end = self.seen = end + 1
        info = text[body : self.info_end].strip()
        closing = re.compile(rf"[ \t>]*{self.marker[0]}{{{len(self.marker)},}}[ \t\r]*$")
        while self.seen <= len(text):
            end = text.find("\n", self.seen)
            if end < 0 and not final:
                return None
            line = text[self.seen :] if end < 0 else text[self.seen : end]
            if closing.match(line):
                return _Closed(self.seen + len(line), self.info_end, self.seen, info)
            if not self.indent and (last := re.search(r"`{3,}[ \t\r]*$", line)):
                at = self.seen + last.start()
                return _Closed(self.seen + len(line), self.info_end, at, info)
            if end < 0:
                break
            self.seen = end + 1
        return _Closed(len(text), self.info_end, len(text), info, False)

    def _close_tag(self, text: str, final: bool) -> _Closed | None:
        body = len(self.marker)
        at = text.lower().find("</code>", max(body, self.seen))
        if at >= 0:
            return _Closed(at + 7, body, at)
        self.seen = max(body, len(text) - 6)
        return _Closed(len(text), body, len(text), closed=False) if final else None

    def _close_at_line(self, text: str, final: bool) -> _Closed | None:
        ends = (">>>>>",) if self.kind == "search_replace" else ("*** End Patch",)
        while True:
            end = text.find("\n", self.seen)
            if end < 0 and not final:
                return None
            line = text[self.seen :] if end < 0 else text[self.seen : end]
            if line.lstrip().startswith(ends):
                return _Closed(self.seen + len(line), 0, self.seen + len(line))
            if end < 0:
                return _Closed(len(text), 0, len(text), closed=False)
            self.seen = end + 1

    def _close_unfenced(self, text: str, final: bool) -> _Closed | None:
        while True:
            end = text.find("\n", self.seen)
            if end < 0 and not final:
                return None
            line = text[self.seen :] if end < 0 else text[self.seen : end]
            if self.seen and not self.quoted and self._ends_program(line):
                return _Closed(self.seen, 0, self.seen)
            self._follow_quotes(line)
            self.blank = not line.strip()
            if end < 0:
                return _Closed(len(text), 0, len(text), closed=False)
            self.seen = end + 1

    def _ends_program(self, line: str) -> bool:
        if _OPENER.search(line):
            return True
        return self.blank and bool(_PROSE.match(line)) and not _START.match(line)

    def _follow_quotes(self, line: str) -> None:
        for quotes in re.findall(r'"""|\'\'\'', line):
            if not self.quoted:
                self.quoted = quotes
            elif self.quoted == quotes:
                self.quoted = ""


def _find_opener(line: str, settled: int, whole: bool) -> _Open | None:
    """The first block that opens in a line after its first `settled` characters."""
    found = _first_opener(line, settled)
    if found is None or found.start > _DECIDED:
        decided = whole or len(line) > _DECIDED
        if decided and not settled and _START.match(line[:_DECIDED].strip()):
            return _Open("unfenced", 0, "")
    grows = found is not None and found.kind != "code_tag" and found.kind != "patch"
    if found is not None and grows and not whole:
        return found if found.start + len(found.marker) < len(line) else None
    return found


def _first_opener(line: str, settled: int) -> _Open | None:
    for found in _OPENER.finditer(line, settled):
        group = found.lastgroup or ""
        start = found.start(group)
        if start >= settled:
            own_line = group == "tilde" or re.fullmatch(_PREFIX, line[:start]) is not None
            return _Open(_KINDS[group], start, found.group(group), indent=own_line)
    return None


def may_start_code(line: str) -> bool:
    """Could this beginning of a line turn out to open a block, whatever follows?

    Never false where `_START` or an opener bound to the line's start would match the whole line.
    """
    if len(line) > _DECIDED:
        return False
    head = line.lstrip()
    if not head:
        return True
    if any(start.startswith(head) or head.startswith(start) for start in _SYMBOL_STARTS):
        return True
    if re.fullmatch(r"[ \t>*+.)\d-]*~*", line):
        return True
    if head[0] == "@":
        return " " not in head.strip() or "(" in head
    if not (head[0].islower() or head[0] in "_$"):
        return False
    token = re.match(r"[\w.$\[\]'\"]*", head)
    rest = head[token.end() :] if token else head
    if not rest or head.split(" ")[0].rstrip("(:") in _KEYWORDS:
        return True
    return rest.lstrip(" ")[:1] in ("", "=", "(", ":", "+", "-", "*", "/", "|", "&")
