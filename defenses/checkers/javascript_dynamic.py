"""The dynamic checker for JavaScript and TypeScript: the same proofs as for Python, another guest.

What differs is here: attack inputs that are JavaScript, how a fragment is read, and when a run is
worth its time. Where names that nothing declares took part, nothing is refuted. A fixed regular
expression is tried by itself, on texts made for it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bluecode.defenses.checkers import javascript_fragments, javascript_patterns
from bluecode.defenses.checkers.dynamic import LIMITS, DynamicReport, Runs, report
from bluecode.defenses.checkers.javascript_patterns import (
    LONG,
    SHORT,
    Pattern,
    ended,
    steep,
)
from bluecode.defenses.checkers.probes import PROBES, RETURNS, kinds_of, token_of
from bluecode.defenses.checkers.proof import OBSERVED, not_testable
from bluecode.defenses.checkers.python_regex import Pump
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError, Evidence, Finding
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Outcome, SandboxUnavailable

OWN: Mapping[str, Sequence[str]] = {
    "code": ("process.<T>", "require('child_process').exec('<T>')", "'+process.<T>+'",
             "(()=>{})['constructor']('<T>')()"),
    "template": ("{{<T>.constructor}}", "<%= process.<T> %>", "${<T>}", "#{<T>}"),
    "import": ("./<T>",),
    "object": ('{"a":"_$$ND_FUNC$$_function(){<T>}()"}',),
}  # fmt: skip
"""Attack inputs that are written in the language itself."""

MATCHING = replace(LIMITS, fuel=200_000_000)
LABOUR = frozenset({400, 730, 1333})
LEFT_OUT = frozenset({"match", "mail", "nosql"})
POLLUTION = frozenset({915, 1321})
OUTWARD = re.compile(
    r"\b(?:require|import|fetch|eval|Function|document|window|location|process|XMLHttpRequest"
    r"|WebSocket|setTimeout|setInterval|innerHTML|outerHTML|localStorage|\$)\b|\bexport\s"
    r"|\b(?:query|execute|exec|request|render|redirect|send|write)\w*\s*\("
)


class JavaScriptDynamic:
    """Proves or refutes claims about JavaScript and TypeScript by running it in the sandbox."""

    name = "dynamic"
    languages = frozenset({"javascript", "typescript"})

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
        if not claims and not OUTWARD.search(snippet.code):
            return DynamicReport(evidence=())
        token = token_of(snippet)
        outcome = await self._run(job_of(snippet, claims, token), LIMITS)
        found = report(snippet, claims, outcome, token)
        if supposed(outcome):
            found = replace(found, evidence=tuple(map(unrefuted, found.evidence)))
        pairs = zip(claims, found.evidence, strict=True)
        shown = [await self._labour(snippet, *pair) for pair in pairs]
        found = replace(found, evidence=tuple(shown))
        if any(event.kind == "context" for event in outcome.events):
            return replace(found, discovered=())  # a module was known by its usual name alone
        return replace(found, discovered=tuple(map(renamed, found.discovered)))

    async def _run(self, job: bytes, limits: Limits) -> Outcome:
        try:
            return await self.sandbox.run(Program("javascript", job), limits)
        except SandboxUnavailable as error:
            raise DetectorError(f"the sandbox could not run the snippet: {error}") from error

    async def _labour(self, snippet: Snippet, claim: Finding, shown: Evidence) -> Evidence:
        """The evidence, or that a fixed pattern at the claimed lines was seen to labour."""
        if claim.cwe not in LABOUR or claim.span is None or shown.outcome == "confirmed":
            return shown
        for pattern in javascript_patterns.patterns(snippet.code, *claim.span):
            for pump in javascript_patterns.trials(pattern):
                if seen := await self._labours(pattern, pump):
                    return Evidence(outcome="confirmed", observed=seen[:OBSERVED])
        return shown

    async def _labours(self, pattern: Pattern, pump: Pump) -> str:
        """How the work grew with the text, where it grew faster than that; empty otherwise."""
        few, more = [await self._match(pattern, pump, times) for times in SHORT]
        if not ended(few):
            return ""
        if not ended(more):
            return f"matching did not end on {SHORT[1]} repetitions made for `{pattern.source}`"
        runs = [await self._match(pattern, pump, times) for times in LONG]
        fuel = [run.fuel_used for run in runs]
        if all(map(ended, runs)) and steep(fuel):
            grown = (fuel[2] - fuel[1]) / max(fuel[1] - fuel[0], 1)
            return f"twice the text took {grown:.1f} times the work of `{pattern.source}`"
        return ""

    async def _match(self, pattern: Pattern, pump: Pump, times: int) -> Outcome:
        code = javascript_patterns.program(pattern, pump, times)
        job = {"code": code, "readings": [code], "language": "javascript", "token": "qzxkvw",
               "probes": [], "claims": []}  # fmt: skip
        return await self._run(json.dumps(job).encode(), MATCHING)


def supposed(outcome: Outcome) -> bool:
    """Did the text of something that nothing declares take part?"""
    names = (name for event in outcome.events if event.kind == "sources" for name in event.args)
    return any(isinstance(name, str) and name.startswith("u:") for name in names)


def unrefuted(evidence: Evidence) -> Evidence:
    """What was not refuted stays, and what was is open: the code that is not here may differ."""
    if evidence.outcome != "refuted":
        return evidence
    return not_testable("names that the code does not declare took part")


def renamed(finding: Finding) -> Finding:
    """A finding under the name that the static rules of this language have for it."""
    return replace(finding, rule="javascript." + finding.rule.partition(".")[2])


def readings(code: str, language: str) -> list[str]:
    """Texts of which the guest runs the first that it can read: with inner functions made known,
    without, and of a fragment as it stands. Lines are the same in all."""
    code = javascript_fragments.undecorated(code)
    made = javascript_fragments.completed(code, language)
    if made is None:
        texts = [javascript_fragments.made_known(code, language), code]
    else:
        texts = [javascript_fragments.made_known(made, language), made, code]
    return list(dict.fromkeys(texts))


def watched(claim: Finding) -> tuple[str, ...]:
    """What the guest looks for on behalf of a claim."""
    return (*kinds_of(claim), *(("proto",) if claim.cwe in POLLUTION else ()))


def job_of(snippet: Snippet, claims: Sequence[Finding], token: str) -> bytes:
    """What the guest is asked to do; the form is `sandbox/guests/javascript/harness.js`'s."""
    asked = {RETURNS[cwe] for cwe in (claim.cwe or 0 for claim in claims) if cwe in RETURNS}
    inputs = {**PROBES, **OWN}
    kinds = [(kind, kind) for kind in inputs if kind not in LEFT_OUT]
    kinds += [("return", kind) for kind in sorted(asked)]
    probes = [
        {"kind": at, "id": f"{kind}{number}", "value": value}
        for at, kind in kinds
        for number, value in enumerate(inputs[kind])
    ]
    spans = [(claim, claim.span) for claim in claims if claim.span is not None]
    job = {
        "code": snippet.code,
        "readings": readings(snippet.code, snippet.language or "javascript"),
        "language": snippet.language,
        "token": token,
        "probes": probes,
        "claims": [
            {"first": span[0], "last": span[1], "kinds": watched(claim)} for claim, span in spans
        ],
    }
    return json.dumps(job).encode("utf-8", "replace")
