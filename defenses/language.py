"""Which language a piece of code is in: by tag, by file name, then by its content.

Content only ever says `python` with certainty (it parses and does something only a program does)
or names a language by an unmistakable line; everything else stays unknown, which is reported as
unchecked, never as safe.
"""

import ast
import re
import textwrap
import warnings
from pathlib import PurePosixPath

_NAMES = {
    "python": "python py python3 py3 python2 pyi ipython ipython3 jupyter pycon pyw sage",
    "javascript": "javascript js jsx mjs cjs node nodejs ecmascript",
    "typescript": "typescript ts tsx mts cts",
    "bash": "bash sh shell zsh ksh fish console shell-session shellscript terminal cmd bat",
    "powershell": "powershell ps1 pwsh",
    "c": "c h",
    "cpp": "cpp c++ cxx cc hpp hxx",
    "csharp": "csharp c# cs",
    "java": "java",
    "kotlin": "kotlin kt kts",
    "go": "go golang",
    "rust": "rust rs",
    "ruby": "ruby rb",
    "php": "php php3 php8",
    "swift": "swift",
    "scala": "scala",
    "perl": "perl pl pm",
    "lua": "lua",
    "r": "r",
    "sql": "sql postgresql mysql sqlite plsql tsql",
    "html": "html htm xhtml vue svelte jinja jinja2 html+jinja django",
    "css": "css scss sass less",
    "dockerfile": "dockerfile docker containerfile",
    "terraform": "terraform tf hcl",
    "yaml": "yaml yml",
    "make": "make makefile mk",
    "diff": "diff patch udiff",
    "json": "json jsonc json5 ipynb ndjson jsonl",
    "toml": "toml",
    "ini": "ini cfg conf properties env dotenv",
    "xml": "xml svg",
    "csv": "csv tsv",
    "markdown": "markdown md mdx rst",
    "text": "text txt plaintext plain output log none ascii tree mermaid",
}
_CANONICAL = {alias: name for name, aliases in _NAMES.items() for alias in aliases.split()}
DATA = frozenset({"json", "toml", "ini", "xml", "csv", "markdown", "text", "css"})
"""Languages that hold no program: nothing in them waits for a checker."""
_STRICT = frozenset({"json", "csv", "css"})
"""Data whose own form is so near to code that only what is unmistakably Python overrules it."""

_UNMISTAKABLE = (
    (
        "bash",
        re.compile(
            r"^(?:#!.*\b(?:ba|z|k)?sh\b|\$ \w|[ \t]*(?:"
            r"(?:sudo|cd|ls|curl|wget|apt|apt-get|apk|dnf|yum|brew|pacman|pip3?|pipx|uvx?|poetry"
            r"|conda|npm|npx|yarn|pnpm|bunx?|cargo|gem|bundle|composer|git|gh|docker|podman|kubectl"
            r"|helm|terraform|ansible|aws|az|gcloud|systemctl|ssh|scp|rsync|chmod|chown|mkdir|rm|cp"
            r"|mv|tar|unzip|grep|sed|awk|openssl|crontab|nohup|bash|sh|zsh|pytest|dotnet|mvn)"
            r" [\w./~$\"'@-]|python3? (?:-|[\w/]+\.py)|node (?:-|[\w/]+\.[cm]?js)"
            r"|go (?:build|run|get|install|test|mod) |make (?:-|[\w-]+$)|export \w+="
            r"|source [\w./~-]+$|find [./~$]|kill -|echo [\"'$]|\w+=\S+ [a-z][\w-]+ [\w-]))",
            re.M,
        ),
    ),
    ("c", re.compile(r"^[ \t]*#include\s*[<\"]\w", re.M)),
    ("php", re.compile(r"<\?php")),
    ("go", re.compile(r"^package \w+\s*$", re.M)),
    (
        "java",
        re.compile(r"^ *(?:public|private) (?:static |final )*(?:class|void|int)\b", re.M),
    ),
    (
        "javascript",
        re.compile(
            r"^[ \t]*(?:const|let|var) \w+ =|=>|\brequire\(['\"]|^[ \t]*function \w+\(", re.M
        ),
    ),
    ("html", re.compile(r"<(?:!doctype|html|div|script|body)\b", re.I)),
    ("sql", re.compile(r"^[ \t]*(?:SELECT|INSERT INTO|UPDATE|CREATE TABLE|DELETE FROM)\b", re.M)),
)
_PYTHONIC = re.compile(
    r"^[ \t]*(?:(?:async )?def \w+\s*\(.*\).*:|class \w+.*:"
    r"|from [\w.]+ import \S|import \w[\w., ]*$"
    r"|(?:if|for|while|with|try|except|elif|else)\b.*:\s*(?:#.*)?$|@\w[\w.]*(?:\(.*\))?$|>>> )",
    re.M,
)
_PROGRAM = (
    ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef,
    ast.Call, ast.Assign, ast.AugAssign, ast.With, ast.For, ast.While,
)  # fmt: skip
_DEEDS = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.AsyncFunctionDef, ast.With, ast.For)
_LARGEST_GUESS = 200_000
_LARGEST_PARSE = 20_000
"""Characters of which the parser is asked; what is longer is judged by its lines too."""


def canonical(tag: str) -> str | None:
    """The canonical name for a fence's tag or a file suffix; None where it names no language."""
    return _CANONICAL.get(tag.lower().strip().lstrip("."))


def of_path(path: str) -> str | None:
    """The language that a file's name says."""
    name = PurePosixPath(path.replace("\\", "/")).name.lower()
    if name in ("dockerfile", "containerfile", "makefile"):
        return canonical(name)
    suffix = name.rpartition(".")[2] if "." in name else ""
    return canonical(suffix) if suffix else None


def of_content(code: str) -> str | None:
    """The language that the content shows beyond doubt, or None."""
    if len(code) > _LARGEST_GUESS:
        code = code[:_LARGEST_GUESS].rpartition("\n")[0]
    if parses_as_program(code) or (_PYTHONIC.search(code) and not _looks_other(code)):
        return "python"
    return next((name for name, sign in _UNMISTAKABLE if sign.search(code)), None)


def parses_as_program(code: str) -> bool:
    """Is it Python that does something, not a word or a number that happens to parse?"""
    tree = _parsed(code)
    return tree is not None and any(isinstance(node, _PROGRAM) for node in ast.walk(tree))


def only_python(code: str) -> bool:
    """Is it Python whatever it is called: it parses, and imports, defines or calls something?

    JSON, a style sheet and rows of values do not: they parse, if at all, as mere values.
    """
    tree = _parsed(code)
    if tree is None:
        return False
    return any(
        isinstance(step, _DEEDS)
        or isinstance(step, ast.Expr | ast.Assign | ast.AugAssign)
        and isinstance(getattr(step.value, "value", step.value), ast.Call)
        for step in tree.body
    )


def _parsed(code: str) -> ast.Module | None:
    if len(code) > _LARGEST_PARSE:
        code = code[:_LARGEST_PARSE].rpartition("\n")[0]
    code = code.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # odd escapes are the snippet's affair
            text = code.strip("\n").replace("\0", "").removeprefix("\ufeff")
            return ast.parse(textwrap.dedent(text) if text[:1] in (" ", "\t") else text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _looks_other(code: str) -> bool:
    return any(sign.search(code) for name, sign in _UNMISTAKABLE if name not in ("bash", "sql"))


def decide(code: str, *, tag: str = "", path: str | None = None) -> str | None:
    """Tag first, then file name, then content; a name for data yields to content that is Python."""
    named = canonical(tag) if tag else None
    named = named or (of_path(path) if path else None)
    if named is None or named in DATA - _STRICT:
        return of_content(code) or named
    if named in _STRICT and only_python(code):
        return "python"
    return named
