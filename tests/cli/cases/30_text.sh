# SPDX-License-Identifier: Apache-2.0
# tokenize, detokenize, template, logits, run: against the goldens of the reference implementation.
prompts=$golden/prompts.jsonl
line() { sed -n "${2}p" "$1" >"$tmp/line"; }
field() { "$tools/jsoncheck" "$@" <"$tmp/line"; }

for i in 1 2 3 4 5 6 7; do
    line $prompts $i
    text=$(field text; printf x) text=${text%x}
    try "tokenize golden prompt $i" 0 tokenize $model -p "$text" --json
    json_is ids "$(field ids)"; json_has pieces[0]; err_empty
done
line $prompts 8
field text >"$tmp/chat.txt"
try "tokenize a rendered template" 0 tokenize $model -f "$tmp/chat.txt" --special --no-bos --json
json_is ids "$(field ids)"
in=$tmp/chat.txt
try "tokenize standard input" 0 tokenize $model --special --no-bos --json
json_is ids "$(field ids)"
in=$tmp/chat.txt
try "-p - is standard input" 0 tokenize $model -p - --special --no-bos --json
json_is ids "$(field ids)"
try "ids as plain text" 0 tokenize $model -p "Hello" --no-bos
out_has '^[0-9][0-9,]*$'
ids=$(cat "$out")
try "ids back to text" 0 detokenize $model --ids "$ids"
out_bytes Hello
try "ids back to text, as JSON" 0 detokenize $model --ids "$ids" --json
json_is text Hello
try "ids with spaces" 0 detokenize $model --ids " $(echo "$ids" | tr , ' ') "
out_bytes Hello
echo "[$ids]" >"$tmp/ids"
in=$tmp/ids
try "ids on standard input" 0 detokenize $model --ids -
out_bytes Hello
try "no ids give no text" 0 detokenize $model --ids ""
out_empty
try "empty text" 0 tokenize $model -p "" --no-bos --json
json_is ids "[]"
printf 'a\0b\377\n' >"$tmp/bytes"
try "bytes that are no text" 0 tokenize $model -f "$tmp/bytes" --no-bos
ids=$(cat "$out")
try "bytes come back" 0 detokenize $model --ids "$ids"
cmp -s "$out" "$tmp/bytes" || wrong "other bytes"
try "bytes as JSON are valid" 0 detokenize $model --ids "$ids" --json
json_has text
try "id outside the vocabulary" 2 detokenize $model --ids 999999
out_empty

# Templates: everything the reference rendered.
for t in tests/golden/templates/*.jinja; do
    g=${t%.jinja}.json
    n=$("$tools/jsoncheck" -n cases <"$g") done_cases=0
    finish
    name="template $(basename "$t")" why= i=0
    : >"$err"
    while [ $i -lt "$n" ]; do
        if "$tools/jsoncheck" "cases[$i].expect" <"$g" >"$tmp/expect" 2>/dev/null; then
            "$tools/jsoncheck" -j "cases[$i].messages" <"$g" >"$tmp/messages"
            set -- --messages "$tmp/messages" --template "$t"
            if "$tools/jsoncheck" "cases[$i].tools" <"$g" >"$tmp/tools" 2>/dev/null; then set -- "$@" --tools "$tmp/tools"; fi
            date=$("$tools/jsoncheck" "cases[$i].date" <"$g" 2>/dev/null) && set -- "$@" --date "$date"
            for k in $("$tools/jsoncheck" -k "cases[$i].vars" <"$g" 2>/dev/null); do
                set -- "$@" --set "$k=$("$tools/jsoncheck" -j "cases[$i].vars.$k" <"$g")"
            done
            "$pare" template - "$@" >"$out" 2>"$err" || wrong "case $i: exit status $?"
            cmp -s "$out" "$tmp/expect" || wrong "case $i differs"
            done_cases=$((done_cases + 1))
        fi
        i=$((i + 1))
    done
    [ $done_cases -gt 0 ] || wrong "no case"
done
echo '[{"role":"user","content":"What is printf?"}]' >"$tmp/talk.json"
line $prompts 8
try "the model's own template" 0 template $model --messages "$tmp/talk.json"
field text >"$tmp/want"
cmp -s "$out" "$tmp/want" || wrong "not the golden text"
try "template as JSON" 0 template $model --messages "$tmp/talk.json" --json
json_is text "$(field text)"
in=$tmp/talk.json
try "messages on standard input" 0 template $model --messages -
cmp -s "$out" "$tmp/want" || wrong "not the golden text"
try "no generation prompt" 0 template $model --messages "$tmp/talk.json" --no-generation-prompt
[ "$(wc -c <"$out")" -lt "$(wc -c <"$tmp/want")" ] || wrong "not shorter"
echo '{% raise_exception("no") %}' >"$tmp/bad.jinja"
try "a template that is none" 3 template - --template "$tmp/bad.jinja" --messages "$tmp/talk.json"
out_empty
echo '{{ raise_exception("not like this") }}' >"$tmp/refuse.jinja"
try "a template that refuses" 2 template - --template "$tmp/refuse.jinja" --messages "$tmp/talk.json"
err_has "not like this"
echo '{"a":' >"$tmp/bad.json"
try "messages that are no JSON" 3 template $model --messages "$tmp/bad.json"
err_has "bad.json: line"
echo '{"a":1}' >"$tmp/none.json"
try "no messages in the file" 3 template $model --messages "$tmp/none.json"
try "--set that is no JSON" 2 template $model --messages "$tmp/talk.json" --set a=b
try "--set without a name" 2 template $model --messages "$tmp/talk.json" --set =1
try "date that is none" 2 template $model --messages "$tmp/talk.json" --date yesterday

# Logits: within the tolerance of the goldens (2e-4 of their spread).
line $prompts 1
try "logits of the golden prompt" 0 logits $model --ids "$(field ids | tr -d '[]')"
err_empty
"$tools/f32diff" "$out" $golden/logits.bin 0.002 >"$tmp/diff" || wrong "$(cat "$tmp/diff")"
for i in 1 2 3; do
    line $prompts $i
    field ids
done >"$tmp/ids.jsonl"
in=$tmp/ids.jsonl
try "logits of JSON lines" 0 logits $model --ids -
[ "$(wc -c <"$out")" = $((3 * 8192 * 4)) ] || wrong "$(wc -c <"$out") bytes"
"$tools/f32diff" "$out" $golden/logits.bin 0.002 >"$tmp/diff" || wrong "$(cat "$tmp/diff")"
cp "$out" "$tmp/three.f32"
line $prompts 4
try "logits of all positions" 0 logits $model --all --ids "$(field ids)"
tail -c +$((3 * 8192 * 4 + 1)) $golden/logits.bin >"$tmp/part"
"$tools/f32diff" "$out" "$tmp/part" 0.002 >"$tmp/diff" || wrong "$(cat "$tmp/diff")"
in=$tmp/ids.jsonl
try "the same bits with one thread and plain C" 0 logits $model --ids - -t 1 --cpu-mask base
cmp -s "$out" "$tmp/three.f32" || wrong "other bits"
try "logits as JSON" 0 logits $model --ids 0,1 --json
json_is vocab 8192; json_has logits[0][8191]
try "logits of an id outside the vocabulary" 2 logits $model --ids 0,8192
out_empty; err_has 8192
