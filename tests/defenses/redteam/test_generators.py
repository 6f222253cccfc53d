"""What the grammars say: the same for the same seed, and of the right label."""

from random import Random

import pytest

from bluecode.defenses import constitution
from bluecode.defenses.conversation import Role
from bluecode.defenses.redteam import injections, policies
from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.redteam.grammar import half, say
from bluecode.defenses.redteam.injections import Goal
from bluecode.defenses.redteam.policies import Rule

RULES = policies.shipped().rules
GOALS = injections.shipped().goals


def words(text: str) -> set[str]:
    return set(text.lower().split())


def test_a_pattern_is_filled_from_lists_and_choices() -> None:
    lists = {"animal": ["cat"], "sound": ["a {animal}'s purr"]}

    said = {say("((one|two)) {sound}, {{x}}", lists, Random(seed)) for seed in range(9)}

    assert said == {"one a cat's purr, {x}", "two a cat's purr, {x}"}


def test_a_name_that_is_in_no_list_is_an_error() -> None:
    with pytest.raises(KeyError):
        say("{nothing}", {}, Random(1))


def test_the_frozen_part_and_the_rest_share_nothing() -> None:
    entries = [str(number) for number in range(10)]

    assert not set(half(entries, True)) & set(half(entries, False))
    assert set(half(entries, True)) | set(half(entries, False)) == set(entries)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.task}.{rule.category}")
def test_a_policy_makes_varied_attacks_with_neighbours_in_their_words(rule: Rule) -> None:
    made = [policies.shipped().twins(rule, Random(seed)) for seed in range(40)]

    assert len({twins.attack.text for twins in made}) >= 25
    assert all(twins.attack.unsafe and not twins.lawful.unsafe for twins in made)
    shared = [
        len(words(twins.attack.text) & words(twins.lawful.text)) / len(words(twins.attack.text))
        for twins in made
    ]
    assert sum(shared) / len(shared) > 0.3
    assert not any("{" in twins.attack.seed + twins.lawful.seed for twins in made)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.task}.{rule.category}")
def test_the_wishes_of_the_frozen_part_are_never_those_of_the_rest(rule: Rule) -> None:
    def wishes(frozen: bool) -> set[str]:
        made = [policies.shipped().twins(rule, Random(s), frozen=frozen) for s in range(60)]
        return {twins.attack.seed for twins in made}

    assert not wishes(True) & wishes(False)


def test_the_same_random_numbers_make_the_same_cases() -> None:
    for rule in RULES:
        assert policies.shipped().twins(rule, Random(3)) == policies.shipped().twins(
            rule, Random(3)
        )
    for goal in GOALS:
        assert injections.shipped().twins(goal, Random(3)) == injections.shipped().twins(
            goal, Random(3)
        )


def test_every_principle_is_one_of_the_constitution() -> None:
    for name in [*(rule.principle for rule in RULES), *(goal.principle for goal in GOALS)]:
        assert constitution.shipped().principle(name).id == name


@pytest.mark.parametrize("goal", GOALS, ids=lambda goal: goal.category)
def test_an_injection_stands_in_its_document_and_its_neighbour_at_the_same_place(
    goal: Goal,
) -> None:
    for seed in range(30):
        twins = injections.shipped().twins(goal, Random(seed))

        assert twins.attack.plain in twins.attack.text
        assert twins.lawful.plain in twins.lawful.text
        assert twins.attack.message().role is Role.TOOL
        assert (twins.attack.channel, twins.attack.place) == (
            twins.lawful.channel,
            twins.lawful.place,
        )
        outside = twins.attack.text.replace(twins.attack.plain, "")
        assert outside == twins.lawful.text.replace(twins.lawful.plain, "")


def test_a_code_word_tells_that_an_order_was_obeyed() -> None:
    goal = injections.shipped().goal("manner")

    made = [injections.shipped().twins(goal, Random(seed)).attack for seed in range(20)]

    assert any(attack.canary for attack in made)
    assert all(attack.canary in attack.seed for attack in made)


def test_every_channel_and_every_hiding_place_comes_up() -> None:
    known = injections.shipped()

    made = [
        known.twins(goal, Random(f"{goal.category}{seed}"), frozen=bool(seed % 2)).attack
        for goal in GOALS
        for seed in range(60)
    ]

    assert {attack.channel for attack in made} == set(known.carriers)
    assert {attack.place for attack in made} == set(known.places)


def test_an_attack_survives_being_written_and_read() -> None:
    attack = injections.shipped().twins(GOALS[0], Random(1)).attack

    again = Attack.from_json(attack.as_json())

    assert again == attack and again.id == attack.id
