"""Who falls under which entry of a policy, and what part of it is enforced."""

import pytest

from bluecode.defenses.matching import Asker
from bluecode.defenses.policy import Policy
from bluecode.defenses.rollout import Rollout
from bluecode.defenses.verdict import Action, Verdict

TEXT = """
[teams]
payments = ["alice", "ci-*"]
[[policies]]
name = "both"
match = { keys = ["alice"], models = ["gpt-*"] }
[[policies]]
name = "team"
match = { teams = ["payments"] }
[[policies]]
name = "messages"
match = { routes = ["/messages"] }
"""


def asker(key: str | None = None, model: str = "m", route: str = "/chat/completions") -> Asker:
    return Asker(key=key, model=model, route=route)


@pytest.mark.parametrize(
    ("who", "scope"),
    [
        (asker("alice", "gpt-5"), "both"),
        (asker("alice", "other"), "team"),
        (asker("ci-7", "gpt-5"), "team"),
        (asker("bob", "gpt-5"), "base"),
        (asker(None, "gpt-5"), "base"),
        (asker("bob", route="/messages"), "messages"),
    ],
)
def test_the_first_entry_counts_of_which_all_fits(who: Asker, scope: str) -> None:
    assert Rollout(Policy.parse(TEXT)).choose(who, "c").scope == scope


def part(text: str, who: Asker) -> set[str]:
    """The conversations for which it is enforced."""
    rollout = Rollout(Policy.parse(text))
    told = (f"{number:016x}" for number in range(2_000))
    return {item for item in told if not rollout.choose(who, item).policy.shadow}


def test_a_part_is_enforced_and_who_was_in_it_stays_in_it_while_it_grows() -> None:
    parts = [part(f"enforce = {percent}", asker()) for percent in (0, 10, 25, 100)]

    assert not parts[0] and len(parts[3]) == 2_000
    assert parts[1] < parts[2] < parts[3]
    assert 140 < len(parts[1]) < 260 and 420 < len(parts[2]) < 580


def test_by_key_the_words_of_a_conversation_change_nothing() -> None:
    text = 'enforce = 50\nenforce_by = "key"'
    sides = [part(text, asker(f"key-{number}")) for number in range(40)]

    assert {len(side) for side in sides} == {0, 2_000}


def test_a_conversation_without_words_of_a_user_falls_to_the_side_of_its_key() -> None:
    rollout = Rollout(Policy.parse("enforce = 50"))
    by_key = [rollout.choose(asker(f"key-{number}"), "").policy.shadow for number in range(40)]

    assert set(by_key) == {True, False}
    assert by_key == [rollout.choose(asker(f"key-{n}"), "").policy.shadow for n in range(40)]


def test_entries_are_divided_independently() -> None:
    match = "match = { keys = ['*'] }\nenforce = 50\n"
    one, other = (f"[[policies]]\nname = '{name}'\n{match}" for name in ("a", "b"))

    assert 300 < len(part(one, asker("k")) & part(other, asker("k"))) < 700


@pytest.mark.parametrize("text", ["", "shadow = true", "shadow = true\nenforce = 10"])
def test_without_entries_and_parts_nothing_is_chosen(text: str) -> None:
    assert not Rollout(Policy.parse(text)).varied


def test_what_was_found_is_decided_anew() -> None:
    verdict = Verdict(action=Action.ALLOW, failed=("x",), unchecked=("image",))
    told = Policy(shadow=True, on_failure=Action.WARN).again(verdict)

    assert (told.action, told.shadow, told.unchecked) == (Action.WARN, True, ("image",))
