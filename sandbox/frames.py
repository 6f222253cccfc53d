"""What goes over the pipes between the service and a worker: framed, bounded, strictly read.

A worker runs untrusted code, so its side of the pipe is untrusted too. Both sides are the same
version of this program: the form may change freely.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import ENDINGS, Recording

HEAD = struct.Struct("<I")
JOB = struct.Struct("<BIQdQIIIB")
NUMBER = struct.Struct("<BI")
RESULT = struct.Struct("<BIBBQdQHHI")
EVENT = struct.Struct("<BI")

IS_JOB, IS_CANCEL, IS_READY, IS_RESULT, IS_BROKEN = range(5)
JOB_BYTES = 2 * 1024**2
FRAME_BYTES = 64 * 1024**2
TEXT_BYTES = 4_096


class BadFrame(Exception):
    """The other side sent what is no frame."""


@dataclass(frozen=True, slots=True)
class Job:
    number: int
    language: str
    job: bytes
    limits: Limits


@dataclass(frozen=True, slots=True)
class Cancel:
    number: int


@dataclass(frozen=True, slots=True)
class Ready:
    pass


@dataclass(frozen=True, slots=True)
class Result:
    number: int
    recording: Recording


@dataclass(frozen=True, slots=True)
class Broken:
    """The worker is well, but could not run the job."""

    number: int
    reason: str


def framed(body: bytes) -> bytes:
    return HEAD.pack(len(body)) + body


class Buffer:
    """Bytes as they come, frames as they are whole. A wait that is cancelled loses nothing."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def take(self, at_most: int) -> bytes | None:
        """The next frame, or None if it is not whole yet. Raises `BadFrame` if it is too long."""
        if len(self._bytes) < HEAD.size:
            return None
        (length,) = HEAD.unpack_from(self._bytes)
        if length > at_most:
            raise BadFrame(f"a frame of {length} bytes, where at most {at_most} may come")
        end = HEAD.size + length
        if len(self._bytes) < end:
            return None
        body = bytes(self._bytes[HEAD.size : end])
        del self._bytes[:end]
        return body


# --- to the worker ---


def write_job(job: Job) -> bytes:
    limits, language = job.limits, job.language.encode()
    head = JOB.pack(
        IS_JOB,
        job.number,
        limits.fuel,
        limits.seconds,
        limits.memory,
        limits.events,
        limits.event_bytes,
        limits.output,
        len(language),
    )
    return framed(head + language + job.job)


def write_cancel(number: int) -> bytes:
    return framed(NUMBER.pack(IS_CANCEL, number))


def read_request(body: bytes) -> Job | Cancel:
    if body[0] == IS_CANCEL:
        return Cancel(NUMBER.unpack(body)[1])
    _, number, fuel, seconds, memory, events, event_bytes, output, size = JOB.unpack_from(body)
    language = body[JOB.size : JOB.size + size].decode()
    limits = Limits(
        fuel=fuel,
        seconds=seconds,
        memory=memory,
        events=events,
        event_bytes=event_bytes,
        output=output,
    )
    return Job(number, language, body[JOB.size + size :], limits)


# --- from the worker ---


def write_ready() -> bytes:
    return framed(bytes([IS_READY]))


def write_broken(number: int, reason: str) -> bytes:
    return framed(NUMBER.pack(IS_BROKEN, number) + reason.encode()[:TEXT_BYTES])


def write_result(number: int, recording: Recording) -> bytes:
    detail, output = recording.detail.encode()[:TEXT_BYTES], recording.output[:TEXT_BYTES]
    head = RESULT.pack(
        IS_RESULT,
        number,
        ENDINGS.index(recording.ended),
        recording.finished,
        recording.fuel_used,
        recording.seconds,
        recording.memory_peak,
        len(detail),
        len(output),
        len(recording.events),
    )
    events = [EVENT.pack(trusted, len(text)) + text for trusted, text in recording.events]
    return framed(head + detail + output + b"".join(events))


def answer_bytes(limits: Limits) -> int:
    """The length of the longest frame that may answer a job with these limits."""
    fixed = RESULT.size + 2 * TEXT_BYTES
    return fixed + limits.event_bytes + limits.events * EVENT.size


def read_answer(body: bytes) -> Ready | Result | Broken:
    """Read a worker's frame. Raises `BadFrame` for anything that a sound worker cannot send."""
    try:
        return _read_answer(body)
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise BadFrame(f"a frame of {len(body)} bytes does not parse") from error


def _read_answer(body: bytes) -> Ready | Result | Broken:
    if body[0] == IS_READY:
        return Ready()
    if body[0] == IS_BROKEN:
        return Broken(NUMBER.unpack_from(body)[1], body[NUMBER.size :].decode())
    if body[0] != IS_RESULT:
        raise BadFrame(f"a frame of kind {body[0]}")
    return _read_result(body)


def _read_result(body: bytes) -> Result:
    _, number, ended, finished, fuel, seconds, memory, detail, output, count = RESULT.unpack_from(
        body
    )
    at = RESULT.size
    texts = body[at : at + detail], body[at + detail : at + detail + output]
    at += detail + output
    events = []
    for _ in range(count):
        trusted, length = EVENT.unpack_from(body, at)
        at += EVENT.size + length
        events.append((trusted == 1, body[at - length : at]))
    if at != len(body):
        raise BadFrame("a result whose parts do not add up")
    recording = Recording(
        ended=ENDINGS[ended],
        finished=finished == 1,
        events=tuple(events),
        fuel_used=fuel,
        seconds=seconds,
        memory_peak=memory,
        output=texts[1],
        detail=texts[0].decode(),
    )
    return Result(number, recording)
