"""Sizes that a client chooses: what is made of them takes as much memory as the client likes.

A number of a request that goes into the size of a list, a buffer, an array or a text and is
compared with nothing on the way has no bound.
"""

import ast
import re
from collections.abc import Iterator

from bluecode.defenses.checkers.python_names import names_untrusted, words
from bluecode.defenses.checkers.python_state import Function, Run
from bluecode.defenses.checkers.python_tree import statements

_MENTIONED = re.compile(r"\b(?:int|float)\(|@\w[\w.]*\.(?:get|post|put|patch|route|api_route)\(")
_REQUESTED = re.compile(
    r"request\b|\breq\b|\bpayload\b|\bform\b|query_params|\bbody\b|user_input|\bparams\b|\bevent\b"
)
_SIZED = frozenset(
    "bytearray bytes zeros ones empty full token_bytes token_hex urandom rand randn arange "
    "create_string_buffer sleep".split()
)
_TYPED = frozenset({"int"})
_ROUTES = frozenset("get post put patch route api_route".split())


def unbounded(run: Run, tree: ast.Module) -> None:
    """Claim what is made as large as a request asks for."""
    if _MENTIONED.search(run.text) is None or run.is_test:
        return
    for node in statements(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            sizes = _sizes(node)
            if sizes or "sleep" in run.text:
                _made(run, node, sizes - _compared(node))


def _sizes(node: Function) -> frozenset[str]:
    """Variables that hold a number which a client chose."""
    found = {item.arg for item in node.args.args if _is_route(node) and _is_number(item)}
    strangers = {item.arg for item in node.args.args if _is_theirs(item.arg)}
    for inner in _all(node):
        if isinstance(inner, ast.Assign) and _from_request(inner.value, strangers):
            found.update(item.id for item in inner.targets if isinstance(item, ast.Name))
    return frozenset(found)


def _is_theirs(name: str) -> bool:
    found = words(name)
    return names_untrusted(name) or bool(found & {"user", "client"} and found & _NUMBERS)


_NUMBERS = frozenset("count size length number amount width height times rows columns n".split())


def _is_number(item: ast.arg) -> bool:
    return getattr(item.annotation, "id", "") in _TYPED


def _is_route(node: Function) -> bool:
    return any(
        isinstance(item, ast.Call)
        and isinstance(item.func, ast.Attribute)
        and item.func.attr in _ROUTES
        and bool(item.args)
        for item in node.decorator_list
    )


def _from_request(value: ast.expr, strangers: set[str]) -> bool:
    """`int(request.args["n"])`, `int(user_input)`, `request.args.get("n", type=int)`."""
    if not isinstance(value, ast.Call):
        return False
    if getattr(value.func, "id", "") in ("int", "float") and value.args:
        text = ast.unparse(value.args[0])
        names = {inner.id for inner in ast.walk(value.args[0]) if isinstance(inner, ast.Name)}
        return _REQUESTED.search(text) is not None or bool(names & strangers)
    typed = any(
        item.arg == "type" and getattr(item.value, "id", "") == "int" for item in value.keywords
    )
    return typed and _REQUESTED.search(ast.unparse(value.func)) is not None


def _compared(node: Function) -> frozenset[str]:
    """Variables that are compared with something, or clamped, or handed to somebody's check."""
    found: set[str] = set()
    for inner in _all(node):
        if isinstance(inner, ast.Compare):
            found.update(_names(inner))
        elif isinstance(inner, ast.Call):
            last = getattr(inner.func, "id", getattr(inner.func, "attr", ""))
            if last in ("min", "max", "clamp", "clip") or words(last) & _CHECKS:
                found.update(_names(inner))
    return frozenset(found)


_CHECKS = frozenset("check validate ensure limit bound bounded cap assert verify allowed".split())


def _names(node: ast.AST) -> Iterator[str]:
    return (inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name))


def _all(node: Function) -> Iterator[ast.AST]:
    for statement in node.body:
        yield from ast.walk(statement)


def _made(run: Run, node: Function, sizes: frozenset[str]) -> None:
    for inner in _all(node):
        if _is_sized(inner, sizes):
            run.claim("unbounded_size", inner, 0.55)
            return


def _is_sized(node: ast.AST, sizes: frozenset[str]) -> bool:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        return any(
            _repeats(one) and not sizes.isdisjoint(_names(other))
            for one, other in ((node.left, node.right), (node.right, node.left))
        )
    if isinstance(node, (ast.ListComp, ast.DictComp, ast.SetComp)):
        return any(_counts(item.iter, sizes) for item in node.generators)
    if isinstance(node, ast.Call) and node.args:
        last = getattr(node.func, "id", getattr(node.func, "attr", ""))
        if last in _SIZED:
            return not sizes.isdisjoint(_names(node.args[0])) or (
                last == "sleep" and _from_request(node.args[0], set())
            )
        return last in ("list", "tuple", "set") and _counts(node.args[0], sizes)
    return False


def _repeats(node: ast.expr) -> bool:
    """A list, a text or bytes, that a number multiplies."""
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (str, bytes)) and bool(node.value)
    return isinstance(node, ast.List)


def _counts(node: ast.expr, sizes: frozenset[str]) -> bool:
    return (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "range"
        and not sizes.isdisjoint(_names(node))
    )
