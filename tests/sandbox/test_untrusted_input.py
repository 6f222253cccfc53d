"""Whatever a guest or a worker says, the service reads a value or refuses it; nothing else happens.

`BLUECODE_FUZZ=100000` makes it the long run of the release check."""

from __future__ import annotations

import json
import os
import struct

from hypothesis import given, settings
from hypothesis import strategies as st

from bluecode.sandbox.frames import BadFrame, Result, read_answer, write_result
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Event, Recording, SandboxUnavailable, parse_event
from bluecode.sandbox.process import WorkerLost, checked
from bluecode.sandbox.run import EVENT, PENDING_BYTES, Run
from bluecode.sandbox.wasi import FUNCTIONS, World

MANY = int(os.environ.get("BLUECODE_FUZZ", "100"))
SMALL = Limits(events=20, event_bytes=200, fuel=1_000, memory=65_536)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


class Memory:
    """A guest's memory of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def read(self, address: int, length: int) -> bytes:
        if address < 0 or length < 0 or address + length > len(self.data):
            raise IndexError(address)
        return bytes(self.data[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        self.read(address, len(data))
        self.data[address : address + len(data)] = data


@settings(max_examples=MANY)
@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_an_event_is_read_or_refused(text: bytes) -> None:
    event = parse_event(text, trusted=False)

    assert event is None or (isinstance(event.kind, str) and not event.trusted)


@settings(max_examples=MANY)
@given(st.text(), st.lists(json_values, max_size=4), st.booleans())
def test_an_event_that_is_one_is_read_as_it_was_told(
    kind: str, args: list[object], trusted: bool
) -> None:
    event = parse_event(json.dumps([kind, *args]).encode(), trusted)

    assert event == Event(kind, tuple(args), trusted)


@settings(max_examples=MANY)
@given(st.binary(max_size=400))
def test_a_heap_of_events_never_exceeds_the_limits(heap: bytes) -> None:
    run = Run(World(100), SMALL)
    try:
        run.deliver(Memory(heap), 0, len(heap))
    except (struct.error, IndexError):
        pass  # at the edge to wasm this voids the run
    told = [text for _, text in run.events]

    assert len(told) <= SMALL.events and sum(map(len, told)) <= SMALL.event_bytes


@settings(max_examples=MANY)
@given(st.lists(st.tuples(st.integers(0, 2), st.binary(max_size=30)), max_size=8))
def test_events_come_out_as_they_were_put_in(events: list[tuple[int, bytes]]) -> None:
    run = Run(World(100), Limits())

    run.take(b"".join(EVENT.pack(channel, len(text)) + text for channel, text in events))

    assert run.events == [(channel == 1, text) for channel, text in events if channel != 2]
    assert run.refused_memory == (2 in {channel for channel, _ in events})


@settings(max_examples=MANY)
@given(st.binary(max_size=100), st.integers(-(2**31), 2**31 - 1))
def test_what_is_left_in_the_guest_is_read_or_the_run_is_void(data: bytes, address: int) -> None:
    run = Run(World(100), SMALL)
    try:
        run.take_pending(Memory(data + bytes(PENDING_BYTES)), address)
    except SandboxUnavailable:
        pass

    assert len(run.events) <= SMALL.events


@settings(max_examples=MANY)
@given(
    st.sampled_from(sorted(FUNCTIONS)),
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=9),
    st.binary(min_size=256, max_size=256),
)
def test_a_call_of_the_world_gives_an_error_number(
    name: str, arguments: list[int], data: bytes
) -> None:
    world = World(100)
    try:
        number = world.call(name, Memory(data), tuple(arguments))
    except TypeError:
        return  # another number of arguments: WebAssembly's types forbid it

    assert 0 <= number < 100


@settings(max_examples=MANY)
@given(
    st.lists(st.tuples(st.booleans(), st.binary(max_size=60)), max_size=30),
    st.integers(0, 2**64 - 1),
    st.floats(),
    st.integers(0, 2**64 - 1),
)
def test_an_answer_beyond_the_limits_costs_the_worker_its_place(
    events: list[tuple[bool, bytes]], fuel: int, seconds: float, memory: int
) -> None:
    recording = Recording(
        ended="exited",
        finished=True,
        events=tuple(events),
        fuel_used=fuel,
        seconds=seconds,
        memory_peak=memory,
    )
    answer = read_answer(write_result(1, recording)[4:])
    assert isinstance(answer, Result)
    try:
        taken = checked(answer, SMALL)
    except WorkerLost:
        return

    assert len(taken.events) <= SMALL.events and taken.fuel_used <= SMALL.fuel


@settings(max_examples=MANY)
@given(st.data())
def test_bytes_put_in_and_taken_out_of_a_frame_are_noticed_or_harmless(data: st.DataObject) -> None:
    recording = Recording(
        ended="trapped",
        finished=False,
        events=((True, b'["open"]'), (False, b'["done"]')),
        fuel_used=1,
        seconds=0.1,
        memory_peak=1,
    )
    frame = write_result(1, recording)[4:]
    start = data.draw(st.integers(0, len(frame)))
    end = data.draw(st.integers(start, len(frame)))
    spliced = frame[:start] + data.draw(st.binary(max_size=20)) + frame[end:]
    try:
        answer = read_answer(spliced)
    except BadFrame:
        return

    if isinstance(answer, Result):
        assert sum(len(text) for _, text in answer.recording.events) <= len(spliced)
