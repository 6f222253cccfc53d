"""What an expression evaluates to, as far as the snippet shows.

Calls live in `python_calls`, which this file reaches through the run's walker.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from bluecode.defenses.checkers import python_sinks, python_sources
from bluecode.defenses.checkers.python_members import (
    added,
    attribute_of,
    element,
    iterated,
    joined_path,
    sliced,
)
from bluecode.defenses.checkers.python_state import Inlined, OutOfSteps, Run, State
from bluecode.defenses.checkers.python_text import interpolated, percent
from bluecode.defenses.checkers.python_values import (
    NOTHING,
    NUMBER,
    Level,
    Value,
    all_tags,
    blend,
    constant,
    is_constant,
    keep_kinds,
    merge,
    sequence,
    source,
)


def evaluate(run: Run, state: State, node: ast.expr | None) -> Value:
    """The abstract value of an expression; claims are made on the way."""
    if node is None:
        return NOTHING
    run.steps -= 1
    if run.steps < 0:
        raise OutOfSteps
    evaluator = _EVALUATORS.get(type(node))
    return NOTHING if evaluator is None else evaluator(run, state, node)


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names, else empty."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    names.append(node.id)
    names.reverse()
    return ".".join(names)


def _constant(run: Run, state: State, node: ast.Constant) -> Value:
    return NOTHING if node.value is Ellipsis else constant(node.value)


def _name(run: Run, state: State, node: ast.Name) -> Value:
    found = state.names.get(node.id) or run.top.names.get(node.id)
    if found is not None:
        return found
    if node.id in run.functions:
        return Value(name=node.id, code=run.functions[node.id])
    if node.id in run.classes:
        return Value(name=node.id, code=run.classes[node.id])
    for module in run.stars:
        if python_sinks.is_known(f"{module}.{node.id}"):
            return Value(name=f"{module}.{node.id}")
    if node.id in _BUILTINS:
        return Value(name=node.id)
    return python_sources.unresolved(node.id, node.lineno)


_BUILTINS = frozenset(dir(__builtins__) if not isinstance(__builtins__, dict) else __builtins__) | {
    "raw_input",
    "unicode",
    "xrange",
    "basestring",
    "long",
    "execfile",
    "reduce",
}


def _attribute(run: Run, state: State, node: ast.Attribute) -> Value:
    key = dotted(node)
    if key in state.names:
        return state.names[key]
    return attribute_of(run, state, evaluate(run, state, node.value), node.attr)


def _subscript(run: Run, state: State, node: ast.Subscript) -> Value:
    base = evaluate(run, state, node.value)
    if isinstance(node.slice, ast.Slice):
        bounds = (node.slice.lower, node.slice.upper, node.slice.step)
        return sliced(base, ":".join(_bound(run, state, bound) for bound in bounds))
    index = evaluate(run, state, node.slice)
    if "request" in base.marks:
        key = index.const if isinstance(index.const, str) else "item"
        return source(f"request>{key}", Level.REQUEST, name="request[]")
    return element(base, index)


def _bound(run: Run, state: State, node: ast.expr | None) -> str:
    """An end of a slice, in words that are the same for the same end."""
    if node is None:
        return ""
    value = evaluate(run, state, node)
    return str(value.const) if is_constant(value) else dotted(node) or f"at {node.lineno}"


def _binary(run: Run, state: State, node: ast.BinOp) -> Value:
    left = evaluate(run, state, node.left)
    right = evaluate(run, state, node.right)
    operator = type(node.op)
    if operator is ast.Add:
        return added(left, right)
    if operator is ast.Mod:
        return _modulo(left, right)
    if operator is ast.Div and ("path" in left.marks or "path" in right.marks):
        return joined_path(left, right)
    if operator is ast.Mult:
        return _multiplied(left, right)
    if operator is ast.BitOr and left.fields is not None:
        return blend((left, right))
    return Value(tags=keep_kinds(all_tags(left) | all_tags(right)), marks=NUMBER.marks)


def _modulo(left: Value, right: Value) -> Value:
    if any(isinstance(part, str) for part in left.parts):
        return percent(left, right)
    if isinstance(left.const, bytes) or (left.tags and "number" not in left.marks):
        return blend((left, right))
    return Value(tags=keep_kinds(all_tags(left) | all_tags(right)), marks=NUMBER.marks)


def _multiplied(left: Value, right: Value) -> Value:
    for content, times in ((left, right), (right, left)):
        if isinstance(content.const, (str, bytes)):
            count = times.const if isinstance(times.const, int) else 2
            return constant(content.const * max(0, min(count, 64)))
        if content.items is not None:
            return sequence(content.items)
    both = [side.const for side in (left, right)]
    if all(isinstance(one, int) and abs(one) < 10**6 for one in both):
        return constant(both[0] * both[1])  # type: ignore[operator]
    return Value(tags=keep_kinds(all_tags(left) | all_tags(right)), marks=NUMBER.marks)


def _joined_str(run: Run, state: State, node: ast.JoinedStr) -> Value:
    pieces: list[tuple[Value, str]] = []
    for item in node.values:
        if isinstance(item, ast.FormattedValue):
            value = evaluate(run, state, item.value)
            pieces.append((value, _specification(item)))
        else:
            pieces.append((evaluate(run, state, item), ""))
    return interpolated(pieces)


def _specification(node: ast.FormattedValue) -> str:
    if isinstance(node.format_spec, ast.JoinedStr) and node.format_spec.values:
        last = node.format_spec.values[-1]
        if isinstance(last, ast.Constant):
            return str(last.value)
    return ""


def _bool_op(run: Run, state: State, node: ast.BoolOp) -> Value:
    branch = state.copy()
    found: Value | None = None
    for operand in node.values:
        value = branch.bake(evaluate(run, branch, operand))
        found = value if found is None else merge(found, value)
        run.walker.assume(run, branch, operand, isinstance(node.op, ast.And))
    for name, value in branch.names.items():
        state.names.setdefault(name, value)
    return found or NOTHING


def _unary(run: Run, state: State, node: ast.UnaryOp) -> Value:
    value = evaluate(run, state, node.operand)
    if isinstance(node.op, ast.USub) and isinstance(value.const, (int, float)):
        return constant(-value.const)
    return NUMBER


def _compare(run: Run, state: State, node: ast.Compare) -> Value:
    left = evaluate(run, state, node.left)
    for operator, right_node in zip(node.ops, node.comparators, strict=True):
        right = evaluate(run, state, right_node)
        python_sinks.compared(run, state, node, operator, left, right)
        left = right
    return NUMBER


def _if_exp(run: Run, state: State, node: ast.IfExp) -> Value:
    evaluate(run, state, node.test)
    results = []
    for truth, branch_node in ((True, node.body), (False, node.orelse)):
        branch = state.copy()
        run.walker.assume(run, branch, node.test, truth)
        results.append(branch.bake(evaluate(run, branch, branch_node)))
    return merge(results[0], results[1])


def _named(run: Run, state: State, node: ast.NamedExpr) -> Value:
    value = evaluate(run, state, node.value)
    bind(run, state, node.target, value)
    return value


def _sequence(run: Run, state: State, node: ast.List | ast.Tuple | ast.Set) -> Value:
    items: list[Value] = []
    for element_node in node.elts:
        value = evaluate(run, state, element_node)
        if isinstance(element_node, ast.Starred):
            items.extend(value.items if value.items is not None else [iterated(value)])
        else:
            items.append(value)
    return sequence(items)


def _dict(run: Run, state: State, node: ast.Dict) -> Value:
    fields: list[tuple[str, Value]] = []
    loose: list[Value] = []
    for key_node, value_node in zip(node.keys, node.values, strict=True):
        value = evaluate(run, state, value_node)
        key = evaluate(run, state, key_node) if key_node is not None else NOTHING
        if key_node is not None and isinstance(key.const, str):
            python_sinks.named(run, state, value_node, key.const, value)
            fields.append((key.const, value))
        else:
            loose.extend((key, value))
    everything = blend([*(value for _, value in fields), *loose])
    if loose:
        return Value(tags=everything.tags, name="dict")
    return Value(tags=everything.tags, fields=tuple(fields), name="dict")


def _comprehension(
    run: Run, state: State, node: ast.ListComp | ast.SetComp | ast.GeneratorExp
) -> Value:
    branch = _generated(run, state, node.generators)
    value = branch.bake(evaluate(run, branch, node.elt))
    return Value(tags=all_tags(value), items=(value,), marks=frozenset({"repeated"}), name="list")


def _dict_comprehension(run: Run, state: State, node: ast.DictComp) -> Value:
    branch = _generated(run, state, node.generators)
    key = evaluate(run, branch, node.key)
    value = evaluate(run, branch, node.value)
    return branch.bake(blend((key, value), "dict"))


def _generated(run: Run, state: State, generators: list[ast.comprehension]) -> State:
    branch = state.copy()
    run.spend(1 + len(state.names) // 32)
    for generator in generators:
        bind(run, branch, generator.target, iterated(evaluate(run, branch, generator.iter)))
        for condition in generator.ifs:
            evaluate(run, branch, condition)
            run.walker.assume(run, branch, condition, True)
    return branch


def _lambda(run: Run, state: State, node: ast.Lambda) -> Value:
    branch = state.copy()
    for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
        branch.names[argument.arg] = NOTHING
    evaluate(run, branch, node.body)
    return Value(name="lambda", code=node)


def _inner(run: Run, state: State, node: ast.Await | ast.Starred | ast.YieldFrom) -> Value:
    return evaluate(run, state, node.value)


def _yield(run: Run, state: State, node: ast.Yield) -> Value:
    value = evaluate(run, state, node.value)
    python_sinks.delivered(run, state, node, value)
    kept = state.bake(value)
    run.frame.returns.append(Inlined(kept, state.cleared, state.cleared, state.cleared))
    return NOTHING


def _call(run: Run, state: State, node: ast.Call) -> Value:
    return run.walker.call(run, state, node)


def bind(run: Run, state: State, target: ast.expr, value: Value) -> None:
    """Give a value to the target of an assignment, a loop or a `with`."""
    if isinstance(target, ast.Name):
        state.names[target.id] = value
        if target.id in run.frame.shared:
            run.top.names[target.id] = merge(run.top.names.get(target.id, value), value)
        state.forget_parts(target.id)
    elif isinstance(target, ast.Attribute):
        _bind_attribute(run, state, target, value)
    elif isinstance(target, ast.Subscript):
        _bind_subscript(run, state, target, value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        _unpack(run, state, target, value)
    elif isinstance(target, ast.Starred):
        bind(run, state, target.value, value)


def _unpack(run: Run, state: State, target: ast.Tuple | ast.List, value: Value) -> None:
    items = value.items
    fits = items is not None and len(items) == len(target.elts) and "repeated" not in value.marks
    for index, inner in enumerate(target.elts):
        if fits and items is not None:
            bind(run, state, inner, items[index])
        else:
            bind(run, state, inner, element(value, constant(index)))


def _bind_attribute(run: Run, state: State, target: ast.Attribute, value: Value) -> None:
    base = evaluate(run, state, target.value)
    key = dotted(target)
    if key:
        state.set_part(key, value)
    python_sinks.attribute_set(run, state, target, base, value)


def _bind_subscript(run: Run, state: State, target: ast.Subscript, value: Value) -> None:
    base = evaluate(run, state, target.value)
    index = evaluate(run, state, target.slice)
    python_sinks.item_set(run, state, target, base, index, value)
    key = dotted(target.value)
    if not key:
        return
    if base.fields is not None and isinstance(index.const, str):
        fields = {**dict(base.fields), index.const: value}
        tags = base.tags | all_tags(value)
        state.set_part(key, base._replace(fields=tuple(fields.items()), tags=tags))
    elif "request" not in base.marks:
        state.set_part(key, Value(tags=base.tags | all_tags(value), name=base.name))


_EVALUATORS: Mapping[type, Callable[[Run, State, Any], Value]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.BinOp: _binary,
    ast.JoinedStr: _joined_str,
    ast.BoolOp: _bool_op,
    ast.UnaryOp: _unary,
    ast.Compare: _compare,
    ast.IfExp: _if_exp,
    ast.NamedExpr: _named,
    ast.List: _sequence,
    ast.Tuple: _sequence,
    ast.Set: _sequence,
    ast.Dict: _dict,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _dict_comprehension,
    ast.Lambda: _lambda,
    ast.Await: _inner,
    ast.Starred: _inner,
    ast.YieldFrom: _inner,
    ast.Yield: _yield,
    ast.Call: _call,
}
