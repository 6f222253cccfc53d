"""`bluecode redteam`: attack a deployment, report, compare, and learn from what got through.

`run` writes into a state folder and goes on where it was; `report` and `diff` read such folders;
`harvest` turns survivors into candidates, and approved ones into records of the knowledge base;
`loop` does it in rounds, in memory, and prints the curve. Nothing here changes what enforces.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Final

import anyio
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bluecode.defenses import knowledge
from bluecode.defenses.knowledge import Task
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.defenses.redteam import (
    campaign,
    imports,
    learning,
    operators,
    page,
    ray_pool,
    summary,
)
from bluecode.defenses.redteam import harvest as harvesting
from bluecode.defenses.redteam import loop as looping
from bluecode.defenses.redteam.attack import Attack
from bluecode.defenses.redteam.campaign import (
    GENERATORS,
    Bounds,
    CampaignError,
    Means,
    OpensPool,
    Plan,
    State,
)
from bluecode.defenses.redteam.harvest import Candidate, Gate, HarvestError
from bluecode.defenses.redteam.ray_pool import RayMissing
from bluecode.defenses.redteam.records import PairRecord, Record
from bluecode.defenses.redteam.search import Limits
from bluecode.defenses.redteam.settling import settled
from bluecode.defenses.redteam.summary import Change, Rate, Summary
from bluecode.defenses.redteam.target import Detectors, InProcess, Opens, TargetError
from bluecode.proxy import redteam_arguments
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.redteam_target import Attacker, OverHttp, Price

WIDTH: Final = 150
_POOLS: Final[Mapping[str, OpensPool | None]] = {"local": None, "ray": ray_pool.over_ray}
GRAMMARS: Final = "grammars"


def _cores() -> int:
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _config(given: argparse.Namespace) -> Config:
    return Config.load(given.config, flags={"policy": given.policy})


def _policy(config: Config) -> Policy:
    try:
        return Policy.load(config.policy)
    except PolicyError as error:
        raise ConfigError(str(error)) from error


def run(given: argparse.Namespace) -> int:
    config = _config(given)
    plan = _plan(given, _policy(config))
    means = Means(
        target=_target(given, config),
        writer=_attacker(given),
        policy=config.policy,
        cache=config.cache_dir,
    )
    state = State(given.state)
    bounds = Bounds(minutes=given.minutes, cost=given.cost)
    with ExitStack() as stack:
        tell = _shown(stack)
        try:
            whole = campaign.run(
                plan,
                means,
                state,
                jobs=given.jobs or _cores(),
                opens=_POOLS[given.engine],
                bounds=bounds,
                on_progress=tell,
            )
            found = summary.summarise(state.records())
        except (CampaignError, RayMissing) as error:
            raise ConfigError(str(error)) from error
    if given.format == "json":
        print(json.dumps({"finished": whole, **found.as_json()}, indent=2, ensure_ascii=True))
    else:
        show(found)
        if not whole:
            print("Stopped by its bounds; call it again with the same plan to go on.")
    return 3 if found.failures else 0


def _plan(given: argparse.Namespace, policy: Policy) -> Plan:
    chosen = tuple(name for name in given.generators.split(",") if name)
    categories = tuple(name for name in given.categories.split(",") if name)
    without = tuple(name for name in given.without.split(",") if name)
    if unknown := sorted(set(chosen) - set(GENERATORS)):
        raise ConfigError(f"`{unknown[0]}` is no generator; known are {', '.join(GENERATORS)}.")
    kinds = {item.kind for item in operators.OPERATORS.values()} | {operators.SUFFIX}
    if unknown := sorted(set(without) - kinds):
        raise ConfigError(f"`{unknown[0]}` is no kind of operator; known are {sorted(kinds)}.")
    inside = given.target == redteam_arguments.DETECTORS
    plan = Plan(
        seed=given.seed,
        generators=chosen,
        count=given.count,
        categories=categories,
        limits=Limits(without=without),
        engine=_named(given.attacker, given.attacker_model) or GRAMMARS,
        target=given.target if inside else _named(given.target, given.model),
        policy=policy.version,
    )
    known = {lane.category for lane in campaign.lanes(replace(plan, categories=()))}
    if unknown := sorted(set(categories) - known):
        raise ConfigError(f"`{unknown[0]}` is no category; known are {', '.join(sorted(known))}.")
    return plan


def _named(address: str | None, model: str) -> str:
    return " ".join(part for part in (address, model) if part)


def _target(given: argparse.Namespace, config: Config) -> Opens:
    if given.target == redteam_arguments.DETECTORS:
        return InProcess(config.policy)
    if "://" not in given.target:
        raise ConfigError(
            f"`{given.target}` is no address; it must begin with http:// or https://."
        )
    return OverHttp(
        root=given.target,
        model=given.model,
        key_file=_readable(given.key_file),
        effect=given.effect,
        price=Price(read=given.price[0], written=given.price[1]),
    )


def _attacker(given: argparse.Namespace) -> Attacker | None:
    if given.attacker is None:
        return None
    return Attacker(
        upstream=given.attacker,
        model=given.attacker_model or given.attacker,
        key_file=_readable(given.attacker_key_file),
        price=Price(read=given.price[0], written=given.price[1]),
    )


def _readable(path: Path | None) -> Path | None:
    if path is not None and not os.access(path, os.R_OK):
        raise ConfigError(f"`{path}` cannot be read.")
    return path


def _shown(stack: ExitStack) -> Callable[[campaign.Progress], None]:
    """A progress bar, where somebody looks at it."""
    if not sys.stderr.isatty():
        return lambda _: None
    bar = stack.enter_context(
        Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
    )
    task = bar.add_task("attacking", total=None)

    def tell(so_far: campaign.Progress) -> None:
        told = f"{so_far.cases} cases, {so_far.passed} attacks passed"
        bar.update(task, description=told, completed=so_far.parts, total=so_far.of)

    return tell


def report(given: argparse.Namespace) -> int:
    state = State(given.state)
    try:
        records = list(state.records())
        plan = state.plan()
    except CampaignError as error:
        raise ConfigError(str(error)) from error
    found = summary.summarise(records)
    if given.html is not None:
        _write(given.html, page.render(found, plan))
    if given.json is not None:
        _write(given.json, json.dumps({"plan": plan, **found.as_json()}, indent=2) + "\n")
    if given.pairs is not None:
        pairs = [item.pair for item in records if isinstance(item, PairRecord) and item.verified]
        _write(given.pairs, "".join(json.dumps(dict(pair)) + "\n" for pair in pairs))
    show(found)
    return 0


def _write(path: Path, text: str) -> None:
    """Whole or not at all. Raises `ConfigError`."""
    try:
        with tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", dir=path.parent, delete=False
        ) as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be written: {error}.") from error


def show(found: Summary) -> None:
    """The summary for a terminal."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    for by in ("generator", "task", "channel", "category"):
        rows = found.rows.get(by, ())
        table = Table(title=f"Attacks that passed, by {by}", box=None, title_justify="left")
        for column in ("", "plain", "after search", "lawful texts stopped"):
            table.add_column(column, justify="left" if not column else "right")
        for row in rows:
            table.add_row(row.name, _cell(row.plain), _cell(row.searched), _cell(row.lawful))
        if rows:
            console.print(table)
    if found.kinds:
        table = Table(title="Rewritten texts that passed", box=None, title_justify="left")
        table.add_column("operator")
        table.add_column("passed", justify="right")
        for name, rate in found.kinds:
            table.add_row(name, _cell(rate))
        console.print(table)
    for name, rates in found.pairs.items():
        if rates and name.endswith("language"):
            told = ", ".join(f"{key} {_cell(rate)}" for key, rate in rates)
            console.print(f"Pairs {name}: {told}", soft_wrap=True)
    if verified := found.pairs.get("verified by CWE"):
        weaknesses = sum(bool(rate.part) for _, rate in verified)
        total = sum(rate.part for _, rate in verified)
        console.print(f"{total} verified vulnerability pairs over {weaknesses} CWEs.")
    for reason, count in found.failures.items():
        console.print(f"could not be tried: {count} times, {reason}", soft_wrap=True)


def _cell(rate: Rate) -> str:
    figure = rate.figure
    if figure is None:
        return "-"
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f}) of {rate.whole}"


def diff(given: argparse.Namespace) -> int:
    try:
        both = [summary.summarise(State(path).records()) for path in (given.before, given.after)]
    except CampaignError as error:
        raise ConfigError(str(error)) from error
    changes = summary.compare(*both)
    if given.format == "json":
        print(json.dumps([change.as_json() for change in changes], indent=2))
        return 0
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    console.print(_changes(changes))
    return 0


def _changes(changes: Sequence[Change]) -> Table:
    table = Table(title="What changed; * where the intervals do not touch", box=None)
    for column in ("by", "group", "before", "after", ""):
        table.add_column(column)
    for change in changes:
        if change.before.figure != change.after.figure:
            mark = "*" if change.certain else ""
            cells = (_cell(change.before), _cell(change.after), mark)
            table.add_row(change.by, change.name, *cells)
    return table


def harvest(given: argparse.Namespace) -> int:
    if given.approve is not None and given.accept:
        raise ConfigError("`--approve` and `--accept` exclude each other: who approves?")
    if (given.state is None) is not bool(given.sources):
        raise ConfigError("name the folder of a campaign, or results with `--from`; one of them.")
    config = _config(given)
    policy = _policy(config)
    jobs = given.jobs or _cores()
    try:
        if given.sources:
            judged = anyio.run(_imported, policy, given.sources, given.task)
        else:
            judged = anyio.run(_proposed, policy, State(given.state), given.each)
        if given.approve is not None:
            every = frozenset(item.case.id for item in judged)
            judged = harvesting.approve(judged, given.approve, frozenset(given.only or every))
        elif given.accept:
            own = looping.labelled_sets([given.must_pass] if given.must_pass else [])
            judged = anyio.run(_accepted, policy, judged, looping.must_pass(own), jobs)
    except (CampaignError, HarvestError, TargetError) as error:
        raise ConfigError(str(error)) from error
    _write(given.out, harvesting.render(judged))
    cases = harvesting.approved(judged)
    if given.records is not None:
        _write(given.records, harvesting.render_cases(cases))
    clean = sum(not item.reasons for item in judged)
    print(f"{len(judged)} candidates, {clean} of them past the gate, {len(cases)} approved.")
    if given.measure and cases:
        anyio.run(_measured, policy, cases, given.sets, jobs)
    return 0


async def _imported(policy: Policy, sources: Sequence[Path], task: Task | None) -> list[Candidate]:
    """Candidates out of other tools' results, judged by the gate."""
    tried = []
    for source in sources:
        try:
            tried += imports.read(source.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise HarvestError(f"`{source}` cannot be read: {error}.") from error
    base, detectors = knowledge.shipped(), Detectors(policy)
    found, unknown = await imports.candidates(tried, detectors, base, day=_today(), task=task)
    stopped = len(tried) - unknown - len(found)
    print(f"{len(tried)} attacks read, {stopped} of them stopped or told twice.")
    if unknown:
        print(f"{unknown} left out: their subject tells no risk; say which one by `--task`.")
    return await Gate(base, detectors).judge(found)


async def _proposed(policy: Policy, state: State, each: int) -> list[Candidate]:
    """Candidates out of a campaign, judged by the gate."""
    records = list(state.records())
    proposed = harvesting.propose(records, day=_today(), each=each)
    wording = looping.wordings([item for item in records if isinstance(item, Record)])
    return await Gate(knowledge.shipped(), Detectors(policy), wording=wording).judge(proposed)


async def _accepted(
    policy: Policy, judged: Sequence[Candidate], must_pass: Sequence[Attack], jobs: int
) -> list[Candidate]:
    """What the gate accepts; nothing of a task whose fitted models would stop what must pass."""
    accepted = harvesting.accept(judged)
    cases = harvesting.approved(accepted)
    if not cases:
        return accepted
    before = learning.shipped()
    after = learning.learn([*before.base.cases, *cases], jobs=jobs, like=before)
    against = await harvesting.newly_stopped(before, after, policy, must_pass)
    for task, count in against.items():
        print(f"{task}: {count} texts that must pass would be stopped; nothing of it is accepted.")
    return harvesting.withdrawn(accepted, against)


def _today() -> str:
    return datetime.now(UTC).date().isoformat()


async def _measured(
    policy: Policy, cases: Sequence[knowledge.Case], sets: Sequence[Path], jobs: int
) -> None:
    frozen = await looping.freeze()
    settle, labelled = looping.halves(looping.labelled_sets(sets))
    before = learning.shipped()
    after = learning.learn([*before.base.cases, *cases], jobs=jobs, like=before)
    after = await settled(after, before, policy, settle)
    table = _curve_table("Before and after, on a frozen set and the labelled sets")
    for name, learned in (("before", before), ("after", after)):
        detectors = Detectors(policy, learned.detectors())
        found = await looping.measure(detectors, policy, frozen, labelled)
        _add_row(table, name, len(learned.base.cases), found)
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(table)


def _curve_table(title: str) -> Table:
    table = Table(title=title, box=None, title_justify="left")
    for column in ("", "cases", "passed", "lawful stopped", "recall", "benign stopped"):
        table.add_column(column)
    return table


def _add_row(table: Table, name: str, cases: int, found: looping.Measured) -> None:
    passed = "\n".join(f"{key} {_cell(rate)}" for key, rate in found.passed.items())
    recall = "\n".join(f"{key} {_cell(rate)}" for key, rate in found.recall.items())
    table.add_row(name, str(cases), passed, _cell(found.alarms), recall or "-", _cell(found.benign))


def loop(given: argparse.Namespace) -> int:
    config = _config(given)
    policy = _policy(config)
    effort = looping.Effort(rounds=given.rounds, each=given.each, kept=given.kept, seed=given.seed)
    try:
        given.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"`{given.out}` cannot be written: {error}.") from error
    try:
        own = looping.labelled_sets([given.must_pass] if given.must_pass else [])
        must_pass = looping.must_pass(own)
        anyio.run(_turns, policy, effort, given.out, given.sets, must_pass, given.jobs or _cores())
    except TargetError as error:
        print(f"bluecode: {error}", file=sys.stderr)
        return 3
    return 0


async def _turns(
    policy: Policy,
    effort: looping.Effort,
    out: Path,
    sets: Sequence[Path],
    must_pass: Sequence[Attack],
    jobs: int,
) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    frozen = await looping.freeze()
    settle, labelled = looping.halves(looping.labelled_sets(sets))
    learn = partial(learning.learn, jobs=jobs, like=learning.shipped())
    found: list[looping.Round] = []
    accepted: list[knowledge.Case] = []
    turns = looping.rounds(
        learning.shipped(),
        policy,
        learn,
        frozen,
        effort,
        day=_today(),
        labelled=labelled,
        must_pass=must_pass,
        settle=settle,
    )
    async for turn, candidates, learned in turns:
        found.append(turn)
        if turn.accepted:
            accepted += harvesting.approved(candidates)
        table = _curve_table(f"Round {turn.number}: {turn.survived} of {turn.tried} survived")
        _add_row(table, f"+{turn.accepted}", len(learned.base.cases), turn.measured)
        console.print(table)
        _write(out / f"candidates-{turn.number}.jsonl", harvesting.render(candidates))
        _write(out / "records.jsonl", harvesting.render_cases(accepted))
        _write(out / "curve.json", json.dumps([item.as_json() for item in found], indent=2) + "\n")
        _write(out / "curve.svg", page.curve("Rounds of the loop", looping.lines(found)))
