"""The judge is asked where the detectors are unsure, and nowhere else."""

import pytest
from judges import Scored, ScriptedModel, verdict
from scripted import WordDetector

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.judge import Judge
from bluecode.defenses.model import ModelError
from bluecode.defenses.policy import Policy
from bluecode.defenses.prompt_screen import PromptScreen
from bluecode.defenses.verdict import Action, Category, Detector

MESSAGE = Message(role=Role.USER, text="say something")
POLICY = Policy.default()
DOWN = ModelError("refused", "scripted")


def scored(score: float, category: Category = Category.MALICE) -> Detector[Message]:
    return Scored(name=category.value, category=category, readers={}, scores={MESSAGE.text: score})


def screens(
    model: ScriptedModel, *detectors: Detector[Message], per_minute: int = 60
) -> PromptScreen:
    judge = Judge(model, per_minute=per_minute, uncertain=(0.3, 0.9))
    return PromptScreen(detectors, judge=judge)


@pytest.mark.parametrize(
    ("score", "asked"), [(0.0, 0), (0.29, 0), (0.3, 1), (0.6, 1), (0.9, 1), (0.91, 0)]
)
async def test_only_the_uncertain_middle_is_asked_about(score: float, asked: int) -> None:
    model = ScriptedModel(verdict("safe"))
    await screens(model, scored(score)).screen(MESSAGE, POLICY)
    assert len(model.asked) == asked


async def test_what_the_judge_calls_safe_passes_and_its_opinion_is_kept_as_evidence() -> None:
    found = await screens(ScriptedModel(verdict("safe")), scored(0.85)).screen(MESSAGE, POLICY)
    (item,) = found.findings
    assert found.passes and item.score == 0.05
    assert item.evidence is not None and item.evidence.judge == "safe, high"


async def test_what_the_judge_calls_unsafe_blocks_though_no_detector_would_have_told() -> None:
    found = await screens(ScriptedModel(verdict("unsafe")), scored(0.35)).screen(MESSAGE, POLICY)
    assert found.blocks and found.findings[0].score == 0.95


async def test_what_is_faint_and_was_not_asked_about_is_no_finding() -> None:
    model = ScriptedModel(verdict("unsafe"))
    found = await screens(model, scored(0.4), WordDetector("something")).screen(MESSAGE, POLICY)
    assert model.asked == []
    assert [item.detector for item in found.findings] == ["word"]


async def test_what_is_blocked_anyway_is_not_asked_about() -> None:
    model = ScriptedModel(verdict("safe"))
    found = await screens(model, scored(0.7), scored(0.95, Category.BIAS)).screen(MESSAGE, POLICY)
    assert model.asked == [] and found.blocks


async def test_each_unsure_category_is_asked_about_by_itself() -> None:
    model = ScriptedModel(verdict("unsafe", "low"))
    screen = screens(model, scored(0.5), scored(0.6, Category.BIAS))
    found = await screen.screen(MESSAGE, POLICY)
    assert sorted("biased" in told for told, _ in model.asked) == [False, True]
    assert found.action is Action.WARN and len(found.findings) == 2


async def test_a_model_that_raises_whatever_it_likes_is_a_judge_that_failed() -> None:
    def broken(instructions: str, question: str) -> str:
        raise ZeroDivisionError(question)

    found = await screens(ScriptedModel(broken), scored(0.6)).screen(MESSAGE, POLICY)
    assert found.failed == ("judge",) and found.action is POLICY.on_failure


@pytest.mark.parametrize("action", list(Action))
async def test_a_judge_that_fails_shows_in_the_verdict_and_the_policy_decides(
    action: Action,
) -> None:
    policy = Policy(on_failure=action)
    found = await screens(ScriptedModel(DOWN), scored(0.4)).screen(MESSAGE, policy)
    assert found.failed == ("judge",) and found.action is action and not found.passes


async def test_a_spent_allowance_leaves_the_detectors_verdict_and_is_told() -> None:
    screen = screens(ScriptedModel(verdict("safe")), scored(0.85), per_minute=1)
    await screen.screen(MESSAGE, POLICY)
    found = await screen.screen(MESSAGE, POLICY)
    assert found.blocks and found.unchecked == ("judge",) and found.failed == ()


async def test_without_a_judge_nothing_is_different() -> None:
    for score in (0.4, 0.7, 0.95):
        plain = PromptScreen([scored(score)])
        found = await plain.screen(MESSAGE, POLICY)
        assert [item.score for item in found.findings] == [score] * (score >= 0.5)
        assert plain.version == ""


async def test_what_the_assistant_said_before_is_left_to_the_detectors() -> None:
    model = ScriptedModel(verdict("unsafe"))
    told = Message(role=Role.ASSISTANT, text=MESSAGE.text)
    for score, findings in ((0.4, 0), (0.7, 1)):
        found = await screens(model, scored(score)).screen(told, POLICY)
        assert len(found.findings) == findings
    assert model.asked == []
