"""Code nested deeper than a walk can follow: made shallow where nothing is lost, else cut and said.

Python runs code that is nested far deeper than a recursive walk gets; one monstrous expression must
not hide what stands beside it.
"""

import ast
from collections.abc import Iterator

from bluecode.defenses.checkers.python_layout import layout

_DEEPEST = 560
"""Weight along one branch of the tree: about two frames of the walk for each point and a half."""
_HEAVY = (ast.Call, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_LONGEST_CHAIN = 60
_LONG = 1500
"""Characters of a statement; a shorter one is never too deep for the parser."""


def shallow(tree: ast.Module) -> int:
    """Flatten long sums and `elif` chains in place, cut what is deeper still; how often it cut."""
    _split_chains(tree)
    cuts = 0
    left: list[tuple[ast.AST, int]] = [(tree, 0)]
    while left:
        node, weight = left.pop()
        for name, child in _fields(node):
            deeper = weight + (6 if isinstance(child, _HEAVY) else 2)
            if isinstance(child, ast.BinOp):
                child = _balanced(child)
                _put(node, name, child)
            if deeper > _DEEPEST and isinstance(child, (ast.expr, ast.stmt)):
                empty = ast.Pass() if isinstance(child, ast.stmt) else ast.Constant(value=...)
                _put(node, name, ast.copy_location(empty, child))
                cuts += 1
            else:
                left.append((child, deeper))
    return cuts


def _fields(node: ast.AST) -> Iterator[tuple[tuple[str, int], ast.AST]]:
    for name, value in list(ast.iter_fields(node)):
        if isinstance(value, ast.AST):
            yield (name, -1), value
        elif isinstance(value, list):
            for at, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield (name, at), item


def _put(node: ast.AST, place: tuple[str, int], child: ast.AST) -> None:
    name, at = place
    if at < 0:
        setattr(node, name, child)
    else:
        getattr(node, name)[at] = child


def _balanced(node: ast.BinOp) -> ast.expr:
    """A long sum as a tree of halves: for text as for numbers, it adds up to the same."""
    terms: list[ast.expr] = []
    left: ast.expr = node
    while isinstance(left, ast.BinOp) and isinstance(left.op, ast.Add):
        terms.append(left.right)
        left = left.left
    if len(terms) < _LONGEST_CHAIN:
        return node
    row = [left, *reversed(terms)]
    while len(row) > 1:
        pairs = [row[at : at + 2] for at in range(0, len(row), 2)]
        row = [pair[0] if len(pair) == 1 else _sum(pair[0], pair[1]) for pair in pairs]
    return row[0]


def _sum(first: ast.expr, last: ast.expr) -> ast.expr:
    both = ast.BinOp(left=first, op=ast.Add(), right=last)
    both.lineno, both.col_offset = first.lineno, first.col_offset
    both.end_lineno, both.end_col_offset = last.end_lineno, last.end_col_offset
    return both


def _split_chains(tree: ast.Module) -> None:
    """Continue a long chain of `elif` behind itself: as if each of its parts were reached."""
    left: list[ast.AST] = [tree]
    while left:
        node = left.pop()
        for _, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                at = 0
                while at < len(value):
                    rest = _rest_of_chain(value[at])
                    value[at + 1 : at + 1] = rest
                    at += 1
            if isinstance(value, list):
                left += [item for item in value if isinstance(item, ast.AST)]


def _rest_of_chain(node: ast.stmt) -> list[ast.stmt]:
    for _ in range(_LONGEST_CHAIN):
        if not isinstance(node, ast.If) or len(node.orelse) != 1:
            return []
        node = node.orelse[0]
    if not isinstance(node, ast.If):
        return []
    rest, node.orelse = node.orelse, []
    return rest


def shortened(text: str) -> tuple[str, int]:
    """The text without the statements that overwhelm the parser, and the lines left out."""
    lines = text.split("\n")
    starts = layout(text).lines
    dropped = 0
    chain: dict[int, int] = {}  # branches so far, by indentation
    for at, start in enumerate(starts):
        end = starts[at + 1].number if at + 1 < len(starts) else len(lines)
        chain[start.indent] = chain.get(start.indent, 0) + 1 if start.text[:4] == "elif" else 0
        if chain[start.indent] > _LONG:
            lines[start.number] = lines[start.number].replace("elif", "if", 1)
            chain[start.indent] = 0
            dropped += 1
        statement = "\n".join(lines[start.number : end]).strip()
        if len(statement) > _LONG and _overwhelms(statement):
            opens = "if True:" if statement.endswith(":") else "pass"
            lines[start.number : end] = [
                " " * start.indent + opens,
                *[""] * (end - start.number - 1),
            ]
            dropped += end - start.number
    return "\n".join(lines), dropped


def _overwhelms(statement: str) -> bool:
    try:
        ast.parse(f"{statement}\n pass" if statement.endswith(":") else statement)
    except (RecursionError, MemoryError):
        return True
    except (SyntaxError, ValueError):
        return False
    return False
