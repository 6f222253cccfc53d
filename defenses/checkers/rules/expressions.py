"""The engine's values: what an expression holds."""

from collections.abc import Callable
from dataclasses import replace

from bluecode.defenses.checkers.python_regex import explodes
from bluecode.defenses.checkers.rules.calls import Calls
from bluecode.defenses.checkers.rules.comparisons import compared
from bluecode.defenses.checkers.rules.matching import Callee
from bluecode.defenses.checkers.rules.names import NUMERIC
from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.texts import formatted
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
)

_ARITHMETIC = frozenset({"-", "*", "/", "%", "<<", ">>", "&", "|", "^", "**", "<", ">", "<=",
                         ">=", "==", "!=", "instanceof", "in", "&^", ">>>", "<=>", "=~",
                         "!~"})  # fmt: skip  # fmt: skip


class Expressions(Calls):
    """Evaluates. `Flow` adds what statements do."""

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
        path = path_of(node.base) if node.base is not None else ""
        if path and node.args and node.args[0].role == "text":
            held = self.env.get(f"{path}.{node.args[0].name}")
            if held is not None:
                return held
        if key is not None and key.isdigit() and int(key) < len(whole.items):
            return whole.items[int(key)]
        if key is not None and whole.path and whole.level <= Level.UNKNOWN:
            known_path = self._source(f"{whole.path}.{key}")
            if known_path is not None:
                return known_path
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
        if node.name in ("==", "!="):
            compared(self.run, node, list(zip(node.args, values, strict=True)))
        if node.name == "/" and _of_paths(node.args[0], values[0]):  # C++ joins paths so
            return concatenated(values).marked("joined")
        if node.name in _ARITHMETIC and not (node.name == "<<" and values[0].path):
            if node.name == "%" and values and values[0].text is not None:
                return formatted(values[0], values[1:])  # Ruby's and Python's `"…" % x`
            if node.name == "|" and all(value.path for value in values):  # switches of an option
                return Value(path="|".join(value.path for value in values))
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

    def _unary(self, node: Node) -> Value:
        value = self.eval(node.args[0]) if node.args else NOTHING
        if node.name in ("!", "++", "--", "-", "~", "typeof", "void"):
            return NOTHING
        return value

    def _cast(self, node: Node) -> Value:
        value = self.eval(node.args[0]) if node.args else NOTHING
        if node.name.strip(" ()") == "string":
            return value.without({"nosql"})  # no operator of a query is a text
        return NOTHING if NUMERIC.match(node.name.strip()) else value

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
        whole = replace(together(values), path=node.name, fields=fields, text=None)
        if fields and len(fields) == len(node.args):
            whole = whole.marked("listed")
        if node.name:
            self._written_out(node, whole)
        return whole

    def _written_out(self, node: Node, value: Value) -> None:
        """`http.Cookie{Name: n}` makes an object as `new` does elsewhere."""
        head, _, last = node.name.rpartition(".")
        callee = Callee(last, (head,) if head else (), new=True)
        rules = self.run.matcher.properties.of(callee)
        if not rules:
            return
        site = Site(last, NOTHING, (value,), node, self.run.purpose, self.run.lines)
        for rule in rules:
            score = rule.when(site)
            if score:
                self.run.claim(rule.rule, node, score)

    def _pair(self, node: Node) -> Value:
        if node.base is not None:
            self.eval(node.base)
        return self._named(node, node.args[0]) if node.args else NOTHING

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

    def _declare(self, node: Node) -> Value:
        if node.size is not None:
            self.eval(node.size)
        if node.base is None:
            return NOTHING
        target = node.base
        if not node.args:
            value = Value(path=_plain_type(node.type))
        else:
            value = self._named(target, node.args[0])
            value = self._typed(value, node.type)
        self._store(target, value, node)
        if node.args:
            self.assigned(target, node.args[0])
        return value

    def _named(self, target: Node, source: Node) -> Value:
        """Evaluate with the target's name among the words around."""
        named = target.base if target.role == "index" and target.base is not None else target
        self.run.purpose.append((path_of(named) or named.name).lower())
        try:
            return self.eval(source)
        finally:
            self.run.purpose.pop()

    def _typed(self, value: Value, declared: str) -> Value:
        plain = declared.removeprefix("const ").strip()
        if not plain or plain in ("var", "auto", "val", "let"):
            return value
        if NUMERIC.match(plain) and value.level > Level.NONE:
            return NOTHING
        if not value.path or value.path.endswith(("()", "[]")) or value.path[0] == "<":
            return replace(value, path=_plain_type(plain))
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


def _of_paths(node: Node, value: Value) -> bool:
    """Is it a path of C++, by its type or by the call that made it?"""
    made = node.role == "call" and node.name == "path" and path_of(node.base).endswith("filesystem")
    return made or "path" in value.path.lower() or "joined" in value.marks


def _plain_type(declared: str) -> str:
    """A type as paths are written, without what it is made of."""
    return declared.partition("<")[0].strip(" *&()").replace("::", ".")


_NO_VALUE = frozenset({"return", "jump", "loop", "declare", "assign", "function", "class", "try"})
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
}  # fmt: skip  # fmt: skip
