"""Fragments of JavaScript and TypeScript as the guest can run them, line by line the same.

A piece that was cut out of a file lacks the openings of what closes in it and the ends of what
opens in it. Openings are put in front of the first line and ends behind the last one, so that no
line moves. Functions that only other functions could reach are made known to the harness. Pure
functions of text; on hostile text they take bounded time.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

from bluecode.defenses.checkers.rules.syntax import OutOfTime, Piece, read

LONGEST = 20_000
"""Characters of a text that is completed; for a longer one it would take too long."""
READ = 200_000
"""Characters that are parsed in all to complete one text."""
LEVELS = 8
TRIED = 40
"""Ways to complete a fragment that are parsed, at the most."""
MARKED = 60
"""Functions of a text that are made known, at the most."""
SEEN = "__seen"
"""What the guest calls the function that takes a function and gives it back."""

_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?(?:\*/|\Z))|(?P<text>'(?:[^'\\\n]|\\.){0,1000}+'|"(?:[^"\\\n]|\\.){0,1000}+")"""
    r"""|(?P<template>`)|(?P<bracket>[()\[\]{}])"""
    r"""|(?P<regex>(?:(?<=[(,=:\[!&|?{;])|(?<=[(,=:\[!&|?{;]\s)|(?<=return\s))"""
    r"""/(?![/*>])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.){0,300}+\]){1,300}+/)""",
    re.DOTALL,
)
_TEMPLATE = re.compile(r"(?:[^`\\$]|\\.|\$(?!\{))*", re.DOTALL)
_PAIRS = {")": "(", "]": "[", "}": "{"}
_ENDS = {opening: end for end, opening in _PAIRS.items()}
_OBJECT = re.compile(r"\s*,?\s*(?!case\b|default\b)(?:[\w$]+|'[^'\n]*'|\"[^\"\n]*\")\s*:|\s*\.\.\.")
_SWITCH = re.compile(r"\s*(?:case\b|default\s*:)")
_METHOD = re.compile(
    r"\s*(?:static\s+)?(?:async\s+)?(?!if\b|for\b|while\b|switch\b|catch\b|function\b)"
    r"(?:get\s+|set\s+)?[\w$#]+\s*\([^()\n]*\)\s*\{"
)
_LOOPS = re.compile(r"\b(?:break|continue)\b")


@dataclass(frozen=True, slots=True)
class _Scan:
    """Where brackets stand that close nothing, and what is left open."""

    closers: Sequence[tuple[str, int]]
    tail: str
    """What ends all that did not end."""


def completed(code: str, language: str) -> str | None:
    """The text with what it lacks in front and behind; None where it lacks nothing, or where no
    way to complete it can be read."""
    if len(code) > LONGEST:
        return None
    try:
        if not _broken(code, language):
            return None
        best: tuple[int, str] | None = None
        for text in islice(_ways(code), min(TRIED, READ // len(code))):
            wrong = _broken(text, language)
            if not wrong:
                return text
            if best is None or wrong < best[0]:
                best = wrong, text
    except (OutOfTime, RecursionError):
        return None
    return best[1] if best is not None else None


def _broken(code: str, language: str) -> int:
    """How much of a text the grammar cannot read, in bytes and missing tokens; 0 for none."""
    root = read(code, "tsx" if language == "typescript" else "javascript").raw
    if not root.has_error:
        return 0
    wrong, waiting = 1, [root]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            wrong += 1 + node.end_byte - node.start_byte
        elif node.has_error:
            waiting += node.children
    return wrong


# --- What is missing ----------------------------------------------------------------------------


def _ways(code: str) -> Iterator[str]:
    """Completed texts, the likely ones first: as it stands, then without lines at its edges that
    were cut in their middle."""
    for text in _trimmed(code):
        scan = _scan(text)
        if len(scan.closers) <= LEVELS:
            yield from islice(_completions(text, scan), TRIED // 3)


def _trimmed(code: str) -> Iterator[str]:
    lead = "/*" if "*/" in code and not 0 <= code.find("/*") < code.find("*/") else ""
    yield lead + code
    lines = code.split("\n")
    full = [at for at, line in enumerate(lines) if line.strip()]
    for head, last in ((1, 0), (0, 1), (1, 1), (2, 0), (2, 1), (3, 0), (3, 1), (0, 2)):
        if head + last >= len(full):
            continue
        gone = {*full[:head], *full[len(full) - last :]}
        yield lead + "\n".join("" if at in gone else line for at, line in enumerate(lines))


def _scan(code: str) -> _Scan:
    closers: list[tuple[str, int]] = []
    stack: list[str] = []
    at, open_comment = 0, ""
    while found := _TOKEN.search(code, at):
        at, token = found.end(), found["bracket"]
        comment = found["comment"] or ""
        if comment.startswith("/*") and not (comment.endswith("*/") and len(comment) > 3):
            open_comment = "*/"
        if found["template"]:
            at = _in_template(code, at, stack)
        elif token in _ENDS:
            stack.append(token)
        elif token:
            if stack and stack[-1] == "${" and token == "}":
                stack.pop()
                at = _in_template(code, at, stack)
            elif stack and stack[-1] == _PAIRS[token]:
                stack.pop()
            elif not stack:
                closers.append((token, found.start()))
    ends = ["`" if item == "`" else "}" if item == "${" else _ENDS[item] for item in stack]
    return _Scan(closers, open_comment + "".join(reversed(ends)))


def _in_template(code: str, at: int, stack: list[str]) -> int:
    """Go on to the end of a template's text; what is open in it is put on the stack."""
    if not stack or stack[-1] != "`":
        stack.append("`")
    found = _TEMPLATE.match(code, at)
    at = found.end() if found is not None else at
    if code.startswith("`", at):
        stack.pop()
        return at + 1
    if code.startswith("${", at):
        stack.append("${")
        return at + 2
    return len(code)


def _completions(code: str, scan: _Scan) -> Iterator[str]:
    edges = [-1, *(at for _, at in scan.closers), len(code)]
    segments = [code[a + 1 : b] for a, b in zip(edges, edges[1:], strict=False)]
    kinds = [
        _kinds(segment) if at == len(scan.closers) or scan.closers[at][0] == "}" else ["arguments"]
        for at, segment in enumerate(segments)
    ]
    kinds[-1] = [kind for kind in kinds[-1] if kind != "switch"] or ["statements"]
    for chosen in sorted(product(*map(enumerate, kinds)), key=lambda way: sum(n for n, _ in way)):
        yield _with(code, segments, scan, [kind for _, kind in chosen])


def _kinds(segment: str) -> list[str]:
    """What a segment may be the inside of, the likeliest first."""
    if _SWITCH.match(segment):
        return ["switch"]
    if _OBJECT.match(segment):
        return ["object", "statements"]
    if _METHOD.match(segment):
        return ["class", "object", "statements"]
    if segment.lstrip().startswith(","):
        return ["object", "arguments", "statements"]
    return ["statements", "object", "class"] if segment.strip() else ["statements", "object"]


def _with(code: str, segments: Sequence[str], scan: _Scan, kinds: Sequence[str]) -> str:
    head = ""
    for at, (token, _) in enumerate(scan.closers):
        after = segments[at + 1].lstrip()
        if not after and at + 1 < len(scan.closers):
            after = scan.closers[at + 1][0]
        head = _opening(at, token, segments[at], kinds[at], kinds[at + 1], after) + head
    tail = "\n" + scan.tail if scan.tail else ""
    around = {"object": ("__0 = {", "}"), "class": ("class __Whole {", "}")}
    first, last = around.get(kinds[-1], ("", ""))
    return f"{first}{head}{code}{tail}\n{last}" if last else f"{head}{code}{tail}"


def _opening(at: int, token: str, inside: str, kind: str, outer: str, after: str) -> str:
    """The beginning of what a bracket without a partner ends."""
    before = {
        "statements": "", "object": f"m{at}: ", "class": f"m{at} = ", "switch": "case 0: ",
        "arguments": "",
    }[outer]  # fmt: skip
    value = outer in ("object", "class", "arguments")
    if token == "]":
        return f"{before}[" if value else f"{before}__v{at} = ["
    if token == ")":
        if after.startswith("{") and not value:
            return f"{before}if ("
        return f"{before}__call("
    if kind in ("object", "class"):
        word = "{" if kind == "object" else f"class M{at} {{"
        return before + (word if value or kind == "class" else f"__v{at} = {word}")
    if kind == "switch" and not value:
        return before + "switch (__any) {"
    maker = "async function" if re.search(r"\bawait\b", inside) else "function"
    body = "switch (__any) {" if kind == "switch" else ""
    if outer == "class":
        return ("async " if maker != "function" else "") + f"m{at}() {{" + body
    if value:
        return f"{before}{maker} (){{{body}"
    for word, opening in (("else", "if (__any) {"), ("catch", "try {"), ("finally", "try {")):
        if re.match(rf"{word}\b", after):
            return before + opening
    if after[:1] in (";", ",", "(", ".", ")"):
        return f"{before}__v{at} = {maker} (){{"
    if _LOOPS.search(inside):
        return before + "for (const __one of [1]) {"
    return f"{before}{maker} __f{at}() {{"


def undecorated(code: str) -> str:
    """A text with blanks for the decorators of its classes, which the guest does not know."""
    if "@" not in code or len(code) > LONGEST:
        return code
    try:
        root = read(code, "typescript")
    except OutOfTime:
        return code
    source = bytearray(root.source)
    for first, last in (piece.extent for piece, _ in _nodes(root) if piece.kind() == "decorator"):
        source[first:last] = re.sub(rb"[^\n]", b" ", bytes(source[first:last]))
    return source.decode("utf-8", "replace")


# --- What only other functions can reach --------------------------------------------------------

_FUNCTIONS = frozenset(
    {"function_expression", "arrow_function", "generator_function", "function"}
)  # fmt: skip
_BODIES = frozenset({"function_declaration", "method_definition", *_FUNCTIONS})


def made_known(code: str, language: str) -> str:
    """The text with `__seen(…)` around functions and objects of functions that are assigned, and
    with a mention of functions that are declared within others."""
    if len(code) > LONGEST:
        return code
    try:
        root = read(code, "tsx" if language == "typescript" else "javascript")
    except OutOfTime:
        return code
    if root.raw.has_error:
        return code
    put: list[tuple[int, int, str]] = []
    for piece, within in _nodes(root):
        if len(put) >= 2 * MARKED:
            break
        put += _marks(piece, within, len(put))
    source = root.source
    for at, _, text in sorted(put, reverse=True):
        source = source[:at] + text.encode() + source[at:]
    return source.decode("utf-8", "replace")


def _nodes(root: Piece) -> Iterator[tuple[Piece, Piece | None]]:
    """Every node with the block of the function around it."""
    waiting: list[tuple[Piece, Piece | None]] = [(root, None)]
    while waiting:
        piece, within = waiting.pop()
        yield piece, within
        block = piece.field("body") if piece.kind() in _BODIES else None
        inside = block if block is not None and block.kind() == "statement_block" else within
        waiting += [(kid, inside) for kid in reversed(piece.named())]


def _marks(piece: Piece, within: Piece | None, order: int) -> list[tuple[int, int, str]]:
    kind = piece.kind()
    if kind == "function_declaration" and within is not None:
        name = piece.field("name")
        at = within.raw.start_byte + 1
        again = piece.raw.parent is not None and piece.raw.parent.id == within.raw.id
        return [(at, order, f"{SEEN}({name.text()});")] if name is not None and again else []
    if kind not in ("assignment_expression", "variable_declarator", "return_statement"):
        return []
    value = piece.field("right" if kind == "assignment_expression" else "value")
    if kind == "return_statement":
        value = next(iter(piece.named()), None)
    if value is None or (kind == "variable_declarator" and within is None):
        return []
    if value.kind() not in _FUNCTIONS and not _holds_functions(value):
        return []
    first, last = value.extent
    return [(first, order, f"{SEEN}("), (last, -order, ")")]


def _holds_functions(piece: Piece) -> bool:
    if piece.kind() != "object":
        return False
    for item in piece.named():
        value = item.field("value") if item.kind() == "pair" else None
        if item.kind() == "method_definition":
            return True
        if value is not None and value.kind() in _FUNCTIONS:
            return True
    return False
