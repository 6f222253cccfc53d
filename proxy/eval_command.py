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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import anyio
from rich.console import Console
from rich.table import Table

from bluecode.defenses import code_evaluation, evaluation
from bluecode.defenses.checkers.dynamic_prover import DynamicProver
from bluecode.defenses.code_evaluation import Group, Judged, Record, SetError
from bluecode.defenses.detectors import DETECTORS
from bluecode.defenses.evaluation import Row
from bluecode.defenses.intervals import Figure, wilson
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.defenses.verdict import Action
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.engine import Engine

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


@dataclass(frozen=True, slots=True)
class Prompts:
    """One source of one prompt task, as lines of JSON."""

    source: str
    task: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """A set of prompts and what the detectors made of it."""

    task: str
    row: Row


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured."""

    arms: tuple[str, ...]
    judged: tuple[Judged, ...]
    scored: tuple[Scored, ...]

    @property
    def failed(self) -> bool:
        """Did a checker or the sandbox fail at a record, so that the figures are not whole?"""
        return any(out.failed for item in self.judged for out in item.outcomes.values())


def run(config: Config, asked: Asked, *, style: str, errors: bool) -> int:
    """Measure and print; 0, or 3 where something failed. Raises `ConfigError`."""
    try:
        policy = Policy.load(config.policy)
        code, prompts = sets(asked)
    except (PolicyError, SetError) as error:
        raise ConfigError(str(error)) from error
    try:
        results = measured(config, policy, asked, code, prompts)
    except BrokenProcessPool:
        print("bluecode: a process of the evaluation was ended from outside.", file=sys.stderr)
        return 3
    if style == "json":
        print(json.dumps(as_json(policy, results, errors=errors), indent=2, ensure_ascii=True))
    else:
        show(results, errors=errors)
    return 3 if results.failed else 0


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
            if task in evaluation.TASKS:
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
    arms = (STATIC,) if asked.static else (STATIC, BOTH)
    size = asked.jobs or _cores()
    shares = [share for share in (code[at::size] for at in range(size)) if share]
    if size == 1:
        judged = [check(config, policy, arms, share) for share in shares]
        scored = [screen(policy, item) for item in prompts]
    else:
        # What a fork would copy, threads and locks included, is not fit for a second event loop.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(size, mp_context=spawn) as pool:
            checks = [pool.submit(check, config, policy, arms, share) for share in shares]
            screens = [pool.submit(screen, policy, item) for item in prompts]
            judged = [item.result() for item in checks]
            scored = [item.result() for item in screens]
    return Results(arms, tuple(item for share in judged for item in share), tuple(scored))


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


def screen(policy: Policy, prompts: Prompts) -> Scored:
    """Score one set of prompts."""
    records = evaluation.read(prompts.lines)
    return Scored(prompts.task, anyio.run(evaluation.evaluate, prompts.source, records, policy))


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
        "prompts": [_prompts_json(scored) for scored in results.scored],
    }
    return {**told, "wrong": _wrong(results)} if errors else told


def _prompts_json(scored: Scored) -> dict[str, Any]:
    row = scored.row
    figures = {
        at: {name: None if it is None else asdict(it) for name, it in _shares(scores).items()}
        for at, scores in (("warn", row.warned), ("block", row.blocked))
    }
    auc, blocked = row.warned.auc, row.any_blocked
    told = {"source": row.name, "task": scored.task, "records": row.size}
    return {**told, **figures, "auc": auc, "blocked_in_any_category": blocked}


def _shares(scores: evaluation.Scores) -> dict[str, Figure | None]:
    unsafe = scores.true_positives + scores.false_negatives
    safe = scores.false_positives + scores.true_negatives
    return {
        "recall": wilson(scores.true_positives, unsafe),
        "false_positive_rate": wilson(scores.false_positives, safe),
    }


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
        console.print(prompt_table(results.scored))
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
        cells = [_cell(group.figures[name]) for name in COLUMNS]
        unseen = (str(group.unchecked), str(group.failed))
        shown.add_row(*head, group.arm, group.at.name.lower(), *cells, *unseen)
        before = group.name
    return shown


def _cell(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.2f} ({figure.low:.2f}-{figure.high:.2f})"


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


def prompt_table(scored: Sequence[Scored]) -> Table:
    """Sets of prompts for a terminal."""
    shown = Table("source", "task", title="Prompts by source", box=None, title_justify="left")
    for column in (
        "records",
        "recall, warn",
        "false positives, warn",
        "recall, block",
        "false positives, block",
        "AUC",
        "blocked at all",
    ):
        shown.add_column(column, justify="right")
    for item in scored:
        row = item.row
        figures = [*_shares(row.warned).values(), *_shares(row.blocked).values()]
        auc = "-" if row.warned.auc is None else f"{row.warned.auc:.3f}"
        cells = [_cell(figure) for figure in figures]
        shown.add_row(row.name, item.task, str(row.size), *cells, auc, f"{row.any_blocked:.3f}")
    return shown
