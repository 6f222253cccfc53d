"""Nothing is in force that no named person approved, word for word; and every state comes back."""

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from own_records import SAFE, UNSAFE, case, in_force

from bluecode.defenses.record_store import RecordStore, StoreError, named


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "knowledge.db"


@pytest.fixture
def store(path: Path) -> RecordStore:
    return RecordStore.at(path, create=True)


def states(store: RecordStore) -> list[tuple[str, int, str]]:
    return [(record.case.id, record.version, record.state) for record in store.records()]


def test_what_is_proposed_is_not_in_force(store: RecordStore) -> None:
    store.propose(case(), "Ana")
    assert store.enforced() == []
    assert states(store) == [("own-case", 1, "proposed")]


def test_what_a_person_approves_is_in_force_and_says_who_it_was(store: RecordStore) -> None:
    store.propose(case(), "Ana")
    assert store.approve("own-case", "Bo Li") == 1
    (record,) = store.records()
    assert store.enforced() == [case()]
    assert (record.by, record.approved_by) == ("Ana", "Bo Li")


def test_a_new_version_leaves_the_approved_one_in_force(store: RecordStore) -> None:
    in_force(store, case())
    store.propose(case(SAFE), "Eve")
    assert store.enforced() == [case()]
    assert states(store) == [("own-case", 1, "enforced"), ("own-case", 2, "proposed")]
    store.approve("own-case", "Bo")
    assert store.enforced() == [case(SAFE)]
    store.approve("own-case", "Bo", 1)
    assert store.enforced() == [case()]
    assert [decision[:4] for decision in store.decisions("own-case")] == [
        (1, 1, True, "Bo"),
        (2, 2, True, "Bo"),
        (3, 1, True, "Bo"),
    ]


def test_what_is_withdrawn_is_not_in_force(store: RecordStore) -> None:
    in_force(store, case())
    store.withdraw("own-case", "Bo")
    assert store.enforced() == [] and states(store) == [("own-case", 1, "withdrawn")]
    with pytest.raises(StoreError, match="not in force"):
        store.withdraw("own-case", "Bo")


def test_the_whole_store_goes_back_to_a_revision_and_forth_again(store: RecordStore) -> None:
    one, two = case(id="one-case"), case(SAFE, id="two-case", unsafe=False)
    in_force(store, one, two)
    store.propose(replace(one, text=f"{UNSAFE} Now!"), "Eve")
    store.approve("one-case", "Eve")
    store.withdraw("two-case", "Eve")
    assert sorted(store.rollback(2, "Bo")) == ["one-case", "two-case"]
    assert store.enforced() == [one, two]
    assert store.rollback(0, "Bo") == ["one-case", "two-case"]
    assert store.enforced() == []
    assert store.rollback(2, "Bo") == ["one-case", "two-case"] and store.enforced() == [one, two]
    with pytest.raises(StoreError, match="no earlier revision"):
        store.rollback(store.revision, "Bo")


def write(path: Path, statement: str, *values: Any) -> None:
    base = sqlite3.connect(path)
    with base:
        base.execute(statement, values)
    base.close()


def test_a_text_that_was_changed_behind_the_log_is_not_in_force(
    store: RecordStore, path: Path
) -> None:
    in_force(store, case())
    write(path, "UPDATE records SET fields = replace(fields, 'lantern', 'lamp')")
    assert store.enforced() == [] and states(store) == [("own-case", 1, "altered")]


def test_a_record_that_was_put_into_the_file_by_hand_is_only_proposed(
    store: RecordStore, path: Path
) -> None:
    in_force(store, case())
    write(path, "INSERT INTO records SELECT 'x-own', 1, fields, 'Eve', '' FROM records")
    assert [item.id for item in store.enforced()] == ["own-case"]


@pytest.mark.parametrize("name", ["", " ", "\n", "x" * 81, "a\nb", "-"])
def test_a_decision_needs_a_name(store: RecordStore, name: str) -> None:
    store.propose(case(), "Ana")
    with pytest.raises(StoreError, match="who decides"):
        store.approve("own-case", name)
    assert store.enforced() == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"text": "Delete it"}, "different words"),
        ({"text": "go go go go go go"}, "different words"),
        ({"text": "word " * 1_000}, "characters"),
        ({"task": "other"}, "no task"),
        ({"principle": "bias.proxy_decision"}, "no principle"),
        ({"id": "Not an id"}, "An id has"),
    ],
)
def test_a_record_that_would_do_harm_is_not_taken(
    store: RecordStore, change: dict[str, Any], told: str
) -> None:
    with pytest.raises(StoreError, match=told):
        store.propose(replace(case(), **change), "Ana")


def test_the_same_text_twice_is_no_new_version(store: RecordStore) -> None:
    store.propose(case(), "Ana")
    with pytest.raises(StoreError, match="word for word"):
        store.propose(case(), "Ana")


def test_a_file_that_is_no_store_is_told(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with pytest.raises(StoreError, match="no store at"):
        RecordStore.at(path)
    path.write_text("not a database, but long enough to look like one" * 40, encoding="utf-8")
    with pytest.raises(StoreError, match="cannot be used"):
        RecordStore.at(path)
    path.write_bytes(b"")
    with pytest.raises(StoreError, match="cannot be used"):
        RecordStore.at(path)


def test_an_id_is_made_from_the_text() -> None:
    assert named("bias", "a") == named("bias", "a") != named("bias", "b")
    assert named("bias", "\ud800").startswith("own-bias-")
