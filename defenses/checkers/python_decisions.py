"""Decisions about people that read a protected attribute: who is hired, what somebody pays.

A decision is a branch, a table or a weight that turns the attribute into an outcome. Counting by
it, testing for fairness, addressing somebody, medicine and legal ages are no such decisions.
"""

import ast
import re
from collections.abc import Iterator

from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Run

_ATTRIBUTES = frozenset(
    "race ethnicity ethnic gender sex religion nationality disability disabled caste skin "
    "pregnant pregnancy sexuality orientation marital immigrant tribe accent creed".split()
)
_OUTCOMES = frozenset(
    "hire hired hiring score approve approved approval eligible eligibility accept accepted reject "
    "rejected deny denied loan credit creditworthy premium price pricing rate salary wage bonus "
    "promote promoted promotion admit admitted admission qualify qualified qualification risk "
    "interview shortlist shortlisted rank ranking rent lease tenant insurance bail sentence parole "
    "candidate applicant trust trustworthy suspicious threat discount compensation fee limit "
    "selected select recommend recommended allowed decision suitable suitability worth rating "
    "priority employ raise mortgage scholarship grant benefit benefits visa".split()
)
_HARMLESS = frozenset(
    "fairness fair parity bias biased audit disparate disparity count counts counter stats "
    "statistic statistics distribution histogram demographic demographics plot chart group grouped "
    "salutation title pronoun pronouns greeting greet address avatar clothing size bmi bmr calorie "
    "calories dose dosage clinical medical patient cardiac heart blood creatinine hemoglobin "
    "clearance fat vaccine screening horse animal pet dog cat plant flower chromosome genotype "
    "phenotype protein gene translate locale translation condition conditions car speed lap "
    "encode encoded encoder onehot dummy label labels test tests fixture sample anonymize mask "
    "adhesion connector plug thread stage timing finish".split()
)
_STEMS = (
    "race ethnic gender sex religio nationality disab caste skin pregnan marital immigrant tribe"
).split()
_MENTIONED = re.compile(rf"(?<![a-z])(?:{'|'.join(_STEMS)})")
_MOST = 200
"""Nodes of a kind that are looked at."""


def biased(run: Run, tree: ast.Module, code: str) -> None:
    """Claim decisions about people by what must not decide."""
    if not _mentions(code.lower()):
        return
    for scope, names in _scopes(tree):
        if names & _HARMLESS:
            continue
        for index, node in enumerate(_own(scope)):
            if index > _MOST:
                break
            if _decides(node, names):
                run.claim("protected_attribute", node, 0.75)
                break


def _mentions(text: str) -> bool:
    for stem in _STEMS:
        if stem in text:
            return _MENTIONED.search(text) is not None
    return False


def _scopes(tree: ast.Module) -> Iterator[tuple[ast.AST, frozenset[str]]]:
    """The module and each function, with the words of their names."""
    yield tree, frozenset()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node, _spoken(node.name)


_CHOOSING = (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
_KINDS = (ast.If, ast.IfExp, ast.Subscript, ast.Call, ast.Match, *_CHOOSING)


def _own(scope: ast.AST) -> Iterator[ast.AST]:
    """Branches, tables and sums of a scope, those of inner functions aside."""
    left = [scope]
    while left:
        for child in ast.iter_child_nodes(left.pop()):
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            left.append(child)
            if isinstance(child, _KINDS):
                yield child


def _decides(node: ast.AST, names: frozenset[str]) -> bool:
    if isinstance(node, ast.If):
        outcome = names & _OUTCOMES or _outcomes([*node.body, *node.orelse])
        return _tests(node.test) and bool(outcome) and _changes([*node.body, *node.orelse])
    if isinstance(node, ast.IfExp):
        return _tests(node.test) and bool(names & _OUTCOMES)
    if isinstance(node, ast.Match):
        bodies = [statement for case in node.cases for statement in case.body]
        return _is_attribute(node.subject) and bool(names & _OUTCOMES or _outcomes(bodies))
    if isinstance(node, _CHOOSING):
        tests = [test for generator in node.generators for test in generator.ifs]
        return bool(names & _OUTCOMES) and any(map(_tests, tests))
    if isinstance(node, ast.Subscript):
        table = _spoken(_word(node.value))
        return bool(table & _OUTCOMES) and _is_attribute(node.slice) and not table & _HARMLESS
    return _looked_up(node)


def _looked_up(node: ast.AST) -> bool:
    """`score_by_race.get(applicant.race, 0)`."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
        return False
    table = _spoken(_word(node.func.value))
    weighs = bool(table & _OUTCOMES) and not table & _HARMLESS
    return node.func.attr == "get" and weighs and _is_attribute(node.args[0])


def _tests(test: ast.expr) -> bool:
    """Whether a protected attribute is compared with a constant, or is itself the condition."""
    for inner in ast.walk(test):
        if isinstance(inner, ast.Compare):
            sides = [inner.left, *inner.comparators]
            if any(map(_is_attribute, sides)) and any(map(_is_constant, sides)):
                return True
    return isinstance(test, (ast.Name, ast.Attribute)) and _is_flag(test)


def _is_flag(node: ast.AST) -> bool:
    return bool(_spoken(_word(node)) & {"disabled", "pregnant", "immigrant"}) and "is" in _spoken(
        _word(node)
    )


def _is_attribute(node: ast.AST) -> bool:
    """A name, field or key that is called after a protected attribute."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in ("lower", "upper", "strip", "casefold", "title"):
            return _is_attribute(node.func.value)
        if node.func.attr == "get" and node.args:
            return _names(getattr(node.args[0], "value", ""))
        return False
    if isinstance(node, ast.Subscript):
        return _names(getattr(node.slice, "value", ""))
    return _names(_word(node))


def _names(text: object) -> bool:
    if not isinstance(text, str):
        return False
    found = _spoken(text)
    return bool(found & _ATTRIBUTES) and not found & _HARMLESS and len(words(text)) <= 3


def _is_constant(node: ast.AST) -> bool:
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        return all(map(_is_constant, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(node.value)


def _outcomes(body: list[ast.stmt]) -> frozenset[str]:
    """Words of what the statements assign, append to or say that speak of an outcome."""
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
                found |= _spoken(_word(node))
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                if node.func.attr == "append":
                    found |= _spoken(_word(node.func.value))
            elif isinstance(node, ast.Return) and isinstance(node.value, ast.Constant):
                found |= _spoken(str(node.value.value))
    return frozenset(found) & _OUTCOMES


def _changes(body: list[ast.stmt]) -> bool:
    """Whether something is decided in a branch: returned, assigned, added or collected."""
    kinds = (ast.Return, ast.Assign, ast.AugAssign, ast.AnnAssign)
    return any(
        isinstance(node, kinds)
        or (isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "append")
        for statement in body
        for node in ast.walk(statement)
    )


def _spoken(name: str) -> frozenset[str]:
    """The words of a name, those in the plural in the singular as well."""
    found = words(name)
    return found | {word[:-1] for word in found if word.endswith("s")}


def _word(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
