"""What an expression evaluates to, as far as the snippet shows.

Calls live in `python_calls`, which this file reaches through the run's walker.
"""

import ast
from collections.abc import Callable, Mapping
from typing import Any

from bluecode.defenses.checkers import python_sinks, python_sources
from bluecode.defenses.checkers.python_names import names_config
from bluecode.defenses.checkers.python_state import Run, State
from bluecode.defenses.checkers.python_text import interpolated, percent
from bluecode.defenses.checkers.python_values import (
    NOTHING,
    NUMBER,
    Level,
    Value,
    all_tags,
    blend,
    cleaned,
    constant,
    glue,
    is_constant,
    keep_kinds,
    merge,
    piece,
    sequence,
    source,
)

_PATH_NAMES = frozenset({"name", "stem"})
_PATH = frozenset({"path"})
_NUMERIC_FIELDS = frozenset({"port", "status_code", "lineno", "st_size"})


def evaluate(run: Run, state: State, node: ast.expr | None) -> Value:
    """The abstract value of an expression; claims are made on the way."""
    if node is None:
        return NOTHING
    run.spend()
    evaluator = _EVALUATORS.get(type(node))
    return NOTHING if evaluator is None else evaluator(run, state, node)


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names, else empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


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
    return attribute_of(run, evaluate(run, state, node.value), node.attr)


def attribute_of(run: Run, base: Value, name: str) -> Value:
    """What `base.name` holds."""
    if "request" in base.marks:
        return python_sources.of_request(name)
    if base.name == "self":
        return _of_self(run, base, name)
    if isinstance(base.code, ast.ClassDef):
        return _of_class(run, base, name)
    held = base.field(name)
    if held is not None:
        return held
    full = f"{base.name}.{name}" if base.name else name
    known = python_sources.of_name(full)
    if known is not None:
        return known
    if name in ("data", "cleaned_data") and "form" in base.name.lower() and not base.tags:
        return source(f"request.form.{name}", Level.REQUEST, name=full)
    if python_sources.is_request_name(full) and not base.tags:
        return python_sources.request_object()
    return _plain_attribute(base, name, full)


def _plain_attribute(base: Value, name: str, full: str) -> Value:
    if "path" in base.marks:
        if name in _PATH_NAMES:
            return cleaned(Value(tags=base.tags, name=full), _PATH)
        return Value(tags=base.tags, name=full, parts=base.parts, marks=base.marks)
    if name in _NUMERIC_FIELDS:
        return NUMBER
    part = piece(base, name)
    return part._replace(name=full)


def _of_self(run: Run, base: Value, name: str) -> Value:
    given = python_sources.of_self(run, name)
    if given is not None:
        return given
    owner = run.frame.owner
    method = find_method(run, owner, name)
    if method is not None:
        return Value(name=f"self.{name}", code=method)
    held = run.fields.get(owner, {}).get(name)
    if held is not None:
        return held
    if names_config(name) or name.isupper():
        return Value(name=f"self.{name}")
    return source(f"self.{name}", Level.FIELD, name=f"self.{name}")


def find_method(run: Run, owner: str, name: str) -> Any:
    """A method of a class of the snippet, or of its bases there."""
    seen: set[str] = set()
    queue = [owner]
    while queue:
        current = queue.pop()
        if current in seen or current not in run.classes:
            continue
        seen.add(current)
        if name in run.methods.get(current, {}):
            return run.methods[current][name]
        queue.extend(base.id for base in run.classes[current].bases if isinstance(base, ast.Name))
    return None


def _of_class(run: Run, base: Value, name: str) -> Value:
    assert isinstance(base.code, ast.ClassDef)
    method = find_method(run, base.code.name, name)
    if method is not None:
        return Value(name=f"{base.name}.{name}", code=method)
    held = base.field(name) or run.fields.get(base.code.name, {}).get(name)
    if held is not None:
        return held
    return piece(base, name)._replace(name=f"{base.name}.{name}")


def _subscript(run: Run, state: State, node: ast.Subscript) -> Value:
    base = evaluate(run, state, node.value)
    if isinstance(node.slice, ast.Slice):
        for bound in (node.slice.lower, node.slice.upper, node.slice.step):
            evaluate(run, state, bound)
        return _sliced(base)
    index = evaluate(run, state, node.slice)
    if "request" in base.marks:
        key = index.const if isinstance(index.const, str) else "item"
        return source(f"request>{key}", Level.REQUEST, name="request[]")
    return element(base, index)


def _sliced(base: Value) -> Value:
    if base.items is not None:
        return Value(tags=base.tags, items=None, name=base.name)
    if is_constant(base):
        return Value()
    marks = base.marks & {"weak"}
    return piece(base, "slice")._replace(marks=marks, name=f"{base.name}[:]" if base.name else "")


def element(base: Value, index: Value) -> Value:
    """What `base[index]` holds."""
    key = index.const
    if base.items is not None and isinstance(key, int):
        if -len(base.items) <= key < len(base.items):
            return base.items[key]
    if isinstance(key, str):
        held = base.field(key)
        if held is not None:
            return held
    if base.fields is not None and base.fields:
        return blend(value for _, value in base.fields)
    word = str(key) if isinstance(key, (str, int)) else "item"
    name = f"{base.name}[]" if base.name else ""
    part = piece(base, word)
    marks = (
        frozenset({"extension"}) if base.name.endswith(("splitext()", "split()")) else part.marks
    )
    return part._replace(name=name, marks=marks)


def iterated(value: Value) -> Value:
    """What a loop over the value binds."""
    if value.items is not None:
        if not value.items:
            return NOTHING
        found = value.items[0]
        for item in value.items[1:]:
            found = merge(found, item)
        return found
    if value.fields is not None:
        return NOTHING
    return piece(value, "each")._replace(name=f"{value.name}[]" if value.name else "")


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


def joined_path(left: Value, right: Value) -> Value:
    """Two parts of a path with a separator between."""
    joined = glue((left, right), "/")
    return joined._replace(marks=frozenset({"path"}), name="pathlib.Path()")


def added(left: Value, right: Value) -> Value:
    """`left + right` for text, lists and numbers."""
    if left.items is not None and right.items is not None:
        return sequence((*left.items, *right.items))
    if left.items is not None or right.items is not None:
        return blend((left, right))
    if "number" in left.marks or "number" in right.marks:
        return Value(tags=keep_kinds(left.tags | right.tags), marks=NUMBER.marks)
    if isinstance(left.const, bytes) and isinstance(right.const, bytes):
        return constant(left.const + right.const)
    return glue((left, right))


def _modulo(left: Value, right: Value) -> Value:
    if any(isinstance(part, str) for part in left.parts):
        return percent(left, right)
    if isinstance(left.const, bytes) or left.tags:
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
    return Value(name="lambda")


def _inner(run: Run, state: State, node: ast.Await | ast.Starred | ast.YieldFrom) -> Value:
    return evaluate(run, state, node.value)


def _yield(run: Run, state: State, node: ast.Yield) -> Value:
    python_sinks.delivered(run, state, node, evaluate(run, state, node.value))
    return NOTHING


def _call(run: Run, state: State, node: ast.Call) -> Value:
    return run.walker.call(run, state, node)


def bind(run: Run, state: State, target: ast.expr, value: Value) -> None:
    """Give a value to the target of an assignment, a loop or a `with`."""
    if isinstance(target, ast.Name):
        state.names[target.id] = value
        for key in [name for name in state.names if name.startswith(f"{target.id}.")]:
            del state.names[key]
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
        state.names[key] = value
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
        state.names[key] = base._replace(
            fields=tuple(fields.items()), tags=base.tags | all_tags(value)
        )
    elif "request" not in base.marks:
        state.names[key] = Value(tags=base.tags | all_tags(value), name=base.name)


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
