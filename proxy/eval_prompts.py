"""Prompts of `bluecode eval`: every arm on every record, in groups, for people and for programs."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import anyio
from rich.table import Table

from bluecode.defenses import arms, evaluation, prompt_evaluation
from bluecode.defenses.evaluation import Row
from bluecode.defenses.intervals import Figure, wilson
from bluecode.defenses.policy import Policy
from bluecode.proxy.config import JudgeConfig

BY: Final[dict[str, str]] = {
    "kind": "Prompts by the sets' own kinds, full default",
    "language": "Prompts by language or script, full default",
    "obfuscation": "Prompts by what they hide, full default",
}
FEWEST: Final = 5
"""Records of a group in a table; --format json has all."""
WIDE: Final = 140
"""Columns of a terminal that has room for the figures at both thresholds."""
AT_ONCE: Final = 8
"""Prompts that the judge is asked about at once."""


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
    judged: tuple[prompt_evaluation.Judged, ...] = ()


def screen(policy: Policy, prompts: Prompts) -> Scored:
    """Score one set of prompts."""
    return anyio.run(screened, policy, prompts)


async def screened(policy: Policy, prompts: Prompts) -> Scored:
    """What every arm that needs no model makes of one set."""
    given = [prompt_evaluation.read(json.loads(it), prompts.source) for it in prompts.lines]
    looks = arms.local(policy)
    judged = [await prompt_evaluation.judge(record, looks) for record in given]
    row = evaluation.row_of(prompts.source, judged, policy)
    return Scored(prompts.task, row, tuple(judged))


async def ask_judge(
    config: JudgeConfig, policy: Policy, scored: Sequence[Scored], prompts: Sequence[Prompts]
) -> tuple[Scored, ...]:
    """The same with the judge's arms, a few prompts at a time."""
    from bluecode.proxy.judge_model import open_judge

    judge = open_judge(replace(config, per_minute=10**6))
    arms_of_judge = arms.judged(policy, judge)
    limit = anyio.CapacityLimiter(AT_ONCE)
    told: list[Scored] = []
    try:
        for own, given in zip(scored, prompts, strict=True):
            looked: dict[int, prompt_evaluation.Judged] = {}
            records = [prompt_evaluation.read(json.loads(it), given.source) for it in given.lines]

            async def ask(
                at: int,
                record: prompt_evaluation.Prompt,
                looked: dict[int, prompt_evaluation.Judged] = looked,
            ) -> None:
                async with limit:
                    looked[at] = await prompt_evaluation.judge(record, arms_of_judge)

            async with anyio.create_task_group() as tasks:
                for at, record in enumerate(records):
                    tasks.start_soon(ask, at, record)
            both = [
                replace(item, looked={**item.looked, **looked[at].looked})
                for at, item in enumerate(own.judged)
            ]
            told.append(replace(own, judged=tuple(both)))
    finally:
        await judge.close()
    return tuple(told)


def judged_in(scored: Sequence[Scored]) -> list[prompt_evaluation.Judged]:
    return [item for own in scored for item in own.judged]


def arms_of(scored: Sequence[Scored]) -> list[str]:
    """The arms, in their order."""
    return list(dict.fromkeys(name for item in judged_in(scored) for name in item.looked))


def groups(scored: Sequence[Scored]) -> dict[str, list[prompt_evaluation.Group]]:
    """The figures of prompts, by what they are grouped by."""
    return {
        name: prompt_evaluation.groups(judged_in(scored), key, arms_of(scored))
        for name, key in prompt_evaluation.KEYS.items()
    }


def group_json(group: prompt_evaluation.Group) -> dict[str, Any]:
    figures = {
        at: {
            **{name: None if it is None else asdict(it) for name, it in shares.items()},
            "f1": group.f1[at],
        }
        for at, shares in group.figures.items()
    }
    told = {"name": group.name, "task": group.category.value, "arm": group.arm}
    counts = {"unsafe": group.unsafe, "safe": group.safe}
    return {
        **told, **counts, **figures, "undecided": group.undecided, "partial": group.partial
    }  # fmt: skip


def source_json(scored: Scored) -> dict[str, Any]:
    row = scored.row
    figures = {
        at: {name: None if it is None else asdict(it) for name, it in shares_of(scores).items()}
        for at, scores in (("warn", row.warned), ("block", row.blocked))
    }
    auc, blocked = row.warned.auc, row.any_blocked
    told = {"source": row.name, "task": scored.task, "records": row.size}
    return {**told, **figures, "auc": auc, "blocked_in_any_category": blocked}


def shares_of(scores: evaluation.Scores) -> dict[str, Figure | None]:
    unsafe = scores.true_positives + scores.false_negatives
    safe = scores.false_positives + scores.true_negatives
    return {
        "recall": wilson(scores.true_positives, unsafe),
        "false_positive_rate": wilson(scores.false_positives, safe),
    }


def cell(figure: Figure | None) -> str:
    return "-" if figure is None else f"{figure.value:.2f} ({figure.low:.2f}-{figure.high:.2f})"


def undecided(scored: Sequence[Scored]) -> str:
    """Prompts that an arm could not decide about, or of which it did not read all."""
    parts = []
    for arm in arms_of(scored):
        looked = [it.looked[arm] for it in judged_in(scored) if arm in it.looked]
        reasons = [why for one in looked for why in one.unseen]
        told = ", ".join(f"{why} {reasons.count(why)}" for why in sorted(set(reasons)))
        parts += [f"{arm}: {told}"] if told else []
    told = "; ".join(parts) or "all were, by every arm"
    return f"Prompts not wholly looked at: {told}."


def arm_tables(scored: Sequence[Scored], width: int) -> list[Table]:
    """All arms side by side, then the last one that needs no model by kind of prompt."""
    found = groups(scored)
    title = "Prompts, all sources: arms side by side"
    tables = [arm_table(title, found["all"], width, named="arm")]
    for key, title in BY.items():
        own = [it for it in found[key] if it.arm == arms.FULL and it.unsafe + it.safe >= FEWEST]
        own = [it for it in own if not it.name.endswith(f": {prompt_evaluation.NONE}")]
        if len({item.name for item in own}) > 1:
            tables.append(arm_table(title, own, width, named="name"))
    return tables


def arm_table(
    title: str, found: Sequence[prompt_evaluation.Group], width: int, *, named: str
) -> Table:
    """Groups of prompts for a terminal; the task stands at the first row of each."""
    shown = _begun(title, width)
    shown.add_column("task", no_wrap=True)
    shown.add_column(named if named == "arm" else "", no_wrap=True, overflow="ellipsis")
    size = "unsafe/safe" if width >= WIDE else "records"
    for column in (size, *_headers(width), "F1", "open"):
        shown.add_column(column, justify="right", no_wrap=True)
    before = None
    for group in found:
        task = group.category.value
        cells = [
            share(group.figures[at][name], width)
            for at in _shown_at(width)
            for name in ("recall", "false_positive_rate")
        ]
        f1 = group.f1["block"]
        shown.add_row(
            task if task != before else "",
            getattr(group, named),
            f"{group.unsafe}/{group.safe}",
            *cells,
            "-" if f1 is None else f"{f1:.2f}",
            str(group.undecided) if group.undecided else "-",
        )
        before = task
    return shown


def _begun(title: str, width: int) -> Table:
    told = title if len(_shown_at(width)) > 1 else f"{title}, at the threshold of blocking"
    return Table(title=told, box=None, title_justify="left", pad_edge=False)


def _shown_at(width: int) -> tuple[str, ...]:
    """The thresholds for which a terminal has room; --format json has both."""
    return ("warn", "block") if width >= WIDE else ("block",)


def _headers(width: int) -> list[str]:
    if width < WIDE:
        return ["recall", "false pos."]
    return [f"{figure}, {at}" for at in _shown_at(width) for figure in ("recall", "false pos.")]


def share(figure: Figure | None, width: int) -> str:
    """A share with its interval, in whole percents where there is little room."""
    if figure is None or width >= WIDE:
        return cell(figure)
    value, low, high = (round(100 * it) for it in (figure.value, figure.low, figure.high))
    return f"{value} % ({low}-{high})"


def prompt_table(scored: Sequence[Scored], width: int) -> Table:
    """Sets of prompts for a terminal."""
    shown = _begun("Prompts by source", width)
    shown.add_column("source", no_wrap=True, overflow="ellipsis")
    shown.add_column("task", no_wrap=True)
    for column in ("records", *_headers(width), "AUC"):
        shown.add_column(column, justify="right", no_wrap=True)
    if width >= WIDE:
        shown.add_column("blocked at all", justify="right", no_wrap=True)
    for item in scored:
        row = item.row
        by = {"warn": row.warned, "block": row.blocked}
        cells = [share(it, width) for at in _shown_at(width) for it in shares_of(by[at]).values()]
        auc = "-" if row.warned.auc is None else f"{row.warned.auc:.3f}"
        rest = [f"{row.any_blocked:.3f}"] if width >= WIDE else []
        shown.add_row(row.name, item.task, str(row.size), *cells, auc, *rest)
    return shown
