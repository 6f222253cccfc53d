"""A command line cut into commands and words, the way a POSIX shell reads it.

Quotes, here-documents, redirections and substitutions are followed; nothing is expanded but `\\`
and `$'...'`. Every character is looked at a bounded number of times. `shlex` knows neither
here-documents nor `$'...'`, hence a reader of our own.
"""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

_TOKEN = re.compile(
    r"""(?P<blank>(?:[ \t\r]|\\\r?\n)+) | (?P<newline>\n) | (?P<herestring><<<)
    | (?P<heredoc><<-?) | (?P<sub>\$\(|`|[<>]\() | (?P<redirect>\d?(?:[<>]&|>\||>>|>|<)|&>>?)
    | (?P<pipe>\|&?(?!\|)) | (?P<operator>&&|\|\||;;?|[&()])
    | (?P<ansi>\$'(?:[^'\\]++|\\.)*+') | (?P<single>'[^']*+') | (?P<double>") | (?P<escape>\\.)
    | (?P<bare>[^\s\\'"$`|&;()<>]+) | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_QUOTED = re.compile(
    r"(?P<end>\")|(?P<sub>\$\(|`)|\\(?P<escaped>[\\\"$`])|(?P<gap>\\\r?\n)|(?P<text>[^\"\\$`]+|.)",
    re.DOTALL,
)
_WITHIN = re.compile(
    r"""(?P<escape>\\.) | (?P<single>\$'(?:[^'\\]++|\\.)*+'|'[^']*+') | (?P<double>")
    | (?P<open>\$?\() | (?P<close>\)) | (?P<heredoc><<-?(?!<)) | (?P<newline>\n)
    | (?P<text>[^\\'"$()<\n]+|.)""",
    re.VERBOSE | re.DOTALL,
)
_DELIMITER = re.compile(r"[ \t]*((?:'[^'\n]*'|\"[^\"\n]*\"|\\.|[^\s'\"\\;|&<>()`])+)")
_ANSI = re.compile(r"\\(?:x([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "e": "\x1b",
}
_RESERVED = {
    **dict.fromkeys(("{", "do", "then"), True),
    **dict.fromkeys(("}", "done", "fi"), False),
    **dict.fromkeys(("if", "elif", "else", "while", "until", "!"), None),
}
"""Words that are no commands, and whether they begin or end a group of some."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word, unquoted."""

    text: str
    quoted: bool = False
    substitution: str = ""
    """The command whose output the word consists of, where it is nothing else."""


@dataclass(frozen=True, slots=True)
class Given:
    """Text that a command is given: a here-document or a here-string."""

    text: str
    line: int


@dataclass(slots=True)
class Command:
    """A simple command. One without words stands for the group that just ended."""

    words: list[Word] = field(default_factory=list)
    writes: list[tuple[str, bool]] = field(default_factory=list)
    """Files that its output goes to, and whether they grow by it."""
    given: list[Given] = field(default_factory=list)
    feeds: list[str] = field(default_factory=list)
    """Commands of `<(...)`: their output is read like a file."""
    piped: bool = False
    """Does the next command read its output?"""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a group of commands begins or ends."""

    opens: bool


@dataclass(slots=True)
class Script:
    """All that was read."""

    items: list[Command | Mark] = field(default_factory=list)
    substitutions: list[tuple[str, int]] = field(default_factory=list)
    """Commands within `$(...)`, backticks and `<(...)`, and the lines they start on, from 0."""


def read(text: str) -> Script:
    """Read a command line or a whole script; text that no shell accepts is read all the same."""
    return _Reader(text).read()


def unescaped(text: str) -> str:
    """Text with the escapes of `$'...'`, `printf` and `echo -e` resolved."""
    return _ANSI.sub(_resolved, text)


def _resolved(found: re.Match[str]) -> str:
    hexadecimal, unicode, octal, letter = found.groups()
    if hexadecimal or unicode:
        return chr(int(hexadecimal or unicode, 16))
    if octal:
        return chr(int(octal, 8))
    return _LETTERS.get(letter, letter if letter in "\\'\"?" else f"\\{letter}")


class _Lines:
    """Where lines of a certain text start: looked up, never searched for twice."""

    def __init__(self, text: str) -> None:
        self._exact: dict[str, list[int]] = defaultdict(list)
        self._loose: dict[str, list[int]] = defaultdict(list)
        start = 0
        self.starts: list[int] = []
        for line in text.split("\n"):
            self.starts.append(start)
            self._exact[line.removesuffix("\r")].append(start)
            self._loose[line.strip()].append(start)
            start += len(line) + 1

    def find(self, word: str, start: int, tabs: bool) -> int | None:
        """The first line from `start` on that ends a here-document."""
        for table in (self._loose, self._exact) if tabs else (self._exact, self._loose):
            places = table.get(word, [])
            at = bisect_left(places, start)
            if at < len(places):
                return places[at]
        return None

    def number(self, offset: int) -> int:
        return bisect_left(self.starts, offset + 1) - 1


@dataclass(slots=True)
class _Awaited:
    """A here-document whose body starts after the line."""

    word: str
    quoted: bool
    tabs: bool
    command: Command | None
    sure: bool


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = _Lines(text)
        self._script = Script()
        self._command = Command()
        self._parts: list[str] | None = None
        self._quoted = False
        self._substituted = ""
        self._target = ""  # the redirection whose file comes next
        self._awaited: list[_Awaited] = []
        self._broken = False  # a double quote that nothing closes: plain from there on

    def read(self) -> Script:
        at = 0
        while at < len(self._text):
            found = _TOKEN.match(self._text, at)
            assert found is not None  # `other` takes any character
            at = self._take(found.lastgroup or "", found.group(), found.end())
        self._end_command()
        return self._script

    def _take(self, kind: str, token: str, end: int) -> int:
        if kind == "bare" and token[0] == "#" and self._parts is None:
            return self._end_of_line(end)
        match kind:
            case "bare" | "other":
                self._add(token)
            case "single":
                self._add(token[1:-1], quoted=True)
            case "ansi":
                self._add(unescaped(token[2:-1]), quoted=True)
            case "escape":
                self._add(token[1:])
            case "double":
                return self._double(end)
            case "sub":
                return self._substitution(token, end)
            case "blank":
                self._end_word()
            case "heredoc":
                return self._announce(token, end)
            case "herestring" | "redirect":
                self._end_word()
                self._target = token
            case "newline":
                self._end_command()
                return self._bodies(end)
            case _:
                self._operate(kind, token)
        return end

    def _end_of_line(self, at: int) -> int:
        end = self._text.find("\n", at)
        return len(self._text) if end < 0 else end

    def _add(self, text: str, *, quoted: bool = False) -> None:
        self._substituted = ""
        if self._parts is None:
            self._parts = []
        self._parts.append(text)
        self._quoted = self._quoted or quoted

    def _operate(self, kind: str, token: str) -> None:
        self._end_word()
        if kind == "pipe":
            self._command.piped = True
        if token == "(":
            self._group(opens=True)
        elif token == ")":
            self._group(opens=False)
        else:
            self._end_command()

    def _group(self, *, opens: bool) -> None:
        self._end_command()
        self._script.items.append(Mark(opens))

    def _end_word(self) -> None:
        if self._parts is None:
            return
        word = Word("".join(self._parts), self._quoted, self._substituted)
        self._parts, self._quoted, self._substituted = None, False, ""
        target, self._target = self._target, ""
        if target == "<<<":
            self._command.given.append(Given(word.text + "\n", 0))
        elif "<" in target or target[:1].isdigit() and target[0] != "1":
            return
        elif target and not (target.endswith("&") and (word.text.isdigit() or word.text == "-")):
            self._command.writes.append((word.text, target.endswith(">>")))
        elif target:
            return
        elif word.text in _RESERVED and not self._command.words and not word.quoted:
            if (opens := _RESERVED[word.text]) is not None:
                self._group(opens=opens)
        else:
            self._command.words.append(word)

    def _end_command(self) -> None:
        self._end_word()
        self._target = ""
        done = self._command
        if done.words or done.writes or done.given or done.piped or self._awaited:
            self._script.items.append(done)
            self._command = Command()

    def _double(self, start: int) -> int:
        """A double-quoted part; where nothing closes the quote it is a character like any other."""
        if self._broken:
            self._add('"')
            return start
        parts: list[str] = []
        held: list[tuple[str, int]] = []
        at = start
        while found := _QUOTED.match(self._text, at):
            at = found.end()
            if found["end"]:
                self._script.substitutions += held
                self._add("".join(parts), quoted=True)
                if len(held) == 1 and len(parts) == 1 and parts[0].startswith("$("):
                    self._substituted = held[0][0]
                return at
            if found["sub"]:
                inner, stop = self._inside(found["sub"], at)
                held.append((inner, self._lines.number(at)))
                parts.append(f"$({inner})")
                at = stop
            elif not found["gap"]:
                parts.append(found["escaped"] or found["text"])
        self._broken = True
        self._add('"')
        return start

    def _substitution(self, token: str, start: int) -> int:
        inner, end = self._inside(token, start)
        self._script.substitutions.append((inner, self._lines.number(start)))
        alone = self._parts is None
        self._add(f"{token}{inner})" if token != "`" else f"$({inner})")
        if alone:
            self._substituted = inner
        if token[0] in "<>":
            self._command.feeds.append(inner)
        return end

    def _inside(self, token: str, start: int) -> tuple[str, int]:
        """What stands between the marks of a substitution, and where reading goes on."""
        if token == "`":
            end = re.compile(r"(?:[^`\\]++|\\.)*+", re.DOTALL).match(self._text, start)
            stop = end.end() if end else len(self._text)
            return re.sub(r"\\([\\`$])", r"\1", self._text[start:stop]), stop + 1
        stop = self._closing(start, len(self._text))
        return self._text[start:stop], stop + 1

    def _closing(self, at: int, limit: int) -> int:
        """The bracket that closes a substitution; brackets in quotes and here-documents do not."""
        open_marks = ["("]
        awaited: list[tuple[str, bool]] = []
        while at < limit:
            found = _WITHIN.match(self._text, at, limit)
            assert found is not None  # `text` takes any character
            kind, token, at = found.lastgroup, found.group(), found.end()
            inside_quotes = open_marks[-1] == '"'
            if kind == "double":
                open_marks.pop() if inside_quotes else open_marks.append('"')
            elif kind == "single" and inside_quotes:
                at = found.start() + (2 if token[0] == "$" else 1)
            elif kind == "open" and (not inside_quotes or token[0] == "$"):
                open_marks.append("(")
            elif kind == "close" and not inside_quotes:
                open_marks.pop()
                if not open_marks:
                    return found.start()
            elif kind == "heredoc" and (word := _DELIMITER.match(self._text, at)):
                awaited.append((_plain(word[1]), token.endswith("-")))
                at = word.end()
            elif kind == "newline" and awaited:
                for name, tabs in awaited:
                    place = self._lines.find(name, at, tabs)
                    at = at if place is None else self._end_of_line(place)
                awaited = []
        return limit

    def _announce(self, token: str, start: int) -> int:
        word = _DELIMITER.match(self._text, start)
        if word is None:
            self._end_word()
            return start
        if self._parts is not None and not "".join(self._parts).isdigit():
            self._end_word()
        self._parts = None
        name = _plain(word[1])
        sure = name[:1].isalpha() or name[:1] == "_"
        self._awaited.append(
            _Awaited(name, name != word[1], token.endswith("-"), self._command, sure)
        )
        return word.end()

    def _bodies(self, at: int) -> int:
        """Give the here-documents that were announced on the line to their commands."""
        awaited, self._awaited = self._awaited, []
        for item in awaited:
            end = self._lines.find(item.word, at, item.tabs)
            if end is None and not item.sure:
                continue
            stop = len(self._text) if end is None else end
            body = self._text[at:stop]
            if not item.quoted:
                self._script.substitutions += list(self._within_body(body, at))
                body = re.sub(r"\\([\\$`])", r"\1", body)
            if item.tabs:
                body = re.sub(r"^\t+", "", body, flags=re.MULTILINE)
            if item.command is not None:
                item.command.given.append(Given(body, self._lines.number(at)))
            at = (
                len(self._text)
                if end is None
                else min(self._end_of_line(stop) + 1, len(self._text))
            )
        return at

    def _within_body(self, body: str, start: int) -> Iterator[tuple[str, int]]:
        at = 0
        while (found := body.find("$(", at)) >= 0:
            stop = self._closing(start + found + 2, start + len(body))
            yield self._text[start + found + 2 : stop], self._lines.number(start + found)
            at = stop - start + 1


def _plain(delimiter: str) -> str:
    return re.sub(r"\\(.)|['\"]", lambda found: found[1] or "", delimiter)
