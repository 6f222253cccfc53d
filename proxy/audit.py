"""One JSON line a decision: digests, lengths and names in place of text.

The line goes to standard output, to a rotating file, or nowhere. Nothing a user wrote, and no key,
is ever in it. A line that cannot be written ends no request: it is counted, and told in the log.
"""

import json
import logging
import os
import stat
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

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
    side: bool
    """Did the assistant ask for itself, for a title or a commit message?"""
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
    repair: str = ""
    """How the attempt to have blocked code repaired ended; empty where there was none."""
    snippets: Sequence[tuple[str, int]]
    """Digest and length in characters of each snippet."""
    milliseconds: dict[str, float] = field(default_factory=dict)


log = logging.getLogger("bluecode.audit")
_AS_JSON: Final = json.JSONEncoder(separators=(",", ":")).encode
_DAY: Final = 86_400
_TELL: Final = 60.0
"""Seconds between two words in the log about lines that are lost."""


def _uncounted() -> None:
    """No one counts what is lost."""


class Audit:
    """Writes entries; `target` is `stdout`, `none` or a file's path.

    With `days` a file is put aside each day, and one that was last written to before so many days
    is removed: at the start, and whenever one is put aside. `also` is given each line too.
    """

    def __init__(
        self,
        target: str,
        *,
        max_bytes: int = 50 * 1024**2,
        backups: int = 5,
        days: int = 0,
        lost: Callable[[], None] = _uncounted,
        also: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self._lost = lost
        self._also = also
        self._told = -_TELL
        self._target: _Stream | _File | None = None
        if target == "stdout":
            self._target = _Stream()
        elif target != "none":
            self._target = _File(Path(target), max_bytes, backups, days)

    def write(self, entry: Entry) -> None:
        """Never raises for what cannot be written."""
        if self._target is None and self._also is None:
            return
        line = line_of(entry)
        if self._also is not None:
            self._also(line)
        if self._target is not None:
            self._write(self._target, _AS_JSON(line) + "\n")

    def _write(self, target: "_Stream | _File", line: str) -> None:
        try:
            target.write(line)
        except (OSError, ValueError) as error:  # ValueError: standard output was closed
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        self._lost()
        if time.monotonic() - self._told >= _TELL:
            self._told = time.monotonic()
            why = getattr(error, "strerror", None) or type(error).__name__
            log.error("Lines of the audit cannot be written (%s) and are lost.", why)

    def close(self) -> None:
        if self._target is not None:
            self._target.close()


class _Stream:
    """Standard output."""

    def write(self, line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    def close(self) -> None:
        """It is not ours to close."""


class _File:
    """A file that only its owner reads; begun anew by size, by day, and when another moved it."""

    def __init__(self, path: Path, most: int, backups: int, days: int) -> None:
        self._path = path
        self._most = most
        self._backups = backups
        self._days = days
        self._day = _last_written(path)
        self._file = -1
        self._torn = False
        """Does the file end in a part of a line?"""
        self._open()
        self._expire()

    def write(self, line: str) -> None:
        """Raises `OSError`; the next line then begins a line of its own."""
        raw = line.encode()
        if self._is_due(self._follow(), len(raw)):
            self._put_aside()
        whole = b"\n" + raw if self._torn else raw
        self._torn = True
        while whole:
            whole = whole[os.write(self._file, whole) :]
        self._torn = False

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._torn = False
        self._here = os.fstat(self._file)

    def _follow(self) -> os.stat_result:
        """Follow those who move the file themselves, as logrotate does; what the file is now."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if self._file >= 0 and there is not None and os.path.samestat(self._here, there):
            return there
        self.close()
        self._open()
        return self._here

    def _is_due(self, told: os.stat_result, more: int) -> bool:
        today = int(time.time() // _DAY)
        yesterdays = bool(self._days) and self._day is not None and self._day < today
        self._day = today
        regular = stat.S_ISREG(told.st_mode)
        return regular and told.st_size > 0 and (yesterdays or told.st_size + more > self._most)

    def _put_aside(self) -> None:
        self.close()
        for number in range(self._backups - 1, -1, -1):
            if (kept := self._kept(number)).exists():
                kept.replace(self._kept(number + 1))
        self._open()
        self._expire()

    def _kept(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path

    def _expire(self) -> None:
        if not self._days:
            return
        for number in range(1, self._backups + 1):
            last = _last_written(self._kept(number))
            if last is not None and last < time.time() // _DAY - self._days:
                self._kept(number).unlink(missing_ok=True)


def _last_written(path: Path) -> int | None:
    """The day; None where there is no file with anything in it."""
    try:
        told = path.stat()
    except FileNotFoundError:
        return None
    return int(told.st_mtime // _DAY) if told.st_size else None


def line_of(entry: Entry) -> dict[str, Any]:
    """What is written of an entry."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request_id": entry.request_id,
        "route": entry.route,
        "client": entry.client,
        "key": entry.key_name,
        "model": entry.model,
        "conversation": entry.conversation,
        "streamed": entry.streamed,
        "side": entry.side,
        "decision": entry.decision,
        "shadow": entry.prompt.shadow or entry.code.shadow,
        "policy": entry.policy,
        "scope": entry.scope,
        "messages": entry.messages,
        "screened": entry.screened,
        "replaced": entry.replaced,
        "repair": entry.repair or None,
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
        "judge": evidence.judge if evidence else None,
    }
