# SPDX-License-Identifier: Apache-2.0
# inspect, convert, eval, and files that are missing, broken or hostile.
try "inspect as JSON" 0 inspect $model --json
json_is format safetensors; json_is arch llama; json_true params '>' 6000000; json_has metadata tensors[0].name tensors[0].type
json_has tensors[0].shape tensors[0].offset tensors[0].bytes bytes; err_empty
try "inspect for people" 0 inspect $model
out_has "bits per weight"; out_has "model.layers.\*.mlp.up_proj.weight"
try "inspect -v names every tensor" 0 inspect $model -v
out_has "model.layers.5.mlp.up_proj.weight"
try "inspect --check" 0 inspect $model --check --json
json_is check.nan 0; json_is check.inf 0
try "convert" 0 convert $model -o "$tmp/q8.gguf" --type q8_0 --json -q
json_is output "$tmp/q8.gguf"; err_empty
json_is bytes "$(wc -c <"$tmp/q8.gguf" | tr -d ' ')"
try "what was converted can be inspected" 0 inspect "$tmp/q8.gguf" --json --check
json_is format gguf; json_is check.nan 0; json_is bytes "$(wc -c <"$tmp/q8.gguf" | tr -d ' ')"
try "and run" 0 run "$tmp/q8.gguf" -p "In the beginning God created" -n 4 --json
json_is ids "[269,793,294,269]"
try "and has the same tokenizer" 0 tokenize "$tmp/q8.gguf" -p "In the beginning God created" --json
json_is ids "$(sed -n 2p $golden/prompts.jsonl | "$tools/jsoncheck" ids)"
try "convert to a type that is none" 2 convert $model -o "$tmp/x.gguf" --type q99
[ ! -e "$tmp/x.gguf" ] || wrong "a file was left"
try "convert into a folder that is not there" 1 convert $model -o "$tmp/none/x.gguf" --type f16 -q
out_empty

try "eval" 0 eval $model --chunks 2 --ctx 128 --json -q
json_is tokens 254; json_true ppl '>' 1; json_true ppl_se '>' 0; json_has nll; err_empty
try "eval against itself" 0 eval $model --base $model --chunks 1 --ctx 128 --json -q
json_is kld_mean 0.0; json_is top1 1.0; json_has kld_se kld_p999
try "eval scores the second half" 0 eval $model --chunks 2 --ctx 128 --score half --json -q
json_is tokens 126
try "eval with begin tokens" 0 eval $model --chunks 2 --ctx 128 --bos --json -q
json_is tokens 254
try "eval for people" 0 eval $model --chunks 1 --ctx 64 -q
out_has "^perplexity  *[0-9.]* "
try "eval on a text that is not there" 1 eval $model --text "$tmp/none.txt"
out_empty; err_has none.txt
if [ -f "$fixtures/data/text/heldout.txt" ]; then
    # The figure itself is the golden tests' concern; here a file and standard input must lead to the same windows.
    try "eval on a file" 0 eval $model --text "$fixtures/data/text/heldout.txt" --ctx 512 --bos --chunks 2 --json -q
    json_is tokens 1022
    nll=$(json nll)
    head -c 65536 "$fixtures/data/text/heldout.txt" >"$tmp/held"
    in=$tmp/held
    try "eval on standard input" 0 eval $model --text - --ctx 512 --bos --chunks 2 --json -q
    json_is nll "$nll"
fi

# Files that are not there, or not what they should be. The code says whose fault it is.
for v in inspect run tokenize logits eval detokenize; do
    case $v in
        run | tokenize) set -- -p a ;;
        logits | detokenize) set -- --ids 1 ;;
        *) set -- ;;
    esac
    try "$v: no such file" 1 $v "$tmp/no-such.gguf" "$@"
    out_empty; err_has "no-such.gguf"
    : >"$tmp/empty.gguf"
    try "$v: empty file" 3 $v "$tmp/empty.gguf" "$@"
    out_empty; err_has "empty.gguf"
    head -c 5000 /dev/zero >"$tmp/zeros.gguf"
    try "$v: zeros" 3 $v "$tmp/zeros.gguf" "$@"
    out_empty; err_has "zeros.gguf"
    printf 'GGUF\003\000\000\000\377\377\377\377\377\377\377\177\377\377\377\377\377\377\377\177' >"$tmp/huge.gguf"
    try "$v: promises what it has not" 3 $v "$tmp/huge.gguf" "$@"
    out_empty; err_has "huge.gguf"
    head -c 3000000 "$tmp/q8.gguf" >"$tmp/cut.gguf"
    case $v in
        inspect | run | logits | eval)
            try "$v: half a file" 3 $v "$tmp/cut.gguf" "$@"
            out_empty; err_has "cut.gguf" ;;
    esac
    mkdir -p "$tmp/nothing"
    try "$v: empty folder" 1,3 $v "$tmp/nothing" "$@"
    out_empty; err_has "nothing"
done
mkdir -p "$tmp/broken"
cp $model/config.json "$tmp/broken"
printf '\377\377\377\377\377\377\377\177{}' >"$tmp/broken/model.safetensors"
try "safetensors with a header longer than the file" 3 inspect "$tmp/broken"
err_has model.safetensors
try "a prompt file that is a folder" 1 run $model -f "$tmp"
try "fit of a broken file" 3 fit "$tmp/cut.gguf" --bpw 4 -o "$tmp/y.gguf"
[ ! -e "$tmp/y.gguf" ] || wrong "a file was left"
# A budget that cannot be met is known only after the model was observed, which takes longer than this whole list may.
