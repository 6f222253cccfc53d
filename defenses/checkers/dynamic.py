"""The dynamic checker: runs a Python snippet in the sandbox under attack and says what it saw.

One run serves all claims. Nothing here decides: evidence goes to `fusion.py`,
findings to the policy.
What is found beyond the claims is told only where the effect itself was seen.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bluecode.defenses.checkers.effects import Effect
from bluecode.defenses.checkers.observations import read
from bluecode.defenses.checkers.probes import job_of, kinds_of, token_of
from bluecode.defenses.checkers.proof import (
    BELIEVED,
    OBSERVED,
    Run,
    describe,
    not_testable,
    out_of_reach,
    prove,
)
from bluecode.defenses.checkers.python_slices import sliced
from bluecode.defenses.checkers.runnable import Runnable, runnable
from bluecode.defenses.checkers.trials import Trial, trials
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, DetectorError, Evidence, Finding, Severity
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome, SandboxUnavailable

_COMPUTING = frozenset(
    "__future__ abc array bisect calendar collections copy dataclasses datetime decimal enum"
    " fractions functools hashlib heapq itertools json math numbers operator random re secrets"
    " statistics string textwrap time types typing unicodedata uuid zoneinfo".split()
)
_IMPORT = re.compile(
    r"\bfrom\s+(?P<source>[\w.]+)\s+import\b|\bimport\s+(?P<names>[\w., ]+)", re.MULTILINE
)
_OUTWARD = re.compile(
    r"\b(?:open|eval|exec|compile|input|globals|locals|vars|getattr|setattr|breakpoint)\b"
    r"|__\w+__\s*[\[.(]|\b(?:execute|request|query|cursor|system|popen)\w*\s*[\[.(]"
)
LIMITS = Limits(fuel=600_000_000, seconds=1.0, events=2_000, output=64 * 1024)
DISCOVERED_SCORE = 0.95
SLICES = 3
"""So many claimed lines that a run did not get to are run by themselves."""


class Runs(Protocol):
    """The sandbox, as far as it is needed here."""

    @property
    def ready(self) -> bool: ...

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicReport:
    """What running a snippet showed."""

    evidence: tuple[Evidence, ...]
    """One for each claim, in the order of the claims."""
    discovered: tuple[Finding, ...] = ()
    """What no static checker had claimed."""


@dataclass(frozen=True, slots=True)
class Weakness:
    """How a kind of effect is named when it is found here first."""

    rule: str
    cwe: int
    reason: str
    advice: str
    anywhere: bool
    """Also where the data is a plain function's parameter, not only a remote client's."""


WEAKNESSES: Mapping[str, Weakness] = {
    "shell": Weakness("command_injection", 78, "Outside data becomes shell syntax.",
                      "Pass a list of arguments and no shell.", True),
    "sql": Weakness("sql_injection", 89, "Outside data becomes part of an SQL statement.",
                    "Bind it as a parameter.", True),
    "code": Weakness("code_injection", 95, "Outside data is evaluated as code.",
                     "Use `ast.literal_eval` or a table of operations.", False),
    "template": Weakness("template_injection", 1336, "Outside data becomes template source.",
                         "Pass it as a variable of a fixed template.", False),
    "path": Weakness("path_traversal", 22, "Outside data leads out of the folder it belongs to.",
                     "Resolve the path and check that it lies within the folder.", False),
    "page": Weakness("xss", 79, "Outside data comes out as markup.",
                     "Escape it, or render it by a template that escapes.", False),
    "redirect": Weakness("open_redirect", 601, "Outside data chooses the host of a redirect.",
                         "Allow paths of the own site or a list of hosts.", False),
    "url": Weakness("ssrf", 918, "Outside data chooses the host of a request.",
                    "Check the resolved host against a list.", False),
    "object": Weakness("unsafe_deserialization", 502, "Outside data is loaded as objects.",
                       "Use JSON.", False),
    "ldap": Weakness("ldap_injection", 90, "Outside data changes an LDAP filter.",
                     "Escape it with `escape_filter_chars`.", True),
    "xpath": Weakness("xpath_injection", 643, "Outside data changes an XPath query.",
                      "Pass it as an XPath variable.", True),
    "xml": Weakness("xml_external_entity", 611, "An XML parser resolves entities of outside data.",
                    "Switch entity resolution off.", False),
    "raw_header": Weakness("header_injection", 113, "Outside data breaks a header's line.",
                           "Refuse line breaks.", False),
}  # fmt: skip


class DynamicChecker:
    """Proves or refutes claims about Python code by running it in the sandbox."""

    name = "dynamic"
    languages = frozenset({"python"})

    def __init__(self, sandbox: Runs) -> None:
        self.sandbox = sandbox

    @property
    def ready(self) -> bool:
        """Is the sandbox warm?"""
        return self.sandbox.ready

    async def test(self, snippet: Snippet, claims: Sequence[Finding]) -> DynamicReport:
        """Run the snippet. Raises `DetectorError` when the sandbox cannot be used.

        Nothing is run where nothing is claimed and the code has no way to an effect outside itself.
        """
        if not claims and not reaches_out(snippet.code):
            return DynamicReport(evidence=())
        token, made = token_of(snippet), runnable(snippet.code)
        outcome = await self._run(snippet, claims, token, made)
        found = report(snippet, claims, outcome, token, made)
        return replace(found, evidence=await self._closer(snippet, claims, found.evidence, made))

    async def _run(
        self, snippet: Snippet, claims: Sequence[Finding], token: str, made: Runnable
    ) -> Outcome:
        program = Program("python", job_of(snippet, claims, token, made))
        try:
            return await self.sandbox.run(program, LIMITS)
        except SandboxUnavailable as error:
            raise DetectorError(f"the sandbox could not run the snippet: {error}") from error

    async def _closer(
        self,
        snippet: Snippet,
        claims: Sequence[Finding],
        evidence: Sequence[Evidence],
        made: Runnable,
    ) -> tuple[Evidence, ...]:
        """The evidence, with what runs of mere slices show of claims that no run got to."""
        shown = list(evidence)
        token, runs = token_of(snippet), 0
        for at, claim in enumerate(claims):
            worth = claim.score >= BELIEVED and claim.span is not None
            if runs >= SLICES or not worth or not out_of_reach(claim, shown[at]):
                continue
            slice_ = sliced(made, claim.span or (1, 1))
            if slice_ is None:
                continue
            runs += 1
            outcome = await self._run(snippet, [claim], token, slice_)
            (alone,) = report(snippet, [claim], outcome, token, slice_).evidence
            if alone.outcome == "confirmed":
                shown[at] = replace(alone, observed=f"run by itself, {alone.observed}"[:OBSERVED])
        return tuple(shown)


def reaches_out(code: str) -> bool:
    """Could this code have an effect that a run would show? Only false where its text rules it out:
    no import beyond modules that merely compute, and no built-in that opens, reads or evaluates."""
    imported = {name.strip().partition(".")[0] for name in _imports(code)}
    return bool(imported - _COMPUTING) or _OUTWARD.search(code) is not None


def _imports(code: str) -> Iterator[str]:
    for found in _IMPORT.finditer(code):
        if found["source"]:
            yield found["source"]
        else:
            yield from (part.strip().split(" ")[0] for part in found["names"].split(","))


def report(
    snippet: Snippet,
    claims: Sequence[Finding],
    outcome: Outcome,
    token: str,
    made: Runnable | None = None,
) -> DynamicReport:
    """What an outcome says of the claims, and what it shows besides."""
    seen = read(outcome.events)
    if made is not None:
        seen = made.restored(seen)
    run = Run(seen, trials(seen, token, snippet.code), outcome.ended, snippet.code)
    if not seen.entries and seen.readable:
        why = not_testable(f"the run ended before anything was called: {outcome.ended}")
        return DynamicReport(evidence=(why,) * len(claims))
    evidence = tuple(prove(claim, run) for claim in claims)
    return DynamicReport(evidence=evidence, discovered=tuple(_discovered(run, claims)))


def _discovered(run: Run, claims: Sequence[Finding]) -> Iterator[Finding]:
    claimed = {kind for claim in claims for kind in kinds_of(claim)}
    told: set[tuple[str, int]] = set()
    for trial in run.trials:
        weakness = WEAKNESSES.get(trial.kind)
        if weakness is None or trial.kind in claimed or not _beyond_doubt(trial, weakness):
            continue
        line = _line(trial)
        if (trial.kind, line) not in told:
            told.add((trial.kind, line))
            yield _finding(trial, weakness, line)


def _beyond_doubt(trial: Trial, weakness: Weakness) -> bool:
    if trial.effect is not Effect.HARM or not trial.certain or trial.sink is None:
        return False
    if trial.supposed or trial.sink.detail.get("claimed") is True:
        return False
    if trial.sink.kind == "return":
        return False
    if trial.web or trial.sink.detail.get("restricted") is True:
        return True
    given = trial.call.source.split(":")[0]
    return weakness.anywhere and not trial.whole and given in ("p", "argv", "input")


def _line(trial: Trial) -> int:
    line = trial.sink.line if trial.sink is not None else 0
    return line or trial.entry.first


def _finding(trial: Trial, weakness: Weakness, line: int) -> Finding:
    return Finding(
        detector=DynamicChecker.name,
        rule=f"python.{weakness.rule}",
        category=Category.VULNERABLE_CODE,
        score=DISCOVERED_SCORE,
        reason=weakness.reason,
        severity=Severity.HIGH,
        cwe=weakness.cwe,
        span=(line, line),
        advice=weakness.advice,
        evidence=Evidence(outcome="confirmed", observed=describe(trial)),
    )
