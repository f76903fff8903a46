#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What protects correctness and can be read off the text: order of rooms, banned functions, symbol prefix, headers alone, unique names.
set -u
build=${1:-build}
bad=0
say() { echo "$*"; bad=1; }

# A room may use only rooms above it (docs/DESIGN.md).
rooms="base tensor kernel format token nn store model generate compress train eval serve hub"
allowed=
for r in $rooms; do
    allowed="$allowed $r"
    [ -d "src/$r" ] || continue
    for i in $(grep -rhoE '^#include "[a-z]+/' "src/$r" | sed 's/.*"//; s,/,,' | sort -u); do
        case " $allowed " in *" $i "*) ;; *) say "src/$r includes $i, a room below it: $(grep -rlE "^#include \"$i/" "src/$r" | head -3 | tr '\n' ' ')" ;; esac
    done
done
out=$(grep -rnE '^#include "' tools/pare | grep -vE '"[a-z_]+\.h"') && say "tools/pare reaches inside: $out"

# The system is reached through src/base only; bad data never ends the process.
out=$(grep -rnE '(^|[^A-Za-z0-9_>.])(malloc|calloc|realloc|free|strdup|fopen|open|close|exit|abort|assert|atoi|atof|strcpy|strcat|sprintf|gets|system|popen)\(' \
      src --include=*.c --include=*.h | grep -v '^src/base/' | grep -vE '^[^:]*:[0-9]*: *(\*|/\*|//)' | grep -vE '//.*\(|/\*.*(open|close|free|exit|abort)\(')
[ -n "$out" ] && say "banned functions outside src/base:" && echo "$out"

# Every global symbol carries the prefix.
out=$(nm -g --defined-only "$build/libpare.a" 2>/dev/null | awk 'NF==3{print $3}' | grep -vE '^pare_' | sort -u)
[ -n "$out" ] && say "global symbols without the prefix: $out"
out=$(nm -D --defined-only "$build/libpare.so" 2>/dev/null | awk '{print $3}' | grep -vE '^pare_' | sort -u)
[ -n "$out" ] && say "exported symbols without the prefix: $out"
[ -f "$build/libpare.so" ] || say "no $build/libpare.so"

# Public headers compile alone, as C99, C11 and C++; the inner ones as C11.
for h in include/pare/*.h; do
    for std in "gcc -std=c99 -x c" "gcc -std=c11 -x c" "g++ -std=c++11 -x c++"; do
        $std -fsyntax-only -Wall -Wextra -Wpedantic -Werror -Iinclude "$h" || say "$h does not compile alone with: $std"
    done
done
for h in $(find src -name '*.h' ! -name '*_list.h' ! -path 'src/kernel/x86/*'); do
    grep -q 'lint: included in the middle' "$h" && continue
    gcc -std=c11 -fsyntax-only -Iinclude -Isrc -x c "$h" 2>/dev/null || say "$h does not compile alone"
done

# One name, one file.
out=$(find src tools include tests -name '*.[ch]' | sed 's,.*/,,' | sort | uniq -d)
for n in $out; do
    [ "$(find src tools -name "$n" | wc -l)" -gt 1 ] && say "file name used twice: $n"
done

# Flags that would break exactness or ship to one machine only; words of unfinished work; paths of one machine.
grep -nE 'march=native|ffast-math|Ofast' Makefile mk/*.mk && say "forbidden compiler flags"
grep -rnEi '\b(TODO|FIXME|XXX|HACK)\b' src tools include --include=*.[ch] && say "marks of unfinished work"
for f in $(git ls-files src tools include 2>/dev/null | grep '\.[ch]$'); do
    head -1 "$f" | grep -q SPDX-License-Identifier || say "$f: no licence line"
done

echo "files above 800 lines (each should say why it is one file):"
find src tools -name '*.[ch]' | xargs wc -l | awk '$2 != "total" && $1 > 800 { print "  " $1 " " $2 }'
exit $bad
