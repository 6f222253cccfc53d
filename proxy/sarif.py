"""Results of `check` as SARIF 2.1.0, the form in which code hosts and editors take findings.

A result's fingerprint covers its rule and the text of its line, not the line's number, so that an
alert keeps its identity when code above it moves.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from importlib import metadata
from typing import Any
from urllib.parse import quote

from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Finding, Severity
from bluecode.proxy.inspection import Inspected

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Action.ALLOW: "note", Action.WARN: "warning", Action.BLOCK: "error"}
_SECURITY = {Severity.LOW: "3.0", Severity.MEDIUM: "6.0", Severity.HIGH: "8.5"}
"""CVSS-like numbers by which code hosts sort alerts into low, medium and high."""
_CWE = "https://cwe.mitre.org/data/definitions/{}.html"


def log_of(policy: Policy, inspected: Sequence[Inspected]) -> dict[str, Any]:
    """The whole SARIF log."""
    found = [(item, finding) for item in inspected for finding in item.verdict.telling]
    rules = {finding.rule: finding for _, finding in found}
    weaknesses = sorted({finding.cwe for _, finding in found if finding.cwe is not None})
    fingerprints: Counter[str] = Counter()
    names = sorted(rules)
    results = [
        _result(policy, item, finding, names.index(finding.rule), weaknesses, fingerprints)
        for item, finding in found
    ]
    run: dict[str, Any] = {
        "tool": {"driver": _driver([_rule(rules[name], weaknesses) for name in names])},
        "invocations": [_invocation(inspected)],
        "columnKind": "unicodeCodePoints",
        "taxonomies": [_taxonomy(weaknesses)],
        "results": results,
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _driver(rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": "BlueCode",
        "semanticVersion": metadata.version("bluecode"),
        "rules": rules,
        "supportedTaxonomies": [{"name": "CWE", "index": 0}],
    }


def _rule(finding: Finding, weaknesses: Sequence[int]) -> dict[str, Any]:
    title = finding.rule.rpartition(".")[2].replace("_", " ")
    advice = finding.advice or "Look at the evidence that comes with each result."
    tags = ["security", finding.category.value]
    rule: dict[str, Any] = {
        "id": finding.rule,
        "name": "".join(word.capitalize() for word in title.split()),
        "shortDescription": {"text": title.capitalize()},
        "help": {"text": f"Safer: {advice}", "markdown": f"**Safer:** {advice}"},
        "properties": {"tags": tags, "security-severity": _SECURITY[finding.severity]},
    }
    if finding.cwe is not None:
        tags.append(f"external/cwe/cwe-{finding.cwe:03d}")
        rule["helpUri"] = _CWE.format(finding.cwe)
        target = _taxon_reference(finding.cwe, weaknesses)
        rule["relationships"] = [{"target": target, "kinds": ["superset"]}]
    return rule


def _result(
    policy: Policy,
    item: Inspected,
    finding: Finding,
    index: int,
    weaknesses: Sequence[int],
    fingerprints: Counter[str],
) -> dict[str, Any]:
    first, last = item.lines_of(finding) or (item.first_line, item.first_line)
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": _LEVELS[policy.action_for(finding)],
        "message": {"text": _message(finding)},
        "locations": [_location(item.source.path, first, last)],
        "partialFingerprints": {"bluecode/v1": _fingerprint(item, finding, first, fingerprints)},
        "properties": _properties(finding),
    }
    if finding.cwe is not None:
        result["taxa"] = [_taxon_reference(finding.cwe, weaknesses)]
    return result


def _message(finding: Finding) -> str:
    evidence = finding.evidence
    if evidence is None or evidence.outcome is None:
        return finding.reason
    told = f": {evidence.observed}" if evidence.observed else ""
    return f"{finding.reason} Sandbox: {evidence.outcome.replace('_', ' ')}{told}"


def _location(path: str, first: int, last: int) -> dict[str, Any]:
    artifact = {"uri": quote(path.replace("\\", "/"), safe="/:._-~")}
    region = {"startLine": first, "endLine": last}
    return {"physicalLocation": {"artifactLocation": artifact, "region": region}}


def _fingerprint(item: Inspected, finding: Finding, line: int, seen: Counter[str]) -> str:
    lines = item.source.text.splitlines()
    text = lines[line - 1].strip() if line <= len(lines) else ""
    key = "\0".join((item.source.path, finding.rule, text))
    seen[key] += 1
    return hashlib.sha256(f"{key}\0{seen[key]}".encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _properties(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {
        "score": round(finding.score, 3),
        "severity": finding.severity.name.lower(),
        "detector": finding.detector,
    }
    if finding.evidence is not None and finding.evidence.outcome is not None:
        told["outcome"] = finding.evidence.outcome
    return told


def _taxonomy(weaknesses: Sequence[int]) -> dict[str, Any]:
    return {
        "name": "CWE",
        "organization": "MITRE",
        "informationUri": "https://cwe.mitre.org/",
        "shortDescription": {"text": "The MITRE Common Weakness Enumeration"},
        "isComprehensive": False,
        "taxa": [{"id": str(number), "helpUri": _CWE.format(number)} for number in weaknesses],
    }


def _taxon_reference(number: int, weaknesses: Sequence[int]) -> dict[str, Any]:
    place = {"name": "CWE", "index": 0}
    return {"id": str(number), "index": weaknesses.index(number), "toolComponent": place}


def _invocation(inspected: Sequence[Inspected]) -> dict[str, Any]:
    """What could not be looked at is told too: an empty list of results is then no clean bill."""
    notes = []
    for item in inspected:
        reasons = [f"{name} failed" for name in item.verdict.failed] + list(item.verdict.unchecked)
        for reason in reasons:
            line = item.first_line
            notes.append(
                {
                    "level": "error" if reason.endswith(" failed") else "warning",
                    "message": {"text": f"Not checked: {reason}."},
                    "locations": [_location(item.source.path, line, line)],
                }
            )
    failed = any(item.verdict.failed for item in inspected)
    return {"executionSuccessful": not failed, "toolExecutionNotifications": notes}
