#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds every libFuzzer target with ASan and UBSan, replays its corpus, then runs it for SECONDS_EACH (default 5) from a fixed seed.
set -eu
build=${1:-build}
each=${SECONDS_EACH:-5}
san="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all"
make -j"$(nproc)" --no-print-directory BUILD="$build/fuzz" CC=clang OPT=-O1 SAN="$san" KERNEL_SAN= lib
libs=$(pkg-config --libs jansson libpcre2-8 libutf8proc libxxhash)
mkdir -p "$build/fuzz/work"
for src in tests/fuzz/fuzz_*.c; do
    name=$(basename "$src" .c)
    clang -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Iinclude -Isrc -o "$build/fuzz/$name" "$src" \
        "$build/fuzz/libpare.a" $libs -lm -pthread
    corpus=tests/fuzz/corpus/$name
    [ -d "$corpus" ] && "$build/fuzz/$name" -rss_limit_mb=2048 -timeout=10 "$corpus"/* </dev/null
    mkdir -p "$build/fuzz/work/$name"
    "$build/fuzz/$name" -seed=1 -max_total_time="$each" -rss_limit_mb=2048 -timeout=10 -max_len=65536 -print_final_stats=1 \
        "$build/fuzz/work/$name" $([ -d "$corpus" ] && echo "$corpus")
done
