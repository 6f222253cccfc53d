"""From what assistants wrap code in to snippets: fences, patches, edits, tool arguments, heredocs.

Tool names differ between assistants only in case and mean little; the argument's key tells what a
string is. Research behind the keys: the tools of some 25 assistants, November 2026.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bluecode.defenses import language
from bluecode.defenses.conversation import Origin, Snippet
from bluecode.defenses.snippets import Block, SnippetExtractor

_CODE_KEYS = frozenset(
    "content contents newstring newstr newtext newsource newcode newcontent filetext code script"
    " source text body replacement replace insert inserttext codeedit append".split()
)
_COMMAND_KEYS = frozenset("command commands cmd cmds chars shell shellcommand".split())
_PATH_KEYS = ("path", "filepath", "filename", "file", "absolutepath", "targetfile", "notebookpath")
_OLD_KEYS = frozenset("oldstring oldstr oldtext oldcode search find pattern description".split())
_PATCH_KEYS = frozenset("patch patches input diff".split())
_FILE_MARK = re.compile(r"^\*\*\* (?:Add|Update) File: (?P<path>.+?)\s*$")
_UNIFIED_MARK = re.compile(r"^\+\+\+ (?:b/)?(?P<path>[^\t\n]+)")
_HEREDOC = re.compile(r"<<-?[ \t]*(?P<quote>['\"]?)(?P<word>\w+)(?P=quote)")
_REDIRECT = re.compile(r">>?[ \t]*['\"]?([\w./~-]+)|\btee[ \t]+(?:-\w+[ \t]+)*['\"]?([\w./~-]+)")
_INTERPRETER = re.compile(r"\b(python|node|ruby|perl|php)[\d.]*\b")
_INLINE_PYTHON = re.compile(
    r"\bpython[\d.]*\s+(?:-\w\s+)*-c\s+(?P<quote>['\"])(?P<body>.*?)(?<!\\)(?P=quote)", re.DOTALL
)
_SEARCH = re.compile(
    r"^[ \t]*<{5,9}[^\n]*\n(?P<old>.*?)^[ \t]*={5,9}[ \t\r]*\n"
    r"(?P<new>.*?)(?:^[ \t]*>{5,9}[^\n]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)
_PATH_LIKE = re.compile(r"[\w./~\\-]*[\w-]\.\w{1,8}")
_DEEPEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """The snippets found, and whether everything could be read."""

    snippets: tuple[Snippet, ...]
    unreadable: bool = False


def in_block(block: Block) -> tuple[Snippet, ...]:
    """The snippets of one block of an answer's text."""
    tag, path = _read_info(block.info)
    path = path or _path_before(block.before)
    if tag in ("markdown", "md") and "```" in block.code:
        return in_text(block.code)
    origin: Origin = {"fence": "fence", "code_tag": "code_tag"}.get(block.kind, "unfenced")  # type: ignore[assignment]
    return tuple(_unwrap(block.code, tag, path, origin, block.first_line))


def in_text(text: str) -> tuple[Snippet, ...]:
    """The snippets of a whole text."""
    extractor = SnippetExtractor()
    blocks = extractor.feed(text) + extractor.close()
    return tuple(snippet for block in blocks for snippet in in_block(block))


def in_arguments(arguments: str) -> Carried:
    """The snippets of a function call's JSON arguments. Broken JSON is read as raw text too."""
    try:
        value = json.loads(arguments) if arguments.strip() else {}
    except (ValueError, RecursionError):
        return Carried(snippets=in_input(arguments), unreadable=True)
    return Carried(snippets=tuple(_walk(value, "", None, None, 0)))


def in_input(text: str) -> tuple[Snippet, ...]:
    """The snippets of a custom tool's raw input: a patch, or code."""
    return tuple(_unwrap(text, "", None, "tool", 1))


def _walk(value: Any, key: str, path: str | None, tag: str | None, depth: int) -> Iterator[Snippet]:
    if depth > _DEEPEST:
        return
    if isinstance(value, str):
        yield from _string(value, key, path, tag)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, key, path, tag, depth + 1)
    elif isinstance(value, dict):
        plain = {_plain(name): item for name, item in value.items()}
        own = next((plain[name] for name in _PATH_KEYS if isinstance(plain.get(name), str)), path)
        named = plain["language"] if isinstance(plain.get("language"), str) else tag
        for name, item in plain.items():
            if name not in _PATH_KEYS:
                yield from _walk(item, name, own, named, depth + 1)


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _string(value: str, key: str, path: str | None, tag: str | None) -> Iterator[Snippet]:
    if key in _OLD_KEYS or not value.strip():
        return
    if key in _COMMAND_KEYS:
        yield from _command(value)
    elif key in _CODE_KEYS or key in _PATCH_KEYS or _is_patch(value):
        yield from _unwrap(value, tag or "", path, "tool", 1)
    elif "\n" in value and language.of_content(value) is not None:
        yield from _unwrap(value, tag or "", path, "tool", 1)


def _command(command: str) -> Iterator[Snippet]:
    """A shell command, and the programs it carries in heredocs and after `python -c`."""
    yield Snippet(code=command, language="bash", origin="shell")
    yield from _heredocs(command.split("\n"))
    for found in _INLINE_PYTHON.finditer(command):
        yield Snippet(code=found["body"], language="python", origin="shell")


def _heredocs(lines: list[str]) -> Iterator[Snippet]:
    """What is written to a file, or fed to an interpreter, from within the command itself."""
    at = 0
    while at < len(lines):
        line, at = lines[at], at + 1
        if not (found := _HEREDOC.search(line)):
            continue
        ends = [n for n in range(at, len(lines)) if lines[n].strip() == found["word"]]
        end = ends[0] if ends else len(lines)
        outside = line[: found.start()] + line[found.end() :]
        redirect = _REDIRECT.search(outside)
        path = (redirect[1] or redirect[2]) if redirect else None
        program = _INTERPRETER.search(outside) if path is None else None
        body = "\n".join(lines[at:end]) + "\n"
        yield from _unwrap(body, program[1] if program else "", path, "shell", at + 1)
        at = end + 1


def _unwrap(
    code: str, tag: str, path: str | None, origin: Origin, first_line: int
) -> Iterator[Snippet]:
    """Code as it stands, or the new side of the edits and patches that it consists of."""
    if _is_patch(code):
        yield from _patched(code, path)
        return
    if edits := list(_SEARCH.finditer(code)):
        for edit in edits:
            above = code[: edit.start()].strip().rpartition("\n")[2]
            named = _path_before(above) or path
            yield _snippet(edit["new"], tag, named, "search_replace", 1, context=edit["old"])
        return
    if code.strip():
        yield _snippet(code, tag, path, origin, first_line)
        if language.canonical(tag) == "bash":
            yield from list(_command(code))[1:]


def _snippet(
    code: str, tag: str, path: str | None, origin: Origin, first_line: int, context: str = ""
) -> Snippet:
    spoken = language.decide(code, tag=tag, path=path)
    return Snippet(
        code=code, language=spoken, origin=origin, path=path, context=context, first_line=first_line
    )


def _is_patch(text: str) -> bool:
    head = text.lstrip()[:4000]
    return head.startswith(("*** Begin Patch", "diff --git ")) or bool(
        re.search(r"^(?:\*\*\* (?:Add|Update) File: |--- \S.*\n\+\+\+ \S)", head, re.MULTILINE)
    )


def _patched(patch: str, path: str | None) -> Iterator[Snippet]:
    """What each file of a V4A or unified diff looks like afterwards, as far as the patch shows."""
    lines: list[str] = []
    old: list[str] = []
    for line in [*patch.splitlines(), "*** End Patch"]:
        mark = _FILE_MARK.match(line) or _UNIFIED_MARK.match(line)
        if mark or line.startswith(("*** ", "diff --git ", "--- ")):
            if any(item.strip() for item in lines):
                new = "\n".join(lines) + "\n"
                yield _snippet(new, "", path, "patch", 1, context="\n".join(old))
            if mark:
                path = mark["path"].strip()
            lines, old = [], []
        elif line.startswith("@@"):
            lines.append("")
        elif line[:1] in ("+", " "):
            lines.append(line[1:])
        elif line.startswith("-"):
            old.append(line[1:])


def _read_info(info: str) -> tuple[str, str | None]:
    """Language tag and file path out of a fence's info string, in any of its spellings."""
    words = info.strip().strip("{}").replace("=", " ").replace('"', " ").split()
    if not words:
        return "", None
    first, _, rest = words[0].lstrip(".").partition(":")
    tag = first if language.canonical(first) else ""
    places = ([rest] if rest else []) + words[1:] + ([first] if not tag else [])
    path = next((word for word in places if _PATH_LIKE.fullmatch(word)), None)
    return tag or ("" if path else first), path


def _path_before(line: str) -> str | None:
    bare = line.strip().strip("`*#: ")
    return bare if _PATH_LIKE.fullmatch(bare) else None
