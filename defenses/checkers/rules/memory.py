"""C and C++ functions as a list of events in the order of the code: what is stored, checked, used.

The order stands for the flow: what was checked before counts as checked, until it is stored again.
Branches are kept with each event, so that what one branch does is not seen in the other, nor behind
a branch that leaves. This is an approximation that reads `goto` style C well.
"""

import re

from bluecode.defenses.checkers.rules.memory_body import (
    Body,
    Branch,
    Event,
    Kind,
    Local,
)
from bluecode.defenses.checkers.rules.memory_sizes import number_of
from bluecode.defenses.checkers.rules.tree import EMPTY, Node, path_of

FREES = re.compile(
    r"^(?:free|kfree|vfree|kvfree|kzfree|cfree|xfree|g_free|av_free|OPENSSL_free|efree|delete|"
    r"sk_free|put_device|kfree_skb|kmem_cache_free|\w+_free|\w+_destroy|"
    r"R_FREE|r_\w+_free|js_free|apr_pool_destroy|fclose|closedir|pclose|\w*[a-z]Free)$"
)
_LEAVING_MACRO = re.compile(r"^RET(?:URN|VAL)?_[A-Z_]+$")
_RETURNING_MACRO = re.compile(r"^[A-Z][A-Z0-9_]*_(?:RET|RETURN)(?:_[A-Z0-9_]+)?$")
"""Macros named for the return that they hold; on a branch of its own such a one is its end."""
_EXITS = frozenset({"exit", "abort", "_exit", "panic", "BUG", "err", "errx", "die", "longjmp",
                    "quick_exit", "__builtin_unreachable", "fatal", "g_error", "throw", "_Exit",
                    "perror_exit", "usage", "terminate"})  # fmt: skip
_ASSERTS = re.compile(
    r"^(?:\w*[Aa]ssert\w*|\w*ASSERT\w*|g_return_\w+|BUG_ON|WARN_ON(?:_ONCE)?|likely|unlikely|"
    r"REQUIRE|IS_ERR\w*)$"
)
"""Calls whose argument is a condition."""
_LOOKS = re.compile(
    r"^(?:\w*CHECK\w*|\w*[Cc]heck\w*|\w*valid\w*|\w*Valid\w*|"
    r"\w*Remaining\w*|\w*_ok|\w*LOCK\w*|\w*HELD\w*)$"
)
"""Calls that look at what they are given."""
_EACH = re.compile(r"FOREACH|for_?each", re.I)
"""Macros that are loops: they give their arguments new values."""
WRITES = frozenset({"memset", "memcpy", "memmove", "strcpy", "strcat", "strncpy", "sprintf",
                    "snprintf", "bzero", "strncat", "fread", "fgets", "read", "recv", "bcopy",
                    "strlen", "fwrite", "fprintf", "fseek", "fgetc", "fputs", "fscanf", "memcmp",
                    "strcmp", "strchr", "fputc", "getline", "rewind", "ftell",
                    "strstr", "puts", "fflush", "fclose", "readdir"})  # fmt: skip
"""Functions of the C library that follow the pointers they are given."""
_AT_FIRST_ONLY = frozenset({"memset", "bzero", "sprintf", "snprintf"})


class Reader:
    """Makes a `Body` of a function."""

    def __init__(self, function: Node) -> None:
        self.body = Body(function)
        self._order = 0
        self._numbers = 0
        self._branch: Branch = ()

    def read(self) -> Body:
        """Take the function apart."""
        for parameter in self.body.function.args:
            if parameter.name:
                self.body.locals[parameter.name] = Local(
                    parameter.name, parameter.type, parameter=True, line=parameter.line
                )
        if self.body.function.base is not None:
            self.visit(self.body.function.base)
        return self.body

    def note(self, kind: Kind, key: str, node: Node, value: Node | None = None) -> None:
        """Something happens to a name."""
        if not key:
            return
        self._order += 1
        event = Event(kind, key, node, self._order, self._branch, value)
        self.body.events.append(event)
        self.body.by_key[key].append(event)
        if kind == "call":
            self.body.calls.append(event)

    def visit(self, node: Node) -> bool:
        """Take in a node; says whether what follows is not reached."""
        handler = _VISITS.get(node.role)
        if handler is not None:
            return bool(handler(self, node))
        if node.base is not None:
            self.visit(node.base)
        for arg in node.args:
            self.visit(arg)
        return False

    def _block(self, node: Node) -> bool:
        ended = False
        for arg in node.args:
            if arg.role == "label":
                ended = False
            ended = self.visit(arg) or ended
        return ended

    def _label(self, node: Node) -> bool:
        self.body.labels[node.name] = self._order
        return self._block(node)

    def _if(self, node: Node) -> bool:
        condition, then, *more = node.args
        self.condition(condition)
        self._numbers += 1
        number = self._numbers
        first = self._way(then, number, 0)
        otherwise = more[0] if more else EMPTY
        second = self._way(otherwise, number, 1)
        return first and second

    def _way(self, node: Node, number: int, way: int) -> bool:
        outer = self._branch
        self._branch = (*outer, (number, way))
        ended = node is not EMPTY and self.visit(node)
        if ended:
            self.body.ended.add((number, way))
        self._branch = outer
        return ended

    def _choice(self, node: Node) -> bool:
        condition, then, otherwise = node.args
        self.condition(condition)
        self._numbers += 1
        number = self._numbers
        self._way(then, number, 0)
        self._way(otherwise, number, 1)
        return False

    def _loop(self, node: Node) -> bool:
        self.body.loops.append((node, self._branch))
        if node.name == "each":
            for arg in node.args:
                self.visit(arg)
        else:
            setup, condition, _ = node.args
            self.visit(setup)
            if node.name != "do":
                self.condition(condition)
        self._numbers += 1
        number = self._numbers
        outer = self._branch
        self._branch = (*outer, (number, 0))
        if node.base is not None:
            self.visit(node.base)
        if node.name != "each":
            self.visit(node.args[2])
        self._branch = outer
        if node.name == "do":
            self.condition(node.args[1])
        return False

    def _switch(self, node: Node) -> bool:
        subject, *cases = node.args
        self.condition(subject)
        self._numbers += 1
        number = self._numbers
        for way, case in enumerate(cases):
            outer = self._branch
            last = case.args[-1] if case.args else None
            falls = last is not None and not _leaves(last)
            self._branch = outer if falls else (*outer, (number, way))
            ended = self._block(case)
            breaks = last is not None and last.role == "jump" and last.name == "break"
            if ended and last is not None and (not breaks or any(map(_dies, case.args))):
                self.body.ended.add((number, way))
            self._branch = outer
        return False

    def _end(self, node: Node) -> bool:
        for arg in node.args:
            self.body.returned.add(id(arg))
            self.visit(arg)
        if node.role == "return" or node.name in ("goto", "throw"):
            label = path_of(node.args[0]) if node.name == "goto" and node.args else ""
            self.body.leaves.append((self._order, self._branch, label))
        return True

    def condition(self, node: Node) -> None:
        """Take in a condition: what it looks at counts as checked from here on."""
        if node.role == "binary" and node.name in ("&&", "||"):
            for part in node.args:
                self.condition(part)
            return
        self.visit(node)
        self._tested(node)
        self._looked_at(node)

    def _tested(self, node: Node) -> None:
        while node.role == "unary" and node.name == "!" and node.args:
            node = node.args[0]
        if node.role in ("name", "member"):
            self.body.null_tests.add(id(node))
        elif node.role == "binary" and node.name in ("==", "!="):
            left, right = node.args[0], node.args[-1]
            for one, other in ((left, right), (right, left)):
                if other.role == "constant" and other.name in ("null", "nullptr"):
                    self.body.null_tests.add(id(one))

    def _looked_at(self, node: Node) -> None:
        if node.role == "binary" and node.name in ("<", ">", "<=", ">=") and len(node.args) == 2:
            left, right = node.args
            small = right if node.name[0] == "<" else left
            large = left if node.name[0] == "<" else right
            if small.role == "number" and small.name.lstrip("-") in ("0", "1"):
                self.body.lower_checked.update(id(part) for part in large.walk())
        compares = node.role == "binary" and node.name in ("<", ">", "<=", ">=", "==", "!=")
        given = _given_out(node)
        for part in node.walk():
            if part.role in ("name", "member") and id(part) not in given:
                path = path_of(part)
                self.note("test", path, part)
                if compares or part is not node:
                    self.note("bound", path, part)

    def _binary(self, node: Node) -> bool:
        """`p && p->x`: what stands behind is reached only where the first holds."""
        if node.name in ("&&", "||"):
            self.condition(node)
            return False
        for arg in node.args:
            self.visit(arg)
        return False

    def _assign(self, node: Node) -> bool:
        value = node.args[0] if node.args else None
        if value is not None:
            self.visit(value)
        target = node.base
        if target is None:
            return False
        path = path_of(target)
        if path:
            if target.role == "member" and target.base is not None:
                self._follow(target)
            if node.name == "=":
                self.note("store", path, node, value)
            else:
                self.note("use", path, node)
        else:
            self.visit(target)
        return False

    def _declare(self, node: Node) -> bool:
        if node.args:
            self.visit(node.args[0])
        if node.size is not None:
            self.visit(node.size)
        path = path_of(node.base)
        if path and not node.type.endswith("()"):
            size = self._larger(path, node.size)
            self.body.locals[path] = Local(
                path, node.type, size, static="static" in node.tags, line=node.line
            )
            if node.args:
                self.note("store", path, node, node.args[0])
        return False

    def _larger(self, name: str, size: Node | None) -> Node | None:
        """Of two arrays of one name, in blocks of their own, the larger one's size."""
        known = self.body.locals.get(name)
        if known is None or known.size is None or size is None:
            return size
        old, new = number_of(known.size), number_of(size)
        return size if old is None or (new is not None and new >= old) else known.size

    def _member(self, node: Node) -> bool:
        self._follow(node)
        self.note("use", path_of(node), node)
        return False

    def _follow(self, node: Node) -> None:
        """The pointers that a chain of members goes through."""
        at: Node | None = node
        while at is not None and at.role == "member":
            holder = at.base
            if holder is None:
                return
            path = path_of(holder)
            if path:
                self.note("deref" if at.type == "->" else "use", path, at)
            elif holder.role != "member":
                self.visit(holder)
            at = holder

    def _name(self, node: Node) -> bool:
        self.note("use", node.name, node)
        if _LEAVING_MACRO.match(node.name):
            self.body.leaves.append((self._order, self._branch, ""))
            return True
        return False

    def _index(self, node: Node) -> bool:
        for arg in node.args:
            self.visit(arg)
        if node.base is not None:
            path = path_of(node.base)
            if path:
                if node.base.role == "member":
                    self._follow(node.base)
                self.note("deref", path, node)
            else:
                self.visit(node.base)
        return False

    def _unary(self, node: Node) -> bool:
        inner = node.args[0] if node.args else EMPTY
        path = path_of(inner)
        if node.name == "*":
            while inner.role in ("unary", "cast") and inner.args:
                inner = inner.args[0]
            path = path_of(inner)
            if path:
                self.note("deref", path, node)
                return False
        if node.name == "&":
            if path:
                if inner.role == "member":
                    self._follow(inner)
                self.note("address", path, node)
                self.note("store", path, node, None)
                return False
        self.visit(inner)
        return False

    def _call(self, node: Node) -> bool:
        if _LOOKS.match(node.name) and node.base is None:
            for arg in node.args:
                self.visit(arg)
                self._looked_at(arg)
            self.note("call", node.name, node)
            return False
        if _ASSERTS.match(node.name):
            for arg in node.args:
                if len(node.args) == 1 or arg.role in ("binary", "unary"):
                    self.condition(arg)
                else:
                    self.visit(arg)
            self.note("call", node.name, node)
            return False
        if node.base is not None:
            self._receiver(node)
        if node.name == "sizeof":
            return False
        if _EACH.search(node.name):
            for arg in node.args:
                self.note("store", path_of(arg), arg)
        frees = FREES.match(node.name) is not None and node.base is None
        for at, arg in enumerate(node.args):
            plain = arg
            while plain.role == "cast" and plain.args:
                plain = plain.args[0]
            path = path_of(plain)
            if path and frees and at == _freed_argument(node):
                if plain.role == "member":
                    self._follow(plain)
                self.note("free", path, node)
            elif path and node.name in WRITES and (at == 0 or node.name not in _AT_FIRST_ONLY):
                if plain.role == "member":
                    self._follow(plain)
                self.note("deref", path, node)
            else:
                self.body.returned.add(id(plain))
                self.visit(arg)
        self.note("call", node.name or "?", node)
        if _RETURNING_MACRO.search(node.name) and node.base is None and self._branch:
            self.body.leaves.append((self._order, self._branch, ""))
            return True
        return node.name in _EXITS

    def _receiver(self, call: Node) -> None:
        """`p->f()` follows `p`, where it is a plain pointer."""
        path = path_of(call.base)
        local = self.body.locals.get(path)
        if "->" in call.tags and local is not None and local.type.endswith("*"):
            self.note("deref", path, call)
        elif call.base is not None:
            self.visit(call.base)

    def _function(self, node: Node) -> bool:
        return False


def _given_out(condition: Node) -> frozenset[int]:
    """Names whose address a call in the condition gets, whose size is asked, or that only say which
    element is looked at: nobody looked at what they hold."""
    found: set[int] = set()
    for call in condition.walk():
        if call.role == "index":
            for key in call.args:
                found.update(id(part) for part in key.walk())
        if call.role == "call":
            for arg in call.args:
                if call.name == "sizeof" or arg.role == "unary" and arg.name == "&":
                    found.update(id(part) for part in arg.walk())
    return frozenset(found)


def _freed_argument(node: Node) -> int:
    if node.name in ("kmem_cache_free",):
        return 1
    return 0 if len(node.args) == 1 or node.name in ("delete", "fclose") else len(node.args) - 1


def _dies(node: Node) -> bool:
    return node.role == "call" and node.name in _EXITS and node.base is None


def _leaves(node: Node) -> bool:
    if node.role == "block":
        return bool(node.args) and _leaves(node.args[-1])
    return node.role in ("return", "jump")


_VISITS = {
    "block": Reader._block,
    "class": Reader._function,
    "label": Reader._label,
    "if": Reader._if,
    "choice": Reader._choice,
    "loop": Reader._loop,
    "switch": Reader._switch,
    "return": Reader._end,
    "jump": Reader._end,
    "assign": Reader._assign,
    "declare": Reader._declare,
    "member": Reader._member,
    "name": Reader._name,
    "index": Reader._index,
    "binary": Reader._binary,
    "unary": Reader._unary,
    "call": Reader._call,
    "function": Reader._function,
}
