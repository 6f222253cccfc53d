"""`bluecode constitution …`: the principles that verdicts cite, and whether detectors hold them."""

import difflib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import anyio
from rich.console import Console
from rich.text import Text

from bluecode.defenses import constitution, constitution_draft, knowledge
from bluecode.defenses.constitution import Constitution, Principle
from bluecode.defenses.constitution_draft import Draft
from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.judge import Judge
from bluecode.defenses.knowledge import TASKS, Case
from bluecode.defenses.policy import Policy, PolicyError
from bluecode.defenses.record_store import StoreError
from bluecode.defenses.verdict import Action
from bluecode.proxy import printing, stores
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.engine import Engine
from bluecode.proxy.explanation import Explanation, short

Answer = Callable[[Config, Any], int]


@dataclass(frozen=True, slots=True)
class Tried:
    """One example of a principle, and what the detectors made of it."""

    principle: Principle
    text: str
    must: str
    """`fail` or `pass`."""
    action: Action
    score: float
    """The highest of the principle's task."""
    holds: bool
    unseen: tuple[str, ...]
    """Detectors that failed, and what was not looked at."""


def run(config: Config, given: Any) -> int:
    """Do what the command line asks for. Raises `ConfigError`."""
    try:
        return COMMANDS[given.action](config, given)
    except (StoreError, PolicyError, ValueError) as error:
        raise ConfigError(str(error)) from error


def read(path: str | None) -> Constitution:
    """A constitution with its examples; the shipped one for None. Raises `ValueError`."""
    if path is None:
        return constitution.exemplified()
    try:
        return Constitution.parse(Path(path).read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"`{path}` cannot be read: {error}.") from error
    except ValueError as error:
        raise ValueError(f"`{path}` is no constitution: {error}") from error


def _show(config: Config, given: Any) -> int:
    whole = read(given.constitution)
    wanted = [it for it in whole.principles.values() if given.id in (None, it.id, it.task)]
    if not wanted:
        raise ValueError(f"There is no principle and no task `{given.id}`.")
    if given.format == "json":
        printing.print_json([_json(item) for item in wanted])
    elif given.id in whole.principles:
        _print_principle(printing.console(), wanted[0])
    else:
        table = printing.table("principle", "unsafe when", "safe when", whole={"principle"})
        for item in wanted:
            table.add_row(Text(item.id, "bold"), item.unsafe, item.safe)
        printing.console().print(table)
    return 0


def _print_principle(console: Console, item: Principle) -> None:
    console.print(Text.assemble((item.id, "bold"), f"  {item.title}"))
    console.print(Text.assemble(("  unsafe when ", "red"), item.unsafe))
    console.print(Text.assemble(("  safe when   ", "green"), item.safe))
    for must, texts in (("fail", item.must_fail), ("pass", item.must_pass)):
        for text in texts:
            console.print(Text.assemble((f"  must {must}   ", "dim"), short(text)))
    for name in ("provenance", "reviewed_by"):
        if told := getattr(item, name):
            console.print(Text(f"  {name.replace('_', ' ')}: {told}", "dim"))


def _test(config: Config, given: Any) -> int:
    """0 where every example holds, 1 where one does not, 3 where a detector failed."""
    whole = read(given.constitution)
    chosen = [it for it in whole.principles.values() if given.id in (None, it.id, it.task)]
    if not any(item.must_fail or item.must_pass for item in chosen):
        raise ValueError("There is no example to try: the principles have none.")
    policy = Policy.load(config.policy)
    tried = anyio.run(_tried, config, policy, chosen)
    if given.format == "json":
        printing.print_json([_tried_json(item) for item in tried])
    else:
        _print_tried(chosen, tried)
    if any(item.unseen for item in tried):
        return 3
    return 0 if all(item.holds for item in tried) else 1


async def _tried(config: Config, policy: Policy, principles: Sequence[Principle]) -> list[Tried]:
    static = replace(policy, disabled=policy.disabled | {"dynamic"}, shadow=False)
    async with Engine.open(config, static) as engine:
        return [
            await _try(engine, item, text, must)
            for item in principles
            for must, texts in (("fail", item.must_fail), ("pass", item.must_pass))
            for text in texts
        ]


async def _try(engine: Engine, item: Principle, text: str, must: str) -> Tried:
    """An example that must fail has to be warned about at least, in its own category."""
    role = Role.TOOL if item.said_by == "tool" else Role.USER
    verdict = await engine.screen(Message(role=role, text=text))
    own = [finding for finding in verdict.findings if finding.category.value == item.task]
    acted = max((engine.policy.action_for(finding) for finding in own), default=Action.ALLOW)
    action = acted if must == "fail" else verdict.action
    return Tried(
        principle=item,
        text=text,
        must=must,
        action=action,
        score=max((finding.score for finding in own), default=0.0),
        holds=(action is not Action.ALLOW) == (must == "fail"),
        unseen=(*verdict.failed, *verdict.unchecked),
    )


def _print_tried(principles: Sequence[Principle], tried: Sequence[Tried]) -> None:
    table = printing.table(
        "", "principle", "must fail", "must pass", "title", whole={"", "principle"}
    )
    for item in principles:
        own = [one for one in tried if one.principle.id == item.id]
        sides = [[one for one in own if one.must == must] for must in ("fail", "pass")]
        cells = [f"{sum(one.holds for one in side)}/{len(side)}" if side else "-" for side in sides]
        sign = ("✓", "green") if all(one.holds for one in own) else ("✗", "bold red")
        table.add_row(Text(*(sign if own else ("·", "dim"))), item.id, *cells, item.title)
    console = printing.console()
    console.print(table)
    for one in tried:
        if not one.holds:
            word = "not found" if one.must == "fail" else f"false alarm ({_word(one.action)})"
            head = Text.assemble((f"{word}  ", "bold red"), (one.principle.id, "bold"))
            head.append(f"  score {one.score:.2f}", "dim")
            console.print(head)
            console.print(Text(f"    {short(one.text)}"))
        if one.unseen:
            told = f"not wholly looked at  {one.principle.id}  {', '.join(one.unseen)}"
            console.print(Text(told, "magenta"))
    held = sum(one.holds for one in tried)
    style = "green" if held == len(tried) else "bold red"
    console.print(Text(f"{held} of {len(tried)} examples hold.", style))


def _word(action: Action) -> str:
    return action.name.lower()


def _diff(config: Config, given: Any) -> int:
    """Principles that are new, gone or changed; 1 where there are any."""
    old, new = read(given.old), read(given.new)
    changes = list(_changes(old, new))
    if given.format == "json":
        printing.print_json(
            [{"id": key, "change": kind, "fields": lines} for key, kind, lines in changes]
        )
        return 1 if changes else 0
    console = printing.console()
    for key, kind, lines in changes:
        style = {"new": "green", "gone": "red"}.get(kind, "yellow")
        console.print(Text.assemble((f"{kind}  ", style), (key, "bold")))
        for line in lines:
            console.print(Text(f"    {line}", "green" if line[0] == "+" else "red"))
    console.print(f"{len(changes)} principles differ." if changes else "Nothing differs.")
    return 1 if changes else 0


def _changes(old: Constitution, new: Constitution) -> Iterator[tuple[str, str, list[str]]]:
    for key in sorted({*old.principles, *new.principles}):
        before, after = old.principles.get(key), new.principles.get(key)
        if before != after:
            kind = "new" if before is None else "gone" if after is None else "changed"
            rows = [_rows(item) if item is not None else [] for item in (before, after)]
            lines = list(difflib.ndiff(rows[0], rows[1]))
            yield key, kind, [line for line in lines if line[0] in "+-"]


def _rows(item: Principle) -> list[str]:
    rows = [f"{name}: {getattr(item, name)}" for name in ("title", "unsafe", "safe", "said_by")]
    rows += [f"must fail: {text}" for text in item.must_fail]
    return [*rows, *(f"must pass: {text}" for text in item.must_pass)]


def _explain(config: Config, given: Any) -> int:
    """What stands behind the findings of a verdict."""
    findings = list(_findings(_verdicts(given.verdict)))
    if given.request is not None:
        findings = [item for item in findings if item.get("request_id") == given.request]
    console = printing.console()
    if not findings:
        console.print("No finding on a prompt is in there: there is nothing to explain.")
        return 0
    explanation = Explanation(config)
    for item in findings:
        for line in explanation.told(item):
            console.print(line, soft_wrap=True)
    return 0


def _verdicts(name: str) -> list[Any]:
    """What a file holds: one JSON value, or one a line, as in the audit. Raises `ValueError`."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"`{name}` cannot be read: {error}.") from error
    try:
        return [json.loads(text)]
    except ValueError:
        lines = [line for line in text.split("\n") if line.strip()]
    try:
        return [json.loads(line) for line in lines]
    except ValueError as error:
        raise ValueError(f"`{name}` holds no verdict in JSON, and no lines of an audit.") from error


def _findings(values: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    """Findings on prompts, wherever they stand: results, answers, streams, audit lines."""
    for value in values:
        if isinstance(value, list):
            yield from _findings(value)
        if not isinstance(value, dict):
            continue
        for inner in ("bluecode", "results"):
            if inner in value:
                yield from _findings([value[inner]])
        listed = value.get("findings")
        for item in listed if isinstance(listed, list) else ():
            if isinstance(item, dict) and item.get("category") in TASKS:
                yield {"request_id": value.get("request_id"), **item}


def _build(config: Config, given: Any) -> int:
    """Write a draft; 3 where the judge failed at a part of it."""
    cases = _cases(config)
    found = list(constitution_draft.clusters(cases, [given.task] if given.task else TASKS))
    by, made = "", Draft(found)
    if config.judge is not None and not given.without_judge:
        by, made = config.judge.model, anyio.run(_drafted, config, found)
    text = constitution_draft.render(made, by=by, date=datetime.now(UTC).date().isoformat())
    if given.out == "-":
        sys.stdout.write(text)
    else:
        try:
            Path(given.out).write_text(text, "utf-8")
        except OSError as error:
            raise ValueError(f"`{given.out}` cannot be written: {error.strerror}.") from error
    told = f"{len(found)} clusters of {len(cases)} cases"
    if by:
        told += f"; {by} drafted {len(made.drafted)} principles, failed at {len(made.failed)}"
        print(f"bluecode: {told}. A person must review them.", file=sys.stderr)
    else:
        told += "; no judge is configured, so their two sides are empty"
        print(f"bluecode: {told}: a person must write them.", file=sys.stderr)
    return 3 if made.failed else 0


async def _drafted(config: Config, found: Sequence[constitution_draft.Cluster]) -> Draft:
    from bluecode.proxy.judge_model import open_judge

    assert config.judge is not None
    judge: Judge = open_judge(config.judge)
    try:
        return await constitution_draft.draft(judge, found)
    finally:
        await judge.close()


def _cases(config: Config) -> list[Case]:
    """The shipped cases, and the user's own that are in force."""
    return [*knowledge.shipped().cases, *stores.enforced(config)]


def _json(item: Principle) -> dict[str, Any]:
    return {
        "id": item.id,
        "title": item.title,
        "unsafe": item.unsafe,
        "safe": item.safe,
        "must_fail": list(item.must_fail),
        "must_pass": list(item.must_pass),
        "said_by": item.said_by,
        "provenance": item.provenance,
        "reviewed_by": item.reviewed_by,
    }


def _tried_json(item: Tried) -> dict[str, Any]:
    return {
        "principle": item.principle.id,
        "text": item.text,
        "must": item.must,
        "action": _word(item.action),
        "score": item.score,
        "holds": item.holds,
        "unseen": list(item.unseen),
    }


COMMANDS: Final[Mapping[str, Answer]] = {
    "show": _show,
    "test": _test,
    "diff": _diff,
    "explain": _explain,
    "build": _build,
}
