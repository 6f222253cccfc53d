"""What goes over the pipes arrives as it was sent, and rubbish is never taken for an answer."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluecode.sandbox.frames import (
    BadFrame,
    Broken,
    Buffer,
    Cancel,
    Job,
    Ready,
    Result,
    answer_bytes,
    framed,
    read_answer,
    read_request,
    write_broken,
    write_cancel,
    write_job,
    write_ready,
    write_result,
)
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Recording

RECORDING = Recording(
    ended="flooded",
    finished=False,
    events=((True, b'["open", "/x"]'), (False, b""), (False, b"\xff\0")),
    fuel_used=2**63,
    seconds=0.25,
    memory_peak=2**33,
    output=b"said \xff",
    detail="out_of_fuel",
)


def body(frame: bytes) -> bytes:
    buffer = Buffer()
    buffer.feed(frame)
    taken = buffer.take(len(frame))
    assert taken is not None
    return taken


def test_a_job_arrives_as_it_was_sent() -> None:
    limits = Limits(fuel=1, seconds=0.5, memory=2, events=3, event_bytes=4, output=5)
    job = Job(7, "python", b'{"code": "\xff"}', limits)

    assert read_request(body(write_job(job))) == job


def test_a_cancellation_arrives_as_it_was_sent() -> None:
    assert read_request(body(write_cancel(9))) == Cancel(9)


@pytest.mark.parametrize(
    ("frame", "answer"),
    [
        (write_ready(), Ready()),
        (write_broken(3, "no guest"), Broken(3, "no guest")),
        (write_result(4, RECORDING), Result(4, RECORDING)),
    ],
)
def test_an_answer_arrives_as_it_was_sent(frame: bytes, answer: object) -> None:
    assert read_answer(body(frame)) == answer


@given(st.binary(max_size=200))
def test_rubbish_is_an_answer_or_a_bad_frame_and_nothing_else(data: bytes) -> None:
    try:
        read_answer(data)
    except BadFrame:
        pass


@given(st.data())
def test_a_result_that_was_changed_is_read_strictly(data: st.DataObject) -> None:
    frame = bytearray(body(write_result(4, RECORDING)))
    place = data.draw(st.integers(0, len(frame) - 1))
    frame[place] ^= data.draw(st.integers(1, 255))
    try:
        answer = read_answer(bytes(frame))
    except BadFrame:
        return
    if isinstance(answer, Result):
        recording = answer.recording
        told = sum(len(text) for _, text in recording.events)
        assert told + len(recording.output) + len(recording.detail) <= len(frame)


@pytest.mark.parametrize("cut", [0, 1, 20, -1])
def test_a_result_that_was_cut_is_a_bad_frame(cut: int) -> None:
    with pytest.raises(BadFrame):
        read_answer(body(write_result(4, RECORDING))[:cut])


@given(st.lists(st.binary(max_size=50)), st.integers(1, 20))
def test_frames_come_whole_however_they_are_cut(bodies: list[bytes], step: int) -> None:
    stream = b"".join(framed(body) for body in bodies)
    buffer = Buffer()
    taken = []
    for at in range(0, len(stream), step):
        buffer.feed(stream[at : at + step])
        while (frame := buffer.take(50)) is not None:
            taken.append(frame)

    assert taken == bodies


def test_a_frame_that_is_too_long_is_refused_before_it_has_come() -> None:
    buffer = Buffer()
    buffer.feed(struct.pack("<I", 101))

    with pytest.raises(BadFrame, match="101 bytes"):
        buffer.take(100)


def test_the_longest_answer_fits() -> None:
    limits = Limits(events=3, event_bytes=100)
    full = Recording(
        ended="exited",
        finished=True,
        events=((True, b"x" * 50), (True, b"x" * 50), (True, b"")),
        fuel_used=0,
        seconds=0,
        memory_peak=0,
        output=b"x" * 10_000,
        detail="x" * 10_000,
    )

    assert len(body(write_result(1, full))) <= answer_bytes(limits)
