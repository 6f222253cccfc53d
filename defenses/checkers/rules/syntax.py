"""Concrete syntax trees: the grammars, and a parser that gives up in time.

`tree_sitter` and a grammar are imported with the first snippet of a language. Error recovery of the
parser may take for ever on some texts, so that every parse has a deadline; `OutOfTime` says that it
passed, and nothing of that tree is used.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node as RawNode
    from tree_sitter import Parser

_SECONDS = 0.25
"""Of work for the parse of any text, however busy the machine is; long texts get more."""
_SECONDS_EACH = 4e-6
"""For each byte on top: several times what it takes."""

_GRAMMARS = {
    "javascript": ("tree_sitter_javascript", "language"),
    "typescript": ("tree_sitter_typescript", "language_typescript"),
    "tsx": ("tree_sitter_typescript", "language_tsx"),
    "java": ("tree_sitter_java", "language"),
    "go": ("tree_sitter_go", "language"),
    "c": ("tree_sitter_c", "language"),
    "cpp": ("tree_sitter_cpp", "language"),
    "php": ("tree_sitter_php", "language_php_only"),
    "ruby": ("tree_sitter_ruby", "language"),
    "csharp": ("tree_sitter_c_sharp", "language"),
    "rust": ("tree_sitter_rust", "language"),
    "bash": ("tree_sitter_bash", "language"),
}


class OutOfTime(Exception):
    """The parser did not come to an end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A node of a grammar's tree with the text that it stands for."""

    raw: "RawNode"
    source: bytes

    def kind(self) -> str:
        """The grammar's name for it."""
        return self.raw.type

    def is_named(self) -> bool:
        """Is it more than punctuation?"""
        return self.raw.is_named

    def text(self) -> str:
        """What stands in the code."""
        return self.source[self.raw.start_byte : self.raw.end_byte].decode("utf-8", "replace")

    def children(self) -> "list[Piece]":
        """Everything right below."""
        source = self.source
        return [Piece(kid, source) for kid in self.raw.children]

    def named(self) -> "list[Piece]":
        """What is right below and more than punctuation."""
        source = self.source
        return [Piece(kid, source) for kid in self.raw.named_children]

    def field(self, name: str) -> "Piece | None":
        """The part that plays this role, if there is one."""
        found = self.raw.child_by_field_name(name)
        return None if found is None else Piece(found, self.source)

    def field_children(self, name: str) -> "list[Piece]":
        """All parts that play this role."""
        return [Piece(kid, self.source) for kid in self.raw.children_by_field_name(name)]

    @property
    def extent(self) -> tuple[int, int]:
        """First and last byte: what tells pieces of one tree apart."""
        return self.raw.start_byte, self.raw.end_byte

    @property
    def line(self) -> int:
        """First line, from 1."""
        return self.raw.start_point[0] + 1

    @property
    def last(self) -> int:
        """Last line, from 1."""
        return self.raw.end_point[0] + 1


@cache
def _maker(grammar: str) -> "Callable[[], Parser]":
    from tree_sitter import Language, Parser

    module, function = _GRAMMARS[grammar]
    language = Language(getattr(import_module(module), function)())
    return lambda: Parser(language)


def read(text: str, grammar: str) -> Piece:
    """The tree of a text. Raises `OutOfTime`."""
    source = text.encode("utf-8", "replace")
    deadline = time.thread_time() + _SECONDS + _SECONDS_EACH * len(source)

    def late(offset: int, has_error: bool) -> bool:
        return time.thread_time() > deadline

    def pieces(offset: int, point: object) -> bytes:
        return source[offset : offset + 65536]

    try:
        tree = _maker(grammar)().parse(pieces, progress_callback=late)
    except ValueError as error:  # the library's word for a parse that was called off
        raise OutOfTime from error
    return Piece(tree.root_node, source)
