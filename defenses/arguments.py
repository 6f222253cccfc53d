"""The JSON arguments of a function call, and which of their strings are code.

Tool names differ between assistants only in case and mean little; the argument's key tells what a
string is, and where it does not, the string itself. Research behind the keys: the tools of some 25
assistants, November 2026. Keys that occur twice are both read: clients differ in which they take.
"""

import json
import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from bluecode.defenses import language
from bluecode.defenses.patches import is_patch, path_in
from bluecode.defenses.pieces import Piece, acts, stands_alone

_CODE_KEYS = frozenset(
    "content contents newstring newstr newtext newsource newcode newcontent filetext code script"
    " source text body replacement replace insert inserttext codeedit append".split()
)
_PROGRAM_KEYS = frozenset("code newcode codeedit script".split())
"""Those of them that name nothing else: a line of Python that calls something is a program."""
_COMMAND_KEYS = frozenset("command cmd chars shell shellcommand keystrokes commandline".split())
_COMMANDS_KEYS = frozenset("commands cmds".split())
_ARGUMENT_KEYS = ("args", "arguments", "argv", "argumentlist")
_PATH_KEYS = ("path", "filepath", "filename", "file", "absolutepath", "targetfile", "notebookpath")
_LANGUAGE_KEYS = frozenset({"language", "lang"})
_NEW_KEYS = frozenset(
    "newstring newstr newtext newcode newcontent newsource replacement replace new after updated"
    " with".split()
)
_OLD_KEYS = frozenset(
    "oldstring oldstr oldtext oldcode oldcontent oldsource search find pattern old before original"
    " searchtext".split()
)
_REMARK_KEYS = frozenset(
    "search find pattern query regex glob description explanation reason thought thoughts summary"
    " title message instruction instructions prompt question justification activeform note notes"
    " oldstring oldstr oldtext oldcode".split()
)
"""Keys of strings that mention code more often than they hold it."""
_PATCH_KEYS = frozenset("patch patches input diff".split())
_REMARK = re.compile(r"^[ \t]*//[^\n]*", re.MULTILINE)
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\\?\Z)', re.DOTALL)
_LAST_COMMA = re.compile(r",(\s*[}\]])")
_DEEPEST_TEXT = 8
"""JSON within strings of JSON is followed this far."""
_LONGEST_PATH = 1024
_MOST_PATHS = 4
"""Languages in which one text is read because its object names so many files."""


class _Object(list[tuple[str, Any]]):
    """A JSON object with every pair it was written with."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a value stands."""

    key: str = ""
    paths: tuple[str | None, ...] = (None,)
    """More than one only where they mean different languages: what stands here is read as each."""
    tag: str = ""
    texts: int = 0
    """How many strings of JSON it was read out of."""


def pieces(arguments: str) -> tuple[list[Piece], bool]:
    """The code in a call's arguments, and whether all of it could be read."""
    walk = _Walk()
    if arguments.strip():
        try:
            walk.push(_parse(arguments), _Place())
        except (ValueError, RecursionError):
            return [Piece(text=arguments)], False
    walk.finish()
    return walk.found, walk.whole


def files(document: str) -> list[Piece]:
    """The programs that a JSON document carries: files by their path, commands, patches, and
    strings that are code beyond doubt. Data stays data; of what is no JSON, or broke off, the
    strings are read one by one."""
    walk = _Walk(document=True)
    for value in _values(document):
        walk.push(value, _Place())
    walk.finish()
    return [piece for piece in walk.found if _is_program(piece)]


def _values(document: str) -> list[Any]:
    """The value of a document, or one for each of its lines; comments and last commas are let be,
    as editors' settings have them."""
    for text in (document, _LAST_COMMA.sub(r"\1", _REMARK.sub("", document))):
        try:
            return [_parse(text)]
        except (ValueError, RecursionError):
            continue
    try:
        return [_parse(line) for line in document.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        return list(_strings(document))


def _strings(document: str) -> Iterator[str]:
    """The strings of several lines; the last one may break off."""
    for found in _STRING.finditer(document):
        if "\\n" in found[1]:
            with suppress(ValueError):
                yield _parse(f'"{found[1]}"')


def _is_program(piece: Piece) -> bool:
    if piece.form == "command" or is_patch(piece):
        return True
    spoken = piece.spoken
    if spoken is None:
        spoken = language.of_content(piece.text) if "\n" in piece.text.strip() else None
        return spoken is not None or stands_alone(piece.text)
    return spoken not in language.DATA or (spoken == "markdown" and "```" in piece.text)


def _parse(text: str) -> Any:
    return json.loads(text, strict=False, object_pairs_hook=_Object)


def _plain(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


class _Walk:
    """Visits every value, however deep, without recursion."""

    def __init__(self, *, document: bool = False) -> None:
        """In a `document`, where most strings are data, a line is code only by its key."""
        self._document = document
        self.found: list[Piece] = []
        self.whole = True
        self._left: list[tuple[Any, _Place]] = []
        self._next: list[tuple[Any, _Place]] = []

    def push(self, value: Any, place: _Place) -> None:
        self._next.append((value, place))

    def finish(self) -> None:
        self._left, self._next = self._next[::-1], []
        while self._left:
            value, place = self._left.pop()
            self._visit(value, place)
            self._left += reversed(self._next)
            self._next = []

    def _visit(self, value: Any, place: _Place) -> None:
        if isinstance(value, str):
            self._string(value, place)
        elif isinstance(value, _Object):
            self._object(value, place)
        elif isinstance(value, list):
            self._list(value, place)

    def _object(self, pairs: _Object, place: _Place) -> None:
        plain = [(_plain(name), name, item) for name, item in pairs]
        paths = self._paths([(key, item) for key, _, item in plain]) or place.paths
        tag = next(
            (v for k, _, v in plain if k in _LANGUAGE_KEYS and isinstance(v, str)), place.tag
        )
        tag = _cell_tag([(key, item) for key, _, item in plain]) or tag
        keys = {key for key, _, item in plain if isinstance(item, str)}
        edits = bool(keys & _NEW_KEYS)
        command = _whole_command([(key, item) for key, _, item in plain])
        if command is not None:
            self.push(command, _Place("command"))
        for key, name, item in plain:
            if isinstance(item, str):
                if key in _PATH_KEYS and _is_place(item):
                    continue
                if edits and key in _OLD_KEYS and key not in _NEW_KEYS:
                    continue  # the user's own text, about to be replaced
            if command is not None and key in (*_COMMAND_KEYS, *_ARGUMENT_KEYS):
                continue
            named = path_in(name)
            if "\n" in name or len(name) > 40:
                self.push(name, _Place("", paths[:1], tag, place.texts))
            self.push(item, _Place(key, (named,) if named else paths, tag, place.texts))

    def _paths(self, pairs: list[tuple[str, Any]]) -> tuple[str, ...]:
        """The paths an object names: more than one only where they mean different languages."""
        named = [
            item
            for wanted in _PATH_KEYS
            for key, item in pairs
            if key == wanted and isinstance(item, str) and _is_place(item)
        ]
        chosen: dict[str, str] = {}
        for path in named:
            if spoken := language.of_path(path):
                chosen.setdefault(spoken, path)
        self.whole = self.whole and len(chosen) <= _MOST_PATHS
        return tuple(chosen.values())[:_MOST_PATHS] or tuple(named[:1])

    def _list(self, items: list[Any], place: _Place) -> None:
        lines = len(items) > 1 and all(isinstance(item, str) for item in items)
        if place.key in _COMMAND_KEYS and lines:
            self.push(shlex.join(items), place)
        elif place.key in _COMMANDS_KEYS:
            if lines and items[1].startswith("-"):
                self.push(shlex.join(items), _Place("command"))
            for item in items:
                self.push(item, _Place("command", place.paths, place.tag, place.texts))
        elif lines and not any("\n" in item.rstrip("\n") for item in items) and place.key != "":
            text = ("" if items[0].endswith("\n") else "\n").join(items)
            if place.key in _CODE_KEYS | _PATCH_KEYS or language.of_content(text) is not None:
                self.push(text, place)
            else:
                self._each(items, place)
        else:
            self._each(items, place)

    def _each(self, items: list[Any], place: _Place) -> None:
        for item in items:
            self.push(item, place)

    def _string(self, value: str, place: _Place) -> None:
        if not value.strip():
            return
        pieces = [Piece(text=value, tag=place.tag, path=path) for path in place.paths]
        key = place.key
        if key in _COMMAND_KEYS or key in _COMMANDS_KEYS:
            self.found.append(Piece(text=value, form="command", origin="shell"))
        elif key in _CODE_KEYS:
            named = self._document and key in _PROGRAM_KEYS and place == _Place(key)
            if named and "\n" not in value.strip() and acts(value):
                pieces = [replace(piece, tag="python") for piece in pieces]
            self.found += pieces
        elif self._nested(value, place):
            return
        elif key in _PATCH_KEYS or any(map(is_patch, pieces)):
            self.found += pieces
        elif "```" in value:
            self.found.append(Piece(text=value, tag="markdown"))
        elif _is_code(value, key):
            self.found += pieces

    def _nested(self, value: str, place: _Place) -> bool:
        """Is it JSON once more? Then that is read instead."""
        if value.lstrip()[:1] not in ("{", "[", '"'):
            return False
        try:
            inner = _parse(value)
        except ValueError:
            return False
        except RecursionError:
            self.whole = False
            return False
        if place.texts >= _DEEPEST_TEXT:
            self.whole = False
        else:
            self.push(inner, _Place(place.key, place.paths, place.tag, place.texts + 1))
        return True


def _is_code(value: str, key: str) -> bool:
    if key in _REMARK_KEYS:
        return stands_alone(value)
    return language.of_content(value) is not None if "\n" in value else acts(value)


def _is_place(text: str) -> bool:
    """Can it be a path, and is it no program?"""
    return len(text) <= _LONGEST_PATH and "\n" not in text and not acts(text)


def _cell_tag(pairs: list[tuple[str, Any]]) -> str:
    """The language of a notebook's cell."""
    kinds = [item for key, item in pairs if key == "celltype"]
    if not kinds:
        return ""
    return "python" if any(kind != "markdown" for kind in kinds) else "markdown"


def _whole_command(pairs: list[tuple[str, Any]]) -> str | None:
    """A program and its arguments where they stand under two keys."""
    command = next((v for k, v in pairs if k in _COMMAND_KEYS and isinstance(v, str)), None)
    for key, item in pairs:
        if command is not None and key in _ARGUMENT_KEYS and isinstance(item, list):
            words = [word for word in item if isinstance(word, str)]
            return f"{command} {shlex.join(words)}" if words else None
    return None
