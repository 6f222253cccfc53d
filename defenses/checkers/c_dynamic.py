"""The dynamic checker for C and C++: each function is compiled with checks, called with what breaks
careless code, and watched.

Confirmed needs a defect of the claimed kind at the claimed statement, or a marked text where it
does something. Refuted needs that the statement was run with many different inputs, long texts and
numbers at their bounds among them, that nothing unknown took part, and that no defect was seen
anywhere in the function. All else is not testable, a text that does not compile first of all.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from bluecode.defenses.checkers import c_functions
from bluecode.defenses.checkers.c_cases import FORMATS, REFUSED, Case, cases, harness, headers
from bluecode.defenses.checkers.c_functions import Function, Reading
from bluecode.defenses.checkers.dynamic import DynamicReport
from bluecode.defenses.checkers.effects import Attack, Effect, judge
from bluecode.defenses.checkers.probes import PROBES, token_of
from bluecode.defenses.checkers.proof import OBSERVED, not_testable
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import DetectorError, Evidence, Finding
from bluecode.sandbox.directives import forges
from bluecode.sandbox.languages.c import program
from bluecode.sandbox.languages.language import Program
from bluecode.sandbox.limits import MEBIBYTE, Limits
from bluecode.sandbox.outcome import CompilerLate, Event, Outcome, SandboxUnavailable

LIMITS = Limits(
    fuel=1_500_000_000, seconds=2.0, events=6_000, event_bytes=2 * MEBIBYTE, output=512 * 1024
)
ENOUGH_TEXTS, ENOUGH_NUMBERS, LONG = 12, 12, 4_000
FUNCTIONS = 8
"""Functions of a text that are called; those with claims come first."""

OUT_OF_BOUNDS = "stack heap global wild bounds exhausted pointer-overflow"
KINDS: Mapping[str, frozenset[int]] = {
    "bounds": frozenset({119, 120, 121, 122, 124, 125, 126, 127, 129, 131, 170, 193, 242, 468, 676,
                         680, 785, 786, 787, 788, 805, 806, 823}),
    "freed": frozenset({415, 416, 672, 825}),
    "double-free": frozenset({415, 416, 672, 675, 1341}),
    "bad-free": frozenset({590, 761, 762, 763}),
    "scope": frozenset({416, 562, 825}),
    "null": frozenset({252, 253, 476, 690, 754}),
    "overflow": frozenset({190, 191, 128, 680, 681, 131}),
    "division": frozenset({369}),
}  # fmt: skip
"""Which weaknesses a kind of defect shows."""
SINKS: Mapping[int, tuple[str, ...]] = {
    134: ("format",), 78: ("shell",), 77: ("shell",), 74: ("shell",), 88: ("argv",),
    22: ("path",), 23: ("path",), 36: ("path",), 73: ("path",),
}  # fmt: skip
SHOWN = frozenset().union(*KINDS.values(), SINKS)
REFUTABLE = SHOWN - {88, 242, 252, 676}  # of 88, no run sees which program was meant
ALLOCATES = re.compile(r"\b(?:malloc|calloc|realloc|reallocarray|strn?dup|asprintf|new)\b")
UNTRIED_NULL = re.compile(r"\b(?:\w*getenv|dlsym|mmap|gethostby\w+|getpw\w+|localtime|setlocale)\b")
LOOPS = re.compile(r"\b(?:for|while|goto)\b")
OF_STYLE = re.compile(r"banned|unsafe_function|dangerous|gets$|deprecated|weak_", re.IGNORECASE)


class Compiles(Protocol):
    """The sandbox, as far as it is needed here."""

    @property
    def ready(self) -> bool: ...

    @property
    def compiles(self) -> bool: ...

    async def run(self, program: Program, limits: Limits | None = None) -> Outcome: ...


@dataclass(slots=True)
class Tried:
    """One case, and what came of it."""

    case: Case
    faults: list[tuple[str, int, str]] = field(default_factory=list)
    sinks: list[tuple[str, str, int, str]] = field(default_factory=list)
    lines: frozenset[int] = frozenset()
    ended: str = ""
    detail: str = ""

    @property
    def regular(self) -> bool:
        """Did it end by its own will?"""
        return self.ended == "exited" or self.detail == "unreachable"


@dataclass(frozen=True, slots=True)
class Run:
    """All that one run showed."""

    reading: Reading
    tried: Sequence[Tried]
    unknown: tuple[str, ...]
    whole: bool
    token: str
    code: str


class CDynamic:
    """Proves or refutes claims about C and C++ by compiling and running it in the sandbox."""

    name = "dynamic"
    languages = frozenset({"c", "cpp"})

    def __init__(self, sandbox: Compiles) -> None:
        self.sandbox = sandbox

    @property
    def ready(self) -> bool:
        """Is the sandbox warm?"""
        return self.sandbox.ready

    async def test(self, snippet: Snippet, claims: Sequence[Finding]) -> DynamicReport:
        """Run the snippet. Raises `DetectorError` when the sandbox cannot be used.

        Nothing is run without a compiler, or where nothing is claimed that a run could show."""
        asked = [claim for claim in claims if shown_by(claim)]
        if not asked:
            return every(claims, "a run cannot show this")
        if not self.sandbox.compiles:
            return every(claims, "there is no C compiler here: install `bluecode[c]`")
        language = snippet.language or "c"
        try:
            reading = c_functions.read(snippet.code, language)
        except ValueError as error:
            return every(claims, str(error))
        chosen = functions(reading, asked)
        if not chosen:
            return every(claims, "no function here can be called from outside")
        kinds = {kind for claim in asked for kind in SINKS.get(claim.cwe or 0, ())}
        token = token_of(snippet)
        made = cases(chosen, snippet.code, token, kinds)
        text = headers(snippet.code, language) + '#line 1 "program"\n' + reading.code
        text += harness(chosen, language)
        job = program(text, [case.job for case in made], dialect=language)
        try:
            outcome = await self.sandbox.run(job, LIMITS)
        except CompilerLate:
            return every(claims, "it was not compiled in time")
        except SandboxUnavailable as error:
            raise DetectorError(f"the sandbox could not run the snippet: {error}") from error
        if why := unreadable(outcome):
            return every(claims, why)
        run = seen(outcome, reading, made, token, snippet.code)
        return DynamicReport(evidence=tuple(prove(claim, run) for claim in claims))


def every(claims: Sequence[Finding], why: str) -> DynamicReport:
    return DynamicReport(evidence=tuple(not_testable(why) for _ in claims))


def shown_by(claim: Finding) -> bool:
    return claim.cwe in SHOWN


def functions(reading: Reading, claims: Sequence[Finding]) -> list[Function]:
    """What to call: where the claims are, then `main`, then the rest."""
    lines = [claim.span[0] for claim in claims if claim.span]
    here = [item for line in lines if (item := reading.function_at(line))]
    ways = [item for item in reading.functions if item.is_main]
    return list(dict.fromkeys([*here, *ways, *reading.functions]))[:FUNCTIONS]


def unreadable(outcome: Outcome) -> str | None:
    for event in outcome.events:
        if event.trusted and event.kind == "unreadable" and len(event.args) == 2:
            at, why = event.args
            return f"it does not compile: {why}" + (f" (line {at})" if at else "")
    return None


# --- What was seen ------------------------------------------------------------------------------


def seen(outcome: Outcome, reading: Reading, made: Sequence[Case], token: str, code: str) -> Run:
    """The events put together, case by case; what does not have their form is dropped."""
    tried: list[Tried] = []
    unknown: tuple[str, ...] = ()
    for event in outcome.events:
        if event.trusted and event.kind == "case":
            tried.append(Tried(made[event.args[0]]))
        elif event.trusted and event.kind == "unknown":
            unknown = tuple(map(str, event.args))
        elif tried:
            _take(tried[-1], event)
    whole = outcome.ended == "exited" and outcome.finished and not forges(code)
    return Run(reading, tried, unknown, whole, token, code)


def _take(tried: Tried, event: Event) -> None:
    match event.trusted, event.kind, list(event.args):
        case True, "lines", lines:
            tried.lines = frozenset(line for line in lines if isinstance(line, int))
        case True, "ended", [str(ended), str(detail), bool()]:
            tried.ended, tried.detail = ended, detail
        case False, "fault", [str(kind), int(line), str(detail)]:
            tried.faults.append((kind, line, detail))
        case False, "sink", [str(kind), str(api), int(line), str(text), list(), dict()]:
            tried.sinks.append((kind, api, line, text))


# --- Evidence -----------------------------------------------------------------------------------


def prove(claim: Finding, run: Run) -> Evidence:
    """What a run says of one claim."""
    if not shown_by(claim):
        return not_testable("a run cannot show this")
    if confirmed := _confirmed(claim, run):
        return Evidence(outcome="confirmed", observed=confirmed[:OBSERVED])
    if why := _why_open(claim, run):
        return not_testable(why)
    count = len({(item.case.source, item.case.value) for item in _at(claim, run)})
    told = f"{count} different inputs got to the line, and nothing was wrong"
    return Evidence(outcome="refuted", observed=told)


def _confirmed(claim: Finding, run: Run) -> str | None:
    for tried in run.tried:
        for kind, line, _ in tried.faults:
            if _shows(kind, claim) and _meets(claim, line, run.reading) and _owed(kind, tried, run):
                return f"{_spoken(kind)} in line {line} {_given(tried.case)}"
        for kind, api, line, text in tried.sinks:
            if kind in SINKS.get(claim.cwe or 0, ()) and _meets(claim, line, run.reading):
                if _harmful(kind, text, tried.case, run):
                    return f"{api} got `{_one_line(text)}`"
    return None


def _shows(kind: str, claim: Finding) -> bool:
    place = kind.rpartition("-")[0] if kind.endswith(("-read", "-write")) else kind
    group = "bounds" if place in OUT_OF_BOUNDS.split() else place
    group = "overflow" if kind in ("signed-overflow", "unsigned-overflow") else group
    return claim.cwe in KINDS.get(group, frozenset())


def _owed(kind: str, tried: Tried, run: Run) -> bool:
    """Is it the function that is to blame, and not how it was called?"""
    if kind.startswith("null") and (run.unknown or _starved(tried.case)):
        return False  # functions that are not here, or memory that ran out, gave nothing
    sure = tried.case.function.sure
    return sure or kind.startswith(("stack", "global", "freed", "double", "scope", "division"))


def _starved(case: Case) -> bool:
    """Was an allocation refused? Few programs expect that, and few need to."""
    return case.role == "refused" and case.value != "open"


def _meets(claim: Finding, line: int, reading: Reading) -> bool:
    first, last = claim.span or (0, 0)
    start, end = reading.span(line)
    return start <= last and first <= end


def _harmful(kind: str, text: str, case: Case, run: Run) -> bool:
    if kind == "format":
        return run.token in text and "%" in text
    if case.role != kind or run.token not in text:
        return False
    if kind == "argv":
        return f" -{run.token}" in text  # the first word is the program itself
    return _became(kind, text, case, run) is Effect.HARM


def _became(kind: str, text: str, case: Case, run: Run) -> Effect:
    """What an attack became in the text that got to a shell or a file's name."""
    whole = text.strip() == case.value.strip()
    ahead = kind == "path" and text.startswith(case.value)
    if (whole or ahead) and case.source >= 0:
        return Effect.OWN  # a command as a whole, a folder that names are below: the caller's own
    attack = Attack(
        text=_absolute(text) if kind == "path" else text,
        payload=case.value,
        marker=run.token,
        own=run.token + "a",
        benign=_benign(kind, case, run),
        whole=False,
        detail={"raw": text},
    )
    return judge(kind, attack)


def _benign(kind: str, case: Case, run: Run) -> str | None:
    """What got to the same place without an attack, marked as the attacks are."""
    own, others = f"{run.token}[{case.letters}]", f"{run.token}[^{case.letters}\\W]"
    for tried in run.tried:
        if tried.case.function is case.function and tried.case.role == "benign":
            for sink, _, _, text in tried.sinks:
                if sink == kind and re.search(own, text):
                    alike = re.sub(own, run.token + "a", re.sub(others, run.token + "b", text))
                    return _absolute(alike) if kind == "path" else alike
    return None


def _absolute(path: str) -> str:
    """As the stand-in for the system would have it."""
    return path if path.startswith("/") else f"/srv/work/{path}"


def _at(claim: Finding, run: Run) -> list[Tried]:
    """Cases in which the claimed lines were run."""
    first, last = claim.span or (0, 0)
    marks = {start for start, end in run.reading.statements if start <= last and first <= end}
    return [tried for tried in run.tried if tried.lines & marks]


def _why_open(claim: Finding, run: Run) -> str | None:
    """Why silence is no safety; None where it is."""
    if claim.cwe not in REFUTABLE or OF_STYLE.search(claim.rule or ""):
        return "a run cannot show the absence of this"
    if not run.whole:
        return "the run did not come to its end"
    if run.unknown:
        return f"functions that are not here took part: {', '.join(run.unknown[:3])}"
    here = _at(claim, run)
    if not here:
        return "the line was not reached"
    if claim.cwe in KINDS["null"] and (why := _may_be_missing(here, run)):
        return why
    here = [tried for tried in here if not _starved(tried.case)]
    if any(tried.faults for tried in here) or not all(tried.regular for tried in here):
        return "other defects were seen"
    if not all(tried.case.function.sure for tried in here):
        return "what the caller owes is not known"
    kinds = SINKS.get(claim.cwe or 0)
    if kinds is not None:
        return _untried(claim, here, kinds, run)
    texts = {item.case.value for item in here if item.case.role in ("long", "text", "format")}
    numbers = {item.case.value for item in here if item.case.role == "number"}
    long = any(len(value) >= LONG for value in texts)
    takes = {parameter.kind for item in here for parameter in item.case.function.parameters}
    fine_texts = len(texts) >= ENOUGH_TEXTS and long
    fine_numbers = len(numbers) >= ENOUGH_NUMBERS
    if "number" in takes and not fine_numbers and not fine_texts:
        return "too few numbers got to the line"
    if not fine_texts and not fine_numbers:
        return "too few texts got to the line"
    return None


def _may_be_missing(here: Sequence[Tried], run: Run) -> str | None:
    """Could a pointer be null in a way that was not tried? Tried were the first allocations, each
    of them refused once, and a file that is not there."""
    if any(_starved(item.case) and item.faults for item in here):
        return "nothing went wrong as long as there was memory"
    if UNTRIED_NULL.search(run.code) or len(ALLOCATES.findall(run.code)) > REFUSED:
        return "not everything that may be missing was missing once"
    if ALLOCATES.search(run.code) and LOOPS.search(run.code):
        return "an allocation in a loop may be refused at any time"
    return None


def _untried(claim: Finding, here: Sequence[Tried], kinds: Sequence[str], run: Run) -> str | None:
    """Did attacks get to the sink at the claimed line, or were all of them turned away before?"""
    if "format" in kinds:
        tried = {item.case.value for item in here if item.case.role == "format"}
        return None if len(tried) >= len(FORMATS) else "too few formats got to the line"
    reached = [
        (tried.case, kind, text)
        for tried in here
        for kind, _, line, text in tried.sinks
        if kind in (*kinds, "argv") and _meets(claim, line, run.reading) and run.token in text
    ]
    if not reached:
        return "no marked text was seen at the line"
    attacks = [(case, kind, text) for case, kind, text in reached if case.role == kind]
    if any(_became(kind, text, case, run) is not Effect.NEUTRAL for case, kind, text in attacks):
        return "an attack got to the line, and what it would do there is not known"
    for role in kinds:
        values = {tried.case.value for tried in run.tried if tried.case.role == role}
        if len(values) < len(PROBES[role]):
            return "too few attacks were tried"
    return None


_SPOKEN = {
    "bounds": "an index out of bounds", "double-free": "memory freed twice",
    "bad-free": "freed what was not allocated", "division": "a division by zero",
    "signed-overflow": "a signed integer overflowed",
    "unsigned-overflow": "an unsigned integer wrapped",
    "pointer-overflow": "a pointer left its object",
    "scope-read": "a read of a variable that is gone",
    "scope-write": "a write to a variable that is gone", "freed-read": "a read of freed memory",
    "freed-write": "a write to freed memory", "null-read": "a read through a null pointer",
    "null-write": "a write through a null pointer",
}  # fmt: skip


def _spoken(kind: str) -> str:
    place, _, way = kind.rpartition("-")
    return _SPOKEN.get(kind) or f"a {way} beyond {'the stack' if place == 'exhausted' else place}"


def _given(case: Case) -> str:
    if case.role == "number":
        return f"with the number {case.value}"
    if case.role in ("long", "text", "format"):
        return f"with a text of {len(case.value)} characters"
    return "when an allocation failed" if case.role == "refused" else "with ordinary values"


def _one_line(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")[: OBSERVED - 50]
