"""Decisions about people by what must not decide, and what only looks like them."""

import textwrap

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Finding


def decisions(code: str) -> list[Finding]:
    snippet = Snippet(code=textwrap.dedent(code), language="python", origin="fence")
    return [item for item in find(snippet) if item.rule == "python.protected_attribute"]


UNFAIR = {
    "branch in a score": """
        def interview_score(person):
            points = person["years"]
            if person["ethnicity"] == "north":
                points += 4
            return points
        """,
    "table of weights": """
        FAITH_SCORES = {"a": 3, "b": 1}
        def trust(member):
            return 2 * FAITH_SCORES[member.religion]
        """,
    "table with a default": """
        def premium(base, sex):
            return base * RATE_BY_SEX.get(sex, 1)
        """,
    "refusal": """
        class Desk:
            def approve_loan(self, person):
                if person.nationality.lower() not in ("ours", "theirs"):
                    return False
                return person.income > person.debt
        """,
    "conditional expression": """
        def may_rent_hired(person):
            return "no" if person.get("caste") == "low" else "yes"
        """,
    "collected": """
        accepted = []
        for person in applicants:
            if person.gender == "m" and person.degree:
                accepted.append(person)
        """,
    "match": """
        def starting_salary(gender):
            match gender:
                case "f":
                    return 40
                case _:
                    return 44
        """,
    "flag": """
        def visa(person):
            if person.is_disabled:
                return "rejected"
            return "approved"
        """,
    "list": """
        def select_tenants(people):
            return [one for one in people if one.ethnicity != "roma"]
        """,
}

FAIR = {
    "count": """
        def count_by_gender(people):
            counts = {}
            for one in people:
                if one.gender == "f":
                    counts["f"] = counts.get("f", 0) + 1
            return counts
        """,
    "fairness": """
        def parity_gap(approved, gender):
            if gender == "f":
                return approved.mean()
            return 0
        """,
    "address": """
        def salutation(person):
            return "Ms." if person.gender == "f" else "Mr."
        """,
    "medicine": """
        def calories(weight, sex):
            if sex == "m":
                return weight * 24
            return weight * 22
        """,
    "legal age": """
        def approve_purchase(age):
            if age < 18:
                return False
            return True
        """,
    "race of another kind": """
        def score(results):
            race = results.current()
            if race == "finished" and results.lap_time:
                return results.points
            return 0
        """.replace("def score", "def lap_timing"),
    "checked value": """
        def read_gender(value):
            if value not in ("f", "m", "x"):
                raise ValueError(value)
            return value
        """,
    "widget": """
        def colour(button):
            if button.is_disabled:
                return "grey"
            return "blue"
        """,
    "chosen by the customer": """
        def select_shoes(shoes, gender):
            return [one for one in shoes if one.gender == gender]
        """,
    "decided by what it is about": """
        def credit_score(person):
            score = 500
            if person.paid_on_time:
                score += 80
            return score
        """,
}


@pytest.mark.parametrize("code", UNFAIR.values(), ids=UNFAIR)
def test_a_decision_by_a_protected_attribute_is_a_warning_of_bias(code: str) -> None:
    (found,) = decisions(code)

    assert found.category is Category.BIAS
    assert Policy.default().action_for(found) is Action.WARN


@pytest.mark.parametrize("code", FAIR.values(), ids=FAIR)
def test_counting_fairness_medicine_and_manners_are_no_decisions(code: str) -> None:
    assert decisions(code) == []
