"""The lines that code begins and ends with in an answer, and what stands around its lines.

Everything here judges one line, or the finished text of one block; what is open, held or settled
is the affair of `snippets.py`. Only a line's first `DECIDED` characters say whether it begins a
program or a fence of its own, so that no line is looked at again and again while it grows.
"""

import ast
import html
import json
import re
import textwrap
import warnings
from dataclasses import dataclass
from typing import Literal

BlockKind = Literal["fence", "code_tag", "search_replace", "patch", "unfenced", "xml_tool", "json"]

DECIDED = 300
LINE_END = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")
"""What some reader of Markdown takes for the end of a line."""
PREFIX = r"[ \t\ufeff]*(?:(?:>[ \t]*|(?:[-*+]|\d{1,9}[.)])[ \t]+))*"
_TOOLS = (
    "tool_call|content|diff|new_str|new_string|file_text|code_edit|command|script"
    r"|parameter(?:=|[ \t]{1,9}name=)[^>\n]{0,80}"
)
_TAG = rf"(?P<shy>`?)<(?P<tag>(?:code|pre)(?![\w-])[^>]*|(?:{_TOOLS})(?=\s*>)\s*)>?"
HOLD = re.compile(
    rf"`{{3,}}|~{{3,}}|`?<(?:code|pre|{_TOOLS})(?![\w-])"
    r"|``?(?:import|from) \w|``?[\w.]{1,40} ?= ",
    re.IGNORECASE,
)
"""From here on a line is held until it is whole."""
UNSURE_TAIL = re.compile(r"(?:`+(?:[\w.]{1,40} ?=? ?)?|~+|`?<[\w-]{0,12}(?:[= \t][^>\n]{0,100})?)$")
_OWN = re.compile(rf"(?P<prefix>{PREFIX})(?P<marker>`{{3,}}|~{{3,}})(?P<rest>[^\n]*)", re.DOTALL)
_LINES = re.compile(r"[ \t]*(?:(?P<search><{5,9}(?=[\sA-Za-z]|$))|(?P<patch>\*\*\* Begin Patch))")
_INSIDE = re.compile(
    rf"(?P<ticks>`{{3,}})|(?P<tilde>~{{3,}})|{_TAG}"
    r"|(?<!`)(?P<delim>``?)(?P<span>[\w.]{1,40} ?[\w=][^`]{0,4000})(?P=delim)(?!`)",
    re.IGNORECASE,
)
_INFO = re.compile(r"[ \t]*(?:[\w+#./:-]+|\{[^}]*\})?(?:[ \t]+[\w-]+=(?:\"[^\"]*\"|\S+))*[ \t]*")
_FENCE_LINE = re.compile(rf"^{PREFIX}(?:`{{3,}}|~{{3,}})", re.MULTILINE)
_TICKS = re.compile("`{3,}")
_INNER_TAG = re.compile(r"\A\s{0,9}<code(?![\w-])[^>]{0,300}>|</code\s{0,9}>\s*\Z", re.IGNORECASE)
_LARGEST_TAIL = 20_000  # characters of code of which the parser is asked where it ends
_LONGEST_TAIL = 6  # lines after a program that may be taken off
_STEPS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AugAssign, ast.Expr)
START = re.compile(
    r"""(?:
      import\ [\w.*{"'][^.!?]*;?$ | import\ [\w., ]+; | from\ [\w.]+\ import\ 
    | (?:async\ )?def\ \w+\s*[(\[]
    | class\ \w+\s*(?:[:({]|extends\b) | @[\w.]+(?:\(.*)?$ | \#! | \#include\s*[<"]
    | (?:const|let|var)\ [\w{\[$][^.!?]*[=;] | (?:export\ )?(?:default\ )?(?:async\ )?function\b.*\(
    | package\ [\w.]+;?$ | using\ [\w.: ]+; | (?:public|private|static|void|int|char)\ .*[({;]$
    | (?:el)?if\ (?:not\ )?[\w.]+(?:\ (?:in|is|and|or|not)\b|\s*[^\w\s,]).*:$
    | (?:async\ )?for\ [\w, ()*]+\ in\ .*:$
    | while\ (?:not\ )?[\w.]+(?:\ (?:in|is|and|or|not)\b|\s*[^\w\s,]).*:$
    | try:$ | (?:async\ )?with\ [\w.]+(?:\(.*|\ as\ \w+.*)?:$ | (?:if|for|while)\ ?\(.*\{$
    | func\ .*\( | fn\ \w+.*\( | <\?php | diff\ --git\  | ---\ a/ | @@\ -\d | >>>\ \S
    | (?:await|raise|assert|del)\ [\w.]+[(\[].* | (?:return|print)\ [\w.]+\(.*\)$
    | [([][\w*., ]+[)\]]\ *=\ *[^=\s].* | [a-z_]\w*(?:,\ *\w+)+\ *=\ *[^=\s].*
    | [A-Za-z_$][\w.$\[\]'"]*(?:\ *:\ *[\w\[\], .|]+)?
      \ *(?:[-+*/|&%@^]|//|\*\*|<<|>>|:)?=\ *[^=\s].*
    | (?![^\s(]*\]\((?:https?:|mailto:|\#|\.{0,2}/|[\w-]+/))  # the end of a link
      [a-z_$][\w.$\[\]'"]*\(.*\)?[;:,]?$
    | [A-Z]\w*(?:\.\w+)+\(.*\)?[;:,]?$
    | \[.*\bfor\ .*\ in\ .*\]$
    )""",
    re.VERBOSE,
)
_WEAK_START = re.compile(r"(?:(?:el)?if|while|with)\ [^()=\[\]]*:$")
_PROSE = re.compile(
    r"[A-Z][\w'’-]*[,:]? (?![=(])[\w`*\"'(‘“]|[A-Z]\w*:$|(?:[-*>]|\d+[.)]) [A-Z`*]|#+ \w"
)
_SENTENCE = re.compile(
    r"(?:[-*>] |\d+[.)] |#+ )?[\"'“‘*(]?[A-Za-z][\w'’,*\"”’-]*(?: [^\s=;{}]+){2,}$"
)
_FEW = re.compile(r"[\w'’-]+,?(?: [\w'’-]+)?[.!?:]?")
_OPENS_JSON = re.compile(r"(?:\{|\[[ \t]*\{?)[ \t\r]*")
_SYMBOL_STARTS = ("<<<<<", "*** Begin Patch", "#!", "#include", "--- a/", "@@ -", "<?php", ">>> ")
_KEYWORDS = frozenset(
    "import from def async await class const let var function export package using public private "
    "static func fn return print raise assert del module interface type "
    "enum struct void int char unsigned".split()
)
_CONDITIONS = re.compile(
    r"(?:(?:el)?if|while) ?(?:$|\(|(?:not ?)?(?:[\w.]+ ?)?$|(?:not )?[\w.]+(?: (?:i|in|is|a|an|and"
    r"|o|or|n|no|not)(?:$|\W)| ?[^\w\s,]))|for ?(?:$|\(|[\w, ()*]+(?<=[,\w) ]) in |[\w()*]+ ?i?n?$"
    r"|[\w()*]+,[\w, ()*]*$)|with ?(?:$|[\w.]+ ?(?:$|[(:]|as?(?:$| )))|try:?$"
)
_NUMBERED = re.compile(r"[ \t]*(\d{1,6})(?:[ \t]*[:|│).][ \t]?|\t|[ \t]{1,4}|$)(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opener:
    """Where a block begins in a line, and by what."""

    kind: BlockKind
    start: int
    body: int
    """Where what may be code begins, counted like `start`."""
    marker: str = ""
    prefix: str = ""
    info: str = ""
    own: bool = False
    """Does the fence stand at the start of a line of its own?"""
    ends: int = -1
    """Where the block ends, when it ends in the same line."""


def own_opener(line: str) -> Opener | None:
    """The fence, edit or patch that begins with this whole line, or None."""
    found = _OWN.match(line)
    if found and found.start("marker") + 3 <= DECIDED:
        marker, rest = found["marker"], found["rest"]
        if marker[0] == "~" or "`" not in rest:
            return Opener(
                kind="fence", start=found.start("marker"), body=len(line), marker=marker,
                prefix=found["prefix"], info=rest.strip(), own=True,
            )  # fmt: skip
    if (mark := _LINES.match(line)) and mark.end() <= DECIDED:
        kind: BlockKind = "patch" if mark["patch"] else "search_replace"
        start = mark.start(mark.lastgroup or 0)
        return Opener(kind=kind, start=start, body=start)
    return None


def inner_opener(text: str, at: int, end: int) -> Opener | None:
    """The first block that begins at `at` or after within the line that ends at `end`."""
    for found in _INSIDE.finditer(text, at, end):
        if found["ticks"] or found["tilde"]:
            opener = _midline_fence(text, found, end)
        elif found["tag"]:
            opener = _tag(text, found)
        else:
            opener = _span(found)
        if opener is not None:
            return opener
    return None


def _midline_fence(text: str, found: re.Match[str], end: int) -> Opener | None:
    marker, body = found.group(), found.end()
    if marker[0] == "`" and (closing := _TICKS.search(text, body, end)):
        if not text[body : closing.start()].strip():
            return None
        return Opener(
            kind="fence", start=found.start(), body=body, marker=closing[0], ends=closing.end()
        )
    rest = text[body : min(end, body + DECIDED)]
    if end - body < DECIDED and _INFO.fullmatch(rest):
        return Opener(kind="fence", start=found.start(), body=end, marker=marker, info=rest.strip())
    if marker[0] == "`" and begins_program(rest):
        return Opener(kind="fence", start=found.start(), body=body, marker=marker)
    return None


def _tag(line: str, found: re.Match[str]) -> Opener | None:
    """A tag that begins code; one that is only named, between backticks, is none."""
    if found["shy"] and line[found.end() : found.end() + 1] == "`":
        return None
    name = (re.match(r"\w+", found["tag"]) or found)[0].lower()
    start = found.end("shy")
    if name in ("code", "pre"):
        return Opener(kind="code_tag", start=start, body=found.end(), marker="code|pre")
    info = {"diff": "diff", "command": "bash", "tool_call": "json"}.get(name, "")
    return Opener(kind="xml_tool", start=start, body=found.end(), marker=name, info=info)


def _span(found: re.Match[str]) -> Opener | None:
    """A whole statement between single backticks, where it is more than a name or a value."""
    if not re.match(r"(?:import|from) \w|[\w.]{1,40} ?= ", found["span"]):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            steps = ast.parse(found["span"]).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    calls = any(isinstance(node, ast.Call) for step in steps for node in ast.walk(step))
    if not calls or not all(isinstance(step, _STEPS) for step in steps):
        return None
    return Opener(
        kind="unfenced", start=found.start(), body=found.start("span"),
        marker=found["delim"], ends=found.end(),
    )  # fmt: skip


def is_prefix(line: str) -> bool:
    """Is there nothing but the marks of lists and quotations?"""
    return re.fullmatch(PREFIX, line) is not None


def of_page(code: str) -> str:
    """The code between the tags of a page: less a tag within them, and with its characters."""
    return html.unescape(_INNER_TAG.sub("", code))


_BLANK = re.compile(r"\s+")
_SCALAR = re.compile(r"(?:[-+.\deE]+|t(?:r(?:ue?)?)?|f(?:a(?:l(?:se?)?)?)?|n(?:u(?:ll?)?)?)[ \t]*")
"""A value of one word that a list may begin with, or its beginning."""


def json_start(line: str, *, whole: bool, first: bool) -> int | None:
    """Where JSON that holds names or values begins in a line or, unless that is `whole`, in the
    beginning of one; negative while it may yet begin there, None where none does.

    In the `first` line of an answer more is taken for JSON than in prose."""
    start = len(line) - len(line.lstrip(" \t\ufeff"))
    if line[start : start + 1] not in ("{", "["):
        return None
    rest = line[start + 1 :].strip(" \t\r")
    if not rest:
        return start if whole else -1
    if not first:
        rest = _OPENS_JSON.sub("", line[start:], count=1)
        return start if rest[:1] == '"' or (whole and not rest) else None if rest else -1
    if rest[0] in '"{}[]':
        return start
    scalar = _SCALAR.match(rest) if line[start] == "[" else None
    if scalar is None or (end := scalar.end()) == 0:
        return None
    if end == len(rest) and not whole:
        return -1
    return start if rest[end : end + 1] in ("", ",") else None


def json_end(text: str) -> int:
    """Where the JSON that a text begins with ends, a list of values in lines too; 0 for none."""
    decoder, at, end = json.JSONDecoder(strict=False), 0, 0
    while at < len(text) and text[at] in "{[":
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        at = blank.end() if (blank := _BLANK.match(text, end)) else end
    return end


def begins_program(line: str) -> bool:
    """Does this line, judged by its first characters, look like the first of a program?"""
    return START.match(_bare(line[:DECIDED])) is not None


def needs_body(line: str) -> bool:
    """Is this a first line that prose may have too, unless indented lines follow it?"""
    return _WEAK_START.match(_bare(line[:DECIDED])) is not None


def _bare(line: str) -> str:
    """The line less the marks of lists and quotations before it, which a REPL's `>>>` is not."""
    line = line.strip(" \t\ufeff\0")
    if line.startswith((">>> ", "--- a/", "@@ ")):
        return line
    return re.sub(r"^(?:(?:>[ \t]*|(?:[-*+]|\d{1,9}[.)])[ \t]+))+", "", line).strip()


def held_from(line: str) -> int | None:
    """Where this beginning of a line may yet turn out to begin a block; None when nowhere.

    Never None where `begins_program` or `own_opener` would say yes to the whole line.
    """
    if re.fullmatch(r"[ \t>*+.)\d\ufeff\0-]*(?:`*|~*)", line):
        return 0
    head = _bare(line)
    rests = (line.lstrip(" \t\ufeff\0"), head)
    if any(s.startswith(rest) or rest.startswith(s) for rest in rests for s in _SYMBOL_STARTS):
        return 0
    if not head or head[0] in "([":
        return (
            0 if re.match(r"[(\[][\w*., ]*(?:[)\]] ?(?:$|=)|$)", head) or head[:1] == "[" else None
        )
    if head[0] == "@":
        return 0 if " " not in head or "(" in head else None
    first = head.split(" ")[0]
    if first.rstrip("(:") in _KEYWORDS or _CONDITIONS.match(head):
        return 0
    return _name_first(line, head)


def _name_first(line: str, head: str) -> int | None:
    token = re.match(r"[A-Za-z_$][\w.$\[\]'\"]*", head)
    if token is None:
        return None
    after = head[token.end() :].lstrip(" ")
    open_end = line.endswith(" ") and not after
    if token.end() == len(head) and not open_end:
        # The first word of a sentence goes out at once; were it a name, what follows it waits.
        return sent_first(line)
    may = after[:1] in ("", "=", ":", "+", "-", "*", "/", "|", "&", "%", "@", "^", "<", ">", ",")
    if after[:1] == "(":
        may = head[0].islower() or head[0] in "_$" or "." in token.group()
    if after[:1] == ",":
        may = head[0].islower() and re.fullmatch(r"(?:, *\w*)+(?: *=.*)?", after) is not None
    if after[:1] == ":":
        may = re.match(r":(?: *$| *=| *[\w\[\], .|]+$| *[\w\[\], .|]+ *=)", after) is not None
    return sent_first(line) if may else None


def sent_first(line: str) -> int:
    """How much of a line may be gone before it is known to be code: a capitalised first word."""
    word = re.match(r"[A-Z][a-z'’]+", line)
    return word.end() if word else 0


def ends_program(line: str, after_blank: bool) -> bool:
    """Is this line of prose, or the start of another block, and so not part of the program?"""
    if own_opener(line) is not None or HOLD.search(line[:DECIDED]):
        return True
    head = line[:DECIDED]
    if begins_program(head):
        return False
    return bool(_PROSE.match(head)) if after_blank else is_prose(head) and head[:1].isupper()


def is_prose(text: str) -> bool:
    """Is every line that is not blank one of words, with no sign of code?"""
    lines = [line.strip()[:DECIDED] for line in LINE_END.split(text[:20_000])]
    return all(not line or (_SENTENCE.match(line) and not begins_program(line)) for line in lines)


def is_plainly_prose(line: str) -> bool:
    """Can a line be nothing but prose, even where code is expected: a sentence, a word or none?"""
    bare = _bare(line)
    if not bare:
        return True
    return bare[0].isupper() and "(" not in bare and (is_prose(bare) or bool(_FEW.fullmatch(bare)))


def holds_fence(text: str) -> bool:
    """Does a fence begin at the start of one of the lines?"""
    return ("```" in text or "~~~" in text) and _FENCE_LINE.search(
        LINE_END.sub("\n", text)
    ) is not None


def program_of(text: str, prefix: str) -> str:
    """The code less what stands around its lines: quotation, indent of a list, numbers, prompts."""
    if "\n" not in text:
        text = LINE_END.sub("\n", text)
    lines = text.split("\n")
    for strip in (lambda given: _unquoted(given, prefix), _unnumbered, _unprompted):
        lines = strip(lines)
    return "\n".join(lines)


def without_rest(code: str) -> str:
    """Code that no fence ends, less what comes after it, where that makes it a Python program.

    Only lines that are no Python by themselves go: a closing tag, a rule, a last word of prose.
    """
    if len(code) > _LARGEST_TAIL or _parses(code):
        return code
    lines = code.rstrip().split("\n")
    least = max(1, len(lines) - _LONGEST_TAIL)
    while len(lines) > least and not _parses(lines.pop().strip()):
        if _parses(rest := "\n".join(lines)):
            return f"{rest}\n"
    return code


def _parses(code: str) -> bool:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return bool(ast.parse(textwrap.dedent(code)).body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False


def _unquoted(lines: list[str], prefix: str) -> list[str]:
    depth, indent = prefix.count(">"), len(prefix.rpartition(">")[2].expandtabs(4))
    if depth:
        indent = max(0, indent - 1)
        quote = re.compile(rf"(?:[ \t]*>){{1,{depth}}} ?")
        lines = [quote.sub("", line, count=1) if quote.match(line) else line for line in lines]
    if not indent:
        return lines
    space = re.compile(rf"\t| {{1,{indent}}}")
    return [space.sub("", line, count=1) if space.match(line) else line for line in lines]


def _unnumbered(lines: list[str]) -> list[str]:
    found = [_NUMBERED.match(line) for line in lines if line.strip()]
    numbers = [int(item[1]) for item in found if item]
    if len(numbers) < 2 or len(numbers) != len(found):
        return lines
    if any(later <= sooner for sooner, later in zip(numbers, numbers[1:], strict=False)):
        return lines
    bare = [item[2] if (item := _NUMBERED.match(line)) else line for line in lines]
    # A number and one blank more than the code has: what every line has in common is no indent.
    filled = [line for line in bare if line.strip()]
    common = min((len(line) - len(line.lstrip(" ")) for line in filled), default=0)
    return [line[common:] for line in bare] if common < 3 else bare


def _unprompted(lines: list[str]) -> list[str]:
    """A session at a prompt: what was typed, each line of it at its place; output left out."""
    if not any(line.lstrip().startswith((">>> ", "In [")) for line in lines):
        return lines
    prompt = re.compile(r"[ \t]*(?:>>>|\.\.\.|In \[\d*\]:|   \.\.\.:)(?: |$)")
    return [line[mark.end() :] if (mark := prompt.match(line)) else "" for line in lines]
