"""Events are untrusted input: what is not a JSON array with a kind is counted, not guessed at."""

from __future__ import annotations

import pytest

from bluecode.sandbox.outcome import Event, Recording, parse_event

EVENTS = [
    (b'["open", "/x", 1, null]', Event("open", ("/x", 1, None), False)),
    (b'["done"]', Event("done", (), False)),
    (b'["x", {"a": [true]}]', Event("x", ({"a": [True]},), False)),
    (b'["\\ud800"]', Event("\ud800", (), False)),
    (b"", None),
    (b"[]", None),
    (b"[1]", None),
    (b'"open"', None),
    (b'{"open": 1}', None),
    (b'["open"] x', None),
    (b'["open", NaN]', None),
    (b'["open", Infinity]', None),
    (b'["\xff"]', None),
    (b"[" * 100_000, None),
    (b'["x", ' + b"9" * 10_000 + b"]", None),
]


@pytest.mark.parametrize(("text", "event"), EVENTS)
def test_an_event_is_read_strictly(text: bytes, event: Event | None) -> None:
    assert parse_event(text, trusted=False) == event


def test_the_outcome_counts_what_it_could_not_read() -> None:
    recording = Recording(
        ended="exited",
        finished=True,
        events=((True, b'["open"]'), (False, b"rubbish"), (False, b'["done"]')),
        fuel_used=1,
        seconds=0.5,
        memory_peak=2,
        output=b"\xff",
        detail="x",
    )

    outcome = recording.outcome()

    assert outcome.events == (Event("open", (), True), Event("done", (), False))
    assert outcome.malformed == 1
    assert outcome.output == "�"
