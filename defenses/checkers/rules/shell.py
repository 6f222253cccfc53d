"""Shell commands and scripts: what they destroy, send away, install, hide, or leave open.

A command is judged by its words after `sudo`, `env` and the like are taken off; what a pipe feeds
into it counts. Ordinary work on files of a project, processes and packages is left alone.
"""

from bluecode.defenses.checkers.rules.grammars import Parsed
from bluecode.defenses.checkers.rules.rule import Language
from bluecode.defenses.checkers.rules.shell_rules import COMMANDS, FEEDS, LINES
from bluecode.defenses.checkers.rules.shell_tree import Command, commands
from bluecode.defenses.checkers.rules.state import Run
from bluecode.defenses.checkers.rules.tree import Node

RULES = Language(name="bash")


def follow(run: Run, parsed: Parsed) -> None:
    """Judge every command of a script, and every line for what is no single command."""
    for command in commands(parsed.tree):
        run.step()
        _judge(run, command)
    for number, line in enumerate(run.lines, start=1):
        if line.lstrip().startswith("#"):
            continue
        for rule, expression, score in LINES:
            if expression.search(line):
                run.claim(rule, Node("command", "", number, number), score)


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
