# SPDX-License-Identifier: Apache-2.0
# Verbs, flags, help: what is typed wrong must be said and must not run.
try "no verb" 2
out_empty; err_has "usage: pare VERB"
try "help" 0 help
out_has "fit  *make a model fit"; err_empty
try "--help is help" 0 --help
out_has "usage: pare VERB"
try "-h after a verb" 0 run -h
out_has "usage: pare run MODEL"; out_has "--logit-bias"; err_empty
try "help of a verb" 0 help eval
out_has "--skip-chunks"
try "help of a misspelt verb" 2 help evla
err_has 'did you mean "eval"'
try "misspelt verb" 2 rnu $model
out_empty; err_has 'did you mean "run"'
try "unknown verb" 2 frobnicate
out_empty; err_has 'no verb "frobnicate"'
try "flag before the verb" 2 -q run $model
err_has "verb comes first"
try "misspelt flag" 2 run $model --tmp 0
out_empty; err_has "did you mean --temp"
try "unknown flag" 2 run $model --wibble
err_has "unknown flag --wibble"
try "unknown short flag" 2 run $model -Z
err_has "unknown flag -Z"
try "flag of another verb" 2 run $model --plan-only
err_has "no flag of .pare run."
try "flag without its value" 2 run $model --seed
err_has "--seed needs a value"
try "short flag without its value" 2 run $model -n
err_has "-n needs a value"
try "flag that is longer than any" 2 run $model --aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa=3
err_has "unknown flag"
try "value for a flag that takes none" 2 inspect $model --check=perhaps
err_has "neither yes nor no"
try "no model" 2 run
err_has "needs a model"
try "too many arguments" 2 inspect $model another
err_has 'unexpected "another"'
try "-- ends the flags" 1 inspect -- --json
out_empty; err_has "^pare: --json"
try "- is an argument" 2 template - --messages x
err_has "needs --template"

# Numbers: entirely a number or an error.
for bad in 3x x "" 1e3 0x10 " 3" +3 99999999999999999999 1.5 nan; do
    try "-n \"$bad\"" 2 run $model -p a -n "$bad"
    out_empty
done
for bad in 0,5 nan inf -1 x "" 0x1 "1 " 101 1e999; do
    try "--temp \"$bad\"" 2 run $model -p a --temp "$bad"
    out_empty
done
for bad in 1.5 -1 G 1X 1GB 1.G .5G 1e9 "" "1 G" 99999999999G 0 18446744073709551616; do
    try "--size \"$bad\"" 2 fit $model -o "$tmp/x" --size "$bad"
    out_empty
done
try "-n 0" 2 run $model -p a -n 0
try "-t 0" 2 run $model -p a -t 0
try "-t above the limit" 2 run $model -p a -t 1025
try "--top-p above 1" 2 run $model -p a --top-p 1.01
try "unknown tier" 2 run $model -p a --cpu-mask sse9
err_has "none of base|avx2|avx512|vnni"
try "unknown activations" 2 run $model -p a --activations bf16
try "unknown cache type" 2 run $model -p a --kv q3
for bad in 3 =1 x=1 3= 3=x -1=1 99999999999=1 3=1e9; do
    try "--logit-bias $bad" 2 run $model -p a --logit-bias "$bad"
done
try "empty stop text" 2 run $model -p a --stop ""
try "text given twice" 2 run $model -p a -f README.md
err_has "given twice"
try "ids and a text" 2 run $model -p a --ids 1,2
for bad in 1,,2 a 1,2, -1 1.0 2147483648 , "1;2" "[1,2" '[1,"2"]' '{"id":[1]}'; do
    try "--ids $bad" 2 detokenize $model --ids "$bad"
    out_empty
done
try "logits without ids" 2 logits $model
try "logits of no ids" 2 logits $model --ids ""
try "detokenize without ids" 2 detokenize $model
try "template without messages" 2 template $model
try "fit without a budget" 2 fit $model -o "$tmp/x.gguf"
err_has "no budget"
try "fit without an output" 2 fit $model --bpw 4
err_has "-o is missing"
try "convert without a type" 2 convert $model -o "$tmp/x.gguf"
try "convert without an output" 2 convert $model --type q8_0
try "pack without an output" 2 convert $model --pack
try "bench of nothing" 2 bench
try "chat as JSON" 2 chat $model --json
try "system without chat" 2 run $model -p a --system b

# What comes from the option table.
try "tables as JSON" 0 help --json
json_has verbs[0].name verbs[0].flags[0].env; err_empty
try "manual page" 0 help --man
out_has '^\.TH PARE 1'
cmp -s "$out" docs/pare.1 || wrong "docs/pare.1 is not what the table gives: run \`pare help --man > docs/pare.1\`"
try "completion" 0 help --completion-bash
if command -v bash >/dev/null; then
    got=$(bash -c '. "$1"; COMP_WORDS=(pare eval --ski); COMP_CWORD=2; _pare; echo "${COMPREPLY[*]}"' - "$out")
    [ "$got" = --skip-chunks ] || wrong "--ski completes to \"$got\""
    got=$(bash -c '. "$1"; COMP_WORDS=(pare eval --kv q); COMP_CWORD=3; _pare; echo "${COMPREPLY[*]}"' - "$out")
    [ "$got" = "q8_0 q5_0 q4_0" ] || wrong "--kv q completes to \"$got\""
fi
# A sanitizer's build would make the list of verbs slow to walk; one process per verb is still little.
for v in fit run chat eval bench inspect convert tokenize detokenize template logits methods doctor version; do
    try "help of $v fits 80 columns and has an example" 0 "$v" --help
    out_has "^Example:"
    awk 'length > 80 { exit 1 }' "$out" || wrong "a line is longer than 80 columns"
done
