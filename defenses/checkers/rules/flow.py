"""The engine: follows the statements of one snippet, branch by branch, and keeps what names hold.

Nothing is run. Branches are followed side by side and joined where they meet; loops are followed
twice; functions of the snippet are followed once with unknown callers, and again where they are
called with something more dangerous.
"""

import re
from collections.abc import Iterator, Sequence

from bluecode.defenses.checkers.rules.branches import (
    checked_by_element,
    constants,
    leaves,
    met,
)
from bluecode.defenses.checkers.rules.expressions import Expressions
from bluecode.defenses.checkers.rules.guards import Facts, facts, other_letters
from bluecode.defenses.checkers.rules.guards import subject as guarded
from bluecode.defenses.checkers.rules.results import harm, speaks_of_strangers
from bluecode.defenses.checkers.rules.rule import Check
from bluecode.defenses.checkers.rules.state import Env, Run
from bluecode.defenses.checkers.rules.tree import EMPTY, Node, name_of, path_of
from bluecode.defenses.checkers.rules.values import NOTHING, UNKNOWN, Level, Value, either

_RUNNER = re.compile(r"(?i)exec|run_?(?:cmd|command|shell)|command|shell|system|popen|spawn")
"""Functions that are there to run the command that they are given."""
_HOLDERS = frozenset({"class", "block", "try", "label"})


class Flow(Expressions):
    """Follows one snippet."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.verdicts: dict[str, tuple[Facts, Facts]] = {}
        """Names that hold the answer of a check."""
        self.results: list[list[Value]] = []
        self.origins: dict[str, str] = {}
        """Names of full paths, and the names of what they were resolved from."""
        self.around: list[Node] = []
        """The functions we are in."""

    def snippet(self, tree: Node) -> None:
        """Follow everything."""
        self._collect(tree)
        for node in tree.args:  # what stands at the end of the file is there for all functions
            if node.role in ("declare", "import") or _only_declares(node):
                self.statement(node)
        self.block(tree.args if tree.role in ("block", "other") else [tree])

    def _collect(self, tree: Node) -> None:
        for node in tree.walk():
            if node.role in ("member", "index"):
                self.holders.add(path_of(node.base))
            elif node.role == "function" and node.name:
                self.run.functions.setdefault(node.name.rpartition(".")[2], node)
            elif node.role in ("declare", "assign") and node.args:
                value = node.args[0]
                if value.role == "function" and node.base is not None:
                    label = path_of(node.base).rpartition(".")[2]
                    if label:
                        value.name = value.name or label
                        self.run.functions.setdefault(label, value)

    # Statements

    def block(self, nodes: Sequence[Node]) -> bool:
        """Follow statements in order; says whether the end is never reached."""
        ended = False
        for node in nodes:
            if self.statement(node):
                ended = True  # what stands behind is followed all the same: labels lead there
        return ended

    def statement(self, node: Node) -> bool:
        """Follow one statement; says whether what follows is not reached."""
        self.run.step()
        role = node.role
        if role in _HOLDERS:
            return self._holder(node)
        if role == "if":
            return self._if(node)
        if role == "loop":
            return self._loop(node)
        if role == "switch":
            return self._switch(node)
        if role == "return":
            self._return(node)
            return True
        if role == "jump":
            for arg in node.args:
                self.eval(arg)
            return True
        if role == "function":
            self.function(node)
            return False
        if role == "other" and node.args:
            for arg in node.args:
                self.statement(arg)
            return False
        self.eval(node)
        return role == "call" and self.ends(node)

    def _holder(self, node: Node) -> bool:
        if node.role == "class":
            self.classes.append(node)
            self.class_started(node)
            if node.base is not None:
                self.statement(node.base)
            self.classes.pop()
            return False
        if node.role == "try":
            return self._try(node)
        return self.block(node.args)

    def _try(self, node: Node) -> bool:
        """The body may stop anywhere; a handler that only leaves does not undo its checks."""
        ended = False
        for at, part in enumerate(node.args):
            if at == 0 or part.role != "block":
                ended = self.statement(part) if at == 0 else ended
                if at and part.role != "block":
                    self.statement(part)
                continue
            before = dict(self.env)
            if self.statement(part):
                self.env = before
            else:
                self.env = met(before, self.env)
        return ended

    def _if(self, node: Node) -> bool:
        condition, then, *more = node.args
        otherwise = more[0] if more else EMPTY
        self.eval(condition)
        yes, no = facts(self, condition)
        start = self.env
        self.run.spend(len(start) >> 2)
        self.env = dict(start)
        self.learn(yes)
        then_ends = self.statement(then)
        after_then = self.env
        self.env = dict(start)
        self.learn(no)
        else_ends = otherwise is not EMPTY and self.statement(otherwise)
        if then_ends and else_ends:
            self.env = met(after_then, self.env)
            return True
        if then_ends:
            return False
        if else_ends:
            self.env = after_then
            return False
        self.env = met(after_then, self.env)
        return False

    def facts(self, condition: Node) -> tuple[Facts, Facts]:
        """What a condition says of names, when true and when false."""
        return facts(self, condition)

    def learn(self, known: Facts) -> None:
        """Take facts over into what names hold."""
        for key, labels in list(known.items()):
            origin = self.origins.get(key)
            if origin and "path" in labels and origin not in known:
                known = {**known, origin: frozenset({"path"})}
        for key, labels in known.items():
            value = self.env.get(key)
            if value is None:
                value = self.lookup(key)
            self.env[key] = value.without(labels)
            if "all" in labels:
                for longer in self.parts_of(key):
                    self.env[longer] = self.env[longer].without(labels)

    def _loop(self, node: Node) -> bool:
        if node.name == "each":
            self._each(node)
            return False
        setup, condition, after = node.args
        if setup is not EMPTY:
            self.statement(setup)
        start = self.env
        self.env = dict(start)
        self.eval(condition)
        yes, no = facts(self, condition)
        self.learn(yes)
        for _ in range(2):
            if node.base is not None:
                self.statement(node.base)
            if after is not EMPTY:
                self.statement(after)
        self.env = met(start, self.env, keep=checked_by_element(start, self.env))
        self.learn(no)
        return False

    def _each(self, node: Node) -> None:
        target, source = node.args
        value = self.eval(source)
        one = value.items[0] if value.items and len(value.items) == 1 else None
        element = one or Value(value.level, value.clean, value.eased)
        if value.items and all(item.level is Level.NONE for item in value.items):
            element = NOTHING
        start = self.env
        self.env = dict(start)
        self.bind(target, element)
        for _ in range(2):
            if node.base is not None:
                self.statement(node.base)
        last = target.args[-1] if target.role == "array" and target.args else target
        name = path_of(last)
        source_name = path_of(source)
        inside = self.env
        proven = self._each_proven(node.base, name) if element.level > Level.NONE else False
        self.env = met(start, inside)
        if proven and source_name and source_name in self.env:
            self.env[source_name] = self.env[source_name].without({"all"})

    def _each_proven(self, body: Node | None, name: str) -> bool:
        """A loop that leaves the function at the first element that is not allowed."""
        if body is None or not name:
            return False
        for node in body.args if body.role == "block" else [body]:
            if node.role == "if" and leaves(node.args[1]):
                _, no = facts(self, node.args[0])
                if "all" in no.get(name, frozenset()):
                    return True
        return False

    def _switch(self, node: Node) -> bool:
        subject, *cases = node.args
        self.eval(subject)
        name = guarded(subject)
        start = self.env
        ends: list[Env] = []
        gone: frozenset[str] = frozenset()
        default = False
        for one in cases:
            self.env = dict(start)
            if one.base is not None:
                self.eval(one.base)
                gone |= other_letters(one.base)
                if name and constants(one.base):
                    self.learn({name: frozenset({"all"})})
                elif one.base.args:
                    self.bind(one.base.args[-1], self.lookup(name) if name else UNKNOWN)
            else:
                default = True
                if name and gone:
                    self.learn({name: gone})
            if not self._case(one):
                ends.append(self.env)
        if not default:
            ends.append(dict(start))
        if not ends:
            self.env = dict(start)
            return True
        self.env = ends[0]
        for other in ends[1:]:
            self.env = met(self.env, other)
        return False

    def _case(self, one: Node) -> bool:
        """A `break` ends the case, not what follows the whole."""
        ended = self.block(one.args)
        last = one.args[-1] if one.args else EMPTY
        return ended and not (last.role == "jump" and last.name == "break")

    def _return(self, node: Node) -> None:
        for arg in node.args:
            value = self.eval(arg)
            if self.results:
                self.results[-1].append(value)
            self.returned(node, value)

    def returned(self, node: Node, value: Value) -> None:
        """A result that is itself a page, a log line or an address."""
        if not self.around or not self.around[-1].name:
            return
        function = self.around[-1]
        found = harm(function, self.run.comment(function), value)
        if found is not None:
            self.run.claim(found[0], node, found[1], value.level)

    def weight(self, rule: str, value: Value) -> float:
        """A function that opens the file it is told to is no weakness; one that puts a name into
        a folder may be one, the more so where its comments speak of users."""
        if value.level > Level.PARAMETER or rule not in ("path_traversal", "command_injection"):
            return 1.0
        if rule == "command_injection":
            plain = not value.marks & {"built", "joined"} and not value.items
            return 0.62 if plain and self.around and _RUNNER.search(self.around[-1].name) else 1.0
        if not value.marks & {"joined", "resolved", "built"}:
            return 0.7
        comment = self.run.comment(self.around[-1]) if self.around else ""
        return 0.8 if comment and not speaks_of_strangers(comment) else 1.0

    def entry(self, target: Node, value: Value, node: Node) -> None:
        """A header of an answer or a request gets its value under a name."""
        holder = path_of(target.base).rpartition(".")[2].lower()
        own = path_of(target.base).startswith(("this.", "self."))
        if holder.endswith(("header", "headers")) and not own:
            self.run.claim_flow("header_injection", node, value.level_for("line"))

    # Functions

    def function(self, node: Node, given: Sequence[Value] | None = None) -> Value:
        """Follow a function's body; gives back what it returns."""
        levels = tuple(int(value.level) for value in given or ())
        key = (name_of(node), levels)
        if key in self.run.entered or self.run.depth > 60:
            return self.run.returns.get(key[0], UNKNOWN)
        self.run.entered.add(key)
        outer, outer_verdicts = self.env, self.verdicts
        self.env, self.verdicts = dict(outer), {}
        self.results.append([])
        self.around.append(node)
        self.run.purpose.append(node.name.lower())
        self.run.depth += 10
        for at, parameter in enumerate(node.args):
            value = given[at] if given is not None and at < len(given) else None
            self.parameter(parameter, value, node)
        self.function_started(node)
        self._body(node)
        result = self._result(self.results.pop())
        self.around.pop()
        self.run.depth -= 10
        self.run.purpose.pop()
        self.env, self.verdicts = outer, outer_verdicts
        if given is None or key[0] not in self.run.returns:
            self.run.returns[key[0]] = result
        return result

    def _body(self, node: Node) -> None:
        body = node.base
        if body is None or body is EMPTY:
            return
        if body.role not in ("block", "other", "try"):
            self._return(Node("return", "return", body.line, body.last, None, [body]))
            return
        last = body.args[-1] if body.args else None
        if self.run.matcher.language.implicit_return and last is not None and _value(last):
            self.block(body.args[:-1])
            self._return(Node("return", "return", last.line, last.last, None, [last]))
            return
        self.statement(body)

    def _result(self, values: Sequence[Value]) -> Value:
        if not values:
            return NOTHING
        result = values[0]
        for value in values[1:]:
            result = either(result, value)
        return result

    def checks(self, call: Node) -> Iterator[tuple[Check, Node]]:
        """The language's own checks that this call is, each with what it looks at."""
        callee = self.callee(call, self.receiver(call))
        for check in self.run.matcher.checks.of(callee):
            if check.arg == -2:
                if call.base is not None:
                    yield check, call.base
            elif check.arg < len(call.args):
                yield check, call.args[check.arg]

    def ends(self, call: Node) -> bool:
        """Does this call not come back?"""
        return bool(self.run.matcher.ends.of(self.callee(call, self.receiver(call))))

    def resolved(self, target: str, source: str) -> None:
        """A check of the true path holds for the path that it was made from."""
        if source and source != target:
            self.origins[target] = source

    def assigned(self, target: Node, source: Node) -> None:
        """Remember that a name holds the answer of a check."""
        name = path_of(target.args[0] if target.role == "array" and target.args else target)
        copied = source.args[0] if source.type == "new" and len(source.args) == 1 else source
        if name and path_of(copied) in self.origins:
            self.origins[name] = self.origins[path_of(copied)]
        if source.role == "call" and name:
            resolves = self.run.matcher.resolves.of(self.callee(source, self.receiver(source)))
            given = path_of(source.args[0]) if source.args else path_of(source.base)
            if resolves and given and given != name:
                self.origins[name] = given
        name = path_of(target)
        if name and source.role in ("call", "binary", "unary"):
            known = facts(self, source)
            if known[0] or known[1]:
                self.verdicts[name] = known
            else:
                self.verdicts.pop(name, None)


def _only_declares(node: Node) -> bool:
    return node.role == "block" and all(
        part.role in ("declare", "import") or _only_declares(part) for part in node.args
    )


def _value(node: Node) -> bool:
    return node.role not in ("if", "loop", "return", "jump", "try", "switch", "function", "class")
