"""Detectors run under one deadline; what failed or came late is named, never taken for clean."""

from collections.abc import Sequence

import anyio
import pytest
from scripted import WordDetector, finding

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.policy import Policy
from bluecode.defenses.screening import screen
from bluecode.defenses.verdict import Category, DetectorError, Finding

MESSAGE = Message(role=Role.USER, text="a bad word")


class Slow:
    name = "slow"

    async def inspect(self, subject: Message) -> Sequence[Finding]:
        await anyio.sleep(30)
        return ()


class Partial:
    name = "partial"

    async def inspect(self, subject: Message) -> Sequence[Finding]:
        seen = [finding("test.seen", Category.BIAS)]
        raise DetectorError("too long", findings=seen, partial=True)


async def test_findings_of_all_detectors_come_together() -> None:
    verdict = await screen(MESSAGE, [WordDetector("bad"), WordDetector("word", name="b")], Policy())
    assert [item.rule for item in verdict.findings] == ["test.word", "test.b"]


async def test_a_detector_that_raises_is_named() -> None:
    verdict = await screen(MESSAGE, [WordDetector("x", fails=True)], Policy())
    assert verdict.failed == ("word",)
    assert verdict.blocks


async def test_a_late_detector_is_named_and_the_others_count() -> None:
    verdict = await screen(MESSAGE, [Slow(), WordDetector("bad")], Policy(budget=0.05))
    assert verdict.failed == ("slow",)
    assert len(verdict.findings) == 1


async def test_a_message_read_in_part_keeps_its_findings_and_says_so() -> None:
    verdict = await screen(MESSAGE, [Partial()], Policy())
    assert verdict.unchecked == ("partial",)
    assert len(verdict.findings) == 1


class Faulty:
    name = "faulty"

    async def inspect(self, subject: Message) -> Sequence[Finding]:
        raise KeyError(subject.text)


async def test_a_fault_of_one_detector_is_named_and_the_others_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    verdict = await screen(MESSAGE, [Faulty(), WordDetector("bad")], Policy())
    assert verdict.failed == ("faulty",)
    assert [item.rule for item in verdict.findings] == ["test.word"]
    assert "KeyError" in caplog.text and MESSAGE.text not in caplog.text


async def test_detectors_that_never_wait_are_asked_one_after_the_other() -> None:
    first, second = WordDetector("bad"), WordDetector("word", name="b")
    first.immediate = True  # type: ignore[attr-defined]
    verdict = await screen(MESSAGE, [second, first], Policy())
    assert [item.rule for item in verdict.findings] == ["test.b", "test.word"]
