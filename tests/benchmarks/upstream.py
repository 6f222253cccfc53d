"""The least that a provider can be: an answer at once, whole or in 71 chunks.

The answer holds prose, a block of Python and prose again, so that the guard has code to check. A
number in the code makes each answer another one, unless the model `same` is asked.
"""

import asyncio
import itertools
import json
import re
import sys
from typing import Any

MARK = "00000000"
CODE = f"""\
# {MARK}
import re
import unicodedata


def slugify(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
"""
TEXT = f"Here is a function that does it:\n\n```python\n{CODE}```\n\nCall it with a title.\n"
IDENTITY: dict[str, Any] = {"id": "chatcmpl-1", "created": 0, "model": "bench"}
CHUNKS = 71


def _whole() -> bytes:
    message = {"role": "assistant", "content": TEXT}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    told = {**IDENTITY, "object": "chat.completion", "choices": [choice], "usage": usage}
    body = json.dumps(told).encode()
    return _head("application/json", len(body)) + body


def _head(kind: str, length: int | None) -> bytes:
    size = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
    return f"HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\n{size}\r\n\r\n".encode()


def _pieces() -> list[str]:
    """The text in small pieces, the mark in one of its own."""
    before, mark, after = TEXT.partition(MARK)
    return [*_split(before, 8), mark, *_split(after, CHUNKS - 10)]


def _split(text: str, count: int) -> list[str]:
    cuts = [at * len(text) // count for at in range(count + 1)]
    return [text[start:end] for start, end in itertools.pairwise(cuts)]


def _events() -> list[bytes]:
    deltas: list[tuple[dict[str, str], str | None]] = [({"content": it}, None) for it in _pieces()]
    events = []
    for delta, finish in [*deltas, ({}, "stop")]:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {**IDENTITY, "object": "chat.completion.chunk", "choices": [choice]}
        events.append(f"data: {json.dumps(chunk)}\n\n".encode())
    return [*events, b"data: [DONE]\n\n"]


WHOLE = _whole()
STREAM = [b"%x\r\n%s\r\n" % (len(event), event) for event in _events()] + [b"0\r\n\r\n"]
NUMBERS = itertools.count(1)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer requests of one connection until it closes."""
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            found = re.search(rb"(?i)content-length: *(\d+)", head)
            body = await reader.readexactly(int(found[1])) if found else b""
            number = MARK.encode() if b'"same"' in body else b"%08d" % next(NUMBERS)
            if re.search(rb'"stream": ?true', body):
                writer.write(_head("text/event-stream", None))
                for piece in STREAM:
                    writer.write(piece.replace(MARK.encode(), number))
                    await writer.drain()
            else:
                writer.write(WHOLE.replace(MARK.encode(), number))
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port: int) -> None:
    server = await asyncio.start_server(serve, "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
