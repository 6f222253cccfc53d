"""What a C or C++ text tries to do when each of its functions is called once with marked values:
the run, and its events in the words of the other guests."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bluecode.defenses.checkers import c_functions
from bluecode.defenses.checkers.c_cases import Case, cases, harness, headers
from bluecode.defenses.checkers.c_functions import Function
from bluecode.sandbox.languages.c import program
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.outcome import Event, Outcome


@dataclass(frozen=True, slots=True)
class Look:
    """A text, and the calls that are made of it."""

    job: Program
    cases: tuple[Case, ...]
    token: str

    @classmethod
    def at(cls, code: str, language: str, token: str) -> "Look":
        """Raises `ValueError` for a text that is too long."""
        reading = c_functions.read(code, language)
        chosen = reading.functions
        benign = [case for case in cases(chosen, code, token, set()) if case.role == "benign"]
        made = tuple({case.function: case for case in reversed(benign)}.values())[::-1]
        text = headers(code, language) + '#line 1 "program"\n' + reading.code
        text += harness(chosen, language)
        return cls(program(text, [case.job for case in made], dialect=language), made, token)

    def events(self, outcome: Outcome) -> tuple[Event, ...]:
        """The events as a guest that calls functions itself would have told them."""
        return tuple(self._events(outcome))

    def _events(self, outcome: Outcome) -> Iterator[Event]:
        if any(event.kind == "unreadable" for event in outcome.events):
            return
        yield told("readable", "whole")
        for event in outcome.events:
            match event.trusted, event.kind, list(event.args):
                case True, "case", [int(at)] if at < len(self.cases):
                    item = self.cases[at].function
                    yield told("entry", item.name, "function", item.first, item.last)
                    yield told("sources", *names(item))
                    yield told("call", "benign", "", "", 0, "", "", "")
                case True, "ended", [str(ended), str(detail), bool()]:
                    yield told("end", "" if ended == "exited" else detail or ended, False, 0, 0)
                case False, "sink", [kind, api, line, str(text), *_, dict(detail)]:
                    yield told("sink", kind, api, line, text, self._sources(text), detail)
                case False, "fault", [str(kind), int(line), str(detail)]:
                    yield told("sink", "defect", kind, line, detail, [], {})
        if outcome.finished:
            yield told("done")

    def _sources(self, text: str) -> list[int]:
        letters = [chr(97 + at) for at in range(26)]
        return [at for at, letter in enumerate(letters) if f"{self.token}{letter}" in text]


def names(item: Function) -> Sequence[str]:
    """Names of what a function gets, in the order of the letters that mark it."""
    if item.is_main:
        return [f"argv[{at}]" for at in range(1, 25)] + ["environment", "input"]
    found = [f"p:{parameter.name}" for parameter in item.parameters[:24]]
    return found + [f"p:{at}" for at in range(len(found), 24)] + ["environment", "input"]


def told(kind: str, *values: object) -> Event:
    return Event(kind, values, trusted=False)
