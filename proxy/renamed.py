"""A model's name, as the client says it and as its provider does.

A client that asks for an alias is told that the alias answered. Nothing else of a body is touched:
where the name stands once, its bytes alone are put in; a line that cannot be read goes on as it is.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from bluecode.proxy.upstream import Reply, UpstreamError

_PLACES: Final = (
    ("model",), ("modelVersion",), ("id",), ("response", "model"), ("message", "model"),
)  # fmt: skip
"""Where protocols name the model of an answer. `id` is one only in a list of models."""
_LINE = re.compile(rb"[^\r\n]*[\r\n]+")
_DATA = re.compile(rb"(?:data: ?)?(?=\{)")


class RenamedReply:
    """See `Reply`. Another reply, in which the model has the name that the client gave it."""

    def __init__(self, reply: Reply, name: str, limit: int, *, listed: bool = False) -> None:
        """`limit` is the bytes that are kept to look at them; a `listed` model is told by `id`."""
        self._reply = reply
        self._name = name
        self._limit = limit
        self._listed = listed
        self._kept = bytearray()
        self._over = False
        self.status = reply.status
        self.headers = reply.headers
        kind = dict((name.lower(), value) for name, value in reply.headers).get("content-type", "")
        self._lines = kind.partition(";")[0].strip() in (
            "text/event-stream",
            "application/x-ndjson",
        )

    async def chunk(self) -> bytes:
        while not self._over:
            data = await self._reply.chunk()
            self._kept += data
            if not data:
                self._over = True
            elif self._lines and (ready := self._whole_lines()):
                return ready
            elif not self._lines and len(self._kept) > self._limit:
                raise UpstreamError(502, "The model provider's answer is too large.", kind="broken")
        rest, self._kept = bytes(self._kept), bytearray()
        return renamed(rest, self._name, listed=self._listed) if rest else b""

    def _whole_lines(self) -> bytes:
        """The lines that have come whole; all there is, where one grows past the limit."""
        lines = list(_LINE.finditer(self._kept))
        end = lines[-1].end() if lines else 0
        told = b"".join(renamed(found.group(), self._name) for found in lines)
        if len(self._kept) - end > self._limit:
            told, end = told + bytes(self._kept[end:]), len(self._kept)
        del self._kept[:end]
        return told


def renamed(text: bytes, name: str, *, listed: bool = False) -> bytes:
    """A body, or one line of a stream, with another name for the model where it tells one."""
    begin = _DATA.match(text)
    if begin is None:
        return text
    try:
        payload = json.loads(text[begin.end() :])
    except (ValueError, RecursionError):
        return text
    for holder, key in _holders(payload, listed):
        text = _with_name(text, begin.end(), payload, holder, key, name)
    return text


def _holders(payload: Mapping[str, Any], listed: bool) -> Iterator[tuple[dict[str, Any], str]]:
    for *path, key in _PLACES:
        holder: Any = payload
        for step in path:
            holder = holder.get(step) if isinstance(holder, dict) else None
        told = isinstance(holder, dict) and isinstance(holder.get(key), str)
        if told and (key != "id" or listed):
            yield holder, key


def _with_name(
    text: bytes, begin: int, payload: Any, holder: dict[str, Any], key: str, name: str
) -> bytes:
    old, holder[key] = holder[key], name
    member = rb'(?<!\\)("%s"\s*:\s*)"%s"' % (key.encode(), re.escape(_inside(old)))
    found = list(re.finditer(member, text))
    if len(found) == 1:
        at = found[0]
        return text[: at.end(1)] + b'"' + _inside(name) + b'"' + text[at.end() :]
    rest = text.rstrip(b"\r\n")
    return text[:begin] + json.dumps(payload).encode() + text[len(rest) :]


def _inside(name: str) -> bytes:
    """A name as most servers write it within quotes."""
    return json.dumps(name, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
