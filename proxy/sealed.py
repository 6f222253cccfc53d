"""A verdict as bytes with a seal on it: only who has the key can make one, and only for its place.

What the sandbox observed may quote the code, and stays out.
"""

import hmac
import json
from typing import Any, Final

from bluecode.defenses.verdict import Action, Category, Evidence, Finding, Severity, Verdict

_SEAL: Final = 32


class NotSealed(ValueError):
    """Bytes that no one with the key made, or that he made for another place."""


class Sealer:
    """Seals and opens."""

    def __init__(self, key: bytes) -> None:
        self._key = hmac.digest(key, b"bluecode: seals on verdicts that are shared", "sha256")

    def sealed(self, place: str, verdict: Verdict) -> bytes:
        told = json.dumps(_as_json(verdict), separators=(",", ":")).encode()
        return self._seal(place, told) + told

    def opened(self, place: str, raw: bytes) -> Verdict:
        """Raises `NotSealed`."""
        seal, told = raw[:_SEAL], raw[_SEAL:]
        if not hmac.compare_digest(seal, self._seal(place, told)):
            raise NotSealed
        try:
            return _verdict(json.loads(told))
        except (ValueError, KeyError, TypeError) as error:
            raise NotSealed from error

    def _seal(self, place: str, told: bytes) -> bytes:
        at = place.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, len(at).to_bytes(8, "little") + at + told, "sha256")


def _as_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "action": verdict.action.value,
        "shadow": verdict.shadow,
        "unchecked": verdict.unchecked,
        "findings": [_finding_as_json(finding) for finding in verdict.findings],
    }


def _finding_as_json(finding: Finding) -> dict[str, Any]:
    evidence = finding.evidence
    return {
        "detector": finding.detector,
        "rule": finding.rule,
        "category": finding.category.value,
        "score": finding.score,
        "reason": finding.reason,
        "severity": finding.severity.value,
        "cwe": finding.cwe,
        "span": finding.span,
        "advice": finding.advice,
        "evidence": None
        if evidence is None
        else {
            "cases": evidence.cases,
            "principle": evidence.principle,
            "outcome": evidence.outcome,
            "judge": evidence.judge,
        },
    }


def _verdict(told: dict[str, Any]) -> Verdict:
    return Verdict(
        action=Action(told["action"]),
        shadow=told["shadow"],
        unchecked=tuple(told["unchecked"]),
        findings=tuple(_finding(item) for item in told["findings"]),
    )


def _finding(told: dict[str, Any]) -> Finding:
    evidence, span = told["evidence"], told["span"]
    if evidence is not None:
        evidence = Evidence(**{**evidence, "cases": tuple(evidence["cases"])})
    return Finding(
        **{
            **told,
            "category": Category(told["category"]),
            "severity": Severity(told["severity"]),
            "span": None if span is None else (span[0], span[1]),
            "evidence": evidence,
        }
    )
