"""Requests that go to the provider as they came: lists of models, counts of tokens, embeddings.

No model answers them in words, so nothing is screened; that texts went by unseen is counted.
"""

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bluecode.defenses.matching import Asker
from bluecode.proxy import gate
from bluecode.proxy.exchange import plain_model
from bluecode.proxy.families import family_of
from bluecode.proxy.guard import Services
from bluecode.proxy.limits import METER
from bluecode.proxy.routing import protocol_of
from bluecode.proxy.upstream import Call, UpstreamError
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Wire
from bluecode.proxy.wires import WIRES

PASSED: Final = (
    ("/models", "GET"),
    ("/models/{model:path}", "GET"),
    ("/embeddings", "POST"),
    ("/rerank", "POST"),
    ("/messages/count_tokens", "POST"),
    ("/models/{model}:countTokens", "POST"),
    ("/api/tags", "GET"),
    ("/api/version", "GET"),
    ("/api/ps", "GET"),
    ("/api/show", "POST"),
    ("/api/embed", "POST"),
)
_WITHOUT_TEXT: Final = frozenset({"/api/show"})
_UNSEEN: Final = "passed"
"""The reason under which texts are counted that nobody looked at."""
_WIRE: Final[Mapping[str, str]] = {
    "openai": "openai_chat",
    "anthropic": "anthropic_messages",
    "gemini": "gemini",
    "ollama": "ollama",
}


class Passing:
    """One request."""

    def __init__(self, services: Services, request: Request, path: str) -> None:
        """`path` is the request's own, below the API root."""
        self._s = services
        self._request = request
        self._path = path
        self._route = "/" + path.strip("/").partition("/")[0]
        self._family = family_of(request.headers)

    async def answer(self) -> Response:
        """The provider's answer, or an error in the client's own protocol."""
        try:
            return await self._pass_on()
        except WireError as error:
            if error.decision == "limited":
                self._count(error.decision)
            answer = self._error(error.status, str(error), code=error.code, kind=error.kind)
            answer.raw_headers += error.headers
            return answer
        except gate.ClientGone:
            return Response(status_code=499)
        except UpstreamError as error:
            self._s.metrics.upstream_errors.labels(error.kind).inc()
            code = f"upstream_{error.kind}"
            return self._error(error.status, str(error), code=code, kind="upstream_error")

    @property
    def _wire(self) -> Wire:
        return WIRES[_WIRE[protocol_of(self._path)]]

    async def _pass_on(self) -> Response:
        config, headers = self._s.config, self._request.headers
        key = gate.admit(headers, config)
        if {".", ".."} & set(self._request.scope["path"].split("/")):
            raise WireError(400, "The path must not hold `.` or `..`.")
        body = await gate.read_body(self._request.receive, headers, config.body_limit)
        model = self._model(body)
        posted = self._request.method == "POST"
        named = plain_model(config.answering(model, protocol_of(self._path)))
        asker = Asker(key=key, model=named, route=self._path)
        told = self._unseen(asker) if posted and self._path not in _WITHOUT_TEXT else []
        if self._s.limits.any and posted:
            METER.set(self._s.limits.admit(asker, config.body_limit))
        call = Call(
            method=self._request.method,
            path=self._path,
            query=self._request.url.query,
            headers=gate.headers_for_upstream(headers, config, self._wire.key_header),
            body=body,
            model=model,
        )
        answer = await self._sent(call)
        answer.raw_headers += told
        self._count("passed")
        return answer

    def _model(self, body: bytes) -> str:
        """The model that is asked, in the path or the body. Raises `WireError`."""
        if self._path.startswith("/models/"):
            named = self._path.removeprefix("/models/")
            return named if self._request.method == "GET" else named.rpartition(":")[0]
        if self._request.method == "GET":
            return ""
        payload = reading.body(body)
        model = payload.get("model", payload.get("name"))
        return model if isinstance(model, str) else ""

    def _unseen(self, asker: Asker) -> list[tuple[bytes, bytes]]:
        """Count what nobody looks at; headers that say so. Raises `WireError`."""
        rollout = self._s.engine.rollout
        chosen = rollout.choose(asker, "") if rollout.varied else rollout.base
        verdict = chosen.policy.decide((), unchecked=(_UNSEEN,))
        self._s.metrics.count_unseen(verdict.unchecked)
        if verdict.blocks and not verdict.shadow:
            raise WireError(
                400, "The policy lets no text pass that is not screened.", code="bluecode_blocked"
            )
        return [(b"x-bluecode-unchecked", _UNSEEN.encode())]

    async def _sent(self, call: Call) -> Response:
        async with self._s.upstream.send(call) as reply:
            told = await gate.read_reply(reply, self._s.config.body_limit)
            answer = Response(told, reply.status)
            size = (b"content-length", str(len(told)).encode())
            answer.raw_headers = [*gate.headers_for_client(reply), size]
        return answer

    def _error(self, status: int, message: str, *, code: str, kind: str) -> JSONResponse:
        told = self._wire.error(message, code=code, kind=kind, status=status)
        return JSONResponse(told, status)

    def _count(self, decision: str) -> None:
        self._s.metrics.requests.labels(self._route, self._family, decision).inc()
