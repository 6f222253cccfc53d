"""The constitution: two sides to every principle."""

import pytest

from bluecode.defenses import constitution
from bluecode.defenses.constitution import Constitution
from bluecode.defenses.knowledge import TASKS


def test_every_task_has_principles_with_a_title_and_two_sides() -> None:
    for task in TASKS:
        principles = constitution.shipped().of(task)
        assert len(principles) >= 7
        assert all(item.title and item.unsafe and item.safe for item in principles)


def test_the_reason_is_a_sentence() -> None:
    for principle in constitution.shipped().principles.values():
        assert principle.reason[0].isupper() and principle.reason.endswith(".")


def test_a_principle_that_lacks_a_side_is_refused() -> None:
    with pytest.raises(ValueError, match="`bias.half` lacks safe"):
        Constitution.parse('[bias.half]\ntitle = "t"\nunsafe = "u"\n')
