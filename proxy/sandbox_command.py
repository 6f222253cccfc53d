"""`bluecode sandbox run`: runs a snippet in the sandbox and shows what it tried to do.

Its functions are called with marked values in the place of outside data; a mark that arrives at a
file, a command or a query is shown as `{its name}`. Nothing is attacked and nothing is judged: for
that there is `bluecode check`.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import anyio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bluecode.defenses import language as languages
from bluecode.defenses.checkers.c_observed import Look
from bluecode.defenses.checkers.observations import Entry, Observations, Sink, read
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.inspection import STDIN, Source
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import Ended, Event, Outcome
from bluecode.sandbox.workers import Sandbox

TOKEN: Final = "bluemark"
LIMITS: Final = Limits(fuel=2_000_000_000, seconds=5.0)
GUESTS: Final[Mapping[str, str]] = {
    "python": "python", "javascript": "javascript", "typescript": "javascript", "c": "c",
    "cpp": "c",
}  # fmt: skip
"""Which guest runs a language."""

GROUPS: Final[Mapping[str, str]] = {
    "path": "file", "permission": "file", "shell": "command", "argv": "command", "sql": "query",
    "ldap": "query", "xpath": "query", "url": "connection", "connect": "connection",
    "send": "connection", "code": "dynamic code", "template": "dynamic code",
    "object": "dynamic code", "import": "dynamic code", "xml": "document", "page": "answer",
    "redirect": "answer", "raw_header": "answer", "cookie": "answer", "log": "log",
    "weak": "cryptography", "hash": "cryptography", "iv": "cryptography", "salt": "cryptography",
    "random": "cryptography", "format": "format", "environment": "environment",
    "defect": "defect",
}  # fmt: skip
STYLES: Final[Mapping[str, str]] = {
    "file": "cyan", "command": "red", "query": "yellow", "connection": "magenta",
    "dynamic code": "bold red", "defect": "bold red", "tampering": "bold white on red",
}  # fmt: skip
WHY: Final[Mapping[Ended, str]] = {
    "exited": "ran to its end",
    "trapped": "was ended: the interpreter broke down",
    "timed_out": "was ended: out of time",
    "out_of_fuel": "was ended: too much work",
    "out_of_memory": "was ended: too much memory",
    "flooded": "was ended: too many events",
}
ROWS: Final = 200
MARK: Final = re.compile(TOKEN + r"(?P<letter>[a-z])|47(?P<digits>\d\d)(?!\d)")
"""How the guests mark data of their sources, as text and as a number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that the snippet tried."""

    group: str
    kind: str
    api: str
    line: int
    """0 where it is not known."""
    text: str
    sources: tuple[str, ...]
    """Names of the outside data in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """All that is known of one run."""

    path: str
    language: str
    outcome: Outcome
    seen: Observations
    actions: tuple[Action, ...]
    why: str = ""
    """What a compiler said against it."""

    @property
    def whole(self) -> bool:
        """Did all of the snippet get its chance?"""
        return self.outcome.ended == "exited" and self.seen.finished


def run(config: Config, name: str, *, language: str | None, style: str) -> int:
    """Run a file and print what it tried; 0 if it ran to its end, 3 if not."""
    source = Source.read(name)
    named = None if source.path == STDIN else languages.of_path(source.path)
    spoken = language or named
    if spoken is None or spoken not in GUESTS:
        raise ConfigError(
            f"`{source.path}` is in no language that the sandbox runs; "
            f"say which by `--language`: {', '.join(GUESTS)}."
        )
    done = anyio.run(_observed, config, source, spoken)
    if style == "json":
        print(json.dumps(as_json(done), indent=2, ensure_ascii=True))
    else:
        show(done, Console(highlight=False))
    return 0 if done.whole else 3


def program(code: str, language: str) -> Program:
    """The job: every function called once with marked values, without an attack."""
    job = {"code": code, "language": language, "token": TOKEN, "probes": [], "claims": []}
    return Program(GUESTS[language], json.dumps(job, ensure_ascii=True).encode())


async def _observed(config: Config, source: Source, language: str) -> Run:
    async with Sandbox.open(cache=config.cache_dir, workers=1) as sandbox:
        await sandbox.warm()
        if GUESTS[language] != "c":
            outcome = await sandbox.run(program(source.text, language), LIMITS)
            return observed(source.path, language, outcome)
        if not sandbox.compiles:
            raise ConfigError(f"to run {language}, a compiler is needed: install `bluecode[c]`.")
        try:
            look = Look.at(source.text, language, TOKEN)
        except ValueError as error:
            raise ConfigError(f"`{source.path}`: {error}.") from error
        outcome = await sandbox.run(look.job, LIMITS)
        told = replace(outcome, events=look.events(outcome))
        return observed(source.path, language, told, why=complaint(outcome))


def complaint(outcome: Outcome) -> str:
    """Why a text does not compile; empty for one that does."""
    wrong = [event for event in outcome.events if event.trusted and event.kind == "unreadable"]
    return "" if not wrong else plain(": ".join(map(str, reversed(wrong[0].args))))


def observed(path: str, language: str, outcome: Outcome, why: str = "") -> Run:
    """What an outcome says, each action once and in the order in which it was first tried."""
    seen = read(outcome.events)
    found = dict.fromkeys([*_tampering(outcome.events), *_actions(seen)])
    return Run(
        path=path,
        language=language,
        outcome=outcome,
        seen=seen,
        actions=tuple(found)[:ROWS],
        why=why,
    )


def _actions(seen: Observations) -> Iterator[Action]:
    for entry in seen.entries:
        for sink in (sink for call in entry.calls for sink in call.sinks):
            if sink.kind in GROUPS:
                yield _action(entry, sink)


def _action(entry: Entry, sink: Sink) -> Action:
    names = [_short(name) for name in entry.sources]

    def named(mark: re.Match[str]) -> str:
        at = ord(mark["letter"]) - ord("a") if mark["letter"] else int(mark["digits"])
        return f"{{{names[at]}}}" if at in sink.sources and at < len(names) else mark[0]

    return Action(
        group=GROUPS[sink.kind],
        kind=sink.kind,
        api=plain(sink.api),
        line=sink.line,
        text=plain(MARK.sub(named, sink.text)),
        sources=tuple(names[at] for at in sink.sources if 0 <= at < len(names)),
    )


def _short(name: str) -> str:
    return plain(name.removeprefix("p:"))


def _tampering(events: Sequence[Event]) -> Iterator[Action]:
    """Attempts to get at the sandbox's own code, told by the interpreter itself."""
    for event in events:
        if event.trusted and event.kind == "guard.forgery":
            api = plain(str(event.args[0])) if event.args else ""
            yield Action(group="tampering", kind="forgery", api=api, line=0, text="", sources=())


def plain(text: str) -> str:
    """The text on one line, with nothing in it that moves a cursor or turns letters around."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def as_json(done: Run) -> dict[str, Any]:
    """The run for programs."""
    outcome = done.outcome
    return {
        "file": done.path,
        "language": done.language,
        "ended": outcome.ended,
        "finished": done.whole,
        "readable": bool(done.seen.readable),
        "fuel": outcome.fuel_used,
        "milliseconds": round(outcome.seconds * 1000, 2),
        "memory_bytes": outcome.memory_peak,
        "actions": [
            {
                "what": action.group,
                "kind": action.kind,
                "how": action.api,
                "line": action.line or None,
                "text": action.text,
                "from": list(action.sources),
            }
            for action in done.actions
        ],
        "called": [
            {"name": plain(entry.name), "role": entry.role, "lines": [entry.first, entry.last]}
            for entry in done.seen.entries
        ],
    }


def show(done: Run, console: Console) -> None:
    """The run for people: a table, and a line that sums up."""
    if done.actions:
        console.print(table(done.actions))
    console.print(summary(done), soft_wrap=True)


def table(actions: Sequence[Action]) -> Table:
    shown = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    shown.add_column("what")
    shown.add_column("line", justify="right")
    shown.add_column("how", overflow="fold")
    shown.add_column("with", overflow="fold", ratio=1)
    for action in actions:
        shown.add_row(
            Text(action.group, style=STYLES.get(action.group, "")),
            Text(str(action.line or ""), style="dim"),
            Text(action.api),
            marked(action),
        )
    return shown


def marked(action: Action) -> Text:
    """The text of an action, outside data in bold."""
    text = Text(action.text)
    for name in action.sources:
        text.highlight_regex(re.escape(f"{{{name}}}"), "bold yellow")
    return text


def summary(done: Run) -> Text:
    outcome = done.outcome
    if not done.seen.readable:
        word, style = f"does not parse as {done.language}", "red"
        if done.why:
            word = f"does not compile as {done.language}: {done.why}"
    elif outcome.ended == "exited" and not done.whole:
        word, style = "left before all of it was tried", "yellow"
    else:
        word, style = WHY[outcome.ended], "green" if done.whole else "yellow"
    used = (
        f"{outcome.seconds * 1000:.1f} ms, {outcome.fuel_used / 1e6:.1f} M fuel, "
        f"{outcome.memory_peak / 2**20:.0f} MiB"
    )
    return Text.assemble((plain(done.path), "bold"), " ", (word, style), (f"  {used}", "dim"))
