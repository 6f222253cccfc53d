"""The events of a walk at which a weakness can show, and who looks at each.

Sinks see evaluated values; they make claims and change nothing.
"""

import ast
from collections.abc import Callable, Mapping, Sequence

from bluecode.defenses.checkers import (
    python_crypto,
    python_data,
    python_files,
    python_injection,
    python_queries,
    python_remarks,
    python_secrets,
    python_settings,
    python_web,
)
from bluecode.defenses.checkers.python_state import Call, Function, Run, State
from bluecode.defenses.checkers.python_values import Value

_Look = Callable[[Run, Call], None]
_FAMILIES = (
    python_crypto,
    python_data,
    python_files,
    python_injection,
    python_queries,
    python_secrets,
    python_settings,
    python_web,
    python_remarks,
)


def _gathered(tables: Sequence[Mapping[str, _Look]]) -> Mapping[str, tuple[_Look, ...]]:
    found: dict[str, tuple[_Look, ...]] = {}
    for table in tables:
        for name, look in table.items():
            found[name] = (*found.get(name, ()), look)
    return found


_BY_NAME = _gathered([family.CALLS for family in _FAMILIES])
_BY_LAST = _gathered([family.METHODS for family in _FAMILIES])
_EVERY: tuple[_Look, ...] = (
    python_queries.passed_on,
    python_injection.run_by_name,
    python_secrets.passed,
    python_web.spread,
)


def is_known(name: str) -> bool:
    """Whether a function of this full name is looked at."""
    return name in _BY_NAME


def called(run: Run, call: Call) -> None:
    """A call, before its result is known."""
    for look in _BY_NAME.get(call.name, ()):
        look(run, call)
    for look in _BY_LAST.get(call.last, ()):
        look(run, call)
    for look in _EVERY:
        look(run, call)


def compared(
    run: Run, state: State, node: ast.Compare, operator: ast.cmpop, left: Value, right: Value
) -> None:
    """Two values compared."""
    python_crypto.compared(run, state, node, operator, left, right)
    python_secrets.compared(run, node, operator, left, right)
    python_settings.compared(run, node, operator, left, right)
    python_web.host_compared(run, node, operator, left, right)


def named(run: Run, state: State, node: ast.expr, name: str, value: Value) -> None:
    """A value given to a variable, a key, a keyword argument or a default."""
    python_secrets.named(run, node, name, value)
    python_crypto.named(run, node, name, value)
    python_settings.named(run, node, name, value)
    python_remarks.named(run, node, name, value)


def attribute_set(run: Run, state: State, node: ast.Attribute, base: Value, value: Value) -> None:
    """`base.name = value`."""
    python_settings.attribute_set(run, node, base, value)


def item_set(
    run: Run, state: State, node: ast.Subscript, base: Value, index: Value, value: Value
) -> None:
    """`base[index] = value`."""
    python_web.item_set(run, state, node, base, value)
    python_settings.item_set(run, node, base, index, value)


def delivered(run: Run, state: State, node: ast.Return | ast.Yield, value: Value) -> None:
    """A value that leaves a function."""
    python_crypto.named(run, node, run.frame.name, value)
    if run.frame.owner:
        python_crypto.named(run, node, run.frame.owner, value)
    python_web.delivered(run, state, node, value)


def branched(run: Run, node: ast.If) -> None:
    """Both ways of a condition were walked."""
    python_files.refused(run, node)


def entered(run: Run, function: Function) -> None:
    """A function whose body is about to be walked."""
    python_settings.entered(run, function)
