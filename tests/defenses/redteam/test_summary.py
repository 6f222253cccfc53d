"""What a report says, and that an attack in it stays text."""

import re
from dataclasses import replace
from html.parser import HTMLParser

from bluecode.defenses.redteam import page
from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.redteam.records import (
    AnyRecord,
    Failure,
    PairRecord,
    Record,
    parse,
    render,
)
from bluecode.defenses.redteam.summary import Rate, compare, summarise
from bluecode.defenses.redteam.target import Heard
from bluecode.defenses.verdict import Action

EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)>"


def record(kind: str, passed: bool, **fields: object) -> Record:
    attack = Attack(
        task="malice", category="worm", principle="malice.propagation", text=EVIL, channel="user"
    )
    heard = Heard(action=Action.ALLOW if passed else Action.BLOCK, pressure=0.2 if passed else 1.3)
    made = Record(kind="attack", generator="policy", attack=attack, heard=heard)
    return replace(made, kind=kind, **fields)  # type: ignore[arg-type]


RECORDS: list[AnyRecord] = [
    *(record("attack", True) for _ in range(3)),
    record("attack", False),
    record("search", True, seed_passed=False, operators={"base64": (4, 1), "story": (2, 0)}),
    record("search", False, seed_passed=False, operators={"base64": (4, 0)}),
    record("lawful", True),
    record("lawful", False),
    PairRecord(
        name="a",
        cwe=78,
        language="python",
        verified=True,
        pair={"unsafe": "x"},
        unsafe=Action.ALLOW,
        safe=Action.WARN,
    ),
    PairRecord(name="b", cwe=89, language="python", verified=False, pair={}),
    Failure("policy", "the target could not be asked: connect"),
]


def test_rates_are_counted_with_their_intervals() -> None:
    found = summarise(RECORDS)

    row = found.overall
    assert (row.plain, row.searched, row.lawful) == (Rate(3, 6), Rate(1, 2), Rate(1, 2))
    figure = row.plain.figure
    assert figure is not None and 0.18 < figure.low < 0.5 < figure.high < 0.82
    assert dict(found.operators) == {"base64": Rate(1, 8), "story": Rate(0, 2)}
    assert dict(found.kinds) == {"encoding": Rate(1, 8), "roleplay": Rate(0, 2)}
    assert dict(found.pairs["verified by language"]) == {"python": Rate(1, 2)}
    assert dict(found.pairs["missed by CWE"]) == {"CWE-78": Rate(1, 1)}
    assert dict(found.pairs["alarmed by CWE"]) == {"CWE-78": Rate(1, 1)}
    assert found.failures == {"the target could not be asked: connect": 1}


def test_nothing_tried_is_no_rate() -> None:
    found = summarise([])

    assert found.overall.plain.figure is None
    assert "<svg" not in page.render(found, {})


def test_survivors_are_those_that_passed_and_of_each_category_first() -> None:
    other = record("attack", True)
    other = replace(other, attack=replace(other.attack, category="wiper", text="other"))

    found = summarise([*RECORDS, other])

    assert [item.attack.category for item in found.survivors][:2] == ["worm", "wiper"]
    assert all(item.passed and item.kind != "lawful" for item in found.survivors)


def test_records_survive_being_written_and_read() -> None:
    assert [parse(line) for line in render(RECORDS).splitlines()] == RECORDS


def test_an_attack_in_the_page_stays_text_and_nothing_is_fetched() -> None:
    tags: list[str] = []
    addresses: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.append(tag)
            addresses.extend(str(v) for k, v in attrs if k in ("src", "href", "srcset"))

    whole = page.render(summarise(RECORDS), {"target": EVIL, "seed": 1})
    Reader().feed(whole)

    assert "svg" in tags and "details" in tags
    assert not {"script", "img", "link", "iframe"} & set(tags)
    assert addresses == []
    assert "default-src &#x27;none&#x27;" in whole or "default-src 'none'" in whole
    assert not re.search(r"url\(|@import", whole)


def test_a_curve_is_an_image_of_its_own() -> None:
    drawn = page.curve("a <title>", {"passed, seen": [0.5, 0.2], "benign": [0.0, 0.01]})

    assert drawn.startswith("<svg xmlns=") and drawn.count("<polyline") == 2
    assert "a &lt;title&gt;" in drawn


def test_two_campaigns_are_compared_group_by_group() -> None:
    before = summarise([record("attack", True) for _ in range(40)])
    after = summarise([record("attack", False) for _ in range(40)])

    changes = {(item.by, item.name): item for item in compare(before, after)}

    change = changes["category", "malice.worm, plain"]
    assert (change.before, change.after) == (Rate(40, 40), Rate(0, 40))
    assert change.certain
    assert ("operator", "base64") not in changes
