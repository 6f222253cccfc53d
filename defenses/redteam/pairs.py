"""Vulnerability pairs: a scenario, a weakness and a security policy become two twins.

Bodies come from `weaknesses_python.toml` and `weaknesses_javascript.toml`, the way in which data
reaches them from a table of shells here. Whether a twin is what it claims to be is not believed but
tried: `verify` runs both in the sandbox under the attacks of the dynamic checker. A pair that these
do not tell apart is thrown away.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any, Final

from bluecode.defenses.checkers.dynamic import LIMITS, Runs
from bluecode.defenses.checkers.effects import Effect
from bluecode.defenses.checkers.javascript_dynamic import job_of as javascript_job
from bluecode.defenses.checkers.observations import read
from bluecode.defenses.checkers.probes import KINDS, token_of
from bluecode.defenses.checkers.probes import job_of as python_job
from bluecode.defenses.checkers.proof import Run, prove
from bluecode.defenses.checkers.trials import trials
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, Evidence, Finding
from bluecode.sandbox.languages.language import Program

NAME = "pairs"
LANGUAGES: Final = ("python", "javascript", "typescript")

_SHELLS: Final[Mapping[str, Mapping[str, str]]] = {
    "python": {
        "function": "def FN(ARG):\n{body}\n",
        "method": "class Service:\n    def FN(self, ARG):\n{deeper}\n",
        "flask": "from flask import Flask, request\n\napp = Flask(__name__)\n\n\n"
        '@app.route("/FN")\ndef FN():\n    ARG = request.args.get("ARG", "")\n{body}\n'
        '    return "done"\n',
        "flask_json": "from flask import Flask, request\n\napp = Flask(__name__)\n\n\n"
        '@app.post("/FN")\ndef FN():\n    ARG = request.get_json()["ARG"]\n{body}\n',
        "flask_upload": "from flask import Flask, request\n\napp = Flask(__name__)\n\n\n"
        '@app.post("/FN")\ndef FN():\n    ARG = request.files["ARG"]\n{body}\n'
        '    return "stored"\n',
        "flask_redirect": "from flask import Flask, redirect, request\n\n"
        "app = Flask(__name__)\n\n\n"
        '@app.route("/FN")\ndef FN():\n    ARG = request.args["ARG"]\n{body}\n',
        "flask_cookie": "from flask import Flask, make_response, request\n\n"
        'app = Flask(__name__)\n\n\n@app.post("/FN")\ndef FN():\n    ARG = request.form["ARG"]\n'
        '    answer = make_response("welcome")\n{body}\n    return answer\n',
        "django": "from django.http import HttpResponse\n\n\ndef FN(request):\n"
        '    ARG = request.GET["ARG"]\n{body}\n    return HttpResponse("done")\n',
        "django_page": "from django.http import HttpResponse\n\n\ndef FN(request):\n"
        '    ARG = request.GET.get("ARG", "")\n{body}\n',
        "django_redirect": "from django.http import HttpResponseRedirect\n\n\ndef FN(request):\n"
        '    ARG = request.GET["ARG"]\n{body}\n',
        "fastapi": "from fastapi import FastAPI\n\napp = FastAPI()\n\n\n"
        '@app.get("/FN")\ndef FN(ARG: str):\n{body}\n',
        "fastapi_page": "from fastapi import FastAPI\n"
        "from fastapi.responses import HTMLResponse\n\n"
        'app = FastAPI()\n\n\n@app.get("/FN", response_class=HTMLResponse)\ndef FN(ARG: str):\n'
        "{body}\n",
        "http_server": "\n\nclass Handler(BaseHTTPRequestHandler):\n    def do_GET(self):\n"
        '        ARG = self.headers["X-ARG"]\n'
        "        self.send_response(200)\n{deeper}\n        self.end_headers()\n",
    },
    "javascript": {
        "function": "function FN(ARG) {\n{body}\n}\nmodule.exports = { FN }\n",
        "function_async": "async function FN(ARG) {\n{body}\n}\nmodule.exports = { FN }\n",
        "express": "const app = require('express')()\n\napp.get('/FN', (req, res) => {\n"
        "  const ARG = req.query.ARG\n{body}\n})\n",
        "express_async": "const app = require('express')()\n\n"
        "app.get('/FN', async (req, res) => {\n"
        "  const ARG = req.query.ARG\n{body}\n})\n",
        "express_page": "const app = require('express')()\n\napp.get('/FN', (req, res) => {\n"
        "  const ARG = req.query.ARG\n{body}\n})\n",
        "express_header": "const app = require('express')()\n\napp.get('/FN', (req, res) => {\n"
        "  const ARG = req.query.ARG\n{body}\n  res.end('ok')\n})\n",
        "express_redirect": "const app = require('express')()\n\napp.get('/FN', (req, res) => {\n"
        "  const ARG = req.query.ARG\n{body}\n})\n",
        "koa": "const Koa = require('koa')\nconst app = new Koa()\n\napp.use(async (ctx) => {\n"
        "  const ARG = ctx.query.ARG\n{body}\n})\n",
    },
}
"""How outside data comes in, by language. Braces other than the two slots are code."""

_RESULTS: Final[Mapping[str, str]] = {
    "function": "return {0}",
    "function_async": "return {0}",
    "method": "return {0}",
    "flask": "return str({0})",
    "django": "return HttpResponse(str({0}))",
    "flask_json": "return str({0})",
    "django_page": "return HttpResponse({0})",
    "fastapi": 'return {{"result": str({0})}}',
    "fastapi_page": "return {0}",
    "express": "res.json({{ result: String({0}) }})",
    "express_async": "res.json({{ result: String({0}) }})",
    "express_page": "res.send({0})",
    "koa": "ctx.body = {{ result: String({0}) }}",
}
_REDIRECTS: Final[Mapping[str, str]] = {
    "flask_redirect": "return redirect({0})",
    "django_redirect": "return HttpResponseRedirect({0})",
    "express_redirect": "res.redirect({0})",
}
_RETURN = re.compile(r"\bRETURN (.+)$", re.MULTILINE)
_REDIRECT = re.compile(r"\bREDIRECT (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two pieces of code that differ in one weakness."""

    name: str
    cwe: int
    language: str
    policy: str
    """The security policy that one twin keeps and the other breaks."""
    scenario: str
    unsafe: str
    safe: str

    def as_json(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Verified:
    """A pair that an exploit tells apart, and what was seen."""

    pair: Pair
    exploit: str
    """The input that showed the weakness; empty where the choice itself shows it."""
    unsafe_seen: str
    safe_outcome: str
    """`refuted`: attacks got there and did nothing. `unseen`: there is no such place any more."""
    safe_seen: str

    def as_json(self) -> dict[str, Any]:
        seen = {name: getattr(self, name) for name in self.__slots__ if name != "pair"}
        return {**self.pair.as_json(), **seen}


@dataclass(frozen=True, slots=True, kw_only=True)
class Weakness:
    """One entry of the tables."""

    cwe: int
    policy: str
    language: str
    imports: tuple[str, ...]
    shells: tuple[str, ...]
    names: tuple[str, ...]
    unsafe: tuple[str, ...]
    safe: tuple[str, ...]


@cache
def shipped() -> tuple[Weakness, ...]:
    """All weaknesses that pairs are made for; those of JavaScript stand for TypeScript, too."""
    return (*_table("python"), *_table("javascript"))


def _table(language: str) -> Iterator[Weakness]:
    folder = resources.files("bluecode.defenses.redteam")
    text = folder.joinpath(f"weaknesses_{language}.toml").read_text("utf-8")
    for item in tomllib.loads(text)["weakness"]:
        lists = {name: tuple(item[name]) for name in ("imports", "shells", "names")}
        bodies = {name: tuple(item[name]) for name in ("unsafe", "safe")}
        if len(bodies["unsafe"]) != len(bodies["safe"]):
            raise ValueError(f"CWE-{item['cwe']}: unsafe and safe bodies do not pair up.")
        yield Weakness(cwe=item["cwe"], policy=item["policy"], language=language, **lists, **bodies)


def grid(weakness: Weakness) -> Iterator[Pair]:
    """Every pair that a weakness's parts make."""
    languages = ("javascript", "typescript") if weakness.language == "javascript" else ("python",)
    for language in languages:
        for shell in weakness.shells:
            for number in range(len(weakness.unsafe)):
                for scenario in weakness.names:
                    yield _pair(weakness, language, shell, number, scenario)


def drawn(weakness: Weakness, chance: Random, count: int) -> list[Pair]:
    """Some pairs of a weakness, spread over its parts, never one twice."""
    every = list(grid(weakness))
    return chance.sample(every, min(count, len(every)))


def _pair(weakness: Weakness, language: str, shell: str, number: int, scenario: str) -> Pair:
    function, argument = scenario.split(" ")
    twins = []
    for body in (weakness.unsafe[number], weakness.safe[number]):
        render = _python if language == "python" else _javascript
        code = render(weakness, shell, body)
        code = re.sub(r"\bFN\b", function, re.sub(r"\bARG\b", argument, code))
        twins.append(_typed(code, argument) if language == "typescript" else code)
    return Pair(
        name=f"{language}-{weakness.cwe}-{shell}-{number}-{function}",
        cwe=weakness.cwe,
        language=language,
        policy=weakness.policy,
        scenario=f"{function}({argument}) as {shell.replace('_', ' ')}",
        unsafe=twins[0],
        safe=twins[1],
    )


def _python(weakness: Weakness, shell: str, body: str) -> str:
    code = _filled("python", shell, _results(shell, body))
    used = "\n".join([*weakness.imports, ""])
    needed = [line for line in weakness.imports if _is_used(line, code, used)]
    head = "\n".join(needed)
    plain = code.startswith(("def", "class"))
    return head + ("\n\n\n" if head and plain else "\n" if head else "") + code


def _is_used(line: str, code: str, head: str) -> bool:
    """Is a name of an import, or a definition, needed?"""
    if not line.startswith(("import ", "from ")):
        name = re.match(r"(?:def )?(\w+)", line)
        return name is not None and re.search(rf"\b{name[1]}\b", code) is not None
    names = line.rpartition("import ")[2].split(", ")
    others = head.replace(line, "")
    definitions = "\n".join(
        part for part in others.split("\n") if not part.startswith(("import", "from"))
    )
    return any(re.search(rf"\b{name}\b", code + definitions) for name in names)


def _javascript(weakness: Weakness, shell: str, body: str) -> str:
    code = _filled("javascript", shell, _results(shell, body))
    lines = []
    for item in weakness.imports:
        if item.startswith("= "):
            name = re.search(r"const \{? ?(\w+)", item)
            later = code + "\n".join(weakness.imports).replace(item, "")
            if name is not None and re.search(rf"\b{name[1]}\b", later):
                lines.append(item[2:])
            continue
        module, names = item.split(" ")
        used = [name for name in names.split(",") if re.search(rf"\b{name}\b", code)]
        if not used and module == "pg":
            used = [names]
        if used:
            lines.append(f"const {{ {', '.join(used)} }} = require('{module}')")
    return "\n".join([*lines, code])


def _filled(language: str, shell: str, body: str) -> str:
    unit = "    " if language == "python" else "  "
    inset = "\n".join(unit + line for line in body.split("\n"))
    deeper = "\n".join(unit * 2 + line for line in body.split("\n"))
    template = _SHELLS[language][shell]
    return template.replace("{body}", inset).replace("{deeper}", deeper)


def _results(shell: str, body: str) -> str:
    given = _RESULTS.get(shell, "return {0}")
    body = _RETURN.sub(lambda found: given.format(found[1]), body)
    there = _REDIRECTS.get(shell, "return {0}")
    return _REDIRECT.sub(lambda found: there.format(found[1]), body)


def _typed(code: str, argument: str) -> str:
    """The same in TypeScript: modules by `import`, parameters and handlers with types."""
    code = re.sub(
        r"^const (\w+) = require\('([\w-]+)'\)$", r"import \1 from '\2'", code, flags=re.M
    )
    code = re.sub(
        r"^const (\{[^}]+\}) = require\('([\w-]+)'\)$", r"import \1 from '\2'", code, flags=re.M
    )
    code = re.sub(
        r"^const app = require\('express'\)\(\)$",
        "import express, { Request, Response } from 'express'\nconst app = express()",
        code,
        flags=re.M,
    )
    code = code.replace("(req, res) =>", "(req: Request, res: Response) =>")
    code = re.sub(
        rf"function (\w+)\({argument}\)", rf"export function \1({argument}: string)", code
    ).replace("async export function", "export async function")
    code = re.sub(r"\nmodule\.exports = .*\n", "\n", code)
    for source in ("req", "ctx"):
        read_as = f"const {argument} = {source}.query.{argument}"
        code = code.replace(
            read_as, f"const {argument}: string = String({source}.query.{argument})"
        )
    return code


async def verify(pair: Pair, sandbox: Runs) -> Verified | None:
    """Run both twins under attack; None where that does not tell them apart.

    Apart means: the weakness was seen in the unsafe twin, and in the safe one every attack stayed
    data or was turned away (`refuted`); or, where the safe twin has no such place at all, it came
    to the end of a call without the effect (`unseen`). Code that broke proves nothing. Raises
    `bluecode.sandbox.outcome.SandboxUnavailable`.
    """
    broken, unsafe = await _tried(pair, pair.unsafe, sandbox)
    if unsafe.outcome != "confirmed":
        return None
    kept, safe = await _tried(pair, pair.safe, sandbox)
    if safe.outcome == "confirmed":
        return None
    if safe.outcome != "refuted" and not _ran(kept, pair.cwe):
        return None
    return Verified(
        pair=pair,
        exploit=_exploit(broken, unsafe),
        unsafe_seen=unsafe.observed or "",
        safe_outcome="refuted" if safe.outcome == "refuted" else "unseen",
        safe_seen=safe.observed or "",
    )


async def _tried(pair: Pair, code: str, sandbox: Runs) -> tuple[Run, Evidence]:
    snippet = Snippet(code=code, language=pair.language, origin="fence")
    claim = Finding(
        detector=NAME,
        rule=f"{pair.language}.pair",
        category=Category.VULNERABLE_CODE,
        score=0.6,
        reason=pair.policy,
        cwe=pair.cwe,
        span=(1, code.count("\n") + 1),
    )
    token = token_of(snippet)
    python = pair.language == "python"
    job = (python_job if python else javascript_job)(snippet, [claim], token)
    program = Program("python" if python else "javascript", job)
    outcome = await sandbox.run(program, LIMITS)
    seen = read(outcome.events)
    run = Run(seen, trials(seen, token, code), outcome.ended, code)
    return run, prove(claim, run)


def _ran(run: Run, cwe: int) -> bool:
    """Did the code come to the end of a call by itself, in a run that is whole, and is the place
    where the harm would show gone? Names that are missing are a fault of the twin, no defence."""
    kinds = set(KINDS.get(cwe, ())) - {"match"}  # A pattern that ends quickly is met there, too.
    calls = [call for entry in run.seen.entries if entry.role != "module" for call in entry.calls]
    reached = any(sink.kind in kinds for call in calls for sink in call.sinks)
    ended = any(
        call.ended and (not call.error or (call.deliberate and call.error not in _FAULTS))
        for call in calls
    )
    return run.whole and ended and not reached


_FAULTS = frozenset(
    "NameError UnboundLocalError ImportError ModuleNotFoundError AttributeError TypeError"
    " ReferenceError SyntaxError IndentationError".split()
)


def _exploit(run: Run, evidence: Evidence) -> str:
    """The payload behind what was seen."""
    seen = evidence.observed or ""
    for trial in run.trials:
        if trial.sink is not None and trial.sink.api in seen and trial.effect is Effect.HARM:
            return trial.call.payload
    return ""


def spread(pairs: Sequence[Pair]) -> str:
    """In a few words, what a set covers."""
    cwes = {pair.cwe for pair in pairs}
    languages = {pair.language for pair in pairs}
    return f"{len(pairs)} pairs, {len(cwes)} CWEs, {len(languages)} languages"
