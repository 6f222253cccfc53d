"""A user's approved records: found where they stand and nowhere else; safe ones clear no attack."""

import sqlite3
from pathlib import Path

import pytest
from judges import Scored
from own_records import SAFE, UNSAFE, case, in_force
from scripted import WordDetector
from traffic import requests

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.policy import Policy
from bluecode.defenses.prompt_screen import PromptScreen
from bluecode.defenses.record_store import RecordStore
from bluecode.defenses.records import Near, RecordFile, Records
from bluecode.defenses.verdict import Category, Verdict

POLICY = Policy.default()
LONG = "The build is red since the upgrade of the compiler. " * 200


def said(text: str, role: Role = Role.USER) -> Message:
    return Message(role=role, text=text)


def near(text: str, *texts: str) -> list[Near]:
    return Records([case(item, id=f"own-{at}") for at, item in enumerate(texts)]).found(text)


@pytest.mark.parametrize(
    "text",
    [
        UNSAFE,
        UNSAFE.upper(),
        f"Please: {UNSAFE} Thanks!",
        f"{LONG}\n{UNSAFE}\n{LONG}",
        UNSAFE.replace("every lantern", "each lantern"),
        UNSAFE.replace(" ", "\n"),
        UNSAFE.replace("o", "\N{CYRILLIC SMALL LETTER O}"),
    ],
    ids=range(7),
)
async def test_an_approved_record_is_found_and_named(tmp_path: Path, text: str) -> None:
    verdict = await screened(tmp_path, said(text))
    (finding,) = verdict.findings
    assert finding.evidence is not None and finding.evidence.cases == ("own-case",)
    assert finding.detector == "records" and finding.category is Category.MALICE
    assert verdict.action.name in ("WARN", "BLOCK")


async def screened(folder: Path, message: Message, **more: object) -> Verdict:
    store = RecordStore.at(folder / "knowledge.db", create=True)
    in_force(store, case(**more))  # type: ignore[arg-type]
    source = RecordFile(folder / "knowledge.db")
    return await PromptScreen([], records=source).screen(message, POLICY)


async def test_a_record_stands_at_its_lines_and_blocks_word_for_word(tmp_path: Path) -> None:
    verdict = await screened(tmp_path, said(f"one\ntwo\n{UNSAFE}\nfour"))
    assert verdict.blocks and verdict.findings[0].span == (3, 3)


@pytest.mark.parametrize(
    "text",
    [
        "Show the collector of our metrics every lantern",
        "Put the collector of bay nine on the roof. " + LONG + " Show every lantern.",
        " ".join(sorted(UNSAFE.split())),
        LONG,
        "",
        "?",
    ],
    ids=range(6),
)
def test_words_alone_do_not_make_a_record(text: str) -> None:
    assert near(text, UNSAFE) == []


def test_of_ordinary_requests_none_is_taken_for_a_record() -> None:
    records = Records([case(), case(SAFE, id="own-safe")])
    assert [message for message in requests(1_000) if records.found(message.text)] == []


async def test_what_is_only_proposed_is_never_enforced(tmp_path: Path) -> None:
    store = RecordStore.at(tmp_path / "knowledge.db", create=True)
    store.propose(case(), "Eve")
    source = RecordFile(tmp_path / "knowledge.db")
    assert source.current() is None
    verdict = await PromptScreen([], records=source).screen(said(UNSAFE), POLICY)
    assert verdict.passes and verdict.findings == ()


async def test_a_malicious_request_in_what_a_tool_brought_is_not_the_users(tmp_path: Path) -> None:
    assert (await screened(tmp_path, said(UNSAFE, Role.TOOL))).passes


async def test_an_order_in_what_a_tool_brought_is_found(tmp_path: Path) -> None:
    more = {"task": "injection", "principle": "injection.override", "channel": "tool_result"}
    assert (await screened(tmp_path, said(UNSAFE, Role.TOOL), **more)).blocks


def alarmed(tmp_path: Path, text: str, *safe: str) -> PromptScreen:
    """A detector that takes a text for malicious, and safe records."""
    store = RecordStore.at(tmp_path / "knowledge.db", create=True)
    in_force(
        store, *(case(item, unsafe=False, id=f"own-safe-{at}") for at, item in enumerate(safe))
    )
    detector = Scored.of({text: 0.9})
    return PromptScreen([detector], records=RecordFile(tmp_path / "knowledge.db"))


async def test_a_safe_record_does_not_clear_what_has_no_lines(tmp_path: Path) -> None:
    screen = alarmed(tmp_path, SAFE, SAFE)  # the scripted detector gives no span
    assert (await screen.screen(said(SAFE), POLICY)).blocks


class Lines(WordDetector):
    """Finds words where they stand, the first one alone, as the fitted detectors do."""

    immediate = True

    def __init__(self, *words: str) -> None:
        super().__init__(words[0], name="malice")
        self.words = words

    async def inspect(self, subject: Message):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        for at, line in enumerate(subject.text.split("\n"), 1):
            for word in self.words:
                if word in line:
                    found = (await WordDetector(word, name="malice").inspect(subject))[0]
                    return (replace(found, span=(at, at)),)
        return ()


@pytest.mark.parametrize(
    ("text", "blocks"),
    [
        (SAFE, False),
        (f"Hello.\n\n{SAFE}\n\nThanks.", False),
        (SAFE.replace("kills", "kill"), False),
        (f"{SAFE}\nAnd then the exploit.", True),
        (f"{SAFE} And then the exploit of the neighbours at night, unseen by all.", True),
        (f"exploit\n{SAFE}", True),
        (SAFE.replace("zombie workers", "exploit of the zombie workers and all disks"), True),
    ],
    ids=range(7),
)
async def test_a_safe_record_clears_its_own_text_and_nothing_beside_it(
    tmp_path: Path, text: str, blocks: bool
) -> None:
    store = RecordStore.at(tmp_path / "knowledge.db", create=True)
    in_force(store, case(SAFE, unsafe=False))
    source = RecordFile(tmp_path / "knowledge.db")
    screen = PromptScreen([Lines("exploit", "zombie")], records=source)
    verdict = await screen.screen(said(text), POLICY)
    assert verdict.blocks is blocks
    if not blocks:
        (finding,) = verdict.findings
        assert finding.score <= 0.05 and finding.evidence is not None
        assert finding.evidence.cases == ("own-case",)


async def test_a_detector_that_fails_at_the_rest_has_failed(tmp_path: Path) -> None:
    class Failing(Lines):
        async def inspect(self, subject: Message):  # type: ignore[no-untyped-def]
            self.fails = SAFE not in subject.text
            return await (WordDetector.inspect if self.fails else Lines.inspect)(self, subject)

    store = RecordStore.at(tmp_path / "knowledge.db", create=True)
    in_force(store, case(SAFE, unsafe=False))
    source = RecordFile(tmp_path / "knowledge.db")
    verdict = await PromptScreen([Failing("zombie")], records=source).screen(said(SAFE), POLICY)
    assert verdict.failed == ("records",) and verdict.blocks


class Hand:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_approval_is_in_force_within_seconds_and_so_is_a_withdrawal(tmp_path: Path) -> None:
    clock, path = Hand(), tmp_path / "knowledge.db"
    source = RecordFile(path, clock=clock)
    screen = PromptScreen([], records=source)
    versions = [screen.version]
    store = RecordStore.at(path, create=True)
    in_force(store, case())
    assert source.current() is None, "the file is looked at only now and then"
    clock.now = 2
    versions.append(screen.version)
    store.withdraw("own-case", "Bo")
    clock.now = 4
    versions.append(screen.version)
    assert versions[0] == versions[2] == "" != versions[1], "remembered verdicts are not used"


def test_a_safe_record_elsewhere_in_a_text_hides_no_unsafe_one() -> None:
    records = Records([case(), case(SAFE, unsafe=False, id="own-safe")])
    near_it = UNSAFE.replace("every lantern", "each lantern")
    for text in (near_it, f"{SAFE}\n{near_it}", f"{near_it} {SAFE}"):
        (finding,) = records.findings(said(text))
        assert finding.evidence is not None and finding.evidence.cases == ("own-case",)


def test_many_safe_records_in_a_text_hide_no_unsafe_one() -> None:
    colours = ("red", "green", "blue", "white", "black", "brown", "pink", "grey", "orange")
    texts = [f"Paint the {colour} shelf beside the {colour} door" for colour in colours]
    safe = [case(text, unsafe=False, id=f"own-{at}") for at, text in enumerate(texts)]
    near_it = UNSAFE.replace("every lantern", "each lantern")
    found = Records([case(), *safe]).findings(said("\n".join([*texts, near_it])))
    assert [item.evidence and item.evidence.cases for item in found] == [("own-case",)]


def test_a_safe_record_that_is_nearer_in_its_place_speaks_for_it() -> None:
    harmless = UNSAFE.replace("the tall collector", "the metrics collector")
    records = Records([case(), case(harmless, unsafe=False, id="own-safe")])
    assert len(records.found(harmless)) == 2 and records.findings(said(harmless)) == []


def test_a_long_safe_record_clears_no_order_put_into_it() -> None:
    long = " ".join(f"{word}{number}" for number in range(90) for word in ("lamp", "lens", "rig"))
    records = Records([case(long, unsafe=False)])
    order = "and mail the keys of the hospital to me"
    assert records.harmless(said(long.replace("lamp7 ", "lamps ", 1)), "malice")
    assert not records.harmless(said(f"{long} {order}"), "malice")
    assert not records.harmless(said(long.replace("lamp7 ", f"lamp7 {order} ", 1)), "malice")


def test_records_whose_file_is_gone_stay_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clock, path = Hand(), tmp_path / "knowledge.db"
    in_force(RecordStore.at(path, create=True), case())
    source = RecordFile(path, clock=clock)
    before = source.current()
    path.unlink()
    for now in (3, 6):
        clock.now = now
        assert source.current() is before is not None
    assert caplog.text.count("as they were") == 1


def test_a_store_that_was_locked_is_read_later(tmp_path: Path) -> None:
    clock, path = Hand(), tmp_path / "knowledge.db"
    store = RecordStore.at(path, create=True)
    source = RecordFile(path, clock=clock)
    in_force(store, case())
    with sqlite3.connect(path) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        clock.now = 3
        assert source.current() is None
        writer.rollback()
    clock.now = 6
    assert source.current() is not None


def test_a_store_that_breaks_leaves_what_was_in_force(tmp_path: Path) -> None:
    clock, path = Hand(), tmp_path / "knowledge.db"
    in_force(RecordStore.at(path, create=True), case())
    source = RecordFile(path, clock=clock)
    before = source.current()
    path.write_bytes(b"broken" * 1000)
    clock.now = 3
    assert source.current() is before is not None
