"""The walk over statements: branches, loops, functions, classes, and the calls between them.

Loops are walked twice at most, functions once as an entry and once for each kind of call, so that
the walk stays linear in the size of the snippet.
"""

import ast
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from bluecode.defenses.checkers import python_calls, python_guards, python_sinks, python_sources
from bluecode.defenses.checkers.python_expressions import bind, dotted, evaluate, iterated
from bluecode.defenses.checkers.python_names import names_check
from bluecode.defenses.checkers.python_state import (
    Cleared,
    Frame,
    Function,
    Inlined,
    Invocation,
    Run,
    State,
    join,
)
from bluecode.defenses.checkers.python_values import (
    NOTHING,
    Level,
    Tag,
    Value,
    all_tags,
    blend,
    is_constant,
    merge,
    piece,
)

_DEEPEST_CALL = 5
_MOST_KINDS_OF_CALL = 6
_ABORTS = frozenset(
    "abort sys.exit exit quit os._exit os.abort flask.abort bottle.abort pytest.fail "
    "pytest.skip".split()
)
_RENAMED = {"Cryptodome": "Crypto", "cPickle": "pickle", "_pickle": "pickle", "urllib2": "urllib"}
_TESTS = frozenset(
    "match fullmatch search any all startswith endswith is_relative_to isdigit isalnum isalpha "
    "isidentifier isinstance".split()
)


class Walk:
    """Ties statements, expressions, calls and guards together."""

    def assume(self, run: Run, state: State, test: ast.expr, truth: bool) -> None:
        python_guards.assume(run, state, test, truth)

    def call(self, run: Run, state: State, node: ast.Call) -> Value:
        return python_calls.evaluate_call(run, state, node)

    def invoke(self, run: Run, state: State, call: Invocation) -> Value:
        return _invoke(run, state, call)


def walk_module(run: Run, tree: ast.Module) -> None:
    """Walk the whole snippet: its own statements first, then each function as an entry."""
    _register(run, tree)
    state = run.top
    execute(run, state, tree.body)
    state.dead = False
    while run.pending:
        function, outer, owner = run.pending.pop(0)
        _entry(run, function, outer, owner)


def _register(run: Run, tree: ast.Module) -> None:
    """Note what the snippet defines, calls and imports, in one pass."""
    called: set[str] = set()
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called.add(_called_name(node.func))
        elif isinstance(node, ast.ClassDef):
            run.classes[node.name] = node
            run.methods[node.name] = {item.name: item for item in node.body if _is_function(item)}
        elif isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    run.functions.update({item.name: item for item in tree.body if _is_function(item)})
    run.called, run.imports = frozenset(called), frozenset(imported)


def _called_name(function: ast.expr) -> str:
    if isinstance(function, ast.Name):
        return function.id
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return function.attr if function.value.id in ("self", "cls") else ""
    return ""


def _is_function(node: ast.stmt) -> TypeGuard[Function]:
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


# Functions and classes.


def _entry(run: Run, function: Function, outer: State, owner: str) -> None:
    """Walk a function as if anybody could call it."""
    kind = python_sources.handler_kind(run, function, owner)
    private = function.name.startswith("_") and not function.name.startswith("__")
    known_callers = function.name in run.called
    if private and known_callers and not kind:
        return
    level = Level.PRIVATE if known_callers or private else Level.PARAMETER
    inner = State({} if outer is run.top else dict(outer.names), outer.cleared)
    inner.names.update(python_sources.parameters(run, function, level, owner, kind))
    _defaults(run, inner, function)
    frame = Frame(function.name, kind, owner, test=_is_test(function.name))
    _walk_body(run, inner, function, frame)
    if function.name == "__init__" and owner:
        run.fields[owner] = {**run.fields.get(owner, {}), **_fields(inner)}


def _is_test(name: str) -> bool:
    return name.startswith("test_") or name == "setUp"


def _defaults(run: Run, state: State, function: Function) -> None:
    spec = function.args
    pairs = [
        *zip(reversed([*spec.posonlyargs, *spec.args]), reversed(spec.defaults), strict=False),
        *zip(spec.kwonlyargs, spec.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        if default is not None:
            python_sinks.named(run, state, default, argument.arg, evaluate(run, state, default))


def _fields(state: State) -> dict[str, Value]:
    """What `self` holds after `__init__`, no surer than a field of an object."""
    return {
        name.partition(".")[2]: _as_field(value)
        for name, value in state.names.items()
        if name.startswith("self.") and name.count(".") == 1
    }


def _as_field(value: Value) -> Value:
    def lowered(tags: frozenset[Tag]) -> frozenset[Tag]:
        return frozenset(
            tag._replace(level=min(tag.level, Level.FIELD))
            if tag.level is not Level.REQUEST
            else tag
            for tag in tags
        )

    parts = tuple(part if isinstance(part, str) else lowered(part) for part in value.parts)
    if value.items is not None or value.fields is not None:
        return Value(tags=lowered(all_tags(value)), name=value.name)
    return value._replace(tags=lowered(value.tags), parts=parts)


def _walk_body(run: Run, state: State, function: Function, frame: Frame) -> list[Inlined]:
    run.frames.append(frame)
    run.active.append(function)
    try:
        python_sinks.entered(run, function)
        execute(run, state, function.body)
        if not state.dead:
            frame.returns.append(Inlined(NOTHING, state.cleared, frozenset(), state.cleared))
    finally:
        run.frames.pop()
        run.active.pop()
    return frame.returns


def _invoke(run: Run, state: State, call: Invocation) -> Value:
    """What a call of the snippet's own function gives, with what it rules out for the caller."""
    run.last_call = None
    function = call.function
    key = (id(function), call.positional, call.named, call.receiver, state.cleared)
    known = run.memory.get(key)
    if known is None:
        busy = function in run.active or len(run.active) >= _DEEPEST_CALL
        if busy or run.inlined.get(id(function), 0) >= _MOST_KINDS_OF_CALL:
            values = [*call.positional, *(value for _, value in call.named)]
            return Value(tags=blend(values).tags)
        run.inlined[id(function)] = run.inlined.get(id(function), 0) + 1
        known = _merged(_inline(run, state, call))
        run.memory[key] = known
    run.last_call = known
    state.cleared |= known.cleared
    return known.value


def _inline(run: Run, state: State, call: Invocation) -> list[Inlined]:
    function = call.function
    outer = state.names if id(function) in run.nested else {}
    inner = State(dict(outer), state.cleared)
    inner.names.update(_bound(run, state, call))
    frame = Frame(
        function.name,
        python_sources.handler_kind(run, function, call.owner) and "object",
        call.owner,
        test=run.frame.test,
    )
    returns = _walk_body(run, inner, function, frame)
    if function.name == "__init__" and call.owner:
        fields = run.fields.setdefault(call.owner, {})
        for name, value in _fields(inner).items():
            fields.setdefault(name, value)
    return returns


def _bound(run: Run, state: State, call: Invocation) -> dict[str, Value]:
    """Parameters with the values of the call."""
    spec = call.function.args
    names = [argument.arg for argument in (*spec.posonlyargs, *spec.args)]
    found: dict[str, Value] = {}
    for argument, default in zip(reversed(names), reversed(spec.defaults), strict=False):
        found[argument] = evaluate(run, state, default)
    for keyword, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True):
        found[keyword.arg] = evaluate(run, state, value)
    positional = list(call.positional)
    if call.receiver is not None:
        positional.insert(0, call.receiver)
    found.update(zip(names, positional, strict=False))
    rest = positional[len(names) :]
    if spec.vararg is not None:
        found[spec.vararg.arg] = Value(tags=blend(rest).tags, items=tuple(rest))
    accepted = {*names, *(argument.arg for argument in spec.kwonlyargs)}
    extra = [(key, value) for key, value in call.named if key not in accepted]
    found.update((key, value) for key, value in call.named if key in accepted)
    if spec.kwarg is not None:
        found[spec.kwarg.arg] = Value(
            tags=blend(value for _, value in extra).tags, fields=tuple(extra)
        )
    return {name: found.get(name, NOTHING) for name in {*accepted, *found}}


def _merged(returns: Sequence[Inlined]) -> Inlined:
    """All ways out as one; a way that gives a false constant says nothing of the true branch."""
    if not returns:
        return Inlined(NOTHING, frozenset(), frozenset(), frozenset())
    value = returns[0].value
    for other in returns[1:]:
        value = merge(value, other.value)
    cleared = frozenset.intersection(*(one.cleared for one in returns))
    truthy = [one.if_true for one in returns if _may_be(one.value, True)]
    falsy = [one.if_false for one in returns if _may_be(one.value, False)]
    return Inlined(
        value,
        cleared,
        frozenset.intersection(*truthy) if truthy else cleared,
        frozenset.intersection(*falsy) if falsy else cleared,
    )


def _may_be(value: Value, truth: bool) -> bool:
    if value is NOTHING:
        return not truth
    return not is_constant(value) or bool(value.const) is truth


def _function(run: Run, state: State, node: Function) -> None:
    state.names[node.name] = Value(name=node.name, code=node)
    for decorator in node.decorator_list:
        evaluate(run, state, decorator)
    if len(run.frames) > 1:
        run.nested.add(id(node))
    if not any(node is waiting for waiting, _, _ in run.pending):
        run.pending.append((node, state, ""))


def _class(run: Run, state: State, node: ast.ClassDef) -> None:
    state.names[node.name] = Value(name=node.name, code=node)
    methods = [item for item in node.body if _is_function(item)]
    inside = state.copy()
    before = set(inside.names)
    execute(run, inside, [item for item in node.body if item not in methods])
    run.fields.setdefault(node.name, {}).update(
        {name: value for name, value in inside.names.items() if name not in before}
    )
    for method in sorted(methods, key=lambda item: item.name != "__init__"):
        run.pending.append((method, state, node.name))


# Simple statements.


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
    python_guards.assume(run, state, node.test, True)


def _import(run: Run, state: State, node: ast.Import) -> None:
    for alias in node.names:
        full = _canonical(alias.name)
        name = alias.asname or alias.name.split(".")[0]
        state.names[name] = Value(name=full if alias.asname else full.split(".")[0])


def _import_from(run: Run, state: State, node: ast.ImportFrom) -> None:
    module = "" if node.level else _canonical(node.module or "")
    for alias in node.names:
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


def _continue(run: Run, state: State, node: ast.Continue) -> None:
    state.dead = True


# Compound statements.


def _if(run: Run, state: State, node: ast.If) -> None:
    run.frame.targets = ()
    evaluate(run, state, node.test)
    branches = []
    for truth, body in ((True, node.body), (False, node.orelse)):
        branch = state.copy()
        python_guards.assume(run, branch, node.test, truth)
        execute(run, branch, body)
        branches.append(branch)
    join(branches, state)


def _for(run: Run, state: State, node: ast.For | ast.AsyncFor) -> None:
    item = iterated(evaluate(run, state, node.iter))
    passed: list[Cleared] = []

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
        state.cleared |= frozenset(one for one in passed[0] if one[0].startswith(roots))
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
    join([*ends, state.copy()], state)


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
}
