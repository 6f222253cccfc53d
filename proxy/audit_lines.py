"""The audit read back: what stands in one line, as findings that a policy can decide on.

A line that is no audit line is an error, never an empty one. What older versions did not write down
is taken at its strictest, and said.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from bluecode.defenses.matching import Asker
from bluecode.defenses.verdict import Action, Category, Finding, Severity

_LONGEST: Final = 4 * 1024**2
"""Bytes of a line; what is longer was not written by BlueCode."""
_SEVERITIES: Final = {severity.name.lower(): severity for severity in Severity}
_ACTIONS: Final = {action.name.lower(): action for action in Action}


class NoAuditLine(ValueError):
    """A line that BlueCode did not write, or not whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One request of the past."""

    request_id: str
    time: str
    asker: Asker
    client: str
    conversation: str
    decision: Action | None
    """What was enforced; None where it ended in an error, or the client left."""
    findings: tuple[Finding, ...]
    failed: tuple[str, ...]
    unchecked: tuple[str, ...]
    before: tuple[Finding, ...] = ()
    """What was found then, where `findings` are of now."""
    unanswered: bool = False
    """Would the provider be asked now, and was not asked then?"""
    for_its_form: bool = False
    """Was it blocked without a verdict? No policy has a say in that."""
    whole: bool
    """Does it say how severe each finding is, and whose it is? Older versions did not."""


def read(path: Path) -> Iterator[AuditLine | NoAuditLine]:
    """Each line of a file, or what is wrong with it. Raises `OSError`."""
    with path.open("rb") as file:
        yield from parsed(_lines(file))


def parsed(lines: Iterable[bytes]) -> Iterator[AuditLine | NoAuditLine]:
    """Each line, or what is wrong with it."""
    for raw in lines:
        try:
            yield parse(raw)
        except NoAuditLine as error:
            yield error


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while raw := file.readline(_LONGEST):
        if raw.strip():
            yield raw
        while not raw.endswith(b"\n") and (raw := file.readline(_LONGEST)):
            pass  # the rest of a line that is too long; its beginning is no JSON


def parse(raw: bytes) -> AuditLine:
    """Raises `NoAuditLine`."""
    try:
        line = json.loads(raw)
        findings = tuple(_finding(item) for item in line["findings"])
        decision = _ACTIONS.get(_text(line["decision"]))
        failed, unchecked = _texts(line["failed"]), _texts(line["unchecked"])
        return AuditLine(
            request_id=str(line["request_id"]),
            time=str(line["time"]),
            asker=Asker(
                key=_text_or_none(line["key"]),
                model=_text(line["model"]),
                route=_text(line["route"]),
            ),
            client=_text(line["client"]),
            conversation=_text(line.get("conversation", "")),
            decision=decision,
            findings=findings,
            failed=failed,
            unchecked=unchecked,
            for_its_form=decision is Action.BLOCK and not (findings or failed or unchecked),
            whole=all("severity" in item and "detector" in item for item in line["findings"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise NoAuditLine(f"no line of an audit ({type(error).__name__})") from error


def _finding(item: Mapping[str, Any]) -> Finding:
    score = item["score"]
    if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
        raise ValueError("a score that is none")
    return Finding(
        detector=_text(item.get("detector", "")),
        rule=_text(item["rule"]),
        category=Category(item["category"]),
        score=float(score),
        reason="",
        severity=_SEVERITIES[item.get("severity", "high")],
        cwe=item["cwe"],
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(value: Sequence[Any]) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise TypeError
    return tuple(_text(item) for item in value)
