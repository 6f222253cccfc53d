"""One JSON line a decision: digests, lengths and names in place of text.

The line goes to standard output, to a rotating file, or nowhere. Nothing a user wrote, and no key,
is ever in it.
"""

import json
import logging
import logging.handlers
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bluecode.defenses.verdict import Finding, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is remembered of one request."""

    request_id: str
    route: str
    client: str
    key_name: str | None
    model: str
    """The model's name, or `other` where it is no plain name."""
    conversation: str
    """What the turns of a conversation have in common: the beginning of a digest."""
    scope: str
    """The entry of the policy's `policies` that decided, or `base`."""
    streamed: bool
    decision: str
    """`allow`, `warn`, `block`, `error` or `disconnect`."""
    policy: str
    prompt: Verdict
    code: Verdict
    messages: int
    screened: int
    """Messages whose verdict did not come from the cache."""
    replaced: int
    """Messages of earlier turns that were blocked and did not go to the model again."""
    snippets: Sequence[tuple[str, int]]
    """Digest and length in characters of each snippet."""
    milliseconds: dict[str, float] = field(default_factory=dict)


class Audit:
    """Writes entries; `target` is `stdout`, `none` or a file's path."""

    def __init__(self, target: str, *, max_bytes: int = 50 * 1024**2, backups: int = 5) -> None:
        self._logger = logging.Logger(
            "bluecode.audit"
        )  # not shared: no handler of the root gets it
        if target == "none":
            self._handler: logging.Handler = logging.NullHandler()
        elif target == "stdout":
            self._handler = logging.StreamHandler(sys.stdout)
        else:
            self._handler = logging.handlers.RotatingFileHandler(
                target, maxBytes=max_bytes, backupCount=backups, encoding="utf-8"
            )
        self._silent = target == "none"
        self._logger.addHandler(self._handler)

    def write(self, entry: Entry) -> None:
        if not self._silent:
            self._logger.info(json.dumps(_line(entry), separators=(",", ":")))

    def close(self) -> None:
        self._handler.close()


def _line(entry: Entry) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": entry.request_id,
        "route": entry.route,
        "client": entry.client,
        "key": entry.key_name,
        "model": entry.model,
        "conversation": entry.conversation,
        "streamed": entry.streamed,
        "decision": entry.decision,
        "shadow": entry.prompt.shadow or entry.code.shadow,
        "policy": entry.policy,
        "scope": entry.scope,
        "messages": entry.messages,
        "screened": entry.screened,
        "replaced": entry.replaced,
        "findings": [
            _finding(phase, finding)
            for phase, verdict in (("prompt", entry.prompt), ("code", entry.code))
            for finding in verdict.findings
        ],
        "failed": sorted({*entry.prompt.failed, *entry.code.failed}),
        "unchecked": sorted({*entry.prompt.unchecked, *entry.code.unchecked}),
        "snippets": [{"sha256": sha, "characters": length} for sha, length in entry.snippets],
        "milliseconds": {name: round(value, 2) for name, value in entry.milliseconds.items()},
    }


def _finding(phase: str, finding: Finding) -> dict[str, Any]:
    evidence = finding.evidence
    return {
        "phase": phase,
        "detector": finding.detector,
        "rule": finding.rule,
        "category": finding.category.value,
        "cwe": finding.cwe,
        "score": round(finding.score, 6),
        "severity": finding.severity.name.lower(),
        "span": finding.span,
        "cases": list(evidence.cases) if evidence else [],
        "principle": evidence.principle if evidence else None,
        "outcome": evidence.outcome if evidence else None,
    }
