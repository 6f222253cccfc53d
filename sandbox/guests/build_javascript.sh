#!/bin/sh
# Builds the base JavaScript guest: QuickJS for wasm32-wasi as a reactor, and sucrase as its library.
#
#   build_javascript.sh SOURCES WORK OUT
#
# SOURCES holds the tarballs named in javascript_sources.sha256, WORK is scratch space, OUT gets the
# guest. The compiler is zig from the `ziglang` wheel, which the `python3` first on PATH must have.
# No network is used. It takes less than a minute.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sources=$(cd "$1" && pwd)
mkdir -p "$2" "$3"
work=$(cd "$2" && pwd)
out=$(cd "$3" && pwd)

export LC_ALL=C SOURCE_DATE_EPOCH=1700000000 ZIG_GLOBAL_CACHE_DIR="$work/zig-cache"
emulation="-D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_PROCESS_CLOCKS"
emulated="-lwasi-emulated-signal -lwasi-emulated-process-clocks"
# The path map keeps WORK's name out of the guest, so that the digest does not depend on it.
flags="-O2 -g0 -D_GNU_SOURCE $emulation -fno-sanitize=undefined -ffile-prefix-map=$work=."

(cd "$sources" && sha256sum -c "$here/javascript_sources.sha256")
for tarball in quickjs_ng sucrase; do
    mkdir -p "$work/$tarball"
    tar -xf "$sources/$tarball"-*.t*gz -C "$work/$tarball" --strip-components=1
done

cd "$work"
engine=quickjs_ng/upstream-quickjs
for part in dtoa libregexp libunicode quickjs; do
    python3 -m ziglang cc --target=wasm32-wasi $flags -w -c "$engine/$part.c" -o "$part.o"
done
cp "$here/javascript_reactor.c" reactor.c
python3 -m ziglang cc --target=wasm32-wasi $flags -Wall -I"$engine" -c reactor.c -o reactor.o
python3 -m ziglang cc --target=wasm32-wasi -mexec-model=reactor -Wl,-z,stack-size=2097152 -s \
    -o javascript.wasm reactor.o quickjs.o libregexp.o libunicode.o dtoa.o $emulated \
    -Wl,--export=g_init -Wl,--export=g_run -Wl,--export=g_alloc -Wl,--export=g_pending
python3 "$here/bundle.py" sucrase/dist javascript_library.js

for part in javascript.wasm javascript_library.js; do
    xz --format=xz -9e --threads=1 --keep --stdout "$part" > "$out/$part.xz"
    sha256sum "$part"
    (cd "$out" && sha256sum "$part.xz")
done
