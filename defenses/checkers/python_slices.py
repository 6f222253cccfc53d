"""What decides a claimed line, cut out of its function so that a run gets there.

Many a line is out of a run's reach because of what stands around it and has nothing to do with it:
a file that must be missing, a loop over what is not here. A slice keeps, of the function that holds
the line, what makes the line's data and what may check that data, and takes for granted every other
condition on the way. A run of it can confirm a claim, never refute one. Statements of kinds that
are not named here end the attempt, so that no check is dropped unseen.
"""

import ast
import textwrap
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bluecode.defenses.checkers.runnable import LONGEST, Runnable, aligned

Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
_SCOPES = (ast.Module, ast.FunctionDef, ast.AsyncFunctionDef)
_NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)
_KEPT = (ast.Import, ast.ImportFrom, ast.Global, ast.Nonlocal, ast.FunctionDef,
         ast.AsyncFunctionDef, ast.ClassDef)  # fmt: skip
_ENDS = (ast.Return, ast.Raise, ast.Continue, ast.Break)
_OWN = frozenset({"self", "cls"})
_QUIET = frozenset({"print", "debug", "info", "warning", "warn", "error", "exception", "log"})
_PRESENCE = frozenset({"exists", "isfile", "isdir", "is_file", "is_dir", "islink", "lexists"})
_ROUNDS = 4


def sliced(made: Runnable, span: tuple[int, int]) -> Runnable | None:
    """The same code with the function that holds these lines of the snippet cut down to them; None
    where that cannot be done, or changes nothing."""
    if len(made.code) > LONGEST:
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(textwrap.dedent(made.code))
            first, last = made.span(*span)
            found = _scope_of(tree, first, last)
            if found is None or not _cut_down(found, first, last):
                return None
            text = ast.unparse(ast.fix_missing_locations(_Joins().visit(tree)))
            again = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    own = made.lines
    lines = {
        new: old if own is None else own.get(old, old) for new, old in aligned(again, tree).items()
    }
    return Runnable(text, lines)


def _scope_of(tree: ast.Module, first: int, last: int) -> Scope | None:
    """The innermost function that holds the lines, or the module."""
    inside = [
        node
        for node in ast.walk(tree)
        if isinstance(node, _SCOPES)
        and (isinstance(node, ast.Module) or _within(node.body, first, last))
    ]
    return inside[-1] if inside else None


class _Joins(ast.NodeTransformer):
    """What stands in for unknown parts is no text, and joining refuses it: here it is made one."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        joins = isinstance(node.func, ast.Attribute) and node.func.attr == "join"
        onto = node.func.value if isinstance(node.func, ast.Attribute) else None
        if joins and isinstance(onto, ast.Constant) and len(node.args) == 1 and not node.keywords:
            given = [ast.Name("str", ast.Load()), *node.args]
            node.args = [ast.Call(ast.Name("map", ast.Load()), given, [])]
        return node


def _within(nodes: Sequence[ast.stmt], first: int, last: int) -> bool:
    return nodes[0].lineno <= first and last <= (nodes[-1].end_lineno or nodes[-1].lineno)


def _at(node: ast.AST, first: int, last: int) -> bool:
    start, end = getattr(node, "lineno", None), getattr(node, "end_lineno", None)
    return start is not None and end is not None and start <= last and first <= end


def _cut_down(scope: Scope, first: int, last: int) -> bool:
    before = sum(1 for _ in ast.walk(scope))
    body = _Cut(scope, first, last).body()
    if not body:
        return False
    scope.body = body
    return sum(1 for _ in ast.walk(scope)) < before


def keys(node: ast.AST, context: type[ast.expr_context] | None = None) -> set[str]:
    """Names in a piece of code; of `self` and `cls`, the names of their attributes. With a context,
    only those that are read or written."""
    found: set[str] = set()
    own: set[int] = set()
    for part in ast.walk(node):
        if (
            isinstance(part, ast.Attribute)
            and isinstance(part.value, ast.Name)
            and part.value.id in _OWN
        ):
            own.add(id(part.value))
            if context is None or isinstance(part.ctx, context):
                found.add(f"{part.value.id}.{part.attr}")
        elif isinstance(part, ast.Name) and id(part) not in own:
            if context is None or isinstance(part.ctx, context):
                found.add(part.id)
    return found


def _written(node: ast.AST) -> set[str]:
    """Names that a statement gives a value, or part of one."""
    found = keys(node, ast.Store)
    for part in ast.walk(node):
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store):
            found |= keys(part.value)
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute):
            found |= keys(part.func.value)  # a list that is added to, an object that is told
    return found


@dataclass(slots=True)
class _Cut:
    """The cutting of one function."""

    scope: Scope
    first: int
    last: int
    needed: set[str] = field(default_factory=set)
    related: set[str] = field(default_factory=set)
    """Needed names, and those of what was made from them: what a check may be asked of."""

    def body(self) -> list[ast.stmt]:
        target = self._target(self.scope.body)
        if target is None:
            return []
        self.needed = keys(target, ast.Load)
        kept: list[ast.stmt] = []
        for _ in range(_ROUNDS):
            before = set(self.needed)
            self.related = self._derived()
            kept = self._block(self.scope.body)
            if self.needed == before:
                break
        return kept

    def _target(self, body: Sequence[ast.stmt]) -> ast.AST | None:
        """What stands at the lines: a plain statement, or the head of another. Raises `ValueError`
        where they are more than one statement's."""
        touched = [node for node in body if _at(node, self.first, self.last)]
        if len(touched) > 1:
            raise ValueError("the lines hold more than one statement")
        if not touched or isinstance(touched[0], _KEPT):
            return None
        inner = [self._target(block) for block in _blocks(touched[0])]
        return next((item for item in inner if item is not None), None) or _head(touched[0])

    def _derived(self) -> set[str]:
        found = set(self.needed)
        for _ in range(_ROUNDS):
            before = len(found)
            for node in _own_statements(self.scope):
                if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For) and (
                    keys(_head(node), ast.Load) & found
                ):
                    found |= keys(_head(node), ast.Store)
            if len(found) == before:
                break
        return found

    # What is kept of a block, read from its end, where it leads to the line.

    def _block(self, body: Sequence[ast.stmt]) -> list[ast.stmt]:
        at = next(
            (
                index
                for index, node in enumerate(body)
                if _at(node, self.first, self.last) and not isinstance(node, _KEPT)
            ),
            None,
        )
        if at is None:
            return []
        kept = self._way(body[at])
        for node in reversed(body[:at]):
            if self._matters(node):
                self.needed |= keys(node, ast.Load)
                kept.insert(0, node)
        later = [node for node in body[at + 1 :] if isinstance(node, _KEPT)]
        return [*kept, *later]

    def _matters(self, node: ast.stmt) -> bool:
        """Does it make needed data, or may it check it?"""
        if isinstance(node, _KEPT):
            return True
        if _written(node) & self.needed:
            return True
        if isinstance(node, ast.Assert):
            return bool(keys(node) & self.related)
        if isinstance(node, ast.Expr):
            quiet = isinstance(node.value, ast.Call) and _short(node.value) in _QUIET
            return not quiet and bool(keys(node) & self.related)
        stops = any(isinstance(part, (*_ENDS, ast.Call)) for part in ast.walk(node))
        heads = {name for head in _heads(node) for name in keys(head, ast.Load)}
        compound = any(True for _ in _blocks(node))
        return compound and stops and bool(heads & self.related)

    def _way(self, node: ast.stmt) -> list[ast.stmt]:
        """A statement on the way, or at its end."""
        inside = [block for block in _blocks(node) if self._holds(block)]
        if not inside:
            self.needed |= keys(_head(node), ast.Load)
            return [node]
        block = inside[0]
        match node:
            case ast.If() | ast.While():
                return self._conditional(node, block)
            case ast.For() | ast.AsyncFor():
                self.needed |= keys(node.iter, ast.Load)
                if block is node.orelse:
                    return self._block(block)
                cut = type(node)(node.target, node.iter, self._block(block), [], None)
                return [ast.copy_location(cut, node)]
            case ast.With() | ast.AsyncWith():
                for item in node.items:
                    self.needed |= keys(item.context_expr, ast.Load)
                managed = type(node)(node.items, self._block(block), None)
                return [ast.copy_location(managed, node)]
            case ast.Try():
                within_body = block is node.body or any(block is h.body for h in node.handlers)
                return self._block(block if within_body else [*node.body, *block])
        raise ValueError(f"{type(node).__name__} on the way")

    def _conditional(self, node: ast.If | ast.While, block: Sequence[ast.stmt]) -> list[ast.stmt]:
        """A condition that asks about the data stays, and one that names its value gives it that;
        another is taken to be as it must."""
        cut = self._block(block)
        if isinstance(node, ast.If) and (named := _named(node.test)) is not None:
            return [ast.copy_location(named, node), *cut] if block is node.body else cut
        asked = bool(keys(node.test, ast.Load) & self.related) and not _of_presence(node.test)
        if asked:
            self.needed |= keys(node.test, ast.Load)
        if isinstance(node, ast.While):
            inner = ast.If(node.test, cut, []) if asked else None
            again = ast.List([ast.Constant(0), ast.Constant(1)], ast.Load())
            once = ast.For(
                ast.Name("_", ast.Store()), again, [inner] if inner is not None else cut, [], None
            )
            return [ast.copy_location(once, node)]
        if not asked:
            return cut
        empty: list[ast.stmt] = [ast.Pass()]
        chosen = ast.If(node.test, cut, []) if block is node.body else ast.If(node.test, empty, cut)
        return [ast.copy_location(chosen, node)]

    def _holds(self, block: Sequence[ast.stmt]) -> bool:
        return self._target(block) is not None


def _named(test: ast.expr) -> ast.Assign | None:
    """The assignment that makes a comparison with a constant true."""
    match test:
        case ast.Compare(
            ast.Name() | ast.Attribute() | ast.Subscript() as value,
            [ast.Eq()],
            [ast.Constant() as constant],
        ):
            target = ast.parse(ast.unparse(value) + " = 0").body[0]
            assert isinstance(target, ast.Assign)
            target.value = constant
            return target
    return None


def _of_presence(test: ast.expr) -> bool:
    """Does a condition ask no more than whether something is there?"""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return _of_presence(test.operand)
    if isinstance(test, ast.BoolOp):
        return all(_of_presence(value) for value in test.values)
    if isinstance(test, ast.Name | ast.Attribute):
        return True
    if isinstance(test, ast.Compare):
        sides = [test.left, *test.comparators]
        return len(sides) == 2 and any(
            isinstance(side, ast.Constant) and side.value is None for side in sides
        )
    return isinstance(test, ast.Call) and _short(test) in _PRESENCE


def _short(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else ""


def _blocks(node: ast.stmt) -> Iterator[Sequence[ast.stmt]]:
    """The blocks of statements in a statement that is no definition."""
    if isinstance(node, _NESTED):
        return
    for name in ("body", "handlers", "orelse", "finalbody", "cases"):
        for part in getattr(node, name, ()):
            if isinstance(part, ast.ExceptHandler | ast.match_case):
                yield part.body
        block = getattr(node, name, ())
        if block and isinstance(block[0], ast.stmt):
            yield block


def _head(node: ast.stmt) -> ast.AST:
    """A statement without its blocks."""
    parts: list[ast.expr] = []
    match node:
        case ast.If() | ast.While():
            return node.test
        case ast.For() | ast.AsyncFor():
            parts = [node.target, node.iter]
        case ast.With() | ast.AsyncWith():
            parts = [item.context_expr for item in node.items]
            parts += [item.optional_vars for item in node.items if item.optional_vars is not None]
        case ast.Try():
            return ast.Pass()
        case ast.Match():
            return node.subject
        case _:
            return node
    return ast.Tuple(parts, ast.Load())


def _heads(node: ast.stmt) -> Iterator[ast.AST]:
    """The heads of a statement and of all within it."""
    yield _head(node)
    for block in _blocks(node):
        for part in block:
            yield from _heads(part)


def _own_statements(scope: Scope) -> Iterator[ast.stmt]:
    """Statements of a function, without those of functions within it."""
    stack = list(scope.body)
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _KEPT):
            for block in _blocks(node):
                stack.extend(block)
