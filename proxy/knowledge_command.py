"""`bluecode knowledge …`: the shipped cases, and the user's own records from proposal to rollback.

What is added or imported is only proposed. In force is what a named person has approved, from then
on and in a service that runs already within seconds.
"""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from bluecode.defenses import constitution, knowledge, terms
from bluecode.defenses.knowledge import TASKS, Case, KnowledgeBase, Match, Task
from bluecode.defenses.record_store import Record, StoreError, named, of_state
from bluecode.proxy import printing, stores
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.explanation import short

STYLES: Final[Mapping[str, str]] = {
    "proposed": "yellow",
    "enforced": "green",
    "altered": "bold red",
    "earlier": "dim",
    "withdrawn": "dim",
}
ALIKE: Final = 0.8
"""Similarity from which two cases say the same."""
Answer = Callable[[Config, Any], int]


def run(config: Config, given: Any) -> int:
    """Do what the command line asks for. Raises `ConfigError`."""
    try:
        return COMMANDS[given.action](config, given)
    except StoreError as error:
        raise ConfigError(str(error)) from error


def _list(config: Config, given: Any) -> int:
    rows: list[Record | Case] = []
    if given.shipped:
        rows += [case for case in knowledge.shipped().cases if _wanted(case, given)]
    else:
        rows += [record for record in _own(config) if _wanted(record.case, given)]
        rows = [row for row in rows if given.state in (None, _state(row))]
    if given.format == "json":
        printing.print_json([_json(row) for row in rows[: given.limit]])
        return 0
    if not rows:
        print(_nothing(config, given))
        return 0
    console = printing.console()
    for row in rows[: given.limit]:
        case = row.case if isinstance(row, Record) else row
        version = f" v{row.version}" if isinstance(row, Record) else ""
        head = Text.assemble((case.id, "bold"), version, "  ", _styled(_state(row)))
        head.append(f"  {case.task}, {_label(case)}, {case.category}", "dim")
        console.print(head, soft_wrap=True)
        console.print(Text(f"    {short(case.text)}"), soft_wrap=True)
    rest = f"; {len(rows) - given.limit} more, see --limit" if len(rows) > given.limit else ""
    console.print(f"{min(len(rows), given.limit)} records{rest}", style="dim")
    return 0


def _nothing(config: Config, given: Any) -> str:
    if given.shipped or given.task or given.label or given.state:
        return "No record fits."
    return (
        f"There are no records of your own in {stores.records_place(config)}."
        " `bluecode knowledge add` proposes"
        " one; `list --shipped` shows the shipped cases."
    )


def _show(config: Config, given: Any) -> int:
    versions = [record for record in _own(config) if record.case.id == given.id]
    shipped = [case for case in knowledge.shipped().cases if case.id == given.id]
    if not versions and not shipped:
        raise StoreError(f"There is no record `{given.id}`, of your own or shipped.")
    if given.format == "json":
        printing.print_json([*map(_json, versions), *map(_json, shipped)])
        return 0
    console = printing.console()
    for record in versions:
        told = f"proposed by {record.by}, {record.at}"
        if record.approved_by:
            told += f"; approved by {record.approved_by}, {record.approved_at}"
        state = Text.assemble(
            (f"{record.case.id} version {record.version}  ", "bold"), _styled(record.state)
        )
        console.print(state)
        console.print(f"  {told}", style="dim")
        _print_case(console, record.case)
    for case in shipped:
        console.print(Text.assemble((f"{case.id}  ", "bold"), ("shipped", "green")))
        _print_case(console, case)
    if versions:
        for revision, version, approved, by, at in stores.records(config).decisions(given.id):
            word = "approved" if approved else "withdrawn"
            console.print(f"  revision {revision}: version {version} {word} by {by}, {at}")
        _print_nearest(console, versions[-1].case)
    return 0


def _print_case(console: Console, case: Case) -> None:
    rows = {
        "task": f"{case.task}, {_label(case)}, {case.category}, channel {case.channel}",
        "principle": case.principle,
        "rationale": case.rationale or "-",
        "provenance": case.provenance or "-",
    }
    for name, value in rows.items():
        console.print(Text(f"  {name:<11}{value}"))
    console.print(Text("\n".join(f"    {line}" for line in case.text.splitlines())))


def _print_nearest(console: Console, case: Case) -> None:
    nearest = _nearest_shipped(case)
    if not nearest:
        return
    console.print("  nearest shipped cases", style="dim")
    for match in nearest:
        against = "  contradicts it" if _contradicts(match, case) else ""
        told = f"    {match.similarity:.2f}  {_label(match.case)}  {match.case.id}  "
        line = Text.assemble(told, short(match.case.text), (against, "bold yellow"))
        console.print(line)


def _nearest_shipped(case: Case) -> list[Match]:
    near = knowledge.shipped().nearest(terms.read(case.text), case.task, 2)
    return sorted((*near.unsafe, *near.safe), key=lambda match: -match.similarity)[:3]


def _contradicts(match: Match, case: Case) -> bool:
    return match.similarity >= ALIKE and match.case.unsafe != case.unsafe


def _add(config: Config, given: Any) -> int:
    text = _text_of(given)
    case = Case(
        id=given.id or named(given.task, text),
        task=given.task,
        unsafe=given.label == "unsafe",
        text=text,
        category=given.category,
        channel=given.channel,
        principle=given.principle or _principle(given.task, text),
        rationale=given.rationale,
        provenance=given.provenance,
    )
    record = stores.records(config, create=True).propose(case, given.by)
    console = printing.console()
    console.print(
        f"Proposed {case.id}, version {record.version}, in {stores.records_place(config)}."
    )
    _print_nearest(console, case)
    console.print(
        f"Not in force: `bluecode knowledge approve {case.id} --by NAME` puts it there.",
        style="yellow",
    )
    return 0


def _text_of(given: Any) -> str:
    if given.text is not None:
        return str(given.text).strip()
    try:
        raw = sys.stdin.read() if given.file == "-" else Path(given.file).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"`{given.file}` cannot be read: {error}.") from error
    return raw.strip()


def _principle(task: Task, text: str) -> str:
    """The principle of the nearest shipped case."""
    near = knowledge.shipped().nearest(terms.read(text), task, 1)
    matches = sorted((*near.unsafe, *near.safe), key=lambda match: -match.similarity)
    return matches[0].case.principle if matches else constitution.shipped().of(task)[0].id


def _approve(config: Config, given: Any) -> int:
    store = stores.records(config)
    if given.version is not None and len(given.ids) > 1:
        raise StoreError("`--version` is meant for one record.")
    for name in given.ids:
        revision = store.approve(name, given.by, given.version)
        printing.console().print(f"{name} is in force (revision {revision}).")
    return 0


def _withdraw(config: Config, given: Any) -> int:
    store = stores.records(config)
    for name in given.ids:
        revision = store.withdraw(name, given.by)
        printing.console().print(f"{name} is no longer in force (revision {revision}).")
    return 0


def _rollback(config: Config, given: Any) -> int:
    changed = stores.records(config).rollback(given.revision, given.by)
    told = f"changed: {', '.join(changed)}" if changed else "nothing had to change"
    printing.console().print(f"In force again is what was after revision {given.revision}; {told}.")
    return 0


def _import(config: Config, given: Any) -> int:
    try:
        lines = Path(given.file).read_text("utf-8").split("\n")
        cases = knowledge.parse(lines)
    except (OSError, UnicodeDecodeError, ValueError, TypeError, LookupError) as error:
        raise StoreError(f"`{given.file}` cannot be imported: {error}") from error
    store = stores.records(config, create=True)
    known = {record.case for record in store.records()}
    new = [case for case in cases if case not in known]
    for case in new:
        store.propose(case, given.by)
    told = f"; {len(cases) - len(new)} were there already" if len(new) < len(cases) else ""
    printing.console().print(f"Proposed {len(new)} records{told}. None is in force by that.")
    return 0


def _export(config: Config, given: Any) -> int:
    """Lines as `import` reads them; of each record the last version that fits."""
    records = [record for record in _own(config) if given.state in (None, record.state)]
    last = {record.case.id: record.case for record in records}
    lines = [json.dumps(_plain_json(case), ensure_ascii=False) for case in last.values()]
    text = "".join(f"{line}\n" for line in lines)
    if given.file == "-":
        sys.stdout.write(text)
        return 0
    try:
        Path(given.file).write_text(text, "utf-8")
    except OSError as error:
        raise StoreError(f"`{given.file}` cannot be written: {error.strerror}.") from error
    print(f"Wrote {len(lines)} records to {given.file}.")
    return 0


def _stats(config: Config, given: Any) -> int:
    own = _own(config)
    revision = stores.records(config).revision if stores.has_records(config) else 0
    shipped = knowledge.shipped().cases
    counts = {
        "shipped": _counts(shipped),
        **{
            state: _counts([record.case for record in of_state(own, state)])
            for state in ("enforced", "proposed", "withdrawn", "earlier", "altered")
        },
    }
    if given.format == "json":
        told = {"store": stores.records_place(config), "revision": revision, "counts": counts}
        printing.print_json({**told, "digest": knowledge.digest()})
        return 0
    kept = [name for name, found in counts.items() if name == "shipped" or any(found.values())]
    table = printing.table("task", "label", *kept)
    for name, column in zip(kept, table.columns[2:], strict=True):
        column.justify, column.header_style = "right", STYLES.get(name, "")
    for task in TASKS:
        for label in _LABELS:
            cells = [str(counts[name][f"{task}.{label}"]) for name in kept]
            table.add_row(task if label == _LABELS[0] else "", label, *cells)
    console = printing.console()
    console.print(table)
    console.print(f"shipped: digest {knowledge.digest()[:12]}", style="dim")
    console.print(f"your own: {stores.records_place(config)}, revision {revision}", style="dim")
    return 0


def _counts(cases: Sequence[Case]) -> dict[str, int]:
    found = Counter(f"{case.task}.{_label(case)}" for case in cases)
    return {f"{task}.{label}": found[f"{task}.{label}"] for task in TASKS for label in _LABELS}


_LABELS = ("unsafe", "safe")


def _duplicates(config: Config, given: Any) -> int:
    """Pairs that say the same; 1 where a pair bears opposite labels."""
    own = {record.case.id: record.case for record in _own(config)}
    found = list(_alike(list(own.values()), given.similarity))
    if given.format == "json":
        printing.print_json(
            [
                {
                    "id": case.id,
                    "other": match.case.id,
                    "similarity": match.similarity,
                    "contradiction": match.case.unsafe != case.unsafe,
                }
                for case, match in found
            ]
        )
    elif not found:
        print(f"None of your {len(own)} records says what another one or a shipped case says.")
    else:
        console = printing.console()
        for case, match in found:
            style = "bold red" if match.case.unsafe != case.unsafe else "dim"
            told = Text(f"{match.similarity:.2f}  ")
            told.append(case.id, "bold").append(f" ({_label(case)}) says what ", style)
            told.append(match.case.id, "bold").append(f" ({_label(match.case)}) says", style)
            console.print(told, soft_wrap=True)
    return 1 if any(match.case.unsafe != case.unsafe for case, match in found) else 0


def _alike(own: Sequence[Case], least: float) -> Iterator[tuple[Case, Match]]:
    if not own:
        return
    base = KnowledgeBase((*knowledge.shipped().cases, *own))
    first = len(base.cases) - len(own)
    for at, case in enumerate(own, first):
        near = base.nearest(
            terms.read(case.text), case.task, 3, without=range(at, first + len(own))
        )
        for match in sorted((*near.unsafe, *near.safe), key=lambda item: -item.similarity):
            if match.similarity >= least:
                yield case, match
    mine = KnowledgeBase(own)
    for at, case in enumerate(own):
        near = mine.nearest(terms.read(case.text), case.task, 3, without=range(at, len(own)))
        for match in (*near.unsafe, *near.safe):
            if match.similarity >= least:
                yield case, match


def _own(config: Config) -> list[Record]:
    return stores.records(config).records() if stores.has_records(config) else []


def _wanted(case: Case, given: Any) -> bool:
    return given.task in (None, case.task) and given.label in (None, _label(case))


def _state(row: Record | Case) -> str:
    return row.state if isinstance(row, Record) else "shipped"


def _label(case: Case) -> str:
    return "unsafe" if case.unsafe else "safe"


def _plain_json(case: Case) -> dict[str, Any]:
    fields = asdict(case)
    label = "unsafe" if fields.pop("unsafe") else "safe"
    return {**fields, "label": label}


def _json(row: Record | Case) -> dict[str, Any]:
    if isinstance(row, Case):
        return {**_plain_json(row), "state": "shipped"}
    rest = {key: value for key, value in asdict(row).items() if key != "case"}
    return {**_plain_json(row.case), **rest}


def _styled(state: str) -> Text:
    return Text(state, STYLES.get(state, ""))


COMMANDS: Final[Mapping[str, Answer]] = {
    "list": _list,
    "show": _show,
    "add": _add,
    "approve": _approve,
    "withdraw": _withdraw,
    "rollback": _rollback,
    "import": _import,
    "export": _export,
    "stats": _stats,
    "duplicates": _duplicates,
}
