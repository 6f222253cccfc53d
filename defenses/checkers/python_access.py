"""Handlers that change or reveal what only some may, and ask nobody who they are.

Only what the snippet itself shows counts: an administrator's route, or a route that changes things
beside others that ask. A guard can stand elsewhere, so these claims stay near the threshold.
"""

import ast
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Function, Run

_ASKS = frozenset(
    "login auth authenticated authentication authorize authorized authorization permission "
    "permissions jwt protected secured security staff token guard acl rbac scopes "
    "authenticate identity credentials verify oauth2 oauth bearer roles privilege privileges "
    "superuser forbidden unauthorized apikey signature require required requires "
    "permitted allowed owner signed hmac secret".split()
)
_CURRENT = frozenset("current_user get_current_user current_admin g user_passes_test".split())
_CODES = frozenset({401, 403})
_METHODS = frozenset("post put delete patch".split())
_ROUTES = frozenset("route get post put delete patch api_route".split())
_ADMIN = frozenset("admin admins administrator superuser sudo internal".split())
_CHANGES = frozenset(
    "delete remove update create add set reset promote demote ban unban grant revoke purge drop "
    "edit disable enable approve destroy clear wipe shutdown restart transfer impersonate".split()
)
_OPEN = frozenset(
    "login logout register signup signin health ping webhook callback contact subscribe token "
    "password forgot refresh authenticate verify session hello index home search comment".split()
)
_GLOBAL_GUARDS = frozenset(
    "before_request before_app_request add_middleware LoginRequiredMixin PermissionRequiredMixin "
    "UserPassesTestMixin AuthenticationMiddleware permission_classes".split()
)


def unguarded(run: Run, tree: ast.Module) -> None:
    """Claim handlers that need a guard and show none."""
    routed = [(node, route) for node in run.decorated if (route := _route(node)) is not None]
    open_ones = [(node, route, _named(node, route)) for node, route in routed]
    open_ones = [one for one in open_ones if not one[2] & _OPEN and _needs_a_guard(one[1], one[2])]
    open_ones = [one for one in open_ones if not _asks(one[0])]
    if not open_ones or _guarded_as_a_whole(tree):
        return
    others_ask = len(routed) > 1 and any(_asks(node) for node, _ in routed)
    for node, route, named in open_ones:
        if named & _ADMIN:
            changes = route.methods & _METHODS or named & _CHANGES
            run.claim("missing_authentication", node, 0.6 if changes else 0.52)
        elif others_ask:
            run.claim("missing_authorization", node, 0.5)


def _named(node: Function, route: "Route") -> frozenset[str]:
    return words(node.name) | words(route.path)


def _needs_a_guard(route: "Route", named: frozenset[str]) -> bool:
    return bool(named & _ADMIN or route.methods & _METHODS)


class Route(NamedTuple):
    """What a decorator says of a handler."""

    path: str
    methods: frozenset[str]


def _route(node: Function) -> Route | None:
    """Path and methods of a handler; None for other functions."""
    for decorator in node.decorator_list:
        if not (isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Attribute)):
            continue
        word = decorator.func.attr
        first = decorator.args[0] if decorator.args else None
        if word in _ROUTES and isinstance(first, ast.Constant) and isinstance(first.value, str):
            methods = {word} if word in _METHODS else set()
            methods |= {text.lower() for text in _texts(decorator.keywords, "methods")}
            return Route(first.value, frozenset(methods))
    return None


def _texts(keywords: Iterable[ast.keyword], name: str) -> Iterator[str]:
    for keyword in keywords:
        if keyword.arg == name:
            for inner in ast.walk(keyword.value):
                if isinstance(inner, ast.Constant) and isinstance(inner.value, str):
                    yield inner.value


def _guarded_as_a_whole(tree: ast.Module) -> bool:
    """Whether something stands in front of all handlers."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)) and _word(node) in _GLOBAL_GUARDS:
            return True
        if isinstance(node, ast.Call) and _word(node.func) in ("FastAPI", "APIRouter", "Blueprint"):
            if any(keyword.arg == "dependencies" for keyword in node.keywords):
                return True
    return False


def _asks(node: Function) -> bool:
    """Whether the decorators, the parameters or the body ask who the client is."""
    parts: list[ast.AST] = [*node.decorator_list, node.args, *node.body]
    for part in parts:
        for inner in ast.walk(part):
            if isinstance(inner, (ast.Name, ast.Attribute)):
                word = _word(inner)
                if word in _CURRENT or words(word) & _ASKS or _of_client(inner):
                    return True
            elif isinstance(inner, ast.Constant) and _says_so(inner.value):
                return True
    return False


def _of_client(node: ast.Name | ast.Attribute) -> bool:
    """`request.user`, or the session of the client; a database has a session, too."""
    if isinstance(node, ast.Name):
        return node.id == "session"
    return node.attr in ("user", "session") and _word(node.value) in ("request", "req", "g", "self")


def _says_so(constant: object) -> bool:
    if isinstance(constant, str):
        return len(constant) < 40 and bool(words(constant) & _ASKS)
    return isinstance(constant, int) and constant in _CODES


def _word(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
