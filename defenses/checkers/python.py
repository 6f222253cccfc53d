"""The Python checker: what untrusted data reaches, and what is set the wrong way.

An abstract interpretation of the syntax tree; nothing is run or imported. The parts are in the
`python_*` files beside it; this one turns a snippet into findings.
"""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass

import anyio.to_thread

from bluecode.defenses.checkers.python_access import unguarded
from bluecode.defenses.checkers.python_authority import unasked
from bluecode.defenses.checkers.python_decisions import biased
from bluecode.defenses.checkers.python_depth import shallow
from bluecode.defenses.checkers.python_entries import Walk, walk_module
from bluecode.defenses.checkers.python_fragments import Parsed, parse
from bluecode.defenses.checkers.python_records import exposed
from bluecode.defenses.checkers.python_rules import RULES
from bluecode.defenses.checkers.python_shared import unlocked
from bluecode.defenses.checkers.python_sizes import unbounded
from bluecode.defenses.checkers.python_state import Claim, OutOfSteps, Run
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError, Finding

_STEPS = 150_000
"""Expressions and statements walked before the rest is given up, and said to be unread."""
_LARGEST = 500_000
"""Characters of code that are read at all."""
_BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_ROUTE = re.compile(r"@\w[\w.]*\.(?:route|get|post|put|delete|patch|api_route)\(")
_LONG = 20_000
"""From this many characters on, the walk goes to a thread: the event loop must not wait."""


@dataclass(frozen=True, slots=True)
class PythonChecker:
    """Finds weaknesses in Python code."""

    name: str = "python"
    languages: frozenset[str] = frozenset({"python"})

    def immediate(self, snippet: Snippet) -> bool:
        """Is it short enough to be read without a thread?"""
        return len(snippet.code) <= _LONG

    async def inspect(self, snippet: Snippet) -> Sequence[Finding]:
        """Findings in the snippet. Raises `DetectorError` for code that cannot be read, and one
        with the findings so far for code that was read only in part: `partial` where it is too
        large, `fragment` where lines of it are no Python."""
        if not self.immediate(snippet):
            return await anyio.to_thread.run_sync(find, snippet, abandon_on_cancel=True)
        return find(snippet)


def find(snippet: Snippet) -> tuple[Finding, ...]:
    """Everything that looks unsafe, surest first."""
    if not snippet.code.strip():
        return ()
    if len(snippet.code) > _LARGEST:
        raise DetectorError(
            f"{len(snippet.code)} characters of code are too many to be read", partial=True
        )
    parsed = parse(snippet.code)
    run, unread = _walked(parsed.tree, snippet.code)
    _hidden_text(run, snippet.code)
    biased(run, parsed.tree, snippet.code)
    for look in (unasked, exposed, unlocked, unbounded):
        look(run, parsed.tree)
    if _ROUTE.search(snippet.code) is not None:
        unguarded(run, parsed.tree)
    findings = _findings(run, parsed)
    if parsed.deep:
        unread = f"{parsed.deep} lines are nested too deeply to be read"
    if unread:
        raise DetectorError(unread, findings=findings, partial=True)
    if parsed.dropped:
        raise DetectorError(
            f"{parsed.dropped} lines could not be read as Python",
            findings=findings,
            unchecked="fragment",
        )
    return findings


def _walked(tree: ast.Module, text: str) -> tuple[Run, str]:
    """One walk over the tree, and why it did not see all of it where it did not.

    Hardly any code is too deep to be walked as it stands; such a tree is made shallow and walked
    anew.
    """
    run = Run(steps=_STEPS, walker=Walk(), text=text)
    try:
        if walk_module(run, tree):
            return run, ""
        cuts = shallow(tree)
        run = Run(steps=_STEPS, walker=Walk(), text=text)
        if walk_module(run, tree) and not cuts:
            return run, ""
    except OutOfSteps:
        return run, "the code is too large to be walked to its end"
    return run, "the code is nested too deeply to be walked to its end"


def _hidden_text(run: Run, code: str) -> None:
    """Direction marks anywhere in the code: what is read is not what runs."""
    if code.isascii() or _BIDIRECTIONAL.isdisjoint(code):
        return
    for number, line in enumerate(code.split("\n"), start=1):
        if not _BIDIRECTIONAL.isdisjoint(line):
            place = ast.Pass(lineno=number, end_lineno=number, col_offset=0, end_col_offset=0)
            run.claim("hidden_text_direction", place, 0.9)


def _findings(run: Run, parsed: Parsed) -> tuple[Finding, ...]:
    found = [_finding(claim, parsed.shift) for claim in run.found()]
    if len(found) < 2:
        return tuple(found)
    return tuple(sorted(found, key=lambda item: (-item.score, item.span or (0, 0), item.rule)))


def _finding(claim: Claim, shift: int) -> Finding:
    rule = RULES[claim.rule]
    return Finding(
        detector="python",
        rule=claim.rule,
        category=rule.category,
        score=claim.score,
        reason=rule.explain(claim.source),
        severity=rule.severity,
        cwe=rule.cwe,
        span=(max(1, claim.first - shift), max(1, claim.last - shift)),
        advice=rule.advice,
    )
