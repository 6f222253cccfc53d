"""Secrets in Python code: written into it, and written to logs by it."""

import ast
import re
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers.credentials import plausible, url_password
from bluecode.defenses.checkers.python_names import names_password, names_secret, words
from bluecode.defenses.checkers.python_state import Call, Run
from bluecode.defenses.checkers.python_values import Value

_CARRIED = re.compile(r"(?:Bearer|Basic|Token|token)\s+(\S{16,})$")
_LOG_METHODS = frozenset("debug info warning warn error critical exception log".split())
_MASKING = frozenset(
    "len bool mask masked redact redacted hash sha256 hexdigest obfuscate type id fingerprint "
    "hash_password isinstance hide encrypt verify check count hashpw derive pbkdf2 scrypt kdf "
    "argon2 seal digest crypt hmac sign".split()
)


def named(run: Run, node: ast.AST, name: str, value: Value) -> None:
    """A literal given to something that is called a secret."""
    literal = value.const
    text = literal.decode("latin-1") if isinstance(literal, bytes) else literal
    if not isinstance(text, str):
        return
    carried = _CARRIED.match(text) if name.lower() == "authorization" else None
    if carried is not None:
        found = plausible("token", carried[1])
        if found >= 0.7:
            run.claim("hardcoded_secret", node, found)
    elif names_secret(name):
        found = plausible(name, text)
        if found:
            run.claim("hardcoded_secret", node, found)
    elif url_password(text):
        run.claim("hardcoded_secret", node, 0.75)


def passed(run: Run, call: Call) -> None:
    """Connection strings with a password, and secrets on their way into a log."""
    for value, node in zip(call.args, call.node.args, strict=False):
        if isinstance(value.const, str) and "://" in value.const and url_password(value.const):
            run.claim("hardcoded_secret", node, 0.75)
    if call.name == "print" or (call.last in _LOG_METHODS and _is_logger(call)):
        for argument in call.node.args:
            if _shows_secret(argument):
                run.claim("secret_in_log", call.node, 0.55 if call.name == "print" else 0.7)


def _written(run: Run, call: Call) -> None:
    """A password as it is, kept in a file."""
    receiver = call.receiver
    if not (receiver.name.startswith("open()") or "path" in receiver.marks):
        return
    if any(_shows_secret(argument, names_password) for argument in call.node.args):
        run.claim("secret_stored", call.node, 0.55)


def _is_logger(call: Call) -> bool:
    found = words(call.receiver.name) | words(call.name.partition(".")[0])
    return bool(found & {"log", "logger", "logging"})


def _shows_secret(node: ast.expr, is_secret: Callable[[str], bool] | None = None) -> bool:
    """Whether the text of a secret is part of what the expression prints."""
    known = is_secret or _is_secret
    if isinstance(node, ast.Call):
        name = _name_of(node.func)
        if words(name) & _MASKING or name in _MASKING:
            return False
        receiver = node.func.value if isinstance(node.func, ast.Attribute) else None
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(_shows_secret(part, known) for part in ([receiver] if receiver else []) + parts)
    if isinstance(node, ast.Subscript):
        if isinstance(node.slice, ast.Slice):
            return False
        key = node.slice.value if isinstance(node.slice, ast.Constant) else ""
        return isinstance(key, str) and known(key)
    if isinstance(node, (ast.Name, ast.Attribute)):
        return known(_name_of(node))
    if isinstance(node, (ast.Compare, ast.IfExp, ast.Lambda)):
        return False
    return any(
        _shows_secret(child, known)
        for child in ast.iter_child_nodes(node)
        if isinstance(child, ast.expr)
    ) or (
        isinstance(node, ast.JoinedStr)
        and any(
            _shows_secret(item.value, known)
            for item in node.values
            if isinstance(item, ast.FormattedValue)
        )
    )


def _is_secret(name: str) -> bool:
    return (
        _identifies(name)
        or names_secret(name)
        and not words(name) & {"tokens", "pass", "token"}
        or (names_password(name) and "pass" not in words(name))
        or bool(
            words(name) & {"token"} and words(name) & {"access", "auth", "refresh", "api", "jwt"}
        )
    )


def _identifies(name: str) -> bool:
    """Numbers with which somebody else could pay or pose."""
    found = words(name)
    return bool(found & {"cvv", "cvc", "ssn"}) or {"card", "number"} <= found


def _name_of(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def compared(run: Run, node: ast.Compare, operator: ast.cmpop, left: Value, right: Value) -> None:
    """`if password == "literal"`: a secret everybody with the code knows."""
    if not isinstance(operator, (ast.Eq, ast.NotEq)):
        return
    for side, other in ((node.left, right), (node.comparators[0], left)):
        name = _name_of(side)
        literal = other.const
        if isinstance(literal, str) and names_password(name) and plausible(name, literal):
            run.claim("hardcoded_secret", node, plausible(name, literal))
    if not run.is_test and not run.frame.test and _as_typed(node.left, node.comparators[0]):
        run.claim("plain_password", node, 0.55)


def _as_typed(left: ast.expr, right: ast.expr) -> bool:
    """`user["password"] == password`: what is kept of a user is the password itself."""
    for kept, typed in ((left, right), (right, left)):
        if isinstance(typed, ast.Name) and names_password(typed.id) and _kept(kept):
            return True
    return False


def _kept(node: ast.expr) -> bool:
    """The password of a record: an item or attribute of something that is no object's own state,
    no form and no setting."""
    if isinstance(node, ast.Subscript):
        key = getattr(node.slice, "value", "")
    else:
        key = node.attr if isinstance(node, ast.Attribute) else ""
    if not (isinstance(key, str) and names_password(key)):
        return False
    owner = node.value if isinstance(node, (ast.Subscript, ast.Attribute)) else node
    while isinstance(owner, (ast.Subscript, ast.Attribute, ast.Call)):
        owner = owner.func if isinstance(owner, ast.Call) else owner.value
    spoken = words(getattr(owner, "id", ""))
    return bool(spoken & _RECORDS)


_RECORDS = frozenset(
    "user users row record account accounts member members customer customers db person employee "
    "student client admin stored found profile credentials patient".split()
)


Look = Callable[[Run, Call], None]

CALLS: Mapping[str, Look] = {}
METHODS: Mapping[str, Look] = dict.fromkeys("write write_text writelines".split(), _written)
