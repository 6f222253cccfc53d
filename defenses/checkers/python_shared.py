"""State that several threads share, looked at and then changed without a lock.

Claimed only where the snippet itself speaks of threads: an object that one thread uses needs no
lock. Between the look and the change another thread can come in.
"""

import ast
import re
from collections.abc import Iterator

from bluecode.defenses.checkers.python_state import Function, Run
from bluecode.defenses.checkers.python_tree import statements

_THREADS = re.compile(r"(?i)\bthread(?:s|ed|ing|pool\w*)?\b|Thread\(|concurren|\bsimultaneous")
_LOCKS = re.compile(
    r"(?i)lock|semaphore|condition\(|queue|atomic|synchroni[sz]ed|transaction|mutex|for_update"
    r"|threading\.local|contextvar"
)


def unlocked(run: Run, tree: ast.Module) -> None:
    """Claim a change that rests on a look at state which other threads change as well."""
    if _THREADS.search(run.text) is None or _LOCKS.search(run.text) is not None or run.is_test:
        return
    for node in statements(tree):
        if isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    if item.name != "__init__":
                        _checked_then_changed(run, item)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            shared = _shared(node)
            if shared:
                _counted(run, node, shared)


def _checked_then_changed(run: Run, node: Function) -> None:
    """`if self.balance >= amount: ... self.balance -= amount`."""
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.If) and (read := _measured(inner.test)):
                if any(_place(changed) in read for changed in _counted_on(inner.body)):
                    run.claim("unsynchronised_state", inner, 0.55)
                    return


def _measured(test: ast.expr) -> set[str]:
    """Attributes that a test compares as more or less than something, or looks for a key in."""
    found: set[str] = set()
    for node in ast.walk(test):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], _ORDERS):
            found |= {_place(part) for part in ast.walk(node)}
    return found - {""}


_ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


def _counted_on(body: list[ast.stmt]) -> Iterator[ast.expr]:
    """What is set to something that is made of what it was."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.AugAssign):
                yield node.target
            elif isinstance(node, ast.Assign) and isinstance(node.value, ast.BinOp):
                old = {_place(part) for part in ast.walk(node.value)}
                yield from (target for target in node.targets if _place(target) in old)


def _place(node: ast.AST) -> str:
    """`self.a` or an item of it, as a text; "" for anything else."""
    while isinstance(node, ast.Subscript):
        node = node.value
    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "self":
        return node.attr
    return ""


def _shared(node: Function) -> frozenset[str]:
    return frozenset(
        name
        for statement in node.body
        for inner in ast.walk(statement)
        if isinstance(inner, ast.Global)
        for name in inner.names
    )


def _counted(run: Run, node: Function, shared: frozenset[str]) -> None:
    """A global that is changed by what it was: `counter += 1`, or a copy of it put back."""
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.AugAssign) and getattr(inner.target, "id", "") in shared:
                run.claim("unsynchronised_state", inner, 0.52)
                return
