"""One more question to the model, where its code was blocked: the same answer without the weakness.

Off unless the policy or the settings say `repair`. It is asked once a request, within its own time;
what comes back is checked like any answer, and only a clean one with code is handed on, behind a
note that says so. In all other cases the answer stays blocked as it was. What the client asked is
sent again unchanged, with the answer and the findings behind it. Only text is repaired, of chat
completions, Messages and Responses; tool calls are not.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import anyio

from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.verdict import Action, Category, Finding, Verdict, merge
from bluecode.proxy import gate
from bluecode.proxy.notes import Notes
from bluecode.proxy.sse import BrokenStream
from bluecode.proxy.upstream import Call, Upstream, UpstreamError
from bluecode.proxy.wire import reading
from bluecode.proxy.wire.again import AGAIN, Again
from bluecode.proxy.wire.reading import WireError
from bluecode.proxy.wire.wire import Mended, Request, Wire

Check = Callable[[Sequence[Snippet]], Awaitable[Verdict]]
OUTCOMES: Final = ("repaired", "unsafe", "no_code", "failed", "late", "unsupported")
"""How an attempt ends: the new answer was handed on; it was blocked too; it held no code, or more
than text; the provider failed; the time was over; this protocol or answer is not repaired."""
_MOST = 5


class Repair:
    """The one attempt that a request has."""

    def __init__(
        self, upstream: Upstream, call: Call, wire: Wire, policy: Policy, *, limit: int
    ) -> None:
        """`limit` is in bytes of the new answer."""
        self._upstream = upstream
        self._call = call
        self._again: Again | None = next(
            (AGAIN[path] for path in wire.paths if path in AGAIN), None
        )
        self._policy = policy
        self._limit = limit
        self.outcome = ""
        """One of `OUTCOMES`; empty where nothing was to be repaired."""

    async def mend(
        self, request: Request, check: Check, notes: Notes, said: str, verdict: Verdict
    ) -> Mended | None:
        """What may be handed on in the place of blocked code; None where it stays blocked."""
        if self.outcome or not self.fits(verdict):
            return None
        if self._again is None or request.choices != 1:
            self.outcome = "unsupported"
            return None
        self.outcome = "late"
        with anyio.move_on_after(self._policy.repair_timeout):
            try:
                text = await self._ask(self._again, request, said, verdict)
            except (UpstreamError, BrokenStream, WireError):
                self.outcome = "failed"
                return None
            return await self._checked(text, check, notes, verdict)
        return None

    def fits(self, verdict: Verdict) -> bool:
        """Is it vulnerable code, and nothing else, for which this is blocked?"""
        blocking = self._blocking(verdict)
        apart = self._policy.decide((), failed=verdict.failed, unchecked=verdict.unchecked)
        vulnerable = all(item.category is Category.VULNERABLE_CODE for item in blocking)
        return verdict.blocks and bool(blocking) and vulnerable and not apart.blocks

    def told(self, verdict: Verdict) -> Mapping[str, Any]:
        """What the `bluecode` object of an answer says of it. The verdict on that answer shows
        whether it stayed blocked without an attempt."""
        if not self.outcome and self.fits(verdict):
            self.outcome = "unsupported"
        return {"repair": self.outcome} if self.outcome else {}

    def _blocking(self, verdict: Verdict) -> list[Finding]:
        return [item for item in verdict.findings if self._policy.action_for(item) is Action.BLOCK]

    async def _ask(self, again: Again, request: Request, said: str, verdict: Verdict) -> str | None:
        payload = again.asked(request.payload, said, _question(self._blocking(verdict)))
        call = replace(self._call, body=json.dumps(payload).encode())
        async with self._upstream.send(call) as reply:
            if reply.status != 200:
                raise UpstreamError(502, "The model provider did not repair.", kind="provider")
            body = await gate.read_reply(reply, self._limit)
        answer = reading.answer(body)
        return again.text(answer) if isinstance(answer, dict) else None

    async def _checked(
        self, text: str | None, check: Check, notes: Notes, before: Verdict
    ) -> Mended | None:
        snippets: list[Snippet] = []
        for block in await reading.blocks_of(text or ""):
            snippets += await reading.unwrapped(block)
        if text is None or not snippets:
            self.outcome = "no_code"
            return None
        verdict = await check(snippets)
        if verdict.action is Action.BLOCK:
            self.outcome = "unsafe"
            return None
        self.outcome = "repaired"
        told = [notes.repaired(before), text]
        told += [notes.warning(verdict)] if verdict.warns else []
        # At least a warning: an answer that was changed is never passed on as if nothing had been.
        verdict = replace(merge([verdict]), action=max(verdict.action, Action.WARN))
        return Mended(text="\n\n".join(told), verdict=verdict)


def _question(findings: Sequence[Finding]) -> str:
    lines = [_line(finding) for finding in findings[:_MOST]]
    return "\n".join(
        [
            "The code in your answer was checked and must not be used as it is:",
            *dict.fromkeys(lines),
            "Give the whole answer again with this repaired, for production. Change nothing else,"
            " keep names and behaviour, and leave no code out.",
        ]
    )


def _line(finding: Finding) -> str:
    cwe = "" if finding.cwe is None else f" (CWE-{finding.cwe})"
    advice = f" Do this instead: {finding.advice.rstrip('.')}." if finding.advice else ""
    return f"- {finding.reason.rstrip('.')}{cwe}.{advice}"
