"""Code inside of files that no rules are for: commands in a Dockerfile, a Makefile, a workflow or a
pipeline, scripts in a page, and what a line of PowerShell or SQL says plainly.

Such a file stays unchecked as a whole, and is reported so; what is found in its parts is told.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

_LARGEST = 200_000
"""Characters of such a file that are looked through."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Code of another language inside of a file."""

    language: str
    code: str
    before: int
    """Lines of the file above it."""


@dataclass(frozen=True, slots=True)
class Plain:
    """What a line says plainly."""

    rule: str
    expression: re.Pattern[str]
    score: float


def pieces(language: str, code: str) -> Iterator[Piece]:
    """The parts of a file that are code of a language with rules."""
    finder = _FINDERS.get(language)
    for piece in finder(code[:_LARGEST].split("\n")) if finder is not None else ():
        yield replace(piece, code=_EXPRESSION.sub("$expression", piece.code))


def said(language: str, code: str) -> Iterator[tuple[str, int, float]]:
    """Weaknesses that single lines say: the rule, the line, and how likely it is."""
    lines = code[:_LARGEST].split("\n")
    spoken = [Piece(language, code[:_LARGEST], 0)] if language != "yaml" else _yaml(lines)
    for piece in spoken:
        for number, line in enumerate(piece.code.split("\n"), start=piece.before + 1):
            found: dict[str, float] = {}
            for one in _SAID.get(language, ()):
                if one.expression.search(line[:_LINE]):
                    found[one.rule] = max(one.score, found.get(one.rule, 0.0))
            yield from ((rule, number, score) for rule, score in found.items())


_LINE = 1_000
"""Characters of a line that are looked at."""
_RUN = re.compile(r"^\s*RUN\s+(?:--\S+\s+)*(?!\[)", re.I)


def _dockerfile(lines: Sequence[str]) -> Iterator[Piece]:
    at = 0
    while at < len(lines):
        found = _RUN.match(lines[at])
        if found is None:
            at += 1
            continue
        first = at
        whole = [lines[at][found.end() :]]
        while at + 1 < len(lines) and whole[-1].rstrip().endswith("\\"):
            at += 1
            whole.append("" if lines[at].lstrip().startswith("#") else lines[at])
        yield Piece("bash", "\n".join(whole), first)
        at += 1


def _make(lines: Sequence[str]) -> Iterator[Piece]:
    for at, line in enumerate(lines):
        if line.startswith("\t") and line.strip():
            text = line.strip().lstrip("@-+")
            plain = re.sub(r"\$\((\w+)\)|\$\{(\w+)\}", r"\1\2", text).replace("$$", "$")
            yield Piece("bash", plain, at)


_COMMAND = re.compile(
    r"^(\s*)(?:-\s+)?(?:run|script|before_script|after_script|cmd|inline|entrypoint|command|args)"
    r":[ \t]*(.*)$"
)
_EXPRESSION = re.compile(r"\$\{\{[^}]*\}\}")


def _yaml(lines: Sequence[str]) -> Iterator[Piece]:
    at = 0
    while at < len(lines):
        found = _COMMAND.match(lines[at])
        at += 1
        if found is None:
            continue
        depth, rest = len(found.group(1)), found.group(2).strip()
        first = at - 1
        body = [rest]
        if rest[:1] in ("|", ">", "") and not rest.startswith("[") and len(rest) < 4:
            body = [""]
            while at < len(lines) and (not lines[at].strip() or _indent(lines[at]) > depth):
                body.append(re.sub(r"^\s*-\s+", "", lines[at]).strip().strip("\"'"))
                at += 1
        elif rest.startswith(("[", "{", "&", "*")):
            continue
        yield Piece("bash", "\n".join(body).strip("\"'"), first)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


_SCRIPT = re.compile(
    r"<script(?![^>]*\bsrc=)(?![^>]*\btype=['\"](?!module|text/javascript))[^>]*>", re.I
)


def _page(lines: Sequence[str]) -> Iterator[Piece]:
    text = "\n".join(lines)
    for found in _SCRIPT.finditer(text):
        end = text.find("</script", found.end())
        body = text[found.end() : end if end >= 0 else len(text)]
        if body.strip():
            yield Piece("javascript", body, text.count("\n", 0, found.end()))


_FINDERS = {"dockerfile": _dockerfile, "make": _make, "yaml": _yaml, "html": _page}


def _plain(rule: str, expression: str, score: float) -> Plain:
    return Plain(rule, re.compile(expression, re.I), score)


_FETCH = r"(?:DownloadString|DownloadData|Invoke-WebRequest|Invoke-RestMethod|\biwr\b|\birm\b|curl)"
_SAID: Mapping[str, Sequence[Plain]] = {
    "powershell": (
        _plain("remote_code", rf"(?:\biex\b|Invoke-Expression).{{0,200}}{_FETCH}.{{0,80}}"
               r"(?:http://|https?://\d+\.\d+\.\d+)", 0.88),
        _plain("remote_code", rf"{_FETCH}.{{0,200}}(?:http://|https?://\d+\.\d+\.\d+).{{0,200}}\|\s*"
               r"(?:iex\b|Invoke-Expression)", 0.88),
        _plain("remote_code", rf"(?:\biex\b|Invoke-Expression).{{0,200}}{_FETCH}|"
               rf"{_FETCH}.{{0,200}}\|\s*(?:iex\b|Invoke-Expression)", 0.7),
        _plain("obfuscated_command", r"FromBase64String.{0,200}(?:iex|Invoke-Expression|::Load\()|"
               r"(?:iex|Invoke-Expression|::Load\().{0,200}FromBase64String|"
               r"-e(?:nc|ncodedcommand)\s+[A-Za-z0-9+/=]{20}", 0.86),
        _plain("destructive_command", r"Remove-Item\b(?=.{0,200}-Recurse)(?=.{0,200}(?:[\s'\"]"
               r"[A-Z]:\\(?:\*|Windows|Users|Program Files)?['\"\s\\]*(?:$|\s)|"
               r"\$env:(?:USERPROFILE|SystemRoot|windir|SystemDrive)\b['\"\\]*(?:\s|$)))", 0.88),
        _plain("destructive_command", r"\b(?:Format-Volume|Clear-Disk|Initialize-Disk)\b|"
               r"vssadmin\s+delete\s+shadows|Remove-ADUser\b.{0,80}-Confirm:\$false", 0.8),
        _plain("privilege", r"Set-MpPreference\b.{0,120}-Disable\w+\s+(?:\$true|1)|"
               r"Set-NetFirewallProfile\b.{0,120}-Enabled\s+False|Add-MpPreference\b.{0,80}"
               r"-ExclusionPath\s+['\"]?[A-Z]:\\['\"]?\s*$", 0.82),
        _plain("hidden_tracks", r"\bClear-EventLog\b|wevtutil\s+cl\b|Remove-Item\b.{0,120}"
               r"ConsoleHost_history", 0.8),
        _plain("persistence", r"(?:Set|New)-ItemProperty\b.{0,200}\\CurrentVersion\\Run\b|"
               r"Register-ScheduledTask\b.{0,200}-AtLogOn", 0.7),
        _plain("code_injection", r"(?:\biex|Invoke-Expression)\s+(?:-Command\s+)?[\"']?\$\w+",
               0.55),
        _plain("tls_off", r"ServerCertificateValidationCallback\s*=\s*\{\s*\$true|"
               r"-SkipCertificateCheck\b", 0.6),
    ),
    "sql": (
        _plain("sql_injection", r"\bexec(?:ute)?\s*(?:\(|immediate\b)[^;]{0,200}(?:\+|\|\|)\s*"
               r"@?\w+", 0.6),
        _plain("privilege", r"\bxp_cmdshell\b.{0,40}[,;]?\s*1\b|\bgrant\s+all\b.{0,80}'%'", 0.6),
    ),
    "yaml": (
        _plain("command_injection", r"\$\{\{\s*github\.(?:event\.(?:issue|pull_request|comment|"
               r"review|discussion|head_commit|commits)[\w.\[\]]*\.(?:title|body|message|ref|label|"
               r"name|email)|head_ref)\s*\}\}", 0.55),
    ),
}  # fmt: skip
"""For each language what a line says; an expression in a workflow counts in its commands only."""
