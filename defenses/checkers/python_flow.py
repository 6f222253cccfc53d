"""The walk over statements: branches, loops, and what each leaves for the next.

Loops are walked twice at most. Functions wait in `Run.pending` until their surroundings are known.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from bluecode.defenses.checkers import (
    python_guards,
    python_remarks,
    python_sinks,
    python_sources,
)
from bluecode.defenses.checkers.python_checks import Checks
from bluecode.defenses.checkers.python_expressions import bind, dotted, evaluate
from bluecode.defenses.checkers.python_members import iterated
from bluecode.defenses.checkers.python_names import names_check
from bluecode.defenses.checkers.python_state import (
    Function,
    Inlined,
    Run,
    State,
    join,
)
from bluecode.defenses.checkers.python_values import (
    Level,
    Tag,
    Value,
    all_tags,
    piece,
)

_ABORTS = frozenset(
    "abort sys.exit exit quit os._exit os.abort flask.abort bottle.abort pytest.fail "
    "pytest.skip".split()
)
_RENAMED = {"Cryptodome": "Crypto", "cPickle": "pickle", "_pickle": "pickle", "urllib2": "urllib"}
_TESTS = frozenset(
    "match fullmatch search any all startswith endswith is_relative_to isdigit isalnum isalpha "
    "isidentifier isinstance".split()
)


def is_function(node: ast.stmt) -> TypeGuard[Function]:
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))


def execute(run: Run, state: State, body: Sequence[ast.stmt]) -> None:
    """Walk statements in order until the point is left."""
    for node in body:
        if state.dead:
            return
        run.spend()
        executor = _EXECUTORS.get(type(node))
        if executor is not None:
            executor(run, state, node)


def _function(run: Run, state: State, node: Function) -> None:
    state.names[node.name] = Value(name=node.name, code=node)
    for decorator in node.decorator_list:
        evaluate(run, state, decorator)
    if len(run.frames) > 1:
        run.nested.add(id(node))
    if id(node) not in run.queued:
        run.queued.add(id(node))
        run.pending.append((node, state, ""))


def _class(run: Run, state: State, node: ast.ClassDef) -> None:
    state.names[node.name] = Value(name=node.name, code=node)
    methods = [item for item in node.body if is_function(item)]
    inside = state.copy()
    before = set(inside.names)
    execute(run, inside, [item for item in node.body if item not in methods])
    run.fields.setdefault(node.name, {}).update(
        {name: value for name, value in inside.names.items() if name not in before}
    )
    for method in sorted(methods, key=lambda item: item.name != "__init__"):
        run.pending.append((method, state, node.name))


def _expression(run: Run, state: State, node: ast.Expr) -> None:
    run.frame.targets = ()
    evaluate(run, state, node.value)
    if isinstance(node.value, ast.Call):
        name = dotted(node.value.func)
        if name in _ABORTS or name.endswith((".abort", ".exit", "parser.error")):
            state.dead = True


def _assign(run: Run, state: State, node: ast.Assign) -> None:
    run.frame.targets = tuple(_target_name(target) for target in node.targets)
    value = _remembering_test(evaluate(run, state, node.value), node.value)
    for target in node.targets:
        _given(run, state, node.value, target, value)
        bind(run, state, target, state.bake(value))
    run.frame.targets = ()


def _annotated(run: Run, state: State, node: ast.AnnAssign) -> None:
    if node.value is None:
        return
    run.frame.targets = (_target_name(node.target),)
    value = evaluate(run, state, node.value)
    _given(run, state, node.value, node.target, value)
    bind(run, state, node.target, state.bake(value))
    run.frame.targets = ()


def _given(run: Run, state: State, node: ast.expr, target: ast.expr, value: Value) -> None:
    name = _target_name(target)
    if name:
        python_sinks.named(run, state, node, name, value)


def _target_name(target: ast.expr) -> str:
    if isinstance(target, ast.Name):
        return target.id
    if isinstance(target, ast.Attribute):
        return target.attr
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return str(target.slice.value)
    return ""


def _remembering_test(value: Value, node: ast.expr) -> Value:
    """A variable that holds the outcome of a test keeps the test, for a later `if`."""
    test = isinstance(node, (ast.Compare, ast.BoolOp)) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )
    if isinstance(node, ast.Call):
        name = dotted(node.func).rpartition(".")[2] or getattr(node.func, "attr", "")
        test = name in _TESTS or names_check(name)
    if not test or value.code is not None:
        return value
    arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
    return value._replace(code=ast.Lambda(args=arguments, body=node))


def _augmented(run: Run, state: State, node: ast.AugAssign) -> None:
    whole = ast.copy_location(ast.BinOp(left=node.target, op=node.op, right=node.value), node)
    bind(run, state, node.target, evaluate(run, state, whole))


def _return(run: Run, state: State, node: ast.Return) -> None:
    run.frame.targets = ()
    value = state.bake(evaluate(run, state, node.value))
    if node.value is not None:
        python_sinks.delivered(run, state, node, value)
    ways = [state.cleared, state.cleared]
    if isinstance(node.value, (ast.Compare, ast.BoolOp, ast.UnaryOp, ast.Call, ast.Name)):
        for index, truth in enumerate((True, False)):
            branch = state.copy()
            python_guards.assume(run, branch, node.value, truth)
            ways[index] = branch.cleared
    run.frame.returns.append(Inlined(value, state.cleared, ways[0], ways[1]))
    state.dead = True


def _raise(run: Run, state: State, node: ast.Raise) -> None:
    evaluate(run, state, node.exc)
    state.dead = True


def _assert(run: Run, state: State, node: ast.Assert) -> None:
    evaluate(run, state, node.test)
    python_remarks.asserted(run, node)
    python_guards.assume(run, state, node.test, True)


def _import(run: Run, state: State, node: ast.Import) -> None:
    for alias in node.names:
        full = _canonical(alias.name)
        name = alias.asname or alias.name.split(".")[0]
        state.names[name] = Value(name=full if alias.asname else full.split(".")[0])


def _import_from(run: Run, state: State, node: ast.ImportFrom) -> None:
    module = "" if node.level else _canonical(node.module or "")
    for alias in node.names:
        if alias.name == "*":
            run.stars.append(module)
            continue
        full = f"{module}.{alias.name}" if module else alias.name
        known = python_sources.of_name(full)
        if python_sources.is_request_name(full):
            known = python_sources.request_object()
        state.names[alias.asname or alias.name] = known or Value(name=full)


def _canonical(module: str) -> str:
    head, dot, rest = module.partition(".")
    return f"{_RENAMED.get(head, head)}{dot}{rest}"


def _break(run: Run, state: State, node: ast.Break) -> None:
    if run.breaks:
        run.breaks[-1].append(state.copy())
    state.dead = True


def _global(run: Run, state: State, node: ast.Global) -> None:
    run.frame.shared.update(node.names)


def _continue(run: Run, state: State, node: ast.Continue) -> None:
    state.dead = True


def _if(run: Run, state: State, node: ast.If) -> None:
    run.frame.targets = ()
    run.spend(1 + len(state.names) // 32)
    evaluate(run, state, node.test)
    branches = []
    for truth, body in ((True, node.body), (False, node.orelse)):
        branch = state.copy()
        python_guards.assume(run, branch, node.test, truth)
        execute(run, branch, body)
        branches.append(branch)
    join(branches, state)
    python_sinks.branched(run, node)


def _for(run: Run, state: State, node: ast.For | ast.AsyncFor) -> None:
    item = iterated(evaluate(run, state, node.iter))
    passed: list[Checks] = []

    def once(branch: State) -> None:
        bind(run, branch, node.target, item)
        execute(run, branch, node.body)
        if not branch.dead:
            passed.append(branch.cleared)

    _loop(run, state, once)
    if (
        passed
        and passed[0] - state.cleared
        and not any(isinstance(n, (ast.Continue, ast.Break)) for n in ast.walk(node))
    ):
        # Every element went through the checks, or the loop was left for good.
        roots = tuple(tag.root for tag in all_tags(item))
        state.cleared |= passed[0].of(roots)
    execute(run, state, node.orelse)


def _while(run: Run, state: State, node: ast.While) -> None:
    evaluate(run, state, node.test)

    def once(branch: State) -> None:
        python_guards.assume(run, branch, node.test, True)
        execute(run, branch, node.body)

    endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
    _loop(run, state, once, endless=endless)
    if not state.dead:
        python_guards.assume(run, state, node.test, False)
    execute(run, state, node.orelse)


def _loop(run: Run, state: State, once: Callable[[State], None], *, endless: bool = False) -> None:
    """Walk a body once, and once more where it changed what it starts from."""
    run.breaks.append([])
    try:
        for _ in range(2 if len(run.breaks) < 3 else 1):
            branch = state.copy()
            before = state.copy()
            once(branch)
            join([before, branch], state)
            if state.names == before.names:
                break
        leaving = run.breaks[-1]
    finally:
        run.breaks.pop()
    if endless and leaving:
        join(leaving, state)
    elif leaving:
        join([state.copy(), *leaving], state)


def _with(run: Run, state: State, node: ast.With | ast.AsyncWith) -> None:
    for item in node.items:
        value = evaluate(run, state, item.context_expr)
        if item.optional_vars is not None:
            bind(run, state, item.optional_vars, value)
    execute(run, state, node.body)


def _try(run: Run, state: State, node: ast.Try) -> None:
    start = state.copy()
    body = state.copy()
    execute(run, body, node.body)
    middle = start.copy()
    join([start.copy(), _alive(body)], middle)
    ends = []
    for handler in node.handlers:
        python_remarks.swallowed(run, handler)
        branch = middle.copy()
        branch.cleared = start.cleared
        if handler.name:
            tag = Tag(f"error@{handler.lineno}", Level.NONE, kind="error", line=handler.lineno)
            branch.names[handler.name] = Value(tags=frozenset({tag}), name="exception")
        execute(run, branch, handler.body)
        ends.append(branch)
    execute(run, body, node.orelse)
    join([body, *ends], state)
    if state.dead and node.finalbody:
        after = middle.copy()
        execute(run, after, node.finalbody)
        return
    execute(run, state, node.finalbody)


def _alive(state: State) -> State:
    """The names of a body that was left on its way."""
    copy = state.copy()
    copy.dead = not state.names
    return copy


def _match(run: Run, state: State, node: ast.Match) -> None:
    subject = evaluate(run, state, node.subject)
    ends = []
    for case in node.cases:
        branch = state.copy()
        if _only_constants(case.pattern):
            branch.clear(subject)
        for inner in ast.walk(case.pattern):
            if isinstance(inner, (ast.MatchAs, ast.MatchStar)) and inner.name:
                branch.names[inner.name] = piece(subject, "case")
        if case.guard is not None:
            evaluate(run, branch, case.guard)
            python_guards.assume(run, branch, case.guard, True)
        execute(run, branch, case.body)
        ends.append(branch)
    if not any(_takes_all(case) for case in node.cases):
        ends.append(state.copy())
    join(ends, state)


def _takes_all(case: ast.match_case) -> bool:
    pattern = case.pattern
    return case.guard is None and isinstance(pattern, ast.MatchAs) and pattern.pattern is None


def _only_constants(pattern: ast.pattern) -> bool:
    if isinstance(pattern, ast.MatchOr):
        return all(_only_constants(inner) for inner in pattern.patterns)
    return isinstance(pattern, (ast.MatchValue, ast.MatchSingleton))


_EXECUTORS: Mapping[type, Callable[[Run, State, Any], None]] = {
    ast.Expr: _expression,
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Return: _return,
    ast.Raise: _raise,
    ast.Assert: _assert,
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.If: _if,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.Match: _match,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Break: _break,
    ast.Continue: _continue,
    ast.Global: _global,
}
