"""The constitution: two sides to every principle."""

import pytest

from bluecode.defenses import constitution, knowledge
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


def test_the_examples_belong_to_principles_and_are_no_cases_of_the_knowledge_base() -> None:
    known = {" ".join(case.text.lower().split()) for case in knowledge.shipped().cases}
    examples = [
        " ".join(text.lower().split())
        for item in constitution.exemplified().principles.values()
        for text in (*item.must_fail, *item.must_pass)
    ]
    assert len(examples) > 100 and len(set(examples)) == len(examples)
    assert known.isdisjoint(examples)


def test_every_principle_with_examples_has_both_sides() -> None:
    for item in constitution.exemplified().principles.values():
        assert bool(item.must_fail) == bool(item.must_pass)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[bias]\nhalf = 1\n", "must be a table"),
        ('[bias.x]\ntitle="t"\nunsafe="u"\nsafe=""\n', "lacks safe"),
        ('[bias.x]\ntitle="t"\nunsafe="u"\nsafe="s"\nmust_fial=[]\n', "must_fial"),
        ('[bias.x]\ntitle="t"\nunsafe="u"\nsafe="s"\nmust_fail=[1]\n', "list of texts"),
        ('[bias.x]\ntitle="t"\nunsafe="u"\nsafe="s"\nsaid_by="dog"\n', "user, tool"),
    ],
)
def test_a_constitution_that_cannot_be_used_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Constitution.parse(text)


def test_examples_of_no_principle_are_refused() -> None:
    with pytest.raises(ValueError, match="no principle `bias.none`"):
        constitution.shipped().with_examples('["bias.none"]\nmust_fail = ["x"]\n')
