"""The command line of `bluecode redteam`; what its commands do is in `redteam_command.py`.

Kept apart so that help comes at once: nothing heavy is imported here.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

GENERATORS: Final = ("policy", "search", "pairs", "indirect")
ENGINES: Final = ("local", "ray")
DETECTORS: Final = "detectors"
"""The target that is no address: the detectors, in this process."""
Adds = Sequence[Callable[[argparse.ArgumentParser], None]]
"""What adds the flags that every command has."""


def add(commands: Any, common: Adds) -> None:
    """Add the command with its own commands."""
    redteam = commands.add_parser(
        "redteam",
        help="attack a deployment, and learn from what got through",
        description="Make attacks, try them, report, compare two campaigns, and turn survivors into"
        " knowledge that a person approves.",
    )
    parts = redteam.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(parts, common)
    _add_report(parts)
    _add_diff(parts)
    _add_harvest(parts, common)
    _add_loop(parts, common)


def _add_run(parts: Any, common: Adds) -> None:
    run = parts.add_parser(
        "run",
        help="make attacks and try them",
        description="Make attacks and lawful neighbours, try them on a target, and write down what"
        " came of each. The same seed makes the same cases. Stopped, it goes on where it was when"
        " it is called again. Exit status 3 where some case could not be tried.",
    )
    run.add_argument("state", type=Path, metavar="FOLDER", help="where the campaign is kept")
    run.add_argument("--seed", type=int, default=1, metavar="N", help="default: 1")
    run.add_argument(
        "--count", type=_natural, default=20, metavar="N", help="cases of each lane (default: 20)"
    )
    run.add_argument(
        "--generators",
        default=",".join(GENERATORS),
        metavar="NAMES",
        help=f"of {', '.join(GENERATORS)} (default: all)",
    )
    run.add_argument(
        "--categories", default="", metavar="NAMES", help="such as malice.worm (default: all)"
    )
    run.add_argument(
        "--without",
        default="",
        metavar="KINDS",
        help="kinds of operators that are not used, such as encoding,suffix",
    )
    run.add_argument("--minutes", type=_positive, metavar="N", help="stop after so long")
    run.add_argument("--cost", type=_positive, metavar="N", help="stop when models cost so much")
    run.add_argument("--jobs", type=_natural, metavar="N", help="processes (default: all cores)")
    run.add_argument(
        "--engine",
        choices=ENGINES,
        default="local",
        help="where the work is done: processes here, or Ray (bluecode[ray]; default: local)",
    )
    run.add_argument(
        "--target",
        default=DETECTORS,
        metavar="URL",
        help="a running BlueCode with /v1 (default: the detectors, in this process)",
    )
    run.add_argument("--model", default="demo", help="model to ask for behind --target")
    run.add_argument(
        "--effect",
        action="store_true",
        help="judge by what the model behind --target answers, not by the verdict alone",
    )
    run.add_argument("--key-file", type=Path, metavar="FILE", help="key for --target")
    run.add_argument(
        "--attacker",
        metavar="URL",
        help="a model that writes attacks: an OpenAI-compatible address, or a litellm name",
    )
    run.add_argument("--attacker-model", default="", metavar="NAME", help="its name there")
    run.add_argument("--attacker-key-file", type=Path, metavar="FILE", help="key for --attacker")
    run.add_argument(
        "--price",
        type=_price,
        default=(0.0, 0.0),
        metavar="IN,OUT",
        help="of a million tokens read and written, for --cost",
    )
    run.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    for more in common:
        more(run)
    run.set_defaults(command=_run)


def _add_report(parts: Any) -> None:
    report = parts.add_parser("report", help="show what a campaign found")
    report.add_argument("state", type=Path, metavar="FOLDER")
    report.add_argument("--html", type=Path, metavar="FILE", help="write a page with plots")
    report.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    report.add_argument(
        "--pairs", type=Path, metavar="FILE", help="write the verified pairs as JSON lines"
    )
    report.set_defaults(command=_report)


def _add_diff(parts: Any) -> None:
    diff = parts.add_parser("diff", help="compare two campaigns")
    diff.add_argument("before", type=Path, metavar="BEFORE")
    diff.add_argument("after", type=Path, metavar="AFTER")
    diff.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    diff.set_defaults(command=_diff)


def _add_harvest(parts: Any, common: Adds) -> None:
    gather = parts.add_parser(
        "harvest",
        help="propose survivors as knowledge",
        description="Write survivors and their lawful neighbours as candidates, with what the"
        " quality gate has against each. --approve, by a person's name, or --accept, by the gate,"
        " turns candidates into records of the knowledge base. None of this changes what enforces.",
    )
    gather.add_argument("state", type=Path, nargs="?", metavar="FOLDER", help="a campaign's folder")
    gather.add_argument(
        "--from",
        dest="sources",
        type=Path,
        nargs="+",
        default=(),
        metavar="FILE",
        help="results of promptfoo or PyRIT instead: what the detectors let pass is proposed",
    )
    gather.add_argument(
        "--task",
        choices=("malice", "bias", "injection"),
        help="what attacks in --from are about, where the file does not tell",
    )
    gather.add_argument(
        "--must-pass",
        type=Path,
        metavar="FILE",
        help="texts that must not be stopped, as labelled records: with --accept, no case is"
        " taken that has the fitted models stop one which passed before",
    )
    gather.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="candidates, one a line"
    )
    gather.add_argument("--each", type=_natural, default=8, metavar="N", help="pairs a category")
    gather.add_argument("--approve", metavar="NAME", help="the person who approves")
    gather.add_argument(
        "--only", nargs="+", metavar="ID", help="what is approved (default: all, after --approve)"
    )
    gather.add_argument(
        "--accept", action="store_true", help="approve what the quality gate lets pass"
    )
    gather.add_argument("--records", type=Path, metavar="FILE", help="write approved records here")
    gather.add_argument(
        "--measure",
        action="store_true",
        help="fit the models with the approved records, in memory, and show before and after",
    )
    gather.add_argument(
        "--sets", nargs="*", type=Path, default=(), metavar="PATH", help="labelled sets, for that"
    )
    gather.add_argument("--jobs", type=_natural, metavar="N", help="processes")
    for more in common:
        more(gather)
    gather.set_defaults(command=_harvest)


def _add_loop(parts: Any, common: Adds) -> None:
    turns = parts.add_parser(
        "loop",
        help="attack, harvest, learn and measure in rounds",
        description="Attack the detectors, learn from what the quality gate accepts, measure on a"
        " frozen set that no round sees, and again. All in memory: what serves is not changed.",
    )
    turns.add_argument("out", type=Path, metavar="FOLDER", help="curve, candidates and records")
    turns.add_argument("--rounds", type=_natural, default=5, metavar="N", help="default: 5")
    turns.add_argument("--each", type=_natural, default=14, metavar="N", help="wishes a category")
    turns.add_argument("--kept", type=_natural, default=14, metavar="N", help="pairs a category")
    turns.add_argument("--seed", type=int, default=1, metavar="N", help="default: 1")
    turns.add_argument(
        "--sets", nargs="*", type=Path, default=(), metavar="PATH", help="labelled sets"
    )
    turns.add_argument(
        "--must-pass",
        type=Path,
        metavar="FILE",
        help="texts that must not be stopped, as labelled records: a round that would stop one is"
        " given up",
    )
    turns.add_argument("--jobs", type=_natural, metavar="N", help="processes")
    for more in common:
        more(turns)
    turns.set_defaults(command=_loop)


def _natural(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return number


def _price(text: str) -> tuple[float, float]:
    read, _, written = text.partition(",")
    return _positive(read), _positive(written or read)


def _run(given: argparse.Namespace) -> int:
    from bluecode.proxy import redteam_command

    return redteam_command.run(given)


def _report(given: argparse.Namespace) -> int:
    from bluecode.proxy import redteam_command

    return redteam_command.report(given)


def _diff(given: argparse.Namespace) -> int:
    from bluecode.proxy import redteam_command

    return redteam_command.diff(given)


def _harvest(given: argparse.Namespace) -> int:
    from bluecode.proxy import redteam_command

    return redteam_command.harvest(given)


def _loop(given: argparse.Namespace) -> int:
    from bluecode.proxy import redteam_command

    return redteam_command.loop(given)
