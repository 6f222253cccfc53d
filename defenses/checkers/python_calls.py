"""What calls do to values: text methods, containers, paths, cleaners, the snippet's own functions.

A call that nobody here knows blends its arguments and lowers their certainty; it never makes them
safe unless its name says that it cleans.
"""

import ast

from bluecode.defenses.checkers import python_cleaners as cleaners
from bluecode.defenses.checkers import python_sinks, python_sources
from bluecode.defenses.checkers.python_expressions import dotted, evaluate
from bluecode.defenses.checkers.python_functions import FUNCTIONS
from bluecode.defenses.checkers.python_members import attribute_of, find_method, iterated
from bluecode.defenses.checkers.python_methods import METHODS
from bluecode.defenses.checkers.python_names import names_check
from bluecode.defenses.checkers.python_state import Call, Function, Invocation, Run, State
from bluecode.defenses.checkers.python_values import (
    NO_MARKS,
    NOTHING,
    NUMBER,
    Tag,
    Value,
    all_tags,
    blend,
    cleaned,
    union,
    weakened,
)


def evaluate_call(run: Run, state: State, node: ast.Call) -> Value:
    """The result of a call; sinks are asked before."""
    return _applied(run, state, _evaluated(run, state, node))


def _applied(run: Run, state: State, call: Call) -> Value:
    if "partial" in call.callee.marks:
        call = call._replace(
            args=(*(call.callee.items or ()), *call.args),
            keywords=(*(call.callee.fields or ()), *call.keywords),
        )
    python_sinks.called(run, call)
    inner = _handed_on(call)
    if inner is not None:
        _applied(run, state, inner)
    if call.receiver.name in ("str", "bytes") and call.args and call.method != "join":
        # `str.split(text, ",")` is `text.split(",")`.
        call = call._replace(receiver=call.args[0], args=call.args[1:])
    if call.callee.code is not None:
        return _own(run, state, call)
    transfer = METHODS.get(call.method) if call.method else None
    special = FUNCTIONS.get(call.name)
    if special is not None:
        return special(run, state, call)
    cleaning = cleaners.harmless_call(call.name, call.method)
    if cleaning is not None:
        return _cleaned_text(call, cleaning)
    if cleaners.is_numeric(call.name, call.method):
        return _number(state, call)
    known = python_sources.of_call(call.name, call.method, call.node.lineno)
    if known is not None:
        return known
    if transfer is not None:
        return transfer(run, state, call)
    return _unknown(run, state, call)


_CALLING_FIRST = frozenset(
    "submit to_thread call_soon run_sync apply_async starmap map filter reduce".split()
)
_CALLING_SECOND = frozenset("run_in_executor call_later".split())


def _handed_on(call: Call) -> Call | None:
    """The call that a thread, a pool or `map` makes of the function given to it."""
    target, arguments = call.keyword("target"), call.keyword("args")
    if target is not None:
        given = arguments.items or () if arguments is not None else ()
    elif call.last in _CALLING_FIRST and call.args:
        target, given = call.args[0], call.args[1:]
        if call.last in ("map", "starmap", "filter", "reduce"):
            given = tuple(iterated(value) for value in given)
        if call.last == "reduce":
            given = (*given[:1], *given[:1])
    elif call.last in _CALLING_SECOND and len(call.args) > 1:
        target, given = call.args[1], call.args[2:]
    else:
        return None
    known = target.code is not None or python_sinks.is_known(target.name)
    if not known:
        return None
    return call._replace(
        name=target.name, method="", receiver=NOTHING, callee=target, args=given, keywords=()
    )


def _evaluated(run: Run, state: State, node: ast.Call) -> Call:
    function = node.func
    receiver, method = NOTHING, ""
    if isinstance(function, ast.Attribute):
        receiver, method = evaluate(run, state, function.value), function.attr
        key = dotted(function)
        held = state.names.get(key) if key else None
        callee = held if held is not None else attribute_of(run, state, receiver, method)
    else:
        callee = evaluate(run, state, function)
    args: list[Value] = []
    for argument in node.args:
        value = evaluate(run, state, argument)
        if isinstance(argument, ast.Starred):
            args.extend(value.items if value.items is not None else [iterated(value)])
        else:
            args.append(value)
    keywords: list[tuple[str, Value]] = []
    for keyword in node.keywords:
        value = evaluate(run, state, keyword.value)
        if keyword.arg is not None:
            python_sinks.named(run, state, keyword.value, keyword.arg, value)
            keywords.append((keyword.arg, value))
        else:
            keywords.extend(value.fields or (("**", value),))
    return Call(node, callee.name, method, receiver, callee, tuple(args), tuple(keywords), state)


def _own(run: Run, state: State, call: Call) -> Value:
    """A call of something that the snippet defines."""
    code = call.callee.code
    if isinstance(code, ast.ClassDef):
        return _instance(run, state, call, code)
    if isinstance(code, ast.Lambda):
        return _lambda(run, state, call, code)
    if code is None:
        return blend(call.values)
    receiver: Value | None = None
    owner = ""
    if call.method and call.callee.name:
        owner = _owner(run, call)
        if owner and not _static(code):
            receiver = call.receiver if call.receiver.name != owner else None
    return run.walker.invoke(
        run, state, Invocation(code, call.args, call.keywords, receiver, owner)
    )


def _lambda(run: Run, state: State, call: Call, code: ast.Lambda) -> Value:
    """The body of a lambda with its parameters bound; a kept test is no function."""
    if call.callee.name != "lambda" or code in run.active:
        return blend(call.values)
    inner = state.copy()
    names = [argument.arg for argument in (*code.args.posonlyargs, *code.args.args)]
    inner.names.update(zip(names, call.args, strict=False))
    run.active.append(code)
    try:
        return evaluate(run, inner, code.body)
    finally:
        run.active.pop()


def _owner(run: Run, call: Call) -> str:
    if call.receiver.name == "self":
        return run.frame.owner
    code = call.receiver.code
    return code.name if isinstance(code, ast.ClassDef) else ""


def _static(function: Function) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == "staticmethod" for node in function.decorator_list
    )


def _instance(run: Run, state: State, call: Call, node: ast.ClassDef) -> Value:
    made = Value(name=f"{node.name}()", code=node, marks=frozenset({"instance"}))
    maker = find_method(run, node.name, "__init__")
    if maker is not None:
        run.walker.invoke(run, state, Invocation(maker, call.args, call.keywords, made, node.name))
        names = [argument.arg for argument in maker.args.args[1:]]
    else:
        names = [
            item.target.id
            for item in node.body
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
        ]
    fields = dict(zip(names, call.args, strict=False)) | dict(call.keywords)
    return made._replace(fields=tuple(fields.items()), tags=blend(call.values).tags)


def _cleaned_text(call: Call, dangers: frozenset[str]) -> Value:
    content = call.args[0] if call.args else blend(call.values)
    if len(call.args) > 1 or call.keywords:
        content = blend(call.values)
    marks = frozenset({"html"}) if "html" in dangers else NO_MARKS
    if call.name in ("os.path.basename", "ntpath.basename"):
        marks = NO_MARKS
    return cleaned(Value(tags=all_tags(content), name=f"{call.name}()"), dangers)._replace(
        marks=marks
    )


def _number(state: State, call: Call) -> Value:
    """A number or an object that holds no text; converting raises for anything else."""
    short = call.last
    if short in ("int", "float", "UUID", "Decimal", "ip_address", "ObjectId", "IPv4Address"):
        for value in call.args[:1]:
            state.clear(value)
    given = blend((call.receiver, *call.values)).tags
    kinds = frozenset(tag for tag in given if tag.kind not in ("input", "number"))
    name = f"{call.name}()"
    if short in ("len", "hash", "isinstance", "any", "all", "startswith", "endswith"):
        return NUMBER
    if short in ("hexdigest", "digest"):
        kinds = _without_secrets(kinds)
    parts = (kinds,) if short in _WRITTEN else ()
    return Value(tags=kinds, name=name, parts=parts, marks=NUMBER.marks)


_WRITTEN = frozenset({"hexdigest", "digest", "isoformat", "hex", "oct", "bin"})
"""What gives a number as text, so that `+` makes no sum of it."""


def _without_secrets(tags: frozenset[Tag]) -> frozenset[Tag]:
    return frozenset(tag for tag in tags if tag.kind not in ("secret", "input"))


def _unknown(run: Run, state: State, call: Call) -> Value:
    """A call of something that is not in the snippet."""
    everything = union((*map(all_tags, call.values),))
    name = f"{call.name}()" if call.name else ""
    short = call.last
    if names_check(short) and call.node.args and not call.method.startswith("get"):
        # `validate(x)` as a statement: unknown code that raises, or whose outcome is used.
        if short.lstrip("_").startswith(("validate", "check", "verify")):
            for value in call.values:
                state.clear(value)
    if cleaners.named_cleaner(short):
        return Value(tags=_cleared_all(everything), name=name)
    if call.callee.tags or call.receiver.tags:
        own = call.callee.tags if call.method else weakened(call.callee.tags)
        return Value(tags=union((own or call.receiver.tags, weakened(everything))), name=name)
    if everything:
        return Value(tags=weakened(everything), name=name)
    return Value(name=name)


def _cleared_all(tags: frozenset[Tag]) -> frozenset[Tag]:
    return frozenset(tag._replace(cleared=cleaners.ALL) for tag in tags)
