"""Documents that hold code beside other things: markdown, notebooks, scripts of package managers
and pipelines, patches within JavaScript.

Formats are read as far as their code needs it; no YAML parser is brought in for the commands that
stand in it line by line.
"""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from bluecode.defenses import language
from bluecode.defenses.conversation import Origin
from bluecode.defenses.patches import path_in
from bluecode.defenses.pieces import Piece, acts, parsed, stands_alone
from bluecode.defenses.shell_words import unescaped
from bluecode.defenses.snippets import Block, SnippetExtractor

_ORIGINS: dict[str, Origin] = {"fence": "fence", "code_tag": "code_tag"}
_PATH_LIKE = re.compile(r"[\w./~\\-]*[\w-]\.\w{1,8}")
_LITERAL = re.compile(
    r"""\\. | //[^\n]* | /\*.*?(?:\*/|\Z) | "(?P<double>(?:[^"\\\n]++|\\.)*+)"
    | '(?P<single>(?:[^'\\\n]++|\\.)*+)' | `(?P<template>(?:[^`\\]++|\\.)*+)(?:`|\Z)""",
    re.VERBOSE | re.DOTALL,
)
_RUNS = re.compile(
    r"(?:\b(?:cmd|command|script|shell)['\"]?\s*:|\b(?:exec\w*|spawn\w*|system|shell)\s*\()\s*$"
)
_WRITES = re.compile(r"\.write(?:_text)?\(|\b(?:write|save|create|edit|final)\w*\(")
_WRITER = re.compile(r"(?:write|save|create|edit|final)\w*")
"""Functions by which agents that speak in Python write files, and answer."""
_STEP = re.compile(
    r"(?P<margin>[ ]*)(?P<dash>- )?[ ]*['\"]?(?:run|script|command|entrypoint|cmd|shell|args"
    r"|before_script|after_script|bash|inline|inlineScript|test)['\"]?:[ ]*(?P<rest>.*)"
)
_CELL = re.compile(r"\s*%%(?P<magic>[\w!]+)[ \t]*(?P<rest>[^\n]*)\n")
_ESCAPE = re.compile(r"^[ \t]*!(.+)$", re.MULTILINE)


def of_block(block: Block) -> Piece:
    """A block of an answer's text, with what its surroundings say of it."""
    tag, path = _read_info(block.info)
    return Piece(
        text=block.code,
        tag=tag,
        path=path or _path_before(block.before),
        origin=_ORIGINS.get(block.kind, "unfenced"),
        first_line=block.first_line,
    )


def blocks(piece: Piece) -> list[Piece]:
    """The blocks of a markdown text."""
    extractor = SnippetExtractor()
    found = [of_block(block) for block in extractor.feed(piece.text) + extractor.close()]
    return [
        piece.inner(
            item.text,
            tag=item.tag,
            path=item.path,
            origin=item.origin,
            first_line=piece.first_line + item.first_line - 1,
        )
        for item in found
    ]


def _read_info(info: str) -> tuple[str, str | None]:
    """Language tag and file path out of a fence's info string, in any of its spellings."""
    words = info[:500].strip().strip("{}").replace("=", " ").replace('"', " ").split()
    if not words:
        return "", None
    first, _, rest = words[0].lstrip(".").partition(":")
    tag = first if language.canonical(first) else ""
    places = ([rest] if rest else []) + words[1:] + ([first] if not tag else [])
    path = next((word for word in places if _PATH_LIKE.fullmatch(word)), None)
    return tag or ("" if path else first), path


def _path_before(line: str) -> str | None:
    return path_in(line)


def within(piece: Piece, spoken: str | None) -> list[Piece]:
    """What a text that was taken as a snippet carries besides."""
    if spoken in ("javascript", "typescript") or "*** Begin Patch" in piece.text:
        return list(literals(piece))
    if spoken == "python":
        return list(_written(piece))
    if spoken == "json":
        return list(_in_json(piece))
    if spoken in ("yaml", "toml"):
        return list(_steps(piece))
    return []


_NO_CODE = (None, *language.DATA)


def _written(piece: Piece) -> Iterator[Piece]:
    """The programs that a program writes to files, where they stand in it as they are."""
    if not _WRITES.search(piece.text) or (tree := parsed(piece.text)) is None:
        return
    for node in ast.walk(tree):
        for path, text, line in _texts(node) if isinstance(node, ast.Call) else ():
            spoken = language.of_path(path) if path else language.of_content(text)
            if path is None and "```" in text:
                spoken = "markdown"
            if "\n" in text and (spoken == "markdown" or spoken not in _NO_CODE):
                yield piece.inner(
                    text,
                    path=path,
                    tag="" if path else spoken,
                    first_line=piece.first_line + line - 1,
                )


def _texts(call: ast.Call) -> list[tuple[str | None, str, int]]:
    """Where a call writes what, and the line on which that stands."""
    texts = [
        (given.value, given.lineno)
        for given in (*call.args, *(keyword.value for keyword in call.keywords))
        if isinstance(given, ast.Constant) and isinstance(given.value, str)
    ]
    if isinstance(call.func, ast.Attribute) and call.func.attr in ("write", "write_text"):
        return [(_opened_path(call.func.value), *text) for text in texts[:1]]
    if isinstance(call.func, ast.Name) and _WRITER.fullmatch(call.func.id):
        names = (text for text, _ in texts if "\n" not in text)
        path = next((name for name in names if language.of_path(name)), None)
        return [(path, *text) for text in texts]
    return []


def _opened_path(made: ast.expr) -> str | None:
    """The path in `open("a.py", "w")` or `Path("a.py")`."""
    if isinstance(made, ast.Call) and made.args and isinstance(made.args[0], ast.Constant):
        value = made.args[0].value
        return value if isinstance(value, str) else None
    return None


def literals(piece: Piece) -> Iterator[Piece]:
    """Patches and commands within the string literals of JavaScript."""
    parts: list[str] = []  # of a patch that is put together from several literals
    for found in _LITERAL.finditer(piece.text):
        if found.lastgroup is None:
            continue
        text = unescaped(found[found.lastgroup])
        if parts or text.lstrip().startswith("*** Begin Patch"):
            parts.append(text if text.endswith("\n") else f"{text}\n")
            if "*** End Patch" in text:
                yield piece.inner("".join(parts), path=None)
                parts = []
        elif _RUNS.search(piece.text, max(0, found.start() - 60), found.start()):
            yield piece.inner(text, form="command", origin="shell", path=None)
    if parts:
        yield piece.inner("".join(parts), path=None)


def notebook(piece: Piece) -> list[Piece] | None:
    """The cells of a notebook; None where the text is none."""
    value = _loaded(piece.text)
    cells = value.get("cells") if isinstance(value, dict) else None
    if not isinstance(cells, list):
        return None
    metadata = value.get("metadata") if isinstance(value, dict) else None
    spoken = _kernel(metadata if isinstance(metadata, dict) else {})
    found: list[Piece] = []
    for cell in cells:
        source = cell.get("source", cell.get("input")) if isinstance(cell, dict) else cell
        text = "".join(map(str, source)) if isinstance(source, list) else source
        kind = cell.get("cell_type") if isinstance(cell, dict) else None
        if isinstance(text, str) and kind != "raw":
            tag = "markdown" if kind == "markdown" else spoken
            found.append(piece.inner(text, tag=tag, path=piece.path))
    return found


def _kernel(metadata: dict[str, Any]) -> str:
    for key, name in (("kernelspec", "language"), ("language_info", "name")):
        told = metadata.get(key)
        spoken = told.get(name) if isinstance(told, dict) else None
        if isinstance(spoken, str) and language.canonical(spoken) not in (None, "markdown"):
            return spoken
    return "python"


def is_magic(text: str) -> bool:
    """Does it begin with the line that says what a notebook's cell is for?"""
    return _CELL.match(text) is not None


def cell(piece: Piece) -> list[Piece]:
    """What a notebook's cell holds besides Python: another language's cell, commands after `!`."""
    if magic := _CELL.match(piece.text):
        name, rest, body = magic["magic"], magic["rest"].strip(), piece.text[magic.end() :]
        if name in ("bash", "sh", "script", "!", "sx", "system"):
            return [piece.inner(body, form="command", origin="shell", path=None)]
        if name in ("writefile", "file"):
            path = rest.split()[-1] if rest else None
            return [piece.inner(body, path=path)]
        if language.canonical(name) not in (None, "python"):
            return [piece.inner(body, tag=name, path=None)]
    return [
        piece.inner(line, form="command", origin="shell", path=None)
        for line in _ESCAPE.findall(piece.text)
    ]


def _loaded(text: str) -> Any:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _in_json(piece: Piece) -> Iterator[Piece]:
    """The commands of a `package.json`, by any name; other data stays data."""
    if '"scripts"' not in piece.text:
        return
    value = _loaded(piece.text)
    scripts = value.get("scripts") if isinstance(value, dict) else None
    for command in scripts.values() if isinstance(scripts, dict) else ():
        for line in command if isinstance(command, list) else [command]:
            if isinstance(line, str):
                yield piece.inner(line, form="command", origin="shell", path=None)


def _steps(piece: Piece) -> Iterator[Piece]:
    """Commands of workflows and compose files: on the key's line, in its block, in its list."""
    lines = piece.text.split("\n")
    at = 0
    while at < len(lines):
        found = _STEP.match(lines[at])
        at += 1
        if found is None:
            continue
        start, margin = at, len(found["margin"]) + (2 if found["dash"] else 0)
        rest = found["rest"].strip()
        if rest and rest[0] not in "|>":
            yield _step(piece, _unquoted(rest), at)
            continue
        while at < len(lines) and (not lines[at].strip() or _belongs(lines[at], margin, rest)):
            at += 1
        body = lines[start:at]
        if rest:
            yield _step(piece, _dedented(body), start + 1)
        else:
            for number, line in enumerate(body, start=start + 1):
                if line.strip().startswith("- "):
                    yield _step(piece, _unquoted(line.strip()[2:]), number)


def _belongs(line: str, margin: int, rest: str) -> bool:
    indent = len(line) - len(line.lstrip(" "))
    return indent > margin or (not rest and indent == margin and line.lstrip().startswith("- "))


def _step(piece: Piece, text: str, line: int) -> Piece:
    python = acts(text) and ("\n" in text.strip() or stands_alone(text))
    return piece.inner(
        text,
        tag="python" if python else "bash",
        form="any" if python else "command",
        origin="shell",
        path=None,
        first_line=piece.first_line + line - 1,
    )


def _dedented(lines: list[str]) -> str:
    margin = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[margin:] for line in lines) + "\n"


def _unquoted(text: str) -> str:
    """A YAML scalar; a flow sequence becomes a command's words."""
    text = text.strip()
    if text.startswith("[") and isinstance(words := _loaded(text), list):
        return " ".join(_quoted(str(word)) for word in words)
    if len(text) > 1 and text[0] == text[-1] == '"':
        return unescaped(text[1:-1])
    if len(text) > 1 and text[0] == text[-1] == "'":
        return text[1:-1].replace("''", "'")
    return text


def _quoted(word: str) -> str:
    return word if re.fullmatch(r"[\w./:=@%+,-]+", word) else "'" + word.replace("'", "'\\''") + "'"
