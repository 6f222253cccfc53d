"""What a condition says of the values it looks at.

A fact is a name and the kinds of harm it can no longer do. `facts` gives those that hold when the
condition is true, and those that hold when it is false.
"""

import re
from typing import TYPE_CHECKING

from bluecode.defenses.checkers.rules.patterns import (
    by_regex,
)
from bluecode.defenses.checkers.rules.tree import Node, path_of

if TYPE_CHECKING:
    from bluecode.defenses.checkers.rules.flow import Flow

Facts = dict[str, frozenset[str]]

_ALL = frozenset({"all"})
_VERDICT = re.compile(
    r"(?:^|_)(?:is_?)?(?:valid|safe|allow|permit|whitelist|trusted|authori[sz]ed|sanit|clean|"
    r"verif|within|inside|known|legal|accept)|(?:valid|safe|allowed|permitted|within|inside|"
    r"contained|trusted|local_?url|correct|well_?formed|good|sane|numeric|integer|digits?|alnum|alpha|alphanumeric)$|"
    r"^is_?(?:int|number|num|nan|finite|uuid|alpha|digit|alnum|xdigit|upper|lower|safe|hex|in)|"
    r"^(?:check|ensure|validate|assert|require)(?:_|[A-Z]|valid|path|url|host|input)",
    re.I,
)
_BAD_VERDICT = re.compile(
    r"invalid|unsafe|illegal|malicious|dangerous|forbidden|blocked|denied|blacklist|private|"
    r"contains_?(?:bad|path|trav)|traversal|injection|suspicious",
    re.I,
)
_MEMBERSHIP = frozenset(
    {
        "includes", "has", "in_array", "contains", "include?", "containsKey", "ContainsKey",
        "Contains", "hasOwnProperty", "hasOwn", "array_key_exists", "key?", "has_key?",
        "member?", "count", "isset", "includesValue", "contains_key", "Has", "TryGetValue",
        "HasOwnProperty", "exists", "some", "indexOf", "IndexOf", "propertyIsEnumerable",
        "strchr", "strstr", "find_first_of",
    }
)  # fmt: skip
_PARTIAL = frozenset({"startsWith", "StartsWith", "starts_with", "start_with?", "HasPrefix",
                      "str_starts_with", "strncmp", "strpos", "startswith", "rfind", "compare",
                      "endsWith", "EndsWith", "ends_with", "HasSuffix", "end_with?",
                      "str_ends_with", "hasPrefix", "hasSuffix"})  # fmt: skip
_MATCHES = frozenset(
    {
        "test", "match", "matches", "preg_match", "MatchString", "Match", "IsMatch", "is_match",
        "match?", "regex_match", "find", "Find", "lookingAt", "regexec", "exec", "mb_ereg",
        "fullmatch", "MatchReader", "all", "every", "all_of", "allMatch", "All", "all?",
        "ctype_alnum", "ctype_digit", "ctype_alpha", "filter_var", "regex_search",
    }
)  # fmt: skip
_NUMBER_TESTS = frozenset({"isNaN", "isInteger", "isFinite", "isSafeInteger", "TryParse",
                           "is_numeric", "is_int", "ctype_digit", "isdigit", "is_ok",
                           "isalnum", "isalpha", "isxdigit", "IsDigit", "IsLetter",
                           "isLetterOrDigit", "isDigit", "is_alphanumeric", "is_ascii_digit",
                           "is_ascii_alphanumeric", "IsLetterOrDigit", "IsNumber",
                           "ctype_alnum", "ctype_alpha", "TryParseExact"})  # fmt: skip
_BAD_NUMBERS = frozenset({"isNaN"})


def facts(flow: "Flow", node: Node) -> tuple[Facts, Facts]:
    """What holds when the condition is true, and when it is false."""
    if node.role == "unary" and node.name == "!":
        yes, no = facts(flow, node.args[0])
        return no, yes
    if node.role == "binary" and node.name in ("&&", "||"):
        return _combined(flow, node)
    if node.role == "binary" and node.name in ("==", "!=", "=~", "!~", "in", "instanceof"):
        return _compared(flow, node)
    if node.role == "binary" and node.name in ("<", ">", "<=", ">="):
        return _position(flow, node)
    if node.role == "call":
        return _asked(flow, node)
    if node.role == "index":
        return _entry(flow, node), {}
    if node.role in ("assign", "declare") and node.args:
        return facts(flow, node.args[0])
    if node.role in ("name", "member"):
        found = flow.verdicts.get(path_of(node))
        return found if found is not None else ({}, {})
    return {}, {}


def _combined(flow: "Flow", node: Node) -> tuple[Facts, Facts]:
    parts = [facts(flow, part) for part in node.args]
    yes: Facts = {}
    no: Facts = {}
    for one_yes, one_no in parts:
        if node.name == "&&":
            _add(yes, one_yes)
        else:
            _add(no, one_no)
    if node.name == "||" and parts and all(one[0] for one in parts):
        shared = set.intersection(*(set(one[0]) for one in parts))
        yes = {key: frozenset.intersection(*(one[0][key] for one in parts)) for key in shared}
    return yes, no


def _add(into: Facts, more: Facts) -> None:
    for key, labels in more.items():
        into[key] = into.get(key, frozenset()) | labels


def subject(node: Node | None) -> str:
    """The name that an expression looks at: `x` in `x.trim().length`, `s[i]`, `*p`."""
    while node is not None:
        path = path_of(node)
        if path:
            for tail in (".length", ".size", ".Length", ".hostname", ".host", ".protocol",
                         ".origin", ".Host", ".Scheme"):  # fmt: skip
                if not path.removesuffix(tail).lower().endswith("headers"):
                    path = path.removesuffix(tail)
            return path
        if node.role == "call" and node.base is None and node.args:
            node = node.args[0]
        elif node.role == "index" and len(node.args) == 1 and node.args[0].role == "text":
            held = path_of(node.base)
            return f"{held}.{node.args[0].name}" if held else subject(node.base)
        elif node.role in ("index", "call", "member"):
            node = node.base
        elif node.role in ("unary", "cast", "other") and node.args:
            node = node.args[0]
        elif node.role == "binary" and node.name in ("??", "||", "?:") and len(node.args) == 2:
            if node.args[1].role not in ("text", "number", "constant"):
                return ""
            node = node.args[0]
        else:
            return ""
    return ""


def _fact(node: Node | None, labels: frozenset[str]) -> Facts:
    key = subject(node)
    return {key: labels} if key and labels else {}


def _compared(flow: "Flow", node: Node) -> tuple[Facts, Facts]:
    left, right = node.args[0], node.args[-1]
    same = node.name not in ("!=", "!~")
    if node.name == "in":
        found = _fact(left, _ALL if flow.eval(right).level.value < 2 else frozenset())
        return found, {}
    if node.name in ("=~", "!~"):
        found = _fact(left, by_regex(flow, right))
        return (found, {}) if same else ({}, found)
    if node.name == "instanceof":
        return {}, {}
    for one, other in ((left, right), (right, left)):
        if other.role in ("name", "member") and path_of(other).endswith("npos"):
            yes, no = facts(flow, one)
            return (no, yes) if same else (yes, no)
        if other.role in ("number", "constant") and one.role in ("call", "binary", "unary"):
            answer = _answer(flow, one, other)
            if answer is not None:
                yes, no = answer
                return (yes, no) if same else (no, yes)
        if other.role == "text" and other.name in _LETTERS and not _whole(one):
            found = _fact(one, _LETTERS[other.name])
            return ({}, found) if same else (found, {})
        if _fixed(flow, other) and not _empty(other):
            if other.role == "text" and other.name in _LETTERS:
                yes, no = _fact(one, _ALL), _fact(one, _LETTERS[other.name])
                return (yes, no) if same else (no, yes)
            found = _fact(one, _ALL) if _whole(one) else {}
            return (found, {}) if same else ({}, found)
    return _parsed_host(flow, left, right, same)


_LETTERS = {
    "\\n": frozenset({"line"}),
    "\\r": frozenset({"line"}),
    "<": frozenset({"html"}),
    "'": frozenset({"quoted", "sql"}),
    "\\'": frozenset({"quoted", "sql"}),
    ";": frozenset({"shell"}),
}
"""What a letter cannot do that is none of these: loops that look at each letter."""


def other_letters(labels: Node) -> frozenset[str]:
    """What a letter cannot do that is none of the cases."""
    gone: frozenset[str] = frozenset()
    for part in labels.args:
        gone |= _LETTERS.get(part.name, frozenset()) if part.role == "text" else frozenset()
    return gone


_LETTER_CASE = frozenset({"toLowerCase", "toUpperCase", "strtolower", "ToLower", "ToUpper", "trim",
                          "Trim", "downcase", "to_lowercase", "as_str", "strip", "TrimSpace",
                          "ToLowerInvariant", "to_s", "String", "toString"})  # fmt: skip


def _whole(node: Node) -> bool:
    """Does the expression stand for the whole value, not for its length or a letter of it?"""
    if node.role == "member":
        return node.name not in ("length", "Length", "size", "type")
    if node.role == "call":
        return node.name in _LETTER_CASE
    return node.role == "name"


def _fixed(flow: "Flow", node: Node) -> bool:
    if node.role in ("text", "number"):
        return True
    value = flow.eval(node) if node.role in ("name", "member", "join", "call") else None
    return value is not None and value.level == 0 and value.known is not None


def _empty(node: Node) -> bool:
    return node.role == "text" and not node.name


def _parsed_host(flow: "Flow", left: Node, right: Node, same: bool) -> tuple[Facts, Facts]:
    """`new URL(x).hostname === host` says that the address is the intended one."""
    for one in (left, right):
        if one.role == "member" and one.name.lower() in ("hostname", "host", "origin"):
            found = _fact(one, frozenset({"url", "redirect"}))
            return (found, {}) if same else ({}, found)
    return {}, {}


_STARTS_AT = frozenset({"find", "rfind", "indexOf", "IndexOf", "strpos", "compare", "strncmp",
                        "lastIndexOf", "index"})  # fmt: skip
"""Calls that say, compared with 0, that a text begins with another."""


def _answer(flow: "Flow", call: Node, other: Node) -> tuple[Facts, Facts] | None:
    """A call compared with a number or a truth value: `strpos(a, b) === 0`, `f(x) == -1`."""
    word = other.name
    if call.role == "unary" and call.name != "!":
        return None
    yes, no = facts(flow, call)
    name = call.name if call.role == "call" else ""
    if word in ("false", "-1", "null", "nil", "None"):
        return no, yes
    if word == "0" and name in _STARTS_AT:
        return _begins(flow, call)
    if word == "0" and name in ("strcmp", "strcasecmp", "strncmp", "regexec", "compare", "access",
                                "compareTo", "strncasecmp", "memcmp"):  # fmt: skip
        fixed = [arg for arg in call.args if arg.role == "text"]
        if name in ("strcmp", "strcasecmp") and fixed:
            return _fact(call.args[0], _ALL), {}
        if name == "regexec" and len(call.args) > 1:
            return _fact(call.args[1], _ALL), {}
        return yes, no
    if word == "0" and name in ("preg_match", "strpos", "indexOf", "IndexOf", "rfind", "count",
                                "find", "index"):  # fmt: skip
        return (no, yes) if name in ("preg_match", "count") else (yes, no)
    if word in ("true", "1"):
        return yes, no
    return None


def _position(flow: "Flow", node: Node) -> tuple[Facts, Facts]:
    """`a.indexOf(x) < 0`, `x.length > 30`."""
    left, right = node.args[0], node.args[-1]
    if left.role == "call" and left.name in ("indexOf", "IndexOf", "find", "strpos", "count"):
        yes, no = facts(flow, left)
        return (no, yes) if node.name in ("<", "<=") else (yes, no)
    if right.role == "number" and left.role in ("member", "call"):
        limit = _fact(left, frozenset({"length"}))
        return (limit, {}) if node.name in ("<", "<=") else ({}, limit)
    return {}, {}


def _asked(flow: "Flow", call: Node) -> tuple[Facts, Facts]:
    name = call.name
    for check, value_node in flow.checks(call):
        found = _fact(value_node, frozenset(check.labels.split()))
        return (found, {}) if check.says else ({}, found)
    if name in _MEMBERSHIP or name == "find" and _looks_for_text(call):
        return _membership(flow, call)
    if name in _PARTIAL:
        return _begins(flow, call)
    if name in _NUMBER_TESTS:
        target = call.args[0] if call.args else call.base
        found = _fact(target, _ALL)
        return ({}, found) if name in _BAD_NUMBERS else (found, {})
    if name in _MATCHES:
        return _matched(flow, call)
    if name in ("equals", "Equals", "eq", "equalsIgnoreCase", "eql?", "EqualFold", "strcmp"):
        return _equals(flow, call)
    if _says_always(flow, name):
        return {}, {}
    if _BAD_VERDICT.search(name):
        return {}, _verdict(call)
    if _VERDICT.search(name):
        return _verdict(call), {}
    return {}, {}


def _looks_for_text(call: Node) -> bool:
    """`s.find("..")`, which C++ compares with `npos`."""
    return call.base is not None and len(call.args) == 1 and call.args[0].role == "text"


def _says_always(flow: "Flow", name: str) -> bool:
    """A check of the snippet's own that looks at nothing."""
    function = flow.run.functions.get(name)
    if function is None or function.base is None:
        return False
    return not any(
        node.role in ("if", "call", "binary", "loop", "switch", "choice", "index", "member")
        for node in function.base.walk()
    )


def _verdict(call: Node) -> Facts:
    found: Facts = {}
    for arg in call.args or ([call.base] if call.base is not None else []):
        found.update(_fact(arg, _ALL))
    return found


def _equals(flow: "Flow", call: Node) -> tuple[Facts, Facts]:
    parts = [part for part in (call.base, *call.args) if part is not None]
    fixed = [part for part in parts if _fixed(flow, part)]
    for part in parts:
        if part not in fixed and fixed:
            return _fact(part, _ALL), {}
    return {}, {}


def _entry(flow: "Flow", node: Node) -> Facts:
    """`allowed[x]`: an entry of a table that the code itself fills says that the key is known."""
    if node.role != "index" or not node.args or node.base is None:
        return {}
    return _fact(node.args[0], _ALL) if flow.eval(node.base).level == 0 else {}


_TRAVERSAL = re.compile(r"^(?:\.\.[/\\]*|[/\\]?\.\.|%2e%2e|/)$")


def _membership(flow: "Flow", call: Node) -> tuple[Facts, Facts]:
    """An allow-list holds the value; or a text holds a dangerous part."""
    args = call.args
    if not args:
        return {}, {}
    first = args[0]
    if first.role == "text" and call.base is not None:  # x.includes("..")
        return {}, _fact(call.base, _without(first.name))
    holder = call.base if call.base is not None else (args[1] if len(args) > 1 else None)
    if holder is None:
        return (_entry(flow, first), {}) if call.name == "isset" else ({}, {})
    if len(args) > 1 and args[1].role == "text" and call.base is None:
        return {}, _fact(first, _without(args[1].name))
    held = flow.eval(holder)
    if held.level >= 2 and not held.items:  # a text that is itself given from outside
        return {}, {}
    return _fact(first, _ALL), {}


def _without(text: str) -> frozenset[str]:
    """What a value cannot do that does not hold this text."""
    if _TRAVERSAL.match(text):
        return frozenset({"path"})
    return {"\\n": frozenset({"line"}), "<": frozenset({"html"})}.get(text, frozenset())


def _begins(flow: "Flow", call: Node) -> tuple[Facts, Facts]:
    """A path that begins with its folder, an address that begins with its host."""
    target = call.base if call.base is not None and not _module(flow, call.base) else None
    prefix = call.args[0] if call.args else None
    if prefix is not None and prefix.role == "number":  # C++'s `a.compare(0, n, b)`
        prefix = call.args[-1]
    if target is None:
        if len(call.args) < 2:
            return {}, {}
        target, prefix = call.args[0], call.args[1]
    labels: set[str] = set()
    value = flow.eval(target)
    known = flow.eval(prefix).shape if prefix is not None else ""
    if known in ("//", "/\\\\"):
        return {}, _fact(target, frozenset({"no_host"}))
    ending = "nd" in call.name[:2].lower() or "Suffix" in call.name
    if known == ".." or known.startswith("../"):
        inside = frozenset({"path"}) if {"resolved", "relative"} & value.marks else frozenset()
        return {}, _fact(target, frozenset(inside))
    if not ending and "resolved" in value.marks:
        labels.add("path")
    if not ending and known == "/":
        labels.add("rooted")
    if ending:
        if known.startswith("."):
            labels |= {"url", "redirect"}
        elif target.role == "member" and target.name.lower() in ("hostname", "host"):
            labels |= {"url", "redirect"} if known[:1] == "." else set()
    elif re.match(r"https?://[^/\0]+/", known) or re.match(r"/[^/\\\0]", known):
        labels |= {"url", "redirect"}
    return _fact(target, frozenset(labels)), {}


def _module(flow: "Flow", node: Node) -> bool:
    """A module of text functions, not a value that goes by such a name."""
    if node.role != "name" or node.name not in ("strings", "filepath", "str", "std", "path"):
        return False
    held = flow.env.get(node.name)
    return held is None or (held.level == 0 and held.text is None and not held.marks)


def _matched(flow: "Flow", call: Node) -> tuple[Facts, Facts]:
    """A whole value matches an expression that lets nothing dangerous through."""
    parts = [part for part in (call.base, *call.args) if part is not None]
    best: Facts = {}
    if call.name in ("filter_var",):
        return _fact(call.args[0], _ALL) if call.args else {}, {}
    if call.name in ("all", "every", "all_of", "allMatch", "All", "all?"):
        aim = call.base if call.base is not None else (call.args[0] if call.args else None)
        return _fact(aim, _ALL), {}
    whole = call.name in ("matches", "regex_match", "fullmatch") or call.name.startswith("ctype")
    labels: frozenset[str] = frozenset()
    for part in parts:
        found = by_regex(flow, part, whole=whole)
        if found:
            labels = labels | found
    for part in parts:
        value = flow.eval(part)
        if labels and value.level > 0 and part.role != "regex" and not value.path.startswith("re:"):
            best.update(_fact(part, labels))
    if not best and call.base is not None and call.base.role == "call":  # P.matcher(x).matches()
        inner = call.base
        found = by_regex(flow, inner.base, whole=whole) if inner.base is not None else labels
        for part in inner.args:
            if found and flow.eval(part).level > 0:
                best.update(_fact(part, found))
    return best, {}
