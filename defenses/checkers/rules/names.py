"""What names hold while the code is followed: looking up, storing, and what parameters bring."""

import re
from collections.abc import Sequence
from dataclasses import replace

from bluecode.defenses.checkers.rules.matching import Callee
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.state import Env, Run
from bluecode.defenses.checkers.rules.tree import Node, path_of
from bluecode.defenses.checkers.rules.values import NOTHING, UNKNOWN, Level, Value

NUMERIC = re.compile(
    r"^(?:u?int(?:8|16|32|64|_t|eger)?|u?int\d+_t|long|short|float|double|bool(?:ean)?|size_t|"
    r"[iu](?:8|16|32|64|128|size)|f32|f64|number|byte|decimal|char|Integer|Long|Boolean|Double|"
    r"Guid|UUID|DateTime|ssize_t|off_t|pid_t|time_t|unsigned(?: \w+)*|(?:long )+(?:int|long))\??$"
)
"""Types whose values are numbers, truth values or dates."""

_NUMBERS = re.compile(
    r"<\s*\(?\s*(?:[iu](?:8|16|32|64|128|size)|f32|f64|bool|Uuid|Integer|Long|UUID)\s*\)?\s*>$"
)
"""Parts of a request that are read as a number."""
_FRAME = re.compile(
    r"^(?:base|root|trusted|allowed|safe|expected|prefix|default|config|static|public|template)|"
    r"(?:dir|directory|folder|domain|(?:base|api|server|site|root)_?(?:url|uri|path)|"
    r"(?:^|_)host(?:name)?|_root|dir_?path)$",
    re.I,
)
"""Names of parameters that are the frame for others, not data from outside: a folder, a domain."""
_FRAMED = frozenset({"path", "url", "redirect"})
CONSTANT = re.compile(r"^(?:\w+\.)*[A-Z][A-Z0-9_]+$")
"""Names that the code gives to what never changes."""
_SHORT = frozenset({"ID", "URL", "URI", "IP", "SQL", "HTML", "XML"})
"""Parts that are written in capitals because they are short for something."""


class Names:
    """Keeps what names hold. `Calls`, `Expressions` and `Flow` build on it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.env: Env = {}
        self.classes: list[Node] = []
        self.holders: set[str] = set()
        """Names of which parts are spoken of anywhere in the snippet."""
        self._known_paths: dict[str, Value | None] = {}
        self._receivers: dict[int, Value] = {}
        """What the receivers of calls hold, by the identity of their nodes."""

    # What the classes built on this one know

    def eval(self, node: Node) -> Value:
        """What an expression holds; `Expressions` does it."""
        return UNKNOWN

    def returned(self, node: Node, value: Value) -> None:
        """A value is given back by a function."""

    def function_started(self, node: Node) -> None:
        """A function is about to be followed."""

    def class_started(self, node: Node) -> None:
        """A class is about to be followed."""

    def facts(self, condition: Node) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
        """What a condition says; `Flow` knows."""
        return {}, {}

    def learn(self, known: dict[str, frozenset[str]]) -> None:
        """Take facts over into what names hold; `Flow` does it."""

    def closure(self, node: Node, given: Sequence[Value] | None) -> Value:
        """Follow a function that stands as a value, with what it will be called with."""
        return self.function(node, given)

    def function(self, node: Node, given: Sequence[Value] | None = None) -> Value:
        """Follow a function; `Flow` does it."""
        return UNKNOWN

    def statement(self, node: Node) -> bool:
        """Follow a statement; `Flow` does it."""
        return False

    def assigned(self, target: Node, source: Node) -> None:
        """A name was given a value; `Flow` remembers answers of checks."""

    def entry(self, target: Node, value: Value, node: Node) -> None:
        """A value is stored under a key; rules of single languages look at it."""

    def resolved(self, target: str, source: str) -> None:
        """A name holds the true form of the path in another; `Flow` remembers it."""

    def weight(self, rule: str, value: Value) -> float:
        """How much the surroundings change how likely a claim is; `Flow` knows them."""
        return 1.0

    def called(self, callee: Callee, site: Site) -> None:
        """A call happens; rules of single languages look at it."""

    # Looking up

    def lookup(self, path: str) -> Value:
        """What a dotted path holds."""
        value = self.env.get(path)
        if value is not None:
            return value
        if path not in self._known_paths:
            self._known_paths[path] = self._source(path)
        known = self._known_paths[path]
        if known is not None:
            return known
        head, dot, last = path.rpartition(".")
        if dot:
            return self._part(self.lookup(head), last, path)
        return self._free(path)

    def _source(self, path: str) -> Value | None:
        for expression, source in self.run.matcher.paths:
            if expression.search(path):
                return Value(source.level, path=path).without(source.cleared.split())
        return None

    def _free(self, path: str) -> Value:
        """A name that the snippet does not define."""
        if CONSTANT.match(path) or self.run.matcher.globals.match(path):
            return Value(path=path)
        if path in self.run.functions:
            return Value(path=path)
        return Value(Level.UNKNOWN, path=path)

    def _part(self, whole: Value, name: str, path: str) -> Value:
        if name in whole.fields:
            return whole.fields[name]
        if whole.path and whole.level is Level.NONE:
            known = self._source(f"{whole.path}.{name}")
            if known is not None:
                return known
        if CONSTANT.match(name) and name not in _SHORT:
            return Value(path=path)
        if name in ("length", "size", "Length", "Count"):
            return NOTHING
        return Value(
            whole.level, whole.clean, whole.eased, path=f"{whole.path}.{name}", marks=whole.marks
        )

    # Storing

    def _store(self, target: Node, value: Value, node: Node) -> None:
        if target.role == "member":
            holder = self.eval(target.base) if target.base is not None else NOTHING
            whole = path_of(target)
            self._set(target.name, value, node, f"{path_of(target.base)} {holder.path}")
            if whole:
                self._forget(whole)
                self.env[whole] = value
            return
        if target.role == "index":
            self._store_entry(target, value, node)
            return
        self.bind(target, value)
        if target.role == "name":
            self._set(target.name, value, node, "")

    def _store_entry(self, target: Node, value: Value, node: Node) -> None:
        self.eval(target)
        holder = path_of(target.base)
        if not holder or not target.args:
            return
        key = target.args[0]
        if key.role == "text":
            self._set(key.name, value, node, holder)
            self.env[f"{holder}.{key.name}"] = value
        self.entry(target, value, node)
        old = self.lookup(holder)
        if value.level > old.level:
            self.env[holder] = replace(old, level=value.level, clean=value.clean)

    def _forget(self, path: str) -> None:
        for name in self.parts_of(path):
            del self.env[name]

    def parts_of(self, path: str) -> Sequence[str]:
        """Names of what is known of parts of a value."""
        if path not in self.holders:
            return ()
        self.run.spend(len(self.env))
        return [name for name in self.env if name.startswith(path + ".")]

    def bind(self, target: Node, value: Value) -> None:
        """Give a name, or each name of a pattern, what it now holds."""
        role = target.role
        if role == "name":
            self._forget(target.name)
            self.env[target.name] = value
        elif role == "pair":
            part = value.fields.get(target.name)
            if part is None:
                path = f"{value.path}.{target.name}" if value.path else ""
                known = self._source(path) if path else None
                part = known or Value(value.level, value.clean, value.eased, path=path)
            self.bind(target.args[0], part)
        elif role in ("array", "object", "other"):
            for at, part_node in enumerate(target.args):
                self._bind_part(part_node, value, at)
        elif role == "assign" and target.base is not None:
            self._bind_part(target.base, value, 0)
        elif role in ("unary", "cast") and target.args:
            self.bind(target.args[0], value)
        elif role in ("member", "index"):
            self._store(target, value, target)

    def _bind_part(self, part: Node, whole: Value, at: int) -> None:
        if part.role == "pair":
            self.bind(part, whole)
            return
        if at < len(whole.items):
            self.bind(part, whole.items[at])
            return
        if part.role == "name" and (whole.path or whole.fields):
            held = whole.fields.get(part.name)
            path = f"{whole.path}.{part.name}" if whole.path else ""
            known = self._source(path) if path else None
            if held is None:
                held = known or Value(whole.level, whole.clean, whole.eased, path=path, text=None,
                                      marks=whole.marks)  # fmt: skip
            if at == 0 and whole.path.endswith(")"):
                held = replace(held, path=whole.path)
            self.bind(part, held)
            return
        self.bind(part, Value(whole.level, whole.clean, whole.eased, marks=whole.marks))

    def _set(self, name: str, value: Value, node: Node, holder: str) -> None:
        """A field or option gets a value: some must not have it."""
        for setting, within in self.run.matcher.settings.get(name, ()):
            if (not setting.within or within.search(holder)) and setting.value(value):
                self.run.claim(setting.rule, node, setting.score)
        for store, within in self.run.matcher.stores.get(name, ()):
            if store.within and not within.search(holder):
                continue
            if store.built and ("built" not in value.marks or value.text is None):
                continue
            label = store.label or store.rule
            level = value.level_for(label)
            if level >= max(store.least, Level.UNKNOWN) and node.role != "declare":
                self.run.claim_flow(store.rule, node, level, store.factor)

    # Parameters

    def parameter(self, node: Node, given: Value | None, function: Node) -> None:
        """Seed a parameter."""
        value = given if given is not None else self.seed(node, function)
        if given is not None and given.level <= Level.INPUT and _FRAME.search(node.name):
            value = replace(given, eased=given.eased | _FRAMED)
        for default in node.args:
            if self.eval(default).known and value.level is Level.PARAMETER:
                value = replace(value, eased=value.eased | _FRAMED)  # few callers give it
        if node.base is not None:
            self.bind(node.base, value)
        if node.name:
            self.env[node.name] = value

    def seed(self, node: Node, function: Node) -> Value:
        """What a caller may hand over."""
        matcher = self.run.matcher
        kind = node.type.removeprefix("const ").strip()
        path = kind.partition("<")[0].strip(" *&") or node.name
        for expression, source in matcher.types:
            if expression.search(node.type) or any(expression.search(tag) for tag in node.tags):
                if NUMERIC.match(kind) is not None or _NUMBERS.search(kind):
                    return NOTHING
                return Value(path=source.acts_as) if source.acts_as else Value(source.level)
        for expression, source in matcher.parameters:
            if expression.search(node.name):
                return Value(path=source.acts_as) if source.acts_as else Value(source.level)
        if NUMERIC.match(kind) or (kind and matcher.harmless.search(kind)):
            return Value(path=path)
        if matcher.trusted.search(node.name) or (kind and matcher.trusted.search(kind)):
            return Value(path=path)
        if _FRAME.search(node.name):
            return Value(self.caller_level(function), eased=_FRAMED, path=path)
        return Value(self.caller_level(function), path=path)

    def caller_level(self, function: Node) -> Level:
        """Who decides the parameters of a function."""
        return Level.PARAMETER if function.name else Level.UNKNOWN
