"""Hostile and honest code in a guest: each run ends within its limits, and the next is clean."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bluecode.sandbox.limits import MEBIBYTE, Limits
from bluecode.sandbox.outcome import Event, Outcome, SandboxUnavailable
from bluecode.sandbox.wasm import Guest, compiled

RunCode = Callable[..., Outcome]
SMALL = {"fuel": 300_000_000}

HOSTILE = [
    ("a loop", "while True: pass", "out_of_fuel"),
    ("a loop that catches all", "while 1:\n try:\n  while 1: pass\n except: pass", "out_of_fuel"),
    ("a loop in C", "sum(range(10**12))", "out_of_fuel"),
    ("a slow pattern", "import re; re.match('(a+)+$', 'a' * 60 + '!')", "out_of_fuel"),
    ("a large power", "str(9 ** 9 ** 7)", "out_of_fuel"),
    ("a large string", "'a' * (200 * 1024 ** 2)", "out_of_memory"),
    ("many strings", "x = []\nwhile True: x.append(bytearray(10 ** 6))", "out_of_memory"),
    ("a growing list", "x = [0]\nwhile True: x += x", "out_of_memory"),
    ("much output", "while True: print('x' * 1000)", "flooded"),
    ("one large output", "print('x' * 10 ** 6)", "flooded"),
    ("many events", "while True: tell('x')", "flooded"),
    ("large events", "while True: tell('x' * 100_000)", "flooded"),
    ("many audit events", "import sys\nwhile True: sys.audit('os.x')", "flooded"),
    ("leaving", "import os; os._exit(3)", "exited"),
    ("aborting", "import os; os.abort()", "trapped"),
    ("a waiting loop", "import time\nwhile True: time.sleep(3600)", "out_of_fuel"),
    ("unbounded recursion", "import sys; sys.setrecursionlimit(2**30)\nf = lambda: f()\nf()", "*"),
    ("recursion in C", "x = []\nfor i in range(10**4): x = [x]\nx == x.copy()", "exited"),
    ("unbounded recursion in C", "import sys; sys.setrecursionlimit(2**30)\n"
     "x = []\nfor i in range(10**5): x = [x]\nx == x.copy()", "*"),
    ("nested source", "exec('(' * 100_000)", "exited"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "ended"), [pytest.param(c, e, id=n) for n, c, e in HOSTILE])
def test_hostile_code_ends_within_its_limits_and_the_next_run_is_clean(
    run_code: RunCode, code: str, ended: str
) -> None:
    clean = run_code("tell('x')")

    began = time.monotonic()
    outcome = run_code(code, **SMALL, memory=64 * MEBIBYTE, seconds=2.0)

    assert ended in ("*", outcome.ended)
    assert not (outcome.finished and ended != "exited" and ended != "*")
    assert time.monotonic() - began < 3.0
    assert outcome.fuel_used <= SMALL["fuel"]
    assert outcome.memory_peak <= 64 * MEBIBYTE
    again = run_code("tell('x')")
    assert (again.events, again.fuel_used) == (clean.events, clean.fuel_used)


@pytest.mark.parametrize("code", ["import os; os._exit(3)", "import os; os.abort()"])
def test_code_that_leaves_early_does_not_count_as_finished(run_code: RunCode, code: str) -> None:
    assert not run_code(code).finished


def test_a_run_past_its_seconds_is_timed_out(run_code: RunCode) -> None:
    outcome = run_code("while True: pass", fuel=10**13, seconds=0.1)

    assert outcome.ended == "timed_out"
    assert 0.1 <= outcome.seconds < 0.3


def test_a_run_can_be_stopped_from_another_thread(guest: Guest) -> None:
    for delay in (0.0, 0.001, 0.05):
        job = guest.start(b'{"code": "while True: pass"}', Limits(fuel=10**13, seconds=30))
        time.sleep(delay)
        guest.stop()

        assert job.result(timeout=2).ended == "timed_out"


def test_the_same_program_uses_the_same_fuel(run_code: RunCode) -> None:
    code = "import random, time\nfor i in range(99): tell(random.random(), time.time(), hash('x'))"

    outcomes = [run_code(code) for _ in range(3)]

    assert len({outcome.fuel_used for outcome in outcomes}) == 1
    assert len({outcome.events for outcome in outcomes}) == 1


def test_a_run_leaves_nothing_to_the_next(run_code: RunCode) -> None:
    run_code("import builtins; builtins.left = 1; import sys; sys.modules['left'] = sys")

    outcome = run_code(
        "import builtins, sys; tell(hasattr(builtins, 'left'), 'left' in sys.modules)"
    )

    assert told(outcome) == [(False, False)]


def test_waiting_takes_no_time_but_moves_the_clock(run_code: RunCode) -> None:
    code = "import time; a = time.time(); time.sleep(100); tell(time.time() - a >= 100)"

    outcome = run_code(code)

    assert told(outcome) == [(True,)]
    assert outcome.seconds < 0.5


NO_WORLD = [
    "open('/etc/passwd')",
    "open('/lib/python.zip')",
    "open('/x', 'w')",
    "import posix; posix.listdir('/lib')",
    "import posix; posix.mkdir('/x')",
    "import posix; posix.environ[b'PATH']",
    "import _socket; _socket.socket().connect(('127.0.0.1', 80))",
    "import _socket; _socket.gethostbyname('localhost')",
    "import _thread; _thread.start_new_thread(print, ())",
    "import posix; posix.fork()",
    "import posix; posix.system('true')",
    "import _posixsubprocess; _posixsubprocess.fork_exec()",
    "import _ctypes",
]


@pytest.mark.parametrize("code", NO_WORLD)
def test_there_is_no_file_no_network_no_process_and_no_thread(run_code: RunCode, code: str) -> None:
    outcome = run_code(f"{code}\ntell('reached')")

    assert [event.kind for event in outcome.events if not event.trusted] == ["raised", "done"]


EMIT = "report = tell.__closure__[0].cell_contents\nemit = report.__closure__[0].cell_contents\n"
FORGED = "b'[\"forged\"]'"
FORGERIES = [
    f"emit({FORGED})",
    f"list(map(emit, [{FORGED}]))",
    f"import gc; [o for o in gc.get_objects() if 'emit' in repr(o)][0]({FORGED})",
    f"exec(compile('emit(event)', '/guest/x', 'exec'), {{'emit': emit, 'event': {FORGED}}})",
    f"f = lambda: emit({FORGED})\nf.__code__ = f.__code__.replace(co_filename='/guest/x')\nf()",
]


@pytest.mark.parametrize("code", FORGERIES)
def test_events_cannot_be_forged_through_emit_and_the_attempt_is_told(
    run_code: RunCode, code: str
) -> None:
    outcome = run_code(EMIT + code)

    kinds = [(event.kind, event.trusted) for event in outcome.events]
    assert ("forged", False) not in kinds
    assert ("guard.forgery", True) in kinds


@pytest.mark.parametrize("name", ["_guard", "guard", "_harness", "emit"])
def test_emit_is_in_no_module(run_code: RunCode, name: str) -> None:
    outcome = run_code(f"import {name}")

    assert (
        Event("raised", ("ModuleNotFoundError", f"No module named '{name}'"), False)
        in outcome.events
    )


UNCOMPILED = {
    "marshal.loads": "import marshal; marshal.loads(marshal.dumps(compile('1', 'x', 'eval')))",
    "marshal.load": "import io, marshal; marshal.load(io.BytesIO(b'N'))",
    "code.__new__": "compile('1', 'x', 'eval').replace(co_consts=())",
}


@pytest.mark.parametrize(("name", "code"), UNCOMPILED.items(), ids=UNCOMPILED)
def test_code_objects_come_from_the_compiler_alone(run_code: RunCode, name: str, code: str) -> None:
    outcome = run_code(code)

    assert Event("guard.forgery", (name,), True) in outcome.events
    assert raised(outcome) == "RuntimeError"


AUDITED = [
    ("open('/etc/passwd')", Event("open", ("/etc/passwd", "r", 67108864), True)),
    ("eval('1' + '2')", Event("compile", ("12", "<string>"), True)),
    ("import posix; posix.putenv(b'\\xff', b'\"\\n')", Event("os.putenv", ("\\xff", '"\n'), True)),
    ("import posix; posix.listdir('/x')", Event("os.listdir", ("/x",), True)),
    ("import sys; sys.audit('os.x', [1, (2.5, None, True)], 2**99, '\\ud800')",
     Event("os.x", ([1, ["<object>", None, True]], "<large int>", "\\ud800"), True)),
]  # fmt: skip


@pytest.mark.parametrize(("code", "event"), AUDITED)
def test_the_audit_hook_tells_what_the_interpreter_does(
    run_code: RunCode, code: str, event: Event
) -> None:
    assert event in run_code(code).events


def test_the_audit_hook_runs_no_code_of_the_guest(run_code: RunCode) -> None:
    code = """
import sys
class Loud(str):
    def __str__(self): tell('ran')
    __repr__ = encode = __iter__ = __len__ = __getitem__ = __str__
sys.audit('os.x', Loud('a'), [Loud('b')])
"""
    outcome = run_code(code)

    assert Event("os.x", ("<object>", ["<object>"]), True) in outcome.events
    assert not any(event.kind == "told" for event in outcome.events)


def test_long_arguments_of_audit_events_are_cut_and_stay_json(run_code: RunCode) -> None:
    code = "import sys; sys.audit('os.x', *['\\n\\xe4\"' * 5000] * 9, ['x' * 9000] * 70)"

    outcome = run_code(code)

    assert outcome.malformed == 0
    cut = next(event for event in outcome.events if event.kind == "os.x")
    assert 4000 < len(cut.args[0].encode()) <= 4096


def test_a_guest_that_needs_more_memory_than_allowed_is_unavailable(guest: Guest) -> None:
    with pytest.raises(SandboxUnavailable, match="no copy of the guest"):
        guest.run(b"{}", Limits(memory=MEBIBYTE))


def test_a_file_that_is_no_compiled_guest_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "x.cwasm"
    path.write_bytes(b"no code")

    with pytest.raises(SandboxUnavailable, match="does not load"):
        Guest(path)


def told(outcome: Outcome) -> list[tuple[object, ...]]:
    return [event.args for event in outcome.events if event.kind == "told" and not event.trusted]


def raised(outcome: Outcome) -> object:
    return next(event.args[0] for event in outcome.events if event.kind == "raised")


ROUNDING = bytes.fromhex("0061736d0100000001060160017c017c03020100070501016600000a0701050020009e0b")
"""A module of one function, which rounds: one instruction since SSE4.1, a call before."""

ROUND = (bytes.fromhex("660f3a0b"), bytes.fromhex("c4e3790b"))
"""That instruction, and its form of AVX."""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the instructions are those of x86-64")
def test_code_for_the_least_processor_uses_no_instruction_beyond_it() -> None:
    code = compiled(ROUNDING, "x86_64-unknown-linux-gnu")

    assert code.startswith(b"\x7fELF")
    assert not any(instruction in code for instruction in ROUND)


def test_a_target_that_wasmtime_does_not_know_is_unavailable() -> None:
    with pytest.raises(SandboxUnavailable, match="does not compile"):
        compiled(ROUNDING, "abacus-unknown-none")
