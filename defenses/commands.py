"""Programs that a shell command carries: inline, in here-documents, piped, echoed into files.

A command's text is followed from the words that write it to what reads it: an interpreter, a file,
the next command. What a program prints is not known here, and no variable is expanded beyond one
that the same command sets.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bluecode.defenses import interpreters, shell_words
from bluecode.defenses.patches import is_patch, path_in
from bluecode.defenses.pieces import Piece, stands_alone
from bluecode.defenses.shell_words import Command, Given, Mark, Word

_MENTIONS = frozenset(
    "echo printf grep egrep fgrep rg ag which type whereis man apt apt-get brew yum dnf pip pip3"
    " npm git ls cat cd rm cp mv mkdir chmod chown touch tee pkill pgrep killall whatis".split()
)
"""Commands that may name an interpreter without running it."""
_LEADS = frozenset("sudo doas env command builtin exec time nohup stdbuf nice".split())
_WITH_ARGUMENT = frozenset({"-u", "-g", "-C", "-n", "-S"})
"""Options of the leads that take the next word with them."""
_RUNNERS = frozenset(
    "ssh watch su trap parallel tmux screen script flock at wsl cmd cmd.exe".split()
)
"""Commands that hand a word of theirs to a shell."""
_WRITERS = frozenset({"set-content", "add-content", "out-file"})
_ASSIGNS = re.compile(r"(\w{1,100})\+?=(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{(\w{1,100})\}|(\w{1,100}))")
_SPEC = re.compile(r"%(?:%|[-+ #0]*\d*(?:\.\d+)?([bdiouxXsqcfeg]))")
_LARGEST_FORMAT = 200_000
_PROMPT = re.compile(r"^\$ ", re.MULTILINE)


@dataclass(slots=True)
class _Text:
    """What a command prints, where that is known."""

    text: str
    line: int = 0


@dataclass(slots=True)
class _Reading:
    """The state of one command line."""

    piece: Piece
    variables: dict[str, str] = field(default_factory=dict)
    files: dict[str, _Text] = field(default_factory=dict)
    found: list[Piece] = field(default_factory=list)

    def add(self, text: str, *, line: int = 0, **known: str) -> None:
        first = self.piece.first_line + line
        self.found.append(
            self.piece.inner(text, first_line=first, origin="shell", path=None, **known)
        )

    def write(self, path: str, content: _Text, grows: bool) -> None:
        before = self.files.pop(path, None)
        if before is not None and grows:
            content = _Text(before.text + content.text, before.line)
        elif before is not None:
            self._flush(path, before)
        self.files[path] = content

    def flush(self) -> None:
        for path, content in self.files.items():
            self._flush(path, content)

    def _flush(self, path: str, content: _Text) -> None:
        piece = self.piece.inner(
            content.text, path=path, origin="shell", first_line=self.piece.first_line + content.line
        )
        self.found.append(piece)


def programs(piece: Piece) -> list[Piece]:
    """What a command line carries, in the order of its appearance."""
    text = _PROMPT.sub("", piece.text) if piece.text.lstrip().startswith("$ ") else piece.text
    script = shell_words.read(text)
    reading = _Reading(piece)
    for inner, line in script.substitutions:
        if " " in inner or "\n" in inner:  # what is arithmetic carries nothing
            reading.add(inner, line=line, form="carried")
    _follow(reading, script.items)
    reading.flush()
    if stands_alone(text):
        reading.add(text, tag="python")
    placed = {item.text.strip() for item in reading.found if item.path}
    return [item for item in reading.found if item.path or item.text.strip() not in placed]


def _follow(reading: _Reading, items: Sequence[Command | Mark]) -> None:
    """Carry each command's text on to what reads it."""
    groups: list[list[_Text]] = [[]]
    flowing: _Text | None = None
    for item in items:
        if isinstance(item, Mark):
            if item.opens:
                groups.append([])
            else:
                done = groups.pop() if len(groups) > 1 else groups[0]
                flowing = _joined(done)
            continue
        said = _run(reading, item, flowing)
        flowing = said if item.piped else None
        if said is not None and not item.piped and not item.writes:
            groups[-1].append(said)


def _joined(texts: list[_Text]) -> _Text | None:
    return _Text("".join(item.text for item in texts), texts[0].line) if texts else None


def _run(reading: _Reading, command: Command, flowing: _Text | None) -> _Text | None:
    """Note what one command is given to run or to write; what it prints, where known."""
    given = _given(command.given)
    words = _bare(reading, command.words)
    source = given or flowing
    name = words[0].text.rpartition("/")[2].lower() if words else ""
    taken = _interpreted(reading, command, words, name, source)
    _whole_words(reading, words)
    said = None if taken else _printed(words, name, source)
    if said is None:
        return None
    targets = [*command.writes, *_named_targets(words, name)]
    for path, grows in targets:
        if path != "/dev/null":
            reading.write(_filled(reading, path), said, grows)
    sunk = bool(targets) or command.piped
    if given is not None and not sunk and (stands_alone(said.text) or _is_patch(said.text)):
        reading.add(said.text, line=said.line)
    return said


def _is_patch(text: str) -> bool:
    return is_patch(Piece(text=text))


def _given(given: Sequence[Given]) -> _Text | None:
    return _Text(given[-1].text, given[-1].line) if given else None


def _bare(reading: _Reading, words: Sequence[Word]) -> list[Word]:
    """The words from the command's name on; what is assigned before it is kept."""
    at = 0
    while at < len(words):
        word = words[at]
        assigned = _ASSIGNS.fullmatch(word.text)
        if assigned:
            reading.variables[assigned[1]] = assigned[2]
            if word.quoted and stands_alone(assigned[2]):
                reading.add(assigned[2], tag="python")
        elif word.text not in _LEADS and word.text not in (
            "export",
            "local",
            "readonly",
            "declare",
        ):
            break
        at += 1
        while word.text in _LEADS and at < len(words) and words[at].text.startswith("-"):
            at += 2 if words[at].text in _WITH_ARGUMENT else 1
    return list(words[at:])


def _interpreted(
    reading: _Reading, command: Command, words: list[Word], name: str, source: _Text | None
) -> bool:
    """Does the command run code that it is given? Then that is noted."""
    if name == "eval":
        reading.add(" ".join(word.text for word in words[1:]), form="command")
        return True
    if name in _RUNNERS:
        for word in words[1:]:
            if word.quoted and " " in word.text:
                reading.add(word.text, form="command")
    if name in _MENTIONS:
        return False
    for at, word in enumerate(words[:40]):
        spoken = interpreters.family(word.text)
        if spoken is None:
            continue
        program = interpreters.program(spoken, words[at + 1 :])
        for code in program.codes:
            _note_code(reading, spoken, code)
        for feed in command.feeds:
            reading.add(f"{feed} | {word.text}", form="carried")
        if program.reads or (name == "xargs" and not program.codes):
            if source is not None:
                _note_input(reading, spoken, source)
            return True
        if program.codes:
            return True
    return name == "xargs"


def _note_code(reading: _Reading, spoken: str, code: Word) -> None:
    if code.substitution:
        reading.add(f"{code.substitution} | {spoken}", form="carried")
    elif text := _filled(reading, code.text):
        _note_input(reading, spoken, _Text(text))


def _note_input(reading: _Reading, spoken: str, source: _Text) -> None:
    form = "command" if spoken == "bash" else "any"
    reading.add(source.text, line=source.line, tag=spoken, form=form)


def _filled(reading: _Reading, text: str) -> str:
    """A word that is one variable, as the same command line sets it."""
    found = _VARIABLE.fullmatch(text)
    return reading.variables.get(found[1] or found[2], text) if found else text


def _whole_words(reading: _Reading, words: Sequence[Word]) -> None:
    """Quoted words that are programs by themselves, whoever may run them later."""
    for word in words:
        if word.quoted and not word.substitution and stands_alone(word.text):
            reading.add(word.text, tag="python")


def _printed(words: list[Word], name: str, source: _Text | None) -> _Text | None:
    if name == "echo":
        return _echoed(words[1:])
    if name == "printf" and len(words) > 1:
        return _Text(_formatted(words[1].text, [word.text for word in words[2:]]))
    if name in _WRITERS:
        texts = [word.text for word in words[1:] if word.quoted and path_in(word.text) is None]
        return _Text(texts[0]) if texts else source
    if len(words) == 1 and words[0].quoted and "\n" in words[0].text:  # a PowerShell here-string
        return _Text(words[0].text.removeprefix("@").removesuffix("@").lstrip("\r\n"))
    if source is None:
        return None
    options = " ".join(word.text for word in words[1:6])
    if name == "base64" or (name == "openssl" and "base64" in options):
        return _unpacked(source) if re.search(r"-d\b|-D\b|--dec", options) else None
    if name == "xxd":
        return _from_hex(source)
    if name == "rev":
        return _Text("\n".join(line[::-1] for line in source.text.split("\n")), source.line)
    return source


def _echoed(words: Sequence[Word]) -> _Text:
    at = 0
    while at < len(words) and re.fullmatch(r"-[neE]+", words[at].text):
        at += 1
    text = " ".join(word.text for word in words[at:])
    escaped = any("e" in word.text for word in words[:at])
    if escaped or ("\\n" in text and not stands_alone(text)):
        text = shell_words.unescaped(text)
    return _Text(text + "\n")


def _formatted(pattern: str, arguments: Sequence[str]) -> str:
    """What `printf` prints, as far as strings go."""
    pattern = shell_words.unescaped(pattern)
    count = len(_SPEC.findall(pattern.replace("%%", "")))
    if not count or not arguments:
        return pattern.replace("%%", "%")
    rounds = -(-len(arguments) // count)
    if rounds * len(pattern) > _LARGEST_FORMAT:
        return "\n".join(arguments) + "\n"
    left = iter(arguments)

    def fill(found: re.Match[str]) -> str:
        if not found[1]:
            return "%"
        text = next(left, "")
        return shell_words.unescaped(text) if found[1] == "b" else text

    return "".join(_SPEC.sub(fill, pattern) for _ in range(rounds))


def _named_targets(words: Sequence[Word], name: str) -> Iterator[tuple[str, bool]]:
    """Files that a command writes by their names among its words."""
    texts = [word.text for word in words[1:]]
    if "tee" in texts[:12] and name not in _MENTIONS:  # `docker exec -i box tee a.py`
        name, texts = "tee", texts[texts.index("tee") + 1 :]
    if name in ("tee", "sponge"):
        grows = any(text in ("-a", "--append") for text in texts)
        yield from ((text, grows) for text in texts if text and not text.startswith("-"))
    elif name == "dd":
        yield from ((text[3:], False) for text in texts if text.startswith("of="))
    elif name in _WRITERS:
        place = next((text for text in texts if path_in(text)), None)
        if place:
            yield place, name == "add-content"
    elif name in ("cp", "install", "mv") and any(text.startswith("/dev/") for text in texts):
        yield texts[-1], False


def _unpacked(source: _Text) -> _Text | None:
    raw = interpreters.decoded(source.text)
    try:
        return _Text(raw.decode("utf-8"), source.line) if raw else None
    except UnicodeDecodeError:
        return None


def _from_hex(source: _Text) -> _Text | None:
    try:
        return _Text(bytes.fromhex(source.text).decode("utf-8"), source.line)
    except ValueError:
        return None
