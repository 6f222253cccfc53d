"""What a call does: the rules it meets, and what comes back."""

from collections.abc import Sequence
from dataclasses import replace

from bluecode.defenses.checkers.python_regex import explodes
from bluecode.defenses.checkers.rules.comparisons import EQUALS, MEMBER_OF, compared, looked_for
from bluecode.defenses.checkers.rules.matching import Callee
from bluecode.defenses.checkers.rules.names import CONSTANT, Names
from bluecode.defenses.checkers.rules.rule import ANY, BASE, Sink, Writer
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.texts import (
    CLEAN_SUFFIX,
    READS,
    formatted,
    interpolated,
    mutates,
    replaced,
    resolved_path,
)
from bluecode.defenses.checkers.rules.tree import EMPTY, Node, name_of, path_of
from bluecode.defenses.checkers.rules.values import (
    NOTHING,
    UNKNOWN,
    Level,
    Value,
    concatenated,
    together,
)


class Calls(Names):
    """Evaluates calls."""

    def receiver(self, node: Node) -> Value:
        """What a call's method is taken from, without doing anything."""
        if node.base is None:
            return NOTHING
        path = path_of(node.base)
        if path:
            return self.lookup(path)
        return self._receivers.get(id(node.base), UNKNOWN) if node.base else NOTHING

    def callee(self, node: Node, base: Value) -> Callee:
        """The names under which rules may know a call."""
        heads: list[str] = []
        if not node.name and node.base is not None and node.base.name == "promisify":
            inner = path_of(node.base.args[0]) if node.base.args else ""
            head, _, last = (self.lookup(inner).path or inner).rpartition(".")
            return Callee(last, (head,) if head else ())
        if node.base is not None:
            written = path_of(node.base)
            heads = [head for head in (written, base.path) if head] or ["?"]
        elif node.type != "new":
            known = self.env.get(node.name)
            if known is not None and known.path and known.path not in ("function", node.name):
                head, _, last = known.path.rpartition(".")
                return Callee(last or node.name, (head,) if head else ())
        return Callee(node.name, tuple(heads), node.type == "new")

    def _call(self, node: Node) -> Value:
        base = self.eval(node.base) if node.base is not None else NOTHING
        if node.base is not None and not path_of(node.base):
            self._receivers[id(node.base)] = base
        args = self._arguments(node, base)
        if node.size is not None:
            self.eval(node.size)
        callee = self.callee(node, base)
        site = Site(callee.name, base, args, node, self.run.purpose, self.run.lines)
        self.called(callee, site)
        self._check_comparison(site)
        self._check_sinks(callee, site)
        for rule in self.run.matcher.properties.of(callee):
            score = rule.when(site)
            if score:
                self.run.claim(rule.rule, node, score)
        return self._result_of(callee, site)

    def _arguments(self, node: Node, base: Value) -> list[Value]:
        values: list[Value] = []
        for arg in node.args:
            if arg.role == "function":
                element = (
                    Value(base.level, base.clean, base.eased)
                    if base.level > Level.UNKNOWN
                    else None
                )
                given = [self._callback(p, element, at) for at, p in enumerate(arg.args)]
                result = self.function(arg, given)
                values.append(Value(path="function", fields={"()": result}))
            else:
                values.append(self.eval(arg))
        return values

    def _callback(self, parameter: Node, element: Value | None, at: int) -> Value:
        """What a callback is called with: a request by its name, or parts of what it is on."""
        seeded = self.seed(parameter, EMPTY)
        if seeded.level >= Level.INPUT or (element is None and seeded.level is Level.NONE):
            return seeded
        if element is not None:
            return replace(element, path=seeded.path)
        return replace(seeded, level=Level.UNKNOWN if at else seeded.level)

    def _check_comparison(self, site: Site) -> None:
        node = site.node
        if node.name not in EQUALS and node.name not in MEMBER_OF:
            return
        parts = list(zip(node.args, site.args, strict=True))
        if node.base is not None and path_of(node.base) not in ("strings", "bytes", "Objects"):
            parts = [(node.base, site.base), *parts]
        if node.name in EQUALS:
            compared(self.run, node, parts[:2])
        else:
            looked_for(self.run, node, parts[:2])

    def _check_sinks(self, callee: Callee, site: Site) -> None:
        own = not callee.heads and not callee.new and callee.name in self.run.functions
        for sink in self.run.matcher.sinks.of(callee):
            if own and sink.rule in _BY_ITS_NAME:
                continue  # the snippet says itself what a function of this name does
            if sink.when is not None and not sink.when(site):
                continue
            level, worst = self._worst(sink, site)
            if level >= max(sink.least, Level.UNKNOWN):
                factor = sink.factor * self.weight(sink.rule, worst)
                self.run.claim_flow(sink.rule, site.node, level, factor)

    def _worst(self, sink: Sink, site: Site) -> tuple[Level, Value]:
        label = sink.label or sink.rule
        values = [
            value
            for index in sink.args
            for value in (site.args if index == ANY else [site.arg(index)])
        ]
        values += [value for name in sink.options if (value := site.option(name)) is not None]
        worst, level = NOTHING, Level.NONE
        for value in values:
            found = value.level_for(label)
            if found > level and not (sink.built and "built" not in value.marks):
                worst, level = value, found
        return level, worst

    def _result_of(self, callee: Callee, site: Site) -> Value:
        matcher = self.run.matcher
        for writer in matcher.writers.of(callee):
            self._write(writer, site)
        if callee.name in ("require", "import") and not callee.heads and site.args:
            module = site.arg(0).known
            if module is not None:
                return Value(path=module.removeprefix("node:"))
        if callee.name == "promisify" and site.args:
            return site.arg(0)
        if callee.name in _REGEX_MAKERS and site.args and site.arg(0).known is not None:
            if callee.name != "new" or any("Regex" in head for head in callee.heads):
                return self._expression(site)
        for source in matcher.givers.of(callee):
            return Value(source.level, path=_made(callee))
        if callee.heads and site.base.level is Level.NONE:
            known = self._source(_made(callee))
            if known is not None:
                return known
        cleaners = matcher.cleaners.of(callee)
        if cleaners:
            value = site.arg(cleaners[0].arg) if site.args else site.base
            labels = " ".join(cleaner.labels for cleaner in cleaners).split()
            return replace(value.without(labels), path=_made(callee))
        if matcher.resolves.of(callee):
            return resolved_path(site)
        if matcher.joins.of(callee):
            return concatenated([v for a in site.args for v in (a.items or (a,))]).marked("joined")
        if matcher.formats.of(callee):
            return self._format(site)
        local = self._local(callee, site)
        if local is not None:
            return local
        return self._foreign(callee, site)

    def _expression(self, site: Site) -> Value:
        """A regular expression made of a text."""
        text = (site.arg(0).known or "").replace("\\\\", "\\")
        if not self.run.matcher.language.linear_regex and explodes(text):
            self.run.claim("redos", site.node, 0.65)
        return Value(path="re:" + text)

    def _format(self, site: Site) -> Value:
        if site.name.endswith("!") and site.args and site.args[0].text is not None:
            return interpolated(site.args[0], site.args[1:], self.lookup)
        first = 0
        if site.args and site.args[0].text is None and len(site.args) > 1:
            first = 1 if site.args[1].text is not None else 0
        if site.args and site.arg(first).text is not None:
            return formatted(site.arg(first), site.args[first + 1 :])
        return concatenated([site.base, *site.args] if site.base.text else list(site.args))

    def _local(self, callee: Callee, site: Site) -> Value | None:
        """A function of the snippet: follow it, with what it is given where that is worse."""
        node = site.node
        if callee.new or (node.base is not None and path_of(node.base) not in
                          ("", "this", "self", "$this", "exports", "module.exports")
                          and not self._own_class(path_of(node.base))):  # fmt: skip
            return None
        function = self.run.functions.get(callee.name)
        if function is None:
            return None
        worst = max((arg.level for arg in site.args), default=Level.NONE)
        plain = self.run.returns.get(name_of(function))
        if plain is None:
            plain = self.function(function)
        built = any(arg.level is Level.PARAMETER and "built" in arg.marks for arg in site.args)
        if worst > Level.PARAMETER or built:
            return self.function(function, list(site.args))
        if plain.level <= Level.UNKNOWN:
            return plain
        level = min(plain.level, worst) if site.args else plain.level
        return replace(plain, level=level, items=(), fields={})

    def _own_class(self, name: str) -> bool:
        return any(item.name == name for item in self.classes)

    def _foreign(self, callee: Callee, site: Site) -> Value:
        """A function elsewhere: what it is given may come back, whatever it is."""
        base, args = site.base, site.args
        if CLEAN_SUFFIX.search(callee.name) or _looked_up(site):
            return Value(path=_made(callee))
        changed = replaced(callee.name, site)
        if changed is not None:
            return changed
        if mutates(callee.name) and site.node.base is not None:
            self._grow(site.node.base, [base, *args])
            return replace(concatenated([base, *args]), path=base.path)
        if READS.search(callee.name):  # what stands in a file is not what named it
            return Value(Level.UNKNOWN, path=_made(callee))
        carried = [value for value in (base, *args) if value.level > Level.UNKNOWN]
        if not carried:
            level = max((value.level for value in args), default=Level.NONE)
            known = base.text if callee.name in _KEEPS_TEXT else None
            if callee.new and len(args) == 1 and callee.name in _BUILDERS:
                known = args[0].text
            if not callee.new and (base.level or not _of_the_code(base)):
                level = Level.UNKNOWN  # a tool of the language gives back what it was given
            return Value(level, text=known, path=_made(callee), fields=_options(args),
                         items=tuple(args) if callee.new else ())  # fmt: skip
        whole = together(carried)
        text = base.text if callee.name in _KEEPS_TEXT and base.text is not None else None
        if text is None and len(args) == 1 and callee.new:
            text = args[0].text
        items = tuple(args) if callee.new else ()
        return replace(whole, text=text, path=_made(callee), items=items, fields=_options(args))

    def _write(self, writer: Writer, site: Site) -> None:
        node = site.node
        target = node.base if writer.target == BASE else (
            node.args[writer.target] if writer.target < len(node.args) else None
        )  # fmt: skip
        while (
            target is not None and target.role in ("unary", "cast", "index") and not path_of(target)
        ):
            target = target.base if target.role == "index" else target.args[0]
        path = path_of(target)
        if not path:
            return
        count = len(site.args)
        parts = [
            value
            for index in writer.parts
            for value in (site.args[-index - 100 :] if index <= -100 else [site.arg(index)])
        ]
        if writer.format is not None and writer.format < count:
            value = formatted(site.arg(writer.format), site.args[writer.format + 1 :])
        else:
            value = concatenated(parts)
        old = self.lookup(path)
        if writer.keeps:
            value = concatenated([old, value])
        if writer.level > value.level:
            value = Value(writer.level)
        if writer.mark:
            value = value.marked(writer.mark)
        self.env[path] = replace(value, path=old.path)
        if writer.mark == "resolved":
            source = node.args[writer.parts[0]]
            while source.role == "call" and source.base is not None:  # C++'s `s.c_str()`
                source = source.base
            self.resolved(path, path_of(source))

    def _grow(self, target: Node, values: Sequence[Value]) -> None:
        while target.role == "call" and target.base is not None and mutates(target.name):
            target = target.base  # `b.append(x).append(y)` grows `b`
        path = path_of(target)
        if path:
            self.env[path] = replace(concatenated(values), path=self.lookup(path).path)


_BY_ITS_NAME = frozenset({"mass_assignment", "prototype_pollution"})
"""Weaknesses of library functions with names that anybody gives to a function."""
_KEEPS_TEXT = frozenset({"toString", "getBytes", "toCharArray", "c_str", "String", "trim",
                         "as_str", "to_string", "ToString",
                         "to_s", "clone", "into", "as_bytes", "strip", "to_owned", "unwrap",
                         "data", "str", "as_ref", "freeze", "Trim", "expect"})  # fmt: skip
_BUILDERS = frozenset({"StringBuilder", "StringBuffer", "ostringstream", "stringstream"})
_LOOKS_UP = frozenset({"get", "getOrDefault", "fetch", "GetValueOrDefault"})
_TABLES = frozenset({"Map.of()", "Map.ofEntries()", "Map", "Dictionary"})
_REGEX_MAKERS = frozenset({"compile", "MustCompile", "Compile", "Regex", "RegExp", "regex", "new",
                           "basic_regex"})  # fmt: skip


def _looked_up(site: Site) -> bool:
    """An entry of a table that the code itself fills, whatever the key."""
    if site.name not in _LOOKS_UP or site.base.level is not Level.NONE:
        return False
    written = path_of(site.node.base)
    return bool(site.base.fields or CONSTANT.match(written) or site.base.path in _TABLES)


def _of_the_code(value: Value) -> bool:
    """Is something known of it, so that it is the code's own?"""
    return bool(value.path or value.items or value.fields) or value.text is not None


def _made(callee: Callee) -> str:
    head = callee.heads[-1] if callee.heads and callee.heads[-1] != "?" else ""
    if callee.new:
        return callee.name
    return f"{head}.{callee.name}()" if head else f"{callee.name}()"


def _options(args: Sequence[Value]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for arg in args:
        found.update(arg.fields)
    return found
