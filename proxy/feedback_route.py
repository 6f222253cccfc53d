"""`POST /bluecode/feedback`: what a client says of a decision that it got.

It takes an id, a word and a rule or a category, and nothing else: no text of a prompt can come in
by it. What cannot be kept is said to be lost, so that it can be sent again.
"""

import time
from collections import deque
from typing import Final

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bluecode.proxy import gate
from bluecode.proxy.config import Config
from bluecode.proxy.feedback import Feedback, FeedbackError, FeedbackLost, FeedbackStore
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.wire import openai_chat as chat
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.reading import WireError

PATH: Final = "/bluecode/feedback"
PER_MINUTE: Final = 120
"""How much is taken from all clients together."""
_LARGEST: Final = 4_096
_FIELDS: Final = {"request_id", "said", "rule", "category"}


class FeedbackRoute:
    """The route, with the store that it writes to."""

    def __init__(self, config: Config, store: FeedbackStore, metrics: Metrics) -> None:
        self._config = config
        self._store = store
        self._metrics = metrics
        self._taken: deque[float] = deque(maxlen=PER_MINUTE)

    async def serve(self, request: Request) -> Response:
        """201 where it is new, 200 where it was said before; errors as OpenAI's."""
        try:
            given = await self._read(request)
            new = await anyio.to_thread.run_sync(self._store.add, given)
        except WireError as error:
            return JSONResponse(chat.error(str(error), code=error.code), error.status)
        except gate.ClientGone:
            return Response(status_code=499)
        except FeedbackLost as error:
            self._metrics.feedback.labels("lost").inc()
            told = chat.error(str(error), code="feedback_lost", kind="server_error")
            return JSONResponse(told, 503, headers={"retry-after": "10"})
        self._metrics.feedback.labels(given.said).inc(new)
        return JSONResponse({"kept": True, "new": new}, 201 if new else 200)

    async def _read(self, request: Request) -> Feedback:
        name = gate.admit(request.headers, self._config)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # what a page of another site cannot send unasked
            raise WireError(415, "Feedback is sent as application/json.")
        body = await gate.read_body(request.receive, request.headers, _LARGEST)
        now = time.monotonic()
        if len(self._taken) == PER_MINUTE and now - self._taken[0] < 60:
            raise WireError(429, "There is too much feedback at once.", code="rate_limited")
        self._taken.append(now)
        return _parsed(body, name or "")


def _parsed(body: bytes, by: str) -> Feedback:
    try:
        given = reading.strictly(body)
    except (ValueError, RecursionError) as error:
        raise WireError(400, "The body is not JSON in which each key stands once.") from error
    if (
        not isinstance(given, dict)
        or not set(given) <= _FIELDS
        or {"rule", "category"} <= set(given)
    ):
        raise WireError(400, "Feedback has `request_id`, `said`, and a `rule` or a `category`.")
    told = {key: given.get(key, "") for key in _FIELDS}
    if not all(isinstance(value, str) for value in told.values()):
        raise WireError(400, "All that feedback says is text.")
    if told["rule" if told["said"] == "missed" else "category"]:
        raise WireError(400, "A false positive has a `rule`, what was missed a `category`.")
    try:
        return Feedback(
            request_id=told["request_id"],
            said=told["said"],
            subject=told["rule"] or told["category"],
            by=by,
        )
    except FeedbackError as error:
        raise WireError(400, str(error)) from error
