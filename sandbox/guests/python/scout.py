"""Ordinary calls of an entry point, until outside data is seen at the sinks that matter.

A benign call is made in a setting: the shape of texts, values that single sources keep, the types
of arguments. What reached a sink in a setting is attacked in the same one, so that the host can
tell an attack that was turned away from one that never had a chance.
"""

from entries import OBJECTS, is_base
from sources import ALTERNATIVES

SEARCH_CALLS = 40
TWICE = frozenset({"iv", "salt"})
"""Kinds of sink where it matters whether the next call brings the same again."""
ROOTED = frozenset({"path", "url", "redirect", "return"})
"""Kinds whose values lie within a folder or on a host that may be a parameter of its own."""
ENDLESS = frozenset({"Exhausted", "RecursionError", "MemoryError", "OverflowError"})
STUMBLES = frozenset({"TypeError", "AttributeError", "KeyError", "IndexError"})
TAUGHT = STUMBLES | {"ValueError"}
ADOPTIONS = 5
"""So many times may an entry teach what its arguments are to be."""


class Setting:
    """How the values of a call are made, apart from an attack."""

    def __init__(self, variant=-1, fixed=(), objects=0, unknown=False, contrary=0):
        self.variant, self.fixed, self.objects = variant, dict(fixed), objects
        self.unknown = unknown  # data of unknown origin is a source, too
        self.contrary = contrary  # what is unknown says no


class Hit:
    """Data of a source at a kind of sink."""

    def __init__(self, text, setting, typed):
        self.text, self.setting = text, setting
        self.typed = typed  # the source's type leaves no room for a payload


class Scout:
    """Finds, for one run, what can be reached and by which values."""

    def __init__(self, state, sources, call, exhausted, claims, codes):
        self.state, self.sources = state, sources
        self.call, self.exhausted = call, exhausted
        self.claims, self.codes = claims, codes
        self.claimed = {kind for claim in claims for kind in claim["kinds"]}
        self.reached = set()  # claimed kinds that data was seen to reach in this run
        self.searches = 0

    def look(self, entry):
        """What was reached, and a setting in which a claimed line was, though by no one's data."""
        hits = {}
        self.by_types(entry, hits)
        if self.claims and self.state.guesses:
            self.try_it(entry, hits, Setting(unknown=True))
        if self.satisfied(entry, hits):
            return hits, None
        return hits, self.search(entry, hits)

    def try_it(self, entry, hits, setting):
        """One benign call; whether it reached a claimed kind that nothing had reached, and how
        it ended."""
        ended = self.call(entry, "benign", setting)
        names, new = self.sources.names, set()
        for (index, kind), text in self.state.hits.items():
            if index < len(names) and (index, kind) not in hits:
                hits[index, kind] = Hit(text, setting, names[index] in self.sources.typed)
                new.add((index, kind))
        useful = {kind for index, kind in new if not self.roots(names[index], kind)}
        self.reached |= useful
        return bool(useful & self.claimed), ended

    def by_types(self, entry, hits):
        """Usual values first; where the code stumbles over their types, others."""
        _, ended = self.try_it(entry, hits, Setting())
        for _ in range(ADOPTIONS):
            open_still = ended in TAUGHT or (self.claims and not self.satisfied(entry, hits))
            if not open_still or self.exhausted() or not self.sources.adopt():
                break
            _, ended = self.try_it(entry, hits, Setting())
        if any(kinds & TWICE for kinds in self.state.lines.values()):
            self.try_it(entry, hits, Setting())
        if ended not in STUMBLES or (self.claims and self.satisfied(entry, hits)):
            return
        for kind in range(1, len(OBJECTS)):
            if self.exhausted() or not self.try_it(entry, hits, Setting(objects=kind))[1]:
                return

    def search(self, entry, hits):
        """Other values, by which a claimed sink may be reached."""
        settings = [Setting(unknown=True)]
        for contrary in (1, 2):
            settings += [Setting(contrary=contrary), Setting(unknown=True, contrary=contrary)]
        settings += [Setting(objects=kind) for kind in range(2, len(OBJECTS))]
        settings.append(Setting(objects=len(OBJECTS) - 1, unknown=True))
        settings += [Setting(variant) for variant in range(len(ALTERNATIVES))]
        for setting in settings:
            if not self.may_search():
                return None
            found, ended = self.try_it(entry, hits, setting)
            if found or ended in ENDLESS:
                return None
        return self.by_constants(entry, hits)

    def by_constants(self, entry, hits):
        names = [name for name in self.sources.names if name not in self.sources.typed][:4]
        reaching = None
        for text in self.sources.constants[:8]:
            for name in names:
                if not self.may_search():
                    return reaching
                setting = Setting(fixed={name: text})
                if self.try_it(entry, hits, setting)[0]:
                    return None
                if self.at_claim():
                    reaching = reaching or setting
        return reaching

    def may_search(self):
        self.searches += 1
        return self.searches <= SEARCH_CALLS and not self.exhausted()

    def satisfied(self, entry, hits):
        """Is there nothing claimed here that is still out of reach?"""
        if len(self.sources.names) == 1:
            self.reached |= {kind for _, kind in hits}
        open_claims = (
            claim for claim in self.claims if not self.reached.intersection(claim["kinds"])
        )
        return not any(claim["kinds"] and self.concerns(entry, claim) for claim in open_claims)

    def concerns(self, entry, claim):
        """Could this entry reach a claimed line?"""
        if entry.role == "module":
            lines = {line for _, _, line in entry.code.co_lines() if line}
            here = any(claim["first"] <= line <= claim["last"] for line in lines)
            return here and not self.callers(claim)
        if entry.first <= claim["last"] and claim["first"] <= entry.last:
            return True
        return bool(self.callers(claim) & set(entry.code.co_names))

    def callers(self, claim):
        """Names of the functions that hold the claimed line."""
        return {
            code.co_name
            for code in self.codes[1:]
            if code.co_firstlineno <= claim["last"] and claim["first"] <= last_line_of(code)
        }

    def at_claim(self):
        """Was a claimed line's sink reached, with whatever data?"""
        return any(
            kinds & set(claim["kinds"]) and claim["first"] <= line <= claim["last"]
            for claim in self.claims
            for line, kinds in self.state.lines.items()
        )

    def roots(self, name, kind):
        """Does the source name the folder or the host, which the caller may choose?"""
        return kind in ROOTED and is_base(name, kind)


def last_line_of(code):
    return max((line for _, _, line in code.co_lines() if line), default=code.co_firstlineno)
