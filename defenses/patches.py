"""Edits and patches: what a file looks like afterwards, as far as the edit shows.

V4A patches, unified diffs with or without headers, and SEARCH/REPLACE blocks. Lines that were only
taken out are context, never code to be judged.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bluecode.defenses import language
from bluecode.defenses.pieces import Piece, acts

_FILE = re.compile(r"\*\*\* (?:Add|Update) File: (?P<path>.+)")
_MOVE = re.compile(r"\*\*\* Move to: (?P<path>.+)")
_V4A = re.compile(r"\*\*\* (?:Begin Patch|(?:Add|Update|Delete) File: )")
_NEW_SIDE = re.compile(r"\+\+\+ (?:\"?b/)?(?P<path>[^\t\n\"]+)")
_GIT = re.compile(r"diff --git .* \"?b/(?P<path>.+)")
_RENAMED = re.compile(r"(?:rename|copy) to (?P<path>.+)")
_HUNK = re.compile(r"@@ -\d+(?:,(?P<old>\d{1,9}))? \+\d+(?:,(?P<new>\d{1,9}))? @@")
_HEAD = re.compile(
    r"\s*(?:\*\*\* (?:Begin Patch|(?:Add|Update|Delete) File: )|diff --git |diff -[\w-]+ "
    r"|Index: \S|From [0-9a-f]{7,40} |@@ -\d|--- \S[^\n]*\n\+\+\+ \S)"
)
_MAIL = re.compile(r"\s*(?:From|Subject|Date): ")
_MARKED = re.compile(r"^(?:\*\*\* (?:Add|Update) File: |diff --git )", re.MULTILINE)
_OPENS = re.compile(r"[ \t]*(?:<{5,9}|-{5,9} SEARCH\b)")
_TURNS = re.compile(r"[ \t]*={5,9}[ \t\r]*$")
_ENDS = re.compile(r"[ \t]*(?:>{5,9}|\+{5,9} REPLACE\b)")


def is_patch(piece: Piece) -> bool:
    """Does it begin as a patch does? A `diff` tag vouches for one that has no header."""
    head = piece.text[:4000]
    if _HEAD.match(head) or (_MAIL.match(head) and _MARKED.search(head)):
        return True
    if piece.spoken != "diff" or _is_edit(piece.text):
        return False
    return any(line.startswith(("+", "-", "@@", "*** ")) for line in piece.text.split("\n"))


def _is_edit(text: str) -> bool:
    """Does it hold SEARCH/REPLACE blocks, which some assistants call a diff, too?"""
    first = next((line for line in text.split("\n") if line.strip()), "")
    return _OPENS.match(first) is not None and "=====" in text


@dataclass(slots=True)
class _File:
    """The lines of one file so far."""

    path: str | None
    body: bool = False
    """Have its lines begun?"""
    new: list[str] = field(default_factory=list)
    old: list[str] = field(default_factory=list)
    first: int = 0
    added: bool = False
    left: list[int] = field(default_factory=lambda: [0, 0])
    """Lines of the old and the new side that the hunk's header still promises."""
    counted: bool = False

    def take(self, line: str, number: int) -> None:
        sign = line[:1]
        if sign == "-":
            self.old.append(line[1:])
        elif sign == "\\":  # "No newline at end of file"
            return
        elif sign in ("+", " ", "") or not self.counted or self.left[1] > 0:
            self.first = self.first or number
            self.new.append(line[1:] if sign in ("+", " ") else line)
            self.added = self.added or sign not in (" ", "")
        self.left[0] -= sign != "+"
        self.left[1] -= sign != "-"


def patched(piece: Piece) -> Iterator[Piece]:
    """The new side of each file that the patch changes; a file that only shrinks has none."""
    lines = [line.removesuffix("\r") for line in piece.text.split("\n")]
    here = _File(piece.path, body=_headless(lines))
    outside: list[str] = []
    v4a = False
    for number, line in enumerate(lines):
        if line.startswith("*** ") and not (here.counted and here.left[1] > 0):
            v4a = v4a or _V4A.match(line) is not None
            if moved := _MOVE.match(line):
                here.path = _tidy(moved["path"])
            elif not line.startswith("*** End of File"):
                yield from _side(piece, here)
                named = _FILE.match(line)
                path = _tidy(named["path"]) if named else piece.path
                here = _File(path, body=named is not None)
        elif not v4a and (header := _header(lines, number, here)) is not None:
            yield from _side(piece, here)
            here = _File(header or here.path)
        elif not v4a and not here.body and (new := _NEW_SIDE.match(line)):
            path = _tidy(new["path"])
            here.path, here.body = here.path if path == "/dev/null" else path, True
        elif line.startswith("@@"):
            _open_hunk(here, line)
        elif here.body:
            here.take(line, number)
        else:
            outside.append(line)
    yield from _side(piece, here)
    if acts(rest := "\n".join(outside)):
        yield piece.inner(rest, path=piece.path)


def _tidy(path: str) -> str:
    return path.strip().strip('"')


def _headless(lines: list[str]) -> bool:
    """Nothing but signs: the lines of a file that is not named."""
    first = next((line for line in lines if line.strip()), "")
    if first.startswith(("--- ", "+++ ")):
        return False
    pairs = zip(lines, lines[1:], strict=False)
    return not any(_HEAD.match(line) for line in lines) and not any(
        old.startswith("--- ") and new.startswith("+++ ") for old, new in pairs
    )


def _header(lines: list[str], number: int, here: _File) -> str | None:
    """The path, empty where unknown, if the line begins another file of a unified diff."""
    line = lines[number]
    if found := _GIT.match(line) or _RENAMED.match(line):
        return _tidy(found["path"]) if not here.body or line.startswith("diff") else None
    if not line.startswith("--- ") or number + 1 >= len(lines):
        return None
    new = _NEW_SIDE.match(lines[number + 1])
    after = lines[number + 2] if number + 2 < len(lines) else ""
    # Within a hunk, `--- a` and `+++ b` may be a removed and an added line.
    if new is None or (here.body and not after.startswith("@@")):
        return None
    return ""


def _open_hunk(here: _File, line: str) -> None:
    if here.new:
        here.new.append("")
    here.body = True
    if counts := _HUNK.match(line):
        here.counted = True
        here.left = [int(counts[side] or "1") for side in ("old", "new")]


def _side(piece: Piece, file: _File) -> Iterator[Piece]:
    if not file.added or not any(line.strip() for line in file.new):
        return
    while file.new and not file.new[-1]:
        file.new.pop()
    yield piece.inner(
        "\n".join(file.new) + "\n",
        path=file.path,
        origin="patch",
        context="\n".join(file.old),
        first_line=piece.first_line + file.first,
    )


def edited(piece: Piece) -> list[Piece]:
    """The new text of each SEARCH/REPLACE block, and what stands around them if it is code."""
    if "=====" not in piece.text:
        return []
    around: list[str] = []
    found: list[Piece] = []
    lines = piece.text.split("\n")
    tag = "" if piece.spoken == "diff" else piece.tag
    at = 0
    while at < len(lines):
        turn = _line_of(_TURNS, lines, at + 1) if _OPENS.match(lines[at]) else None
        if turn is None:
            if _OPENS.match(lines[at]):  # no line further down divides anything
                around += lines[at:]
                break
            around.append(lines[at])
            at += 1
            continue
        end = _line_of(_ENDS, lines, turn + 1)
        end = len(lines) if end is None else end
        above = next((line for line in reversed(around[-3:]) if line.strip()), "")
        found.append(
            piece.inner(
                "".join(f"{line}\n" for line in lines[turn + 1 : end]),
                tag=tag,
                path=path_in(above) or piece.path,
                origin="search_replace",
                context="\n".join(lines[at + 1 : turn]),
                first_line=piece.first_line + turn + 1,
            )
        )
        at = end + 1
    rest = "\n".join(around)
    if found and language.of_content(rest) is not None:
        found.append(piece.inner(rest, form="plain", path=piece.path, tag=tag))
    return found


def _line_of(sign: re.Pattern[str], lines: list[str], start: int) -> int | None:
    return next((at for at in range(start, len(lines)) if sign.match(lines[at])), None)


_PATH_LIKE = re.compile(r"[\w./~\\@+-]*[\w-]\.\w{1,8}")


def path_in(line: str) -> str | None:
    """The path that a line consists of, apart from marks around it."""
    bare = line.strip()[:500].strip("`*#: ")
    return bare if _PATH_LIKE.fullmatch(bare) else None
