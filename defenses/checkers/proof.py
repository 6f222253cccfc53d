"""From judged attacks to evidence: confirmed, refuted or not testable, for each claim.

Confirmed needs the effect at a place that the claim speaks of. Refuted needs that outside data was
seen to get there, and that every payload either stayed data there or was turned away by the snippet
itself. All else is not testable, silence above all.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from bluecode.defenses.checkers.effects import Effect
from bluecode.defenses.checkers.observations import Call, Entry, Observations, Sink
from bluecode.defenses.checkers.probes import KINDS, PROBES, RETURNS, kinds_of
from bluecode.defenses.checkers.trials import Trial, turned_away
from bluecode.defenses.fusion import REFUTABLE
from bluecode.defenses.verdict import Evidence, Finding
from bluecode.sandbox.outcome import Ended

OBSERVED = 160
SYNTAX = frozenset({"shell", "sql", "ldap", "xpath", "code", "template"})
OF_STYLE = frozenset({"python.sql_formatting"})
"""Rules about how code is written; that no input does harm today says nothing against them."""
BELIEVED = 0.5
"""A claim of this score is believed that data of unknown origin is outside data."""
ROOTED = frozenset({"path", "url", "redirect", "return"})
BUSY: tuple[Ended, ...] = ("out_of_fuel", "timed_out")
# Code that looks at its own frames, modules or closures could reach the harness and report a
# defence that is not there; of such code no refutation is believed.
LOOKS_INSIDE = re.compile(
    r"__closure__|_getframe|f_back|tb_frame|f_globals|f_locals|__globals__|__code__|cell_contents"
    r"|settrace|setprofile|sys\.modules|sys\.monitoring|\bgc\.|meta_path|addaudithook|currentframe"
    r"|inspect\.stack|sys\._|__subclasses__|gi_frame|cr_frame|sys\.audit"
)
_SECRETS = re.compile(
    r"passw|pwd|secret|token|otp|nonce|session|reset|credential|pin\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Run:
    """All that one run showed."""

    seen: Observations
    trials: Sequence[Trial]
    ended: Ended
    code: str

    @property
    def whole(self) -> bool:
        """May its silence be believed?"""
        complete = self.ended == "exited" and self.seen.finished and not self.seen.dropped
        return complete and not self.seen.forged and not LOOKS_INSIDE.search(self.code)


def prove(claim: Finding, run: Run) -> Evidence:
    """What a run says of one claim."""
    if not run.seen.readable:
        return not_testable("the code does not parse")
    if confirmed := _confirmed(claim, run):
        return Evidence(outcome="confirmed", observed=confirmed[:OBSERVED])
    refutable = claim.cwe in REFUTABLE and claim.rule not in OF_STYLE
    if refutable and run.whole and (refuted := _refuted(claim, run)):
        return Evidence(outcome="refuted", observed=refuted[:OBSERVED])
    return not_testable(_why(claim, run))


def not_testable(why: str) -> Evidence:
    return Evidence(outcome="not_testable", observed=why[:OBSERVED])


def describe(trial: Trial) -> str:
    """One line for a person: what arrived where."""
    assert trial.sink is not None
    verb = "gave" if trial.sink.kind == "return" else "got"
    return f"{trial.sink.api} {verb} `{_one_line(trial.sink.text)}`"


def _one_line(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")[: OBSERVED - 50]


# --- Confirmed ----------------------------------------------------------------------------------


def _confirmed(claim: Finding, run: Run) -> str | None:
    for trial in _about(claim, run):
        if trial.effect is Effect.HARM and _believed(claim, trial):
            return describe(trial)
    return _labour(claim, run) or _weakness(claim, run)


def _believed(claim: Finding, trial: Trial) -> bool:
    """Where data of unknown origin is at stake, or an unknown function looked at it first, the
    claim's own score must speak for it."""
    if trial.supposed and trial.kind not in SYNTAX:
        return False
    if trial.certain and not trial.supposed:
        return True
    return claim.score >= BELIEVED and trial.likely


def _about(claim: Finding, run: Run) -> list[Trial]:
    """Trials of the claim's kinds at its lines; where none of its sinks are there, all of them."""
    kinds = set(kinds_of(claim))
    judged = {*kinds, RETURNS.get(claim.cwe or 0, "")}
    mine = [trial for trial in run.trials if trial.kind in judged]
    here = [trial for trial in mine if trial.sink is not None and _spans(claim, trial.sink, trial)]
    sinks = [sink for sink in _sinks(run) if sink.kind in kinds and _within(claim, sink.line)]
    return here if here or sinks else [trial for trial in mine if trial.sink is not None]


def _sinks(run: Run) -> list[Sink]:
    return [sink for entry in run.seen.entries for call in entry.calls for sink in call.sinks]


def _within(claim: Finding, line: int) -> bool:
    first, last = claim.span or (1, 10**6)
    return first <= line <= last


def _spans(claim: Finding, sink: Sink, trial: Trial) -> bool:
    if sink.kind in ("return", "page", "xml") or sink.line == 0:
        first, last = claim.span or (1, 10**6)
        return trial.entry.first <= last and first <= trial.entry.last
    return _within(claim, sink.line)


def _labour(claim: Finding, run: Run) -> str | None:
    """Did matching not come to an end on a text made for the pattern?"""
    call = run.seen.last_call
    asked = "match" in kinds_of(claim) and run.ended in BUSY and call is not None
    if not asked or call is None or call.mode != "pump" or call.ended:
        return None
    patterns = [sink for sink in call.sinks if sink.kind == "match"]
    if not patterns or not _within(claim, patterns[-1].line):
        return None
    return f"{patterns[-1].api} did not finish on a text made for `{_one_line(patterns[-1].text)}`"


def _weakness(claim: Finding, run: Run) -> str | None:
    """Was a weak choice seen at work, on data where that matters?"""
    for entry in run.seen.entries:
        for sink in (sink for call in entry.calls for sink in call.sinks):
            names = sink.detail.get("cwe")
            if (
                not isinstance(names, list)
                or claim.cwe not in names
                or not _within(claim, sink.line)
            ):
                continue
            if sink.kind == "weak" or (sink.kind == "hash" and _secret(run, entry, sink)):
                return f"{sink.api}: {_one_line(sink.text)}"
    shown = _SHOWN.get(claim.cwe or 0)
    return shown(claim, run) if shown is not None else None


def _secret(run: Run, entry: Entry, sink: Sink) -> bool:
    """Is it a secret that is at stake, by the names of the data, the line or the function?"""
    lines = run.code.split("\n")
    line = lines[sink.line - 1] if 0 < sink.line <= len(lines) else ""
    return bool(_SECRETS.search(f"{entry.name} {entry.names(sink.sources)} {line}"))


def _repeated(claim: Finding, run: Run) -> str | None:
    """The same salt or initialisation vector in each call."""
    kind = "iv" if claim.cwe in (323, 329, 1204) else "salt"
    for entry in run.seen.entries:
        texts = [sink.text for call in entry.calls for sink in call.sinks
                 if sink.kind == kind and _within(claim, sink.line)]  # fmt: skip
        if len(texts) > 1 and len(set(texts)) == 1:
            return f"{entry.name} used the same {kind} {len(texts)} times"
    return None


def _logged(claim: Finding, run: Run) -> str | None:
    for entry in run.seen.entries:
        for sink in (sink for call in entry.calls for sink in call.sinks):
            name = entry.names(sink.sources)
            if sink.kind == "log" and _within(claim, sink.line) and _SECRETS.search(name):
                return f"{sink.api} got the value of {name}"
    return None


def _permission(claim: Finding, run: Run) -> str | None:
    for sink in _sinks(run):
        mode = sink.detail.get("mode")
        open_to_all = isinstance(mode, int) and mode & 0o002
        if sink.kind == "permission" and open_to_all and _within(claim, sink.line):
            return f"{sink.api} made {_one_line(sink.text)} writable for everyone"
    return None


def _random(claim: Finding, run: Run) -> str | None:
    for entry in run.seen.entries:
        drawn = [sink for call in entry.calls for sink in call.sinks if sink.kind == "random"]
        here = [sink for sink in drawn if _within(claim, sink.line)]
        if here and _secret(run, entry, here[0]):
            return f"{here[0].api} drew what {entry.name} gives"
    return None


_SHOWN: Mapping[int, Callable[[Finding, Run], str | None]] = {
    330: _random, 338: _random, 340: _random, 732: _permission, 329: _repeated, 323: _repeated,
    1204: _repeated, 759: _repeated, 760: _repeated, 532: _logged, 312: _logged,
}  # fmt: skip
"""What a run can show of weaknesses that no input causes."""


WEAK_AT_WORK = frozenset({295, 326, 327, 328, 347, 377, 379, 489, 614, 916, 1004})
"""Weaknesses that the guest tells as such, since they are no matter of input."""
PROVABLE = frozenset(cwe for cwe, kinds in KINDS.items() if kinds) | {*_SHOWN} | WEAK_AT_WORK
"""Weaknesses of Python code that a run can show."""


# --- Refuted ------------------------------------------------------------------------------------


def _refuted(claim: Finding, run: Run) -> str | None:
    kinds = set(kinds_of(claim)) - {"match"}
    judged = {*kinds, RETURNS.get(claim.cwe or 0, "")}
    reached = _reached(claim, run, kinds)
    if not reached or not any(reached.values()) or _untried(claim, run, kinds):
        return None
    tried: list[Trial] = []
    for name, sources in reached.items():
        mine = [item for item in run.trials if item.entry.name == name and item.kind in judged]
        mine = [item for item in mine if item.call.mode == "attack"]
        for source in sources or {item.source for item in mine}:
            of_source = [item for item in mine if item.source == source]
            free = next(item for item in run.seen.entries if item.name == name).leaves_room(source)
            if not of_source and mine and (kinds <= ROOTED or not free):
                continue  # the folder or the host, which is the caller's to choose; or a number
            at_claim = _at_the_claim(claim, of_source)
            if not _all_tried(at_claim):
                return None
            tried += at_claim
    if not tried or not all(_harmless(trial) for trial in tried):
        return None
    return _account(tried)


def _untried(claim: Finding, run: Run, kinds: set[str]) -> bool:
    """Did a text whose origin is unknown get to the claim's lines, and was never attacked?"""
    guessed: set[str] = set()
    tried: set[str] = set()
    kinds = kinds - ROOTED  # a folder or a host that is set elsewhere is no one's input
    for entry in run.seen.entries:
        for call in entry.calls:
            if call.source.startswith("u:"):
                tried.add(entry.name)
            for sink in call.sinks:
                if sink.kind in kinds and sink.detail.get("guessed") and _within(claim, sink.line):
                    guessed.add(entry.name)
    return bool(guessed - tried)


def _all_tried(tried: Sequence[Trial]) -> bool:
    """Was every payload of each kind tried, so that all known ways around a defence are covered?"""
    probes: dict[str, set[str]] = {}
    for trial in tried:
        probes.setdefault(trial.kind, set()).add(trial.call.probe)
    return bool(probes) and all(len(ids) >= len(PROBES[kind]) for kind, ids in probes.items())


def _at_the_claim(claim: Finding, tried: Sequence[Trial]) -> list[Trial]:
    """Of each call, what happened at the claim's lines; other lines are other claims."""
    calls: dict[int, list[Trial]] = {}
    for trial in tried:
        calls.setdefault(id(trial.call), []).append(trial)
    found: list[Trial] = []
    for group in calls.values():
        here = [item for item in group if item.sink is not None and _spans(claim, item.sink, item)]
        stopped = turned_away(group[0].call)
        if here or not stopped or _had_a_chance(claim, group[0]):
            found += here or [replace(group[0], sink=None, stopped=stopped)]
    return found


def _had_a_chance(claim: Finding, trial: Trial) -> bool:
    """Did a benign call with the same values otherwise get to the claim's lines?"""
    kinds = kinds_of(claim)
    return any(
        sink.kind in kinds and _spans(claim, sink, trial)
        for call in trial.entry.calls
        if call.mode == "benign" and call.setting == trial.call.setting
        for sink in call.sinks
    )


def _reached(claim: Finding, run: Run, kinds: set[str]) -> dict[str, set[int]]:
    """Sources whose benign data was seen at the claim's sinks, by the entry they came in by. Where
    the sinks were reached by an allowed text alone, the sources that it was given in."""
    found: dict[str, set[int]] = {}
    for entry in run.seen.entries:
        at_claim = [
            (call, sink)
            for call in entry.calls
            for sink in call.sinks
            if call.mode == "benign"
            and sink.kind in kinds
            and _spans_call(claim, entry, call, sink)
        ]
        allowed = all(_chosen(entry, call) for call, _ in at_claim)
        for call, sink in at_claim:
            sources = sink.sources or (_chosen(entry, call) if allowed else ())
            found.setdefault(entry.name, set()).update(sources)
    return {name: sources for name, sources in found.items() if sources} or found


def _spans_call(claim: Finding, entry: Entry, call: Call, sink: Sink) -> bool:
    return _spans(claim, sink, Trial(entry, call, sink.kind, Effect.UNKNOWN))


def _chosen(entry: Entry, call: Call) -> list[int]:
    """Sources that had a text of the snippet's own, as an allow-list may ask for."""
    fixed = call.setting.split(".")[-1].split(",")
    names = [name.removesuffix("#") for name in entry.sources]
    return [names.index(name) for name in fixed if name in names]


def _harmless(trial: Trial) -> bool:
    if trial.sink is None:
        return trial.certain and trial.stopped
    return trial.certain and trial.effect is Effect.NEUTRAL


def _account(tried: Sequence[Trial]) -> str:
    neutral = [trial for trial in tried if trial.sink is not None]
    count = len({trial.call.payload for trial in tried})
    if not neutral:
        return f"{count} attack inputs were turned away before the sink, a benign one was not"
    return f"{count} attack inputs stayed data: {describe(neutral[0])}"


# --- Why not ------------------------------------------------------------------------------------


UNREACHED = "the sink was not seen to be reached with outside data"
UNFINISHED = "the run did not come to its end"


def out_of_reach(claim: Finding, evidence: Evidence) -> bool:
    """Was nothing shown of a claim because the run never got to its line?"""
    why = evidence.observed or ""
    return claim.cwe in REFUTABLE and why.startswith((UNREACHED, UNFINISHED))


def _why(claim: Finding, run: Run) -> str:
    if claim.cwe not in REFUTABLE or claim.rule in OF_STYLE:
        return "a run cannot show the absence of this"
    if run.ended != "exited" or not run.seen.finished:
        return f"{UNFINISHED}: {run.ended}"
    mine = _about(claim, run)
    if any(trial.effect is Effect.HARM for trial in mine):
        return "an unknown check saw the data first"
    if any(trial.effect is Effect.OWN for trial in mine):
        return "the whole value is the caller's own"
    return UNREACHED
