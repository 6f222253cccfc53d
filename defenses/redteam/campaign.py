"""A campaign: lanes of work, one for each generator and category, done in parts.

A part depends on the seed, its lane, its number and what its lane remembers, on nothing else: the
same seed makes the same cases, on one core or on many. After each part its records and the lane's
memory are appended to the state folder, so a campaign that was stopped goes on where it was.
"""

import hashlib
import importlib.util
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final, Protocol

import anyio

from bluecode.defenses.checkers import CHECKERS
from bluecode.defenses.checkers.dynamic_prover import DynamicProver
from bluecode.defenses.checking import check
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.policy import Policy
from bluecode.defenses.redteam import injections, pairs, policies, search
from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.redteam.engine import (
    Engine,
    Grammars,
    ModelEngine,
    OpensWriter,
    WriterError,
)
from bluecode.defenses.redteam.injections import Goal
from bluecode.defenses.redteam.memory import Memory
from bluecode.defenses.redteam.operators import likewise
from bluecode.defenses.redteam.policies import Rule
from bluecode.defenses.redteam.records import (
    AnyRecord,
    Failure,
    PairRecord,
    Record,
    RecordError,
    parse,
    render,
)
from bluecode.defenses.redteam.search import Found, Limits
from bluecode.defenses.redteam.target import Opens, Target, TargetError
from bluecode.sandbox.workers import Sandbox

GENERATORS: Final = (policies.NAME, search.NAME, pairs.NAME, injections.NAME)
PART: Final = 5
"""Cases of a part: small, so that little is lost when a campaign is stopped."""
_PLAN = "campaign.json"
_LANES = "lanes"


class CampaignError(Exception):
    """The state folder cannot be used. The message is for the person at the keyboard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a campaign does; two of the same plan make the same cases."""

    seed: int = 1
    generators: tuple[str, ...] = GENERATORS
    count: int = 20
    """Cases of each lane."""
    categories: tuple[str, ...] = ()
    """`task.category` of the lanes; all where it is empty."""
    frozen: bool = False
    """Draw from the part of the grammars that no loop learns from."""
    limits: Limits = field(default_factory=Limits)
    engine: str = "grammars"
    """Who writes: `grammars`, or the name of a model."""
    target: str = "detectors"
    """What is attacked, as it was named."""
    policy: str = "default"
    """Version of the policy."""

    def as_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Lane:
    """One generator at work on one category."""

    generator: str
    category: str
    """`task.category`, or `CWE-n.language`."""

    @property
    def name(self) -> str:
        return f"{self.generator}.{self.category}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """When a campaign ends before its plan is done."""

    minutes: float | None = None
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What work is done with; picklable."""

    target: Opens
    writer: OpensWriter | None = None
    policy: Path | None = None
    cache: Path | None = None
    """Where the compiled guest is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Some cases of a lane."""

    plan: Plan
    lane: Lane
    number: int
    size: int
    memory: tuple[Mapping[str, Any], ...]
    """What the lane remembers at its beginning."""

    @property
    def chance(self) -> Random:
        told = f"{self.plan.seed}\0{self.lane.name}\0{self.number}"
        return Random(int.from_bytes(hashlib.sha256(told.encode()).digest()[:8]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A part that was done."""

    lane: Lane
    number: int
    records: tuple[AnyRecord, ...]
    memory: tuple[Mapping[str, Any], ...]
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a campaign is."""

    parts: int
    of: int
    cases: int
    passed: int
    cost: float


def lanes(plan: Plan) -> list[Lane]:
    """The lanes of a plan, in the order in which they are begun."""
    known: list[Lane] = []
    rules = [f"{rule.task}.{rule.category}" for rule in policies.shipped().rules]
    goals = [f"indirect.{goal.category}" for goal in injections.shipped().goals]
    if policies.NAME in plan.generators:
        known += [Lane(policies.NAME, name) for name in rules]
    if injections.NAME in plan.generators:
        known += [Lane(injections.NAME, name) for name in goals]
    if search.NAME in plan.generators:
        known += [Lane(search.NAME, name) for name in (*rules, *goals)]
    if pairs.NAME in plan.generators:
        names = [f"CWE-{item.cwe}.{item.language}" for item in pairs.shipped()]
        known += [Lane(pairs.NAME, name) for name in dict.fromkeys(names)]
    return [lane for lane in known if not plan.categories or lane.category in plan.categories]


class State:
    """The folder of a campaign."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self, plan: Plan) -> None:
        """Raises `CampaignError` where the folder holds a campaign of another plan."""
        path = self._folder / _PLAN
        if path.exists():
            if self.plan() != plan.as_json():
                raise CampaignError(
                    f"`{self._folder}` holds a campaign of another plan; name another folder."
                )
            return
        try:
            (self._folder / _LANES).mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(plan.as_json(), indent=2) + "\n", "utf-8")
        except OSError as error:
            raise CampaignError(f"`{self._folder}` cannot be written: {error}.") from error

    def plan(self) -> dict[str, Any]:
        """The plan as JSON. Raises `CampaignError` where there is none."""
        try:
            plan = json.loads((self._folder / _PLAN).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise CampaignError(f"`{self._folder}` holds no campaign ({error}).") from error
        return dict(plan)

    def append(self, done: Done) -> None:
        """Write a part down: its records, then the mark that it is whole."""
        mark = {"kind": "part", "number": done.number, "memory": list(done.memory)}
        mark["cost"] = done.cost
        with self._path(done.lane.name).open("a", encoding="utf-8") as file:
            file.write(render(done.records) + json.dumps(mark, ensure_ascii=True) + "\n")

    def whole(self, lane: Lane) -> tuple[int, tuple[Mapping[str, Any], ...]]:
        """Parts of a lane that are done, and what it remembers. A part that was cut off is taken
        out of the file."""
        records, marks = self._lane(lane.name)
        memory = tuple(marks[-1]["memory"]) if marks else ()
        return len(marks), memory

    def records(self) -> Iterator[AnyRecord]:
        """Everything that was tried, lane by lane. Raises `CampaignError`."""
        self.plan()
        for path in sorted((self._folder / _LANES).glob("*.jsonl")):
            yield from self._lane(path.stem)[0]

    def cost(self) -> float:
        """What was spent so far."""
        paths = sorted((self._folder / _LANES).glob("*.jsonl"))
        return sum(float(mark["cost"]) for path in paths for mark in self._lane(path.stem)[1])

    def _path(self, name: str) -> Path:
        return self._folder / _LANES / f"{name}.jsonl"

    def _lane(self, name: str) -> tuple[list[AnyRecord], list[dict[str, Any]]]:
        path = self._path(name)
        records: list[AnyRecord] = []
        pending: list[AnyRecord] = []
        marks: list[dict[str, Any]] = []
        kept = 0
        text = path.read_text("utf-8") if path.exists() else ""
        at = 0
        for line in text.splitlines(keepends=True):
            at += len(line.encode())
            if not line.endswith("\n"):
                break
            try:
                if line.startswith('{"kind": "part"'):
                    marks.append(json.loads(line))
                    records, pending, kept = [*records, *pending], [], at
                else:
                    pending.append(parse(line))
            except (ValueError, RecordError) as error:
                raise CampaignError(f"`{path}` holds a line that is no record.") from error
        if kept < at:
            with path.open("r+b") as file:
                file.truncate(kept)
        return records, marks


class Pool(Protocol):
    """Where parts are done side by side: processes of this machine, or a cluster."""

    def submit(
        self,
        do: "Callable[[Part, Means, float | None], Done | None]",
        part: Part,
        means: Means,
        seconds: float | None,
        /,
    ) -> "Future[Done | None]": ...


OpensPool = Callable[[int], AbstractContextManager[Pool]]
"""Opens a pool of so many workers."""


def processes(jobs: int) -> AbstractContextManager[Pool]:
    """Processes of this machine."""
    # What a fork would copy, threads and locks included, is not fit for a second event loop.
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn"))


def run(
    plan: Plan,
    means: Means,
    state: State,
    *,
    jobs: int = 1,
    opens: OpensPool | None = None,
    bounds: Bounds | None = None,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> bool:
    """Do what is left of a plan; True when all of it is done.

    One job without a pool of its own is done in this process. Raises `CampaignError`, and what
    opening a pool raises."""
    state.begin(plan)
    ending = bounds or Bounds()
    schedule = _Schedule(plan, state, ending, on_progress)
    if jobs == 1 and opens is None:
        while (part := schedule.next()) is not None:
            schedule.take(work(part, means, schedule.left))
    else:
        with (opens or processes)(jobs) as pool:
            _share(schedule, pool, means, jobs)
    return schedule.finished


def _share(schedule: "_Schedule", pool: Pool, means: Means, jobs: int) -> None:
    running: set[Future[Done | None]] = set()
    while True:
        while len(running) < 2 * jobs and (part := schedule.next()) is not None:
            running.add(pool.submit(work, part, means, schedule.left))
        if not running:
            return
        ended, running = wait(running, return_when=FIRST_COMPLETED)
        for future in ended:
            schedule.take(future.result())


class _Schedule:
    """Which part is next: lanes take turns, and one lane has one part at a time."""

    def __init__(
        self, plan: Plan, state: State, bounds: Bounds, tell: Callable[[Progress], None]
    ) -> None:
        self._plan, self._state, self._bounds, self._tell = plan, state, bounds, tell
        self._began = time.monotonic()
        self._cost = state.cost()
        self._cases = self._passed = 0
        self._parts = -(-plan.count // PART)
        self._done = 0
        self._waiting: list[tuple[int, int, Lane, tuple[Mapping[str, Any], ...]]] = []
        found = lanes(plan)
        self._total = self._parts * len(found)
        for order, lane in enumerate(found):
            number, memory = state.whole(lane)
            self._done += min(number, self._parts)
            if number < self._parts:
                self._waiting.append((number, order, lane, memory))

    @property
    def left(self) -> float | None:
        """Seconds."""
        if self._bounds.minutes is None:
            return None
        return max(self._bounds.minutes * 60 - (time.monotonic() - self._began), 0.0)

    @property
    def finished(self) -> bool:
        return self._done >= self._total

    def next(self) -> Part | None:
        spent = self._bounds.cost is not None and self._cost >= self._bounds.cost
        if not self._waiting or spent or self.left == 0.0:
            return None
        self._waiting.sort(key=lambda item: item[:2])
        number, _, lane, memory = self._waiting.pop(0)
        size = min(PART, self._plan.count - number * PART)
        return Part(plan=self._plan, lane=lane, number=number, size=size, memory=memory)

    def take(self, done: Done | None) -> None:
        """Write a part down, and let its lane go on; None for a part that ran out of time."""
        if done is None:
            return
        self._state.append(done)
        self._done += 1
        self._cost += done.cost
        told = [item for item in done.records if isinstance(item, Record)]
        self._cases += len(told)
        self._passed += sum(item.passed for item in told if item.kind != "lawful")
        if done.number + 1 < self._parts:
            order = len(self._waiting)
            self._waiting.append((done.number + 1, order, done.lane, done.memory))
        self._tell(
            Progress(
                parts=self._done,
                of=self._total,
                cases=self._cases,
                passed=self._passed,
                cost=self._cost,
            )
        )


def work(part: Part, means: Means, seconds: float | None) -> Done | None:
    """Do one part in an event loop of its own; None where the time was up before its end."""
    loop = {"use_uvloop": importlib.util.find_spec("uvloop") is not None}
    return anyio.run(_work, part, means, seconds, backend_options=loop)


async def _work(part: Part, means: Means, seconds: float | None) -> Done | None:
    with anyio.move_on_after(seconds):
        async with AsyncExitStack() as stack:
            if part.lane.generator == pairs.NAME:
                records = await _pairs(part, means)
                return Done(
                    lane=part.lane,
                    number=part.number,
                    records=tuple(records),
                    memory=(),
                    cost=0.0,
                )
            target = await stack.enter_async_context(means.target())
            engine: Engine = Grammars(frozen=part.plan.frozen)
            if means.writer is not None:
                engine = ModelEngine(await stack.enter_async_context(means.writer()))
            return await _texts(part, target, engine)
    return None


async def _texts(part: Part, target: Target, engine: Engine) -> Done:
    chance, memory = part.chance, Memory.from_json(part.memory)
    records: list[AnyRecord] = []
    name = part.lane.generator
    try:
        made = await engine.twins(_subject(part.lane), chance, part.size)
        for twins in made:
            if name == search.NAME:
                found = await search.optimise(
                    twins.attack, target, chance, memory, part.plan.limits, engine.rewritten
                )
                lawful = likewise(found.best.attack, twins.lawful, chance)
                records.append(_searched(found, lawful))
            else:
                for kind, attack in (("attack", twins.attack), ("lawful", twins.lawful)):
                    heard = await target.hear(attack)
                    twin = twins.lawful if kind == "attack" else twins.attack
                    records.append(
                        Record(
                            kind="attack" if kind == "attack" else "lawful",
                            generator=name,
                            attack=attack,
                            heard=heard,
                            twin=twin,
                        )
                    )
    except (TargetError, WriterError) as error:
        records.append(Failure(name, str(error)))
    cost = engine.spent + sum(item.heard.cost for item in records if isinstance(item, Record))
    return Done(
        lane=part.lane,
        number=part.number,
        records=tuple(records),
        memory=tuple(memory.as_json()),
        cost=cost,
    )


def _subject(lane: Lane) -> Rule | Goal:
    task, _, category = lane.category.partition(".")
    if task == injections.NAME:
        return injections.shipped().goal(category)
    return policies.shipped().of(task, category)


def _searched(found: Found, lawful: Attack) -> Record:
    counts: Counter[str] = Counter()
    passes: Counter[str] = Counter()
    for tried in found.tries[1:]:
        counts.update(set(tried.attack.operators))
        passes.update(set(tried.attack.operators) if tried.heard.passed else ())
    return Record(
        kind="search",
        generator=search.NAME,
        attack=found.best.attack,
        heard=found.best.heard,
        seed_passed=found.seed.heard.passed,
        tries=len(found.tries),
        operators={name: (counts[name], passes[name]) for name in sorted(counts)},
        twin=lawful,
    )


async def _pairs(part: Part, means: Means) -> Sequence[AnyRecord]:
    """Verified pairs of a weakness, and what the checkers make of them."""
    head, _, language = part.lane.category.partition(".")
    known = [
        item
        for item in pairs.shipped()
        if item.cwe == int(head.removeprefix("CWE-")) and item.language == language
    ]
    made = [pair for item in known for pair in _in_order(part, item)]
    drawn = made[part.number * PART : part.number * PART + part.size]
    if not drawn:
        return []
    policy = Policy.load(means.policy)
    checkers = [make() for name, make in CHECKERS.items() if name not in policy.disabled]
    records: list[AnyRecord] = []
    async with Sandbox.open(cache=means.cache, workers=1) as sandbox:
        await sandbox.warm()
        prover = DynamicProver(sandbox)
        for pair in drawn:
            verified = await pairs.verify(pair, sandbox)
            if verified is None:
                records.append(
                    PairRecord(
                        name=pair.name,
                        cwe=pair.cwe,
                        language=pair.language,
                        verified=False,
                        pair={},
                    )
                )
                continue
            actions = []
            for code in (pair.unsafe, pair.safe):
                snippet = Snippet(code=code, language=pair.language, origin="fence")
                actions.append((await check(snippet, checkers, prover, policy)).action)
            records.append(
                PairRecord(
                    name=pair.name,
                    cwe=pair.cwe,
                    language=pair.language,
                    verified=True,
                    pair=verified.as_json(),
                    unsafe=actions[0],
                    safe=actions[1],
                )
            )
    return records


def _in_order(part: Part, weakness: pairs.Weakness) -> Sequence[pairs.Pair]:
    """All pairs of a weakness in an order that the seed decides."""
    told = f"{part.plan.seed}\0{weakness.cwe}\0{weakness.language}\0{weakness.policy}"
    chance = Random(int.from_bytes(hashlib.sha256(told.encode()).digest()[:8]))
    return pairs.drawn(weakness, chance, 10_000)
