"""The order of calls: benign ones until data of a source reaches a sink, then attacks on that pair.

A function that others of the snippet call is driven through them; by itself only where they never
brought data to it. Every call has a budget of work, and so has the run.
"""

import base64
import json
import sys
import types

from entries import CONVERTERS, Builder, deliberate, entries, function_entry
from literals import constants, literals, separators, walk
from pumps import pumps
from recording import MODULE, SNIPPET, Exhausted, frame_above, plain
from scout import ENDLESS, Hit, Scout, Setting
from sources import ALL, ALTERNATIVES

TOOL = 4
CALL_WORK = 10_000
RUN_WORK = 60_000
CALLS = 160
LOOKS = 30
"""So often in a call are a function's arguments looked at for data: more would cost more than it."""
DISGUISED = 4
"""So many payloads that a guard turned away are tried again in other clothes."""
TYPED = "#"
"""The end of the name of a source whose type leaves no room for a payload."""
SINGLE = 4
"""So many sources are attacked one by one where a claimed line was reached by no one's data."""
WRAPS = 3
"""So many payloads of a kind are also tried before and after a benign value."""
WRAPPED = frozenset({"shell", "sql", "code", "path", "url", "redirect", "page", "template"})


class Driver:
    """One run of one snippet."""

    def __init__(self, state, sources, recorder, world):
        self.state, self.sources, self.recorder, self.world = state, sources, recorder, world
        self.say, self.sink = recorder.say, recorder.sink
        self.builder = Builder(sources, world)
        self.calls = 0
        self.pumped = []

    def run(self, code, space, job):
        self.probes = {}
        for probe in job["probes"]:
            self.probes.setdefault(probe["kind"], []).append(probe)
        self.claimed = {kind for claim in job.get("claims", ()) for kind in claim["kinds"]}
        self.claims = self.state.claims = job.get("claims", ())
        codes = list(walk(code))
        self.scout = Scout(self.state, self.sources, self.call, self.exhausted, self.claims, codes)
        self.sources.constants = constants(codes)
        self.state.separators = separators(codes)
        self.state.literals = literals(codes)
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
        for entry, name, setting, text in self.pumped:
            self.call(entry, "pump", setting, name, "match", "pump", text)

    def watch(self, codes):
        events = sys.monitoring.events
        for code in codes:
            sys.monitoring.set_local_events(TOOL, code, events.JUMP | events.PY_START)

    def handlers(self, done):
        """What frameworks were given, also what turned up while other code ran."""
        at = 0
        while at < len(self.state.handlers):
            function, rule, page, checks = self.state.handlers[at]
            at += 1
            if id(function) in done:
                continue
            done.add(id(function))
            if isinstance(function, type):
                continue
            if getattr(getattr(function, "__code__", None), "co_filename", "") == SNIPPET:
                made = function_entry(
                    function.__name__, function, self.builder, rule, "handler", page
                )
                made.checks = checks or bool(CONVERTERS.search(rule))
                self.entry(made)
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
        hits = {}
        ended = self.scout.try_it(entry, hits, Setting())[1]
        entry.call = again
        varies = (self.sources.names or self.state.guessed) and ended not in ENDLESS
        reaching = None
        if varies and not self.scout.satisfied(entry, hits):
            reaching = self.scout.search(entry, hits)
        if self.sources.names:
            self.attack(entry, hits, reaching)

    def begin_entry(self, entry):
        self.say("entry", entry.name, entry.role, entry.first, entry.last)

    def entry(self, entry):
        """Everything about one entry point."""
        if self.exhausted():
            return
        self.sources.forget()
        self.begin_entry(entry)
        hits, reaching = self.scout.look(entry)
        self.attack(entry, hits, reaching)
        typed = self.sources.ever_typed
        self.say("sources", *[name + TYPED * (name in typed) for name in self.sources.names])

    def exhausted(self):
        return self.calls >= CALLS or self.state.work > RUN_WORK

    def attack(self, entry, hits, reaching):
        """Every payload of its kind for every source that was seen at a sink."""
        names = list(self.sources.names)
        free = [name for name in names if name not in self.sources.typed]
        pairs = [(names[index], kind, hit) for (index, kind), hit in hits.items()]
        if reaching is not None and not {kind for _, kind, _ in pairs} & self.claimed:
            kept = [(name, Hit("", reaching, False)) for name in reaching.fixed]
            kept += [(name, Hit("", Setting(), False)) for name in free[:SINGLE]]
            pairs += [(name, kind, hit) for name, hit in kept for kind in self.claimed]
        elif not pairs and names and entry.role != "module":
            near = [claim for claim in self.claims if self.scout.concerns(entry, claim)]
            kinds = {kind for claim in near for kind in claim["kinds"]}
            pairs = [(ALL, kind, Hit("", Setting(), False)) for kind in kinds]
        for name, kind, hit in sorted(pairs, key=lambda pair: pair[1] not in self.claimed):
            if hit.typed and entry.checks:
                self.refused(entry, name, kind, hit)
            if hit.typed or (len(free) > 1 and self.scout.roots(name, kind)):
                continue
            if kind == "match":
                self.plan_pumps(entry, name, hit)
            else:
                self.payloads(entry, name, kind, hit)

    def payloads(self, entry, name, kind, hit):
        benign, marker = "", self.sources.marker(0)
        if name != ALL:
            self.sources.begin(
                variant=hit.setting.variant, fixed=hit.setting.fixed, unknown=hit.setting.unknown
            )
            benign, marker = self.sources.text(name), self.sources.marker(self.sources.index(name))
        stopped = []
        for at, probe in enumerate(self.probes.get(kind, ())):
            text = self.world.payload(probe["value"], hit.text, marker)
            coded = encoded(text, benign, marker, hit.setting.variant)
            forms = [coded]
            if coded == text and at < WRAPS and kind in WRAPPED and benign:
                inner = benign.replace(marker, text) if marker in benign else text + benign
                forms += [inner, benign + text]
            if not self.any_reaches(entry, hit.setting, name, kind, probe["id"], forms):
                stopped.append((probe["id"], text))
        if kind in WRAPPED and name != ALL:
            for probe, text in stopped[:DISGUISED]:
                forms = disguises(text, benign, self.sources.constants, self.state.separators)
                self.any_reaches(entry, hit.setting, name, kind, probe, forms)

    def any_reaches(self, entry, setting, name, kind, probe, forms):
        """Try forms of a payload until one gets to a sink of its kind."""
        for form in forms:
            if self.exhausted():
                return False
            self.call(entry, "attack", setting, name, kind, probe, form)
            if any(reached == kind for _, reached in self.state.hits):
                return True
        return False

    def refused(self, entry, name, kind, hit):
        """A framework that checks types lets none of the payloads through to the handler."""
        index, how = self.sources.index(name), self.manner(hit.setting)
        for probe in self.probes.get(kind, ()):
            text = self.world.payload(probe["value"], hit.text, self.sources.marker(index))
            self.recorder.call("attack", how, name, index, kind, probe["id"], text)
            self.recorder.end("ValidationError", True, 0)

    def manner(self, setting):
        """How the values of a call are made, in one word."""
        types = ",".join(self.sources.kinds.values())
        unknown = setting.unknown + 2 * setting.contrary
        how = f"{setting.variant}.{setting.objects}.{unknown}.{types}."
        return (how + ",".join(setting.fixed))[:60]

    def plan_pumps(self, entry, name, hit):
        if "match" in self.claimed:
            self.pumped += [(entry, name, hit.setting, text) for text in pumps(hit.text)]

    def call(self, entry, mode, setting, name=None, kind="", probe="", text=""):
        """One call; the name of the exception that it ended with, or an empty text."""
        self.calls += 1
        self.state.begin_call()
        if self.state.muted:
            self.state.muted = False
            sys.monitoring.restart_events()
        self.state.limit = self.state.work + CALL_WORK
        self.state.pumping = mode == "pump"
        self.state.contrary = setting.contrary
        self.sources.typed = set()
        self.sources.begin(name, text, setting.variant, setting.fixed, kind, setting.unknown)
        self.builder.objects = setting.objects
        self.world.begin_call()
        index = self.sources.index(name) if name and name != ALL else 0
        shown = text[:400] if kind != "match" else ""
        self.recorder.call(mode, self.manner(setting), name or "", index, kind, probe, shown)
        ended, chosen, line = "", False, 0
        try:
            self.result(entry, self.world.settle(entry.call()))
        except Exhausted:
            ended = "Exhausted"
        except BaseException as error:  # the snippet's own, `SystemExit` and worse among them
            ended, chosen, line = type(error).__name__[:60], deliberate(error), last_line(error)
            self.missed(error)
            letter = isinstance(error, AttributeError) and type(error.obj) is str
            if letter and len(error.obj) == 1 and self.sources.walked:
                self.sources.want(self.sources.walked, "rows")
        self.recorder.end(ended, chosen, line)
        if not setting.objects:
            self.sources.ever_typed |= self.sources.typed
        return ended

    def missed(self, error):
        """A class of the snippet lacks what its own code takes for granted: a part is shown here,
        and the rest of it is unknown."""
        kind = type(error.obj) if isinstance(error, AttributeError) else None
        if kind is None or kind.__module__ != MODULE or hasattr(kind, "__getattr__"):
            return
        kind.__getattr__ = self.world.attribute
        self.sources.want("class:" + kind.__name__, "open")

    def result(self, entry, result):
        """What came out is a sink too."""
        if isinstance(result, types.GeneratorType):
            result = [item for _, item in zip(range(20), result)]  # noqa: B905
        if entry.role == "handler":
            self.world.answer(result, entry.name, entry.page)
        asked = "return" in self.probes and entry.role != "module"
        if asked and isinstance(result, (str, bytes, list, tuple, dict)):
            text = plain(result)
            if self.state.indexes(text):
                kind = type(result).__name__ if isinstance(result, (str, bytes)) else "collection"
                self.sink("return", entry.name, text, line=entry.last, type=kind)


def encoded(text, benign, marker, variant):
    """A payload in the coding in which a benign value got to the sink."""
    shape = ALTERNATIVES[variant] if variant >= 0 else ""
    if shape == "BASE64":
        return base64.b64encode(text.encode()).decode()
    if shape == "HEX":
        return text.encode().hex()
    if benign.startswith('{"') and marker in benign:
        return benign.replace(marker, json.dumps(text)[1:-1])
    return text


def disguises(text, benign, constants, separators):
    """A payload as it may look to a guard that asks for a certain beginning, end or part: with the
    snippet's own texts, and with a good value on the other side of what it splits at."""
    forms = []
    for letter in separators:
        forms += [benign + letter + text, text + letter + benign]
    for constant in constants[:4]:
        forms += [constant + text, text + constant, constant + " " + text]
    return list(dict.fromkeys(forms))[:16]


class ModuleEntry:
    name, role, checks = MODULE, "module", False

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
            return monitoring.DISABLE
        state.starts[code] = state.starts.get(code, 0) + 1
        if state.starts[code] > LOOKS:
            state.muted = True
            return monitoring.DISABLE
        values = frame_above(1).f_locals
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            value = values.get(name)
            if isinstance(value, (str, bytes, list, dict, tuple)) and state.tainted(value):
                state.entered.add(code)
                return monitoring.DISABLE
        return None

    monitoring.use_tool_id(TOOL, "driver")
    monitoring.register_callback(TOOL, monitoring.events.JUMP, jumped)
    monitoring.register_callback(TOOL, monitoring.events.PY_START, started)
