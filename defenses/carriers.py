"""From what assistants wrap code in to snippets: fences, patches, edits, tool arguments, commands.

Wrappings are taken off one after the other, without recursion and to a bounded depth. What lies
deeper is handed on as it stands and said to be unreadable; it never vanishes.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bluecode.defenses import arguments as call_arguments
from bluecode.defenses import documents, language
from bluecode.defenses.commands import programs
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.patches import edited, is_patch, patched
from bluecode.defenses.pieces import Piece, acts, reads_as_prose
from bluecode.defenses.snippets import Block, SnippetExtractor

_DEEPEST = 8
"""Wrappings taken off one piece: a fence, a command, its here-document, a patch, and so on."""
_SHELLS = frozenset({"bash", "dockerfile", "make"})
_MARKS = ("```", "~~~", "<code")


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The snippets found, and whether everything could be read."""

    snippets: tuple[Snippet, ...]
    unreadable: bool = False


_CALL = re.compile(
    r'"(?:name|tool|tool_name|function|action)"\s*:\s*"[^"]*",\s*'
    r'"(?:arguments|parameters|args|input|tool_input|action_input)"\s*:'
)


def in_block(block: Block) -> tuple[Snippet, ...]:
    """The snippets of one block of an answer's text."""
    return _unwrapped(_pieces_of(block)).snippets


def in_text(text: str) -> tuple[Snippet, ...]:
    """The snippets of a whole text."""
    extractor = SnippetExtractor()
    blocks = extractor.feed(text) + extractor.close()
    return _unwrapped([piece for block in blocks for piece in _pieces_of(block)]).snippets


def _pieces_of(block: Block) -> list[Piece]:
    """A block as it stands, or the arguments of the call that some models write out as text."""
    if block.code.lstrip()[:1] in ("{", "[") and (
        block.kind == "xml_tool" or _CALL.search(block.code)
    ):
        pieces, whole = call_arguments.pieces(block.code)
        if whole:
            return pieces
    if block.kind == "xml_tool" and "\n" not in block.code and reads_as_prose(block.code):
        return []  # a word or a sentence: the tool's other arguments
    piece = documents.of_block(block)
    if block.kind == "code_tag" and "\n" not in block.code and piece.snippet().language is None:
        return []  # a name within a sentence
    bracket = piece.spoken is None and block.code.lstrip()[:1] in ("{", "[")
    if piece.spoken == "json" or bracket:
        return [piece, *call_arguments.files(block.code)]
    return [piece]


def in_arguments(arguments: str) -> Carried:
    """The snippets of a function call's JSON arguments. Broken JSON is read as raw text too."""
    pieces, whole = call_arguments.pieces(arguments)
    carried = _unwrapped(pieces)
    return carried if whole else replace(carried, unreadable=True)


def in_input(text: str) -> tuple[Snippet, ...]:
    """The snippets of a custom tool's raw input: a patch, or code."""
    return _unwrapped([Piece(text=text)]).snippets


def _unwrapped(pieces: Sequence[Piece]) -> Carried:
    """Take off wrappings until nothing but snippets is left."""
    found: dict[Snippet, None] = {}
    left = list(reversed(pieces))
    unreadable = False
    while left:
        piece = left.pop()
        if not piece.text.strip():
            continue
        if piece.depth > _DEEPEST:
            unreadable = True
            found[_unopened(piece)] = None
            continue
        inner: list[Piece] = []
        for item in _opened(piece):
            if isinstance(item, Piece):
                inner.append(item)
            else:
                found.setdefault(item)
        left += reversed(inner)
    return Carried(snippets=tuple(found), unreadable=unreadable)


def _unopened(piece: Piece) -> Snippet:
    """A piece as it stands; what would pass for data is said to be in no known language."""
    snippet = piece.snippet()
    return replace(snippet, language=None) if snippet.language in language.DATA else snippet


def _opened(piece: Piece) -> Iterator[Snippet | Piece]:
    """A piece's own snippet, if it is one, and the pieces within."""
    spoken = piece.spoken
    if piece.form == "command":
        yield Snippet(
            code=piece.text, language="bash", origin=piece.origin, first_line=piece.first_line
        )
        yield from programs(piece)
    elif piece.form == "carried":
        yield from programs(piece)
    elif piece.form == "plain":
        yield piece.snippet()
    elif is_patch(piece):
        yield from patched(piece)
        if acts(piece.text):  # `--- a` is Python, too
            yield piece.inner(piece.text, tag="python", form="plain")
    elif edits := edited(piece):
        yield from edits
    elif spoken == "markdown" and any(mark in piece.text for mark in _MARKS):
        yield from documents.blocks(piece)
    elif _is_notebook(piece):
        yield from _notebook(piece)
    else:
        yield from _taken(piece)


def _taken(piece: Piece) -> Iterator[Snippet | Piece]:
    """A piece that is a snippet, and what its language lets it carry."""
    snippet = piece.snippet()
    yield snippet
    if snippet.language in _SHELLS:
        yield from programs(piece)
    else:
        yield from documents.within(piece, snippet.language)


def _is_notebook(piece: Piece) -> bool:
    if piece.spoken in (None, "python") and documents.is_magic(piece.text):
        return True
    return (piece.path or "").lower().endswith(".ipynb") or piece.tag.lower() == "ipynb"


def _notebook(piece: Piece) -> Iterator[Snippet | Piece]:
    """All cells of a notebook, or one cell that is written into it."""
    cells = documents.notebook(piece)
    if cells is not None:
        # A cell is Python unless it says otherwise: the notebook's own suffix says JSON.
        yield from (replace(cell, path=None) for cell in cells)
        return
    tag = piece.tag if piece.tag and piece.tag.lower() != "ipynb" else "python"
    cell = replace(piece, tag=tag, path=None)
    inner = documents.cell(cell)
    if not inner or acts(piece.text):
        yield cell.snippet()
    yield from inner
