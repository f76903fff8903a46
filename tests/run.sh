#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# All tests: `tests/run.sh BUILD`. Every step prints its own lines; the last line is the sum. A step that cannot run is a failure;
# a fixture that is absent is counted as skipped.
set -u
build=${1:-build}
jobs=$(nproc)
log=$build/test-log
passed=0 failed=0 skipped=0
mkdir -p "$log"

began=$(date +%s)
step() { printf '\n== %s (after %s s)\n' "$*" $(($(date +%s) - began)); }
ok() { passed=$((passed + 1)); echo "ok    $*"; }
bad() { failed=$((failed + 1)); echo "FAIL  $*"; }
check() { # check NAME COMMAND...: one pass or one failure; output kept in a file, shown when it fails
    name=$1; shift
    if "$@" >"$log/$name.txt" 2>&1; then ok "$name"; else bad "$name"; tail -25 "$log/$name.txt"; fi
}

# Sums of a cmocka program's own lines: cmocka NAME FILE STATUS, after it ran.
cmocka() {
    name=$1 file=$log/$2 rc=$3
    p=$(sed -n 's/^\[  PASSED  \] \([0-9]*\) test.*/\1/p' "$file" | tail -1)
    s=$(grep -c '^\[  SKIPPED \] [a-z_]' "$file")
    f=$(grep -c '^\[  FAILED  \] [a-z_]*$' "$file")
    p=${p:-0}
    skipped=$((skipped + s))
    if [ "$rc" -ne 0 ] || [ "$p" -eq 0 -a "$s" -eq 0 ]; then
        [ "$f" -eq 0 ] && f=1
        failed=$((failed + f)) passed=$((passed + p))
        echo "FAIL  $name ($p passed, $f failed)"; tail -25 "$file"
    else
        passed=$((passed + p))
        echo "ok    $name ($p passed$([ "$s" -gt 0 ] && echo ", $s skipped"))"
    fi
}

# run_all LABEL BUILD PROGRAM...: as many at a time as there are cores, since most of them keep one busy; told in order when all are done.
run_all() {
    label=$1 b=$2; shift 2
    rm -f "$log/$label"-*.rc
    printf '%s\n' "$@" | xargs -P "$jobs" -I{} sh -c \
        '[ -x "$1/tests/$3" ] || exit 0; "$1/tests/$3" >"$2-$3.txt" 2>&1; echo $? >"$2-$3.rc"' run "$b" "$log/$label" {}
    for n in "$@"; do
        if [ -f "$log/$label-$n.rc" ]; then cmocka "$label/$n" "$label-$n.txt" "$(cat "$log/$label-$n.rc")"
        else bad "$label/$n was not built"; fi
    done
}

programs=$(for f in tests/golden/test_*.c tests/method/test_*.c tests/kernel/test_*.c tests/unit/test_*.c tests/crash/test_*.c; do [ -f "$f" ] && basename "$f" .c; done)
checked=$(for f in tests/golden/test_*.c tests/unit/test_*.c tests/crash/test_*.c;  do [ -f "$f" ] && basename "$f" .c; done)

step "build: gcc and clang, warnings are errors"
check build-gcc make -j"$jobs" --no-print-directory BUILD="$build" build testbins
check build-clang make -j"$jobs" --no-print-directory BUILD="$build/clang" CC=clang OPT=-O0 build # for its warnings

step "lint"
check lint sh tests/lint.sh "$build"

step "unit, kernel, golden and malformed-input tests"
run_all plain "$build" $programs

step "the same under AddressSanitizer and UndefinedBehaviorSanitizer"
check build-san make -j"$jobs" --no-print-directory BUILD="$build/san" OPT=-O1 SAN="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" $(printf "$build/san/tests/%s " $checked)
PARE_TEST_BRIEF=1 run_all san "$build/san" $checked

step "fuzz targets: build with libFuzzer, replay the corpus, run briefly"
check fuzz sh tests/fuzz/run.sh "$build"

step "the command"
for n in run fit; do sh "tests/cli/$n.sh" "$build" >"$log/cli-$n.txt" 2>&1 & done
wait
for n in run fit; do
    line=$(sed -n 's/^.*: \([0-9]*\) passed, \([0-9]*\) failed.*$/\1 \2/p' "$log/cli-$n.txt" | tail -1)
    set -- $line
    passed=$((passed + ${1:-0})) failed=$((failed + ${2:-1}))
    echo "cli/$n: ${1:-0} passed, ${2:-1} failed"
    [ "${2:-1}" = 0 ] || grep -a FAIL "$log/cli-$n.txt" | head -20
done

printf '\n%s s in all\n' $(($(date +%s) - began))
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
