"""Scoring of labelled code: what a record is read as, and what counts for and against a figure."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from scripted import WordChecker, finding

from bluecode.defenses.checking import check
from bluecode.defenses.code_evaluation import (
    KEYS,
    NO_CODE,
    Group,
    Judged,
    Record,
    SetError,
    groups,
    judge,
    measure,
    read,
    sample,
    snippets,
    wrong,
)
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.intervals import wilson
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, DetectorError, Finding, Verdict

POLICY = Policy()
ARM = "static"
DOCUMENTED = '"""Say:\n```\nf()\n```\n"""\nx = f()'
"""A program with a fence in it, which is no prose."""


class Unreadable(WordChecker):
    """Says of code with `odd` in it that it cannot be read, of code with `long` only in part, and
    fails at `broken`."""

    async def inspect(self, subject: Snippet) -> Sequence[Finding]:
        for word, reason in {"odd": "syntax", "long": "partial", "broken": ""}.items():
            if word in subject.code:
                raise DetectorError("the scripted checker cannot look", unchecked=reason)
        return await super().inspect(subject)


def line(text: str, label: int, **more: Any) -> str:
    given = {"task": "vulnerable", "label": label, "text": text, "language": "python", **more}
    return json.dumps(given)


def record(text: str, label: int = 1, **more: Any) -> Record:
    (found,) = read([line(text, label, **more)], "tiny")
    return found


async def judged(*lines: str) -> list[Judged]:
    async def static(snippet: Snippet) -> Verdict:
        return await check(snippet, [Unreadable()], None, POLICY)

    return [await judge(item, {ARM: static}, POLICY) for item in read(lines, "tiny")]


async def group(*lines: str, at: Action = Action.WARN) -> Group:
    return measure("all", await judged(*lines), ARM, at)


def values(found: Group) -> dict[str, float | None]:
    return {name: figure and figure.value for name, figure in found.figures.items()}


def test_records_of_other_tasks_are_left_out() -> None:
    found = read([line("a", 1, task="bias"), "", line("b", 0)], "tiny")

    assert [(item.text, item.unsafe, item.source) for item in found] == [("b", False, "tiny")]


@pytest.mark.parametrize(
    ("given", "cwe"),
    [
        ("CWE-022", "CWE-22"),
        ("cwe-22", "CWE-22"),
        (22, "CWE-22"),
        (["CWE-22", "CWE-36"], "CWE-22"),
        (None, "none"),
        ("", "none"),
    ],
)
def test_a_cwe_has_one_name_however_it_is_spelt(given: Any, cwe: str) -> None:
    assert record("a", cwe=given).cwe == cwe


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{secret", "line 2 is not JSON"),
        ('["secret"]', "line 2 is no JSON object"),
        ('{"task": "vulnerable", "label": 1}', "line 2 has no `text`"),
        ('{"task": "vulnerable", "label": 2, "text": "secret"}', "`label` must be 0 or 1"),
        ('{"task": "vulnerable", "label": 1, "text": ["secret"]}', "`text` a text"),
    ],
)
def test_a_line_that_is_no_record_is_named_and_not_quoted(text: str, told: str) -> None:
    with pytest.raises(SetError, match=told) as caught:
        read([line("a", 1), text], "tiny")

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "more", "found"),
    [
        ("x = f()", {}, [("x = f()", "python")]),
        ("f()", {"language": "JS"}, [("f()", "javascript")]),
        ("f()", {"language": "Cobol"}, [("f()", "cobol")]),
        ("import os\nos.abort()\n", {"language": None}, [("import os\nos.abort()\n", "python")]),
        ("Do this:\n```js\nf()\n```\nDone.", {"language": None}, [("f()", "javascript")]),
        ("Do this:\n```python\nx = f()\n```\n", {}, [("x = f()", "python")]),
        (DOCUMENTED, {}, [(DOCUMENTED, "python")]),
    ],
)
def test_the_code_of_a_record_is_its_text_or_what_its_prose_holds(
    text: str, more: dict[str, Any], found: list[tuple[str, str]]
) -> None:
    pieces = snippets(record(text, **more))

    assert [(item.code.rstrip("\n"), item.language) for item in pieces] == [
        (code.rstrip("\n"), spoken) for code, spoken in found
    ]


def test_the_code_of_a_diff_is_what_it_leaves_behind() -> None:
    patch = "--- a/run.py\n+++ b/run.py\n@@ -1,2 +1,2 @@\n import os\n-danger()\n+os.abort()\n"

    pieces = snippets(record(patch, kind="diff", language="diff"))

    assert pieces and all("danger" not in item.code for item in pieces)
    assert any("os.abort()" in item.code for item in pieces)


async def test_a_doubt_counts_as_a_warning_and_not_as_a_block() -> None:
    lines = line("danger()", 1), line("doubt()", 1), line("fine()", 1), line("doubt()", 0)

    warned, blocked = await group(*lines), await group(*lines, at=Action.BLOCK)

    assert values(warned) == {
        "precision": 2 / 3,
        "recall": 2 / 3,
        "f1": 2 / 3,
        "false_positive_rate": 1.0,
        "paired_accuracy": None,
    }
    assert values(blocked)["recall"] == 1 / 3
    assert values(blocked)["false_positive_rate"] == 0.0
    assert (warned.unsafe, warned.safe, warned.pairs) == (3, 1, 0)


async def test_only_findings_about_code_count() -> None:
    async def prejudiced(snippet: Snippet) -> Verdict:
        return POLICY.decide([finding("test.bias", Category.BIAS)])

    found = await judge(record("danger()"), {ARM: prejudiced}, POLICY)

    assert found.outcomes[ARM].action is Action.ALLOW
    assert found.outcomes[ARM].rules == ()


async def test_a_pair_is_right_when_the_unsafe_version_alone_is_flagged() -> None:
    cases = {
        "right": ("danger()", "fine()"),
        "both": ("danger()", "doubt()"),
        "neither": ("fine()", "fine()"),
        "wrong way": ("fine()", "danger()"),
    }
    lines = [
        line(text, label, extra={"pair_id": pair})
        for pair, texts in cases.items()
        for label, text in zip((1, 0), texts, strict=True)
    ]

    found = await group(*lines, line("danger()", 1, extra={"pair_id": "alone"}))

    assert found.pairs == 4
    assert values(found)["paired_accuracy"] == 0.25


async def test_pairs_of_two_sources_are_kept_apart() -> None:
    found = await group(
        line("danger()", 1, source="one", extra={"pair_id": 1}),
        line("fine()", 0, source="two", extra={"pair_id": 1}),
    )

    assert found.pairs == 0


@pytest.mark.parametrize("text", ["odd()", "broken()"])
async def test_what_nobody_could_look_at_is_never_counted_as_safe(text: str) -> None:
    pair = {"pair_id": "one"}

    found = await group(line("danger()", 1, extra=pair), line(text, 0, extra=pair), line(text, 1))

    assert values(found)["recall"] == 0.5
    assert values(found)["false_positive_rate"] is None
    assert values(found)["paired_accuracy"] == 0.0
    assert found.failed + found.unchecked == 2


async def test_code_in_a_language_that_no_checker_reads_is_unchecked() -> None:
    found = await group(line("fine()", 0, language="cobol"))

    assert (found.unchecked, found.failed) == (1, 0)
    assert values(found)["false_positive_rate"] is None


async def test_what_was_read_in_part_counts_and_is_shown() -> None:
    found = await group(line("long()", 0))

    assert values(found)["false_positive_rate"] == 0.0
    assert found.unchecked == 1


async def test_prose_without_code_is_unchecked() -> None:
    (found,) = await judged(line("Nothing:\n```\n\n```\n", 0, language=None))

    assert found.outcomes[ARM].unchecked == (NO_CODE,)
    assert not found.outcomes[ARM].seen


async def test_a_cluster_is_drawn_as_one() -> None:
    lines = [line("danger()" if at % 2 else "fine()", 1) for at in range(40)]
    alike = [
        line("danger()" if at % 2 else "fine()", 1, extra={"cluster": at % 2}) for at in range(40)
    ]

    one, other = [(await group(*item)).figures["recall"] for item in (lines, alike)]

    assert one is not None and other is not None
    assert one.value == other.value == 0.5
    assert (other.low, other.high) == (0.0, 1.0)
    assert one.low > 0.2 and one.high < 0.8


async def test_a_pair_is_drawn_as_one() -> None:
    pairs = [line("doubt()", label, extra={"pair_id": at}) for at in range(5) for label in (1, 0)]

    found = await group(*pairs)

    assert found.figures["precision"] == wilson(2.5, 5)


async def test_groups_come_in_order_at_both_actions_in_each_arm() -> None:
    found = groups(
        await judged(line("danger()", 1, cwe="CWE-502"), line("fine()", 0, cwe="CWE-79")),
        KEYS["cwe"],
        [ARM],
    )

    assert [(item.name, item.at) for item in found] == [
        ("CWE-79", Action.WARN),
        ("CWE-79", Action.BLOCK),
        ("CWE-502", Action.WARN),
        ("CWE-502", Action.BLOCK),
    ]


async def test_wrong_verdicts_are_those_missed_and_those_raised_for_nothing() -> None:
    found = await judged(
        line("danger()", 1, id="hit"),
        line("fine()", 1, id="missed"),
        line("fine()", 0, id="quiet"),
        line("doubt()", 0, id="false alarm"),
    )

    assert [item.record.id for item in wrong(found, ARM, Action.WARN)] == ["missed", "false alarm"]
    assert all(item.record.text == "" for item in found)


def test_a_sample_keeps_pairs_whole_and_is_the_same_each_time() -> None:
    records = [
        record("f()", label, source=source, id=f"{source} {at} {label}", extra={"pair_id": at})
        for source in ("one", "two")
        for at in range(20)
        for label in (1, 0)
    ]

    chosen = sample(records, 6)

    assert [item.source for item in chosen] == ["one"] * 6 + ["two"] * 6
    assert all([item.pair for item in chosen].count(item.pair) == 2 for item in chosen)
    assert chosen == sample(records, 6)
    assert sample(records, None) == records
    assert {item.id for item in sample(records, 1000)} == {item.id for item in records}
