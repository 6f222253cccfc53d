"""What a C text asks of its compiler, looked at before the compiler sees it: a wall of our own in
front of the kernel's, and the only one where there is no Landlock.

Refused is what could read a file that is no header of ours, or reach the assembler. Read as the
language has it: lines that are spliced, comments, digraphs and trigraphs included.
"""

from __future__ import annotations

import re

TEXT_BYTES = 200_000
TRIGRAPHS = {"??=": "#", "??/": "\\", "??'": "^", "??(": "[", "??)": "]", "??<": "{", "??>": "}"}
HEADER = re.compile(r'\s*(?:<([\w./+-]+)>|"([\w./+-]+)")\s*$')
DIRECTIVE = re.compile(r"^\s*(?:#|%:)\s*(\w+)?(.*)$", re.MULTILINE)
FORBIDDEN = re.compile(r"__has_embed|__has_include|\b_Pragma\b|\basm\b|\b__asm(?:__)?\b")
"""Words that lead to files, to the assembler, or past this look."""
FORGING = re.compile(
    r"import_module|import_name|export_name|__bluecode|\bguard_\w|__wrap_|__asan_|__ubsan_"
    r"|no_sanitize|disable_sanitizer|__heap_base|__stack_pointer"
)
"""Words of a program that reaches for the runtime's own functions, or past the checks."""
PRAGMAS = frozenset({"once", "pack", "GCC", "clang", "omp", "warning", "comment", "region",
                     "endregion", "message", "STDC", "unroll"})  # fmt: skip
PRAGMA = re.compile(r"\s*(?:GCC|clang)\s+(\w+)")
PASSED = frozenset({"diagnostic", "optimize", "system_header", "ivdep", "unroll", "push_options",
                    "pop_options", "target", "visibility", "loop", "fp", "poison"})  # fmt: skip
UNREAD = frozenset({"embed", "include_next", "import", "__include_macros", "ident", "sccs"})
PLAIN = r"""//[^\n]*|/\*.*?(?:\*/|\Z)|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'"""
RAW = r"""R"(?P<d>[^()\\\s]{0,16})\(.*?\)(?P=d)"|"""
READINGS = (re.compile(PLAIN, re.DOTALL), re.compile(RAW + PLAIN, re.DOTALL))
"""Comments and texts, in dialects without and with raw strings: what holds for one is not trusted
to hold for the other."""


def refusal(code: str) -> str | None:
    """Why a text is not given to the compiler; None for one that is."""
    if len(code.encode("utf-8", "replace")) > TEXT_BYTES:
        return "the text is too long"
    if "\0" in code:
        return "the text holds a zero byte"
    plain = spliced(code)
    return next((why for token in READINGS if (why := _unread(plain, token))), None)


def _unread(plain: str, token: re.Pattern[str]) -> str | None:
    if found := FORBIDDEN.search(token.sub(_blank, plain)):
        return f"`{found[0]}` is not compiled here"
    for directive in DIRECTIVE.finditer(token.sub(_kept, plain)):
        if why := _refused(directive[1] or "", directive[2]):
            return why
    return None


def forges(code: str) -> bool:
    """Could this program speak in the runtime's name? Then only what harms it is believed."""
    return "##" in code or FORGING.search(spliced(code)) is not None


def spliced(code: str) -> str:
    """As the compiler reads it: trigraphs replaced, lines that end in a backslash joined."""
    for written, meant in TRIGRAPHS.items():
        code = code.replace(written, meant)
    return re.sub(r"\\[ \t]*\r?\n", "", code.replace("\r\n", "\n"))


def _is_comment(found: re.Match[str]) -> bool:
    return found[0].startswith(("//", "/*"))


def _kept(found: re.Match[str]) -> str:
    return " " if _is_comment(found) else found[0]


def _blank(found: re.Match[str]) -> str:
    return " " if _is_comment(found) else '""'


def _refused(name: str, rest: str) -> str | None:
    if name in UNREAD:
        return f"`#{name}` is not compiled here"
    if name == "include":
        header = HEADER.match(rest)
        path = (header[1] or header[2]) if header else ""
        if not path or path.startswith(("/", ".")) or ".." in path:
            return "an `#include` names no header of the libraries"
    if name == "pragma":
        word = (re.match(r"\s*(\w+)", rest) or [""])[0].strip()
        inner = PRAGMA.match(rest)
        if word not in PRAGMAS or (inner and inner[1] not in PASSED):
            return "a `#pragma` that is not known here"
    return None
