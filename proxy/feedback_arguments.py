"""The command line of `bluecode feedback`. Imports nothing heavy."""

import argparse
from collections.abc import Callable
from typing import Any

from bluecode.defenses.verdict import Category

Prepare = Callable[[argparse.ArgumentParser], None]


def add(commands: Any, prepare: Prepare, run: Callable[..., int]) -> None:
    """`bluecode feedback …`; `prepare` adds what every command takes."""
    parser = commands.add_parser(
        "feedback",
        help="say that a decision was wrong, and see what was said",
        description="What people say of decisions, by the id in the header X-BlueCode-Request-Id"
        " and in the audit. It changes no verdict: it says which rules to look at, and `replay"
        " --feedback` measures a policy by it.",
    )
    actions = parser.add_subparsers(
        title="commands", metavar="COMMAND", required=True, dest="action"
    )

    def action(name: str, text: str) -> argparse.ArgumentParser:
        made: argparse.ArgumentParser = actions.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}."
        )
        prepare(made)
        made.set_defaults(command=run)
        return made

    added = action("add", "say what was wrong with a decision")
    added.add_argument("request", metavar="REQUEST", help="the request's id")
    said = added.add_mutually_exclusive_group(required=True)
    said.add_argument(
        "--false-positive", nargs="?", const="", metavar="RULE", help="a finding was none"
    )
    said.add_argument(
        "--missed",
        nargs="?",
        const="",
        choices=["", *(category.value for category in Category)],
        metavar="CATEGORY",
        help="something was not found: " + ", ".join(category.value for category in Category),
    )
    added.add_argument("--by", default="", metavar="NAME", help="who says it")
    removed = action("remove", "take back all that was said of a request")
    removed.add_argument("request", metavar="REQUEST", help="the request's id")
    for name, text in (
        ("list", "list all that was said, oldest first"),
        ("summary", "count requests by rule and category"),
    ):
        shown = action(name, text)
        shown.add_argument("--format", choices=("text", "json"), default="text")
