"""Passes over a whole syntax tree, each no wider than what is asked for.

Most snippets define and import a little and never need to know all that is called in them.
"""

import ast
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_NO_PARTS = frozenset(
    "ctx op ops id attr name names arg asname module level type_comment type_ignores kind simple n "
    "s conversion rest kwd_attrs is_async lineno tag".split()
)
_LEAVES = frozenset({ast.Name, ast.Constant, type(None)})
_BLOCKS = ("body", "orelse", "handlers", "finalbody", "cases")


def _kinds(*bases: type[ast.AST]) -> Iterator[type[ast.AST]]:
    for kind in vars(ast).values():
        if isinstance(kind, type) and issubclass(kind, bases):
            yield kind


_PARTS: Mapping[type, tuple[str, ...]] = {
    kind: tuple(name for name in kind._fields if name not in _NO_PARTS)
    for kind in _kinds(ast.AST)
    if kind not in (ast.Constant, ast.MatchSingleton)
}
"""Fields in which other nodes may stand."""
_INNER: Mapping[type, tuple[str, ...]] = {
    kind: tuple(name for name in _BLOCKS if name in kind._fields)
    for kind in _kinds(ast.mod, ast.stmt, ast.excepthandler, ast.match_case)
}
"""Fields in which statements may stand."""


class Called(NamedTuple):
    """Names of what is called."""

    own: frozenset[str]
    """Functions called by their bare names, and methods of `self` or `cls`."""
    all: frozenset[str]
    """The last names of all functions and methods."""


def statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement, outer ones first."""
    left: deque[ast.AST] = deque([tree])
    while left:
        node = left.popleft()
        yield node
        for name in _INNER[type(node)]:
            left.extend(getattr(node, name))


def called(tree: ast.Module) -> Called:
    """What is called anywhere."""
    own: set[str] = set()
    names: set[str] = set()
    left: list[Any] = [tree]
    while left:
        node = left.pop()
        kind = type(node)
        if kind is ast.Call:
            function = node.func
            if type(function) is ast.Name:
                own.add(function.id)
            elif type(function) is ast.Attribute:
                names.add(function.attr)
                if type(function.value) is ast.Name and function.value.id in ("self", "cls"):
                    own.add(function.attr)
        for name in _PARTS.get(kind, ()):
            held = getattr(node, name, None)
            if type(held) is list:
                left.extend([item for item in held if type(item) not in _LEAVES])
            elif type(held) not in _LEAVES:
                left.append(held)
    return Called(frozenset(own), frozenset(own | names))
