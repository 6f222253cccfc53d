"""Records with fields that not everybody may see or set: what is handed out, what is taken in.

A password's hash, a social security number or the number of a card beside a name is a record of a
person; an answer that names them shows them. A record that holds a role or a balance must not take
over whatever fields it is sent.
"""

import ast
import re
from collections.abc import Iterator

from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Function, Run
from bluecode.defenses.checkers.python_tree import statements

_OWN = (
    "password|passwd|ssn|social_security(?:_number)?|credit_?card(?:_number)?|card_number|cvv|cvc"
    "|security_answer"
)
_STORED = "password_hash(?:ed)?|hashed_password|tax_id|bank_account(?:_number)?"
_KEYS = "api_key|private_key|secret_key"
_SHOWN = re.compile(rf"(?:\b|_)(?:{_OWN}|{_STORED}|{_KEYS})\b")
_SEEN = re.compile(rf"(?:^|_)(?:{_OWN}|{_STORED}|{_KEYS})$")
"""Fields that no answer names."""
_OF_RECORD = re.compile(rf"(?:^|_)(?:{_OWN}|{_STORED})$")
"""The same, keys aside, which objects hold that are no persons."""
_SPOKEN = re.compile(rf"(?:^|_)(?:{_OWN})$")
"""What is no part of any text; keys of services are sent in headers."""
_OF_PERSONS = frozenset(
    "name username user email first_name last_name full_name phone address age id user_id "
    "birthday birthdate dob".split()
)
_KEEPS = frozenset(
    "login credential credentials secret secrets export backup migrate save store config settings "
    "connect connection dsn auth authenticate authorization internal private encrypt decrypt "
    "insert create register signup add build make parse prepare headers payload request fake mock "
    "sample row".split()
)
"""Words of functions that hand such fields on for a reason, or make them up."""
_HELD = re.compile(
    r"is_admin|is_staff|is_superuser|is_verified|\brole\b|\"role\"|'role'|\.role\b|permissions"
    r"|balance|password|credit_limit|account_type|privileges"
)
_GUARDED = frozenset(
    "is_admin admin is_staff is_superuser superuser is_verified verified role roles permissions "
    "balance password password_hash credit_limit account_type privileges owner owner_id "
    "email_verified".split()
)
_EDITS = frozenset("update edit patch modify change set save profile merge put".split())


def exposed(run: Run, tree: ast.Module) -> None:
    """Claim records that are shown with all their fields, or set by any."""
    text = run.text
    if run.is_test:
        return
    shown = _SHOWN.search(text) is not None
    held = _HELD.search(text) is not None and ("setattr" in text or "update" in text)
    if not shown and not held:
        return
    guarded = _guarded_fields(tree) if held else frozenset()
    owners = {
        id(item): node
        for node in statements(tree)
        if isinstance(node, ast.ClassDef)
        for item in node.body
    }
    for node in statements(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if shown and not node.name.startswith("test"):
                _returned(run, node, owners.get(id(node)))
            if guarded and words(node.name) & _EDITS and not node.name.startswith("_"):
                _taken_over(run, node)


def _returned(run: Run, node: Function, owner: ast.ClassDef | None) -> None:
    """A dictionary that is given back and has such a field, read from a record."""
    for value in _told(node):
        run.claim("sensitive_field_returned", value, 0.55)
        return
    if words(node.name) & _KEEPS:
        return
    if words(node.name) & _SHOWS and (whole := _whole(node)) is not None and _has_secret(owner):
        run.claim("sensitive_field_returned", whole, 0.55)
    for value in _answers(node):
        keys = {key.value: held for key, held in _pairs(value) if isinstance(key.value, str)}
        if not _OF_PERSONS & keys.keys():
            continue
        for key, held in keys.items():
            if _SEEN.search(key.lower()) and _same_field(held, key):
                run.claim("sensitive_field_returned", held, 0.55)
                break


_SHOWS = frozenset("public profile json dict serialize view show response api".split())


def _whole(node: Function) -> ast.expr | None:
    """`return self.__dict__`, `vars(self)`, `asdict(self)`: all fields at once."""
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Return) and inner.value is not None:
                value = inner.value
                if isinstance(value, ast.Call) and getattr(value.func, "attr", "") == "copy":
                    value = value.func.value if isinstance(value.func, ast.Attribute) else value
                if isinstance(value, ast.Attribute) and value.attr == "__dict__":
                    return value
                if isinstance(value, ast.Call) and len(value.args) == 1:
                    name = getattr(value.func, "id", getattr(value.func, "attr", ""))
                    if name in ("vars", "asdict", "dict") and _is_name(value.args[0], "self"):
                        return value
    return None


def _has_secret(owner: ast.ClassDef | None) -> bool:
    """Whether the objects of a class keep such a field, next to one of a person."""
    if owner is None:
        return False
    kept = {
        node.attr if isinstance(node, ast.Attribute) else getattr(node.target, "id", "")
        for node in ast.walk(owner)
        if isinstance(node, ast.AnnAssign)
        or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
    }
    return bool(kept & _OF_PERSONS) and any(_OF_RECORD.search(name) for name in kept)


def _told(node: Function) -> Iterator[ast.expr]:
    """Such a field of a record within a sentence that is given back."""
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Return) and isinstance(inner.value, _TEXTS):
                parts = list(ast.walk(inner.value))
                spoken = any(
                    " " in str(getattr(part, "value", "")) for part in parts if _fixed(part)
                )
                if spoken and any(_SPOKEN.search(_field(part).lower()) for part in parts):
                    yield inner.value


_TEXTS = (ast.BinOp, ast.JoinedStr)


def _fixed(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)


def _field(node: ast.AST) -> str:
    """The name of the field that is read of a record; "" for anything else."""
    if isinstance(node, ast.Attribute):
        return node.attr
    key = getattr(node.slice, "value", "") if isinstance(node, ast.Subscript) else ""
    return key if isinstance(key, str) else ""


def _answers(node: Function) -> Iterator[ast.Dict]:
    """Dictionaries that a function gives back, by themselves or by a variable."""
    named: dict[str, ast.Dict] = {}
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.Assign) and isinstance(inner.value, ast.Dict):
                for target in inner.targets:
                    if isinstance(target, ast.Name):
                        named[target.id] = inner.value
            if isinstance(inner, ast.Return) and inner.value is not None:
                yield from _dictionaries(inner.value, named)


def _dictionaries(value: ast.expr, named: dict[str, ast.Dict]) -> Iterator[ast.Dict]:
    if isinstance(value, ast.Name) and value.id in named:
        yield named[value.id]
    elif isinstance(value, ast.Call) and value.args:
        if getattr(value.func, "attr", getattr(value.func, "id", "")) in ("jsonify", "dumps"):
            yield from _dictionaries(value.args[0], named)
    elif isinstance(value, ast.ListComp):
        yield from _dictionaries(value.elt, named)
    elif isinstance(value, ast.Tuple) and value.elts:
        yield from _dictionaries(value.elts[0], named)
    elif isinstance(value, ast.Dict):
        yield value
        for inner in value.values:
            yield from _dictionaries(inner, named)


def _pairs(node: ast.Dict) -> Iterator[tuple[ast.Constant, ast.expr]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant):
            yield key, value


def _same_field(value: ast.expr, key: str) -> bool:
    """Whether the value is that field of some record: `user["ssn"]`, `user.ssn`, `row.get("ssn")`.

    The fields of the object itself under a method that gives all of them count, too."""
    if isinstance(value, ast.Attribute):
        return value.attr.lower().lstrip("_") == key.lower()
    if isinstance(value, ast.Call) and getattr(value.func, "attr", "") == "get" and value.args:
        return getattr(value.args[0], "value", None) == key
    if isinstance(value, ast.Subscript):
        return getattr(value.slice, "value", None) == key
    return False


def _guarded_fields(tree: ast.Module) -> frozenset[str]:
    """Fields that a record of the snippet has and that only some may set."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Dict):
            found.update(
                key.value
                for key in node.keys
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            )
        elif isinstance(node, ast.ClassDef):
            for item in node.body:
                if isinstance(item, ast.Assign):
                    found.update(it.id for it in item.targets if isinstance(it, ast.Name))
    return frozenset(found & _GUARDED)


def _taken_over(run: Run, node: Function) -> None:
    """`for key, value in fields.items(): setattr(self, key, value)`, whatever the key."""
    given = {item.arg for item in (*node.args.args, *node.args.kwonlyargs)}
    if node.args.kwarg is not None:
        given.add(node.args.kwarg.arg)
    given -= {"self", "cls"}
    for statement in node.body:
        for inner in ast.walk(statement):
            if isinstance(inner, ast.For):
                key = _each_key(inner, given)
                if key and (place := _set_by(inner, key)) is not None:
                    run.claim("mass_assignment", place, 0.58)
            elif isinstance(inner, ast.Call) and _all_at_once(inner, given):
                run.claim("mass_assignment", inner, 0.56)


def _each_key(node: ast.For, given: set[str]) -> str:
    """The variable with the key, where the loop goes over what was given; "" elsewhere."""
    over = node.iter
    if isinstance(over, ast.Name) and over.id in given and isinstance(node.target, ast.Name):
        return node.target.id
    if not (isinstance(over, ast.Call) and isinstance(over.func, ast.Attribute)):
        return ""
    if over.func.attr != "items" or getattr(over.func.value, "id", "") not in given:
        return ""
    target = node.target
    if isinstance(target, ast.Tuple) and target.elts and isinstance(target.elts[0], ast.Name):
        return target.elts[0].id
    return ""


def _set_by(loop: ast.For, key: str) -> ast.AST | None:
    """Where a field of that name is set, if the loop does not choose among the names."""
    place: ast.AST | None = None
    for node in ast.walk(loop):
        if isinstance(node, ast.Compare) and _is_name(node.left, key):
            return None
        if isinstance(node, ast.Call):
            last = getattr(node.func, "id", getattr(node.func, "attr", ""))
            if last == "setattr" and len(node.args) == 3 and _is_name(node.args[1], key):
                place = node
            elif last not in ("hasattr", "setattr", "getattr") and any(
                _is_name(item, key) for item in node.args
            ):
                return None
    return place


def _is_name(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _all_at_once(node: ast.Call, given: set[str]) -> bool:
    """`self.__dict__.update(fields)`, `users[name].update(fields)`."""
    function = node.func
    if not (isinstance(function, ast.Attribute) and function.attr == "update" and node.args):
        return False
    held = function.value
    whole = isinstance(held, ast.Attribute) and held.attr == "__dict__"
    return (whole or isinstance(held, ast.Subscript)) and getattr(node.args[0], "id", "") in given
