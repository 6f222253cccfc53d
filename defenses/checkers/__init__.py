"""Checkers of code, by name. A language that none of them reads is for the caller to report."""

from collections.abc import Callable, Mapping

from bluecode.defenses.checkers.credentials import Credentials
from bluecode.defenses.checkers.python import PythonChecker
from bluecode.defenses.checkers.rules.checker import RuleChecker
from bluecode.defenses.checking import Checker

CHECKERS: Mapping[str, Callable[[], Checker]] = {
    "credentials": Credentials,
    "python": PythonChecker,
    "rules": RuleChecker,
}
