"""Several providers on real sockets: who is asked, in whose name it answers, who is asked next.

Each provider is the scripted model, which says in every protocol what model it was asked for; or
one that fails in a way of its own.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from scripted import WordDetector
from serving import chat, get, guarded, post, serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from bluecode.defenses.policy import Policy
from bluecode.proxy.config import Config, Secret, UpstreamConfig
from bluecode.proxy.renamed import renamed
from bluecode.proxy.scripted import scripted_model

SAID = "I am BlueCode's scripted model."
NOWHERE = "http://127.0.0.1:1/v1"
CLIENT = {"Authorization": "Bearer clients-own"}


class Provider:
    """An app behind which every request is remembered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked: list[Request] = []
        self.bodies: list[dict[str, Any]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            request = Request(scope, receive)
            body = await request.body()
            self.asked.append(request)
            self.bodies.append(json.loads(body or b"{}"))

            unread = [{"type": "http.request", "body": body}]

            async def again() -> Any:
                return unread.pop() if unread else await receive()

            await self._app(scope, again, send)
            return
        await self._app(scope, receive, send)

    @property
    def keys(self) -> list[str]:
        """What each request brought as a key."""
        told = ("authorization", "x-api-key", "x-goog-api-key")
        return ["".join(request.headers.get(name, "") for name in told) for request in self.asked]


def answering(answer: Callable[[Request], Awaitable[Response]]) -> Starlette:
    """A provider that answers everything so."""
    return Starlette(routes=[Route("/{path:path}", answer, methods=["GET", "POST"])])


def failing(status: int) -> Starlette:
    async def fail(request: Request) -> Response:
        return JSONResponse({"error": {"message": "no"}}, status)

    return answering(fail)


async def _cut() -> AsyncIterator[bytes]:
    begun = {"index": 0, "delta": {"content": "I am"}, "finish_reason": None}
    yield b"data: " + json.dumps({"choices": [begun]}).encode() + b"\n\n"
    raise ConnectionResetError


async def breaking(request: Request) -> Response:
    """Begins to answer, and breaks off."""
    return StreamingResponse(_cut(), media_type="text/event-stream")


@asynccontextmanager
async def house(
    first: Mapping[str, Any], second: Mapping[str, Any], *apps: ASGIApp, **settings: Any
) -> AsyncIterator[tuple[str, list[Provider]]]:
    """BlueCode in front of two upstreams; `apps` are what stands behind those without address."""
    async with AsyncExitStack() as stack:
        providers = [Provider(app) for app in apps]
        roots = [await stack.enter_async_context(serving(one)) for one in providers]
        addresses = iter(f"{root}/v1" for root in roots)
        tables = [{"upstream": None, **first}, {"upstream": None, **second}]
        given = [
            UpstreamConfig(**{**one, "upstream": one["upstream"] or next(addresses)})
            for one in tables
        ]
        settings = {"upstream": "", "upstreams": tuple(given), **settings}
        yield await stack.enter_async_context(guarded(None, **settings)), providers


A = {"name": "a", "models": ("one",), "aliases": {"quick": "one-large"}, "fallbacks": ("b",)}
B = {"name": "b", "models": ("two-*",), "aliases": {"one": "spare", "quick": "spare"}}
WIRES = {
    "chat": ("/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}]}),
    "responses": ("/v1/responses", {"input": "hi"}),
    "messages": (
        "/v1/messages",
        {"max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]},
    ),
    "completions": ("/v1/completions", {"prompt": "x ="}),
    "fill": ("/v1/fim/completions", {"prompt": "x =", "suffix": "\n"}),
    "ollama chat": ("/api/chat", {"messages": [{"role": "user", "content": "hi"}]}),
    "ollama generate": ("/api/generate", {"prompt": "hi"}),
    "gemini": ("/v1beta/models/{model}:{method}", {"contents": [{"parts": [{"text": "hi"}]}]}),
}


def asked(wire: str, model: str, stream: bool) -> tuple[str, dict[str, Any]]:
    path, body = WIRES[wire]
    if wire == "gemini":
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        return path.format(model=model, method=method), body
    return path, {"model": model, "stream": stream, **body}


def model_in(provider: Provider) -> str:
    """What the provider was asked for last."""
    path = provider.asked[-1].url.path
    if ":" in path:
        return path.rpartition("/")[2].partition(":")[0]
    return str(provider.bodies[-1]["model"])


every_wire = pytest.mark.parametrize("wire", WIRES)
both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])


@every_wire
@both
async def test_an_alias_goes_to_its_provider_and_answers_in_its_own_name(
    wire: str, stream: bool
) -> None:
    async with house(A, B, scripted_model(), scripted_model()) as (root, (a, b)):
        path, body = asked(wire, "quick", stream)
        status, headers, told = await post(root + path, body)
    assert status == 200 and headers["x-bluecode-verdict"] == "allow"
    assert (model_in(a), b.asked) == ("one-large", [])
    assert b"one-large" not in told
    assert wire == "gemini" or told.count(b'"quick"') >= 1  # scripted Gemini names no model


@every_wire
@both
async def test_a_provider_that_fails_is_followed_by_its_fallback(wire: str, stream: bool) -> None:
    async with house(A, B, failing(529), scripted_model()) as (root, (a, b)):
        path, body = asked(wire, "one", stream)
        answered, headers, told = await post(root + path, body)
    assert (answered, headers["x-bluecode-verdict"]) == (200, "allow")
    assert (model_in(a), model_in(b)) == ("one", "spare")
    assert b"spare" not in told


@both
async def test_one_that_cannot_be_reached_is_followed_by_its_fallback(stream: bool) -> None:
    async with house({**A, "upstream": NOWHERE}, B, scripted_model()) as (root, (b,)):
        status, _, _ = await post(f"{root}/v1/chat/completions", chat(model="one", stream=stream))
        _, _, shown = await get(f"{root}/metrics")
    assert (status, len(b.asked)) == (200, 1)
    assert b'upstream_tries_total{outcome="connect",upstream="a"} 1.0' in shown
    assert b'upstream_tries_total{outcome="answered",upstream="b"} 1.0' in shown


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_provider_that_is_busy_or_down_is_followed_by_its_fallback(status: int) -> None:
    async with house(A, B, failing(status), scripted_model()) as (root, (_, b)):
        told, _, _ = await post(f"{root}/v1/chat/completions", chat(model="one"))
    assert (told, len(b.asked)) == (200, 1)


@pytest.mark.parametrize("status", [400, 401, 404])
async def test_a_request_that_is_refused_is_told_and_not_tried_elsewhere(status: int) -> None:
    async with house(A, B, failing(status), scripted_model()) as (root, (_, b)):
        told, _, _ = await post(f"{root}/v1/chat/completions", chat(model="one"))
    assert (told, b.asked) == (status, [])


async def test_an_answer_that_has_begun_is_not_begun_again_elsewhere() -> None:
    async with house(A, B, answering(breaking), scripted_model()) as (root, (a, b)):
        status, _, told = await post(f"{root}/v1/chat/completions", chat(model="one", stream=True))
    assert (status, len(a.asked), b.asked) == (200, 1, [])
    assert b"I am" in told and b"upstream_broken" in told


async def test_the_last_of_the_fallbacks_is_heard_where_all_fail() -> None:
    async with house(A, B, failing(500), failing(429)) as (root, _):
        status, _, _ = await post(f"{root}/v1/chat/completions", chat(model="one"))
    assert status == 429


@every_wire
async def test_a_model_that_nobody_has_is_an_error_in_the_clients_protocol(wire: str) -> None:
    async with house(A, B, scripted_model(), scripted_model()) as (root, _):
        path, body = asked(wire, "three", False)
        status, _, told = await post(root + path, body)
    assert status == 404 and "error" in json.loads(told)
    assert b"No upstream has the model" in told


async def test_what_is_blocked_reaches_no_provider() -> None:
    async with house(A, B, scripted_model(), scripted_model()) as (root, providers):
        status, headers, told = await post(
            f"{root}/v1/chat/completions", chat("a badword", model="quick")
        )
    assert (status, headers["x-bluecode-verdict"]) == (200, "block")
    assert json.loads(told)["model"] == "quick"
    assert not any(one.asked for one in providers)


async def test_a_body_whose_model_has_no_other_name_goes_on_byte_for_byte() -> None:
    sent = b'{ "model":"two-x" , "messages": [{"role":"user","content":"hi"}], "new": 1e3 }'
    seen: list[bytes] = []

    async def keep(request: Request) -> Response:
        seen.append(await request.body())
        return JSONResponse({}, 400)

    async with house(A, B, scripted_model(), answering(keep)) as (root, _):
        await post(f"{root}/v1/chat/completions", sent)
    assert seen == [sent]


@pytest.mark.parametrize(
    ("first", "second", "keys"),
    [
        ({}, {}, (["Bearer clients-own"], [""])),
        ({"key": Secret("ka")}, {}, (["Bearer ka"], [""])),
        ({}, {"key": Secret("kb")}, (["Bearer clients-own"], ["Bearer kb"])),
        ({"key": Secret("ka")}, {"key": Secret("kb")}, (["Bearer ka"], ["Bearer kb"])),
    ],
)
async def test_a_key_goes_to_the_provider_that_it_is_meant_for(
    first: dict[str, Any], second: dict[str, Any], keys: tuple[list[str], list[str]]
) -> None:
    async with house({**A, **first}, {**B, **second}, failing(503), scripted_model()) as (
        root,
        (a, b),
    ):
        await post(f"{root}/v1/chat/completions", chat(model="one"), CLIENT)
    assert (a.keys, b.keys) == keys


@pytest.mark.parametrize(
    ("wire", "key"), [("messages", "kb"), ("gemini", "kb"), ("chat", "Bearer kb")]
)
async def test_a_key_is_sent_as_the_protocol_wants_it(wire: str, key: str) -> None:
    second = {**B, "key": Secret("kb")}
    async with house(A, second, scripted_model(), scripted_model()) as (root, (_, b)):
        path, body = asked(wire, "two-x", False)
        await post(root + path, body, {**CLIENT, "x-goog-api-key": "own", "x-api-key": "own"})
    assert b.keys == [key]


async def test_a_clients_key_in_the_address_goes_to_no_other_provider() -> None:
    async with house(A, B, failing(503), scripted_model()) as (root, (a, b)):
        path, body = asked("gemini", "one", False)
        await post(f"{root}{path}?key=own&alt=json", body)
    assert (a.asked[0].url.query, b.asked[0].url.query) == ("key=own&alt=json", "alt=json")


async def test_a_proxy_key_goes_to_nobody() -> None:
    keys = {"alice": Secret("alice-key")}
    async with house(A, B, scripted_model(), scripted_model(), proxy_keys=keys) as (root, (a, _)):
        status, _, _ = await post(
            f"{root}/v1/chat/completions", chat(model="one"), {"Authorization": "Bearer alice-key"}
        )
    assert (status, a.keys) == (200, [""])


async def test_protocols_decide_where_two_have_the_same_model() -> None:
    first = {"name": "a", "models": ("m",), "protocols": ("anthropic",)}
    second = {"name": "b", "models": ("m",), "protocols": ("openai",)}
    async with house(first, second, scripted_model(), scripted_model()) as (root, (a, b)):
        await post(root + "/v1/chat/completions", chat(model="m"))
        await post(root + "/v1/messages", asked("messages", "m", False)[1])
        status, _, _ = await post(root + "/api/chat", asked("ollama chat", "m", False)[1])
    assert [request.url.path for request in a.asked] == ["/v1/messages"]
    assert [request.url.path for request in b.asked] == ["/v1/chat/completions"]
    assert status == 404


async def test_the_one_upstream_is_asked_for_every_other_model() -> None:
    third = Provider(scripted_model())
    async with serving(third) as other:
        settings = {"upstream": f"{other}/v1", "upstream_key": Secret("kd")}
        async with house(A, B, scripted_model(), scripted_model(), **settings) as (root, found):
            await post(f"{root}/v1/chat/completions", chat(model="anything"), CLIENT)
            await post(f"{root}/v1/embeddings", {"input": "x"}, CLIENT)
            await post(f"{root}/v1/embeddings", {"input": "x", "model": "one"}, CLIENT)
    assert third.keys == ["Bearer kd", "Bearer kd"]
    assert [len(one.asked) for one in found] == [1, 0]


async def test_the_models_of_all_are_listed_in_the_clients_form() -> None:
    first = {"name": "a", "models": ("demo", "extra"), "aliases": {"quick": "demo"}}
    second = {"name": "b", "models": ("d*",)}
    async with house(first, second, scripted_model(), failing(500)) as (root, _):
        _, _, openai = await get(f"{root}/v1/models")
        _, _, ollama = await get(f"{root}/api/tags")
        async with aiohttp.ClientSession() as session:
            theirs = {"anthropic-version": "2023-06-01"}
            async with session.get(f"{root}/v1/models", headers=theirs) as reply:
                anthropic = await reply.json()
            async with session.get(f"{root}/v1beta/models?key=k") as reply:
                gemini = await reply.json()
    names = ["demo", "extra", "quick"]
    rows = json.loads(openai)["data"]
    assert [row["id"] for row in rows] == names
    assert all(row["object"] == "model" and "created" in row for row in rows)
    assert [row["model"] for row in json.loads(ollama)["models"]] == names
    assert [(row["id"], row["type"]) for row in anthropic["data"]] == [(n, "model") for n in names]
    assert [row["name"] for row in gemini["models"]] == [f"models/{name}" for name in names]


async def test_a_model_that_is_asked_about_by_its_alias_answers_to_it() -> None:
    first = {"name": "a", "aliases": {"quick": "demo"}}
    async with house(first, B, scripted_model(), scripted_model()) as (root, (a, _)):
        status, _, told = await get(f"{root}/v1/models/quick")
    assert (status, json.loads(told)["id"]) == (200, "quick")
    assert a.asked[0].url.path == "/v1/models/demo"


LIMITED = """
[[limits]]
name = "quick"
match = { models = ["quick"] }
requests_per_minute = 1
"""


async def test_limits_go_by_the_name_that_the_client_uses_on_every_route() -> None:
    policy = Policy.parse(LIMITED)
    async with house(A, B, scripted_model(), scripted_model(), policy=policy) as (root, _):
        told = [
            (await post(root + path, {"model": model, **body}))[0]
            for path, model, body in (
                ("/v1/embeddings", "one", {"input": "x"}),
                ("/v1/embeddings", "quick", {"input": "x"}),
                ("/v1/embeddings", "quick", {"input": "x"}),
                ("/v1/chat/completions", "quick", WIRES["chat"][1]),
                ("/v1/chat/completions", "one", WIRES["chat"][1]),
            )
        ]
    assert told == [200, 200, 429, 429, 200]


@pytest.mark.parametrize(
    ("one", "asked_for", "answers"),
    [
        ({"upstream": "anthropic/c", "models": ("*",)}, "x", "anthropic/c"),
        ({"upstream": "anthropic/c", "models": ("c", "d*")}, "c", "c"),
        ({"upstream": "anthropic/c", "aliases": {"c": "c"}}, "c", "c"),
        ({"upstream": "anthropic/*", "models": ("c*",)}, "c-5", "c-5"),
        ({"upstream": "http://h/v1", "models": ("*",)}, "x", "x"),
    ],
)
def test_a_clients_name_counts_for_policies_where_it_decides(
    one: dict[str, Any], asked_for: str, answers: str
) -> None:
    config = Config(upstreams=(UpstreamConfig(name="a", **one),))
    assert config.answering(asked_for, "openai") == answers


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'data: {"model": "m", "x":1}\n', b'data: {"model": "new", "x":1}\n'),
        (
            b'{"a":"\\"model\\": \\"m\\"","model":"m"}',
            b'{"a":"\\"model\\": \\"m\\"","model":"new"}',
        ),
        (b'data: {"response":{"model":"m"}}\r\n', b'data: {"response":{"model":"new"}}\r\n'),
        (b'{"model":"m","tool":{"model":"m"}}', b'{"model": "new", "tool": {"model": "m"}}'),
        (b'{"tool":{"model":"m"}}', b'{"tool":{"model":"m"}}'),
        (b'{"model":7}', b'{"model":7}'),
        (b'{"id":"m"}', b'{"id":"m"}'),
        (b"data: [DONE]\n", b"data: [DONE]\n"),
        (b'data: {"model": "m"\n', b'data: {"model": "m"\n'),
        (b"event: x\n", b"event: x\n"),
    ],
)
def test_the_name_alone_is_changed(line: bytes, told: bytes) -> None:
    assert renamed(line, "new") == told


async def test_a_detector_by_policy_sees_what_aliases_bring() -> None:
    """An alias is no way around what is screened."""
    looks = [WordDetector("badword")]
    async with house(A, B, scripted_model(), scripted_model(), detectors=looks) as (root, _):
        _, headers, _ = await post(
            root + "/v1/messages",
            {**asked("messages", "quick", False)[1], "system": "a badword"},
        )
    assert headers["x-bluecode-verdict"] == "block"
