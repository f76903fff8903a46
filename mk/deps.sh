#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that are missing: `mk/deps.sh build` or `mk/deps.sh test`. As root or through sudo; without either it
# prints the command to type and fails. Where everything is there it does nothing and needs no rights.
set -u
build="gcc libc6-dev binutils pkg-config libjansson-dev libpcre2-dev libutf8proc-dev libxxhash-dev"
test="$build g++ clang libclang-rt-14-dev libcmocka-dev coinor-cbc liblapacke-dev"
case "${1:-build}" in build) want=$build ;; test) want=$test ;; *) echo "usage: $0 build|test" >&2; exit 2 ;; esac

command -v dpkg-query >/dev/null 2>&1 || exit 0 # not a Debian: the compiler's own errors say what is missing
missing=
for p in $want; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing="$missing $p"
done
[ -n "$missing" ] || exit 0

run=
if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null 2>&1 && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        run="sudo"
    else
        echo "pare needs these packages:$missing" >&2
        echo "Type as root:  apt-get install -y --no-install-recommends$missing" >&2
        exit 1
    fi
fi
echo "installing:$missing"
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -qq || echo "the package lists could not be renewed; trying with those that are here" >&2
$run apt-get install -y -qq --no-install-recommends $missing >/dev/null || {
    echo "Installation failed. Type as root:  apt-get update && apt-get install -y$missing" >&2
    exit 1
}
