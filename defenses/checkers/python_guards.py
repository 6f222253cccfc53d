"""What a condition rules out on the branch where it holds.

An allow-list, a full match, a type or a path check clears the checked source for the dangers that
it really excludes; a check of a part says nothing of the whole.
"""

import ast

from bluecode.defenses.checkers import python_cleaners as cleaners
from bluecode.defenses.checkers.python_checks import NO_CHECKS, Checks
from bluecode.defenses.checkers.python_expressions import evaluate
from bluecode.defenses.checkers.python_names import names_check
from bluecode.defenses.checkers.python_regex import anchored
from bluecode.defenses.checkers.python_state import Run, State
from bluecode.defenses.checkers.python_values import (
    Level,
    Value,
    all_tags,
    is_constant,
    piece,
)

_ALPHABET_TESTS = frozenset("isdigit isalnum isalpha isnumeric isdecimal isidentifier".split())
_CHECKS = _ALPHABET_TESTS | frozenset(
    "startswith is_relative_to endswith issubset issuperset is_absolute match fullmatch search"
    " any all isinstance".split()
)
"""Methods, and functions of a module, whose outcome says something of what they were given."""
_PATH = frozenset({"path"})
_URL = frozenset({"url"})
_PATH_CHECKS = ("os.path.commonpath()", "os.path.commonprefix()", "os.path.dirname()")


def assume(run: Run, state: State, test: ast.expr, truth: bool) -> None:
    """Narrow the state to where the test came out as `truth`."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        assume(run, state, test.operand, not truth)
    elif isinstance(test, ast.BoolOp):
        _assume_all(run, state, test, truth)
    elif isinstance(test, ast.Compare):
        _compared(run, state, test, truth)
    elif isinstance(test, ast.Call):
        _called(run, state, test, truth)
    elif isinstance(test, ast.NamedExpr):
        assume(run, state, test.value, truth)
    elif isinstance(test, ast.Name):
        _named(run, state, test, truth)
    elif isinstance(test, ast.Attribute) and not truth:
        _empty_host(run, state, test)


def _assume_all(run: Run, state: State, test: ast.BoolOp, truth: bool) -> None:
    """`and` that holds and `or` that fails settle every operand, the others what all share."""
    if isinstance(test.op, ast.And) is truth:
        for operand in test.values:
            assume(run, state, operand, truth)
        return
    shared: Checks | None = None
    for operand in test.values:
        branch = state.copy()
        assume(run, branch, operand, truth)
        shared = branch.cleared if shared is None else shared & branch.cleared
    state.cleared |= shared or NO_CHECKS


def _compared(run: Run, state: State, test: ast.Compare, truth: bool) -> None:
    if len(test.ops) != 1:
        return
    operator, right_node = test.ops[0], test.comparators[0]
    left, right = evaluate(run, state, test.left), evaluate(run, state, right_node)
    if isinstance(operator, (ast.LtE, ast.Lt)) and truth:
        _subset(state, left, right)
    elif isinstance(operator, (ast.GtE, ast.Gt)) and truth:
        _subset(state, right, left)
    if isinstance(operator, (ast.In, ast.NotIn)):
        _membership(state, left, right, right_node, truth is isinstance(operator, ast.In))
    elif isinstance(operator, (ast.Eq, ast.NotEq, ast.Is, ast.IsNot)):
        _equality(run, state, left, right, test, truth is isinstance(operator, (ast.Eq, ast.Is)))


def _membership(state: State, left: Value, right: Value, container: ast.expr, inside: bool) -> None:
    if inside and right.name.endswith(".parents") and "normal" in right.marks:
        state.clear(right, _PATH)
    elif inside and _trusted(right):
        _allowed(state, left)
    elif not inside and left.literal is not None:
        _without(state, left.literal, right)


def _subset(state: State, part: Value, whole: Value) -> None:
    """`set(fields) <= ALLOWED`: each of them is one of a known set."""
    if whole.items is not None and whole.items and _trusted(whole):
        each = piece(part, "each")
        state.clear(each if part.fields is None else part)


def _trusted(container: Value) -> bool:
    """Whether nobody outside decides what the container holds."""
    return all(tag.level <= Level.FIELD for tag in all_tags(container) if tag.kind == "input")


def _allowed(state: State, value: Value) -> None:
    """The value is one of a known set: harmless whatever it is for."""
    if value.name.endswith((".netloc", ".hostname", ".host")):
        state.clear(value, _URL, parent=True)
    elif not value.name.endswith((".scheme", ".content_type", ".mimetype")):
        state.clear(value)
        if "upload" in value.marks:
            state.clear(value, ("upload",), parent=True)
    if value.name.endswith((".content_type", ".mimetype")) or "extension" in value.marks:
        state.clear(value, ("upload",), parent=True)


def _without(state: State, text: str, value: Value) -> None:
    """The value does not contain a text."""
    if text in ("..", "/", "../", "\\"):
        state.clear(value, _PATH, parent=value.name.endswith((".name", ".filename")))
    elif text in ("\n", "\r", "\r\n"):
        state.clear(value, ("header", "log"))
    elif text == "__":
        state.clear(value, ("name",))


def _equality(
    run: Run, state: State, left: Value, right: Value, test: ast.Compare, equal: bool
) -> None:
    for value, other in ((left, right), (right, left)):
        if not equal:
            continue
        if value.name in _PATH_CHECKS or _normal(value):
            state.clear(value, _PATH, parent=True)
        elif is_constant(other) and other.const is not None and other.const != "":
            _allowed(state, value)
        elif value.name.endswith((".netloc", ".hostname", ".host")):
            state.clear(value, _URL, parent=True)
    if equal and _empty(right) and left.name.endswith((".netloc", ".scheme")):
        state.clear(left, ("url",), parent=True)


def _empty(value: Value) -> bool:
    return is_constant(value) and value.const in ("", None)


def _normal(value: Value) -> bool:
    return "normal" in value.marks


def _empty_host(run: Run, state: State, test: ast.Attribute) -> None:
    """A parsed address without a host stays on this site."""
    if test.attr in ("netloc", "scheme", "hostname"):
        state.clear(evaluate(run, state, test), _URL, parent=True)


def _named(run: Run, state: State, test: ast.Name, truth: bool) -> None:
    """A variable that holds the outcome of an earlier check."""
    value = state.names.get(test.id)
    if value is None:
        return
    if isinstance(value.code, ast.Lambda) and value.name != "lambda":
        # The test may name the variable itself, as in `ok = ok and x in allowed`.
        state.names[test.id] = value._replace(code=None)
        assume(run, state, value.code.body, truth)
        state.names[test.id] = value
    if not truth and value.name.endswith((".netloc", ".scheme")):
        state.clear(value, _URL, parent=True)


def _called(run: Run, state: State, test: ast.Call, truth: bool) -> None:
    function = test.func
    name = function.attr if isinstance(function, ast.Attribute) else ""
    if name and not _may_tell(run, name):
        return
    arguments = [evaluate(run, state, argument) for argument in test.args]
    callee = evaluate(run, state, function)
    if isinstance(function, ast.Attribute):
        receiver = evaluate(run, state, function.value)
        if callee.code is None and _method_check(state, receiver, name, arguments, truth):
            return
        if receiver.name.startswith("re.compile()"):
            callee = receiver
    full = callee.name
    last = name or full.rpartition(".")[2]
    if callee.code is not None:
        _own_check(run, state, test, truth)
    elif full == "isinstance" and truth and len(arguments) == 2:
        _typed(state, arguments[0], test.args[1])
    elif full in ("any", "all") and test.args:
        _each(run, state, test.args[0], full, truth)
    elif last in ("match", "fullmatch", "search") and truth:
        _pattern(state, full, callee, last, arguments)
    elif truth and names_check(last) and arguments:
        for argument in arguments:
            state.clear(argument)
        if "url" in last or "host" in last or "redirect" in last:
            for argument in arguments:
                state.clear(argument, _URL, parent=True)


def _may_tell(run: Run, name: str) -> bool:
    """Could the outcome of a call of a method of this name tell anything of a value? One that is a
    check by its name, or that the snippet may define: there the name stands elsewhere, too."""
    if name in _CHECKS or names_check(name) or not run.text:
        return True
    return run.text.count(name) != run.text.count(f".{name}(")


def _method_check(
    state: State, receiver: Value, name: str, arguments: list[Value], truth: bool
) -> bool:
    """Checks that a method of the value itself makes."""
    if name in _ALPHABET_TESTS:
        if truth:
            state.clear(receiver)
        return True
    if name in ("startswith", "is_relative_to"):
        if truth:
            _prefix(state, receiver, arguments)
        elif arguments and arguments[0].literal == "//":
            state.clear(receiver, ("not_double",))
        elif arguments and arguments[0].literal == "-":
            state.clear(receiver, ("option",))
        return True
    if name == "endswith":
        if truth and receiver.name.endswith((".netloc", ".hostname")):
            state.clear(receiver, _URL, parent=True)
        if truth:
            state.clear(receiver, ("upload",))
        return True
    if name == "issubset" and truth and arguments:
        if arguments[0].literal:
            state.clear(receiver, cleaners.alphabet(arguments[0].literal))
        _subset(state, receiver, arguments[0])
        return True
    if name == "issuperset" and truth and arguments:
        _subset(state, arguments[0], receiver)
        return True
    return name == "is_absolute"


def _prefix(state: State, receiver: Value, arguments: list[Value]) -> None:
    if "normal" in receiver.marks:
        state.clear(receiver, _PATH)
        return
    prefix = arguments[0].literal if arguments else None
    if prefix and "://" in prefix and prefix.rstrip("/").count("/") >= 2 and prefix.endswith("/"):
        state.clear(receiver, _URL)
    elif prefix == "/":
        state.clear(receiver, ("not_rooted",))


def _typed(state: State, value: Value, type_node: ast.expr) -> None:
    names = {node.id for node in ast.walk(type_node) if isinstance(node, ast.Name)}
    if names and names <= {"int", "float", "bool", "UUID", "Decimal"}:
        state.clear(value)
    elif names == {"str"}:
        state.clear(value, ("nosql",))


def _each(run: Run, state: State, node: ast.expr, name: str, truth: bool) -> None:
    """`all(check(c) for c in value)`, or `not any(...)`: every character passed."""
    if not isinstance(node, (ast.GeneratorExp, ast.ListComp)) or len(node.generators) != 1:
        return
    if (name == "all") is not truth:
        return
    generator = node.generators[0]
    branch = state.copy()
    if isinstance(generator.target, ast.Name):
        branch.names[generator.target.id] = _element(evaluate(run, state, generator.iter))
    if _spelled(run, state, branch, node.elt, truth):
        return
    before = branch.cleared
    assume(run, branch, node.elt, truth)
    if branch.cleared == before and _literal_marks(generator):
        _blocked_characters(run, state, node, generator)
    state.cleared |= branch.cleared


def _spelled(run: Run, state: State, branch: State, test: ast.expr, truth: bool) -> bool:
    """`character in "abc"` for each one: the text has only the dangers of that alphabet."""
    if not (isinstance(test, ast.Compare) and len(test.ops) == 1):
        return False
    if not isinstance(test.ops[0], ast.In if truth else ast.NotIn):
        return False
    letters = evaluate(run, branch, test.comparators[0]).literal
    if letters is None:
        return False
    state.clear(evaluate(run, branch, test.left), cleaners.alphabet(letters))
    return True


def _element(value: Value) -> Value:
    return Value(tags=value.tags, parts=value.parts if is_constant(value) else ())


def _literal_marks(generator: ast.comprehension) -> bool:
    return isinstance(generator.iter, (ast.Constant, ast.Tuple, ast.List, ast.Set))


def _blocked_characters(
    run: Run, state: State, node: ast.GeneratorExp | ast.ListComp, generator: ast.comprehension
) -> None:
    """`not any(mark in value for mark in (...))`."""
    test = node.elt
    if not (isinstance(test, ast.Compare) and isinstance(test.ops[0], ast.In)):
        return
    marks = evaluate(run, state, generator.iter)
    found = [item.literal for item in marks.items or ()] or list(marks.literal or "")
    value = evaluate(run, state, test.comparators[0])
    for mark in found:
        if mark:
            _without(state, mark, value)


def _pattern(state: State, full: str, callee: Value, call: str, arguments: list[Value]) -> None:
    compiled = not full.startswith("re.") or full.startswith("re.compile()")
    if compiled:
        pattern = callee.field("pattern")
        subject = arguments[0] if arguments else None
    else:
        pattern = arguments[0] if arguments else None
        subject = arguments[1] if len(arguments) > 1 else None
    if subject is None:
        return
    literal = None if pattern is None else pattern.literal
    if literal is None:
        if not (pattern is not None and state.live(pattern.tags, "regex", Level.PRIVATE)):
            state.clear(subject)
    elif anchored(literal, call):
        state.clear(subject, cleaners.matching(literal))


def _own_check(run: Run, state: State, test: ast.Call, truth: bool) -> None:
    """A check that the snippet itself defines: believe what its body shows, not its name."""
    evaluate(run, state, test)
    outcome = run.last_call
    if outcome is not None:
        state.cleared |= outcome.if_true if truth else outcome.if_false
