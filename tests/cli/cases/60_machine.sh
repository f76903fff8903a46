# SPDX-License-Identifier: Apache-2.0
# version, methods, doctor, bench; signals.
try "version" 0 version
out_has '^pare [0-9]*\.[0-9]*\.[0-9]* '
try "--version" 0 --version
out_has '^pare '
try "version -v" 0 version -v
out_has kernels
try "methods" 0 methods
out_has guarantee
try "methods as JSON" 0 methods --json
json_has [0].id [0].module [0].guarantee [0].status; err_empty
try "doctor as JSON" 0 doctor --json -q
json_has ''; err_empty
try "bench as JSON" 0 bench $model --tests pp8,tg4 --repeat 1 --json -q
json_has machine.read_gbs machine.int8_gops machine.f32_gflops machine.tier machine.threads
json_is 'tests[0].name' pp8; json_is 'tests[1].name' tg4; json_true 'tests[0].tps' '>' 0
json_has 'tests[0].sd' 'tests[0].limit_tps' 'tests[0].fraction'; err_empty
try "bench of random weights in a type that is only read, at a depth" 0 bench --synthetic demo --type iq2_xs --tests pp8@16,tg4@16 --kv q4_0 --repeat 1 --json -q

try "bench of opening and of quantizing" 0 bench --synthetic demo --type q4_k --tests load,quantize --repeat 1 --json -q
json_is 'tests[0].name' load; json_is 'tests[1].name' quantize; json_true 'tests[0].seconds' '>' 0; json_true 'tests[1].seconds' '>' 0
json_true 'tests[1].fraction' '<' 1; err_empty
try "bench of quantizing to a type that is only read" 2 bench --synthetic demo --type iq2_xs --tests quantize --repeat 1
err_has iq2_xs

try "bench with a test that is none" 2 bench $model --tests pp8,walk --repeat 1

# Ctrl-C while text comes: the work ends, what was written stays, and the status says so.
finish
name="Ctrl-C stops a run" why=
: >"$out"
"$pare" run $model -p "The" -n -1 --ignore-eos --temp 1 -t 1 --cpu-mask base >"$out" 2>"$err" &
pid=$!
i=0
while [ ! -s "$out" ] && [ $i -lt 100 ]; do sleep 0.05; i=$((i + 1)); done
kill -INT $pid
wait $pid
judge $? 130
[ -s "$out" ] || wrong "no text before it"

finish
name="Ctrl-C stops fit, and nothing is left" why=
"$pare" fit $model --bpw 4 -o "$tmp/stop.gguf" -t 1 --cpu-mask base >"$out" 2>"$err" &
pid=$!
sleep 0.5
kill -INT $pid
wait $pid
judge $? 130
out_empty
[ ! -e "$tmp/stop.gguf" ] || wrong "a file stands under the final name"

finish
name="progress lines without a terminal" why=
"$pare" eval $model --chunks 2 --ctx 256 -t 1 --cpu-mask base >"$out" 2>"$err"
judge $? 0
err_has '^eval: [0-9]*0 %'
