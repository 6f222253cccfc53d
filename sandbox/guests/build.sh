#!/bin/sh
# Builds the base Python guest: CPython for wasm32-wasi as a reactor, and its library as a zip.
#
#   build.sh SOURCES WORK OUT
#
# SOURCES holds the tarballs named in sources.sha256, WORK is scratch space, OUT gets the guest.
# The compiler is zig from the `ziglang` wheel, which the `python3` first on PATH must have; a
# native C compiler builds the interpreter that CPython's cross build needs. No network is used.
# Finished steps leave a mark in WORK and are skipped when the script runs again.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
sources=$(cd "$1" && pwd)
mkdir -p "$2" "$3"
work=$(cd "$2" && pwd)
out=$(cd "$3" && pwd)
host_python=$(command -v python3)
jobs=$(nproc)

export LC_ALL=C SOURCE_DATE_EPOCH=1700000000 ZIG_GLOBAL_CACHE_DIR="$work/zig-cache"
export CPYTHON="$work/cpython" PATH="$work/bin:$PATH"
emulation="-D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS"
emulated="-lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks"
# SOCK_RAW: CPython's socket module wants the number, though no such socket can be made.
# The path map keeps WORK's name out of the guest, so that the digest does not depend on it.
flags="-O2 -g0 $emulation -fno-sanitize=undefined -Wno-unused-command-line-argument \
-Wno-date-time -DSOCK_RAW=3 -ffile-prefix-map=$work=. -I$work/prefix/include"

step() { # runs the function of that name unless it finished before
    if [ -f "$work/done-$1" ]; then return; fi
    echo "== $1"
    "$1" # no condition around it: `set -e` would not hold inside
    touch "$work/done-$1"
}

unpack() {
    (cd "$sources" && sha256sum -c "$here/sources.sha256")
    mkdir -p "$work/bin" "$work/prefix/lib" "$work/prefix/include"
    while read -r _ tarball; do
        folder=$work/${tarball%%_*}
        mkdir -p "$folder"
        tar -xf "$sources/$tarball" -C "$folder" --strip-components=1
    done < "$here/sources.sha256"
    mv "$work/python3.13" "$work/cpython"
}

wrappers() {
    for tool in cc c++ ar ranlib; do
        target=""
        case $tool in c*) target="--target=wasm32-wasi" ;; esac
        printf '#!/bin/sh\nexec "%s" -m ziglang %s %s "$@"\n' "$host_python" $tool "$target" \
            > "$work/bin/wasm-$tool"
        chmod +x "$work/bin/wasm-$tool"
    done
}

zlib() {
    mkdir -p "$work/zlib-build" && cd "$work/zlib-build"
    for part in adler32 compress crc32 deflate inffast inflate inftrees trees uncompr zutil; do
        wasm-cc $flags -c "$work/zlib/$part.c" -o $part.o
    done
    wasm-ar rcsD "$work/prefix/lib/libz.a" ./*.o
    cp "$work/zlib/zlib.h" "$work/zlib/zconf.h" "$work/prefix/include"
}

sqlite() {
    mkdir -p "$work/sqlite-build" && cd "$work/sqlite-build"
    ../sqlite3/configure --disable-tcl > configure.log && make -s sqlite3.c sqlite3.h > make.log
    # No files, no threads, no extensions: the guest's databases live in memory.
    wasm-cc $flags -Os -c sqlite3.c -o sqlite3.o -DSQLITE_OMIT_LOAD_EXTENSION \
        -DSQLITE_THREADSAFE=0 -DSQLITE_DEFAULT_UNIX_VFS='"unix-none"' -DSQLITE_OMIT_WAL \
        -DSQLITE_MAX_MMAP_SIZE=0 -DSQLITE_TEMP_STORE=3 -DSQLITE_DQS=0
    wasm-ar rcsD "$work/prefix/lib/libsqlite3.a" sqlite3.o
    cp sqlite3.h "$work/prefix/include"
}

native() { # the interpreter of the same version that the cross build runs
    mkdir -p "$work/native" && cd "$work/native"
    ../cpython/configure -q --disable-test-modules --with-ensurepip=no CFLAGS=-O1 \
        py_cv_module__ctypes=n/a py_cv_module__hashlib=n/a py_cv_module__ssl=n/a \
        py_cv_module__tkinter=n/a py_cv_module__curses=n/a py_cv_module_readline=n/a \
        > configure.log
    make -s -j"$jobs" > make.log
}

configure() {
    mkdir -p "$work/wasi" && cd "$work/wasi"
    CONFIG_SITE="$here/configure.site" PKG_CONFIG=/bin/false \
        CC=wasm-cc CXX=wasm-c++ AR=wasm-ar RANLIB=wasm-ranlib \
        CFLAGS="$flags" LDFLAGS="-L$work/prefix/lib $emulated -s" \
        ZLIB_CFLAGS="-I$work/prefix/include" ZLIB_LIBS="-L$work/prefix/lib -lz" \
        LIBSQLITE3_CFLAGS="-I$work/prefix/include" \
        LIBSQLITE3_LIBS="-L$work/prefix/lib -lsqlite3" \
        ../cpython/configure -q -C --host=wasm32-wasi --build="$(../cpython/config.guess)" \
        --with-build-python=../native/python --prefix=/usr --with-pymalloc --without-mimalloc \
        --disable-test-modules --with-ensurepip=no --without-doc-strings > configure.log
}

interpreter() { # objects and libraries only: CPython's own command-line program is not wanted
    cd "$work/wasi"
    printf 'include Makefile\nneeds:\n\t@echo $(LIBRARY) $(filter %%.a,$(MODLIBS))\n' > needs.mk
    # `filter` also lists libz.a and the like when they stand there as paths; keep what make builds.
    needs=$(make -s -f needs.mk needs | tr ' ' '\n' | grep -v "^/")
    make -j"$jobs" $needs > make.log 2>&1 || { tail -20 make.log; return 1; }
}

reactor() {
    cd "$work/wasi"
    printf 'include Makefile\nlink:\n\t@echo $(MODLIBS) $(LIBS) $(LIBM)\n' > link.mk
    wasm-cc $flags -Wall -I. -I../cpython/Include -c "$here/reactor.c" -o reactor.o
    wasm-cc $flags -Wall -c "$here/stubs.c" -o stubs.o
    wasm-cc -L"$work/prefix/lib" -mexec-model=reactor -Wl,-z,stack-size=8388608 -s \
        -o python.wasm reactor.o stubs.o libpython3.13.a $(make -s -f link.mk link) $emulated \
        -Wl,--export=g_init -Wl,--export=g_run -Wl,--export=g_alloc -Wl,--export=g_pending
}

library() { # byte code of the standard library, in a process without a random hash seed
    cd "$work"
    PYTHONHASHSEED=0 native/python -S "$here/library.py" cpython/Lib python_library.zip
}

pack() {
    cp "$work/wasi/python.wasm" "$work/python.wasm"
    for part in python.wasm python_library.zip; do
        xz --format=xz -9e --threads=1 --keep --stdout "$work/$part" > "$out/$part.xz"
        (cd "$work" && sha256sum "$part") && (cd "$out" && sha256sum "$part.xz")
    done
}

step unpack
step wrappers
step native
step zlib
step sqlite
step configure
step interpreter
step reactor
step library
step pack
