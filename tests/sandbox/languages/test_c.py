"""What the C guest sees: each kind of defect at its line, what a program asks of the system, and
texts that no compiler should get."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from bluecode.sandbox.cache import IMAGE, Cache
from bluecode.sandbox.compiler import AT_ONCE, Compiler, found_zig
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages import LANGUAGES, python
from bluecode.sandbox.languages.c import MAIN, Field, case, program
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.outcome import CompilerLate, Event, Outcome, SandboxUnavailable
from bluecode.sandbox.workers import RUN_SECONDS, Sandbox

pytestmark = pytest.mark.skipif(found_zig() is None, reason="the extra `c` is not installed")

LIMITS = Limits(fuel=400_000_000, seconds=20.0)
HEAD = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <unistd.h>\n"
LINE = 7  # of each defect below, told by a mark before it

DEFECTS = {
    "a copy beyond an array": ("char b[8]; strcpy(b, v[1]);", "stack-write"),
    "an index beyond an array": ("char b[8]; b[c + 7] = 1;", "bounds"),
    "a pointer beyond an array": ("int b[4]; int *p = b; p[c + 3] = 1;", "bounds"),
    "a read beyond the heap": ("char *p = malloc(4); return p[c + 3];", "heap-read"),
    "a write before the heap": ("char *p = malloc(4); p[-c] = 1;", "heap-write"),
    "a write beyond a global": ("wide[c + 7] = 1;", "bounds"),
    "a read of freed memory": ("char *p = malloc(4); free(p); return *p;", "freed-read"),
    "memory freed twice": ("char *p = malloc(4); free(p); free(p);", "double-free"),
    "freed in the middle": ("char *p = malloc(40); free(p + 16);", "bad-free"),
    "a null pointer": ("char *p = c > 9 ? v[0] : NULL; *p = 1;", "null-write"),
    "a null pointer to the library": ("char *p = c > 9 ? v[0] : 0; return strlen(p);", "null-read"),
    "a signed overflow": ("int x = 2147483646; x += c; return x;", "signed-overflow"),
    "an unsigned overflow": ("unsigned x = 4294967294u; x += c; return x;", "unsigned-overflow"),
    "a division by zero": ("return 7 / (c - 2);", "division"),
    "a variable that is gone": ("int *volatile p; { int x = c; p = &x; } return *p;", "scope-read"),
    "a long sprintf": ('char b[8]; sprintf(b, "%s", v[1]);', "stack-write"),
    "a wrong snprintf": ('char b[8]; snprintf(b, 80, "%s", v[1]);', "stack-write"),
    "a long scanf": ('char b[8]; scanf("%s", b);', "stack-write"),
    "a long sscanf": ('char b[8]; sscanf(v[1], "%s", b);', "stack-write"),
    "gets": ("char b[8]; gets(b);", "stack-write"),
    "a long read": ("char b[8]; read(0, b, 64);", "stack-write"),
    "a long fgets": ("char b[8]; fgets(b, 64, stdin);", "stack-write"),
    "a long strncat": ("char b[8] = {0}; strncat(b, v[1], 60);", "stack-write"),
    "a long memcpy": ("char *p = malloc(4); memcpy(p, v[1], 20);", "heap-write"),
    "a text without an end": ("char b[4]; memcpy(b, v[1], 4); return strlen(b);", "stack-read"),
    "a length that wrapped": ("char b[8]; memcpy(b, v[1], (size_t)-c);", "heap-read"),
}  # fmt: skip
TELLS = {
    'system(v[1]);': ("shell", "system"),
    'popen(v[1], "r");': ("shell", "popen"),
    'execl("/bin/sh", "sh", "-c", v[1], (char *)0);': ("shell", "execl"),
    'execl("/bin/ls", "ls", v[1], (char *)0);': ("argv", "execl"),
    'fopen(v[1], "r");': ("path", "fopen"),
    'unlink(v[1]);': ("path", "unlink"),
    'printf(v[1]);': ("format", "printf"),
    'getenv(v[1]);': ("environment", "getenv"),
    'tmpnam(0);': ("weak", "tmpnam"),
}  # fmt: skip


class Place:
    """A sandbox with one worker, for tests that are not asynchronous themselves."""

    def __init__(self, portal: BlockingPortal, sandbox: Sandbox) -> None:
        self._portal, self._sandbox = portal, sandbox

    def run(self, code: str, cases: Sequence[bytes], dialect: str = "c") -> Outcome:
        return self._portal.call(self._sandbox.run, program(code, cases, dialect=dialect), LIMITS)

    def main(self, body: str, *arguments: str) -> Outcome:
        """Run the body of a `main`, which begins in line `LINE`."""
        head = HEAD + "char wide[8];\nint main(int c, char **v) {\n"
        given = [Field("A", text.encode(), at) for at, text in enumerate(["prog", *arguments])]
        given += [Field("M", b"zqzqzq"), Field("S", b"A" * 60 + b"\n"), Field("D", b"data\n")]
        marked = (
            f"{head}__bluecode_at({LINE}); {body} return 0; }}"
            + MAIN % "__bluecode_keep(main(count, list));"
        )
        return self.run('#line 1 "program"\n' + marked, [case(given)])


@pytest.fixture(scope="module")
def place(cache_folder: Path) -> Iterator[Place]:
    with start_blocking_portal() as portal:
        opened = Sandbox.open(cache=cache_folder, workers=1)
        with portal.wrap_async_context_manager(opened) as sandbox:
            portal.call(sandbox.warm)
            yield Place(portal, sandbox)


def told(outcome: Outcome, kind: str) -> list[tuple[object, ...]]:
    return [event.args for event in outcome.events if event.kind == kind]


@pytest.mark.parametrize(("body", "kind"), DEFECTS.values(), ids=DEFECTS)
def test_a_defect_is_told_with_its_line(place: Place, body: str, kind: str) -> None:
    outcome = place.main(body, "zqzqzq" + "A" * 50)

    assert [fault[:2] for fault in told(outcome, "fault")] == [(kind, LINE)]


def test_what_is_right_is_let_be(place: Place) -> None:
    body = (
        "char b[8]; strncpy(b, v[1], 7); b[7] = 0; char *p = malloc(8); memcpy(p, b, 8); "
        'p = realloc(p, 80); snprintf(p, 80, "%s %d %5.2f", b, c, 1.5); puts(p); free(p); '
        "int t[3] = {3, 1, 2}; for (int i = 0; i < 3; i++) t[i] += i; char line[64]; "
        "fgets(line, sizeof line, stdin); "
    )

    outcome = place.main(body, "zqzqzq" + "A" * 50)

    assert told(outcome, "fault") == []
    assert outcome.output == "zqzqzqA 2  1.50\n"
    assert (outcome.ended, outcome.finished) == ("exited", True)


@pytest.mark.parametrize(("body", "told_as"), TELLS.items(), ids=TELLS)
def test_what_is_asked_of_the_system_is_told(
    place: Place, body: str, told_as: tuple[str, str]
) -> None:
    outcome = place.main(body, "zqzqzq%s")

    sinks = [(args[0], args[1], args[2]) for args in told(outcome, "sink")]
    assert (*told_as, LINE) in sinks


def test_each_case_has_a_fresh_copy(place: Place) -> None:
    code = (
        HEAD + "static int n;\nint main(int c, char **v) { n++; return n == 1 ? 0 : 1 / (c - 1); }"
    )
    given = [case([Field("A", b"prog")])] * 3

    outcome = place.run(code + MAIN % "main(count, list);", given)

    assert told(outcome, "fault") == []
    assert [args[0] for args in told(outcome, "ended")] == ["exited"] * 3


def test_what_nothing_defines_is_named_and_does_nothing(place: Place) -> None:
    code = "int elsewhere(int);\nvoid __bluecode_main(void) { elsewhere(3); }"

    outcome = place.run(code, [case([])])

    assert Event("unknown", ("elsewhere",), True) in outcome.events
    assert outcome.finished


def test_a_refused_allocation_is_null(place: Place) -> None:
    code = HEAD + "void __bluecode_main(void) { char *p = malloc(4); *p = 1; }"

    outcome = place.run(code, [case([]), case([Field("F", b"1")])])

    assert [args[0] for args in told(outcome, "fault")] == ["null-write"]


def test_cpp_is_compiled_and_its_containers_are_checked(place: Place) -> None:
    code = (
        "#include <string>\n#include <vector>\n#include <iostream>\n#include <cstdlib>\n"
        'extern "C" void __bluecode_main(void) { std::vector<int> v(3); std::string s("ls");'
        ' std::cout << s << std::endl; std::system((s + " x").c_str()); int at; std::cin >> at;'
        " v.data()[at] = 1; }"
    )

    outcome = place.run(code, [case([Field("S", b"7\n")])], dialect="cpp")

    assert outcome.output == "ls\n"
    assert [args[3] for args in told(outcome, "sink")] == ["ls x"]
    assert [args[0] for args in told(outcome, "fault")] == ["heap-write"]


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("int f(void) { return }", "expected"),
        ('#include "/etc/passwd"\n', "names no header"),
        ('#include "../../etc/passwd"\n', "names no header"),
        ("#include <no/such/header.h>\n", "not found"),
        ("#define P <stdio.h>\n#include P\n", "names no header"),
        ('void f(void) { asm(".incbin \\"/etc/passwd\\""); }\n', "asm"),
        ("extern int there;\nvoid __bluecode_main(void) { there = 1; }", "`there`"),
    ],
)
def test_a_text_that_does_not_compile_is_the_guests_doing(
    place: Place, code: str, why: str
) -> None:
    outcome = place.run(code, [case([])])

    (said,) = told(outcome, "unreadable")
    assert why in str(said[1])
    assert not outcome.finished and outcome.detail == "it does not compile"


def test_without_a_place_for_its_folder_there_is_no_compiler(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place.main("")
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "not there"))

        with pytest.raises(SandboxUnavailable, match="folder"):
            for _ in range(2):  # one jail may have been ready
                place.main("")

    assert place.main("").finished  # and the sandbox is still there


def test_a_compiler_that_cannot_start_is_nobodys_but_ours(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.main("")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")

        with pytest.raises(SandboxUnavailable, match="did not start"):
            for _ in range(2):
                place.main("")

    assert place.main("").finished


def test_a_function_of_the_runtimes_own_answers_no_program(place: Place) -> None:
    own = {
        "tell_fault": "void (int, int, int)",
        "check_read": "void (int, int)",
        "poison": "void (int, int, int)",
        "remark": "void (int, int, int)",
        "given": "int (int, int, int)",
        "world_begins": "void (void)",
        "g_alloc": "int (int)",
        "g_case": "void (int, int)",
    }
    code = "".join(kind.replace("(", f"{name}(") + ";\n" for name, kind in own.items())
    zeros = {
        name: ", ".join("0" for _ in re.findall(r"int[,)]", kind)) for name, kind in own.items()
    }
    calls = "".join(f"{name}({given});" for name, given in zeros.items())

    outcome = place.run(code + f"void __bluecode_main(void) {{ {calls} }}", [case([])])

    assert Event("unknown", tuple(own), True) in outcome.events


def test_what_is_not_there_costs_fuel_and_no_time_of_the_host(place: Place) -> None:
    code = (
        "double elsewhere(long long, float);\nint other(void);\nvoid __bluecode_main(void) {"
        " while (elsewhere(1, 2) == 0 && other() == 0); }"
    )

    outcome = place.run(code, [case([])])

    assert outcome.ended == "out_of_fuel"


async def test_a_compiler_that_leaves_no_time_for_the_run_is_late(
    place: Place, cache_folder: Path
) -> None:
    async with Sandbox.open(cache=cache_folder, workers=1) as sandbox:
        await sandbox.warm()
        with anyio.fail_after(RUN_SECONDS + 0.05):  # less than any compiler needs
            with pytest.raises(CompilerLate):
                await sandbox.run(program("void __bluecode_main(void) {}", [case([])]), LIMITS)

        assert (await sandbox.run(program("void __bluecode_main(void) {}", [case([])]))).finished


async def test_without_the_guest_of_c_the_others_run(
    place: Place, cache_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    for language in LANGUAGES.values():  # `place` has seen to it that all are there
        made = Cache(cache_folder).path(GuestSource.load(language).key())
        if language.compiled:  # one that others could have written is refused
            (tmp_path / "cache" / made.name).touch()
            (tmp_path / "cache" / made.name).chmod(0o666)
        else:
            shutil.copy(made, tmp_path / "cache")
            shutil.copy(made.with_suffix(IMAGE), tmp_path / "cache")
    steps: list[str] = []

    async with Sandbox.open(cache=tmp_path / "cache", workers=1, report=steps.append) as sandbox:
        await sandbox.warm()
        assert (await sandbox.run(python.program("1"))).finished
        with pytest.raises(SandboxUnavailable, match="written by others"):
            await sandbox.run(program("void __bluecode_main(void) {}", [case([])]))

    assert "going on without `c`" in steps[0]


def test_what_is_told_again_and_again_counts_once(place: Place) -> None:
    outcome = place.main("for (int i = 0; i < 100; i++) { rand(); } system(v[1]);", "zqzqzq")

    assert [args[:3] for args in told(outcome, "sink")] == [
        ("random", "rand", LINE),
        ("shell", "system", LINE),
    ]


async def test_a_text_waits_for_a_compiler_only_so_long() -> None:
    zig = found_zig()
    assert zig is not None
    compiler = Compiler(zig, wait=0.05)
    busy = "int x = 1" + "+1" * 90_000 + ";"  # seconds of work, which the test does not wait for
    async with anyio.create_task_group() as tasks:
        for _ in range(AT_ONCE):
            tasks.start_soon(compiler.compile, program(busy, []))
        await anyio.wait_all_tasks_blocked()

        with pytest.raises(CompilerLate, match="no compiler was free"):
            await compiler.compile(program("int y;", []))

        tasks.cancel_scope.cancel()
    await compiler.close()
