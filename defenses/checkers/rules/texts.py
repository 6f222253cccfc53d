"""What calls of general kinds do to text: formatting, replacing, resolving, growing."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from bluecode.defenses.checkers.rules.site import Site
from bluecode.defenses.checkers.rules.values import HOLE, Level, Value, concatenated, literal

CLEAN_SUFFIX = re.compile(
    r"^(?:size|len|length|count|strlen|hash|hashCode|indexOf|compareTo|equals|isEmpty|empty|"
    r"exists|parseInt|parseFloat|Number|BigInt|intval|floatval|Atoi|ParseInt|ParseFloat|parse_int|"
    r"atoi|atol|atof|strtol|strtoul|stoi|to_i|to_f|valueOf|parseLong|parseDouble|ToInt32|"
    r"ToInt64|isNaN|sizeof|typeof|test|includes|startsWith|endsWith|has|some|every|toFixed|"
    r"getTime|now|is_numeric|ctype_\w+|abs|round|floor|ceil|max|min|ord|crc32|hexdigest|"
    r"fromString|sha256|sha512|randomUUID|uuid4|uuidv4)$"
)
"""Calls that give back numbers, truth values or digests: nothing an attacker chooses."""

READS = re.compile(
    r"^(?:readFile(?:Sync)?|file_get_contents|ReadAllText|ReadAllBytes|ReadFile|read_to_string|"
    r"readAllBytes|readString|readlines|fopen|createReadStream|readdir(?:Sync)?|statSync|stat|"
    r"findOrFail|firstOrFail|FindAsync|FirstOrDefault(?:Async)?|SingleOrDefault(?:Async)?|"
    r"CombinedOutput|Output|fetch_(?:one|all|optional)|findBy(?:Id|Pk)|findOne|findUnique|findFirst|find_by!?|query_row)$"
)
"""Calls that give back what is stored under a name."""

_SANITISES = re.compile(
    r"^(?:sanitize|sanitise|purify|escape(?!d)|esc_|clean_?(?:html|input|path|name)|"
    r"encode_?(?:html|for|uri)|"
    r"html_?(?:escape|encode|special)|quote_?(?:shell|arg|literal|ident)|shell_?(?:quote|escape)|"
    r"strip_?tags|slugify|secure_?filename|whitelist|normalize_?name)",
    re.I,
)
_MUTATORS = frozenset({"append", "push", "add", "push_str", "WriteString", "Append", "concat",
                       "AppendLine", "AppendFormat", "unshift", "insert", "Add", "write_str",
                       "push_back", "Write", "prepend", "addAll", "emplace_back"})  # fmt: skip

_SPEC = re.compile(r"%[-+ #0]*[\d*]*(?:\.[\d*]+)?(?:hh|h|ll|l|z|j|t|L)?([a-zA-Z%])|\{[^{}\s\"']*\}")


def formatted(form: Value, parts: Sequence[Value]) -> Value:
    """A format text with its parts in their places; numbers in `%d` harm nothing."""
    text = form.shape
    pieces: list[Value] = []
    at = used = 0
    for spec in _SPEC.finditer(text):
        if spec.group(1) == "%":
            continue
        pieces.append(literal(text[at : spec.start()]))
        at = spec.end()
        part = parts[used] if used < len(parts) else Value(text=HOLE)
        inner = spec.group()[1:-1]
        if spec.group(1) is None and inner.isidentifier():  # Rust's and C#'s `{name}`
            part = next((p for p in parts if inner in p.fields), part)
        used += 1
        numeric = spec.group(1) is not None and spec.group(1) in "diuxXofFeEgGcp"
        pieces.append(Value(text="0") if numeric else replace(part, text=part.shape))
    pieces.append(literal(text[at:]))
    if used == 0 and form.level is Level.NONE and parts and HOLE not in text:
        return form
    made = concatenated(pieces)
    return replace(made, level=max(made.level, form.level)) if form.level else made


_BRACES = re.compile(r"\{\{|\}\}|\{(\w*)(?::[^{}]*)?\}")


def interpolated(form: Value, parts: Sequence[Value], lookup: Callable[[str], Value]) -> Value:
    """Rust's `"{} {name}"`: what is not among the parts is a name of the code around."""
    text = form.shape
    given = {name: value for part in parts for name, value in part.fields.items()}
    pieces: list[Value] = []
    at = used = 0
    for hole in _BRACES.finditer(text):
        name = hole.group(1)
        if name is None:  # a doubled brace stands for itself
            continue
        pieces.append(literal(text[at : hole.start()]))
        at = hole.end()
        if name.isdigit() or not name:
            index = int(name) if name else used
            used += not name
            part = parts[index] if index < len(parts) else Value(text=HOLE)
        else:
            part = given.get(name) or lookup(name)
        pieces.append(replace(part, text=part.shape))
    pieces.append(literal(text[at:]))
    return concatenated(pieces) if len(pieces) > 1 else form


def replaced(name: str, site: Site) -> Value | None:
    """`x.replace(…)` and calls named for cleaning; None for anything else."""
    if _SANITISES.search(name):
        whole = site.base if not site.args else site.args[0]
        lower = name.lower()
        labels = _by_name(lower)
        return replace(whole.without(labels), path=name + "()", text=None)
    if name in ("replace", "replaceAll", "gsub", "preg_replace", "str_replace", "ReplaceAll",
                "ReplaceAllString", "Replace", "gsub!", "tr", "regex_replace", "delete",
                "replace_all"):  # fmt: skip
        return _replace(name, site)
    return None


def _by_name(name: str) -> set[str]:
    """Which harm a function's name says that it prevents."""
    for words, labels in (
        ("html tags purify esc_ xss markup", {"html"}),
        ("shell arg cmd command", {"shell"}),
        ("sql literal ident", {"sql"}),
        ("regex regexp", {"regex"}),
        ("uri url component", {"url", "html", "path", "line", "redirect"}),
        ("file path secure slug", {"path"}),
        ("xpath xml", {"xpath", "html"}),
        ("ldap", {"ldap"}),
        ("log line crlf newline", {"line"}),
    ):
        if any(word in name for word in words.split()):
            return labels
    return {"html", "shell", "sql", "xpath", "ldap", "line"}


def _replace(name: str, site: Site) -> Value:
    functional = name in ("preg_replace", "str_replace", "regex_replace") or (
        site.base.level is Level.NONE and len(site.args) >= 3
    )
    if functional:
        what, by = site.arg(0), site.arg(1)
        whole = site.arg(2)
        if name == "regex_replace" or (what.level and not whole.level):
            whole, what, by = site.arg(0), site.arg(1), site.arg(2)
    else:
        whole, what, by = site.base, site.arg(0), site.arg(1)
        if site.base.path.startswith("re:") or name == "ReplaceAllString":
            whole, what, by = site.arg(0), site.base, site.arg(1)
    labels = _removed(what, by)
    return concatenated([replace(whole, text=None), by]).without(labels)


def _removed(what: Value, by: Value) -> set[str]:
    """What a value cannot do any more once these letters are gone."""
    options = [item.known or "" for item in what.items] or [what.known or ""]
    pattern = what.path[3:] if what.path.startswith("re:") else "|".join(options)
    if not pattern:
        return set()
    gone = set()
    negated = re.search(r"\[\^([^\]]*)\]", pattern)
    if negated:
        kept = negated.group(1)
        gone |= {"shell", "sql", "html", "line", "xpath", "ldap", "code", "regex"}
        if "/" not in kept and "\\\\" not in kept:
            gone |= {"path", "url", "redirect"}
        return gone
    letters = pattern.replace("\\\\", "\\")
    if re.search(r"\\[rn]|[\r\n]|\\s|\[\[:cntrl:\]\]|\\x0[ad]|\\p\{C", letters):
        gone.add("line")
    if re.search(r"[<>&]", pattern) and ("&" in (by.known or "&") or len(options) > 1):
        gone.add("html")
    if "'" in pattern and "''" in (by.known or ""):
        gone.add("quoted")
    if re.search(r"[.*+?^${}()|[\]\\]{6,}", pattern):
        gone.add("regex")
    return gone


def resolved_path(site: Site) -> Value:
    """A path in its one true form."""
    parts = list(site.args) or [site.base]
    if site.base.level > Level.NONE and site.args:
        parts = [site.base, *parts]
    return concatenated(parts).marked("resolved")


def mutates(name: str) -> bool:
    """Does a method of this name add its arguments to what it is called on?"""
    return name in _MUTATORS
