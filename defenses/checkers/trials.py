"""Attacks of one run, each with what came of it: the middle between observations and evidence."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from bluecode.defenses.checkers.effects import Attack, Effect, browser_host, judge
from bluecode.defenses.checkers.observations import Call, Entry, Observations, Sink

WEB = frozenset({"query", "form", "json", "headers", "cookies", "body", "path", "files", "socket"})
NUMBER = re.compile(r"\b47(\d\d)\b")  # the guest's numeric markers
CLIMBS = frozenset({"path0", "path4"})  # the plain ways up, which any guard stops
WORKING = "/srv/work/"  # where a script of the JavaScript guest was started
OWN_TO_SCRIPTS = frozenset({"path", "url", "sql"})
"""Kinds that a person who starts a script may choose as a whole."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One payload and its end: at a sink, or before it."""

    entry: Entry
    call: Call
    kind: str
    effect: Effect
    sink: Sink | None = None
    stopped: bool = False
    """The sink was not reached, and the snippet's own code saw to it."""
    source: int = -1
    whole: bool = False
    folder: bool = False
    """For a path: the folder came from outside as well."""

    @property
    def web(self) -> bool:
        """Does the data come from a remote client?

        What a mere parameter holds was made an uploaded file by supposition: who reads its name
        takes it for one, while anybody goes through the lines of a file."""
        kind = self.call.source.split(":")[0]
        if self.entry.role == "handler":
            return kind != "u"
        return kind in WEB and not (kind == "files" and self.call.source.endswith(".content"))

    @property
    def supposed(self) -> bool:
        """Did the data come from something that nobody here knows, by supposition alone?"""
        return self.call.source.startswith("u:")

    @property
    def certain(self) -> bool:
        """Did nothing unknown decide on the data on its way? For harm, only what came before
        counts, for what is asked afterwards stops nothing."""
        if self.effect is Effect.HARM and self.sink is not None:
            return not self.sink.asked
        if self.effect is Effect.NEUTRAL and self.sink is not None:
            return not self.sink.judged
        return self.call.doubts == 0

    @property
    def likely(self) -> bool:
        """Was all that was asked before harm was done no check, by its name?"""
        return self.sink is not None and not self.sink.judged


def trials(seen: Observations, token: str, code: str) -> list[Trial]:
    """Every attack call of the run, judged."""
    found = [trial for entry in seen.entries for trial in _of_entry(entry, token, code)]
    return [_in_own_folder(trial, found, token) for trial in found]


def _in_own_folder(trial: Trial, found: Sequence[Trial], token: str) -> Trial:
    """A function to which the caller gives the folder, too, and that guards nothing, promises
    nothing; where it does guard, a way around the guard is harm."""
    if trial.kind != "path" or trial.effect is not Effect.HARM or trial.web or not trial.folder:
        return trial
    plain = [
        item
        for item in found
        if item.entry is trial.entry and item.source == trial.source and item.call.probe in CLIMBS
    ]
    unguarded = all(item.effect is Effect.HARM for item in plain if item.call.payload[:1] in ".a")
    return replace(trial, effect=Effect.OWN) if unguarded else trial


def _of_entry(entry: Entry, token: str, code: str) -> Iterator[Trial]:
    benign: list[Sink] = []
    alike: dict[str, list[Sink]] = {}
    for call in entry.calls:
        if call.mode == "benign":
            benign += call.sinks
            alike.setdefault(call.setting, []).extend(call.sinks)
            yield from _unprovoked(entry, call, token)
        elif call.mode == "attack":
            # What a benign call in the same setting did there comes last and so counts first.
            own = alike.get(call.setting, [])
            yield from _of_call(entry, call, [*benign, *own], token, code)


def _unprovoked(entry: Entry, call: Call, token: str) -> Iterator[Trial]:
    """Harm that needs no payload: outside data became an object, a packed file climbed out."""
    for sink in call.sinks:
        climbed = sink.kind == "path" and re.search(rf"/etc/{token}$", sink.text)
        given = sink.sources and not sink.detail.get("vouched")
        if climbed or (sink.kind in ("object", "import") and given):
            source = sink.sources[0] if sink.sources else -1
            whole = sink.kind == "object"
            yield Trial(entry, call, sink.kind, Effect.HARM, sink, source=source, whole=whole)


def _of_call(
    entry: Entry, call: Call, benign: Sequence[Sink], token: str, code: str
) -> Iterator[Trial]:
    kind = re.sub(r"\d+$", "", call.probe) if call.kind == "return" else call.kind
    trial = Trial(entry, call, kind, Effect.UNKNOWN, source=call.index)
    arrived = [
        sink
        for sink in call.sinks
        if sink.kind == call.kind and _concerns(sink, call.index, benign)
    ]
    for sink in arrived:
        yield _at_sink(trial, sink, benign, token, code)
    if not arrived:
        yield replace(trial, stopped=turned_away(call))


def _concerns(sink: Sink, source: int, benign: Sequence[Sink]) -> bool:
    """Is it a sink of the attacked source, rather than of another one beside it?"""
    others = {item.sources for item in benign if item.kind == sink.kind and item.line == sink.line}
    return source in sink.sources or not sink.sources or any(source in item for item in others)


def turned_away(call: Call) -> bool:
    """Did a call that missed a sink end by the snippet's own will?"""
    return call.ended and (not call.error or call.deliberate)


def _at_sink(trial: Trial, sink: Sink, benign: Sequence[Sink], token: str, code: str) -> Trial:
    before = [item for item in benign if item.kind == sink.kind and item.line == sink.line]
    of_source = [item for item in before if trial.source in item.sources] or before
    payload = trial.call.payload
    if trial.source not in sink.sources and token not in sink.text.lower():
        harmless = _constant(sink, before, code) or _at_home(sink)
        return replace(trial, sink=sink, effect=Effect.NEUTRAL if harmless else Effect.UNKNOWN)
    if sink.detail.get("bound") and token not in sink.text.lower():
        return replace(trial, sink=sink, effect=Effect.NEUTRAL)
    given = str(sink.detail.get("raw", "")) if sink.kind == "path" else sink.text
    whole = given.strip() == payload.strip()[: len(given.strip()) or 1]
    whole = whole or any(_alone(item, token + chr(97 + trial.source % 26)) for item in of_source)
    marked = [NUMBER.sub(lambda found: _letter(token, found[1]), item.text) for item in of_source]
    reference = next((text for text in reversed(marked) if token in text.lower()), None)
    attack = Attack(
        text=NUMBER.sub(lambda found: _letter(token, found[1]), sink.text),
        payload=payload,
        marker=token,
        own=token + chr(97 + trial.source % 26),
        benign=reference,
        whole=whole and not _exposed(trial),
        detail={**sink.detail, "api": sink.api},
    )
    above = "" if reference is None else reference[: reference.lower().find(attack.own)]
    return replace(
        trial,
        sink=sink,
        effect=judge(trial.kind, attack),
        whole=whole,
        folder=sink.kind == "path" and token in above.lower(),
    )


def _alone(sink: Sink, own: str) -> bool:
    """Was a benign value all of the path that the code asked for, but for its ending or for what
    lies in it as a folder?"""
    raw = str(sink.detail.get("raw", "")) if sink.kind == "path" else ""
    raw = raw.removeprefix(WORKING)  # as the code had it resolved
    return re.fullmatch(rf"{own}(?:\.\w+)?(?:/.*)?", raw, re.IGNORECASE) is not None


def _letter(token: str, digits: str) -> str:
    return token + chr(97 + int(digits) % 26)


def _constant(sink: Sink, before: Sequence[Sink], code: str) -> bool:
    """Could the payload do no more than choose among the snippet's own texts?"""
    texts = {item.text for item in before}
    literal = f'"{sink.text}"' in code or f"'{sink.text}'" in code
    return bool(sink.text) and (literal or (len(texts) > 1 and sink.text in texts))


def _at_home(sink: Sink) -> bool:
    """Does a redirect stay on the site that it came from?"""
    return sink.kind == "redirect" and browser_host(sink.text) is None


def _exposed(trial: Trial) -> bool:
    """Must even a value that is passed on as a whole be distrusted?"""
    return trial.web or trial.kind not in OWN_TO_SCRIPTS
