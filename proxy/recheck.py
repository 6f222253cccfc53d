"""What was captured, opened and looked at anew: by the detectors of this version, under a policy.

Each request goes through the guard as it went then, with the provider's answer as it came then; no
provider is asked and nothing is written. What cannot be opened is an error, never an empty request.
"""

import base64
import json
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import anyio
from starlette.types import Message, Scope

from bluecode.defenses.policy import Policy
from bluecode.proxy import audit_lines
from bluecode.proxy.audit import Audit
from bluecode.proxy.audit_lines import AuditLine, NoAuditLine
from bluecode.proxy.capture import ENDING
from bluecode.proxy.capture_keys import NotOpened, Opener
from bluecode.proxy.config import Config, Secret
from bluecode.proxy.engine import Engine, Progress
from bluecode.proxy.guard import Guard, Services
from bluecode.proxy.guardrail import PATH as GUARDRAIL
from bluecode.proxy.guardrail import Guardrail, GuardrailWire, pending
from bluecode.proxy.limits import Limits
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.moderations import PATH as MODERATIONS
from bluecode.proxy.moderations import Moderations, ModerationsWire
from bluecode.proxy.notes import Notes
from bluecode.proxy.upstream import Call, Reply, UpstreamError
from bluecode.proxy.wires import WIRES

_PIECE: Final = 64 * 1024
_WIRES: Final = {path: wire for wire in WIRES.values() for path in wire.paths}
_HEAD: Final = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Captured:
    """One request of the past, in full."""

    line: Mapping[str, Any]
    """Of the audit, as it was written then."""
    path: str
    body: bytes
    status: int
    """Of the provider's answer; 0 where it was not asked."""
    kind: str
    whole: bool
    reply: bytes


def opened(
    files: Sequence[Path], keys: Sequence[Opener], most: int
) -> Iterator["Captured | NoAuditLine"]:
    """What files, or the files of folders, hold, or what is wrong with it. `most` is the bytes of
    one text. Raises `OSError`."""
    by_name = {key.name: key for key in keys}
    for path in files:
        for file in sorted(path.glob(f"*{ENDING}")) if path.is_dir() else [path]:
            with file.open("rb") as lines:
                yield from _opened(lines, by_name, most)


def _opened(
    lines: BinaryIO, keys: Mapping[str, Opener], most: int
) -> Iterator["Captured | NoAuditLine"]:
    longest = 4 * most
    while raw := lines.readline(longest):
        try:
            yield _parsed(raw, keys, most)
        except (NotOpened, ValueError, KeyError, TypeError, RecursionError, zlib.error) as error:
            yield NoAuditLine(f"no captured request that can be opened ({type(error).__name__})")
        while not raw.endswith(b"\n") and (raw := lines.readline(longest)):
            pass  # the rest of a line that is too long


def _parsed(raw: bytes, keys: Mapping[str, Opener], most: int) -> Captured:
    told = json.loads(raw)
    if (key := keys.get(told["key"])) is None:
        raise NotOpened
    small = zlib.decompressobj()
    text = small.decompress(key.open(base64.b64decode(told["sealed"])), 2 * most + _HEAD)
    if not small.eof:
        raise NotOpened
    first, _, rest = text.partition(b"\n")
    head = json.loads(first)
    body, reply = rest[: head["body"]], rest[head["body"] :]
    if len(body) != head["body"] or len(reply) != head["reply"]:
        raise NotOpened
    return Captured(
        line=head["line"], path=head["path"], body=body, reply=reply,
        status=head["status"], kind=head["kind"], whole=head["whole"],
    )  # fmt: skip


async def recheck(
    config: Config,
    policy: Policy,
    files: Sequence[Path],
    keys: Sequence[Opener],
    *,
    on_progress: Progress | None = None,
) -> list[AuditLine | NoAuditLine]:
    """Each request as it was decided then, with what is found in it now."""
    async with Engine.open(config, policy, on_progress=on_progress) as engine:
        again = Recheck(config, policy, engine)
        told: list[AuditLine | NoAuditLine] = []
        for item in opened(files, keys, config.body_limit):
            told.append(item if isinstance(item, NoAuditLine) else await again.look(item))
        return told


class Recheck:
    """Sends captured requests through a guard of its own, in the order in which they come."""

    def __init__(self, config: Config, policy: Policy, engine: Engine) -> None:
        self._config = replace(config, capture=None, audit="none")
        self._found: list[Mapping[str, Any]] = []
        self._played = _Played()
        metrics = Metrics()
        self._services = Services(
            config=self._config,
            engine=engine,
            upstream=self._played,
            metrics=metrics,
            audit=Audit("none", also=self._found.append),
            notes=Notes(policy, config.seal),
            limits=Limits(replace(policy, limits=()), metrics),
        )
        self._asked = pending()

    async def look(self, item: Captured) -> AuditLine | NoAuditLine:
        """The line of then, with the findings of now."""
        try:
            before = audit_lines.parse(json.dumps(item.line).encode())
            guard, headers = self._guard(item, before)
        except (NoAuditLine, KeyError) as error:
            return NoAuditLine(f"no captured request ({type(error).__name__})")
        self._played.load(item)
        await guard.serve(_scope(headers), _said(item.body), _unheard)
        now = audit_lines.parse(json.dumps(self._found.pop()).encode())
        self._found.clear()
        return replace(
            before,
            findings=now.findings,
            failed=now.failed,
            unchecked=now.unchecked,
            before=before.findings,
            # Where code was withheld from a stream, what came behind it was not read.
            unanswered=self._played.vain or (now.decision is None and before.decision is not None),
        )

    def _guard(self, item: Captured, before: AuditLine) -> tuple[Guard, dict[str, str]]:
        """Raises `KeyError` for a route that there is no more."""
        services, headers = self._services, {}
        if (name := before.asker.key) is not None:
            headers = {"x-bluecode-key": "replayed"}
            keys = {name: Secret("replayed")}
            services = replace(services, config=replace(self._config, proxy_keys=keys))
        elif self._config.proxy_keys:
            services = replace(services, config=replace(self._config, proxy_keys={}))
        route = before.asker.route
        if route == GUARDRAIL:
            return Guardrail(services, GuardrailWire(), self._asked), headers
        if route == MODERATIONS:
            return Moderations(services, ModerationsWire()), headers
        return Guard(services, _WIRES[route], route, item.path), headers


class _Played:
    """The provider, as it answered then."""

    state = "reachable"

    def __init__(self) -> None:
        self._item: Captured | None = None
        self._times = 0
        self.vain = False
        """Was an answer asked for that nobody has?"""

    def load(self, item: Captured) -> None:
        """Answer as it was answered then."""
        self._item, self._times, self.vain = item, 0, False

    @asynccontextmanager
    async def send(self, call: Call) -> AsyncIterator[Reply]:
        self._times += 1
        if self._times > 1:  # a repair is asked for; what came first is what is judged
            raise UpstreamError(502, "There is no second answer.", kind="provider")
        if self._item is None or not self._item.status or not self._item.whole:
            self.vain = True
            raise UpstreamError(502, "The answer was not captured.", kind="connect")
        yield _PlayedReply(self._item)

    async def close(self) -> None:
        """Nothing is open."""


class _PlayedReply:
    def __init__(self, item: Captured) -> None:
        self.status = item.status
        self.headers = (("content-type", item.kind),)
        self._pieces = iter(
            [item.reply[at : at + _PIECE] for at in range(0, len(item.reply), _PIECE)]
        )

    async def chunk(self) -> bytes:
        return next(self._pieces, b"")


def _scope(headers: Mapping[str, str]) -> Scope:
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw}


def _said(body: bytes) -> Any:
    told = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Message:
        if (message := next(told, None)) is None:
            await anyio.sleep_forever()  # the client waits for its answer
        assert message is not None
        return message

    return receive


async def _unheard(message: Message) -> None:
    """The client of then is gone."""
