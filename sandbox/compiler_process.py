"""What runs inside a compiler process: one untrusted text, compiled and linked, and then the end.

Started as `python -I -m bluecode.sandbox.compiler_process PARENT FOLDER ZIG [HEADERS]`. It gives up
what a compiler does not need, then waits for the text. All that the compiler can open is its own
headers and FOLDER, which is this process's alone.
"""

from __future__ import annotations

import json
import lzma
import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bluecode.sandbox.confinement import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    follow_parent,
    prctl,
)
from bluecode.sandbox.landlock import CHANGE, EXECUTE, READ, READ_FILE, restrict
from bluecode.sandbox.languages.c import GLOBAL_BASE, TABLE_BASE
from bluecode.sandbox.system_calls import COMPILERS, forbid_system_calls

HERE = Path(__file__).parent
INCLUDE = HERE / "guests" / "c"
SYMBOLS = INCLUDE.parent / "c_symbols.o.xz"  # whose digest the service has looked at
PROGRAM = "program"  # the name of the file in messages, which checks.c knows too

CPU_SECONDS, MEMORY, FILE_BYTES, DESCRIPTORS = 4, 1024**3, 8 * 1024**2, 64
COMPLAINT = 20_000

RECOVERED = (
    "array-bounds,local-bounds,signed-integer-overflow,unsigned-integer-overflow,"
    "integer-divide-by-zero,shift-base,shift-exponent,null,object-size,vla-bound,pointer-overflow"
)
CHECKS = (
    f"-fsanitize=address,{RECOVERED},unreachable,return",
    f"-fsanitize-recover={RECOVERED}",
    "-fsanitize-address-use-after-return=never",
    "-fsanitize-address-use-after-scope",
    *("-mllvm", "-asan-instrumentation-with-call-threshold=0"),
    *("-mllvm", "-asan-mapping-offset=0x400000"),  # `SHADOW` of runtime.h
    *("-mllvm", "-asan-max-inline-poisoning-size=0"),
)
TARGET = (
    *("-triple", "wasm32-unknown-wasip1", "-O1", "-disable-free"),
    *("-disable-llvm-verifier", "-discard-value-names", "-mrelocation-model", "static"),
    *("-fno-builtin", "-fgnuc-version=4.2.1", "-nostdsysteminc", "-nobuiltininc"),
    *("-target-feature", "+sign-ext", "-target-feature", "+mutable-globals"),
    *("-target-feature", "+bulk-memory", "-target-feature", "+bulk-memory-opt"),
    *("-ferror-limit", "3", "-w", "-fno-caret-diagnostics"),
    *("-ftemplate-depth=256", "-fconstexpr-steps=200000", "-fbracket-depth", "256"),
)
EMULATED = ("SIGNAL", "PROCESS_CLOCKS", "GETPID", "MMAN")
LIBCPP = (
    *("ABI_VERSION=1", "ABI_NAMESPACE=__1", "HAS_THREADS=0", "HAS_MONOTONIC_CLOCK"),
    *("HAS_TERMINAL", "HAS_MUSL_LIBC=1", "DISABLE_VISIBILITY_ANNOTATIONS"),
    *("HAS_VENDOR_AVAILABILITY_ANNOTATIONS=0", "HAS_FILESYSTEM=1", "HAS_RANDOM_DEVICE"),
    *("HAS_LOCALIZATION", "HAS_UNICODE", "HAS_WIDE_CHARACTERS", "HAS_NO_STD_MODULES"),
    *("PSTL_BACKEND_SERIAL", "HARDENING_MODE=_LIBCPP_HARDENING_MODE_EXTENSIVE"),
    "ASSERTION_SEMANTIC_DEFAULT=_LIBCPP_ASSERTION_SEMANTIC_ENFORCE",
)
"""As zig builds the library, but that it checks its callers."""
DIALECTS = {
    "c": ("-x", "c", "-std=gnu17", "-Wno-error=implicit-function-declaration",
          "-Wno-error=int-conversion", "-Wno-error=incompatible-pointer-types",
          "-Wno-error=implicit-int", "-Wno-error=return-type"),
    "cpp": ("-x", "c++", "-std=gnu++20", "-fdeprecated-macro", "-fcxx-exceptions",
            "-fignore-exceptions", *(f"-D_LIBCPP_{name}" for name in LIBCPP)),
}  # fmt: skip
LINKING = (
    *("--import-undefined", "--import-memory", "--import-table", f"--table-base={TABLE_BASE}"),
    *("--no-stack-first", "--no-entry", f"--global-base={GLOBAL_BASE}", "-z", "stack-size=64"),
    *("--export=__wasm_call_ctors", "--export=__bluecode_main", "--export=__stack_pointer"),
    "--strip-all",
)


@dataclass(frozen=True, slots=True)
class Toolchain:
    """Where the compiler is, what it may read, and how it is called."""

    zig: Path
    precompiled: Path | None = None
    """The headers of C++, as `precompile` left them: reading them takes a second otherwise."""

    @property
    def headers(self) -> tuple[Path, ...]:
        lib = self.zig.parent / "lib"
        c = lib / "libc" / "include"
        return lib / "include", c / "wasm-wasi-musl", c / "generic-musl"

    @property
    def headers_of_cpp(self) -> tuple[Path, ...]:
        lib = self.zig.parent / "lib"
        return lib / "libcxx" / "include", lib / "libcxxabi" / "include"

    def compiling(self, dialect: str, source: str, to: str) -> list[str]:
        ready = self.precompiled if dialect == "cpp" else None
        first = ["-include", str(INCLUDE / "harness.h")]
        if ready is not None:
            first = ["-fno-validate-pch", "-include-pch", str(ready)]
        return [*self._called(dialect), "-emit-obj", *first, "-o", to, source]

    def precompiling(self, source: str, to: str) -> list[str]:
        words = self._called("cpp")
        words[words.index("c++")] = "c++-header"
        return [*words, "-emit-pch", "-fno-pch-timestamp", "-o", to, source]

    def _called(self, dialect: str) -> list[str]:
        folders = [*(self.headers_of_cpp if dialect == "cpp" else ()), *self.headers]
        included = [word for path in [INCLUDE / "include", *folders] for word in ("-isystem", path)]
        emulated = [f"-D_WASI_EMULATED_{name}" for name in EMULATED]
        return [
            *(str(self.zig), "clang", "-cc1", *TARGET, *CHECKS, *emulated, "-D_GNU_SOURCE"),
            *("-main-file-name", PROGRAM, *DIALECTS[dialect], *map(str, included)),
        ]

    def linking(self, source: str, to: str) -> list[str]:
        return [str(self.zig), "wasm-ld", *LINKING, "symbols", source, "-o", to]


def confine(parent: int, folder: Path, tools: Toolchain) -> None:
    """Give up what a compiler never needs. Raises `OSError` if the system refuses."""
    if sys.platform == "linux":
        follow_parent(parent)
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_DUMPABLE, 0)
        rules = [(tools.zig, EXECUTE | READ_FILE), (INCLUDE, READ)]
        rules += [(path, READ) for path in (*tools.headers, *tools.headers_of_cpp)]
        rules += [(tools.precompiled, READ_FILE)] if tools.precompiled else []
        rules += [(folder, CHANGE), (Path("/dev/null"), CHANGE)]
        restrict(rules)
        forbid_system_calls(COMPILERS)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
    os.closerange(3, DESCRIPTORS)


def compiled(folder: Path, tools: Toolchain, dialect: str, code: bytes) -> tuple[str, bytes]:
    """What came of a text: `ok` and the module, or `wrong` and the compiler's complaint."""
    (folder / PROGRAM).write_bytes(code)
    steps = (
        tools.compiling(dialect, PROGRAM, "object"),
        tools.linking("object", "module"),
    )
    for step in steps:
        if complaint := run(step, folder):
            return "wrong", complaint
    return "ok", (folder / "module").read_bytes()


def run(command: Sequence[str], folder: Path) -> bytes:
    """What a failed step said; empty for one that did well."""
    environment = {"TMPDIR": str(folder), "HOME": str(folder)}
    with (folder / "said").open("w+b") as said:
        done = subprocess.run(  # its time is bounded by RLIMIT_CPU here, by a deadline outside
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            check=False,
        )
        if done.returncode == -signal.SIGKILL and not worn_out():
            os._exit(1)  # killed from outside, and no answer: the service tries again
        said.seek(0)
        return said.read(COMPLAINT) or b"it was ended" if done.returncode else b""


def worn_out() -> bool:
    """Has a step used up its processor time, so that the kernel has killed it?"""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime > CPU_SECONDS - 0.5


def precompile(zig: Path, to: Path) -> bool:
    """Read the headers of C++ once for all; only our own text is compiled. False if that fails,
    and each text is then compiled with them."""
    with tempfile.TemporaryDirectory(dir=to.parent, suffix=".making") as folder:
        made = Path(folder) / "headers"
        run(Toolchain(zig).precompiling(str(INCLUDE / "common.h"), str(made)), Path(folder))
        if made.is_file():
            made.replace(to)
    return to.is_file()


def main(parent: str, folder: str, zig: str, headers: str = "") -> None:
    tools = Toolchain(Path(zig), Path(headers) if headers else None)
    (Path(folder) / "symbols").write_bytes(lzma.decompress(SYMBOLS.read_bytes()))
    confine(int(parent), Path(folder), tools)
    os.write(1, b"ready\n")
    job = json.loads(sys.stdin.buffer.readline() or b"null")
    if job is None:
        return  # not needed after all
    word, answer = compiled(Path(folder), tools, job["dialect"], job["code"].encode())
    sys.stdout.buffer.write(json.dumps({"came": word, "bytes": len(answer)}).encode() + b"\n")
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BrokenPipeError:
        pass  # the service is gone
    os._exit(0)
