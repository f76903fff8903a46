#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job on the model that ships with pare: fit it to 4 bits a weight, look at the report, let the result write.
set -eu
build=${1:-build}
out=$build/demo
mkdir -p "$out"
rm -f "$out/small.gguf"
echo "\$ pare fit data/demo-llama --bpw 4 -o $out/small.gguf --report $out/report.html"
"$build/pare" fit data/demo-llama --bpw 4 -o "$out/small.gguf" --report "$out/report.html"
echo
echo "\$ pare run $out/small.gguf -p \"The people of the United States\" -n 60 --temp 0.7 --seed 3"
"$build/pare" run "$out/small.gguf" -p "The people of the United States" -n 60 --temp 0.7 --seed 3
echo
echo "The report with its plots: $out/report.html"
