#!/bin/sh
# Builds the base of the C guest: wasi-libc, libc++ and the runtime that answers the compiler's
# checks, as one reactor module that programs are linked against.
#
#   build_c.sh WORK OUT
#
# WORK is scratch space, OUT gets the guest. The compiler and the libraries' sources are those of the
# `ziglang` wheel, which the `python3` first on PATH must have. No network is used. It takes some
# four minutes, most of it for the libraries.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1" "$2"
work=$(cd "$1" && pwd)
out=$(cd "$2" && pwd)

export LC_ALL=C SOURCE_DATE_EPOCH=1700000000 ZIG_GLOBAL_CACHE_DIR="$work/zig-cache"
export ZIG_LOCAL_CACHE_DIR="$work/zig-cache"
zig="python3 -m ziglang"
emulation="-D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_MMAN"
flags="-O2 -g0 -D_GNU_SOURCE $emulation -fno-sanitize=undefined -fno-builtin -ffile-prefix-map=$work=."

cp -r "$here/c" "$work/"
cd "$work"
# Zig makes the libraries when something is linked with them; where it keeps them is asked of it.
printf '#include <iostream>\nint main() { std::cout << clock(); }\n' > libraries.cpp
$zig c++ --target=wasm32-wasi -O2 -g0 -fno-sanitize=undefined $emulation libraries.cpp -o libraries.wasm \
    -lwasi-emulated-process-clocks
for part in cases checks texts world; do
    $zig cc --target=wasm32-wasi $flags -Wall -Wextra -Wno-builtin-requires-header \
        -Wno-incompatible-library-redeclaration -c "c/$part.c" -o "$part.o"
done
archives="" # in an order of their own: that of the cache differs from one machine to the next
for name in libc libzigc libc++ libc++abi libcompiler_rt; do
    archives="$archives $(find zig-cache/o -name "$name.a")"
done
python3 "$here/exports.py" $archives > exports
wraps=$(sed -n 's/.*__wrap_\([a-z_]*\)(.*/--wrap=\1/p' c/*.c | sort -u)
$zig wasm-ld --no-entry --allow-multiple-definition --import-undefined --no-stack-first \
    --global-base=65536 -z stack-size=262144 --initial-memory=30408704 \
    --export-table --growable-table --strip-all $wraps @exports \
    --export=g_lines --export=g_pending --export=__stack_pointer \
    cases.o checks.o texts.o world.o --whole-archive $archives -o c.wasm
python3 "$here/symbols.py" c.wasm c_symbols.o
for part in c.wasm c_symbols.o; do
    xz --format=xz -9e --threads=1 --keep --stdout "$part" > "$out/$part.xz"
    sha256sum "$part"
    (cd "$out" && sha256sum "$part.xz")
done
