"""`bluecode eval`: how often verdicts are right on labelled sets, with intervals.

Code is checked by the engine that serves, once without the sandbox and once with it; prompts are
screened by the shipped detectors. The work is spread over processes, each with a sandbox worker of
its own. No text of a set is printed; `--errors` names records and rules.
"""

import json
import multiprocessing
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import anyio
from rich.console import Console
from rich.table import Table

from bluecode.defenses import code_evaluation, prompt_evaluation
from bluecode.defenses.checkers.dynamic_prover import DynamicProver
from bluecode.defenses.code_evaluation import Group, Judged, Record, SetError
from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.defenses.verdict import Action
from bluecode.proxy import eval_prompts
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.engine import Engine
from bluecode.proxy.eval_prompts import Prompts, Scored, screen

STATIC: Final = "static"
BOTH: Final = "static + dynamic"
WIDTH: Final = 190
"""Columns of the tables where they do not go to a terminal."""
SEED: Final = 7
TITLES: Final[Mapping[str, str]] = {
    "all": "All code",
    "source": "Code by source",
    "source and language": "Code by source and language, where a source has several",
    "language": "Code by language",
    "cwe": "Code by CWE, at the threshold of warning (--format json has both)",
}
COLUMNS: Final[Mapping[str, str]] = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "false_positive_rate": "false positives",
    "paired_accuracy": "paired",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asks for."""

    paths: Sequence[Path]
    static: bool
    """Leave the sandbox out."""
    limit: int | None
    """Records of each source; None for all."""
    jobs: int | None
    """Processes; None for as many as there are cores."""
    leave_out: str | None = None
    """Axis of the knowledge base whose families are left out of the training in turn."""
    judge: bool = False
    """Ask the configured judge, in each of its arms, about every prompt."""


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured."""

    arms: tuple[str, ...]
    judged: tuple[Judged, ...]
    scored: tuple[Scored, ...]

    @property
    def failed(self) -> bool:
        """Did something fail at a record, so that the figures are not whole?"""
        code = any(out.failed for item in self.judged for out in item.outcomes.values())
        return code or any(
            not one.decided
            for item in eval_prompts.judged_in(self.scored)
            for one in item.looked.values()
        )


def run(config: Config, asked: Asked, *, style: str, errors: bool) -> int:
    """Measure and print; 0, or 3 where something failed. Raises `ConfigError`."""
    if asked.leave_out:
        leave_out(asked.leave_out, style)
        if not asked.paths:
            return 0
    try:
        policy = Policy.load(config.policy)
        code, prompts = sets(asked)
    except (PolicyError, SetError) as error:
        raise ConfigError(str(error)) from error
    judge = config.judge if asked.judge else None
    if asked.judge and judge is None:
        raise ConfigError("`--judge` asks the judge of the settings, and none is configured.")
    try:
        results = measured(config, policy, asked, code, prompts)
        if judge is not None:
            ask = partial(eval_prompts.ask_judge, judge, policy, results.scored, prompts)
            results = replace(results, scored=anyio.run(ask))
    except BrokenProcessPool:
        print("bluecode: a process of the evaluation was ended from outside.", file=sys.stderr)
        return 3
    if style == "json":
        print(json.dumps(as_json(policy, results, errors=errors), indent=2, ensure_ascii=True))
    else:
        show(results, errors=errors)
    return 3 if results.failed else 0


def leave_out(axis: str, style: str) -> None:
    """Fit without each family of the knowledge base in turn, and print how it is judged then."""
    from bluecode.defenses import families
    from bluecode.defenses.detectors.classifier import SHAPES

    found: list[families.Family] = []
    for model in SHAPES:
        started = time.perf_counter()
        for family in families.leave_out(model, axis):
            found.append(family)
            took, started = time.perf_counter() - started, time.perf_counter()
            told = f"{model} without {family.name}: AUC {family.area:.3f}, {took:.0f} s"
            print(f"bluecode: {told}", file=sys.stderr)
    if style == "json":
        print(json.dumps({"leave_out": axis, "families": [asdict(it) for it in found]}, indent=2))
    else:
        Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH).print(
            families.shown(axis, found)
        )


def sets(asked: Asked) -> tuple[list[Record], list[Prompts]]:
    """The records of code, and the prompts by source and task. Raises `SetError`."""
    code: list[Record] = []
    prompts: dict[tuple[str, str], list[str]] = {}
    for path in files(asked.paths):
        lines = _lines(path)
        code += code_evaluation.read(lines, path.stem)
        _add_prompts(prompts, lines, path.stem)
    if not code and not prompts:
        raise SetError("The sets hold no record of a task that is known.")
    sampled = [
        Prompts(source, task, _sampled(lines, asked.limit))
        for (source, task), lines in prompts.items()
    ]
    return code_evaluation.sample(code, asked.limit), sampled


def files(paths: Sequence[Path]) -> list[Path]:
    """The sets that are named, and those in folders that are named. Raises `SetError`."""
    found = []
    for path in paths:
        inside = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not inside:
            raise SetError(f"`{path}` holds no file whose name ends in `.jsonl`.")
        found += inside
    return found


def _lines(path: Path) -> list[str]:
    try:
        # Not `splitlines`: JSON may hold a U+2028 as it stands.
        return path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SetError(f"`{path}` cannot be read: {error}.") from error


def _add_prompts(
    prompts: dict[tuple[str, str], list[str]], lines: Sequence[str], name: str
) -> None:
    """A safe record counts for each task that it is said to be safe for, too."""
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        given = code_evaluation.parsed(line, f"{name}, line {number}")
        also = (given.get("extra") or {}).get("also", ()) if given["label"] == 0 else ()
        source = str(given.get("source") or name)
        for task in dict.fromkeys((given["task"], *also)):
            if task in prompt_evaluation.TASKS:
                record = {"kind": "prompt", **given, "task": task}
                prompts.setdefault((source, task), []).append(json.dumps(record))


def _sampled(lines: Sequence[str], limit: int | None) -> tuple[str, ...]:
    if limit is None or len(lines) <= limit:
        return tuple(lines)
    return tuple(random.Random(SEED).sample(lines, limit))


def measured(
    config: Config,
    policy: Policy,
    asked: Asked,
    code: Sequence[Record],
    prompts: Sequence[Prompts],
) -> Results:
    """Do the work, here or in processes."""
    checked = (STATIC,) if asked.static else (STATIC, BOTH)
    size = asked.jobs or _cores()
    shares = [share for share in (code[at::size] for at in range(size)) if share]
    if size == 1:
        judged = [check(config, policy, checked, share) for share in shares]
        scored = [screen(policy, item) for item in prompts]
    else:
        # What a fork would copy, threads and locks included, is not fit for a second event loop.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(size, mp_context=spawn) as pool:
            checks = [pool.submit(check, config, policy, checked, share) for share in shares]
            screens = [pool.submit(screen, policy, item) for item in prompts]
            judged = [item.result() for item in checks]
            scored = [item.result() for item in screens]
    return Results(checked, tuple(item for share in judged for item in share), tuple(scored))


def _cores() -> int:
    affinity: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def check(
    config: Config, policy: Policy, arms: Sequence[str], records: Sequence[Record]
) -> list[Judged]:
    """Judge records one after the other, in an event loop and with a sandbox of their own."""
    return anyio.run(_check, replace(config, workers=1), policy, arms, records)


async def _check(
    config: Config, policy: Policy, arms: Sequence[str], records: Sequence[Record]
) -> list[Judged]:
    # No prompt is screened here: their detectors need not be loaded.
    code = replace(policy, disabled=policy.disabled | set(DETECTORS))
    static = replace(code, disabled=code.disabled | {DynamicProver.name})
    async with Engine.open(config, static) as without:
        checks = {STATIC: without.check}
        if BOTH not in arms:
            return [await code_evaluation.judge(record, checks, policy) for record in records]
        async with Engine.open(config, code) as engine:
            checks[BOTH] = engine.check
            return [await code_evaluation.judge(record, checks, policy) for record in records]


def grouped(results: Results) -> dict[str, list[Group]]:
    """The figures of code, by what it is grouped by."""
    found = {
        name: code_evaluation.groups(results.judged, key, results.arms)
        for name, key in code_evaluation.KEYS.items()
        if name != "source and language"
    }
    several = [item for item in results.judged if item.record.source in _mixed(results.judged)]
    key = code_evaluation.KEYS["source and language"]
    found["source and language"] = code_evaluation.groups(several, key, results.arms)
    return {name: found[name] for name in code_evaluation.KEYS}


def _mixed(judged: Sequence[Judged]) -> set[str]:
    """Sources with several languages."""
    pairs = {(item.record.source, item.record.language) for item in judged}
    sources = [source for source, _ in pairs]
    return {source for source in sources if sources.count(source) > 1}


def as_json(policy: Policy, results: Results, *, errors: bool) -> dict[str, Any]:
    """The results for programs."""
    told = {
        "policy": policy.version,
        "arms": list(results.arms),
        "code": {
            name: [{**asdict(group), "at": group.at.name.lower()} for group in found]
            for name, found in grouped(results).items()
        },
        "prompts": [eval_prompts.source_json(scored) for scored in results.scored],
        "prompt_arms": {
            name: [eval_prompts.group_json(group) for group in found]
            for name, found in eval_prompts.groups(results.scored).items()
        },
    }
    return {**told, "wrong": _wrong(results)} if errors else told


def _wrong(results: Results) -> list[dict[str, Any]]:
    """Records that the last arm gets wrong at the threshold of warning."""
    arm = results.arms[-1]
    return [
        {
            "id": item.record.id,
            "unsafe": item.record.unsafe,
            "cwe": item.record.cwe,
            **asdict(item.outcomes[arm]),
            "action": item.outcomes[arm].action.name.lower(),
        }
        for item in code_evaluation.wrong(results.judged, arm, Action.WARN)
    ]


def show(results: Results, *, errors: bool) -> None:
    """The results for people."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if results.judged:
        for name, found in grouped(results).items():
            wanted = [item for item in found if name != "cwe" or item.at is Action.WARN]
            if wanted:
                console.print(code_table(TITLES[name], wanted))
        console.print(_unseen(results), soft_wrap=True)
    if results.scored:
        console.print(eval_prompts.prompt_table(results.scored, console.width))
        for table in eval_prompts.arm_tables(results.scored, console.width):
            console.print(table)
        console.print(eval_prompts.undecided(results.scored), soft_wrap=True)
    for item in _wrong(results) if errors else ():
        word = "missed" if item["unsafe"] else "false alarm"
        rules = ", ".join([*item["rules"], *item["unchecked"], *item["failed"]])
        console.print(f"{word}  {item['id']}  {item['cwe']}  {rules}".rstrip(), soft_wrap=True)


def code_table(title: str, found: Sequence[Group]) -> Table:
    """Groups for a terminal; the name stands at the first row of each."""
    shown = Table(title=title, box=None, title_justify="left")
    for column in ("", "unsafe/safe/pairs", "arm", "at"):
        shown.add_column(column, no_wrap=True)
    for column in (*COLUMNS.values(), "unchecked", "failed"):
        shown.add_column(column, justify="right")
    before = None
    for group in found:
        size = f"{group.unsafe}/{group.safe}/{group.pairs}"
        head = (group.name, size) if group.name != before else ("", "")
        cells = [eval_prompts.cell(group.figures[name]) for name in COLUMNS]
        unseen = (str(group.unchecked), str(group.failed))
        shown.add_row(*head, group.arm, group.at.name.lower(), *cells, *unseen)
        before = group.name
    return shown


def _unseen(results: Results) -> str:
    """What went unseen, by its reason: never the same as clean."""
    parts = []
    for arm in results.arms:
        outcomes = [item.outcomes[arm] for item in results.judged]
        reasons = [f"unchecked: {why}" for out in outcomes for why in out.unchecked]
        reasons += [f"failed: {name}" for out in outcomes for name in out.failed]
        told = ", ".join(f"{why} {reasons.count(why)}" for why in sorted(set(reasons)))
        parts.append(f"{arm}: {told or 'all was looked at'}")
    return "Records not wholly looked at: " + "; ".join(parts) + "."
