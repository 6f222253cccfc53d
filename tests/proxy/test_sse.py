"""Events cut apart and read: the quick ways give what the plain ways give."""

import codecs
import json
import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluecode.proxy.sse import BrokenStream, EventSplitter
from bluecode.proxy.wire import reading

_ENDS = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")


def split_at_once(data: bytes) -> tuple[list[bytes], bytes]:
    """Events and what is left of them, by the definition."""
    ends = [0, *(match.end() for match in _ENDS.finditer(data))]
    events = [data[start:end] for start, end in zip(ends, ends[1:], strict=False)]
    return events, data[ends[-1] :]


def fed(pieces: Sequence[bytes]) -> tuple[list[bytes], bytes]:
    splitter = EventSplitter(1000)
    return [event for piece in pieces for event in splitter.feed(piece)], splitter.rest()


@given(st.text("\n\r:ad", max_size=14).map(str.encode))
def test_a_piece_is_cut_where_an_event_ends_and_nowhere_else(data: bytes) -> None:
    assert fed([data]) == split_at_once(data)


@given(st.lists(st.text("\n:ad", max_size=6).map(str.encode), max_size=6))
def test_the_pieces_in_which_line_feeds_come_change_no_event(pieces: list[bytes]) -> None:
    assert fed(pieces) == split_at_once(b"".join(pieces))


@pytest.mark.parametrize("byte", [b"d", b"\n", b"\r", b":"])
def test_a_byte_alone_is_no_event(byte: bytes) -> None:
    assert fed([byte]) == ([], byte)


def test_an_event_that_was_begun_is_not_passed_by_the_next_one() -> None:
    assert fed([b"data: 1", b"\n\n"]) == ([b"data: 1\n\n"], b"")
    assert fed([b"\n", b"data: 1\n\n"]) == ([b"\ndata: 1\n\n"], b"")


def test_an_event_that_stays_open_past_the_limit_breaks_the_stream() -> None:
    splitter = EventSplitter(8)
    assert splitter.feed(b"data: 1234567\n\n") == [b"data: 1234567\n\n"]
    with pytest.raises(BrokenStream):
        splitter.feed(b"data: 1234567\n")


def outcome(read: object, data: bytes) -> object:
    """What a reader makes of data: the value as JSON tells it, or the kind of its refusal."""
    assert callable(read)
    try:
        return json.dumps(read(data))
    except (ValueError, RecursionError) as error:
        return ValueError if isinstance(error, ValueError) else type(error)


def same(data: bytes) -> bool:
    return outcome(reading.event, data) == outcome(json.loads, data)


OBJECT = '{"text": "gr\u00fcn \U0001f600", "n": [1, -0.5, null, NaN]}'


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le"]
)
def test_an_event_in_any_encoding_is_read_as_the_library_reads_it(encoding: str) -> None:
    data = OBJECT.encode(encoding)
    assert same(data)
    assert "\\u00fc" in str(outcome(reading.event, data))


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"{}",
        b"{\x00",
        b"{\x00}\x00",
        b"",
        b"null",
        b"[1]",
        b'{"a": 1} {"b": 2}',
        b'{"a": 1}\x00',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\\ud800"}',
        b'{"a": "line\nfeed"}',
        codecs.BOM_UTF8 + codecs.BOM_UTF8 + b"{}",
        b'{"a": ' + b"[" * 100_000,
    ],
)
def test_odd_data_is_read_or_refused_as_by_the_library(data: bytes) -> None:
    assert same(data)


@given(st.one_of(st.binary(max_size=8).map(lambda rest: b"{" + rest), st.binary(max_size=6)))
def test_any_bytes_are_read_or_refused_as_by_the_library(data: bytes) -> None:
    assert same(data)


@pytest.mark.parametrize("key", ["content", "text", "arguments"])
def test_a_key_that_stands_twice_is_refused_however_it_is_spelled(key: str) -> None:
    spelled = f"\\u{ord(key[0]):04x}{key[1:]}"
    for second in (key, spelled):
        with pytest.raises(reading.RepeatedKey):
            reading.event(f'{{"{key}": "a", "{second}": "b"}}'.encode())
