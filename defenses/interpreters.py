"""Programs that run code which they are given on their command line or on standard input.

Where the word stands does not matter (`sudo`, `env`, `docker exec` and the like may come first);
what follows it decides. Nothing is promised for options that only a plug-in knows.
"""

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from bluecode.defenses.shell_words import Word

_FAMILIES = (
    ("python", r"i?python[\d.]*w?|pypy[\d.]*|jython|micropython|py"),
    ("bash", r"(?:ba|z|da|k|mk|a|fi|tc|c)?sh"),
    ("javascript", r"node(?:js)?|deno|bun|tsx|ts-node"),
    ("powershell", r"pwsh|powershell"),
    ("ruby", r"ruby[\d.]*|irb"),
    ("perl", r"perl[\d.]*"),
    ("php", r"php[\d.]*"),
    ("lua", r"lua[\d.]*|luajit"),
    ("r", r"Rscript|R"),
    ("sql", r"psql|mysql|mariadb|sqlite3"),
)
_NAMES = tuple((name, re.compile(rf"(?:{sign})(?:\.exe)?")) for name, sign in _FAMILIES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """Code on a command line, or, with `reads`, an interpreter that waits for its input."""

    language: str
    codes: tuple[Word, ...] = ()
    reads: bool = False


def family(word: str) -> str | None:
    """The language that a command of this name runs."""
    name = re.split(r"[/\\]", word[-200:])[-1]
    return next((spoken for spoken, sign in _NAMES if sign.fullmatch(name)), None)


def program(spoken: str, arguments: Sequence[Word]) -> Program:
    """What the words after an interpreter's name give it to run."""
    return _READERS.get(spoken, _by_option)(spoken, arguments)


def _python(spoken: str, arguments: Sequence[Word]) -> Program:
    at = 0
    while at < len(arguments):
        word = arguments[at].text
        if not word.startswith("-") or word == "-":
            return Program(language=spoken, reads=_is_input(word))
        for place, option in enumerate(word[1:], start=1):
            if option == "-":
                at += word == "--check-hash-based-pycs"
                break
            if option == "c":
                return Program(language=spoken, codes=_argument(arguments, at, place))
            if option == "m":
                return Program(language=spoken)
            if option in "XWQ":
                at += place == len(word) - 1
                break
        at += 1
    return Program(language=spoken, reads=True)


def _argument(arguments: Sequence[Word], at: int, place: int) -> tuple[Word, ...]:
    """An option's argument: the rest of its word, or the next word."""
    rest = arguments[at].text[place + 1 :]
    return (Word(rest, arguments[at].quoted),) if rest else tuple(arguments[at + 1 : at + 2])


def _shell(spoken: str, arguments: Sequence[Word]) -> Program:
    commanded = False
    at = 0
    while at < len(arguments):
        word = arguments[at].text
        if not word.startswith(("-", "+")) or word == "-":
            if commanded:
                return Program(language=spoken, codes=(arguments[at],))
            return Program(language=spoken, reads=_is_input(word))
        if not word.startswith("--"):
            commanded = commanded or ("c" in word and word[0] == "-")
            at += word[-1:] in ("o", "O")
            if "s" in word and not commanded:
                return Program(language=spoken, reads=True)
        at += 1
    return Program(language=spoken, reads=not commanded)


_OPTIONS: Mapping[str, re.Pattern[str]] = {
    "javascript": re.compile(r"-(?:e|p|pe|ep)|--?(?:eval|print)(?:=(?P<rest>.*))?|eval", re.DOTALL),
    "ruby": re.compile(r"-[a-zA-Z\d]*e(?P<rest>.*)", re.DOTALL),
    "perl": re.compile(r"-(?![MmIi])[a-zA-Z\d]*?[eE](?P<rest>.*)|-i\S*", re.DOTALL),
    "php": re.compile(r"-[rBRE](?P<rest>.*)|--(?:run|process-code)", re.DOTALL),
    "lua": re.compile(r"-e(?P<rest>.*)", re.DOTALL),
    "r": re.compile(r"-e(?P<rest>.*)", re.DOTALL),
    "powershell": re.compile(r"(?i)[-/]c(?:om(?:mand)?|ommandwithargs)?|[-/]e(?:c|nc\w*)"),
    "sql": re.compile(r"-[ce]|--(?:command|execute)(?:=(?P<rest>.*))?|-cmd", re.DOTALL),
}


def _by_option(spoken: str, arguments: Sequence[Word]) -> Program:
    sign = _OPTIONS[spoken]
    codes: list[Word] = []
    for at, word in enumerate(arguments):
        found = sign.fullmatch(word.text)
        if found is None or (spoken == "perl" and word.text.startswith("-i")):
            continue
        rest = found.groupdict().get("rest")
        following = (Word(rest, word.quoted),) if rest else tuple(arguments[at + 1 : at + 2])
        if spoken == "powershell" and re.match(r"(?i)[-/]e", word.text):
            following = tuple(Word(text, True) for item in following if (text := _wide(item.text)))
        codes += following
    plain = [word.text for word in arguments if not word.text.startswith("-") or word.text == "-"]
    script = spoken != "sql" and bool(plain) and not _is_input(plain[0])
    return Program(language=spoken, codes=tuple(codes), reads=not codes and not script)


def _wide(encoded: str) -> str | None:
    """What PowerShell's `-EncodedCommand` holds."""
    raw = decoded(encoded)
    try:
        return raw.decode("utf-16-le") if raw else None
    except UnicodeDecodeError:
        return None


def _is_input(word: str) -> bool:
    return word in ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


_READERS: Mapping[str, Callable[[str, Sequence[Word]], Program]] = {
    "python": _python,
    "bash": _shell,
}


def decoded(text: str) -> bytes | None:
    """What base64 stands for, or None for what is none."""
    packed = re.sub(r"\s+", "", text).translate(str.maketrans("-_", "+/"))
    if len(packed) < 8:
        return None
    try:
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
