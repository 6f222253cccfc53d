"""Programs that are linked with a guest: a job brings a compiled program and the cases to try it
in, each case in a fresh copy of both.

The program is WebAssembly that a compiler made of untrusted text, or that a subverted compiler made
up. It gets functions of the guest and the guest's memory, and nothing of the host's: what it asks
for beyond that is answered by a function that tells its name and does nothing.
"""

from __future__ import annotations

import ctypes
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import wasmtime
from wasmtime import _ffi as ffi
from wasmtime._extern import wrap_extern

from bluecode.sandbox.languages import c
from bluecode.sandbox.limits import Limits
from bluecode.sandbox.memory import PageMap
from bluecode.sandbox.outcome import Recording, SandboxUnavailable
from bluecode.sandbox.run import Run
from bluecode.sandbox.wasi import World
from bluecode.sandbox.wasm import Guest, Window, judged

MEMORY, TABLE, STACK = "memory", "__indirect_function_table", "__stack_pointer"
ENTRIES = ("__wasm_call_ctors", "__bluecode_main")
PROGRAM_BYTES = 700_000
"""A larger program would take seconds to compile, and is refused."""
CASE_SHARE = 8  # of the run's fuel, the part that one case may use
LINES_BYTES = 8_192  # as in cases.c
SPARE_EVENTS = 8  # kept for the host's own
TABLE_MOST = 100_000
FOR_HOST = ("g_", "_initialize")
PAGE = 64 * 1024

Extern = wasmtime.Func | wasmtime.Table | wasmtime.Global | wasmtime.Memory
Told = tuple[bool, bytes]


class LinkedGuest(Guest):
    """A compiled guest whose jobs bring programs."""

    def _load(self, path: Path, pages: PageMap | None) -> None:
        """The module holds its memory: each case grows it by what the program wants."""
        self._ready = self._imports.linker.instantiate_pre(self._module)

    def _unload(self) -> None:
        """Nothing is kept between cases."""

    @cached_property
    def _functions(self) -> dict[str, wasmtime.FuncType]:
        """The guest's thousands of functions; reading them takes longer than a start."""
        types = {item.name: item.type for item in self._module.exports}
        return {name: kind for name, kind in types.items() if isinstance(kind, wasmtime.FuncType)}

    def _run(self, job: bytes, limits: Limits) -> Recording:
        began = time.perf_counter()
        self._deadline.set(0 if self._stopped else limits.seconds)
        try:
            program, *cases = c.unpack(job)
            linked = Linked.load(self._engine, program, self._functions)
            recording = self._tried(linked, cases, limits)
        except (wasmtime.WasmtimeError, ValueError) as error:
            recording = refused(str(error))
        finally:
            self._deadline.clear()
            self._imports.run = self._imports.memory = None
        return replace(recording, seconds=time.perf_counter() - began)

    def _tried(self, linked: Linked, cases: Sequence[bytes], limits: Limits) -> Recording:
        """All cases, one after the other, as long as there is fuel."""
        told = [host_event("unknown", *linked.unknown)]
        whole, left, until = refused("no case"), limits, time.perf_counter() + limits.seconds
        for number, fields in enumerate(cases):
            share = min(left.fuel, max(1, limits.fuel // CASE_SHARE))
            case = self._case(linked, fields, replace(left, fuel=share))
            end = host_event("ended", case.ended, case.detail, case.finished)
            told += [host_event("case", number), *case.events, end]
            left = remaining(left, case)
            whole = replace(
                whole,
                ended=case.ended,
                detail=case.detail,
                memory_peak=max(whole.memory_peak, case.memory_peak),
                output=whole.output or case.output,
            )
            if time.perf_counter() > until:
                whole = replace(whole, ended="timed_out")
            if left.fuel <= 0 or left.events <= SPARE_EVENTS or whole.ended == "timed_out":
                break
        else:
            whole = replace(whole, ended=whole.ended if len(cases) == 1 else "exited")
            whole = replace(whole, finished=True)
        fuel = limits.fuel - max(0, left.fuel)
        return replace(whole, events=tuple(told)[: limits.events], fuel_used=fuel)

    def _case(self, linked: Linked, fields: bytes, limits: Limits) -> Recording:
        # A loop tells the same at each turn: that would fill what all cases may tell.
        run = Run(World(limits.output), limits, distinct=True)
        with wasmtime.Store(self._engine) as store:
            store.set_limits(memory_size=limits.memory)
            store.set_fuel(limits.fuel)
            store.set_epoch_deadline(1)
            self._imports.run = run
            base = Base(store, self._ready.instantiate(store))
            self._imports.memory = base.memory
            trap: wasmtime.Trap | None = None
            try:
                linked.run(base, fields)
            except wasmtime.Trap as caught:
                trap = caught
            except wasmtime.WasmtimeError:  # more memory or functions than it may have
                run.refused_memory = True
            if run.broken is not None:
                raise SandboxUnavailable("a host function failed") from run.broken
            ended, finished, detail = judged(run, trap, trap is None)
            return Recording(
                ended=ended,
                finished=finished,
                events=(*run.events, host_event("lines", *base.lines())),
                fuel_used=limits.fuel - (run.fuel_left or store.get_fuel()),
                seconds=0.0,
                memory_peak=base.memory.data_len(store),
                output=run.world.output,
                detail=detail,
            )


class Base:
    """A fresh copy of the guest, and what programs get of it."""

    def __init__(self, store: wasmtime.Store, instance: wasmtime.Instance) -> None:
        self.store, self._instance = store, instance
        memory, table = self.take(MEMORY), self.take(TABLE)
        assert isinstance(memory, wasmtime.Memory) and isinstance(table, wasmtime.Table)
        self.memory, self.table = memory, table

    def take(self, name: str) -> Extern:
        """One export. `Instance.exports` would make an object of each of thousands."""
        item, text = ffi.wasmtime_extern_t(), name.encode()
        found = ffi.wasmtime_instance_export_get(
            self.store._context(),
            ctypes.byref(self._instance._instance),
            ctypes.create_string_buffer(text),
            len(text),
            ctypes.byref(item),
        )
        if not found:
            raise SandboxUnavailable(f"the guest has no `{name}`")
        extern = wrap_extern(item)
        assert isinstance(extern, Extern)
        return extern

    def call(self, name: str, *values: int) -> int:
        function = self.take(name)
        assert isinstance(function, wasmtime.Func)
        answer = function(self.store, *values)
        return answer if isinstance(answer, int) else 0

    def window(self) -> Window:
        return Window(self.memory, self.store)

    def lines(self) -> Iterator[int]:
        """The program's lines that were run, as far as it marks them."""
        address = self.take("g_lines")
        assert isinstance(address, wasmtime.Global)
        marks = self.window().read(int(address.value(self.store)), LINES_BYTES)
        left = int.from_bytes(marks.rstrip(b"\0"), "little")
        while left:
            lowest = left & -left
            yield lowest.bit_length() - 1
            left ^= lowest


@dataclass(frozen=True, slots=True)
class Linked:
    """A program, and by which name of the guest each of its imports is answered."""

    module: wasmtime.Module
    zeros: wasmtime.Module
    """What answers for functions that the guest does not have."""
    names: tuple[str | int, ...]
    """Names of exports of the guest; numbers of those of `zeros`."""
    unknown: tuple[str, ...]
    pages: int
    functions: int

    @classmethod
    def load(
        cls, engine: wasmtime.Engine, wasm: bytes, known: Mapping[str, wasmtime.FuncType]
    ) -> Linked:
        """Compile a program. Raises `ValueError` or `WasmtimeError` for one that does not fit."""
        if len(wasm) > PROGRAM_BYTES:
            raise ValueError("the program is too large")
        module = wasmtime.Module(engine, wasm)
        given = {item.name: item.type for item in module.exports}
        if not all(enters(given.get(name)) for name in ENTRIES) or not points(given.get(STACK)):
            raise ValueError("the program cannot be entered")
        names: list[str | int] = []
        unknown: list[tuple[str, wasmtime.FuncType]] = []
        pages = functions = 0
        for wanted in module.imports:
            kind, name = wanted.type, wanted.name or ""
            if wanted.module != "env":
                raise ValueError("the program asks for what is not the guest's")
            if isinstance(kind, wasmtime.MemoryType) and name == MEMORY:
                pages = kind.limits.min
                names.append(MEMORY)
            elif isinstance(kind, wasmtime.TableType) and name == TABLE:
                functions = kind.limits.min
                names.append(TABLE)
            elif isinstance(kind, wasmtime.FuncType):
                found = answered_by(name, kind, known)
                names.append(found or len(unknown))
                unknown += [] if found else [(name, kind)]
            else:
                raise ValueError("the program asks for what is not the guest's")
        zeros = wasmtime.Module(engine, answering_zero([kind for _, kind in unknown]))
        told = tuple(name for name, _ in unknown)
        return cls(module, zeros, tuple(names), told, pages, functions)

    def run(self, base: Base, fields: bytes) -> None:
        """One case. Raises `Trap` where it is ended, `WasmtimeError` where it does not fit in."""
        store = base.store
        if (more := self.pages - base.memory.size(store)) > 0:
            base.memory.grow(store, more)
        if self.functions > TABLE_MOST:
            raise wasmtime.WasmtimeError("too many functions")
        if (more := self.functions - base.table.size(store)) > 0:
            base.table.grow(store, more, None)
        address = base.call("g_alloc", len(fields))
        base.window().write(address, fields)
        instance = wasmtime.Instance(store, self.module, [*self._imports(base)])
        exports = instance.exports(store)
        stack, constructors, main = exports[STACK], *(exports[name] for name in ENTRIES)
        assert isinstance(stack, wasmtime.Global)
        assert isinstance(constructors, wasmtime.Func) and isinstance(main, wasmtime.Func)
        stack.set_value(store, c.STACK_TOP)
        base.call("g_case", address, len(fields))
        constructors(store)
        main(store)
        base.call("g_done")

    def _imports(self, base: Base) -> Iterator[Extern]:
        zeros = wasmtime.Instance(base.store, self.zeros, []).exports(base.store)
        for name in self.names:
            if isinstance(name, str):
                yield base.take(name)
            else:
                zero = zeros[f"f{name}"]
                assert isinstance(zero, wasmtime.Func)
                yield zero


def answered_by(
    name: str, kind: wasmtime.FuncType, known: Mapping[str, wasmtime.FuncType]
) -> str | None:
    """The guest's function for a name, if it has one of that type: the guarded one before the
    library's own, and none that is there for the host."""
    if name.startswith(FOR_HOST):
        return None
    for candidate in (f"guard_{name}", name):
        found = known.get(candidate)
        if found is not None and signature(found) == signature(kind):
            return candidate
    return None


def enters(kind: object) -> bool:
    return isinstance(kind, wasmtime.FuncType) and signature(kind) == ((), ())


def points(kind: object) -> bool:
    return isinstance(kind, wasmtime.GlobalType) and kind.mutable and str(kind.content) == "i32"


def signature(kind: wasmtime.FuncType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return tuple(map(str, kind.params)), tuple(map(str, kind.results))


VALUES = {"i32": (0x7F, b"\x41\0"), "i64": (0x7E, b"\x42\0"),
          "f32": (0x7D, b"\x43" + bytes(4)), "f64": (0x7C, b"\x44" + bytes(8))}  # fmt: skip
"""How types are written in a module, and zeros of them."""


def answering_zero(kinds: Sequence[wasmtime.FuncType]) -> bytes:
    """A module of functions that answer 0. They are the guest's own steps and cost it fuel, which
    calls to the host would not. Raises `ValueError` for types that C has not."""
    types, exports, bodies = [], [], []
    for number, (takes, gives) in enumerate(map(signature, kinds)):
        if not VALUES.keys() >= {*takes, *gives}:
            raise ValueError("the program asks for what is not the guest's")
        types.append(b"\x60" + vector(byte(name) for name in takes))
        types[-1] += vector(byte(name) for name in gives)
        exports.append(counted(f"f{number}".encode()) + b"\0" + unsigned(number))
        bodies.append(counted(b"\0" + b"".join(VALUES[name][1] for name in gives) + b"\x0b"))
    numbers = [unsigned(number) for number in range(len(types))]
    sections = ((1, types), (3, numbers), (7, exports), (10, bodies))
    made = (bytes([kind]) + counted(vector(parts)) for kind, parts in sections)
    return b"\0asm\1\0\0\0" + b"".join(made)


def byte(name: str) -> bytes:
    return bytes([VALUES[name][0]])


def vector(parts: Iterable[bytes]) -> bytes:
    listed = list(parts)
    return unsigned(len(listed)) + b"".join(listed)


def counted(content: bytes) -> bytes:
    return unsigned(len(content)) + content


def unsigned(value: int) -> bytes:
    """As WebAssembly writes numbers: seven bits at a time."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def refused(why: str) -> Recording:
    return Recording(
        ended="exited",
        finished=False,
        events=(host_event("unreadable", 0, why.partition("\n")[0][:200]),),
        fuel_used=0,
        seconds=0.0,
        memory_peak=0,
        detail="the program does not load",
    )


def remaining(limits: Limits, case: Recording) -> Limits:
    told = sum(len(text) for _, text in case.events)
    return replace(
        limits,
        fuel=limits.fuel - case.fuel_used,
        events=limits.events - len(case.events) - 2,
        event_bytes=max(0, limits.event_bytes - told - 200),
    )


def host_event(kind: str, *values: object) -> Told:
    """An event that the host tells, so that it can be trusted."""
    return True, json.dumps([kind, *values]).encode()
