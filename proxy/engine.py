"""Detectors, checkers and the sandbox, opened once and shared by the proxy and the command line.

Verdicts are cached by content digest, so what an assistant sends again each turn costs nothing and
gets the same verdict again. A verdict in which a detector failed is not kept.
"""

from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, runtime_checkable

from bluecode.defenses.checking import Checker, Prover, check
from bluecode.defenses.conversation import Message, Role, Snippet
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.defenses.rollout import Rollout
from bluecode.defenses.verdict import Detector, Verdict
from bluecode.proxy.config import Config, ConfigError

if TYPE_CHECKING:
    from bluecode.defenses.judge import Judge
    from bluecode.defenses.records import RecordSource

_PASSING = {"judge", "records"}
"""Why something went unseen that might be seen a moment later."""
_TASK = 2_000
"""Characters of the user's latest words that a tool's result is seen beside."""
Kept = TypeVar("Kept")
Progress = Callable[[str], None]
Timer = Callable[[str, float], None]


def _silent(_: str, __: float) -> None:
    """No one asked for times."""


def _unheard(_: str) -> None:
    """No one asked for progress."""


def _no_runs() -> Mapping[str, int]:
    return {}


@runtime_checkable
class Orders(Protocol):
    """A detector that can judge a single sentence."""

    def score(self, text: str) -> float: ...


class Cache(Generic[Kept]):
    """A bounded mapping that forgets what was not asked for longest."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[str, Kept] = OrderedDict()

    def get(self, key: str) -> Kept | None:
        item = self._items.get(key)
        if item is not None:
            self._items.move_to_end(key)
        return item

    def put(self, key: str, item: Kept) -> None:
        self._items[key] = item
        self._items.move_to_end(key)
        while len(self._items) > self._size:
            self._items.popitem(last=False)


async def _records(config: Config, stack: AsyncExitStack) -> "RecordSource":
    """The user's own records. Raises `ConfigError` where the file is no store of them."""
    from bluecode.defenses.record_store import StoreError
    from bluecode.defenses.records import RecordFile

    if config.database is not None:
        from bluecode.proxy.shared_records import SharedRecords  # its libraries are an extra

        opened = SharedRecords.open(config.database.get(), seal=config.seal)
        return await stack.enter_async_context(opened)
    try:
        return RecordFile(config.knowledge)
    except StoreError as error:
        raise ConfigError(str(error)) from error


class Elsewhere(Protocol):
    """Verdicts that other replicas made, and where ours are left for them."""

    async def get(self, key: str) -> Verdict | None: ...

    def put(self, key: str, verdict: Verdict) -> None: ...


@dataclass(frozen=True, slots=True)
class Decided:
    """A verdict, and whether it was remembered rather than made."""

    verdict: Verdict
    cached: bool


class Engine:
    """See `Engine.open`."""

    def __init__(
        self,
        policy: Policy,
        detectors: Sequence[Detector[Message]],
        checkers: Sequence[Checker],
        prover: Prover | None,
        *,
        entries: int = 20_000,
        timer: Timer = _silent,
        guest_runs: Callable[[], Mapping[str, int]] = _no_runs,
        guests_waiting: Callable[[], int] = lambda: 0,
        judge: "Judge | None" = None,
        records: "RecordSource | None" = None,
    ) -> None:
        # numpy comes with it; it is loaded where an engine is made.
        from bluecode.defenses.prompt_screen import PromptScreen

        self.policy = policy
        self.rollout = Rollout(policy)
        """Which policy decides on which request; verdicts are made under `policy`."""
        self.guest_runs = guest_runs
        """Sandbox runs so far, by how they ended."""
        self.guests_waiting = guests_waiting
        """Sandbox runs that have no worker yet."""
        self.timer = timer
        self._detectors = detectors
        self._prompts = PromptScreen(detectors, judge=judge, records=records)
        self.records = records
        """The user's own records, where they are used."""
        self._checkers = checkers
        self._prover = prover
        self.policy_version = policy.version
        self._version = self._version_of(policy)
        self._verdicts: Cache[Verdict] = Cache(entries)
        self.shared: Elsewhere | None = None
        """Where verdicts of other replicas are found."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls, config: Config, policy: Policy, *, on_progress: Progress | None = None
    ) -> AsyncIterator["Engine"]:
        """Load the detectors and warm the sandbox.

        Raises `bluecode.sandbox.outcome.SandboxUnavailable` where it cannot be had; disable the
        `dynamic` checker in the policy to go without.
        """
        # Knowledge, numpy and wasmtime are loaded only where an engine is opened, not on import.
        from bluecode.defenses.checkers import CHECKERS
        from bluecode.defenses.checkers.dynamic_prover import DynamicProver
        from bluecode.defenses.detectors import DETECTORS
        from bluecode.defenses.records import NAME as RECORDS
        from bluecode.sandbox.workers import Sandbox

        wanted = [make for name, make in DETECTORS.items() if name not in policy.disabled]
        checkers = [make for name, make in CHECKERS.items() if name not in policy.disabled]
        async with AsyncExitStack() as stack:
            prover: Prover | None = None
            sandbox: Sandbox | None = None
            if "dynamic" not in policy.disabled:
                sandbox = await stack.enter_async_context(
                    Sandbox.open(
                        cache=config.cache_dir,
                        workers=config.workers,
                        report=on_progress or _unheard,
                    )
                )
                await sandbox.warm()
                prover = DynamicProver(sandbox)
            records = None if RECORDS in policy.disabled else await _records(config, stack)
            judge = None
            if config.judge is not None:
                from bluecode.proxy.judge_model import open_judge

                judge = open_judge(config.judge, records)
                stack.push_async_callback(judge.close)
            yield cls(
                policy,
                [make() for make in wanted],
                [make() for make in checkers],
                prover,
                judge=judge,
                records=records,
                entries=config.cache_entries,
                guest_runs=_no_runs if sandbox is None else lambda: sandbox.counters.outcomes,
                guests_waiting=lambda: 0 if sandbox is None else sandbox.waiting,
            )

    def adopt(self, policy: Policy) -> None:
        """Decide by another policy from the next subject on; verdicts of the old one are not used.

        Raises `PolicyError` where `disabled` differs: it says what was loaded at the start.
        """
        if policy.disabled != self.policy.disabled:
            raise PolicyError("`disabled` says what is loaded; start anew to change it.")
        self.policy = policy
        self.rollout = Rollout(policy)
        self.policy_version = policy.version
        self._version = self._version_of(policy)

    def _version_of(self, policy: Policy) -> str:
        """What begins the key of every verdict."""
        return f"{metadata.version('bluecode')}:{policy.verdict_version}:"

    @property
    def verdicts_key(self) -> str:
        """What verdicts on messages depend on beside their subject."""
        return f"{self._version}{self._prompts.version}:"

    def watch_judge(self, observer: Callable[[str, float], None]) -> None:
        """Tell how each consultation of the judge ends, and how many seconds it took."""
        if (judge := self._prompts.judge) is not None:
            judge.observer = observer

    def wrap_prover(self, wrap: Callable[[Prover], Prover]) -> None:
        """Put something around the sandbox's part, where there is one."""
        if self._prover is not None:
            self._prover = wrap(self._prover)

    @property
    def ready(self) -> dict[str, bool]:
        """What is loaded, by name."""
        names = [item.name for item in self._detectors]
        names += [item.name for item in self._checkers]
        sandbox = {} if self._prover is None else {self._prover.name: self._prover.ready}
        return {**dict.fromkeys(names, True), **sandbox}

    async def screen(self, message: Message) -> Verdict:
        """The verdict on one message that the model is about to read."""
        return (await self.decide_message(message)).verdict

    async def check(self, snippet: Snippet) -> Verdict:
        """The verdict on one snippet that the model wrote."""
        return (await self.decide_snippet(snippet)).verdict

    def orders(self, sentence: str) -> float:
        """How likely a sentence of untrusted content is an order to the model, 0 to 1; 0 where no
        detector is loaded that could say so."""
        for detector in self._detectors:
            if isinstance(detector, Orders):
                return detector.score(sentence)
        return 0.0

    def task_of(self, message: Message) -> str:
        """What a user's message asks for, less what stands in tags: others can write that."""
        # numpy comes with the package of detectors; it is loaded where an engine is opened.
        from bluecode.defenses.detectors.segments import split

        said = (part.text for part in split(message).segments if part.voice == "said")
        return "\n".join(said)[-_TASK:]

    def trust(self, so_far: str, message: Message) -> None:
        """Remember an answer that was checked on its way to the client, in its conversation alone.

        `so_far` is the digest of all messages before it.
        """
        self._verdicts.put(self._trust_key(so_far, message), self.policy.decide(()))

    def trusted(self, so_far: str, message: Message) -> Decided | None:
        """The verdict on an answer that was given after just these messages; None otherwise."""
        if message.role is not Role.ASSISTANT:
            return None
        kept = self._verdicts.get(self._trust_key(so_far, message))
        return None if kept is None else Decided(kept, True)

    def _trust_key(self, so_far: str, message: Message) -> str:
        return f"{self._message_key(message)}:{so_far}"

    def _message_key(self, message: Message) -> str:
        return f"{self.verdicts_key}{message.digest}{','.join(message.unread)}"

    async def decide_message(self, message: Message) -> Decided:
        key, policy = self._message_key(message), self.policy  # another may be adopted meanwhile
        if kept := self._verdicts.get(key) or await self._found_elsewhere(key):
            return Decided(kept, True)
        verdict = await self._prompts.screen(message, policy, timer=self.timer)
        return self._keep(key, verdict)

    async def decide_snippet(self, snippet: Snippet) -> Decided:
        key, policy = f"{self._version}{snippet.digest}", self.policy
        if kept := self._verdicts.get(key) or await self._found_elsewhere(key):
            return Decided(kept, True)
        verdict = await check(snippet, self._checkers, self._prover, policy, timer=self.timer)
        return self._keep(key, verdict)

    def under(self, policy: Policy, decided: Decided) -> Decided:
        """The same under the policy that one request falls under: what was found stays."""
        if policy is self.policy:
            return decided
        return Decided(policy.again(decided.verdict), decided.cached)

    def _keep(self, key: str, verdict: Verdict) -> Decided:
        if not verdict.failed and not _PASSING & {*verdict.unchecked}:
            self._verdicts.put(key, verdict)
            if self.shared is not None:
                self.shared.put(key, verdict)
        return Decided(verdict, False)

    async def _found_elsewhere(self, key: str) -> Verdict | None:
        if self.shared is None or (found := await self.shared.get(key)) is None:
            return None
        self._verdicts.put(key, found)
        return found
