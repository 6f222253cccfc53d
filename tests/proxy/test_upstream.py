"""The real HTTP upstream against real servers: bytes and headers through, faults by name."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from serving import chat, guarded, post, serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from bluecode.proxy.upstream import Call, HttpUpstream, UpstreamError, forwardable

JSON_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
CALL = Call(method="POST", path="/chat/completions", query="a=1", headers=(), body=b"{}")


async def echo(request: Request) -> Response:
    seen = dict(request.headers) | {"x-path": request.url.path, "x-query": request.url.query}
    kept = {f"x-seen-{name}": value for name, value in seen.items()}
    return Response(await request.body(), 201, kept, media_type="application/json")


async def slow(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.sleep(30)

    return StreamingResponse(parts(), media_type="application/json")


PROVIDER = Starlette(
    routes=[
        Route("/v1/chat/completions", echo, methods=["POST"]),
        Route("/slow/chat/completions", slow, methods=["POST"]),
    ]
)


async def read(upstream: HttpUpstream, call: Call) -> bytes:
    async with upstream.send(call) as reply:
        parts = []
        while data := await reply.chunk():
            parts.append(data)
    return b"".join(parts)


async def test_method_path_query_headers_and_body_arrive() -> None:
    async with serving(PROVIDER) as root:
        upstream = HttpUpstream(f"{root}/v1")
        call = Call(
            method="POST",
            path="/chat/completions",
            query="a=1",
            headers=(("X-Odd", "é"),),
            body=b"[1]",
        )
        async with upstream.send(call) as reply:
            told = {name.lower(): value for name, value in reply.headers}
            assert (reply.status, await reply.chunk()) == (201, b"[1]")
        await upstream.close()
    assert told["x-seen-x-path"] == "/v1/chat/completions"
    assert told["x-seen-x-query"] == "a=1"
    assert "x-seen-x-odd" in told
    assert "x-seen-user-agent" not in told
    assert upstream.state == "reachable"


@pytest.mark.parametrize(
    ("root", "kind"),
    [
        ("http://127.0.0.1:9/v1", "connect"),
        ("http://name.invalid/v1", "connect"),
        ("http://", "connect"),
    ],
)
async def test_a_provider_out_of_reach_is_an_upstream_error(root: str, kind: str) -> None:
    upstream = HttpUpstream(root, connect=2)
    with pytest.raises(UpstreamError) as caught:
        await read(upstream, CALL)
    await upstream.close()
    assert caught.value.kind == kind
    assert upstream.state == "unreachable"


async def test_a_provider_that_falls_silent_is_a_timeout() -> None:
    async with serving(PROVIDER) as root:
        upstream = HttpUpstream(f"{root}/slow", read=0.2)
        with pytest.raises(UpstreamError) as caught:
            await read(upstream, CALL)
        await upstream.close()
    assert (caught.value.status, caught.value.kind) == (504, "timeout")


@asynccontextmanager
async def cutting_server(parts: bytes) -> AsyncIterator[str]:
    """Answers with these bytes and hangs up."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(parts)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


@pytest.mark.parametrize(
    "parts",
    [
        b"",
        b"garbage\r\n\r\n",
        JSON_HEAD + b"content-length: 99\r\n\r\n{",
        JSON_HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{",
    ],
)
async def test_a_provider_that_hangs_up_gives_a_502_in_the_clients_protocol(parts: bytes) -> None:
    async with cutting_server(parts) as provider, guarded(HttpUpstream(provider)) as root:
        status, _, body = await post(f"{root}/v1/chat/completions", chat())
    assert status == 502
    assert b'"type": "upstream_error"' in body


def test_hop_by_hop_headers_and_those_they_name_stay() -> None:
    headers = [
        ("Connection", "close, X-Own"),
        ("X-Own", "1"),
        ("TE", "x"),
        ("Host", "h"),
        ("A", "1"),
    ]
    assert forwardable(headers, frozenset({"host"})) == (("A", "1"),)


async def test_the_environments_proxy_is_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def way_out(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readline()).decode())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(way_out, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    call = Call(method="GET", path="/models", query="", headers=(), body=b"")
    async with server:
        upstream = HttpUpstream("http://provider.test/v1")
        async with upstream.send(call) as reply:
            assert await reply.chunk() == b"ok"
        await upstream.close()
    assert asked == ["GET http://provider.test/v1/models HTTP/1.1\r\n"]
