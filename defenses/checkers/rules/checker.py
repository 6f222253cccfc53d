"""The checker of all languages but Python: rules on syntax trees.

A snippet is parsed, brought into one form for all languages, and followed by one engine with the
language's rules. Nothing is run. Code that is mostly unreadable is reported as such.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import anyio.to_thread

from bluecode.defenses.checkers.rules.embedded import pieces, said
from bluecode.defenses.checkers.rules.grammars import parse
from bluecode.defenses.checkers.rules.languages import LANGUAGES
from bluecode.defenses.checkers.rules.matching import matcher
from bluecode.defenses.checkers.rules.rule import Language
from bluecode.defenses.checkers.rules.state import Claim, OutOfSteps, Run
from bluecode.defenses.checkers.rules.values import SOURCES, Level
from bluecode.defenses.checkers.rules.weaknesses import WEAKNESSES
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError, Finding

_STEPS = 200_000
"""Expressions and statements that are followed before the rest is given up, and said so."""
_LARGEST = 500_000
"""Characters of code that are read at all."""
_LONG = 8_000
"""From this many characters on, the work goes to a thread: the event loop must not wait."""
_BROKEN = 0.5
"""Share of the text that no grammar could place from which on the code counts as unreadable."""


@dataclass(frozen=True, slots=True)
class RuleChecker:
    """Finds weaknesses in code of many languages."""

    name: str = "rules"
    languages: frozenset[str] = frozenset({*LANGUAGES, "*"})
    """Of any other language the parts that are code of one of these; that settles nothing."""

    def immediate(self, snippet: Snippet) -> bool:
        """Is it short enough to be read without a thread?"""
        return len(snippet.code) <= _LONG

    async def inspect(self, snippet: Snippet) -> Sequence[Finding]:
        """Findings in the snippet. Raises `DetectorError` with `unchecked="syntax"` for text that
        is mostly not code of its language, and one with `partial` for what was read in part; both
        carry the findings so far."""
        if not self.immediate(snippet):
            return await anyio.to_thread.run_sync(find, snippet, abandon_on_cancel=True)
        return find(snippet)


def find(snippet: Snippet) -> tuple[Finding, ...]:
    """Everything that looks unsafe, surest first. Of a language without rules only what stands in
    its parts is found; that it is unchecked is for the caller to report."""
    name = snippet.language or ""
    if not snippet.code.strip():
        return ()
    if name not in LANGUAGES:
        return _of_parts(name, snippet)
    if len(snippet.code) > _LARGEST:
        raise DetectorError(
            f"{len(snippet.code)} characters of code are too many to be read", partial=True
        )
    language = LANGUAGES[name]()
    parsed = parse(snippet.code, name)
    run = Run(matcher(language.rules), _STEPS, lines=snippet.code.split("\n"))
    unread = "the code is too large or nested too deeply to be read whole" if parsed.unread else ""
    try:
        language.follow(run, parsed)
    except OutOfSteps:
        unread = "the code is too large to be followed to its end"
    findings = _findings(run.claims.values(), name, language.rules)
    if parsed.broken > _BROKEN:
        raise DetectorError(
            "most of the code does not parse", findings=findings, unchecked="syntax"
        )
    if unread:
        raise DetectorError(unread, findings=findings, partial=True)
    return findings


def _of_parts(name: str, snippet: Snippet) -> tuple[Finding, ...]:
    found: list[Finding] = []
    for piece in pieces(name, snippet.code):
        try:
            inner = find(replace(snippet, code=piece.code, language=piece.language, focus=None))
        except DetectorError as error:  # the whole is unchecked in any case
            inner = tuple(error.findings)
        for one in inner:
            assert one.span is not None  # rules say where
            span = (one.span[0] + piece.before, one.span[1] + piece.before)
            found.append(replace(one, span=span))
    for rule, line, score in said(name, snippet.code):
        claim = Claim(rule, score, line, line, SOURCES[Level.INPUT])
        found.append(_finding(claim, name, LANGUAGES["bash"]().rules))
    return tuple(sorted(found, key=lambda item: (-item.score, item.span or (0, 0), item.rule)))


def _findings(claims: Iterable[Claim], name: str, rules: Language) -> tuple[Finding, ...]:
    found = [_finding(claim, name, rules) for claim in claims]
    return tuple(sorted(found, key=lambda item: (-item.score, item.span or (0, 0), item.rule)))


def _finding(claim: Claim, name: str, rules: Language) -> Finding:
    weakness = WEAKNESSES[claim.rule]
    return Finding(
        detector="rules",
        rule=f"{name}.{claim.rule}",
        category=weakness.category,
        score=round(claim.score, 3),
        reason=weakness.reason.replace("{source}", claim.source),
        severity=weakness.severity,
        cwe=weakness.cwe,
        span=(claim.first, min(claim.last, claim.first + 5)),
        advice=rules.advice.get(claim.rule, weakness.advice),
    )
