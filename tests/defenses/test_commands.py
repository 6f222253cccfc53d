"""Every way in which a shell command carries a program, and ways that carry none."""

import base64
import json

import pytest

from bluecode.defenses import carriers, shell_words

CODE = "import os\nos.system(word)\n"
LINE = "import os; os.system(word)"
PACKED = base64.b64encode(CODE.encode()).decode()
COMMANDS = [
    f"cat > a.py <<\\EOF\n{CODE}EOF",
    f"cat > a.py <<'END-PY'\n{CODE}END-PY",
    f'cat > a.py <<"A B"\n{CODE}A B',
    "cat > a.py <<-EOF\n\timport os\n\tos.system(word)\n\tEOF",
    f"cat <<A; python3 <<'B'\nx\nA\n{CODE}B",
    f"python3 - <<'EOF' > out.txt\n{CODE}EOF",
    f"python3 <<'E'\nx = '''\n  E\n'''\n{CODE}E",
    f"cat <<EOF | python -\n{CODE}EOF",
    f"tee a.py <<EOF\n{CODE}EOF",
    f"cat > a.py <<EOF\n{CODE}",
    f"python3 -c'{LINE}'",
    f"python3 -Bc '{LINE}'",
    f"python3 -X dev -c '{LINE}'",
    "python3 -c $'import os\\nos.system(word)'",
    f"python3 \\\n  -c '{LINE}'",
    f"sudo -u root python3 -c '{LINE}'",
    f"env X=1 python3 -c '{LINE}'",
    f"timeout 5 /usr/bin/python3.11 -c '{LINE}'",
    f"docker exec -it box python3 -c '{LINE}'",
    f"cd x && uv run python -c '{LINE}' 2>&1 | tee log",
    f"echo '{LINE}' | python3",
    f'echo "{LINE}" 2>&1 | sudo python3 -',
    f"echo '{LINE}' > a.py",
    "printf 'import os\\nos.system(word)\\n' > a.py",
    "printf '%s\\n' 'import os' 'os.system(word)' > a.py",
    "echo 'import os' > a.py; echo 'os.system(word)' >> a.py",
    "(echo 'import os'; echo 'os.system(word)') | python3",
    "{ echo 'import os'; echo 'os.system(word)'; } > a.py",
    f"echo {PACKED} | base64 -d | python3",
    f"base64 --decode <<< {PACKED} > a.py",
    f"python3 <<< '{LINE}'",
    f"python3 <(echo '{LINE}')",
    f'python3 -c "$(echo {PACKED} | base64 -d)"',
    f"X='{LINE}'; python3 -c \"$X\"",
    f"bash -c \"python3 -c '{LINE}'\"",
    f"sh -ec 'python3 -c \"{LINE}\"'",
    f"eval \"python3 -c '{LINE}'\"",
    f"ssh host 'python3 -c \"{LINE}\"'",
    f'R="$(python3 -c "{LINE}")"',
    f"# it's\npython3 -c '{LINE}'",
    f"((1<<n))\npython3 -c '{LINE}'",
    f"git commit -m \"$(cat <<'E'\nit's\nE\n)\" && python3 -c '{LINE}'",
    f"if true; then {{ echo {PACKED} | base64 -d | python3; }}; fi",
    "for x in 1; do echo 'import os'; echo 'os.system(word)'; done | python3",
    f"sudo -E tee a.py >/dev/null <<E\n{CODE}E",
    f"docker exec -i box tee a.py <<E\n{CODE}E",
    f"@'\n{CODE}'@ | Set-Content a.py",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_the_program_in_a_command_is_found(command: str) -> None:
    carried = carriers.in_arguments(json.dumps({"command": command}))
    first, *programs = carried.snippets
    assert (first.language, first.code, carried.unreadable) == ("bash", command, False)
    assert any(
        item.language == "python" and "os.system(word)" in item.code and "import os" in item.code
        for item in programs
    )


@pytest.mark.parametrize(
    ("command", "language"),
    [
        ("node -e 'f(1)'", "javascript"),
        ("node --eval='f(1)'", "javascript"),
        ("ruby -e 'puts 1'", "ruby"),
        ("perl -lane 'print'", "perl"),
        ("php -r 'f();'", "php"),
        ("echo 'ls' | bash", "bash"),
    ],
)
def test_other_interpreters_are_known(command: str, language: str) -> None:
    carried = carriers.in_arguments(json.dumps({"command": command}))
    assert carried.snippets[-1].language == language
    assert len(carried.snippets) == 2


@pytest.mark.parametrize(
    "command",
    [
        "ls -la && python3 manage.py test",
        "git commit -m 'fix(core): it imports again'",
        "grep -rn 'os.system(x)' src | head",
        "which python3; python3 --version",
        "cat <<'E'\nSome words of import.\nE",
        "pip install python-dateutil 'x>=1'",
        "python3 tool.py <<EOF\nname, value\nEOF",
        "kubectl apply -f - <<EOF\nkind: Pod\nEOF",
    ],
)
def test_commands_that_carry_no_program(command: str) -> None:
    carried = carriers.in_arguments(json.dumps({"command": command}))
    assert [item.language for item in carried.snippets] == ["bash"]


def test_shells_within_shells_are_unreadable_in_the_end() -> None:
    command = "ls"
    for _ in range(10):
        command = f"eval {json.dumps(command)}"
    assert carriers.in_arguments(json.dumps({"command": command})).unreadable


def test_words_are_cut_as_a_shell_cuts_them() -> None:
    (command,) = shell_words.read('a\'b c\'"d $e\\""\\ f 2>/dev/null >g # h').items
    assert isinstance(command, shell_words.Command)
    assert [word.text for word in command.words] == ['ab cd $e" f']
    assert command.writes == [("g", False)]
