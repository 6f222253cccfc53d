"""One request on its way through the guard: who asks, what was decided, how long it took."""

import hashlib
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from bluecode.defenses.conversation import Conversation, Role, Snippet
from bluecode.defenses.matching import Asker
from bluecode.defenses.policy import Policy
from bluecode.defenses.rollout import BASE, Chosen, Rollout
from bluecode.defenses.verdict import Action, Verdict, merge
from bluecode.proxy.audit import Audit, Entry
from bluecode.proxy.families import by_tools, model_family
from bluecode.proxy.metrics import Metrics
from bluecode.proxy.taken import Taken
from bluecode.proxy.wire.forms import is_side, is_upkeep
from bluecode.proxy.wire.wire import Request

_MODEL = re.compile(r"[\w.:/@+-]{1,80}")


def plain_model(name: str) -> str:
    """A model's name, or `other` where it is no plain name."""
    return name if _MODEL.fullmatch(name) else "other"


@dataclass(slots=True)
class Exchange:
    """What one request turned out to be. Written to the audit once, at its end."""

    request_id: str
    route: str
    client: str
    chosen: Chosen
    """What decides on it."""
    explain: bool = False
    """The client asks for the `bluecode` object even where all is well."""
    key_name: str | None = None
    model: str = ""
    conversation: str = ""
    """What its turns have in common: the beginning of a digest of the user's first message."""
    streamed: bool = False
    turn: bool = False
    """Does it bring new words of a user?"""
    side: bool = False
    """Did the assistant ask for itself, for a title or a commit message?"""
    decision: str = "error"
    prompt: Verdict = field(default_factory=lambda: merge([]))
    code: Verdict = field(default_factory=lambda: merge([]))
    messages: int = 0
    screened: int = 0
    replaced: int = 0
    repair: str = ""
    """How the attempt to have blocked code repaired ended, if there was one."""
    snippets: list[Snippet] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)
    seconds: dict[str, float] = field(default_factory=dict)

    taken: Taken | None = None
    """Request and answer as they came, where they are captured."""
    chain: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    """Over the digests of all messages so far."""

    @property
    def policy(self) -> Policy:
        return self.chosen.policy

    def asks(self, conversation: Conversation, model: str, rollout: Rollout) -> None:
        """Learn what it is about and what will answer, and with it what decides."""
        self.model = model
        first = next((item for item in conversation.messages if item.role is Role.USER), None)
        self.conversation = "" if first is None else first.digest[:16]
        if rollout.varied:
            self.chosen = rollout.choose(self.asker, self.conversation)

    @property
    def asker(self) -> Asker:
        return Asker(key=self.key_name, model=self.named_model, route=self.route)

    @property
    def named_model(self) -> str:
        return plain_model(self.model)

    @property
    def so_far(self) -> str:
        """Digest of the conversation so far."""
        return self.chain.hexdigest()

    def know(self, request: Request) -> None:
        """Take from the request what it says of itself."""
        self.streamed = request.stream
        self.side = is_side(request)
        last = request.conversation.messages[-1:]
        own = self.side or is_upkeep(request)
        self.turn = not own and any(message.role is Role.USER for message in last)
        self.client = by_tools(self.client, request.payload)

    def add(self, stage: str, seconds: float) -> None:
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def settle(self, verdicts: Sequence[Verdict]) -> Verdict:
        """Close with what was decided; the merged verdict."""
        verdict = merge(verdicts)
        enforced = Action.ALLOW if verdict.shadow else verdict.action
        self.decision = enforced.name.lower()
        return verdict

    def record(self, policy: str, metrics: Metrics, audit: Audit) -> Entry:
        """Count and write down; never waits, so that it also runs when the client has left."""
        self.add("request", time.perf_counter() - self.started)
        metrics.requests.labels(self.route, self.client, self.decision).inc()
        metrics.models.labels(model_family(self.model), self.decision).inc()
        metrics.turns.labels(self.client).inc(self.turn)
        for stage, seconds in self.seconds.items():
            metrics.seconds.labels(stage).observe(seconds)
        if self.chosen.scope is not BASE:
            mode = "shadow" if self.policy.shadow else "enforced"
            metrics.scopes.labels(self.chosen.scope, self.decision, mode).inc()
        if self.repair:
            metrics.repairs.labels(self.repair).inc()
        entry = self._entry(policy)
        audit.write(entry)
        return entry

    def _entry(self, policy: str) -> Entry:
        return Entry(
            request_id=self.request_id,
            route=self.route,
            client=self.client,
            key_name=self.key_name,
            model=self.named_model,
            conversation=self.conversation,
            scope=self.chosen.scope,
            streamed=self.streamed,
            side=self.side,
            decision=self.decision,
            policy=policy,
            prompt=self.prompt,
            code=self.code,
            messages=self.messages,
            screened=self.screened,
            replaced=self.replaced,
            repair=self.repair,
            snippets=[(item.digest, len(item.code)) for item in self.snippets],
            milliseconds={stage: 1000 * value for stage, value in self.seconds.items()},
        )
