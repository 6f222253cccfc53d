"""The wasmtime engine: compiles a guest, initialises it once, and runs jobs in fresh copies of it.

The only module that imports wasmtime or its private FFI. A guest gets no wasmtime-wasi: its imports
are answered by a `World`. Promised: fuel, seconds, memory, events and output are bounded, and no
run sees what another did. Not promised: that wasmtime itself has no hole; `workers.py` puts a
process around it.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import wasmtime
from wasmtime import _ffi as ffi

from bluecode.sandbox.cache import IMAGE
from bluecode.sandbox.deadline import Deadline
from bluecode.sandbox.limits import WASM_STACK, Limits
from bluecode.sandbox.memory import MemoryImage, PageMap
from bluecode.sandbox.outcome import Ended, Recording, SandboxUnavailable
from bluecode.sandbox.run import Run
from bluecode.sandbox.wasi import BAD_ADDRESS, U32, World

PRIVATE = (
    "wasmtime_config_async_stack_size_set",
    "wasmtime_config_target_set",
    "wasmtime_context_get_fuel",
    "wasmtime_context_set_fuel",
)

PAGE = 64 * 1024  # of WebAssembly
THREAD_STACK = 4 * WASM_STACK  # the guest's, the host's own frames, and room to spare

MEMORY = ("snapshot", "memory")
"""The import by which a module gets its initialised memory, where it does not hold it itself."""

USES = 50  # of a store, which keeps something of each of its instances

CALL_FUEL = 100_000  # about what the host's part of a call costs in time


def check_binding() -> None:
    missing = [name for name in PRIVATE if not hasattr(ffi, name)]
    if missing:
        raise ImportError(
            f"This `wasmtime` lacks {missing}; the sandbox is made for the version that "
            "`guest.py` pins: see the bump procedure in sandbox/README.md."
        )


check_binding()


UNWANTED = ("threads", "relaxed_simd", "simd", "gc", "function_references", "exceptions",
            "memory64", "multi_memory", "stack_switching")  # fmt: skip
"""Parts of WebAssembly that no guest uses. A text can have a compiler use them, and the C API
ends the process over a type that it does not know."""


def configured(stack: int) -> wasmtime.Config:
    config = wasmtime.Config()
    # An engine refuses a wasm stack that is larger than the async stack, which is never used here.
    ffi.wasmtime_config_async_stack_size_set(config.ptr(), 2 * stack)
    config.max_wasm_stack = stack
    for feature in UNWANTED:
        setattr(config, f"wasm_{feature}", False)
    return config


def runtime_config() -> wasmtime.Config:
    config = configured(WASM_STACK)
    config.consume_fuel = True
    config.epoch_interruption = True
    config.cranelift_opt_level = "speed"
    return config


def runtime_engine() -> wasmtime.Engine:
    config = runtime_config()
    # Programs of C are compiled here: in the worker's own thread, for others would first look for
    # the number of processors, in files.
    config.parallel_compilation = False
    return wasmtime.Engine(config)


def compiling_engine(target: str | None) -> wasmtime.Engine:
    """Its code runs on any processor of the target, and in a `runtime_engine` there; without a
    target, on processors like this one."""
    config = runtime_config()
    if target is None:
        return wasmtime.Engine(config)
    fault = ffi.wasmtime_config_target_set(
        config.ptr(), ctypes.create_string_buffer(target.encode())
    )
    if fault:
        raise SandboxUnavailable(f"wasmtime does not compile for `{target}`")
    return wasmtime.Engine(config)


def quick_engine() -> wasmtime.Engine:
    """For the one run of an initialisation, where compiling costs more than running. Code that is
    not optimised needs more stack."""
    config = configured(2 * WASM_STACK)
    config.cranelift_opt_level = "none"
    return wasmtime.Engine(config)


class Window:
    """A guest's memory during one call from it."""

    __slots__ = ("_base", "_size")

    def __init__(self, memory: wasmtime.Memory, store: wasmtime.Store | wasmtime.Caller) -> None:
        self._base = address_of(memory, store)
        self._size = memory.data_len(store)

    def read(self, address: int, length: int) -> bytes:
        return ctypes.string_at(self._at(address, length), length)

    def write(self, address: int, data: bytes) -> None:
        ctypes.memmove(self._at(address, len(data)), data, len(data))

    def _at(self, address: int, length: int) -> int:
        address &= U32  # wasmtime hands out i32 as signed
        if length < 0 or address + length > self._size:
            raise IndexError(address)
        return self._base + address


def charge(caller: wasmtime.Caller, run: Run) -> None:
    """Take a call's price from the guest's fuel, or all of it: then the guest ends at its next
    step, without an exception in a callback."""
    left = ctypes.c_uint64(0)
    check(ffi.wasmtime_context_get_fuel(caller._context(), ctypes.byref(left)))
    if run.flooded and run.fuel_left is None:
        run.fuel_left = left.value
    rest = 0 if run.flooded else max(0, left.value - CALL_FUEL)
    check(ffi.wasmtime_context_set_fuel(caller._context(), rest))


def check(error: ctypes._Pointer[ffi.wasmtime_error_t]) -> None:
    if error:
        raise wasmtime.WasmtimeError._from_ptr(error)


Ask = Callable[[Run, Window], int | None]


class Imports:
    """The functions that a guest may call, all answered by the run that is going on."""

    def __init__(self, engine: wasmtime.Engine, module: wasmtime.Module, fueled: bool) -> None:
        self.run: Run | None = None
        self.memory: wasmtime.Memory | None = None
        self.linker = wasmtime.Linker(engine)
        self._fueled = fueled
        self.linker.allow_shadowing = True  # each store has a memory of its own
        for wanted in module.imports:
            if (wanted.module, wanted.name) == MEMORY:
                continue  # given by `Room`
            if not isinstance(wanted.type, wasmtime.FuncType) or wanted.name is None:
                raise SandboxUnavailable(f"the guest wants `{wanted.name}`, which is no function")
            function = self._events if wanted.module == "guard" else self._wasi(wanted.name)
            self.linker.define_func(wanted.module, wanted.name, wanted.type, function, True)

    def _events(self, caller: wasmtime.Caller, address: int, length: int) -> None:
        self._answer(caller, lambda run, memory: run.deliver(memory, address, length))

    def _wasi(self, name: str) -> Callable[..., int | None]:
        def answer(caller: wasmtime.Caller, *arguments: int) -> int | None:
            number = self._answer(caller, lambda run, memory: run.wasi(memory, name, arguments))
            return None if name == "proc_exit" else BAD_ADDRESS if number is None else number

        return answer

    def _answer(self, caller: wasmtime.Caller, ask: Ask) -> int | None:
        run, memory = self.run, self.memory
        if run is None or memory is None:
            return None
        try:
            answer = ask(run, Window(memory, caller))
            if self._fueled:
                charge(caller, run)
            return answer
        # The edge to wasm. wasmtime-py would keep the exception in a module global; `broken` keeps
        # it for the end of this run.
        except Exception as error:  # raised here, it would surface in another run
            run.broken = error
            return None


@dataclass(frozen=True, slots=True)
class Image:
    """A guest's state after its initialisation."""

    memory: bytes
    globals: dict[str, int]


def initialise(wasm: bytes, world: World) -> Image:
    """Run a guest's `g_init` in the world. Raises `SandboxUnavailable` with what it said."""
    with own_thread() as thread:
        return thread.submit(_initialise, wasm, world).result()


def _initialise(wasm: bytes, world: World) -> Image:
    engine = quick_engine()
    module = wasmtime.Module(engine, wasm)
    imports = Imports(engine, module, fueled=False)
    imports.run = run = Run(world, Limits())
    with wasmtime.Store(engine) as store:
        exports = imports.linker.instantiate(store, module).exports(store)
        memory = exports["memory"]
        assert isinstance(memory, wasmtime.Memory)
        imports.memory = memory
        try:
            for name in ("_initialize", "g_init"):
                function = exports[name]
                assert isinstance(function, wasmtime.Func)
                function(store)
        except (wasmtime.Trap, wasmtime.WasmtimeError) as error:
            said = run.world.output.decode("utf-8", "replace").strip() or str(error)
            raise SandboxUnavailable(f"the guest failed to initialise: {said}") from error
        if run.broken is not None:
            raise SandboxUnavailable("the guest's initialisation broke the host") from run.broken
        values = {
            item.name: int(value.value(store))
            for item in module.exports
            if isinstance(value := exports[item.name], wasmtime.Global)
        }
        return Image(Window(memory, store).read(0, memory.data_len(store)), values)


def compiled(wasm: bytes, target: str | None = None) -> bytes:
    """Native code for a guest, to be kept and given to `Guest`; takes seconds."""
    return bytes(wasmtime.Module(compiling_engine(target), wasm).serialize())


class Guest:
    """A compiled guest, ready to run jobs, one at a time and each in a fresh copy."""

    def __init__(self, path: Path, pages: PageMap | None = None) -> None:
        """Load native code made by `compiled`, and the memory beside it. The files are trusted like
        this program itself."""
        self._engine = runtime_engine()
        try:
            self._module = wasmtime.Module.deserialize_file(self._engine, str(path))
        except wasmtime.WasmtimeError as error:
            raise SandboxUnavailable(f"the compiled guest does not load: {error}") from error
        self._imports = Imports(self._engine, self._module, fueled=True)
        self._load(path, pages)
        self._deadline = Deadline(self._engine.increment_epoch)
        self._stopped = False
        self._thread = own_thread()

    def _load(self, path: Path, pages: PageMap | None) -> None:
        image = MemoryImage(path.with_suffix(IMAGE), pages)
        self._room = Room(self._engine, self._module, self._imports.linker, image)

    def __enter__(self) -> Guest:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._thread.shutdown()
        self._deadline.close()
        self._unload()

    def _unload(self) -> None:
        self._room.close()

    def run(self, job: bytes, limits: Limits) -> Recording:
        """Run one job to its end. Raises `SandboxUnavailable` if the engine cannot."""
        return self.start(job, limits).result()

    def start(self, job: bytes, limits: Limits) -> Future[Recording]:
        """Like `run`, on the guest's own thread; a second job waits for the first."""
        self._stopped = False
        return self._thread.submit(self._run, job, limits)

    def stop(self) -> None:
        """End the job that runs now, within a millisecond or so."""
        self._stopped = True  # first, for a job that has not set its epoch deadline yet
        self._engine.increment_epoch()

    def _run(self, job: bytes, limits: Limits) -> Recording:
        run = Run(World(limits.output), limits)
        began = time.perf_counter()
        self._imports.run = run
        try:
            copy = self._room.enter(limits)
            # After the epoch deadline: a `stop` that comes before moves the epoch for nothing.
            self._deadline.set(0 if self._stopped else limits.seconds)
            self._imports.memory = copy.memory
            ended, finished, detail = attempt(run, copy, job)
            fuel = limits.fuel - (run.fuel_left or copy.store.get_fuel())
            peak = copy.memory.data_len(copy.store)
            self._room.leave(run.broken is None and finished)
        except wasmtime.WasmtimeError as error:
            raise SandboxUnavailable(f"no copy of the guest could be made: {error}") from error
        finally:
            self._room.clear()
            self._deadline.clear()
            self._imports.run = self._imports.memory = None
        if run.broken is not None:
            raise SandboxUnavailable("a host function failed") from run.broken
        return Recording(
            ended=ended,
            finished=finished,
            events=tuple(run.events),
            fuel_used=fuel,
            seconds=time.perf_counter() - began,
            memory_peak=peak,
            output=run.world.output,
            detail=detail,
        )


class Room:
    """Where runs take place, one after the other: a store, and a memory that is as its image is
    when a run begins. Each run has an instance of its own, with globals and tables of its own.

    After a run that came to its end in an orderly way the memory is restored, and the next uses it
    again. After any other the store is thrown away, the memory with it."""

    def __init__(
        self,
        engine: wasmtime.Engine,
        module: wasmtime.Module,
        linker: wasmtime.Linker,
        image: MemoryImage,
    ) -> None:
        self._engine, self._module, self._linker, self._image = engine, module, linker, image
        self._store: wasmtime.Store | None = None
        self._memory: wasmtime.Memory | None = None
        self._uses = 0
        self._clean = False

    def enter(self, limits: Limits) -> Copy:
        """A fresh copy. Raises `SandboxUnavailable` or `WasmtimeError` if there can be none."""
        if limits.memory < self._image.size:
            raise SandboxUnavailable("no copy of the guest could be made: it takes more memory")
        store = self._store or self._furnished()
        self._clean = False
        self._uses += 1
        store.set_limits(memory_size=limits.memory)
        store.set_fuel(limits.fuel)
        store.set_epoch_deadline(1)
        return Copy(store, self._linker.instantiate(store, self._module))

    def leave(self, orderly: bool) -> None:
        """Make ready for the next run, if this one did nothing out of the ordinary."""
        store, memory = self._store, self._memory
        assert store is not None and memory is not None
        if orderly and self._uses < USES and memory.data_len(store) == self._image.size:
            self._image.restore(address_of(memory, store))
            self._clean = True

    def clear(self) -> None:
        """Throw away what was not made ready."""
        if self._store is not None and not self._clean:
            self._store.close()
            self._store = self._memory = None

    def close(self) -> None:
        self._clean = False
        self.clear()
        self._image.close()

    def _furnished(self) -> wasmtime.Store:
        self._store = store = wasmtime.Store(self._engine)
        self._uses, self._clean = 0, False
        kind = wasmtime.MemoryType(wasmtime.Limits(self._image.size // PAGE, None))
        self._memory = memory = wasmtime.Memory(store, kind)
        self._image.put(address_of(memory, store))
        self._linker.define(store, *MEMORY, memory)
        return store


def address_of(memory: wasmtime.Memory, store: wasmtime.Store | wasmtime.Caller) -> int:
    return ctypes.addressof(memory.data_ptr(store).contents)


class Copy:
    """A fresh instance of the guest, for one job."""

    def __init__(self, store: wasmtime.Store, instance: wasmtime.Instance) -> None:
        exports = instance.exports(store)
        memory, pending = exports["memory"], exports["g_pending"]
        allocate, execute = exports["g_alloc"], exports["g_run"]
        assert isinstance(memory, wasmtime.Memory) and isinstance(pending, wasmtime.Global)
        assert isinstance(allocate, wasmtime.Func) and isinstance(execute, wasmtime.Func)
        self.memory = memory
        self.pending = int(pending.value(store))
        self.store, self._allocate, self._execute = store, allocate, execute

    def put(self, job: bytes) -> int:
        """The address of the job in the guest; 0 if it has no room."""
        address = self._allocate(self.store, len(job))
        assert isinstance(address, int)
        if address:
            self.window().write(address, job)
        return address

    def window(self) -> Window:
        return Window(self.memory, self.store)

    def execute(self, address: int, length: int) -> bool:
        """Whether the harness returned, rather than raised."""
        return bool(self._execute(self.store, address, length) == 0)


Judgement = tuple[Ended, bool, str]
"""How it ended, whether the harness returned, and the detail."""


def attempt(run: Run, copy: Copy, job: bytes) -> Judgement:
    trap: wasmtime.Trap | None = None
    finished = False
    try:
        address = copy.put(job)
        if not address:
            return "out_of_memory", False, "the job does not fit"
        finished = copy.execute(address, len(job))
    except wasmtime.Trap as caught:
        trap = caught
    run.take_pending(copy.window(), copy.pending)
    return judged(run, trap, finished)


ENDINGS: dict[wasmtime.TrapCode, Ended] = {
    wasmtime.TrapCode.INTERRUPT: "timed_out",
    wasmtime.TrapCode.OUT_OF_FUEL: "out_of_fuel",
}


def judged(run: Run, trap: wasmtime.Trap | None, finished: bool) -> Judgement:
    """Why a guest ended: our own reasons first, since they are carried out by a trap."""
    code = trap.trap_code if trap else None
    detail = code.name.lower() if code else "unknown"
    if run.flooded:
        return "flooded", False, ""
    if run.refused_memory:
        return "out_of_memory", False, ""
    if run.world.exit_status is not None:
        return "exited", False, f"exit status {run.world.exit_status}"
    if trap is None:
        return "exited", finished, "" if finished else "the harness raised"
    return (ENDINGS.get(code, "trapped") if code else "trapped"), False, detail


def own_thread() -> ThreadPoolExecutor:
    """One thread whose stack holds the guest's, whatever stack its creator has."""
    executor = ThreadPoolExecutor(1, thread_name_prefix="guest")
    before = threading.stack_size(THREAD_STACK)
    try:
        executor.submit(int).result()
    finally:
        threading.stack_size(before)
    return executor
