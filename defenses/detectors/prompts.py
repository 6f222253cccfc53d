"""What the detectors of prompts have in common: segments in, judgements, findings out.

A finding depends on one message alone (its role and text), so it can be kept by digest. Findings
never quote the text; they name the principle and the cases that the text was likened to.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from bluecode.defenses import constitution
from bluecode.defenses.conversation import Message
from bluecode.defenses.detectors import classifier, obfuscation
from bluecode.defenses.detectors.classifier import Classifier, Judgement
from bluecode.defenses.detectors.segments import Segment, Voice, split
from bluecode.defenses.knowledge import Match
from bluecode.defenses.verdict import Category, DetectorError, Evidence, Finding


@dataclass(frozen=True, slots=True)
class Reader:
    """How one voice is judged: by which model, and with how much caution."""

    model: str
    caution: float = 0.0


_WORD = re.compile(r"[^\W\d_]{2}|[\u3040-\u9fff\uac00-\ud7af]")
"""What a text has that says anything; marks and numbers alone are judged by nobody."""
Readers = Mapping[Voice, Reader]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompts:
    """A detector of prompts: one category, and a reader for each voice that concerns it."""

    name: str
    category: Category
    readers: Readers
    models: Classifier = field(default_factory=classifier.shipped)
    reported: float = 0.5
    """Scores below are not findings."""
    own: frozenset[str] = frozenset()
    """Rules that say nothing against what a person says: what they forbid is that others say it.
    A text is no finding where all cases near it are such; else another rule is cited."""
    immediate: ClassVar[bool] = True

    async def inspect(self, subject: Message) -> tuple[Finding, ...]:
        """Raises `DetectorError`, with what was found, for a message too long to read whole."""
        reading = split(subject)
        findings = tuple(self._findings(reading.segments))
        if not reading.whole:
            raise DetectorError(
                "message longer than is read", findings=findings, unchecked="partial"
            )
        return findings

    def _findings(self, segments: tuple[Segment, ...]) -> Iterator[Finding]:
        for segment in segments:
            if (reader := self.readers.get(segment.voice)) is None:
                continue
            plain = obfuscation.normalise(segment.text)
            for text, hidden in ((plain.text, False), *((text, True) for text in plain.decoded)):
                if not _WORD.search(text):
                    continue
                judged = self._judge(text, reader)
                if judged.score >= self.reported and not self._spares(judged, segment):
                    yield self._finding(judged, segment, hidden)

    def _judge(self, text: str, reader: Reader) -> Judgement:
        return self.models.judge(text, reader.model, caution=reader.caution)

    def _spares(self, judged: Judgement, segment: Segment) -> bool:
        near = judged.nearest.unsafe
        rules = {match.case.principle for match in near}
        return segment.voice == "said" and bool(near) and rules <= self.own

    def _finding(self, judged: Judgement, segment: Segment, hidden: bool) -> Finding:
        spared = self.own if segment.voice == "said" else frozenset()
        principle = constitution.shipped().principle(_principle(judged, self.name, spared))
        first, last = (segment.line + line - 1 for line in judged.lines)
        return Finding(
            detector=self.name,
            rule=principle.id,
            category=self.category,
            score=round(judged.score, 3),
            reason=principle.reason,
            span=None if hidden else (first, last),
            advice=f"It is safe when {principle.safe}.",
            evidence=Evidence(
                cases=tuple(match.case.id for match in judged.nearest.unsafe),
                principle=principle.id,
            ),
        )


def _principle(judged: Judgement, task: str, spared: frozenset[str]) -> str:
    """The principle behind the nearest unsafe cases; the task's first where none is near."""
    weight: dict[str, float] = {}
    for match in judged.nearest.unsafe:
        if match.case.principle in spared:
            continue
        weight[match.case.principle] = weight.get(match.case.principle, 0.0) + _pull(match)
    if not weight:
        return constitution.shipped().of(task)[0].id
    return max(weight, key=lambda key: weight[key])


def _pull(match: Match) -> float:
    return match.similarity**2
