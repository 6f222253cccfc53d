"""The engine's values: what an expression holds, and what a call does with what it is given."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from bluecode.defenses.checkers.python_regex import explodes
from bluecode.defenses.checkers.rules.calls import (
    CLEAN_SUFFIX,
    READS,
    formatted,
    mutates,
    replaced,
    resolved_path,
)  # fmt: skip
from bluecode.defenses.checkers.rules.matching import Callee
from bluecode.defenses.checkers.rules.rule import ANY, BASE, Sink, Writer
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.state import Env, Run
from bluecode.defenses.checkers.rules.tree import EMPTY, Node, path_of
from bluecode.defenses.checkers.rules.values import (
    NOTHING,
    UNKNOWN,
    Level,
    Value,
    concatenated,
    either,
    literal,
    together,
)  # fmt: skip

_ARITHMETIC = frozenset({"-", "*", "/", "%", "<<", ">>", "&", "|", "^", "**", "<", ">", "<=",
                         ">=", "==", "!=", "instanceof", "in", "&^", ">>>", "<=>", "=~",
                         "!~"})  # fmt: skip
_NUMERIC = re.compile(
    r"^(?:u?int(?:8|16|32|64|_t|eger)?|u?int\d+_t|long|short|float|double|bool(?:ean)?|size_t|"
    r"[iu](?:8|16|32|64|128|size)|f32|f64|number|byte|decimal|char|Integer|Long|Boolean|Double|"
    r"Guid|UUID|DateTime|ssize_t|off_t|pid_t|time_t|unsigned(?: \w+)*|(?:long )+(?:int|long))\??$"
)
_FRAME = re.compile(
    r"^(?:base|root|trusted|allowed|safe|expected|prefix|default|config|static|public|template)|"
    r"(?:dir|directory|folder|domain|(?:base|api|server|site|root)_?(?:url|uri|path)|"
    r"(?:^|_)host(?:name)?|_root|dir_?path)$",
    re.I,
)
"""Names of parameters that are the frame for others, not data from outside: a folder, a domain."""
_FRAMED = frozenset({"path", "url", "redirect"})
_CONSTANT = re.compile(r"^(?:[\w]+\.)*[A-Z][A-Z0-9_]+$")


class Expressions:
    """Evaluates. `Flow` adds what statements do."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.env: Env = {}
        self.classes: list[Node] = []
        self._known_paths: dict[str, Value | None] = {}
        self._receivers: dict[int, Value] = {}
        """What the receivers of calls hold, by the identity of their nodes."""

    # What rules of single languages add

    def returned(self, node: Node, value: Value) -> None:
        """A value is given back by a function."""

    def function_started(self, node: Node) -> None:
        """A function is about to be followed."""

    def class_started(self, node: Node) -> None:
        """A class is about to be followed."""

    # Reading

    def eval(self, node: Node) -> Value:
        """What an expression holds; what it does on the way is done."""
        self.run.step()
        if node.role == "function":
            return self._lambda(node)
        handler = _HANDLERS.get(node.role)
        return handler(self, node) if handler is not None else self._all(node)

    def _all(self, node: Node) -> Value:
        return together([self.eval(kid) for kid in node.kids()])

    def _name(self, node: Node) -> Value:
        return self.lookup(node.name)

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
                return Value(source.level, path=path)
        return None

    def _free(self, path: str) -> Value:
        """A name that the snippet does not define."""
        if _CONSTANT.match(path) or self.run.matcher.globals.match(path):
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
        if _CONSTANT.match(name):
            return Value(path=path)
        if name in ("length", "size", "Length", "Count"):
            return NOTHING
        return Value(
            whole.level, whole.clean, whole.eased, path=f"{whole.path}.{name}", marks=whole.marks
        )

    def _member(self, node: Node) -> Value:
        path = path_of(node)
        if path:
            return self.lookup(path)
        whole = self.eval(node.base) if node.base is not None else UNKNOWN
        return self._part(whole, node.name, f"{whole.path}.{node.name}")

    def _index(self, node: Node) -> Value:
        whole = self.eval(node.base) if node.base is not None else UNKNOWN
        keys = [self.eval(key) for key in node.args]
        key = keys[0].known if keys else None
        if key is not None and key in whole.fields:
            return whole.fields[key]
        if whole.fields and not whole.path:  # an entry of a fixed table, whichever
            return together(whole.fields.values())
        if key is not None and key.isdigit() and int(key) < len(whole.items):
            return whole.items[int(key)]
        if key is not None and whole.path and whole.level <= Level.UNKNOWN:
            known_path = self._source(f"{whole.path}.{key}")
            if known_path is not None:
                return known_path
        path = path_of(node.base) if node.base is not None else ""
        if path and node.args and node.args[0].role == "text":
            known = self.env.get(f"{path}.{node.args[0].name}")
            if known is not None:
                return known
        return Value(
            whole.level, whole.clean, whole.eased, path=whole.path + "[]", marks=whole.marks
        )

    def _import(self, node: Node) -> Value:
        module = node.name.removeprefix("node:")
        for local in node.args:
            member = local.args[0].name if local.args else ""
            self.env[local.name] = Value(path=f"{module}.{member}" if member else module)
        return NOTHING

    def _text(self, node: Node) -> Value:
        return literal(node.name)

    def _number(self, node: Node) -> Value:
        return literal(node.name)

    def _regex(self, node: Node) -> Value:
        if not self.run.matcher.language.linear_regex and explodes(node.name):
            self.run.claim("redos", node, 0.65)
        return Value(path="re:" + node.name)

    def _join(self, node: Node) -> Value:
        return concatenated([self.eval(part) for part in node.args])

    def _binary(self, node: Node) -> Value:
        values = [self.eval(part) for part in node.args]
        if node.name == "/" and "path" in values[0].path.lower():  # C++ joins paths so
            return concatenated(values).marked("joined")
        if node.name in _ARITHMETIC and not (node.name == "<<" and values[0].path):
            if node.name == "%" and values and values[0].text is not None:
                return formatted(values[0], values[1:])  # Ruby's and Python's `"…" % x`
            return NOTHING
        if node.name == "<<":
            self._grow(node.args[0], values)
            return concatenated(values)
        if node.name in ("&&", "||", "??", "?:", "or", "and"):
            worst = values[0]
            for value in values[1:]:
                worst = either(worst, value)
            return worst
        return together(values)

    def _grow(self, target: Node, values: Sequence[Value]) -> None:
        while target.role == "call" and target.base is not None and mutates(target.name):
            target = target.base  # `b.append(x).append(y)` grows `b`
        path = path_of(target)
        if path:
            self.env[path] = replace(concatenated(values), path=self.lookup(path).path)

    def _unary(self, node: Node) -> Value:
        value = self.eval(node.args[0]) if node.args else NOTHING
        if node.name in ("!", "++", "--", "-", "~", "typeof", "void"):
            return NOTHING
        return value

    def _cast(self, node: Node) -> Value:
        value = self.eval(node.args[0]) if node.args else NOTHING
        return NOTHING if _NUMERIC.match(node.name.strip()) else value

    def _choice(self, node: Node) -> Value:
        condition, then, otherwise = node.args
        tested = self.eval(condition)
        start = self.env
        yes, no = self.facts(condition)
        self.env = dict(start)
        self.learn(yes)
        left = self.eval(then) if then is not EMPTY else tested
        self.env = dict(start)
        self.learn(no)
        right = self.eval(otherwise)
        self.env = start
        return either(left, right)

    def facts(self, condition: Node) -> tuple[dict[str, frozenset[str]], dict[str, frozenset[str]]]:
        """What a condition says; `Flow` knows."""
        return {}, {}

    def learn(self, known: dict[str, frozenset[str]]) -> None:
        """Take facts over into what names hold; `Flow` does it."""

    def _object(self, node: Node) -> Value:
        fields: dict[str, Value] = {}
        values: list[Value] = []
        for part in node.args:
            value = self.eval(part)
            values.append(value)
            if part.role == "pair":
                self._set(part.name, value, part, node.name)
                if part.name:
                    fields[part.name] = value
        whole = together(values)
        return replace(whole, path=node.name, fields=fields, text=None)

    def _pair(self, node: Node) -> Value:
        if node.base is not None:
            self.eval(node.base)
        return self.eval(node.args[0]) if node.args else NOTHING

    def _array(self, node: Node) -> Value:
        if node.size is not None:
            self.eval(node.size)
        items = tuple(self.eval(part) for part in node.args)
        if not items:
            return NOTHING
        return replace(together(items), items=items, text=None)

    def _lambda(self, node: Node) -> Value:
        self.closure(node, None)
        return Value(path="function")

    def closure(self, node: Node, given: Sequence[Value] | None) -> Value:
        """Follow a function that stands as a value, with what it will be called with."""
        return self.function(node, given)

    def function(self, node: Node, given: Sequence[Value] | None = None) -> Value:
        """Follow a function; `Flow` does it."""
        return UNKNOWN

    def statement(self, node: Node) -> bool:
        """Follow a statement; `Flow` does it."""
        return False

    def _statement(self, node: Node) -> Value:
        """A branch or a block that stands as a value."""
        self.statement(node)
        if node.role == "switch":
            ends = [part.args[-1] for part in node.args[1:] if part.args]
            return together([self.eval(end) for end in ends]) if ends else NOTHING
        if node.role == "block" and node.args and node.args[-1].role not in _NO_VALUE:
            return self.eval(node.args[-1])
        if node.role == "if":
            ends = [part for part in node.args[1:] if part is not EMPTY]
            return together([self._end(part) for part in ends])
        return NOTHING

    def _end(self, node: Node) -> Value:
        if node.role == "block":
            return self._end(node.args[-1]) if node.args else NOTHING
        return NOTHING if node.role in _NO_VALUE else self.eval(node)

    # Storing

    def _declare(self, node: Node) -> Value:
        if node.size is not None:
            self.eval(node.size)
        if node.base is None:
            return NOTHING
        target = node.base
        if not node.args:
            value = Value(path=node.type) if node.type else NOTHING
        else:
            value = self._named(target, node.args[0])
            value = self._typed(value, node.type)
        self._store(target, value, node)
        if node.args:
            self.assigned(target, node.args[0])
        return value

    def _named(self, target: Node, source: Node) -> Value:
        """Evaluate with the target's name among the words around."""
        self.run.purpose.append((path_of(target) or target.name).lower())
        try:
            return self.eval(source)
        finally:
            self.run.purpose.pop()

    def _typed(self, value: Value, declared: str) -> Value:
        plain = declared.removeprefix("const ").strip()
        if not plain or plain in ("var", "auto", "val", "let"):
            return value
        if _NUMERIC.match(plain) and value.level > Level.NONE:
            return NOTHING
        if not value.path or value.path.endswith(("()", "[]")) or value.path[0] == "<":
            return replace(value, path=plain.partition("<")[0].strip(" *&"))
        return value

    def _assign(self, node: Node) -> Value:
        target = node.base
        if target is None or not node.args:
            return NOTHING
        value = self._named(target, node.args[0])
        if node.name in ("+=", ".=", "<<="):
            old = self.eval(target)
            value = replace(concatenated([old, value]), path=old.path)
        elif node.name in ("||=", "??=", "&&="):
            value = either(self.eval(target), value)
        elif node.name not in ("=", ":="):
            value = NOTHING
        self._store(target, value, node)
        self.assigned(target, node.args[0])
        return value

    def assigned(self, target: Node, source: Node) -> None:
        """A name was given a value; `Flow` remembers answers of checks."""

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

    def entry(self, target: Node, value: Value, node: Node) -> None:
        """A value is stored under a key; rules of single languages look at it."""

    def _forget(self, path: str) -> None:
        for name in [name for name in self.env if name.startswith(path + ".")]:
            del self.env[name]

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
            label = store.label or store.rule
            level = value.level_for(label)
            if level >= max(store.least, Level.UNKNOWN) and node.role != "declare":
                self.run.claim_flow(store.rule, node, level, store.factor)

    def parameter(self, node: Node, given: Value | None, function: Node) -> None:
        """Seed a parameter."""
        value = given if given is not None else self.seed(node, function)
        if node.base is not None:
            self.bind(node.base, value)
        if node.name:
            self.env[node.name] = value
        for default in node.args:
            self.eval(default)

    def seed(self, node: Node, function: Node) -> Value:
        """What a caller may hand over."""
        matcher = self.run.matcher
        kind = node.type.removeprefix("const ").strip()
        path = kind.partition("<")[0].strip(" *&") or node.name
        for expression, source in matcher.types:
            if expression.search(node.type) or any(expression.search(tag) for tag in node.tags):
                if _NUMERIC.match(kind) is not None:
                    return NOTHING
                return Value(path=source.acts_as) if source.acts_as else Value(source.level)
        for expression, source in matcher.parameters:
            if expression.search(node.name):
                return Value(path=source.acts_as) if source.acts_as else Value(source.level)
        if _NUMERIC.match(kind) or (kind and matcher.harmless.search(kind)):
            return Value(path=path)
        if matcher.trusted.search(node.name) or (kind and matcher.trusted.search(kind)):
            return Value(path=path)
        if _FRAME.search(node.name):
            return Value(self.caller_level(function), eased=_FRAMED, path=path)
        return Value(self.caller_level(function), path=path)

    def caller_level(self, function: Node) -> Level:
        """Who decides the parameters of a function."""
        return Level.PARAMETER if function.name else Level.UNKNOWN

    # Calling

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
        self._check_sinks(callee, site)
        for rule in self.run.matcher.properties.of(callee):
            score = rule.when(site)
            if score:
                self.run.claim(rule.rule, node, score)
        return self._result_of(callee, site)

    def called(self, callee: Callee, site: Site) -> None:
        """A call happens; rules of single languages look at it."""

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
                self.function(arg, given)
                values.append(Value(path="function"))
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

    def weight(self, rule: str, value: Value) -> float:
        """How much the surroundings change how likely a claim is; `Flow` knows them."""
        return 1.0

    def _check_sinks(self, callee: Callee, site: Site) -> None:
        for sink in self.run.matcher.sinks.of(callee):
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
            value = site.arg(cleaners[0].arg)
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
        text = site.arg(0).known or ""
        if not self.run.matcher.language.linear_regex and explodes(text):
            self.run.claim("redos", site.node, 0.65)
        return Value(path="re:" + text)

    def _format(self, site: Site) -> Value:
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
        plain = self.run.returns.get(f"{function.name}@{function.line}")
        if plain is None:
            plain = self.function(function)
        if worst > Level.PARAMETER:
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
        if CLEAN_SUFFIX.search(callee.name):
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
            if not callee.new and (base.level or not (base.path or base.text is not None)):
                level = Level.UNKNOWN  # a tool of the language gives back what it was given
            return Value(level, text=known, path=_made(callee), fields=_options(args),
                         items=tuple(args) if callee.new else ())  # fmt: skip
        whole = together(carried)
        text = base.text if callee.name in _KEEPS_TEXT and base.text is not None else None
        if text is None and len(args) == 1 and callee.new:
            text = args[0].text
        items = tuple(args) if callee.new else ()
        return replace(whole, text=text, path=_made(callee), items=items, fields=_options(args))

    def resolved(self, target: str, source: str) -> None:
        """A name holds the true form of the path in another; `Flow` remembers it."""

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
            self.resolved(path, path_of(node.args[writer.parts[0]]))


_KEEPS_TEXT = frozenset({"toString", "getBytes", "toCharArray", "c_str", "String", "trim",
                         "as_str", "to_string", "ToString",
                         "to_s", "clone", "into", "as_bytes", "strip", "to_owned", "unwrap",
                         "data", "str", "as_ref", "freeze", "Trim", "expect"})  # fmt: skip
_REGEX_MAKERS = frozenset({"compile", "MustCompile", "Compile", "Regex", "RegExp", "regex", "new",
                           "basic_regex"})  # fmt: skip
_NO_VALUE = frozenset({"return", "jump", "loop", "declare", "assign", "function", "class", "try"})


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


_HANDLERS: dict[str, Callable[[Expressions, Node], Value]] = {
    "name": Expressions._name,
    "text": Expressions._text,
    "number": Expressions._number,
    "constant": Expressions._number,
    "regex": Expressions._regex,
    "join": Expressions._join,
    "member": Expressions._member,
    "index": Expressions._index,
    "call": Expressions._call,
    "assign": Expressions._assign,
    "declare": Expressions._declare,
    "binary": Expressions._binary,
    "unary": Expressions._unary,
    "cast": Expressions._cast,
    "choice": Expressions._choice,
    "object": Expressions._object,
    "pair": Expressions._pair,
    "array": Expressions._array,
    "import": Expressions._import,
    **dict.fromkeys(("if", "loop", "switch", "block", "try", "return", "jump", "class"),
                    Expressions._statement),
}  # fmt: skip
