"""What a person reads when something was withheld or deserves a look.

A note names category, CWE, line and the safe pattern and never quotes the offending text. Its last
line carries a seal, so that the proxy recognises its own notes when they come back in the history
and nobody can dress up other text as one.
"""

import copy
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Evidence, Finding, Verdict

PLACEHOLDER = "[This message was withheld by BlueCode earlier in the conversation.]"
_TITLES = {
    Category.BIAS: "bias",
    Category.MALICE: "malicious request",
    Category.INJECTION: "prompt injection",
    Category.VULNERABLE_CODE: "vulnerable code",
    Category.MALICIOUS_CODE: "malicious code",
}
_UNSEEN = {
    "language": "the language is not one that BlueCode can check",
    "partial": "the text was too long or too deeply nested to be read whole",
    "fragment": "some lines of the code do not parse",
    "syntax": "the code does not parse",
    "oversized": "the code was too long to be held and checked",
    "history": "the provider keeps the conversation, so it was not sent",
    "judge": "the judge's calls of this minute are used up",
    "arguments": "the tool call's arguments could not be read",
}
_NOTE = re.compile(r"\*\*BlueCode [^\n]*\n(?:[^\n]*\n){1,12}?— BlueCode (?P<seal>[0-9a-f]{16})\b")
_SIGN = "— BlueCode "
"""Before the seal, which stands without backticks: a client that runs code out of text keeps back
what ends in one, and waits for more."""
_MOST_LINES = 3


class Notes:
    """Writes notes and recognises them."""

    def __init__(self, policy: Policy, key: bytes | None = None) -> None:
        self._policy = policy
        self._key = key or secrets.token_bytes(32)
        self._form: Callable[[str], str] = str
        self.alone = False

    def adopt(self, policy: Policy) -> None:
        """Tell by another policy what is worth telling; the seal stays."""
        self._policy = policy

    def under(self, policy: Policy) -> "Notes":
        """The same seal, for a request that another policy decides on."""
        return self if policy is self._policy else Notes(policy, self._key)

    def refusal(self, verdict: Verdict) -> str:
        """In place of an answer: the prompt was not passed on."""
        return self._note(
            "**BlueCode did not pass this request to the model.**", verdict, Action.BLOCK
        )

    def in_form(self, form: Callable[[str], str], *, alone: bool = False) -> "Notes":
        """The same, as another client takes them; with `alone` there is nothing but what `form`
        makes of a note, and no warning stands behind an answer."""
        notes = copy.copy(self)
        notes._form = form
        notes.alone = alone
        return notes

    def behind(self, lead: str, note: str) -> str:
        """A note behind what was said before it, where it does not stand alone."""
        return f"{lead}\n\n{note}" if lead and not self.alone else note

    def due(self, verdict: Verdict) -> bool:
        """Is a warning to be written?"""
        return verdict.warns and not self.alone

    def withheld(self, verdict: Verdict) -> str:
        """In place of code that was not passed on."""
        return self._note("**BlueCode withheld code from this answer.**", verdict, Action.BLOCK)

    def repaired(self, verdict: Verdict) -> str:
        """Before the answer that the model gave when it was asked to repair its code."""
        return self._note(
            "**BlueCode withheld code and had the model repair it; its new answer follows.**",
            verdict,
            Action.BLOCK,
        )

    def warning(self, verdict: Verdict) -> str:
        """After code that was passed on."""
        return self._note(
            "**BlueCode asks you to look at this before you use it.**", verdict, Action.WARN
        )

    def without(self, text: str) -> str:
        """The text less the notes that this object wrote."""
        if _SIGN not in text:
            return text
        return _NOTE.sub(lambda found: "" if self._sealed(found) else found.group(), text)

    def _note(self, title: str, verdict: Verdict, least: Action) -> str:
        body = (
            f"{title}\n\n{''.join(f'- {line}{chr(10)}' for line in self._lines(verdict, least))}\n"
        )
        return self._form(f"{body}{_SIGN}{self._seal(body)}")

    def _lines(self, verdict: Verdict, least: Action) -> list[str]:
        telling = [item for item in verdict.findings if self._policy.action_for(item) >= least]
        telling.sort(key=lambda item: (-item.severity, -item.score))
        lines = [_line(finding) for finding in telling[:_MOST_LINES]]
        if len(telling) > _MOST_LINES:
            lines.append(f"and {len(telling) - _MOST_LINES} more.")
        if verdict.failed and self._policy.on_failure >= least:
            lines.append(f"Not checked: {', '.join(verdict.failed)} failed or took too long.")
        for reason in verdict.unchecked:
            if self._policy.unchecked.get(reason, Action.ALLOW) >= least:
                lines.append(
                    f"Not checked: {_UNSEEN.get(reason, f'content of the kind {reason}')}."
                )
        return lines

    def _seal(self, body: str) -> str:
        return hmac.new(self._key, body.encode(), hashlib.sha256).hexdigest()[:16]

    def _sealed(self, found: re.Match[str]) -> bool:
        body = found.group().rpartition(_SIGN)[0]
        return hmac.compare_digest(self._seal(body), found["seal"])


def _line(finding: Finding) -> str:
    place = [_TITLES[finding.category]]
    if finding.cwe is not None:
        place.append(f"CWE-{finding.cwe}")
    if finding.span is not None:
        place.append(f"line {finding.span[0]}")
    proof = " Running it confirmed this." if _confirmed(finding.evidence) else ""
    advice = f" Safer: {finding.advice.rstrip('.')}." if finding.advice else ""
    return f"{finding.reason.rstrip('.')} ({', '.join(place)}).{proof}{advice}"


def _confirmed(evidence: Evidence | None) -> bool:
    return evidence is not None and evidence.outcome == "confirmed"


def as_json(verdict: Verdict) -> dict[str, Any]:
    """The `bluecode` object of JSON answers and of a stream's last chunk."""
    return {
        "action": verdict.action.name.lower(),
        "shadow": verdict.shadow,
        "findings": [_finding(finding) for finding in verdict.findings],
        "failed": list(verdict.failed),
        "unchecked": list(verdict.unchecked),
    }


def as_headers(verdict: Verdict) -> list[tuple[str, str]]:
    """`X-BlueCode-Verdict` and, where something was found, `X-BlueCode-Findings`."""
    headers = [("X-BlueCode-Verdict", verdict.action.name.lower())]
    if verdict.telling:
        headers.append(("X-BlueCode-Findings", _named(verdict.telling)))
    if verdict.failed:
        headers.append(("X-BlueCode-Failed", ", ".join(verdict.failed)))
    if verdict.unchecked:
        headers.append(("X-BlueCode-Unchecked", ", ".join(verdict.unchecked)))
    return headers


def _named(findings: Sequence[Finding]) -> str:
    names = [item.rule + (f";cwe={item.cwe}" if item.cwe else "") for item in findings[:20]]
    return ", ".join(dict.fromkeys(names))


def _finding(finding: Finding) -> dict[str, Any]:
    evidence = finding.evidence
    return {
        "detector": finding.detector,
        "rule": finding.rule,
        "category": finding.category.value,
        "cwe": finding.cwe,
        "score": round(finding.score, 3),
        "severity": finding.severity.name.lower(),
        "span": list(finding.span) if finding.span else None,
        "reason": finding.reason,
        "advice": finding.advice,
        "evidence": None
        if evidence is None
        else {
            "cases": list(evidence.cases),
            "principle": evidence.principle,
            "outcome": evidence.outcome,
            "observed": evidence.observed,
            "judge": evidence.judge,
        },
    }
