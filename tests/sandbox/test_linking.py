"""Programs as no sound compiler makes them: each is refused or ended, and the next one runs.

`BLUECODE_FUZZ=100000` makes the last test a long run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import wasmtime
from hypothesis import given, settings
from hypothesis import strategies as st

from bluecode.sandbox.builder import build
from bluecode.sandbox.cache import Cache
from bluecode.sandbox.compiler import found_zig
from bluecode.sandbox.guest import GuestSource
from bluecode.sandbox.languages.c import C, case, pack
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.linking import LinkedGuest
from bluecode.sandbox.outcome import Outcome

pytestmark = pytest.mark.skipif(found_zig() is None, reason="the extra `c` is not installed")

MANY = int(os.environ.get("BLUECODE_FUZZ", "100"))
LIMITS = Limits(fuel=10_000_000, seconds=5.0)
POINTER = '(global (export "__stack_pointer") (mut i32) (i32.const 0))'
BEFORE = '(func (export "__wasm_call_ctors"))'
MAIN = '(func (export "__bluecode_main"))'
WHOLE = f"{POINTER} {BEFORE} {MAIN}"
REFUSED = {
    "nothing in it": "",
    "no entry": f"{POINTER} {BEFORE}",
    "no stack": f"{BEFORE} {MAIN}",
    "an entry that wants something": (
        f'{POINTER} {BEFORE} (func (export "__bluecode_main") (param i32))'
    ),
    "an entry that is no function": (
        f'{POINTER} {BEFORE} (global (export "__bluecode_main") i32 (i32.const 0))'
    ),
    "a stack that does not move": (
        f'(global (export "__stack_pointer") i32 (i32.const 0)) {BEFORE} {MAIN}'
    ),
    "a stack of another kind": (
        f'(global (export "__stack_pointer") (mut i64) (i64.const 0)) {BEFORE} {MAIN}'
    ),
    "the host's events": f'(import "guard" "events" (func (param i32 i32))) {WHOLE}',
    "a file of WASI's": f'(import "wasi_snapshot_preview1" "path_open" (func)) {WHOLE}',
    "a global of the guest's": f'(import "env" "x" (global i32)) {WHOLE}',
    "a vector": f'(import "env" "x" (func (param v128))) {WHOLE}',
    "a reference": f'(import "env" "x" (func (result externref))) {WHOLE}',
}  # fmt: skip
ENDED = {
    "a memory of its own": (f"(memory 60000) {WHOLE}", "out_of_memory"),
    "more memory than there is": (
        f'(import "env" "memory" (memory 60000)) {WHOLE}',
        "out_of_memory",
    ),
    "a trap before all": (f"{WHOLE} (func $s unreachable) (start $s)", "trapped"),
    "data beyond its memory": (f'(memory 1) (data (i32.const 70000) "x") {WHOLE}', "trapped"),
    "calls without an end": (
        f'(func $f (export "__bluecode_main") call $f) {POINTER} {BEFORE}',
        "trapped",
    ),
    "a loop": (
        f'(func (export "__bluecode_main") (loop $l br $l)) {POINTER} {BEFORE}',
        "out_of_fuel",
    ),
}


@pytest.fixture(scope="module")
def guest(cache_folder: Path) -> Iterator[LinkedGuest]:
    path = build(GuestSource.load(C, None), Cache(cache_folder), lambda step: None)
    with LinkedGuest(path) as guest:
        yield guest


def run(guest: LinkedGuest, module: bytes) -> Outcome:
    return guest.run(pack([module, case([])]), LIMITS).outcome()


def assembled(text: str) -> bytes:
    return bytes(wasmtime.wat2wasm(f"(module {text})"))


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED)
def test_a_program_that_does_not_fit_is_refused(guest: LinkedGuest, text: str) -> None:
    outcome = run(guest, assembled(text))

    assert [event.kind for event in outcome.events] == ["unreadable"]
    assert not outcome.finished and outcome.detail == "the program does not load"


@pytest.mark.parametrize(("text", "ended"), ENDED.values(), ids=ENDED)
def test_a_program_that_asks_for_too_much_is_ended(
    guest: LinkedGuest, text: str, ended: str
) -> None:
    assert run(guest, assembled(text)).ended == ended
    assert run(guest, assembled(WHOLE)).ended == "exited"


@pytest.mark.parametrize("job", [b"", b"\xff\xff", pack([]), pack([b""]), pack([b"\0asm"])])
def test_a_job_that_is_none_is_refused(guest: LinkedGuest, job: bytes) -> None:
    assert guest.run(job, LIMITS).outcome().detail == "the program does not load"


@settings(max_examples=MANY, deadline=None)
@given(st.data())
def test_a_program_with_bytes_that_changed_is_refused_or_ended(
    guest: LinkedGuest, data: st.DataObject
) -> None:
    module = bytearray(SOUND)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(8, len(module) - 1))
        module[at] = data.draw(st.integers(0, 255))

    outcome = run(guest, bytes(module))

    assert outcome.fuel_used <= LIMITS.fuel and outcome.malformed == 0


SOUND = assembled(
    '(import "env" "memory" (memory 1)) (import "env" "strlen" (func $strlen (param i32)'
    ' (result i32))) (import "env" "system" (func $system (param i32) (result i32)))'
    ' (import "env" "__indirect_function_table" (table 1 funcref))'
    f' {POINTER} {BEFORE} (func (export "__bluecode_main") (local i32) (local.set 0'
    " (i32.load offset=8 (i32.const 64))) (drop (call $strlen (local.get 0)))"
    " (drop (call $system (i32.const 30409000))) (call_indirect (i32.const 0)))"
    ' (data (i32.const 30409000) "ls x")'
)
