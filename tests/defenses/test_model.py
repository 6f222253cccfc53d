"""An answer is in the form that was asked for, or it is a failure."""

import json
from typing import Any

import pytest

from bluecode.defenses.model import Field, Form, ModelError

FORM = Form({"decision": Field(choices=("yes", "no")), "why": Field(longest=20)})
GOOD = {"decision": "yes", "why": "because"}


def test_an_answer_in_the_form_is_read() -> None:
    assert FORM.read(json.dumps(GOOD)) == GOOD
    assert FORM.read(f" \n{json.dumps(GOOD, indent=2)}\n ") == GOOD


def test_a_fence_around_the_whole_answer_is_taken_off() -> None:
    assert FORM.read(f"```json\n{json.dumps(GOOD)}\n```\n") == GOOD


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "yes",
        "null",
        "[]",
        '"yes"',
        json.dumps(GOOD)[:-1],
        f"The answer is {json.dumps(GOOD)}",
        f"{json.dumps(GOOD)} {json.dumps(GOOD)}",
        f"```json\n{json.dumps(GOOD)}\n```\nDone.",
        json.dumps({"decision": "yes"}),
        json.dumps({**GOOD, "more": 1}),
        json.dumps({**GOOD, "decision": "Yes"}),
        json.dumps({**GOOD, "decision": True}),
        json.dumps({**GOOD, "decision": ["yes"]}),
        json.dumps({**GOOD, "why": "x" * 21}),
        '{"decision": "no", "decision": "yes", "why": ""}',
        "[" * 5_000 + "]" * 5_000,
        json.dumps(GOOD) + " " * 30_000,
    ],
    ids=range(18),
)
def test_an_answer_out_of_form_is_a_failure_that_quotes_nothing(answer: str) -> None:
    with pytest.raises(ModelError) as raised:
        FORM.read(answer)
    assert raised.value.kind == "unparsable"
    assert "because" not in str(raised.value)


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        (["a"], True),
        (["a", "b"], True),
        ([], False),
        (["a"] * 4, False),
        ("a", False),
        ([1], False),
    ],
)
def test_a_list_holds_a_few_texts(value: Any, accepted: bool) -> None:
    assert Field(listed=True, most=3).accepts(value) is accepted


def test_the_schema_allows_what_the_form_reads_and_no_more() -> None:
    schema = FORM.schema()
    assert schema["additionalProperties"] is False
    assert schema["required"] == ["decision", "why"]
    assert schema["properties"]["decision"] == {"type": "string", "enum": ["yes", "no"]}
