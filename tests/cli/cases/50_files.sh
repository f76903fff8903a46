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
try "inspect --hamming" 0 inspect $model --hamming --json
json_is hamming.delta 16; json_true hamming.rate '>' 0.4; json_true hamming.shifted '<' 0.42; json_has hamming.tensors[0].rate hamming.tensors[0].held
try "inspect --hamming -v for people" 0 inspect $model --hamming -v
out_has "One bits at 8 bits"
try "convert" 0 convert $model -o "$tmp/q8.gguf" --type q8_0 --json -q
json_is output "$tmp/q8.gguf"; err_empty
json_is bytes "$(wc -c <"$tmp/q8.gguf" | tr -d ' ')"
try "what was converted can be inspected" 0 inspect "$tmp/q8.gguf" --json --check
json_is format gguf; json_is check.nan 0; json_is bytes "$(wc -c <"$tmp/q8.gguf" | tr -d ' ')"
try "and run" 0 run "$tmp/q8.gguf" -p "In the beginning God created" -n 4 --json
json_is ids "[269,793,294,269]"
try "and has the same tokenizer" 0 tokenize "$tmp/q8.gguf" -p "In the beginning God created" --json
json_is ids "$(sed -n 2p $golden/prompts.jsonl | "$tools/jsoncheck" ids)"
# Packed: the same logits from the mapped file, and the same file back.
try "convert --pack" 0 convert "$tmp/q8.gguf" -o "$tmp/packed.gguf" --pack --json -q
json_is packed 43; json_is kept "[]"; err_empty
try "the same from the folder in one go, with one thread" 0 convert $model -o "$tmp/packed1.gguf" --type q8_0 --pack -t 1 -q
cmp -s "$tmp/packed.gguf" "$tmp/packed1.gguf" || wrong "other bytes"
out_has "matrices packed: 43"
try "inspect of a packed file" 0 inspect "$tmp/packed.gguf" --check --json
json_is tensors[0].type q8_0; json_is tensors[0].packed 1; json_is tensors[0].shape "[8192,256]"; json_is check.nan 0
try "inspect of a packed file for people" 0 inspect "$tmp/packed.gguf"
out_has "q8_0 packed"
"$pare" logits "$tmp/q8.gguf" --ids 0,17,300,4095,8000,12 --all >"$tmp/logits"
for m in base avx2 avx512 vnni; do
    for n in 1 2; do
        try "packed logits, $n threads, $m" 0 logits "$tmp/packed.gguf" --ids 0,17,300,4095,8000,12 --all -t $n --cpu-mask $m
        cmp -s "$out" "$tmp/logits" || wrong "other logits"
    done
done
"$pare" logits "$tmp/q8.gguf" --ids 0,17,300 --activations f32 >"$tmp/logits"
try "packed logits, the reference path" 0 logits "$tmp/packed.gguf" --ids 0,17,300 --activations f32
cmp -s "$out" "$tmp/logits" || wrong "other logits"
try "a packed file turned back" 0 convert "$tmp/packed.gguf" -o "$tmp/back.gguf" --type keep -q
cmp -s "$tmp/back.gguf" "$tmp/q8.gguf" || wrong "other bytes"
try "a packed file as a source" 0 convert "$tmp/packed.gguf" -o "$tmp/p4.gguf" --type q4_0 -q
"$pare" convert "$tmp/q8.gguf" -o "$tmp/u4.gguf" --type q4_0 -q >/dev/null
cmp -s "$tmp/p4.gguf" "$tmp/u4.gguf" || wrong "other bytes"
head -c 3000000 "$tmp/packed.gguf" >"$tmp/cut.gguf"
try "half a packed file" 3 run "$tmp/cut.gguf" -p a
out_empty; err_has "cut.gguf"
sed 's/"packed":1/"packed":2/' "$tmp/packed.gguf" >"$tmp/future.gguf"
try "a packed file of the future" 3 run "$tmp/future.gguf" -p a
out_empty; err_has "packed in layout 2"
rm -f "$tmp"/packed*.gguf "$tmp/back.gguf" "$tmp"/[pu]4.gguf "$tmp/future.gguf"
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
