"""The command lines of `bluecode knowledge` and `bluecode constitution`. Imports nothing heavy."""

import argparse
from collections.abc import Callable
from typing import Any, Final

_TASKS: Final = ("injection", "malice", "bias")
_LABELS: Final = ("unsafe", "safe")
_STATES: Final = ("proposed", "enforced", "earlier", "withdrawn", "altered")
_FORMATS: Final = ("text", "json")
Prepare = Callable[[argparse.ArgumentParser], None]


def add_knowledge(commands: Any, prepare: Prepare, run: Callable[..., int]) -> None:
    """`bluecode knowledge …`; `prepare` adds what every command takes."""
    parser = commands.add_parser(
        "knowledge",
        help="the shipped cases and your own records",
        description="What BlueCode likens texts to: the shipped cases, and records of your own. A"
        " record is proposed, approved by a named person, and in force from then on: an unsafe one"
        " is found where nearly all of it stands in a message, a safe one clears a false alarm.",
    )
    actions = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, dest="action"
    )

    def action(name: str, text: str, more: str = "") -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.{more}"
        )
        prepare(made)
        made.set_defaults(command=run)
        return made

    listed = action("list", "list records")
    listed.add_argument("--shipped", action="store_true", help="the shipped cases instead")
    listed.add_argument("--task", choices=_TASKS)
    listed.add_argument("--label", choices=_LABELS)
    listed.add_argument("--state", choices=_STATES)
    listed.add_argument("--limit", type=_natural, default=50, metavar="N", help="default: 50")
    _formats(listed)
    shown = action("show", "show a record, its versions and decisions, and what is near it")
    shown.add_argument("id", metavar="ID")
    _formats(shown)
    added = action("add", "propose a record, or a new version of one", " It is not in force.")
    text = added.add_mutually_exclusive_group(required=True)
    text.add_argument("--text", help="the text itself")
    text.add_argument("--file", metavar="FILE", help="a file that holds it, or -")
    added.add_argument("--task", choices=_TASKS, required=True)
    added.add_argument("--label", choices=_LABELS, required=True)
    added.add_argument("--by", required=True, metavar="NAME", help="who proposes it")
    added.add_argument("--id", metavar="ID", help="default: made from the text")
    added.add_argument("--category", default="own", help="kind of case (default: own)")
    added.add_argument("--channel", default="user", help="where it stands (default: user)")
    added.add_argument("--principle", metavar="ID", help="default: that of the nearest case")
    added.add_argument("--rationale", default="", help="why it is labelled so")
    added.add_argument("--provenance", default="", help="where it comes from")
    approved = action("approve", "put records in force")
    approved.add_argument("ids", nargs="+", metavar="ID")
    approved.add_argument("--version", type=_natural, metavar="N", help="default: the last")
    approved.add_argument("--by", required=True, metavar="NAME", help="who approves")
    withdrawn = action("withdraw", "take records out of force")
    withdrawn.add_argument("ids", nargs="+", metavar="ID")
    withdrawn.add_argument("--by", required=True, metavar="NAME", help="who decides")
    back = action("rollback", "have in force again what was after an earlier revision")
    back.add_argument("revision", type=int, metavar="REVISION", help="see show and stats")
    back.add_argument("--by", required=True, metavar="NAME", help="who decides")
    brought = action("import", "propose the records of a JSONL file", " None is in force by that.")
    brought.add_argument("file", metavar="FILE")
    brought.add_argument("--by", required=True, metavar="NAME", help="who proposes them")
    taken = action("export", "write records as JSONL")
    taken.add_argument("file", nargs="?", default="-", metavar="FILE", help="default: -")
    taken.add_argument("--state", choices=_STATES, default=None, help="default: all")
    _formats(action("stats", "count cases and records"))
    alike = action(
        "duplicates",
        "find records that say what another one or a shipped case says",
        " Exit status 1 where two of opposite labels do.",
    )
    alike.add_argument("--similarity", type=_share, default=0.8, metavar="S", help="default: 0.8")
    _formats(alike)


def add_constitution(commands: Any, prepare: Prepare, run: Callable[..., int]) -> None:
    """`bluecode constitution …`; `prepare` adds what every command takes."""
    parser = commands.add_parser(
        "constitution",
        help="the principles that verdicts cite",
        description="The two-sided principles that verdicts on prompts cite: what makes a text"
        " unsafe, what keeps it safe, and examples of both.",
    )
    actions = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, dest="action"
    )

    def action(name: str, text: str, more: str = "") -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.{more}"
        )
        prepare(made)
        made.set_defaults(command=run)
        return made

    shown = action("show", "show all principles, those of a task, or one with its examples")
    tried = action(
        "test",
        "try the examples of the principles on the detectors",
        " Exit status 1 where one does not hold, 3 where a detector failed.",
    )
    for command in (shown, tried):
        command.add_argument("id", nargs="?", metavar="ID", help="a principle or a task")
        command.add_argument("--constitution", metavar="FILE", help="default: the shipped one")
        _formats(command)
    tried.add_argument("--policy", metavar="FILE", help="policy file: thresholds, modes, rules")
    compared = action("diff", "show what differs", " Exit status 1 where something does.")
    compared.add_argument("old", metavar="OLD")
    compared.add_argument("new", nargs="?", metavar="NEW", help="default: the shipped one")
    _formats(compared)
    explained = action(
        "explain",
        "show what stands behind the findings of a verdict",
        " Reads what `bluecode screen --format json` printed, the JSON of an answer, or an audit.",
    )
    explained.add_argument("verdict", metavar="FILE", help="a file, or - for standard input")
    explained.add_argument("--request", metavar="ID", help="one request of an audit")
    built = action(
        "build",
        "draft a constitution from the cases",
        " Clusters them by task and kind; with a judge in the settings it drafts the principles,"
        " without one their sides are left for a person to write. Nothing comes into force.",
    )
    built.add_argument("--task", choices=_TASKS, help="default: all")
    built.add_argument("--out", default="-", metavar="FILE", help="default: -")
    built.add_argument("--without-judge", action="store_true", help="do not ask the judge")


def _formats(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=_FORMATS, default="text", help="default: text")


def _natural(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share over 0 and at most 1")
    return number
