"""Commands out of a shell script's tree: who is run with which words, fed by what."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from bluecode.defenses.checkers.rules.tree import EMPTY, Node

_WRAPPERS = frozenset({"sudo", "nohup", "time", "command", "exec", "builtin", "nice", "ionice",
                       "stdbuf", "setsid", "doas", "env", "timeout", "xargs", "busybox", "then",
                       "do", "else", "!", "$", "#", "%"})  # fmt: skip
_WITH_VALUE = {"sudo": frozenset({"-u", "-g", "-C", "-h", "-p", "-U"}),
               "nice": frozenset({"-n"}), "timeout": frozenset({"-s", "-k"}),
               "env": frozenset({"-u"}),
               "xargs": frozenset({"-I", "-n", "-P", "-L", "-d"})}  # fmt: skip


@dataclass(slots=True)
class Command:
    """One command as it will run."""

    name: str
    """The program's name without its folder; empty where it is not known."""
    words: list[str]
    """The arguments; inserted variables as `$x`, inserted commands as `$()`."""
    node: Node
    parts: list[Node]
    """The arguments as they stand in the tree."""
    elevated: bool = False
    """Run as root."""
    redirects: list[tuple[str, str]] = field(default_factory=list)
    fed_by: "Command | None" = None
    """The command before it in a pipe."""
    inner: list["Command"] = field(default_factory=list)
    """Commands inside its words."""
    given: str = ""
    """What a here-document gives it to read."""

    @property
    def flags(self) -> str:
        """All letters of short options."""
        return "".join(w[1:] for w in self.words if re.fullmatch(r"-[A-Za-z]+", w))

    @property
    def plain(self) -> list[str]:
        """Words that are no options."""
        return [word for word in self.words if not word.startswith("-")]

    def has(self, *options: str) -> bool:
        """Is one of these words among the arguments?"""
        return any(word in options for word in self.words)

    @property
    def text(self) -> str:
        """The command as one line."""
        return " ".join([self.name, *self.words])


def commands(tree: Node) -> Iterator[Command]:
    """Every command of a script, those inside words included."""
    stack: list[tuple[Node, Command | None]] = [(tree, None)]
    while stack:
        node, feeder = stack.pop()
        if node.role == "command":
            made = _command(node)
            made.fed_by = feeder
            yield made
            for part in (*node.args, node.base or EMPTY):
                stack.append((part, None))
            for inner in made.inner:
                inner.fed_by = inner.fed_by
            continue
        if node.role == "binary" and node.name == "|":
            before: Command | None = feeder
            for part in node.args:
                last = part
                while last.role in ("other", "block", "binary") and last.args:
                    last = last.args[-1]
                stack.append((part, before))
                before = _command(last) if last.role == "command" else None
                if before is not None and feeder is not None:
                    before.fed_by = feeder
                feeder = before if before is not None else feeder
            continue
        for kid in node.kids():
            stack.append((kid, None))


def _command(node: Node) -> Command:
    parts: list[Node] = []
    redirects: list[tuple[str, str]] = []
    given = ""
    for arg in node.args:
        if arg.role == "redirect":
            text = " ".join(word_of(part) for part in arg.args)
            if arg.name == "<<":
                given = text
            redirects.append((arg.name, text))
        else:
            parts.append(arg)
    words = [word_of(part) for part in parts]
    name = word_of(node.base) if node.base is not None else ""
    made = Command(name, words, node, parts, redirects=redirects, given=given)
    _unwrap(made)
    made.name = made.name.replace("\\", "").strip("'\"").rpartition("/")[2]
    for part in parts:
        for below in part.walk():
            if below.role == "command" and below is not node:
                made.inner.append(_command(below))
    return made


def _unwrap(command: Command) -> None:
    """Take `sudo`, `env` and their kin off."""
    while command.name.rpartition("/")[2] in _WRAPPERS and command.words:
        wrapper = command.name.rpartition("/")[2]
        if wrapper in ("sudo", "doas"):
            command.elevated = True
        at = 0
        values = _WITH_VALUE.get(wrapper, frozenset())
        while at < len(command.words):
            word = command.words[at]
            if word in values:
                at += 2
            elif word.startswith("-") or re.match(r"^\w+=", word) or (
                wrapper == "timeout" and re.fullmatch(r"[\d.]+[smhd]?", word)
            ):  # fmt: skip
                at += 1
            else:
                break
        if at >= len(command.words):
            return
        command.name = command.words[at]
        command.words = command.words[at + 1 :]
        command.parts = command.parts[at + 1 :]


def word_of(node: Node) -> str:
    """A word as text."""
    if node.role in ("text", "name", "number", "constant"):
        return node.name
    if node.role == "join":
        return "".join(word_of(part) for part in node.args)
    if node.role == "call":
        return node.name + ")"
    if node.role in ("other", "block"):
        return "".join(word_of(part) for part in node.kids())
    return ""
