"""Text that another interpreter reads: shells, Python itself, templates, regular expressions."""

import ast
import re
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers import python_scores as scores
from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_regex import explodes
from bluecode.defenses.checkers.python_state import Call, Run
from bluecode.defenses.checkers.python_values import Level, Tag, Value, all_tags, is_constant

_SHELLS = frozenset("sh bash zsh dash ksh cmd cmd.exe powershell pwsh".split())
_COMMAND = re.compile(r"^\s*[\w./~-]+\s")
_STRONG = frozenset(
    "cmd command commands shell ssh cli popen sudo sh system exec subprocess".split()
)
_WEAK = frozenset("run exec execute call output getoutput check spawn remote".split())
_HARMLESS = frozenset(
    "print format join info debug warning error exception log append write write_line "
    "warn critical add_argument echo Command match search replace startswith endswith split".split()
)
_NO_COMMAND = re.compile(
    r"\s*(?:select\s|insert\s+into|delete\s+from|update\s+\S+\s+set|pragma\s|describe\s|merge\s+into|"
    r"(?:drop|create|alter|truncate|show|comment)\s+(?:or\s+replace\s+)?(?:table|database|user|view|"
    r"schema|role|login|index|materialized|sequence|session|function|trigger|type|create|variables)|"
    r"(?:purge|grant|revoke|use|begin|set)\s|def\s|class\s|import\s|from\s|lambda\b)",
    re.I,
)
"""Text that SQL or Python runs, not a shell."""
_KNOWN_COMMANDS = frozenset(
    "ls cat rm cp mv mkdir chmod chown ping curl wget git tar zip unzip ffmpeg convert grep find "
    "echo kill ps docker kubectl ssh scp rsync nslookup dig host whois nmap systemctl service "
    "iptables ip ifconfig mount umount touch sed awk python pip npm node make gcc adb sudo apt "
    "apt-get yum useradd userdel passwd openssl mysql mysqldump psql pg_dump sqlite3 gzip".split()
)


def live(call: Call, value: Value | None, danger: str) -> list[Tag]:
    """Tags of the value that still are dangerous at the call."""
    return [] if value is None else call.state.live(all_tags(value), danger)


def unexplained(value: Value | None) -> bool:
    """Whether nothing at all is known of a value: it comes out of code that nobody sees."""
    return (
        value is not None
        and not is_constant(value)
        and not value.marks
        and not all_tags(value)
        and not value.parts
        and not value.code
        and value.name.endswith(("()", "[]"))
    )


def report(run: Run, call: Call, rule: str, profile: scores.Profile, tags: list[Tag]) -> None:
    """Claim the rule where the profile says that it is worth saying."""
    found = scores.score(profile, tags)
    told = run.frame.told and profile is not scores.PATTERN  # a search for patterns is for that
    if told and tags and tags[0].level is Level.PARAMETER:
        found = max(found, min(scores.TOLD, profile[Level.REQUEST]))
    if found >= scores.WORTH_SAYING:
        run.claim(rule, call.node, found, tags[0].level)


def _spoken(run: Run, call: Call, command: Value | None) -> None:
    """A text that a shell reads."""
    tags = live(call, command, "shell")
    report(run, call, "command_injection", scores.SHELL, tags)
    undone = [] if tags or command is None else _quoted_twice(call, command)
    if undone:
        weight = min(0.72, scores.score(scores.SHELL, undone))
        run.claim("command_injection", call.node, weight, undone[0].level)


def _quoted_twice(call: Call, command: Value) -> list[Tag]:
    """What was quoted for a shell and then put between quotation marks: `'` + `'a; b'` + `'` ends
    where the text begins, and `"` keeps single ones from meaning anything."""
    mark = ""
    found: list[Tag] = []
    for part in command.parts:
        if isinstance(part, str):
            mark = _open_mark(part, mark)
        elif mark:
            found += [tag for tag in part if "shell" in tag.cleared and "html" not in tag.cleared]
    again = frozenset(tag._replace(cleared=tag.cleared - {"shell"}) for tag in found)
    return call.state.live(again, "shell")


def _open_mark(text: str, mark: str) -> str:
    """The quotation mark that is open behind the text, where `mark` was in front of it."""
    for letter in text:
        if not mark and letter in "'\"":
            mark = letter
        elif letter == mark:
            mark = ""
    return mark


def _shell(run: Run, call: Call) -> None:
    """Functions whose first argument goes to a shell."""
    _spoken(run, call, call.argument(0, "cmd") or call.argument(0, "command"))


def _shell_method(run: Run, call: Call) -> None:
    """`client.exec_command(text)` and its like: the other side's shell."""
    command = call.argument(0, "command")
    if command is not None and command.items is None:
        _spoken(run, call, command)


def _process(run: Run, call: Call) -> None:
    """`subprocess`: with a shell the text counts, without one the program does."""
    command = call.argument(0, "args")
    if command is None:
        return
    shell = call.keyword("shell")
    if shell is not None and not (is_constant(shell) and not shell.const):
        _spoken(run, call, command.items[0] if command.items else command)
    elif command.items:
        _program(run, call, command.items)
    else:
        tags = live(call, command, "shell")
        report(run, call, "argument_injection", scores.ARGUMENTS, tags)


def _program(run: Run, call: Call, items: tuple[Value, ...]) -> None:
    first = items[0].literal
    name = "" if first is None else first.rpartition("/")[2]
    if name in _SHELLS and len(items) > 2 and (items[1].literal or "").lower().endswith("c"):
        _spoken(run, call, items[2])
    elif first is None:
        tags = [tag for tag in live(call, items[0], "shell") if tag.level is Level.REQUEST]
        report(run, call, "argument_injection", scores.ARGUMENTS, tags)
    elif name in _TAKES_COMMANDS:
        _option(run, call, items)


def _option(run: Run, call: Call, items: tuple[Value, ...]) -> None:
    """A client's text where an option may stand, for programs whose options run commands."""
    for item in items[1:]:
        if item.literal == "--":
            return
        if item.parts and isinstance(item.parts[0], str):
            continue
        sent = [tag for tag in live(call, item, "shell") if tag.level is Level.REQUEST]
        if sent and call.state.live(all_tags(item), "option"):
            run.claim("argument_injection", call.node, 0.55, Level.REQUEST)
            return


_TAKES_COMMANDS = frozenset(
    "git hg svn tar curl wget ssh scp rsync find zip sendmail man sort awk gawk sed ffmpeg "
    "convert tcpdump psql mysql docker kubectl pip npm".split()
)


def _replaced_process(run: Run, call: Call) -> None:
    """`os.execl(path, …)`, `os.spawnl(mode, path, …)`: which program runs."""
    index = 1 if "spawn" in call.last else 0
    program = call.argument(index)
    tags = [tag for tag in live(call, program, "shell") if tag.level >= Level.INPUT]
    report(run, call, "argument_injection", scores.SHELL, tags)


def run_by_name(run: Run, call: Call) -> None:
    """A function that by its name runs commands gets a command glued together as text."""
    if not call.args or not call.args[0].composed or call.callee.code is not None:
        return
    if call.last in _HARMLESS or call.name in CALLS or call.last in METHODS:
        return
    found = words(call.last)
    if not found & (_STRONG | _WEAK):
        return
    command = call.args[0]
    if call.last[:1].isupper() or not _is_command(call, command, found):
        return
    tags = live(call, command, "shell")
    level = max((tag.level for tag in tags), default=Level.NONE)
    if level is not Level.NONE:
        weight = {Level.REQUEST: 0.8, Level.PARAMETER: 0.62}.get(level, 0.52)
        run.claim("command_injection", call.node, weight, level)


def _is_command(call: Call, command: Value, found: frozenset[str]) -> bool:
    """Whether text glued together reads as a command, or is called one."""
    if not command.composed:
        return False
    named = _called_command(call.node.args[0])
    lead = command.parts[0]
    if not isinstance(lead, str) or not _COMMAND.match(lead):
        return named and any(isinstance(part, str) and " " in part for part in command.parts)
    program = lead.split()[0].rpartition("/")[2]
    if "sql" in found or _NO_COMMAND.match(lead):
        return False
    return bool(found & _STRONG) or named or program in _KNOWN_COMMANDS


def _called_command(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and bool(words(node.id) & {"cmd", "command"})


def _evaluated(run: Run, call: Call) -> None:
    code = call.argument(0, "source")
    tags = live(call, code, "code")
    report(run, call, "code_injection", scores.CODE, tags)
    if unexplained(code):
        run.claim("code_injection", call.node, 0.5, Level.UNKNOWN)


def _imported(run: Run, call: Call) -> None:
    tags = [tag for tag in live(call, call.argument(0), "name") if tag.level is Level.REQUEST]
    report(run, call, "dynamic_import", scores.ONLY_REQUESTS, tags)


def _environment_template(run: Run, call: Call) -> None:
    """`environment.from_string(text)`; other classes have a method of that name too."""
    if words(call.receiver.name) & {"env", "environment", "jinja", "jinja2", "engine", "engines"}:
        _template(run, call)


def _template(run: Run, call: Call) -> None:
    source = call.argument(0, "source") or call.argument(0, "text")
    if source is None or "string.Template" in call.name:
        return
    report(run, call, "template_injection", scores.TEMPLATE, live(call, source, "template"))


def _formatted(run: Run, call: Call) -> None:
    """`template.format(object)` where a client wrote the template."""
    if not call.values or is_constant(call.receiver) or "()" in call.name:
        return
    if any(isinstance(part, str) and "{" in part for part in call.receiver.parts):
        return
    tags = [
        tag for tag in call.state.live(call.receiver.tags, "template") if tag.level is Level.REQUEST
    ]
    if tags:
        run.claim("format_injection", call.node, 0.6, Level.REQUEST)


def _pattern(run: Run, call: Call) -> None:
    """A regular expression at work: who wrote it, and on what it runs."""
    held = call.receiver.field("pattern") if call.method else None
    if held is not None:
        pattern, subject = held, call.argument(1 if call.last == "sub" else 0, "string")
    elif call.name.startswith("re."):
        index = 2 if call.last in ("sub", "subn") else 1
        pattern, subject = call.argument(0, "pattern") or Value(), call.argument(index, "string")
    else:
        return
    literal = pattern.literal
    if literal is None:
        report(run, call, "regex_injection", scores.PATTERN, live(call, pattern, "regex"))
    elif explodes(literal):
        _slow(run, call, subject)


def _slow(run: Run, call: Call, subject: Value | None) -> None:
    tags = live(call, subject, "regex")
    level = max((tag.level for tag in tags), default=Level.NONE)
    weight = {Level.NONE: 0.0, Level.UNKNOWN: 0.5, Level.FIELD: 0.5, Level.REQUEST: 0.85}
    found = weight.get(level, 0.7)
    if found:
        run.claim("slow_regex", call.node, found, level)


def _compiled(run: Run, call: Call) -> None:
    pattern = call.argument(0, "pattern")
    if pattern is not None and pattern.literal is None:
        report(run, call, "regex_injection", scores.PATTERN, live(call, pattern, "regex"))


Look = Callable[[Run, Call], None]

CALLS: Mapping[str, Look] = {
    **dict.fromkeys(
        "os.system os.popen os.popen2 os.popen3 os.popen4 commands.getoutput "
        "commands.getstatusoutput subprocess.getoutput subprocess.getstatusoutput popen2.popen2 "
        "popen2.popen3 popen2.popen4 popen2.Popen3 popen2.Popen4 pty.spawn posix.system "
        "asyncio.create_subprocess_shell asyncio.subprocess.create_subprocess_shell "
        "pexpect.run pexpect.spawn fabric.api.run fabric.api.local fabric.api.sudo "
        "invoke.run plumbum.cmd.sh".split(),
        _shell,
    ),
    **dict.fromkeys(
        "subprocess.run subprocess.call subprocess.check_call subprocess.check_output "
        "subprocess.Popen asyncio.create_subprocess_exec".split(),
        _process,
    ),
    **dict.fromkeys(
        "os.execl os.execle os.execlp os.execlpe os.execv os.execve os.execvp os.execvpe "
        "os.spawnl os.spawnle os.spawnlp os.spawnlpe os.spawnv os.spawnve os.spawnvp "
        "os.spawnvpe os.startfile os.posix_spawn".split(),
        _replaced_process,
    ),
    **dict.fromkeys(
        "eval exec execfile builtins.eval builtins.exec pandas.eval numexpr.evaluate "
        "sympy.sympify sympy.parse_expr code.interact".split(),
        _evaluated,
    ),
    **dict.fromkeys("importlib.import_module __import__".split(), _imported),
    **dict.fromkeys(
        "flask.render_template_string render_template_string jinja2.Template Template "
        "mako.template.Template "
        "django.template.Template tornado.template.Template chameleon.PageTemplate "
        "bottle.template".split(),
        _template,
    ),
    **dict.fromkeys(
        "re.match re.search re.fullmatch re.findall re.finditer re.sub re.subn re.split".split(),
        _pattern,
    ),
    "re.compile": _compiled,
}
METHODS: Mapping[str, Look] = {
    **dict.fromkeys("exec_command getoutput getstatusoutput".split(), _shell_method),
    "from_string": _environment_template,
    "format": _formatted,
    **dict.fromkeys("runsource runcode".split(), _evaluated),
    **dict.fromkeys("match search fullmatch findall finditer sub".split(), _pattern),
}
