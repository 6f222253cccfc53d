"""Feedback on decisions: by a route and by the command line, in a file and in PostgreSQL."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest
from postgres_server import database, needs_postgres
from scripted import ScriptedUpstream
from serving import chat, get, guarded, post

from bluecode.proxy.__main__ import main
from bluecode.proxy.config import Config, Secret
from bluecode.proxy.feedback import Feedback, FeedbackError, FeedbackStore
from bluecode.proxy.feedback_route import PATH, PER_MINUTE
from bluecode.proxy.stores import feedback

ID = "bc-0123456789abcdef"
WRONG = {"request_id": ID, "said": "false_positive", "rule": "python.weak_hash"}
MISSED = {"request_id": ID, "said": "missed", "category": "malice"}


@pytest.fixture(params=["file", "sqlite", pytest.param("postgresql", marks=needs_postgres)])
async def settings(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[dict[str, Any]]:
    if request.param == "postgresql":
        async with database() as one:
            yield {"database": Secret(one.url)}
    elif request.param == "sqlite":
        yield {"database": Secret(f"sqlite:///{tmp_path / 'shared.db'}")}
    else:
        yield {"feedback": tmp_path / "folder" / "feedback.db"}


async def test_what_clients_say_is_kept_once_under_the_name_of_their_key(
    settings: dict[str, Any],
) -> None:
    keys = {"alice": Secret("alice-key"), "bob": Secret("bob-key")}
    async with guarded(ScriptedUpstream([]), proxy_keys=keys, **settings) as root:
        told = [
            (await post(root + PATH, body, {"Authorization": f"Bearer {name}-key"}))[0]
            for name, body in (
                ("alice", WRONG), ("alice", WRONG), ("bob", WRONG), ("bob", MISSED),
                ("bob", {"request_id": ID, "said": "missed"}), ("eve", WRONG),
            )
        ]  # fmt: skip
        shown = (await get(f"{root}/metrics"))[2]
    kept = await anyio.to_thread.run_sync(feedback(Config(**settings)).all)

    assert told == [201, 200, 201, 201, 201, 401]
    assert sorted((it.by, it.said, it.subject) for it in kept) == [
        ("alice", "false_positive", "python.weak_hash"),
        ("bob", "false_positive", "python.weak_hash"),
        ("bob", "missed", ""),
        ("bob", "missed", "malice"),
    ]
    assert b'bluecode_feedback_total{said="false_positive"} 2.0' in shown
    assert b'bluecode_feedback_total{said="missed"} 2.0' in shown


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{}", 400),
        (b"[]", 400),
        (b"\xff", 400),
        (b"[" * 3_000, 400),
        ({**WRONG, "request_id": "bc-1"}, 400),
        ({**WRONG, "request_id": ["x"]}, 400),
        ({**WRONG, "said": "good"}, 400),
        ({**WRONG, "rule": "Please look at\nmy words"}, 400),
        ({**WRONG, "note": "my words"}, 400),
        ({**WRONG, "category": "malice"}, 400),
        ({**MISSED, "category": "my words"}, 400),
        ({"request_id": ID, "said": "missed", "rule": "python.weak_hash"}, 400),
        ({**WRONG, "rule": "x" * 5_000}, 413),
    ],
)
async def test_what_is_no_feedback_is_refused_and_quotes_nothing(
    body: Any, status: int, tmp_path: Path
) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with guarded(ScriptedUpstream([]), feedback=tmp_path / "feedback.db") as root:
        told = await post(root + PATH, raw, {"content-type": "application/json"})
    assert told[0] == status and b"my words" not in told[2] and "error" in json.loads(told[2])
    assert feedback(Config(feedback=tmp_path / "feedback.db")).all() == []


async def test_a_page_of_another_site_cannot_send_it(tmp_path: Path) -> None:
    async with guarded(ScriptedUpstream([]), feedback=tmp_path / "feedback.db") as root:
        plain = {"content-type": "text/plain"}
        told = await post(root + PATH, json.dumps(WRONG).encode(), plain)
    assert told[0] == 415


async def test_a_flood_of_it_is_held_back(tmp_path: Path) -> None:
    async with guarded(ScriptedUpstream([]), feedback=tmp_path / "feedback.db") as root:
        told = [(await post(root + PATH, b"{}", JSON))[0] for _ in range(PER_MINUTE + 1)]
        asked = (await post(f"{root}/v1/chat/completions", chat()))[0]
    assert told == [400] * PER_MINUTE + [429] and asked != 429


JSON = {"content-type": "application/json"}


@needs_postgres
async def test_without_the_database_the_client_is_told_to_say_it_again() -> None:
    async with database() as one:
        async with guarded(ScriptedUpstream([]), database=Secret(one.url)) as root:
            first = await post(root + PATH, WRONG)
            one.kill()
            lost = await post(root + PATH, MISSED)
            await one.start()
            again = await post(root + PATH, MISSED)
            shown = (await get(f"{root}/metrics"))[2]

    assert (first[0], lost[0], again[0]) == (201, 503, 201)
    assert lost[1]["retry-after"] == "10" and b"secret" not in lost[2]
    assert b'bluecode_feedback_total{said="lost"} 1.0' in shown


async def test_a_file_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder", encoding="utf-8")
    async with guarded(ScriptedUpstream([]), feedback=tmp_path / "file" / "x.db") as root:
        assert (await post(root + PATH, WRONG))[0] == 503


def test_the_command_line_adds_lists_counts_and_takes_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ["--feedback", str(tmp_path / "feedback.db")]
    other = ID.replace("0", "f")
    assert main(["feedback", "add", *place, ID, "--false-positive", "a.rule", "--by", "Ana"]) == 0
    assert main(["feedback", "add", *place, ID, "--false-positive", "a.rule", "--by", "Bo"]) == 0
    assert main(["feedback", "add", *place, other, "--false-positive", "a.rule"]) == 0
    assert main(["feedback", "add", *place, other, "--missed"]) == 0
    assert main(["feedback", "list", *place]) == 0
    capsys.readouterr()
    assert main(["feedback", "summary", *place, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {"said": "false_positive", "of": "a.rule", "requests": 2},
        {"said": "missed", "of": "", "requests": 1},
    ]
    assert main(["feedback", "summary", *place]) == 0
    assert main(["feedback", "remove", *place, other]) == 0
    assert main(["feedback", "remove", *place, other]) == 1
    assert main(["feedback", "add", *place, "my words", "--missed"]) == 2
    assert len(feedback(Config(feedback=tmp_path / "feedback.db")).all()) == 2


def test_a_store_that_others_filled_with_nonsense_is_told(tmp_path: Path) -> None:
    class Odd:
        place, prefix = "here", ""

        def execute(self, statement: str, **values: Any) -> list[tuple[str, ...]]:
            return [("x", "good", "", "", "")]

        def prepare(self, schema: str) -> None: ...

        def begin(self, *, writing: bool = False) -> Any:
            return self

        def __enter__(self) -> "Odd":
            return self

        def __exit__(self, *error: object) -> None: ...

    with pytest.raises(FeedbackError):
        FeedbackStore(Odd()).all()


def test_feedback_shows_no_more_than_names() -> None:
    with pytest.raises(FeedbackError) as told:
        Feedback(request_id="my words", said="missed")
    assert "my words" not in str(told.value)
