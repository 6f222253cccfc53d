#!/bin/sh
# Builds all guests again from their public sources, and compares them with what is committed.
#
#   rebuild.sh WORK
#
# WORK is scratch space. Sources that WORK/sources lacks are fetched: by pip and npm, and by apt from
# the source packages of Debian, of the release that SUITE names (`sid`); elsewhere than on Debian put
# the tarballs that the two `sources.sha256` name there first. Wanted are a C compiler, `make`,
# `tclsh`, `xz` and a `python3` with `venv`. Ends with 1 if a guest differs.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1/sources"
work=$(cd "$1" && pwd)
sources=$work/sources

from_debian() { # name=version…
    folder=$work/apt
    mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial"
    # The first entry is the archive's, whatever mirror this machine uses.
    awk 'BEGIN { RS = "" } NR == 1' /etc/apt/sources.list.d/debian.sources | sed \
        -e 's/^Types:.*/Types: deb-src/' -e "s/^Suites:.*/Suites: ${SUITE:-sid}/" > "$folder/debian.sources"
    apt="apt-get -q -o Dir::Etc::sourcelist=$folder/debian.sources -o Dir::Etc::sourceparts=/dev/null \
        -o Dir::State::Lists=$folder/lists -o Dir::Cache=$folder/cache"
    $apt update
    (cd "$sources" && $apt source --download-only --tar-only "$@")
}

python3 -m venv "$work/venv"
PATH=$work/venv/bin:$PATH
pip install --quiet --disable-pip-version-check ziglang==0.17.1
cd "$sources"
[ -f quickjs_ng-0.17.0.2.tar.gz ] ||
    pip download --quiet --no-deps --no-binary :all: quickjs-ng==0.17.0.2
[ -f sucrase-3.35.1.tgz ] || npm pack --silent sucrase@3.35.1
ls python3.13_*.orig.tar.xz sqlite3_*.orig.tar.xz zlib_*.orig.tar.gz > /dev/null 2>&1 ||
    from_debian python3.13=3.13.15-1 sqlite3=3.53.4-2 zlib=1:1.3.dfsg+really1.3.2-3

sh "$here/build_c.sh" "$work/c" "$work/out"
sh "$here/build_javascript.sh" "$sources" "$work/javascript" "$work/out"
sh "$here/build.sh" "$sources" "$work/python" "$work/out"
python3 "$here/compare.py" "$work/out"
