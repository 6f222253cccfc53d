"""A receiver of traces that remembers the spans it was sent."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from serving import serving
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Span:
    """One span as it was sent."""

    def __init__(self, sent: Any, resource: dict[str, Any]) -> None:
        self.name: str = sent.name
        self.id: str = sent.span_id.hex()
        self.parent: str = sent.parent_span_id.hex()
        self.trace: str = sent.trace_id.hex()
        self.kind: int = sent.kind
        self.failed: bool = sent.status.code == 2
        self.told = _plain(sent.attributes)
        self.events = list(sent.events)
        self.message: str = sent.status.message
        self.took: int = sent.end_time_unix_nano - sent.start_time_unix_nano
        self.resource = resource


def _plain(attributes: Any) -> dict[str, Any]:
    return {item.key: _value(item.value) for item in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None


class Receiver:
    """What came in."""

    def __init__(self) -> None:
        self.root = ""
        self.spans: list[Span] = []
        self.raw = b""
        self.refuses = False

    async def take(self, request: Request) -> Response:
        body = await request.body()
        if self.refuses:
            return Response(status_code=400)
        self.raw += body
        for part in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(part.resource.attributes)
            for scope in part.scope_spans:
                self.spans += [Span(item, resource) for item in scope.spans]
        return Response(b"", media_type="application/x-protobuf")

    def named(self, name: str) -> Span:
        """The one span of a name."""
        (found,) = [span for span in self.spans if span.name == name]
        return found


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """A receiver on a free port."""
    receiver = Receiver()
    async with serving(
        Starlette(routes=[Route("/v1/traces", receiver.take, methods=["POST"])])
    ) as root:
        receiver.root = root
        yield receiver
