"""A stretch of text on its way to becoming snippets, and what its words alone give away.

Whether a string is a program is asked of the parser, never guessed from a key's name; prose that
merely mentions code stays prose. What no parser reads is not called a program here.
"""

import ast
import re
import warnings
from dataclasses import dataclass, replace
from typing import Any, Literal

from bluecode.defenses import language
from bluecode.defenses.conversation import Origin, Snippet

Form = Literal["any", "plain", "command", "carried"]
"""To be looked into, to be taken as it stands, a command line for a shell, or a part of one that
was given as a snippet already."""

_LARGEST_PARSED = 100_000
"""Characters of a string that are parsed to learn whether it is a program."""
_HINT = re.compile(r"\bimport\b|__|\b(?:exec|globals)\s*\(|[;\n]")
_STARTERS = frozenset({"__import__", "exec", "globals"})
_ACTS = (
    ast.Call, ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
    ast.With, ast.For, ast.While,
)  # fmt: skip
_WORD = re.compile(r"[\w./@:+-]{1,300}")
_CODE_MARK = re.compile(r"[{}()\[\];=<>$|\\]|^\s*[@#%]|[:&]\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """Text that may wrap other text; what is known of it travels with it."""

    text: str
    tag: str = ""
    path: str | None = None
    origin: Origin = "tool"
    form: Form = "any"
    context: str = ""
    first_line: int = 1
    depth: int = 0
    """How many wrappings were taken off so far."""

    def inner(self, text: str, **changes: Any) -> "Piece":
        """What was found within: its tag and form are not the wrapping's."""
        known = {"tag": "", "form": "any", "context": "", **changes}
        return replace(self, text=text, depth=self.depth + 1, **known)

    @property
    def spoken(self) -> str | None:
        """The language that the tag or the file's name says."""
        return language.canonical(self.tag) or (language.of_path(self.path) if self.path else None)

    def snippet(self) -> Snippet:
        """The piece as it stands."""
        spoken = language.decide(self.text, tag=self.tag, path=self.path)
        bare = self.origin == "tool" and self.path is None
        if spoken is None and bare and reads_as_prose(self.text):
            spoken = "text"
        elif spoken in ("json", "csv", "css") and acts(self.text):
            spoken = "python"
        return Snippet(
            code=self.text,
            language=spoken,
            origin=self.origin,
            path=self.path,
            context=self.context,
            first_line=self.first_line,
        )


def parsed(text: str) -> ast.Module | None:
    """The syntax tree, or None for what is no Python or too large to be asked about."""
    if len(text) > _LARGEST_PARSED:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # odd escapes are the snippet's affair
            return ast.parse(text.strip())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def acts(text: str) -> bool:
    """Is it Python that calls, imports or defines something?"""
    if "(" not in text and "import" not in text and "class" not in text:
        return False
    tree = parsed(text)
    return tree is not None and any(isinstance(node, _ACTS) for node in ast.walk(tree))


def stands_alone(text: str) -> bool:
    """Is it Python that does something by itself, where a single call may be a mere mention?"""
    if not _HINT.search(text):
        return False
    tree = parsed(text)
    if tree is None:
        return len(text) > _LARGEST_PARSED and language.of_content(text) == "python"
    nodes = list(ast.walk(tree))
    does = any(isinstance(node, ast.Call) for node in nodes)
    starts = any(isinstance(node, ast.Name) and node.id in _STARTERS for node in nodes)
    imports = any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in tree.body)
    return does and (starts or imports or len(tree.body) > 1) or (imports and len(tree.body) > 1)


def reads_as_prose(text: str) -> bool:
    """Words without any sign that code is made of: a task, a title, a remark, a path."""
    if _CODE_MARK.search(text):
        return False
    return bool(re.search(r"[A-Za-z]\w+ \w", text) or _WORD.fullmatch(text.strip()))
