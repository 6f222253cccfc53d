"""Scores labelled sets: `python -m bluecode.defenses.evaluation FOLDER_OR_FILES…`.

A set is a JSON-lines file whose records have `task`, `label` (1 is unsafe), `text` and `kind`. Each
text is screened as the message it would be: tool output as a tool's, all else as a person's. A set
that is balanced flatters: read recall beside the false-positive rate. With `--leave-out`, what the
shipped knowledge does for kinds of text that it does not hold.
"""

import argparse
import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bluecode.defenses.arms import FULL
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.detectors.prompts import Prompts
from bluecode.defenses.families import AXES, auc, report
from bluecode.defenses.policy import Policy, Threshold
from bluecode.defenses.prompt_evaluation import TASKS, Judged
from bluecode.defenses.verdict import Category, Detector, DetectorError


@dataclass(frozen=True, slots=True)
class Labelled:
    """One record: a message, and whether it is unsafe in the way its task names."""

    message: Message
    category: Category
    unsafe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Confusion counts at one threshold, and what follows from them. Unsafe is positive."""

    true_positives: int
    false_positives: int
    true_negatives: int
    false_negatives: int
    auc: float | None
    """Chance that an unsafe text scores above a safe one; None where a label is absent."""

    @property
    def precision(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_positives)

    @property
    def recall(self) -> float | None:
        return _ratio(self.true_positives, self.true_positives + self.false_negatives)

    @property
    def false_positive_rate(self) -> float | None:
        return _ratio(self.false_positives, self.false_positives + self.true_negatives)

    @property
    def f1(self) -> float | None:
        """None where the set has no unsafe text, for then it would mean nothing."""
        if self.recall is None:
            return None
        missed = self.false_positives + self.false_negatives
        return _ratio(2 * self.true_positives, 2 * self.true_positives + missed)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def measure(unsafe: Sequence[bool], scores: Sequence[float], threshold: float) -> Scores:
    """Count a set at a threshold; scores at the threshold are positive."""
    truth = np.array(unsafe, dtype=bool)
    score = np.array(scores, dtype=np.float64)
    flagged = score >= threshold
    return Scores(
        true_positives=int((truth & flagged).sum()),
        false_positives=int((~truth & flagged).sum()),
        true_negatives=int((~truth & ~flagged).sum()),
        false_negatives=int((truth & ~flagged).sum()),
        auc=auc(truth, score),
    )


def read(lines: Iterable[str]) -> list[Labelled]:
    """Records of the prompt tasks; those of other tasks, such as `vulnerable`, are left out."""
    records = [json.loads(line) for line in lines if line.strip()]
    return [_labelled(record) for record in records if record["task"] in TASKS]


def _labelled(record: Mapping[str, str | int]) -> Labelled:
    role = Role.TOOL if record["kind"] == "tool_output" else Role.USER
    message = Message(role=role, text=str(record["text"]))
    return Labelled(message, TASKS[str(record["task"])], bool(record["label"]))


async def score(
    records: Sequence[Labelled], detectors: Sequence[Detector[Message]]
) -> list[dict[Category, float]]:
    """For each record, the highest score of each category."""
    return [await _highest(record.message, detectors) for record in records]


async def _highest(
    message: Message, detectors: Sequence[Detector[Message]]
) -> dict[Category, float]:
    highest: dict[Category, float] = {}
    for detector in detectors:
        try:
            findings = await detector.inspect(message)
        except DetectorError as error:
            if not error.unchecked:
                raise
            findings = error.findings
        for finding in findings:
            highest[finding.category] = max(finding.score, highest.get(finding.category, 0.0))
    return highest


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One set in the table."""

    name: str
    size: int
    warned: Scores
    blocked: Scores
    any_blocked: float
    """Share of texts blocked in whatever category, whether its label asks for it or not."""


async def evaluate(name: str, records: Sequence[Labelled], policy: Policy) -> Row:
    """Score one set with all shipped detectors, at the thresholds of the policy."""
    found = await score(records, [_frank(make()) for make in DETECTORS.values()])
    unsafe = [record.unsafe for record in records]
    own = [scores.get(record.category, 0.0) for record, scores in zip(records, found, strict=True)]
    limits = policy.thresholds
    warn = max(limits[record.category].warn for record in records)
    block = max(limits[record.category].block for record in records)
    stopped = [any(at >= limits[kind].block for kind, at in scores.items()) for scores in found]
    return Row(
        name=name,
        size=len(records),
        warned=measure(unsafe, own, warn),
        blocked=measure(unsafe, own, block),
        any_blocked=sum(stopped) / len(stopped),
    )


def row_of(name: str, judged: Sequence[Judged], policy: Policy) -> Row:
    """One set as the full default has judged it."""
    looked = [item.looked[FULL] for item in judged]
    unsafe = [item.unsafe for item in judged]
    own = [one.score for one in looked]
    limits = [policy.thresholds.get(item.category, Threshold()) for item in judged]
    return Row(
        name=name,
        size=len(judged),
        warned=measure(unsafe, own, max(limit.warn for limit in limits)),
        blocked=measure(unsafe, own, max(limit.block for limit in limits)),
        any_blocked=sum(one.stopped for one in looked) / len(looked),
    )


def _frank(detector: Detector[Message]) -> Detector[Message]:
    """A detector that reports every score, since the AUC needs the low ones too."""
    return replace(detector, reported=0.0) if isinstance(detector, Prompts) else detector


def table(rows: Sequence[Row]) -> Table:
    """The rows for a terminal."""
    shown = Table("set", "n", title="Prompt detectors, each set at the policy's thresholds")
    for column in (
        "recall warn",
        "FPR warn",
        "recall block",
        "FPR block",
        "F1 block",
        "AUC",
        "any",
    ):
        shown.add_column(column, justify="right")
    for row in rows:
        figures = (
            row.warned.recall,
            row.warned.false_positive_rate,
            row.blocked.recall,
            row.blocked.false_positive_rate,
            row.blocked.f1,
            row.warned.auc,
            row.any_blocked,
        )
        shown.add_row(row.name, str(row.size), *("-" if f is None else f"{f:.3f}" for f in figures))
    return shown


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bluecode.defenses.evaluation")
    parser.add_argument("paths", nargs="*", type=Path, help="files, or folders of .jsonl files")
    parser.add_argument(
        "--leave-out",
        choices=AXES,
        help="fit without each family of the knowledge base in turn, and judge it",
    )
    given = parser.parse_args()
    if given.leave_out:
        Console().print(report(given.leave_out))
    if given.paths:
        Console().print(table(_rows(given.paths)))
    elif not given.leave_out:
        parser.error("name files or folders, or an axis after --leave-out")


def _rows(paths: Sequence[Path]) -> list[Row]:
    folders = [sorted(path.glob("*.jsonl")) if path.is_dir() else [path] for path in paths]
    policy = Policy.default()
    sets = ((file, read(file.read_text("utf-8").splitlines())) for item in folders for file in item)
    return [asyncio.run(evaluate(file.stem, records, policy)) for file, records in sets if records]


if __name__ == "__main__":
    main()
