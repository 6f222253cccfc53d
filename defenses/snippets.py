"""Code blocks out of text that comes in pieces.

The extractor follows one grammar over the whole text, line by line, so where the pieces were cut
never changes what it finds. Text is *settled* once no continuation can make it part of a block
that is still open; everything else is to be held back. Its cost grows with the text, not with the
number of pieces: a line is judged when it is whole, or by its first characters while it grows.

What counts as a block: fences of backticks or tildes, `<code>` and the tags in which assistants
write tool calls, with or without an end, SEARCH/REPLACE and V4A patch blocks, whole statements
between single backticks, and lines without any fence that look like the start of a program, up to
the next line of prose. Fences within a block are blocks too, and come after the one around them.
"""

import re
from dataclasses import replace

from bluecode.defenses import fences
from bluecode.defenses.blocks import Block, OpenBlock, closing_tag, path_in, program
from bluecode.defenses.fences import DECIDED, HOLD, LINE_END, UNSURE_TAIL, BlockKind, Opener

__all__ = ["Block", "BlockKind", "SnippetExtractor"]

_DULL = re.compile(
    "(?:[ \\t]*[\n\r]|(?!import |package )[a-z]+(?: [a-z]+)*\n"
    "|[A-Z][a-z]+ [a-z][^`~<=(\n\r\x0b\x0c\x85\u2028\u2029]*\n)+"
)
_LONGEST_END = 120  # characters of a closing tag, of which the last may be in the next piece
_FAR_ENDS = "\x85\u2028\u2029"
_END_SET = frozenset("\n\r\x0b\x0c" + _FAR_ENDS)
_BRACKET = re.compile(r'["{}\[\]]')
_IN_TEXT = re.compile(r'\\.|"', re.DOTALL)
_DEEPEST = 4
_WHEN_WHOLE = 1 << 62


class SnippetExtractor:
    """Feed it text, take the blocks that closed, and send on what is `settled`."""

    def __init__(self, depth: int = 0, *, json: bool = True) -> None:
        """`json` unless what looks like it was tried and is none."""
        self._pieces: list[str] = []  # fed, not looked at yet
        self._waiting = 0  # how many characters they have
        self._look_at = 0  # look again when there are so many
        self._text = ""
        self._pos = 0
        self._ends = (-1, -1)  # where the line looked at last ends, in the text looked at
        self._base = 0
        self._lines = 1
        self._head = ""  # the settled part of the current line, its first characters
        self._fresh = True  # may the current line still begin a block as a whole?
        self._before = ""
        self._path = ""
        self._open: OpenBlock | None = None
        self._depth = depth
        self._json = json
        self._doubt = ""  # the marker that closed a fence, or for other readers opened one

    @property
    def settled(self) -> int:
        """Offset up to which the text is prose or belongs to a block that was returned."""
        return self._base

    @property
    def held(self) -> int:
        """Characters that are not settled."""
        return self._waiting + (self._open.size if self._open else 0)

    @property
    def inside(self) -> bool:
        """Is a block open?"""
        return self._open is not None

    def feed(self, text: str) -> list[Block]:
        """Take the next piece; the blocks that it closed."""
        if not text:
            return []
        after_return = bool(self._pieces) and self._pieces[-1].endswith("\r")
        self._pieces.append(text)
        self._waiting += len(text)
        ends = after_return or LINE_END.search(text) is not None
        if not ends and (self._waiting < self._look_at or not self._may_change(text)):
            return []
        return self._look(final=False)

    def close(self) -> list[Block]:
        """The text has ended; a block that is still open is a block."""
        return self._look(final=True)

    def _may_change(self, text: str) -> bool:
        """Can a piece without the end of a line change anything?"""
        if self._open is None:
            return True
        return self._open.opener.kind in ("code_tag", "xml_tool") and ">" in text

    def _look(self, *, final: bool) -> list[Block]:
        self._text, self._pos, self._look_at = "".join(self._pieces), 0, 0
        self._ends = (-1, -1)
        blocks: list[Block] = []
        while self._step(blocks, final):
            pass
        rest = self._text[self._pos :]
        self._pieces, self._waiting, self._text = [rest] if rest else [], len(rest), ""
        return blocks

    def _step(self, blocks: list[Block], final: bool) -> bool:
        if self._open is None:
            return self._prose(blocks, final)
        match self._open.opener.kind:
            case "code_tag" | "xml_tool":
                going = self._in_tag(self._open, blocks, final)
            case "unfenced":
                going = self._in_program(self._open, blocks, final)
            case "fence":
                going = self._in_fence(self._open, blocks, final)
            case "json":
                going = self._in_json(self._open, blocks, final)
            case _:
                going = self._in_edit(self._open, blocks, final)
        if not going and final and self._open is not None:
            self._finish(self._open, blocks, closed=False)
            return True
        return going

    def _line(self, final: bool) -> tuple[int, int] | None:
        """Where the current line's content and the line itself end; None unless it is whole."""
        if self._pos <= self._ends[0] and self._ends[1] > self._pos:
            return self._ends
        found = LINE_END.search(self._text, self._pos)
        if found is None or (found.group() == "\r" and found.end() == len(self._text)):
            if not final or self._pos >= len(self._text):
                return None
            end = found.start() if found else len(self._text)
            self._ends = (end, len(self._text))
        else:
            self._ends = found.span()
        return self._ends

    # Prose

    def _prose(self, blocks: list[Block], final: bool) -> bool:
        if self._fresh and not self._head and (dull := _DULL.match(self._text, self._pos)):
            self._settle(dull.end())
        ends = self._line(final)
        if self._doubt:
            return self._in_doubt(ends, blocks)
        if self._json and self._fresh and not self._head.strip():
            end = len(self._text) if ends is None else ends[0]
            line, whole = self._text[self._pos : end], ends is not None
            start = fences.json_start(line, whole=whole, first=not self._before)
            if start is not None:
                return self._begin_json(start)
        if ends is None:
            return self._growing()
        if opener := self._line_opener(ends[0]) if self._fresh else None:
            self._begin(opener, self._pos - len(self._head), ends, blocks)
        elif opener := fences.inner_opener(self._text, self._pos, ends[0]):
            self._begin(opener, 0, ends, blocks)
        else:
            self._settle(ends[1])
        return True

    def _in_doubt(self, ends: tuple[int, int] | None, blocks: list[Block]) -> bool:
        """After a fence that began within a line, for which some readers have no opening: to them
        what follows its end is code. What is plainly prose goes on, line by line."""
        if ends is None:
            return False
        line = (self._head if self._fresh else "") + self._text[self._pos : ends[0]]
        if (opener := self._line_opener(ends[0]) if self._fresh else None) is not None:
            self._begin(opener, self._pos - len(self._head), ends, blocks)
        elif fences.is_plainly_prose(line):
            self._settle(ends[1])
        else:
            opener = Opener(kind="fence", start=0, body=0, marker=self._doubt)
            self._begin(opener, self._pos, ends, blocks)
        return True

    def _line_opener(self, end: int) -> Opener | None:
        """What begins with the current line as a whole, which ends there."""
        line = self._head + self._text[self._pos : end]
        if opener := fences.own_opener(line):
            return opener
        if not fences.begins_program(line):
            return None
        if HOLD.search(line[:DECIDED]) and fences.inner_opener(self._text, self._pos, end):
            return None
        return program(line)

    def _growing(self) -> bool:
        """Settle what can be of a line that is not whole; true where a program begins in it."""
        start = self._pos
        if start >= len(self._text):
            return False
        if self._fresh and len(self._head) + len(self._text) - start < DECIDED:
            line = self._head + self._text[start:].rstrip("\r")
            held = fences.held_from(line)
            if held is not None or self._text.endswith("\r"):
                sent = max(held or 0, len(self._head))
                self._settle(start + sent - len(self._head), fresh=True)
                self._look_at = (len(self._text) - self._pos) * 9 // 8 + 1
                return False
        elif self._fresh and len(self._head) + len(self._text) - start >= DECIDED:
            line = self._head + self._text[start : start + DECIDED]
            if HOLD.search(line[:DECIDED]) is None and fences.begins_program(line):
                self._open = self._opened(program(line))
                return False
        return self._settle_sure()

    def _settle_sure(self) -> bool:
        whole = HOLD.search(self._text, self._pos)
        if whole:
            self._look_at = _WHEN_WHOLE
        if (
            whole
            and self._fresh
            and fences.is_prefix(self._head + self._text[self._pos : whole.start()])
        ):
            return False
        tail = UNSURE_TAIL.search(self._text, max(self._pos, len(self._text) - 130))
        ends = [found.start() for found in (whole, tail) if found]
        if self._text.endswith("\r"):
            ends.append(len(self._text) - 1)
        self._settle(min([*ends, len(self._text)]), fresh=False)
        return False

    def _settle(self, end: int, *, fresh: bool = False) -> None:
        """The text up to here is done with; `fresh` where the rest of its line may be all code."""
        text = self._text[self._pos : end]
        self._pos = end
        self._pass(text, fresh=fresh)

    def _pass(self, text: str, *, fresh: bool = False) -> None:
        self._base += len(text)
        self._lines += text.count("\n")
        last = _last_end(text)
        if last < 0:
            self._head, self._fresh = (self._head + text)[: 2 * DECIDED], fresh
            return
        done = (self._head + text[:last]).rstrip()
        if done:
            start = _last_end(done) + 1
            self._before = done[start : start + 2 * DECIDED]
            self._path = path_in(done) or self._path
        self._head, self._fresh = text[last + 1 :][: 2 * DECIDED], last + 1 == len(text) or fresh

    # Blocks

    def _opened(self, opener: Opener) -> OpenBlock:
        """The block that begins where the text is settled up to."""
        before = self._head.strip() or self._before.strip()
        if opener.kind == "xml_tool":
            before = path_in(self._head) or self._path or before
        lead = self._head if opener.kind == "unfenced" and not opener.marker else ""
        return OpenBlock(opener, self._base, before, self._lines, 0, lead=lead)

    def _begin(
        self, opener: Opener, shift: int, ends: tuple[int, int], blocks: list[Block]
    ) -> None:
        """Open it; `shift` is where the opener's own offsets begin in the text."""
        line = self._text[max(0, shift) : ends[0]] if opener.kind == "unfenced" else ""
        line = self._head[: max(0, -shift)] + line if shift < 0 else line
        whole = shift + opener.body >= ends[0]
        self._settle(shift + opener.start, fresh=False)
        block = self._open = self._opened(opener)
        if opener.kind == "unfenced" and not opener.marker:
            block.sure = not fences.needs_body(line)
        elif opener.ends >= 0:
            self._take(shift + opener.ends)
            block.body = opener.body - opener.start
            self._finish(block, blocks, until=block.size - len(opener.marker))
        elif opener.kind in ("code_tag", "xml_tool", "fence"):
            self._take(ends[1] if opener.kind == "fence" and whole else shift + opener.body)
            block.body = block.size

    def _begin_json(self, start: int) -> bool:
        """JSON begins with this line, or may yet where `start` is negative."""
        if start < 0:
            return False
        self._settle(self._pos + start, fresh=False)
        self._open = self._opened(Opener(kind="json", start=0, body=0))
        return True

    def _take(self, end: int) -> None:
        assert self._open is not None
        self._open.take(self._text[self._pos : end])
        self._pos = end

    def _finish(
        self,
        block: OpenBlock,
        blocks: list[Block],
        *,
        until: int | None = None,
        closed: bool = True,
    ) -> None:
        """The open block ends with what was taken; its code ends at `until` of that."""
        raw = "".join(block.taken)
        opener = block.opener
        code = fences.program_of(block.lead + raw[block.body : until], opener.prefix)
        if opener.kind == "unfenced":
            code = fences.without_rest(code)
        elif opener.kind == "code_tag":
            code = fences.of_page(code)
        found = Block(
            kind=opener.kind,
            start=block.start,
            end=block.start + len(raw),
            info=opener.info,
            code=code,
            before=block.before,
            first_line=block.first_line + raw[: block.body].count("\n"),
            closed=closed,
        )
        self._open = None
        blocks.append(found)
        blocks += self._within(found)
        self._pass(raw)

    def _within(self, block: Block) -> list[Block]:
        """The fences in a block's code: those of a document in it, or of an answer that the
        block swallowed because a mark in its prose was taken for an opening."""
        named = block.info.lower() in ("markdown", "md")
        if self._depth >= _DEEPEST or named or not fences.holds_fence(block.code):
            return []
        inner = SnippetExtractor(self._depth + 1)
        first = block.first_line - 1
        return [
            replace(item, start=block.start, end=block.end, first_line=first + item.first_line)
            for item in inner.feed(block.code) + inner.close()
            if item.kind == "fence"
        ]

    def _give_up(self, block: OpenBlock) -> None:
        """What was taken is prose after all."""
        raw = "".join(block.taken)
        self._open = None
        self._pass(raw)

    # Each kind's end

    def _in_tag(self, block: OpenBlock, blocks: list[Block], final: bool) -> bool:
        closing = closing_tag(block.opener.marker)
        if found := closing.search(self._text, self._pos):
            until = block.size + found.start() - self._pos
            self._take(found.end())
            self._finish(block, blocks, until=until)
            return True
        self._take(len(self._text) if final else max(self._pos, len(self._text) - _LONGEST_END))
        return False

    def _in_json(self, block: OpenBlock, blocks: list[Block], final: bool) -> bool:
        """JSON goes to the bracket that closes it; what is none goes to the end, or as far."""
        while found := (_IN_TEXT if block.quoted else _BRACKET).search(self._text, self._pos):
            sign = found.group()
            self._take(found.end())
            if sign == '"':
                block.quoted = "" if block.quoted else sign
            elif sign in "{[":
                block.depth += 1
            elif sign in "}]":
                block.depth -= 1
                if block.depth <= 0:
                    self._finish_json(block, blocks)
                    return True
        # The last character may be a stroke that takes the meaning of the next.
        self._take(len(self._text) - (not final and self._text.endswith("\\")))
        if final:
            self._finish_json(block, blocks)
        return final

    def _finish_json(self, block: OpenBlock, blocks: list[Block]) -> None:
        raw = "".join(block.taken)
        whole = fences.json_end(raw) == len(raw)
        found = Block(
            kind="json",
            start=block.start,
            end=block.start + len(raw),
            info="json",
            code=raw,  # readers differ in what they forgive
            before=self._before,
            first_line=block.first_line,
            closed=whole,
        )
        blocks.append(found)
        blocks += [] if whole else self._read_anew(found)
        self._open = None
        self._pass(raw)

    def _read_anew(self, block: Block) -> list[Block]:
        """The blocks of what was taken for JSON; they are held, or withheld, with it as a whole."""
        inner = SnippetExtractor(self._depth, json=False)
        return [
            replace(
                item,
                start=block.start,
                end=block.end,
                first_line=block.first_line + item.first_line - 1,
            )
            for item in inner.feed(block.code) + inner.close()
        ]

    def _in_edit(self, block: OpenBlock, blocks: list[Block], final: bool) -> bool:
        mark = ">>>>>" if block.opener.kind == "search_replace" else "*** End Patch"
        while ends := self._line(final):
            done = self._text[self._pos : ends[0]].lstrip().startswith(mark)
            self._take(ends[0] if done else ends[1])
            if done:
                self._finish(block, blocks)
                return True
        return False

    def _in_fence(self, block: OpenBlock, blocks: list[Block], final: bool) -> bool:
        marker = block.opener.marker
        while self._pos < len(self._text):
            if block.opener.own and ">" not in block.opener.prefix:
                self._skip(marker)
            if (ends := self._line(final)) is None:
                return False
            line = self._text[self._pos : ends[0]]
            if self._left_quotation(block, line):
                self._finish(block, blocks)
                self._fresh = True
                return True
            close = re.match(rf"[ \t>]*({re.escape(marker)}{re.escape(marker[0])}*)[ \t]*$", line)
            if close or not block.opener.own:
                if self._ends_weak(block, line, close, ends, blocks):
                    return True
            self._take(ends[0] if close else ends[1])
            if close:
                self._finish(block, blocks, until=block.size - len(line))
                self._doubt = self._doubt or ("" if block.opener.own else marker)
                return True
        return False

    def _skip(self, marker: str) -> None:
        """Take the whole lines before the next one that has the marker."""
        at = self._text.find(marker[:3], self._pos)
        stop = len(self._text) if at < 0 else at
        last = max(
            self._text.rfind("\n", self._pos, stop), self._text.rfind("\r\n", self._pos, stop)
        )
        if last >= self._pos:
            self._take(last + 1)

    def _left_quotation(self, block: OpenBlock, line: str) -> bool:
        """Has the quotation ended in which the fence began? One never kept up is none."""
        if ">" not in block.opener.prefix or line.lstrip().startswith(">"):
            block.lines += 1
            return False
        return block.lines > 0 and ">" in "".join(block.taken[1:2])

    def _ends_weak(
        self,
        block: OpenBlock,
        line: str,
        close: re.Match[str] | None,
        ends: tuple[int, int],
        blocks: list[Block],
    ) -> bool:
        """Does a fence that began within a line of prose end here, or was it none at all?"""
        if block.opener.own:
            return False
        opener = fences.own_opener(line)
        if opener and opener.kind == "fence" and not block.coded:
            block.coded = not fences.is_prose("".join(block.taken)[block.body :])
        if opener and opener.kind == "fence" and (opener.info or not block.coded):
            if not block.coded and not self._doubt:
                self._give_up(block)
            else:
                self._finish(block, blocks)
            self._fresh = True
            return True
        bare = line.rstrip(" \t")
        if not close and bare.endswith("```"):
            until = block.size + len(bare.rstrip("`"))
            self._take(ends[0])
            self._finish(block, blocks, until=until)
            return True
        return False

    def _in_program(self, block: OpenBlock, blocks: list[Block], final: bool) -> bool:
        while ends := self._line(final):
            line = self._text[self._pos : ends[0]]
            if block.taken and not block.quoted:
                if not block.sure and line.strip():
                    if not re.match(r"(?:\t| {2,})(?![-*+] |\d+[.)] )", line):
                        self._give_up(block)
                        self._fresh = True
                        return True
                    block.sure = True
                if fences.ends_program(line, block.blank):
                    self._finish(block, blocks)
                    self._fresh = True
                    return True
            for quotes in re.findall(r'"""|\'\'\'', line):
                block.quoted = "" if block.quoted == quotes else block.quoted or quotes
            block.blank = not line.strip()
            self._take(ends[1])
        if final and not block.sure:
            self._give_up(block)
        return False


def _last_end(text: str) -> int:
    """Where the last character that ends a line stands; -1 where there is none."""
    if text[-1:] in _END_SET:
        return len(text) - 1
    find = text.rfind
    last = max(find("\n"), find("\r"), find("\x0b"), find("\x0c"))
    return last if text.isascii() else max(last, *map(find, _FAR_ENDS))
