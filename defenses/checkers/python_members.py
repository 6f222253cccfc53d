"""What attributes, elements and sums of values hold."""

import ast
from typing import Any

from bluecode.defenses.checkers import python_sources
from bluecode.defenses.checkers.python_names import names_config
from bluecode.defenses.checkers.python_state import Function, Invocation, Run, State
from bluecode.defenses.checkers.python_values import (
    NO_MARKS,
    NOTHING,
    NUMBER,
    Level,
    Value,
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
_EXTENSION = frozenset({"extension"})
_NUMERIC_FIELDS = frozenset({"port", "status_code", "lineno", "st_size"})


def attribute_of(run: Run, state: State, base: Value, name: str) -> Value:
    """What `base.name` holds."""
    if "request" in base.marks:
        return python_sources.of_request(name)
    if base.name == "self":
        return _of_self(run, state, base, name)
    if isinstance(base.code, ast.ClassDef):
        return _of_class(run, state, base, name)
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
    return piece(base, name, full)


def _of_self(run: Run, state: State, base: Value, name: str) -> Value:
    given = python_sources.of_self(run, name)
    if given is not None:
        return given
    owner = run.frame.owner
    method = find_method(run, owner, name)
    if method is not None:
        bound = Value(name=f"self.{name}", code=method)
        return _read_property(run, state, base, bound, method, owner)
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


def _read_property(
    run: Run, state: State, base: Value, bound: Value, method: Function, owner: str
) -> Value:
    """A property is what its function returns; any other method is itself."""
    names = [getattr(node, "id", getattr(node, "attr", "")) for node in method.decorator_list]
    if not any(name in ("property", "cached_property") for name in names):
        return bound
    return run.walker.invoke(run, state, Invocation(method, (), (), base, owner))


def _of_class(run: Run, state: State, base: Value, name: str) -> Value:
    assert isinstance(base.code, ast.ClassDef)
    method = find_method(run, base.code.name, name)
    if method is not None:
        bound = Value(name=f"{base.name}.{name}", code=method)
        return _read_property(run, state, base, bound, method, base.code.name)
    held = base.field(name) or run.fields.get(base.code.name, {}).get(name)
    if held is not None:
        return held
    return piece(base, name, f"{base.name}.{name}")


def sliced(base: Value, bounds: str) -> Value:
    """What `base[bounds]` holds: a check of one slice says nothing of another."""
    if base.items is not None:
        return Value(tags=base.tags, items=None, name=base.name)
    if is_constant(base):
        return Value()
    marks = base.marks & {"weak"}
    return piece(base, f"[{bounds}]", f"{base.name}[:]" if base.name else "", marks)


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
    if base.name == "globals()" and isinstance(key, str):
        return Value(name=key)
    if base.fields is not None and base.fields:
        return blend(value for _, value in base.fields)
    word = str(key) if isinstance(key, (str, int)) else "item"
    name = f"{base.name}[]" if base.name else ""
    extension = base.name.endswith(("splitext()", "split()"))
    return piece(base, word, name, _EXTENSION if extension else NO_MARKS)


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
    return piece(value, "each", f"{value.name}[]" if value.name else "")


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
    written = left.parts or right.parts
    if not written and ("number" in left.marks or "number" in right.marks):
        return Value(tags=keep_kinds(left.tags | right.tags), marks=NUMBER.marks)
    if isinstance(left.const, bytes) and isinstance(right.const, bytes):
        return constant(left.const + right.const)
    return glue((left, right))
