"""Functions that are told who asks, change or reveal what belongs to others, and do not look.

Outside web handlers nothing says that a guard must stand here, but for the parameter itself: who
takes the asking user as an argument means to ask about them. What only asks whether somebody is
logged in has not asked whether they may.
"""

import ast
import re
from collections.abc import Iterator

from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Function, Run
from bluecode.defenses.checkers.python_tree import statements

_MENTIONED = re.compile(
    r"(?i)\b(?:current|requesting|acting|calling|session|logged_in|authenticated)_?user|requester"
    r"|\bactor|\bcaller|\bprincipal|\b(?:user|caller|requester)_?roles?\b"
    r"|\(.*\b(?:user|user_?id|username)\b\s*[,:)=]|logged_?in|is_?authenticated"
)
_ASKING = frozenset("requester requesting actor acting caller calling principal".split())
_WITH_USER = frozenset("current session authenticated logged role roles".split())
_USER = frozenset("user caller requester".split())
_PLAIN = frozenset("user user_id userid username".split())
"""Names that may mean whoever asks, or whom it is about."""
_CHANGES = frozenset(
    "delete remove update set reset promote demote ban unban grant revoke purge drop edit disable "
    "enable approve reject destroy clear wipe shutdown transfer impersonate change modify cancel "
    "withdraw assign archive publish refund add create close reopen rename move mark complete "
    "lock unlock suspend restore replace write save pay".split()
)
_REVEALS = frozenset("get view read fetch show load export download list access retrieve".split())
_HIDDEN = frozenset(
    "private confidential secret salary salaries medical patient payroll sensitive personal "
    "record records document documents file files report reports account message messages invoice "
    "invoices data details".split()
)
_GUARDS = frozenset(
    "authorize authorized authorise permission permissions permitted allowed allow require "
    "required requires guard check verify validate ensure assert can may forbid forbidden deny "
    "denied acl rbac policy access owner owns has role roles is".split()
)
"""Words of calls that may ask in place of the function: `self._ensure_owner(...)`."""
_NOTING = frozenset("print debug info warning error exception log critical audit record".split())
_STANDS_FOR = frozenset("permissions acl admin superuser".split())
"""Attributes of other objects that may be asked in the place of a parameter."""
_PRESENCE = frozenset(
    "is_authenticated authenticated logged_in is_logged_in is_active active id user_id username "
    "name email session".split()
)
_RESTRICTED = re.compile(
    r"(?i)\b(?:only|must be|restricted to|requires?|limited to|may|can|allowed)\b[^.]{0,60}"
    r"\b(?:admin|manager|owner|moderator|supervisor|staff|role|permission|privilege|author)"
    r"|\b(?:admin\w*|managers?|owners?|moderators?|supervisors?|staff)\b[^.]{0,40}"
    r"\b(?:only|may|can|allowed)\b"
)
_DESTRUCTIVE = frozenset("delete remove ban purge destroy wipe promote grant refund".split())
_STUBS = (ast.Pass, ast.Raise)
_MOST = 400
"""Functions that are looked at."""


def unasked(run: Run, tree: ast.Module) -> None:
    """Claim functions that are given the one who asks, and do not ask about them."""
    if _MENTIONED.search(run.text) is None:
        return
    for node in _plain_functions(tree):
        name = _who(node)
        if not name or run.is_test or node.name.startswith("test"):
            continue
        uses = list(_uses(node, name))
        if name in _PLAIN and (uses or len(node.args.args) < 2 or _is_hook(run, node)):
            continue
        body = [item for item in node.body if not _is_text(item)]
        if not body or isinstance(body[0], _STUBS) or _guarded(node, name):
            continue
        spoken = words(node.name)
        acts = bool(spoken & _CHANGES) and _changes_something(body)
        shows = bool(spoken & _REVEALS and spoken & _HIDDEN) and _gives_back(body)
        if not acts and not shows:
            continue
        if all(use in ("noted", "known") for use in uses):
            asked = "known" in uses
            if not asked:
                run.claim("requester_ignored", node, 0.6 if acts else 0.52)
            elif _says_restricted(node) or (acts and spoken & _DESTRUCTIVE):
                run.claim("authenticated_only", node, 0.55 if _says_restricted(node) else 0.5)


def _plain_functions(tree: ast.Module) -> Iterator[Function]:
    """Functions and methods whose parameters nobody else prescribes: no handlers, no overrides."""
    prescribed = {
        id(item)
        for node in statements(tree)
        if isinstance(node, ast.ClassDef) and _inherits(node)
        for item in node.body
    }
    seen = 0
    for node in statements(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            seen += 1
            if seen > _MOST:
                return
            if id(node) not in prescribed and not _decorated(node):
                yield node


def _inherits(node: ast.ClassDef) -> bool:
    return any(not (isinstance(base, ast.Name) and base.id == "object") for base in node.bases)


def _decorated(node: Function) -> bool:
    kinds = {"staticmethod", "classmethod"}
    return any(getattr(item, "id", "") not in kinds for item in node.decorator_list)


def _who(node: Function) -> str:
    """The parameter that holds who asks; "" where there is none."""
    names = [it.arg for it in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    for name in names:
        found = words(name)
        if found & _ASKING or (found & _WITH_USER and found & _USER):
            return name
    for name in names:
        if _RESTRICTED.search(ast.get_docstring(node, clean=False) or "") is not None:
            if "known" in _uses(node, name) and _signed_in(node, name):
                return name
    return next((name for name in names if name in _PLAIN), "")


def _signed_in(node: Function, name: str) -> bool:
    """Whether the body asks if this one is logged in: `employee["logged_in"]`."""
    return any(
        _field_of(inner, name) in _SIGNED_IN for item in node.body for inner in ast.walk(item)
    )


def _field_of(node: ast.AST, name: str) -> str:
    owner = getattr(node, "value", None)
    if getattr(owner, "id", "") != name:
        return ""
    return node.attr if isinstance(node, ast.Attribute) else _text(getattr(node, "slice", node))


_SIGNED_IN = frozenset("is_authenticated authenticated logged_in is_logged_in".split())


def _is_hook(run: Run, node: Function) -> bool:
    """Whether it is handed to others by its name, who decide what it is called with."""
    return len(re.findall(rf"\b{node.name}\b(?!\s*\()", run.text)) > 0


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _uses(node: Function, name: str) -> Iterator[str]:
    """How the body uses the one who asks: `noted` in a log, `known` where only their being there
    matters, `asked` in every other way."""
    parents: dict[int, ast.AST] = {}
    for statement in node.body:
        for outer in ast.walk(statement):
            for inner in ast.iter_child_nodes(outer):
                parents[id(inner)] = outer
            if isinstance(outer, ast.Name) and outer.id == name:
                yield _use(outer, parents)


def _use(node: ast.Name, parents: dict[int, ast.AST]) -> str:
    at: ast.AST = node
    part = ""
    while (outer := parents.get(id(at))) is not None:
        if isinstance(outer, ast.Attribute):
            part = part or outer.attr
        elif isinstance(outer, ast.Subscript) and outer.value is at:
            part = part or _text(outer.slice)
        elif isinstance(outer, ast.Call):
            last = getattr(outer.func, "attr", getattr(outer.func, "id", ""))
            if last in _NOTING or (last == "append" and at in outer.args):
                return "noted"
            if last == "get" and outer.func is at and outer.args:
                part = "" if part == "get" else part
                part = part or _text(outer.args[0])
            elif outer.func is not at:
                return "asked"
        elif isinstance(outer, (ast.UnaryOp, ast.BoolOp)):
            pass
        elif isinstance(outer, ast.Compare):
            return "known" if _presence(outer, at, part) else "asked"
        elif isinstance(outer, (ast.If, ast.IfExp, ast.Assert)):
            return "known" if not part or part in _PRESENCE else "asked"
        elif isinstance(outer, (ast.JoinedStr, ast.FormattedValue)):
            pass
        elif isinstance(outer, ast.Expr):
            return "noted"
        else:
            return "asked"
        at = outer
    return "asked"


def _presence(node: ast.Compare, at: ast.AST, part: str) -> bool:
    """`user is None`, `user not in self.users`, `user["logged_in"] == True`."""
    if part and part not in _PRESENCE:
        return False
    other = node.comparators[0]
    if isinstance(node.ops[0], (ast.Is, ast.IsNot, ast.Eq, ast.NotEq)):
        return isinstance(other, ast.Constant) and (other.value is None or other.value is True)
    if isinstance(node.ops[0], (ast.In, ast.NotIn)) and node.left is at:
        held = words(getattr(other, "attr", getattr(other, "id", "")))
        return bool(held & {"users", "sessions", "accounts", "members", "employees"})
    return False


def _text(node: ast.AST) -> str:
    value = getattr(node, "value", "")
    return value if isinstance(value, str) else "?"


def _guarded(node: Function, name: str) -> bool:
    """Whether something that is called, or read of the object, may ask in its place."""
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Call):
                last = getattr(inner.func, "attr", getattr(inner.func, "id", ""))
                if last.endswith("Error"):
                    continue
                if words(last) & _GUARDS or last in ("super", "locals"):
                    return True
            elif isinstance(inner, ast.Attribute) and words(inner.attr) & _STANDS_FOR:
                if getattr(inner.value, "id", "") != name:
                    return True
    return False


def _changes_something(body: list[ast.stmt]) -> bool:
    """Whether something that was there before is changed, removed or written."""
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Delete):
                return True
            if isinstance(node, (ast.Assign, ast.AugAssign)):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                if any(isinstance(target, (ast.Subscript, ast.Attribute)) for target in targets):
                    return True
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr in _WRITES:
                    return True
    return False


_WRITES = frozenset(
    "append extend pop remove delete update save commit execute add unlink rmtree discard clear "
    "write insert delete_one update_one set put".split()
)


def _gives_back(body: list[ast.stmt]) -> bool:
    """Whether something that was kept is given back."""
    return any(
        isinstance(node, ast.Return)
        and isinstance(node.value, (ast.Name, ast.Subscript, ast.Call, ast.Attribute))
        for statement in body
        for node in ast.walk(statement)
    )


def _says_restricted(node: Function) -> bool:
    """Whether the function says of itself that not everybody may."""
    text = ast.get_docstring(node, clean=False) or ""
    return _RESTRICTED.search(text) is not None or bool(words(node.name) & {"admin", "privileged"})
