"""The order of calls: benign ones until data of a source reaches a sink, then attacks on that pair.

A function that others of the snippet call is driven through them; by itself only where they never
brought data to it. Every call has a budget of work, and so has the run.
"""

import sys
import types

from entries import OBJECTS, Builder, constants, deliberate, entries, function_entry, is_base, walk
from pumps import pumps
from recording import MODULE, SNIPPET, Exhausted, plain
from sources import ALL, ALTERNATIVES

TOOL = 4
CALL_WORK = 10_000
RUN_WORK = 60_000
CALLS = 160
SEARCH_CALLS = 40
WRAPS = 3
"""So many payloads of a kind are also tried before and after a benign value."""
WRAPPED = frozenset({"shell", "sql", "code", "path", "url", "redirect", "page", "template"})


ENDLESS = frozenset({"Exhausted", "RecursionError"})
TWICE = frozenset({"iv", "salt"})
ROOTED = frozenset({"path", "url", "redirect", "return"})
"""Kinds whose values lie within a folder or on a host that may be a parameter of its own."""


class Driver:
    """One run of one snippet."""

    def __init__(self, state, sources, say, sink, world):
        self.state, self.sources, self.say, self.sink, self.world = state, sources, say, sink, world
        self.builder = Builder(sources, world)
        self.calls = self.searches = 0
        self.pumped = []
        self.reached = set()  # claimed kinds that data was seen to reach

    def run(self, code, space, job):
        self.probes = {}
        for probe in job["probes"]:
            self.probes.setdefault(probe["kind"], []).append(probe)
        self.claimed = {kind for claim in job.get("claims", ()) for kind in claim["kinds"]}
        self.claims = job.get("claims", ())
        codes = self.codes = list(walk(code))
        self.sources.constants = constants(codes)
        self.watch(codes)
        self.world.space = space
        self.module(code, space)
        done = self.handlers(set())
        public, inner = entries(space, self.state, self.builder, self.world, codes)
        for entry in public:
            self.entry(entry)
        done = self.handlers(done)
        for entry in inner:
            hidden = entry.name.rpartition(".")[2].startswith("_")
            if not hidden and entry.code not in self.state.entered:
                self.entry(entry)
        self.handlers(done)
        for entry, name, text in self.pumped:
            self.call(entry, "pump", name, "match", "pump", text)

    def watch(self, codes):
        events = sys.monitoring.events
        for code in codes:
            sys.monitoring.set_local_events(TOOL, code, events.JUMP | events.PY_START)

    def handlers(self, done):
        """What frameworks were given, also what turned up while other code ran."""
        at = 0
        while at < len(self.state.handlers):
            function, rule, page = self.state.handlers[at]
            at += 1
            if id(function) in done:
                continue
            done.add(id(function))
            if isinstance(function, type):
                continue
            if getattr(getattr(function, "__code__", None), "co_filename", "") == SNIPPET:
                self.entry(
                    function_entry(function.__name__, function, self.builder, rule, "handler", page)
                )
        return done

    def module(self, code, space):
        """Importing the snippet is a call too: scripts read argv and input at their top level."""

        def first():
            self.world.run_code(code, space)

        def again():
            self.world.run_code(code, self.world.fresh_space(code))

        entry = ModuleEntry(code, first)
        self.sources.forget()
        self.begin_entry(entry)
        self.call(entry, "benign")
        entry.call = again
        if self.sources.names:
            self.attack(entry, dict(self.state.hits), {})

    def begin_entry(self, entry):
        self.say("entry", entry.name, entry.role, entry.first, entry.last)

    def entry(self, entry):
        """Everything about one entry point."""
        if self.exhausted():
            return
        self.sources.forget()
        self.begin_entry(entry)
        hits, fixed = self.benign(entry)
        self.attack(entry, hits, fixed)
        self.say("sources", *self.sources.names)

    def exhausted(self):
        return self.calls >= CALLS or self.state.work > RUN_WORK

    def benign(self, entry):
        """Ordinary calls until the sinks that matter are reached; what was seen at the best."""
        self.builder.objects = 0
        ended = self.call(entry, "benign")
        best, hits = 0, dict(self.state.hits)
        if any(kinds & TWICE for kinds in self.state.lines.values()):
            self.call(entry, "benign")  # is it the same again?
        if ended in ENDLESS:
            return hits, {}
        stumbled = ended in ("TypeError", "AttributeError", "KeyError", "IndexError")
        for kind in range(1, len(OBJECTS)):
            if not stumbled or self.exhausted():
                break
            self.builder.objects = kind
            self.sources.typed = set()
            ended = self.call(entry, "benign")
            if len(self.state.hits) > len(hits) or (not ended and not hits):
                best, hits = kind, dict(self.state.hits)
            stumbled = bool(ended)
        self.builder.objects = best
        if best:
            self.sources.typed = set()
            self.call(entry, "benign")
        if self.satisfied(entry, hits):
            return hits, {}
        return self.search(entry, hits)

    def satisfied(self, entry, hits):
        """Is there nothing claimed here that is still out of reach?"""
        names = self.sources.names
        self.reached |= {kind for index, kind in hits if index < len(names) and not (
            len(names) > 1 and self.roots(names[index], kind))}  # fmt: skip
        open_claims = [
            claim for claim in self.claims if not self.reached.intersection(claim["kinds"])
        ]
        return not any(claim["kinds"] and self.concerns(entry, claim) for claim in open_claims)

    def concerns(self, entry, claim):
        """Could this entry reach a claimed line?"""
        if entry.first <= claim["last"] and claim["first"] <= entry.last:
            return True
        return entry.role != "module" and bool(self.callers(claim) & set(entry.code.co_names))

    def callers(self, claim):
        """Names of the functions that hold the claimed line."""
        return {
            code.co_name
            for code in self.codes[1:]
            if code.co_firstlineno <= claim["first"] <= max(
                (line for _, _, line in code.co_lines() if line), default=0)
        }  # fmt: skip

    def search(self, entry, hits):
        """Other benign values, by which a claimed sink may be reached."""
        for kind in range(2, len(OBJECTS)):
            if not self.may_search():
                return hits, {}
            usual, self.builder.objects = self.builder.objects, kind
            typed, self.sources.typed = self.sources.typed, set()
            self.call(entry, "benign")
            if self.better(hits):
                return dict(self.state.hits), {}
            self.builder.objects, self.sources.typed = usual, typed
        for variant in range(len(ALTERNATIVES)):
            if not self.may_search():
                return hits, {}
            self.call(entry, "benign", variant=variant)
            if self.better(hits):
                hits = dict(self.state.hits)
                self.variant = variant
                return hits, {}
        names = [name for name in self.sources.names if name not in self.sources.typed][:4]
        reaching = {}
        for text in self.sources.constants[:8]:
            for name in names:
                if not self.may_search():
                    return hits, reaching
                self.call(entry, "benign", fixed={name: text})
                if self.better(hits):
                    return dict(self.state.hits), {name: text}
                if self.at_claim():
                    reaching = reaching or {name: text}
        return hits, reaching

    def may_search(self):
        self.searches += 1
        return self.searches <= SEARCH_CALLS and not self.exhausted()

    def better(self, hits):
        """Did data now reach a claimed kind of sink that it had not reached?"""
        names = self.sources.names
        found = {(index, kind) for index, kind in set(self.state.hits) - set(hits)
                 if kind in self.claimed and index < len(names)}  # fmt: skip
        found = {kind for index, kind in found if not self.roots(names[index], kind)}
        self.reached |= found
        return bool(found)

    def at_claim(self):
        """Was a claimed line's sink reached, with whatever data?"""
        return any(
            kinds & set(claim["kinds"]) and claim["first"] <= line <= claim["last"]
            for claim in self.claims
            for line, kinds in self.state.lines.items()
        )

    def attack(self, entry, hits, fixed):
        """Every payload of its kind for every source that was seen at a sink."""
        names = list(self.sources.names)
        variant = getattr(self, "variant", -1)
        self.variant = -1
        pairs = [
            (names[index], kind, text) for (index, kind), text in hits.items() if index < len(names)
        ]
        if fixed and not {kind for _, kind in hits} & self.claimed:
            pairs += [(name, kind, "") for name in fixed for kind in self.claimed]
        elif not pairs and names and entry.role != "module":
            near = [claim for claim in self.claims if self.concerns(entry, claim)]
            pairs = [
                (ALL, kind, "") for kind in {kind for claim in near for kind in claim["kinds"]}
            ]
        inner = {name for name in names if name not in self.sources.typed}
        for name, kind, text in pairs:
            if name in self.sources.typed or (len(inner) > 1 and self.roots(name, kind)):
                continue
            if kind == "match":
                if "match" in self.claimed:
                    self.plan_pumps(entry, name, text)
                continue
            self.payloads(entry, name, kind, text, variant, {} if name in fixed else fixed)

    def payloads(self, entry, name, kind, seen, variant, fixed):
        benign = ""
        if name != ALL:
            self.sources.begin(variant=variant)
            benign = self.sources.benign(name.rpartition(":")[2], self.sources.index(name))
        for at, probe in enumerate(self.probes.get(kind, ())):
            marker = self.sources.marker(0 if name == ALL else self.sources.index(name))
            text = self.world.payload(probe["value"], seen, marker)
            forms = [text]
            if at < WRAPS and kind in WRAPPED and benign:
                inner = benign.replace(marker, text) if marker in benign else text + benign
                forms += [inner, benign + text]
            for form in forms:
                if self.exhausted():
                    return
                self.call(entry, "attack", name, kind, probe["id"], form, variant, fixed)
                if any(reached == kind for _, reached in self.state.hits):
                    break

    def roots(self, name, kind):
        """Does the source name the folder or the host, which the caller may choose?"""
        return kind in ROOTED and is_base(name, kind)

    def plan_pumps(self, entry, name, pattern):
        self.pumped += [(entry, name, text) for text in pumps(pattern)]

    def call(self, entry, mode, name=None, kind="", probe="", text="", variant=-1, fixed=None):
        """One call; the name of the exception that it ended with, or an empty text."""
        self.calls += 1
        self.state.begin_call()
        self.state.limit = self.state.work + CALL_WORK
        self.state.pumping = mode == "pump"
        self.sources.begin(name, text, variant, fixed, kind)
        self.world.begin_call()
        index = self.sources.index(name) if name and name != ALL else 0
        self.say(
            "call", mode, name or "", index, kind, probe, text[:400] if kind != "match" else ""
        )
        ended, chosen, line = "", False, 0
        try:
            self.result(entry, self.world.settle(entry.call()))
        except Exhausted:
            ended = "Exhausted"
        except BaseException as error:
            ended, chosen, line = type(error).__name__[:60], deliberate(error), last_line(error)
        self.say("end", ended, chosen, line, self.state.doubts)
        return ended

    def result(self, entry, result):
        """What came out is a sink too."""
        if isinstance(result, types.GeneratorType):
            result = [item for _, item in zip(range(20), result)]  # noqa: B905
        if entry.role == "handler":
            self.world.answer(result, entry.name, entry.page)
        if isinstance(result, (str, bytes, list, tuple, dict)) and entry.role != "module":
            text = plain(result)
            if self.state.indexes(text):
                kind = type(result).__name__ if isinstance(result, (str, bytes)) else "collection"
                self.sink("return", entry.name, text, line=entry.last, type=kind)


class ModuleEntry:
    name, role = MODULE, "module"

    def __init__(self, code, call):
        self.code, self.call = code, call
        self.first = 1
        self.last = max((line for _, _, line in code.co_lines() if line), default=1)


def last_line(error):
    """The last line of the snippet that the exception passed."""
    line, trace = 0, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == SNIPPET:
            line = trace.tb_lineno or 0
        trace = trace.tb_next
    return line


def install_watch(state):
    """Count the backward jumps of the snippet's own code, and see which functions get data."""
    monitoring = sys.monitoring

    def jumped(code, offset, target):
        state.work += 1
        if state.work > state.limit:
            state.limit = state.work + 200
            raise Exhausted

    def started(code, offset):
        if code in state.entered or code.co_filename != SNIPPET:
            return
        values = sys._getframe(1).f_locals
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            value = values.get(name)
            if isinstance(value, (str, bytes, list, dict, tuple)) and state.tainted(value):
                state.entered.add(code)
                return

    monitoring.use_tool_id(TOOL, "driver")
    monitoring.register_callback(TOOL, monitoring.events.JUMP, jumped)
    monitoring.register_callback(TOOL, monitoring.events.PY_START, started)
