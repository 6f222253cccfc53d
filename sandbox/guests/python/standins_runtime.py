"""Dynamic code, input, time, threads and event loops, and modules that this build lacks."""

import ast
import asyncio
import builtins
import concurrent.futures
import importlib
import io
import linecache
import os
import sys
import threading
import time
import types

import standins_input
from recording import Exhausted, frame_above, plain

SYNTAX_ONLY = ast.PyCF_ONLY_AST


READING = "lambda holder, name, *default: getattr(holder, name, *default)"


def install(state, sources, sink, unknown):
    """Patch what the snippet may call."""
    _install_dynamic(state, sink, unknown)
    standins_input.install(sources)
    _install_sources_of_code()
    _install_time()
    _install_threads()
    _install_loop()


def _install_dynamic(state, sink, unknown):
    real_eval, real_exec, real_compile = builtins.eval, builtins.exec, builtins.compile

    def spaces(args, keywords, frame):
        given = list(args) or [keywords.get("globals"), keywords.get("locals")]
        if given[0] is None:
            return frame.f_globals, frame.f_locals
        given[0].setdefault("__builtins__", builtins)
        return given[0], given[1] if len(given) > 1 and given[1] is not None else given[0]

    def harmless(source):
        return not state.tainted(source)

    def from_snippet(frame):
        """The standard library makes code too (named tuples, data classes): not told."""
        return frame.f_code.co_filename[:1] == "<"

    def evaluate(source, /, *args, **keywords):
        frame = frame_above(1)
        if isinstance(source, types.CodeType) or not from_snippet(frame):
            return real_eval(source, *spaces(args, keywords, frame))
        sink("code", "eval", source)
        return real_eval(source, *spaces(args, keywords, frame)) if harmless(source) else 0

    def execute(source, /, *args, **keywords):
        keywords.pop("closure", None)
        frame = frame_above(1)
        if isinstance(source, types.CodeType) or not from_snippet(frame):
            return real_exec(source, *spaces(args, keywords, frame))
        sink("code", "exec", source)
        if harmless(source):
            real_exec(source, *spaces(args, keywords, frame))
        return None

    def compiled(source, filename="<string>", mode="exec", flags=0, *args, **keywords):
        if isinstance(source, ast.AST) and from_snippet(frame_above(1)):
            source = ast.unparse(source)
        watched = from_snippet(frame_above(1)) and isinstance(source, (str, bytes))
        if watched and not flags & SYNTAX_ONLY and not harmless(source):
            sink("code", "compile", source)
            return real_compile("0", "<string>", "eval" if mode == "eval" else "exec")
        return real_compile(source, filename, mode, flags, *args, **keywords)

    real_import, real_module = builtins.__import__, importlib.import_module

    def imported(name, *args, **keywords):
        if state.tainted(name):
            sink("import", "__import__", name)
            return unknown(plain(name))
        return real_import(name, *args, **keywords)

    def module(name, package=None):
        if state.tainted(name):
            sink("import", "importlib.import_module", name)
            return unknown(plain(name))
        return real_module(name, package)

    # Not by a function of the harness, to which the insides of the others are open.
    read = real_eval(real_compile(READING, "<attribute>", "eval"))

    def attribute(holder, name, *default):
        if state.tainted(name) and not state.made(name):  # as it was given: all of the name
            sink("import", "getattr", name)
        return read(holder, name, *default)

    state.attribute = attribute
    builtins.eval, builtins.exec, builtins.compile = evaluate, execute, compiled
    builtins.__import__, importlib.import_module = imported, module


def _install_sources_of_code():
    """The lines of code that a traceback shows: of none here."""
    linecache.updatecache = lambda *_, **__: []
    linecache.lazycache = lambda *_, **__: False
    linecache.checkcache = lambda *_, **__: None


def _install_time():
    time.sleep = lambda seconds: None


def _install_threads():
    def start(self):
        try:
            self.run()
        except Exception:  # as in a real thread: its end is its own, and its starter goes on
            return

    threading.Thread.start = start
    threading.Thread.join = lambda self, timeout=None: None
    threading.Thread.is_alive = lambda self: False
    threading.Timer.run = lambda self: self.function(*self.args, **self.kwargs)

    class Inline:
        """An executor or a process pool that does the work at once."""

        def __init__(self, *_, **__):
            pass

        def submit(self, function, /, *args, **keywords):
            future = concurrent.futures.Future()
            try:
                future.set_result(function(*args, **keywords))
            except Exception as error:  # as the real executors do: it belongs to the future
                future.set_exception(error)
            return future

        apply_async = submit

        def apply(self, function, args=(), kwds=()):
            return function(*args, **dict(kwds))

        def map(self, function, *items, **_):
            return [function(*row) for row in zip(*items)]  # noqa: B905 - as `map` does

        imap = imap_unordered = starmap = map

        def _nothing(self, *_, **__):
            return None

        shutdown = close = join = terminate = _nothing

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    concurrent.futures.ThreadPoolExecutor = concurrent.futures.ProcessPoolExecutor = Inline
    processes = types.ModuleType("multiprocessing")
    processes.Pool = processes.ThreadPool = Inline
    processes.Process = threading.Thread
    processes.cpu_count = lambda: 2
    processes.Queue = importlib.import_module("queue").Queue
    processes.Lock = threading.Lock
    processes.pool = processes
    for name in ("multiprocessing", "multiprocessing.pool", "multiprocessing.dummy"):
        sys.modules[name] = processes


def drive(awaitable):
    """Run a coroutine to its end without an event loop; what it waits for is there at once."""
    if not hasattr(awaitable, "__await__"):
        return awaitable
    steps = awaitable.__await__()
    for _ in range(500):
        try:
            next(steps)
        except StopIteration as end:
            return end.value
    raise Exhausted


class Finished:
    """A task or a future: done when it is made."""

    def __init__(self, awaitable=None):
        self._value = drive(awaitable)

    def __await__(self):
        yield from ()
        return self._value

    def result(self, timeout=None):
        return self._value

    def done(self):
        return True

    def cancel(self, *_):
        return False

    def add_done_callback(self, function, **_):
        function(self)

    def set_result(self, value):
        self._value = value

    def exception(self):
        return None


def _install_loop():
    async def nothing(*_, **__):
        return None

    async def gather(*awaitables, return_exceptions=False):
        return [drive(item) for item in awaitables]

    async def wait_for(awaitable, *_, **__):
        return drive(awaitable)

    async def to_thread(function, /, *args, **keywords):
        return function(*args, **keywords)

    class Loop:
        def run_until_complete(self, awaitable):
            return drive(awaitable)

        async def run_in_executor(self, executor, function, *args):
            return function(*args)

        def create_task(self, awaitable, **_):
            return Finished(awaitable)

        def call_soon(self, function, *args, **_):
            function(*args)

        def time(self):
            return time.monotonic()

        def is_running(self):
            return True

        def _nothing(self, *_, **__):
            return None

        close = run_forever = stop = set_debug = add_signal_handler = shutdown_asyncgens = _nothing

        def is_closed(self):
            return False

        def create_future(self):
            return Finished()

    loop = Loop()
    asyncio.run = lambda main, **_: drive(main)
    asyncio.sleep, asyncio.gather, asyncio.wait_for = nothing, gather, wait_for
    asyncio.to_thread, asyncio.shield = to_thread, lambda awaitable: awaitable
    asyncio.create_task = asyncio.ensure_future = lambda awaitable, **_: Finished(awaitable)
    for name in ("get_event_loop", "get_running_loop", "new_event_loop"):
        setattr(asyncio, name, lambda: loop)
    asyncio.set_event_loop = lambda *_: None


def install_async_processes(told, completed):
    async def shell(command, *_, **__):
        told("asyncio.create_subprocess_shell", command, True)
        return Process()

    async def execute(program, *args, **__):
        told("asyncio.create_subprocess_exec", [program, *args], False)
        return Process()

    class Process:
        returncode, pid = 0, 4242

        async def communicate(self, *_):
            return b"done\n", b""

        async def wait(self):
            return 0

        def kill(self):
            return None

        terminate = kill

    asyncio.create_subprocess_shell = shell
    asyncio.create_subprocess_exec = execute


def missing_modules(unknown):
    """Modules of the standard library that WASI lacks, where a plain stand-in will do."""
    for name in ("bz2", "lzma", "fcntl", "pwd", "grp", "termios", "resource", "curses", "readline",
                 "syslog", "crypt", "spwd", "nis", "tkinter", "pty", "tty",
                 "webbrowser"):  # fmt: skip
        module = types.ModuleType(name)
        module.__getattr__ = lambda attribute, name=name: member(unknown, name, attribute)
        module.__path__ = []
        sys.modules[name] = module
    for name, kind in (("bz2", "BZ2File"), ("lzma", "LZMAFile")):
        sys.modules[name].LZMAError = OSError
        setattr(sys.modules[name], kind, NeverPacked)  # `tarfile.open` tries each packing in turn


class NeverPacked:
    """A packed file of a kind that this build cannot read."""

    def __init__(self, *_, **__):
        pass

    def read(self, *_):
        raise OSError("not a packed file")

    seek = tell = read

    def close(self):
        return None


def member(unknown, module, attribute):
    if attribute.startswith("__"):
        raise AttributeError(attribute)
    return unknown(f"{module}.{attribute}")
