"""Code of a fragment as the guest can run it, completed as for the static checks, line by line.

What parses is run as it stands. What does not is read as far as possible and written anew; whose
line is whose is remembered, so that claims and sinks meet.
"""

import ast
import textwrap
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeGuard

from bluecode.defenses.checkers import python_fragments
from bluecode.defenses.checkers.observations import Entry, Observations
from bluecode.defenses.verdict import DetectorError

LONGEST = 40_000
"""Characters of a fragment that is written anew; for a longer one it would take too long."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """What is run in the place of a snippet."""

    code: str
    lines: Mapping[int, int] | None = None
    """From lines of the code that is run to lines of the snippet; None where they are the same."""

    def span(self, first: int, last: int) -> tuple[int, int]:
        """Where lines of the snippet are in the code that is run."""
        if self.lines is None:
            return first, last
        found = [line for line, own in self.lines.items() if first <= own <= last]
        return (min(found), max(found)) if found else (first, last)

    def restored(self, seen: Observations) -> Observations:
        """Observations with the snippet's lines."""
        if self.lines is not None:
            for entry in seen.entries:
                self._restore(entry)
        return seen

    def _restore(self, entry: Entry) -> None:
        entry.first, entry.last = self._own(entry.first), self._own(entry.last)
        for call in entry.calls:
            call.line = self._own(call.line)
            call.sinks = [replace(sink, line=self._own(sink.line)) for sink in call.sinks]

    def _own(self, line: int) -> int:
        assert self.lines is not None
        above = [known for known in self.lines if known <= line]
        return self.lines[max(above)] if line and above else line


def runnable(code: str) -> Runnable:
    """The code itself where it can be run, else what of it can be read."""
    if len(code) > LONGEST or _runs(code) or _runs(textwrap.dedent(code)):
        return Runnable(code)
    try:
        parsed = python_fragments.parse(code)
        tree = _gathered(_bared(parsed.tree))
        text = ast.unparse(tree)
        again = ast.parse(text)
    except (DetectorError, SyntaxError, ValueError, RecursionError, MemoryError):
        return Runnable(code)
    return Runnable(
        text, {new: max(1, old - parsed.shift) for new, old in aligned(again, tree).items()}
    )


def aligned(again: ast.Module, tree: ast.Module) -> Mapping[int, int]:
    """From lines of a tree that was written and read again to the lines of the tree itself."""
    lines: dict[int, int] = {}
    for new, old in zip(ast.walk(again), ast.walk(tree), strict=False):
        at, was = getattr(new, "lineno", None), getattr(old, "lineno", None)
        if type(new) is type(old) and at is not None and was is not None:
            lines.setdefault(at, was)
    return lines


def _bared(tree: ast.Module) -> ast.Module:
    """Without the `if True:` in front of what stood further to the right."""
    body = tree.body
    while any(_is_frame(node) for node in body):
        inner = [node.body if _is_frame(node) else [node] for node in body]
        body = [node for nodes in inner for node in nodes]
    tree.body = body
    return tree


def _is_frame(node: ast.stmt) -> TypeGuard[ast.If]:
    if not isinstance(node, ast.If) or node.orelse:
        return False
    return isinstance(node.test, ast.Constant) and node.test.value is True


def _gathered(tree: ast.Module) -> ast.Module:
    """A module whose loose statements stand in a function, where they need one: a piece that was
    cut out of a function often ends with a `return` before the next one begins."""
    loose = [node for node in tree.body if not isinstance(node, _DEFINITIONS)]
    if not loose or not any(_needs_function(node) for node in loose):
        return tree
    text = f"async def {FRAGMENT}(): pass" if _awaits(loose) else f"def {FRAGMENT}(): pass"
    function = ast.parse(text).body[0]
    assert isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
    function.body = [*_known_before(loose), *loose]
    function.lineno = loose[0].lineno
    tree.body = [function, *(node for node in tree.body if isinstance(node, _DEFINITIONS))]
    return tree


def _known_before(nodes: list[ast.stmt]) -> list[ast.stmt]:
    """Assignments that say that what a piece reads before it gives it a value came from outside the
    piece, from where nobody knows what it is."""
    read: dict[str, int] = {}
    written: dict[str, int] = {}
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                first = written if isinstance(part.ctx, ast.Store) else read
                first[part.id] = min(first.get(part.id, part.lineno), part.lineno)
    names = sorted(name for name, line in written.items() if read.get(name, line + 1) <= line)
    return ast.parse("\n".join(f"{name} = {name}_given" for name in names)).body


_DEFINITIONS = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom,
)  # fmt: skip
FRAGMENT = "fragment"


def _needs_function(node: ast.AST) -> bool:
    if isinstance(node, (*_DEFINITIONS, ast.Lambda)):
        return False
    if isinstance(node, ast.Return | ast.Yield | ast.YieldFrom | ast.Await | ast.AsyncFor):
        return True
    return any(_needs_function(child) for child in ast.iter_child_nodes(node))


def _awaits(nodes: list[ast.stmt]) -> bool:
    waiting = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    return any(isinstance(item, waiting) for node in nodes for item in ast.walk(node))


def _runs(code: str) -> bool:
    """Does it parse, with nothing outside a function that only a function may hold?"""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return not any(_needs_function(node) for node in ast.parse(code).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
