#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The main job from end to end: `tests/cli/fit.sh [BUILD]` from the root of the repository. One line per case; the last line is the
# sum. PARE_KILLS (default 3) says how many runs are killed at random moments.
#
# Most cases calibrate on one window and choose among six types: the same code in a fraction of the time. The cases whose subject is
# quality (prediction, proof) use the defaults.
set -u
LC_ALL=C
export LC_ALL
build=${1:-build}
pare=$build/pare
model=data/demo-llama
kills=${PARE_KILLS:-3}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
out=$tmp/out err=$tmp/err
passed=0 failed=0 name= why=

# The environment of whoever runs this must not reach the command.
for v in $(env | sed -n 's/^\(PARE_[A-Z0-9_]*\)=.*/\1/p'); do unset "$v"; done

tools=$build/tests/cli
mkdir -p "$tools"
for t in jsoncheck peak; do
    ${CC:-cc} -std=c11 -O1 -o "$tools/$t" "tests/cli/$t.c" $(pkg-config --cflags --libs jansson) || exit 1
done
json() { # json FILE PATH
    "$tools/jsoncheck" "$2" <"$1" 2>/dev/null
}

head -c 2300 data/text/calibration.txt >"$tmp/short.txt"
six=q8_0,q6_k,q5_k,q4_k,q3_k,q2_k

finish() { # ends the case that is open
    [ -z "$name" ] && return
    if [ -z "$why" ]; then
        passed=$((passed + 1))
        echo "ok    $name ($(($(date +%s) - case_began)) s)"
    else
        failed=$((failed + 1))
        echo "FAIL  $name: $why"
        sed 's/^/        | /' "$err" | head -8
    fi
    name=
}
start() { # start NAME: ends the last case and opens one
    finish
    name=$1 why= case_began=$(date +%s)
}
wrong() { [ -n "$why" ] || why=$*; }
run() { # run STATUS COMMAND ARGUMENTS...: crashes and sanitizer reports fail whatever was expected
    want=$1
    shift
    "$@" >"$out" 2>"$err"
    got=$?
    [ "$got" -eq "$want" ] || wrong "exit status $got, expected $want"
    if grep -q 'Sanitizer\|runtime error' "$err"; then wrong "a sanitizer speaks"; fi
}
quick() { # quick STATUS ARGUMENTS...: fit of the model with the settings that are fast
    want=$1
    shift
    run "$want" "$pare" fit "$model" --text "$tmp/short.txt" --methods "$six" --no-proof --json -q "$@"
}
same() { # same FILE FILE
    [ -f "$1" ] && cmp -s "$1" "$2" || wrong "$(basename "$1") is not the same as $(basename "$2")"
}
absent() { [ ! -e "$1" ] || wrong "$(basename "$1") stands there"; }
err_has() { grep -q -- "$1" "$err" || wrong "standard error lacks \"$1\""; }
true_of() { # true_of FILE PATH CONDITION: awk decides about the number x
    v=$(json "$1" "$2")
    [ -n "$v" ] && awk -v x="$v" "BEGIN { exit !($3) }" || wrong "$2 is ${v:-absent}, expected $3"
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }
random_below() { # random_below N
    awk -v r="$(od -An -N4 -tu4 /dev/urandom)" -v n="$1" 'BEGIN { printf "%d\n", r / 4294967296 * n }'
}
seconds() { awk -v ms="$1" 'BEGIN { printf "%.3f\n", ms / 1000 }'; }

# --- the result, its keys, its proof ----------------------------------------------------------------------------------------------

start "fit --bpw 4 with the defaults: keys of the contract"
run 0 "$pare" fit "$model" --bpw 4 -o "$tmp/A.gguf" --eval-chunks 12 --json -q --report "$tmp/A.html"
cp "$out" "$tmp/A.json"
for k in plan[0].tensor plan[0].type plan[0].bytes plan[0].loss predicted.bytes predicted.peak_rss predicted.kld predicted.decode_tps \
    predicted.prefill_tps measured.bytes measured.bpw measured.peak_rss measured.ppl measured.ppl_base measured.kld_mean \
    measured.kld_p999 measured.top1 measured.decode_tps measured.prefill_tps output seconds seed; do
    json "$tmp/A.json" "$k" >/dev/null || wrong "no $k in the document"
done
for k in peak_rss ppl ppl_base kld_mean kld_p999 decode_tps prefill_tps; do true_of "$tmp/A.json" "measured.$k" "x > 0"; done
grep -q '</html>' "$tmp/A.html" || wrong "the report is no whole page"
grep -q 'src="http\|href="http\|<script src' "$tmp/A.html" && wrong "the report refers to the outside"

start "the document tells the file's size, and both sizes agree"
true_of "$tmp/A.json" measured.bytes "x == $(wc -c <"$tmp/A.gguf")"
true_of "$tmp/A.json" predicted.bytes "x == $(wc -c <"$tmp/A.gguf")"
true_of "$tmp/A.json" measured.bpw "x <= 4 && x >= 3.98"

start "predicted and measured divergence are within a factor of 1.5"
true_of "$tmp/A.json" measured.kld_mean "x < 1.5 * $(json "$tmp/A.json" predicted.kld) && x > $(json "$tmp/A.json" predicted.kld) / 1.5"

start "predicted and measured memory of a run: never more than forecast"
true_of "$tmp/A.json" measured.peak_rss "x <= $(json "$tmp/A.json" predicted.peak_rss)"

start "the bits stored for each tensor add up to measured.bpw"
run 0 "$pare" inspect "$tmp/A.gguf" --json
n=$("$tools/jsoncheck" -n tensors <"$out") sum=0 i=0
while [ "$i" -lt "${n:-0}" ]; do
    sum=$((sum + $(json "$out" "tensors[$i].bytes")))
    i=$((i + 1))
done
true_of "$tmp/A.json" measured.bpw "x - 8 * $sum / $(json "$tmp/A.json" original.params) < 1e-6 && x - 8 * $sum / $(json "$tmp/A.json" original.params) > -1e-6"

start "eval --base agrees with the proof's divergence on a text that the user gave"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --methods $six --bpw 4 --eval data/text/proof.txt --eval-chunks 6 -o "$tmp/E.gguf" --json -q
cp "$out" "$tmp/E.json"
run 0 "$pare" eval "$tmp/E.gguf" --base "$model" --text data/text/proof.txt --bos --chunks 6 --json -q
true_of "$out" kld_mean "x > 0"
true_of "$out" kld_mean "x < 1.01 * $(json "$tmp/E.json" measured.kld_mean) && x > $(json "$tmp/E.json" measured.kld_mean) / 1.01"

# --- the same bytes ---------------------------------------------------------------------------------------------------------------

start "reference for the fast settings, two threads"
t0=$(now_ms)
quick 0 --bpw 4 -o "$tmp/T.gguf" -t 2
took=$(($(now_ms) - t0))
cp "$out" "$tmp/T.json"
for how in "-t 1 --cpu-mask avx512" "-t 3 --cpu-mask avx2"; do
    start "the same file with $how"
    quick 0 --bpw 4 -o "$tmp/same.gguf" $how
    same "$tmp/same.gguf" "$tmp/T.gguf"
    rm -f "$tmp/same.gguf"
done

start "types of our own: the same plan and file with one thread of a lower tier"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --methods pq2,pq3,q4_k --bpw 3 --no-proof -q -o "$tmp/all.gguf"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --methods pq2,pq3,q4_k --bpw 3 --no-proof -q -o "$tmp/same.gguf" -t 1 --cpu-mask avx2
same "$tmp/same.gguf" "$tmp/all.gguf"

start "a plan that rounds nothing with feedback replays to the bytes of the search that allowed it"
head -c 60000 data/text/calibration.txt >"$tmp/longer.txt" # more rows than a head is observed on without full moments
run 0 "$pare" fit "$model" --text "$tmp/longer.txt" --methods tc3 --bpw 3.2 --no-proof -q --json -o "$tmp/all.gguf"
"$tools/jsoncheck" -n plan <"$out" >/dev/null 2>&1 || wrong "no plan"
grep -q '"method":"gptq"' "$out" && wrong "rounded with feedback"
run 0 "$pare" inspect "$tmp/all.gguf" --json
sed -n 's/.*"pare.plan":"\(\(\\.\|[^"\\]\)*\)".*/\1/p' "$out" | sed 's/\\"/"/g' >"$tmp/stored.json"
run 0 "$pare" fit "$model" --text "$tmp/longer.txt" --plan "$tmp/stored.json" --no-proof -q -o "$tmp/same.gguf"
same "$tmp/same.gguf" "$tmp/all.gguf"

start "--plan-only prints a plan and writes nothing"
quick 0 --bpw 4 --plan-only
cp "$out" "$tmp/plan-only.json"
"$tools/jsoncheck" -j plan_document <"$out" >"$tmp/plan.json" 2>/dev/null || wrong "no plan_document"
[ "$("$tools/jsoncheck" -n plan <"$out")" = "$("$tools/jsoncheck" -n plan <"$tmp/T.json")" ] || wrong "not as many tensors"
true_of "$tmp/plan-only.json" predicted.kld "x == $(json "$tmp/T.json" predicted.kld)"

start "--plan of that plan gives the same bytes"
t0=$(now_ms)
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/plan.json" --no-proof -q -o "$tmp/P.gguf"
took_plan=$(($(now_ms) - t0))
same "$tmp/P.gguf" "$tmp/T.gguf"

start "--plan in the base tier gives the same bytes"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/plan.json" --no-proof -q -o "$tmp/same.gguf" --cpu-mask base
same "$tmp/same.gguf" "$tmp/T.gguf"

start "the plan in the file replays to the same bytes"
run 0 "$pare" inspect "$tmp/T.gguf" --json
"$tools/jsoncheck" metadata <"$out" >/dev/null 2>&1 || wrong "no metadata"
sed -n 's/.*"pare.plan":"\(\(\\.\|[^"\\]\)*\)".*/\1/p' "$out" | sed 's/\\"/"/g' >"$tmp/stored.json"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/stored.json" --no-proof -q -o "$tmp/same.gguf"
same "$tmp/same.gguf" "$tmp/T.gguf"

start "logits of the result: the same bytes for threads and tiers"
run 0 "$pare" logits "$tmp/A.gguf" --ids 0,17,300,4095,8000,12 --all -t 1
cp "$out" "$tmp/logits"
for how in "-t 2" "--cpu-mask base" "--cpu-mask avx2" "--cpu-mask avx512" "--cpu-mask vnni"; do
    run 0 "$pare" logits "$tmp/A.gguf" --ids 0,17,300,4095,8000,12 --all $how
    cmp -s "$out" "$tmp/logits" || wrong "other bytes with $how"
done
[ "$(wc -c <"$tmp/logits")" -eq $((6 * 8192 * 4)) ] || wrong "$(wc -c <"$tmp/logits") bytes of logits"

# --- interrupted and killed ---------------------------------------------------------------------------------------------------------

job() { # job KIND OUTPUT [FLAGS]: in the background; a search, or the execution of a plan
    kind=$1 o=$2
    shift 2
    if [ "$kind" = plan ]; then
        "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/plan.json" --no-proof -o "$o" "$@" >"$out" 2>"$err" &
    else
        "$pare" fit "$model" --text "$tmp/short.txt" --methods "$six" --bpw 4 --no-proof -o "$o" "$@" >"$out" 2>"$err" &
    fi
    pid=$!
}
whole_or_nothing() { # what a killed run may leave under the final name
    if [ -e "$1" ]; then cmp -s "$1" "$tmp/T.gguf" || wrong "something else stands under the final name"; fi
}
k=0
while [ "$k" -lt "$kills" ]; do
    k=$((k + 1))
    if [ $((k % 4)) -ne 2 ]; then kind=plan span=$took_plan; else kind=search span=$took; fi # a search costs eight times as much
    first=$(random_below "$span") second=$(random_below "$span")
    start "killed after $first of $span ms ($kind), resumed, killed after $second ms, resumed"
    victim=$tmp/kill$k.gguf
    for delay in "$first" "$second"; do
        job "$kind" "$victim" --resume
        sleep "$(seconds "$delay")"
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
        whole_or_nothing "$victim"
    done
    job "$kind" "$victim" --resume
    wait "$pid" || wrong "resuming failed"
    same "$victim" "$tmp/T.gguf"
    absent "$victim.part"
    absent "$victim.journal"
    rm -f "$victim"
done

# A signal that comes when the work is already over is no interruption: such a try is repeated. One thread leaves a core to this script.
caught() { # SIGINT to the running job; true when it was still at work
    kill -INT "$pid" 2>/dev/null
    wait "$pid"
    got=$?
    [ "$got" -ne 0 ]
}
interrupted() { # interrupted KIND: what must hold after a caught signal
    [ "$got" -eq 130 ] || wrong "exit status $got, expected 130"
    absent "$tmp/int.gguf"
    job "$1" "$tmp/int.gguf" --resume
    wait "$pid" || wrong "resuming failed"
    same "$tmp/int.gguf" "$tmp/T.gguf"
    rm -f "$tmp/int.gguf"
}
until_true() { # until_true CONDITION: at most 30 s
    n=0
    until eval "$1" || [ "$n" -ge 3000 ]; do
        sleep 0.01
        n=$((n + 1))
    done
}
for phase in sense rewrite; do
    start "Ctrl-C while it does \"$phase\": status 130, nothing under the name, --resume finishes"
    case $phase in
    sense) kind=search sign='grep -q "^sense" "$err"' ;;
    rewrite) kind=plan sign='[ -s "$tmp/int.gguf.journal" ] || ! kill -0 "$pid" 2>/dev/null' ;;
    esac
    for try in 1 2 3 4 5 6; do
        rm -f "$tmp/int.gguf" "$tmp/int.gguf.journal" "$tmp/int.gguf.part"
        job "$kind" "$tmp/int.gguf" -t 1
        until_true "$sign"
        caught && break
    done
    interrupted "$kind"
done

# --- budgets ----------------------------------------------------------------------------------------------------------------------

for x in 8 6 5 3; do
    start "--bpw $x is kept and used to 0.5 %"
    quick 0 --bpw "$x" --plan-only
    true_of "$out" predicted.bpw "x <= $x && x >= 0.995 * $x"
    "$tools/jsoncheck" -j plan_document <"$out" >"$tmp/plan$x.json" 2>/dev/null || wrong "no plan_document"
done
start "a journal of another job is not trusted"
job plan "$tmp/other.gguf"
n=0
until [ -s "$tmp/other.gguf.journal" ] || [ "$n" -ge 600 ] || [ -e "$tmp/other.gguf" ]; do
    sleep 0.02
    n=$((n + 1))
done
kill -9 "$pid" 2>/dev/null
wait "$pid" 2>/dev/null
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/plan5.json" --no-proof -q -o "$tmp/five.gguf"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/plan5.json" --no-proof -q -o "$tmp/other.gguf" --resume
same "$tmp/other.gguf" "$tmp/five.gguf"

start "--bpw 2.5 is kept and used to 0.5 %, by the file's own tensors"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --methods q3_k,pq2,pq3 --bpw 2.5 --eval-chunks 1 -q --json -o "$tmp/low.gguf"
true_of "$out" measured.bpw "x <= 2.5 && x >= 0.995 * 2.5"

start "--size is kept and used to 0.5 %"
quick 0 --size 4M -o "$tmp/size.gguf"
n=$(wc -c <"$tmp/size.gguf")
[ "$n" -le 4194304 ] && [ "$n" -ge 4173333 ] || wrong "$n bytes for 4194304"

start "--loss is kept: measured on the trial text, near it on the proof text"
run 0 "$pare" fit "$model" --methods "$six" --loss 0.02 --eval-chunks 8 -q --json -o "$tmp/loss.gguf"
true_of "$out" predicted.kld "x <= 0.02 && x > 0.01"
true_of "$out" measured.kld_mean "x <= 0.03 && x > 0.005"

start "--ram is kept by a real run at --ctx"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --methods "$six" --ram 21M --ctx 512 --eval-chunks 1 -q --json -o "$tmp/ram.gguf"
true_of "$out" measured.peak_rss "x <= 21 * 1048576"
true_of "$out" predicted.peak_rss "x <= 21 * 1048576 && x > 15 * 1048576"

start "several budgets at once: all are kept"
quick 0 --bpw 5 --size 4M --ram 30M --plan-only
true_of "$out" predicted.bpw "x <= 5"
true_of "$out" predicted.bytes "x <= 4194304"
true_of "$out" predicted.peak_rss "x <= 30 * 1048576"

start "--decode: an easy speed is met and forecast"
quick 0 --decode 0.5 --bpw 5 --plan-only
true_of "$out" predicted.decode_tps "x >= 0.5"

for b in "--bpw 0.5" "--size 200K" "--ram 2M" "--decode 1e8" "--loss 1e-6 --bpw 3"; do
    start "an impossible budget: $b"
    quick 4 $b -o "$tmp/none.gguf"
    absent "$tmp/none.gguf"
    absent "$tmp/none.gguf.part"
    case $b in
    --loss*) err_has "cannot be\|least possible" ;;
    --ram*) err_has "at least [0-9]" ;;
    *) err_has "least possible is [0-9]" ;;
    esac
    rm -f "$tmp/none.gguf"
done

start "a loss that rounding cannot keep keeps the tensors"
quick 0 --loss 1e-9 --plan-only
true_of "$out" predicted.kld "x <= 1e-9"

start "a budget above the original keeps every tensor: the same logits, bit for bit"
run 0 "$pare" convert "$model" -o "$tmp/bf16.gguf" --type keep -q
quick 0 --bpw 64 -o "$tmp/keep.gguf"
run 0 "$pare" logits "$tmp/keep.gguf" --ids 0,17,300,4095,8000,12 --all
cp "$out" "$tmp/logits"
run 0 "$pare" logits "$tmp/bf16.gguf" --ids 0,17,300,4095,8000,12 --all
cmp -s "$out" "$tmp/logits" || wrong "other logits"
run 0 "$pare" eval "$tmp/keep.gguf" --base "$model" --bos --chunks 1 --json -q
true_of "$out" kld_mean "x < 1e-7"
true_of "$out" top1 "x == 1"

# --- plans that are wrong, inputs that are wrong ----------------------------------------------------------------------------------

bad_plan() { # bad_plan NAME SCRIPT STATUS WORD: sed makes the plan wrong
    start "a broken plan is refused: $1"
    sed "$2" "$tmp/plan.json" >"$tmp/bad.json"
    cmp -s "$tmp/bad.json" "$tmp/plan.json" && wrong "the plan was not changed"
    run "$3" "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/bad.json" --no-proof -q -o "$tmp/none.gguf"
    absent "$tmp/none.gguf"
    err_has "$4"
}
bad_plan "cut short" 's/.$//' 3 bad.json
bad_plan "an unknown tensor" 's/blk\.0\.attn_q\.weight/blk.99.attn_q.weight/' 3 blk.99
bad_plan "an unknown type" 's/"type" *: *"q[0-9]_k"/"type":"q9_z"/' 3 q9_z
bad_plan "a tensor named twice" 's/blk\.0\.attn_q\.weight/blk.0.attn_k.weight/' 3 twice
bad_plan "a negative loss" 's/"loss" *: *[0-9]/"loss":-9/' 3 loss
bad_plan "a version of the future" 's/"version" *: *1/"version":2/' 3 version
bad_plan "no list" 's/"plan"/"plam"/' 3 plan
bad_plan "made for another original" 's/"fingerprint" *: *"[0-9a-f]*"/"fingerprint":"0123456789abcdef"/' 2 another
start "a plan that is not there is refused"
run 1 "$pare" fit "$model" --plan "$tmp/nowhere.json" --no-proof -q -o "$tmp/none.gguf"
err_has nowhere.json

mkdir "$tmp/hf"
cp "$model"/* "$tmp/hf"
before=$(cksum <"$tmp/hf/model.safetensors")
ln "$tmp/hf/model.safetensors" "$tmp/hard.gguf"
ln -s "$tmp/hf/model.safetensors" "$tmp/soft.gguf"
for o in "$tmp/hard.gguf" "$tmp/soft.gguf" "$tmp/hf/model.safetensors"; do
    start "the output is the input: $(basename "$o")"
    run 2 "$pare" fit "$tmp/hf" --bpw 4 --no-proof -q -o "$o"
    [ "$(cksum <"$tmp/hf/model.safetensors")" = "$before" ] || wrong "the input was changed"
done
rm -f "$tmp/hard.gguf" "$tmp/soft.gguf"

start "a truncated shard is refused"
truncate -s -1000 "$tmp/hf/model.safetensors"
run 3 "$pare" fit "$tmp/hf" --bpw 4 --no-proof -q -o "$tmp/none.gguf"
absent "$tmp/none.gguf"
err_has model.safetensors

start "a weight that is no number is refused, by name"
cp "$model/model.safetensors" "$tmp/hf/model.safetensors"
size=$(wc -c <"$tmp/hf/model.safetensors")
printf '\377\177\377\177' | dd of="$tmp/hf/model.safetensors" bs=1 seek=$((size - 300000)) conv=notrunc 2>/dev/null
run 3 "$pare" fit "$tmp/hf" --text "$tmp/short.txt" --methods "$six" --bpw 4 --no-proof -q -o "$tmp/none.gguf"
absent "$tmp/none.gguf"

start "an output that cannot be written is an error, not a crash"
run 1 "$pare" fit "$model" --text "$tmp/short.txt" --plan "$tmp/plan.json" --no-proof -q -o "$tmp/no/such/folder/x.gguf"

# --- other containers ---------------------------------------------------------------------------------------------------------------

start "--portable: only types of the GGUF standard, nothing of our own in the metadata"
run 0 "$pare" fit "$model" --text "$tmp/short.txt" --portable --bpw 3.5 --no-proof -q --json -o "$tmp/portable.gguf"
true_of "$out" predicted.bpw "x <= 3.5 && x >= 0.995 * 3.5"
run 0 "$pare" inspect "$tmp/portable.gguf" --json
n=$("$tools/jsoncheck" -n tensors <"$out") i=0
while [ "$i" -lt "${n:-0}" ]; do
    t=$(json "$out" "tensors[$i].type")
    case $t in
    [fF]32 | [fF]16 | [bB][fF]16 | [qQ][458]_[01] | [qQ][23456]_[kK] | [iI][qQ][1234]_* | [tT][qQ][12]_0 | [mM][xX][fF][pP]4) ;;
    *) wrong "type $t" ;;
    esac
    i=$((i + 1))
done
[ "${n:-0}" -gt 40 ] || wrong "only ${n:-0} tensors"
grep -q 'pare\.tensors' "$out" && wrong "it has tensors of our own"

start "a GGUF as input: of q8_0"
run 0 "$pare" convert "$model" -o "$tmp/q8.gguf" --type q8_0 -q
model_was=$model model=$tmp/q8.gguf
quick 0 --bpw 4 -o "$tmp/from8.gguf"
true_of "$out" predicted.bpw "x <= 4 && x >= 3.98"
model=$model_was
run 0 "$pare" eval "$tmp/from8.gguf" --base "$model" --bos --chunks 4 --json -q
true_of "$out" kld_mean "x < 0.1"

start "a GGUF as input: packed, the same plan and weights as from its rows"
run 0 "$pare" convert "$tmp/q8.gguf" -o "$tmp/q8p.gguf" --pack -q
model=$tmp/q8p.gguf
quick 0 --bpw 4 -o "$tmp/from8p.gguf"
model=$model_was
run 0 "$pare" logits "$tmp/from8.gguf" --ids 0,17,300,4095 --all
cp "$out" "$tmp/logits"
run 0 "$pare" logits "$tmp/from8p.gguf" --ids 0,17,300,4095 --all
cmp -s "$out" "$tmp/logits" || wrong "other logits"

start "a GGUF as input: of the container alone, the same loss as from the folder"
model=$tmp/bf16.gguf
quick 0 --bpw 4 -o "$tmp/from16.gguf"
true_of "$out" predicted.kld "x < 1.1 * $(json "$tmp/T.json" predicted.kld) && x > $(json "$tmp/T.json" predicted.kld) / 1.1"
model=$model_was

start "convert --type keep of a result keeps its weights"
run 0 "$pare" convert "$tmp/A.gguf" -o "$tmp/again.gguf" --type keep -q
run 0 "$pare" logits "$tmp/A.gguf" --ids 0,17,300,4095 --all
cp "$out" "$tmp/logits"
run 0 "$pare" logits "$tmp/again.gguf" --ids 0,17,300,4095 --all
cmp -s "$out" "$tmp/logits" || wrong "other logits"

# --- its own memory -----------------------------------------------------------------------------------------------------------------

start "--work-ram 64M bounds the whole job, the proof too"
run 0 "$tools/peak" "$tmp/peak" "$pare" fit "$model" --methods "$six" --bpw 4 --work-ram 64M --eval-chunks 8 -q -o "$tmp/work.gguf"
kb=$(cat "$tmp/peak")
[ "$kb" -le 65536 ] || wrong "the peak was $kb kB"

finish
echo "fit: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
