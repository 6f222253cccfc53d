"""Shell commands and scripts: what they destroy, send away, install, hide, or leave open.

A command is judged by its words after `sudo`, `env` and the like are taken off; what a pipe feeds
into it counts. Ordinary work on files of a project, processes and packages is left alone.
"""

import re
from collections.abc import Iterator

from bluecode.defenses.checkers.rules.grammars import Parsed, parse
from bluecode.defenses.checkers.rules.rule import Language
from bluecode.defenses.checkers.rules.shell_rules import COMMANDS, FEEDS, LINES
from bluecode.defenses.checkers.rules.shell_tree import Command, commands
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node

RULES = Language(name="bash")


CLAIMS = frozenset(
    [rule for rule, _ in COMMANDS] + [rule for rule, _ in FEEDS] + [rule for rule, _, _ in LINES]
)
"""What is claimed of commands."""

_PIECE, _OVERLAP = 1500, 500
"""Characters of a line that are looked at together, and of two parts that are in both."""
_DEEPEST = 2
"""How far commands in the words of commands are read."""
_SCRIPT = re.compile(r"do shell script \\?[\"'](.+?)\\?[\"'](?:\s|$|\))", re.S)
_SCHEDULED = re.compile(r"^\s*(?:[\d*/,-]+\s+){5}(?=\S)|^@\w+\s+", re.M)
_ALIASED = re.compile(r"\balias\s+[\w-]+=(?:'([^']+)'|\"([^\"]+)\"|(\S+))")


def follow(run: Run, parsed: Parsed) -> None:
    """Judge every command of a script, and every line for what is no single command."""
    _all(run, parsed.tree, None, 0)
    for number, line in enumerate(run.lines, start=1):
        if line.lstrip().startswith("#"):
            continue
        for piece in _pieces(line):
            run.step()
            for rule, expression, score in LINES:
                if expression.search(piece):
                    run.claim(rule, Node("command", "", number, number), score)


def _pieces(line: str) -> Iterator[str]:
    """A line as it is, or parts that overlap: some expressions look again from each place."""
    for start in range(0, max(1, len(line) - _OVERLAP), _PIECE - _OVERLAP):
        yield line[start : start + _PIECE]


def _all(run: Run, tree: Node, place: Node | None, depth: int) -> None:
    for command in commands(tree):
        run.step()
        if place is not None:
            command.node = Node("command", "", place.line, place.last)
        _judge(run, command)
        if depth < _DEEPEST:
            for text in _told(command):
                _all(run, parse(text, "bash").tree, command.node, depth + 1)


def _told(command: Command) -> Iterator[str]:
    """Commands that stand as text in the words of another."""
    words = command.words
    if command.name in ("bash", "sh", "zsh", "dash", "su", "ksh") and "-c" in words[:-1]:
        yield words[words.index("-c") + 1]
    elif command.name in ("bash", "sh", "zsh") and command.given:
        yield command.given
    elif command.name in ("eval", "ssh", "watch", "trap"):
        yield " ".join(words if command.name != "ssh" else words[-1:])
    elif command.name == "osascript":
        yield from (found.group(1) for found in _SCRIPT.finditer(" ".join(words)))
    elif command.name in ("echo", "printf", "alias", "crontab", "cat", "tee"):
        text = " ".join([command.name, *words, command.given])
        for found in _ALIASED.finditer(text):
            yield next(part for part in found.groups() if part)
        if _SCHEDULED.search(" ".join(words)):
            yield _SCHEDULED.sub("", " ".join(words))


def _judge(run: Run, command: Command) -> None:
    for rule, test in COMMANDS:
        score = test(command)
        if score:
            run.claim(rule, command.node, score)
    if command.fed_by is not None:
        for rule, feed in FEEDS:
            score = feed(command.fed_by, command)
            if score:
                run.claim(rule, command.node, score)
