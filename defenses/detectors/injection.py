"""Attacks on the instructions: overrides by a person, and orders to the model in what tools bring.

The same sentence is an instruction from a person and an attack inside a tool's result, so each
voice has a model of its own. What a tool brings is read twice: for what its sentences say, and for
how they stand among the rest (`orders.py`), in the light of the user's task where it is known; an
order is the sentence of which both speak loudest together. The client's system messages are its own
affair and are not read.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from math import exp, log

import numpy as np

from bluecode.defenses import terms
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.detectors import obfuscation, order_weights, orders, overrides
from bluecode.defenses.detectors.classifier import Judgement, Lines
from bluecode.defenses.detectors.lexicon import Floats
from bluecode.defenses.detectors.order_weights import Weights
from bluecode.defenses.detectors.prompts import Prompts, Reader, Readers
from bluecode.defenses.detectors.segments import Segment, split
from bluecode.defenses.verdict import Category, DetectorError, Finding

_BROUGHT = "injection_brought"
_SAID = -0.6
"""What users say themselves comes near an order against the model so rarely that a probability of
0.56 is treated like one of 0.7 elsewhere."""
_SURE = 6.0
"""Log-odds beyond which neither reading outvotes the other."""
_SAYS = 2.0
"""Weight of what a sentence says beside how it stands. The first is calibrated on kinds of attack
that the fit had not met, and so speaks more softly."""
_CROWD = 0.1
"""Caution for each e-fold of sentences: of many, one is loud by chance."""
_SHIFT = 3.6
"""Added to the sum of both log-odds, so that few ordinary documents reach a score of 0.7."""
_PLAIN = 3.0
"""Log-odds of an order that sets earlier instructions aside in so many words."""
_WORDING = 2.0
"""Log-odds that such wording adds to what a person said."""
_ALONE = 1.0
"""Log-odds that a result of one sentence must overcome: there is no document around it to stand
out from, and that is how an assistant's own tools speak to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Injection(Prompts):
    """The detector of prompt injections."""

    standing: Weights = field(default_factory=order_weights.shipped)
    """Judges how a sentence stands among the others."""

    async def inspect(self, subject: Message) -> tuple[Finding, ...]:
        """Raises `DetectorError`, with what was found, for a message too long to read whole."""
        if subject.role is not Role.TOOL:
            return await Prompts.inspect(self, subject)
        reading = split(subject)
        findings = tuple(
            found for part in reading.segments for found in self._brought(part, subject.task)
        )
        if not reading.whole:
            raise DetectorError(
                "message longer than is read", findings=findings, unchecked="partial"
            )
        return findings

    def score(self, text: str, task: str = "") -> float:
        """How likely it is, 0 to 1, that a text which a tool brought gives orders to the model.

        The text is read as it stands, alone or not; nothing in it is decoded."""
        return _chance(self._read(text, task)[0])

    def _judge(self, text: str, reader: Reader) -> Judgement:
        """Words that set instructions aside weigh more than the model makes of them, and less where
        these are the person's own."""
        judged = Prompts._judge(self, text, reader)
        if overrides.line_of(text) is None:
            return judged
        odds = _logit(judged.score)
        if (line := overrides.line_of(text, said=True)) is None:
            return replace(judged, score=_chance(odds - _WORDING))
        order = terms.read(text.split("\n")[line - 1])
        near = self.models.nearest(order, "injection")
        return replace(judged, score=_chance(odds + _WORDING), nearest=near)

    def _brought(self, segment: Segment, task: str) -> Iterator[Finding]:
        plain = obfuscation.normalise(segment.text)
        for text, hidden in ((plain.text, False), *((text, True) for text in plain.decoded)):
            odds, line, lines = self._read(text, task)
            if (score := _chance(odds)) < self.reported:
                continue
            judged = self.models.judgement(lines, line, score, "injection")
            found = self._finding(judged, segment, hidden)
            wider = None if hidden else _wider(found.span, segment.line + line - 1)
            yield replace(found, span=wider)

    def _read(self, text: str, task: str) -> tuple[float, int, Lines]:
        """Log-odds of both readings of the likeliest order, and the line, from 1, it stands on."""
        lines = self.models.by_line(text, _BROUGHT)
        units = orders.read(text, task)
        both, line = -_SURE, 1
        if units.count:
            said = lines.odds[np.minimum(units.lines, len(lines.odds)) - 1]
            joined = _bounded(self.standing.each(units)) + _SAYS * _bounded(said)
            loudest = int(joined.argmax())
            both = float(joined[loudest]) - _CROWD * log(units.count) + _SHIFT
            line = int(units.lines[loudest])
        both -= _ALONE if units.count <= 1 else 0.0
        if (plain := overrides.line_of(text)) is not None:
            both, line = max(both, _PLAIN), plain
        return both, line, lines


def _wider(span: tuple[int, int] | None, line: int) -> tuple[int, int]:
    """The lines of both readings where they are next to each other, else the line of the order."""
    if span is not None and span[0] - 1 <= line <= span[1] + 1:
        return min(span[0], line), max(span[1], line)
    return line, line


def _bounded(odds: Floats) -> Floats:
    return np.clip(odds, -_SURE, _SURE)


def _logit(score: float) -> float:
    return log(max(score, 1e-9) / max(1 - score, 1e-9))


def _chance(odds: float) -> float:
    return 1 / (1 + exp(-odds))


def injection() -> Injection:
    """The detector of prompt injections."""
    readers: Readers = {
        "said": Reader("injection_said", caution=_SAID),
        "wrapped": Reader("injection_said", caution=2.0),
        "brought": Reader(_BROUGHT),
    }
    return Injection(
        name="injection",
        category=Category.INJECTION,
        readers=readers,
        own=frozenset({"injection.foreign_order"}),
    )
