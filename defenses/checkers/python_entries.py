"""Functions: each as an entry that anybody may call, and as what the snippet itself calls.

A function is walked once as an entry and once for each kind of call, so that the walk stays linear
in the size of the snippet.
"""

import ast
from collections.abc import Sequence
from contextlib import suppress

from bluecode.defenses.checkers import python_calls, python_guards, python_sinks, python_sources
from bluecode.defenses.checkers.python_checks import NO_CHECKS, both
from bluecode.defenses.checkers.python_expressions import evaluate
from bluecode.defenses.checkers.python_flow import execute, is_function
from bluecode.defenses.checkers.python_names import tells_of_strangers
from bluecode.defenses.checkers.python_state import (
    Frame,
    Function,
    Inlined,
    Invocation,
    Run,
    State,
)
from bluecode.defenses.checkers.python_tree import statements
from bluecode.defenses.checkers.python_values import (
    NOTHING,
    Level,
    Tag,
    Value,
    all_tags,
    blend,
    is_constant,
    merge,
)

_DEEPEST_CALL = 5
_MOST_KINDS_OF_CALL = 6


class Walk:
    """Ties statements, expressions, calls and guards together."""

    def assume(self, run: Run, state: State, test: ast.expr, truth: bool) -> None:
        python_guards.assume(run, state, test, truth)

    def call(self, run: Run, state: State, node: ast.Call) -> Value:
        return python_calls.evaluate_call(run, state, node)

    def invoke(self, run: Run, state: State, call: Invocation) -> Value:
        return _invoke(run, state, call)


def walk_module(run: Run, tree: ast.Module) -> bool:
    """Walk the whole snippet: its own statements first, then each function as an entry.

    False where one of them was nested too deeply to be walked; the others were.
    """
    _register(run, tree)
    state = run.top
    whole = True
    try:
        execute(run, state, tree.body)
    except RecursionError:
        whole = False
        for statement in tree.body:
            with suppress(RecursionError):
                execute(run, state, [statement])
    state.dead = False
    while run.pending:
        function, outer, owner = run.pending.popleft()
        run.queued.discard(id(function))
        try:
            _entry(run, function, outer, owner)
        except RecursionError:
            whole = False
    return whole


def _register(run: Run, tree: ast.Module) -> None:
    """Note what the snippet defines and imports."""
    imported: set[str] = set()
    for node in statements(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if node.decorator_list:
                run.decorated.append(node)
        elif isinstance(node, ast.ClassDef):
            run.classes[node.name] = node
            run.methods[node.name] = {item.name: item for item in node.body if is_function(item)}
        elif isinstance(node, ast.Import):
            imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    run.tree = tree
    run.functions.update({item.name: item for item in tree.body if is_function(item)})
    run.is_test = not imported.isdisjoint(("pytest", "unittest", "unittest2", "nose"))
    run.imports = frozenset(imported)


def _entry(run: Run, function: Function, outer: State, owner: str) -> None:
    """Walk a function as if anybody could call it."""
    kind = python_sources.handler_kind(run, function, owner)
    private = function.name.startswith("_") and not function.name.startswith("__")
    known_callers = run.calls(function.name)
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
    frame.told = tells_of_strangers(function)
    run.frames.append(frame)
    run.active.append(function)
    try:
        python_sinks.entered(run, function)
        execute(run, state, function.body)
        if not state.dead:
            frame.returns.append(Inlined(NOTHING, state.cleared, NO_CHECKS, state.cleared))
    finally:
        run.frames.pop()
        run.active.pop()
    return frame.returns


def _invoke(run: Run, state: State, call: Invocation) -> Value:
    """What a call of the snippet's own function gives, with what it rules out for the caller."""
    run.last_call = None
    function = call.function
    parts = _own_parts(state, call)
    key = (id(function), call.positional, call.named, call.receiver, state.cleared, parts)
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


def _own_parts(state: State, call: Invocation) -> tuple[tuple[str, Value], ...]:
    """What a method of the same object finds in it."""
    if call.receiver is None or call.receiver.name != "self" or "self" not in state.owners:
        return ()
    return tuple((name, held) for name, held in state.names.items() if name.startswith("self."))


def _inline(run: Run, state: State, call: Invocation) -> list[Inlined]:
    function = call.function
    outer = state.names if id(function) in run.nested else {}
    inner = State(dict(outer), state.cleared)
    inner.names.update(_bound(run, state, call))
    for name, value in _own_parts(state, call):
        inner.set_part(name, value)
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
        return Inlined(NOTHING, NO_CHECKS, NO_CHECKS, NO_CHECKS)
    value = returns[0].value
    for other in returns[1:]:
        value = merge(value, other.value)
    cleared = both(one.cleared for one in returns)
    truthy = [one.if_true for one in returns if _may_be(one.value, True)]
    falsy = [one.if_false for one in returns if _may_be(one.value, False)]
    return Inlined(
        value,
        cleared,
        both(truthy) if truthy else cleared,
        both(falsy) if falsy else cleared,
    )


def _may_be(value: Value, truth: bool) -> bool:
    if value is NOTHING:
        return not truth
    return not is_constant(value) or bool(value.const) is truth
