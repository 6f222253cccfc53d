"""What every wire shares: JSON read strictly, strings wherever they stand, tool calls in pieces.

Nothing here knows one provider's format, and nothing is looked at by the name of a field alone
where another reader of the same bytes might take another field.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio.to_thread

from bluecode.defenses import carriers
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.snippets import Block, SnippetExtractor
from bluecode.proxy.sse import BrokenStream

Path = tuple[str, ...]
Read = TypeVar("Read")
Found = TypeVar("Found")
_LONG = 20_000
_NAMES_CALL = frozenset({"id", "index", "type", "name", "call_id", "extra_content"})
_PLAIN_NAME = re.compile(r"[\w.:/-]{0,128}")
_WATCHED = (
    b'"choices"', b'"delta"', b'"message"', b'"content"', b'"tool_calls"', b'"arguments"',
    b'"function"', b'"text"', b'"input"', b'"partial_json"',
)  # fmt: skip
_DECODER = json.JSONDecoder()
_ESCAPED_LETTER = re.compile(rb"\\u00[2-7]")


class WireError(Exception):
    """A request that cannot be served; the message says what was wrong and quotes nothing."""

    kind = "invalid_request_error"
    decision = "error"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Sent with the error."""

    def __init__(self, status: int, message: str, *, code: str = "invalid_request") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RepeatedKey(ValueError):
    """An object names a key twice: readers differ in which of the values they take."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise RepeatedKey
    return read


def strictly(data: bytes) -> Any:
    """JSON in which no object names a key twice. Raises ValueError or RecursionError."""
    return json.loads(data, object_pairs_hook=_once)


def answer(data: bytes) -> Any:
    """A whole answer's JSON, read strictly. Raises `BrokenStream`."""
    try:
        return strictly(data)
    except (ValueError, RecursionError) as error:
        raise BrokenStream("the answer is not JSON") from error


def written(answer: Any) -> bytes:
    """An answer as it goes out. Raises `BrokenStream` where JSON cannot hold it."""
    try:
        return json.dumps(answer, allow_nan=False).encode()
    except ValueError as error:
        raise BrokenStream("the answer holds a number that JSON cannot hold") from error


def event(data: bytes) -> Any:
    """The JSON of one event; read strictly only where a key could stand twice, since a hook costs
    as much again as the parsing. Raises ValueError or RecursionError."""
    for key in _WATCHED:
        if data.count(key) > 1:
            return strictly(data)
    return strictly(data) if _ESCAPED_LETTER.search(data) else _plainly(data)


def _plainly(data: bytes) -> Any:
    """What `json.loads` reads, without its search for the encoding where two bytes tell it."""
    if data[:1] != b"{" or data[1:2] in (b"", b"\0"):
        return json.loads(data)
    return _DECODER.decode(data.decode("utf-8", "surrogatepass"))


def event_object(data: bytes) -> dict[str, Any]:
    """The JSON object of one event. Raises `BrokenStream`."""
    try:
        payload = event(data)
    except (ValueError, RecursionError) as error:
        raise BrokenStream("an event's data is not JSON") from error
    if not isinstance(payload, dict):
        raise BrokenStream("an event's data is not an object")
    return payload


def named_event(payload: Mapping[str, Any]) -> bytes:
    """An event that says its type twice, as some protocols want it."""
    data = json.dumps(payload, separators=(",", ":"), allow_nan=False)
    return f"event: {payload.get('type', 'message')}\ndata: {data}\n\n".encode()


def body(data: bytes) -> dict[str, Any]:
    """A request's JSON object. Raises `WireError`."""
    try:
        payload = json.loads(data.decode("utf-8"), object_pairs_hook=_once)
    except UnicodeDecodeError:
        raise WireError(400, "The request body is not valid UTF-8.") from None
    except RepeatedKey:
        raise WireError(400, "The request body names a key twice in one object.") from None
    except (ValueError, RecursionError):
        raise WireError(400, "The request body is not valid JSON.") from None
    if not isinstance(payload, dict):
        raise WireError(400, "The request body must be a JSON object.")
    return payload


def plain_name(value: Any) -> str:
    """The name of a tool or speaker as it is, or a stand-in where it could say more than a name."""
    return value if isinstance(value, str) and _PLAIN_NAME.fullmatch(value) else "unnamed"


def strings(value: Any) -> Iterator[tuple[Path, str]]:
    """Every string in a JSON value, in its order, with the keys that lead to it."""
    stack: list[tuple[Path, Any]] = [((), value)]
    while stack:
        path, item = stack.pop()
        if isinstance(item, str):
            yield path, item
        elif isinstance(item, dict):
            stack += [((*path, key), part) for key, part in reversed(item.items())]
        elif isinstance(item, list):
            stack += [(path, part) for part in reversed(item)]


@dataclass(slots=True)
class ToolCall:
    """One tool call, whole or as far as it has come: its strings by the place they stand in."""

    index: int | None = None
    id: str = ""
    parts: dict[Path, list[str]] = field(default_factory=dict)
    size: int = 0
    """Characters so far."""

    def add(self, piece: Mapping[str, Any]) -> None:
        """Add a whole call or a streamed piece of one."""
        for path, text in _call_strings(piece):
            self.parts.setdefault(path, []).append(text)
            self.size += len(text)

    @property
    def inputs(self) -> Iterator[tuple[Path, str]]:
        """What the tool is given: every string that is no identifier."""
        for path, texts in self.parts.items():
            text = "".join(texts)
            if path[-1:] != ("name",) or text != plain_name(text):
                yield path, text

    @property
    def text(self) -> str:
        """All of the inputs, one after the other."""
        return "\n".join(text for _, text in self.inputs)

    @property
    def raw(self) -> bool:
        """Is it given text that is no JSON (a custom tool's `input`)?"""
        return ("custom", "input") in self.parts


def _call_strings(piece: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    for key, value in piece.items():
        if key not in _NAMES_CALL or (key == "name" and isinstance(value, str)):
            yield from _under((key,), value)


def _under(path: Path, value: Any) -> Iterator[tuple[Path, str]]:
    """Strings below a key; a tool's arguments stay one JSON text even where they came parsed."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict) and path[-1] not in ("arguments", "input"):
        for key, item in value.items():
            if len(path) < 4:
                yield from _under((*path, key), item)
            else:
                yield path, _text(item)
    elif value not in (None, {}, []):
        yield path, _text(value)


def _text(value: Any) -> str:
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except RecursionError:
        return "{"  # what is nested past reading is reported as arguments that cannot be read


class Calls:
    """The tool calls of one answer, put together from pieces as they come.

    A piece belongs to the call of its index, unless it brings another id: then a call begins. A
    piece with neither goes on with the last call.
    """

    def __init__(self) -> None:
        self._calls: list[ToolCall] = []
        self._by_index: dict[int | None, ToolCall] = {}
        self._by_id: dict[tuple[int | None, str], ToolCall] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def __iter__(self) -> Iterator[ToolCall]:
        return iter(self._calls)

    def add(self, piece: Mapping[str, Any]) -> int:
        """Add a whole call or a piece of one; its characters."""
        call = self._for(_number(piece.get("index")), _word(piece.get("id")))
        before = call.size
        call.add(piece)
        return call.size - before

    def clear(self) -> None:
        """Forget them all."""
        self._calls.clear()
        self._by_index.clear()
        self._by_id.clear()

    def _for(self, index: int | None, name: str) -> ToolCall:
        known = self._by_id.get((index, name)) if name else None
        last = self._calls[-1] if index is None and self._calls else self._by_index.get(index)
        call = known or last
        if call is None or (known is None and name and (call.id or index is None)):
            call = ToolCall(index, name)
            self._calls.append(call)
        call.id = call.id or name
        self._by_index[index] = self._by_id[index, call.id] = call
        return call


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


async def snippets_of(calls: Iterable[ToolCall]) -> tuple[list[Snippet], tuple[str, ...]]:
    """The snippets in tool calls, and `arguments` where some could not be read."""
    listed = list(calls)
    return await at_leisure(_snippets_of, listed, sum(call.size for call in listed))


async def unwrapped(block: Block) -> tuple[Snippet, ...]:
    """The snippets of one block."""
    return await at_leisure(carriers.in_block, block, len(block.code))


async def blocks_of(text: str) -> list[Block]:
    """The blocks of a whole text."""
    return await at_leisure(_blocks_of, text, len(text))


def _blocks_of(text: str) -> list[Block]:
    extractor = SnippetExtractor()
    return extractor.feed(text) + extractor.close()


def _snippets_of(listed: Sequence[ToolCall]) -> tuple[list[Snippet], tuple[str, ...]]:
    snippets: list[Snippet] = []
    unreadable = False
    for path, text in (found for call in listed for found in call.inputs):
        carried = _carried(path, text)
        snippets += carried.snippets
        unreadable = unreadable or carried.unreadable
    for text in _joined(listed):
        snippets += carriers.in_input(text)
    return snippets, ("arguments",) if unreadable else ()


async def at_leisure(read: Callable[[Read], Found], subject: Read, size: int) -> Found:
    """What `read` finds in a subject of so many characters; a long one is read in a thread, so
    that other requests go on meanwhile."""
    if size <= _LONG:
        return read(subject)
    return await anyio.to_thread.run_sync(read, subject)


def _carried(path: Path, text: str) -> carriers.Carried:
    if path[-1] == "arguments":
        return carriers.in_arguments(text)
    if path[-1] == "input":
        as_json = carriers.in_arguments(text) if text.lstrip()[:1] in ("{", "[") else None
        if as_json is not None and not as_json.unreadable:
            return as_json
        return carriers.Carried(snippets=carriers.in_input(text))
    return carriers.in_arguments(json.dumps({path[-1]: text}))


def _joined(calls: Sequence[ToolCall]) -> Iterator[str]:
    """Raw inputs of calls that share an index: some clients put such calls together."""
    by_index: dict[int, list[ToolCall]] = {}
    for call in calls:
        if call.raw and call.index is not None:
            by_index.setdefault(call.index, []).append(call)
    for same in by_index.values():
        if len(same) > 1:
            yield "".join(call.text for call in same)
