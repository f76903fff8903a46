# SPDX-License-Identifier: Apache-2.0
# run and chat.
for i in 2 3 4 5 6 7; do
    sed -n "${i}p" $golden/prompts.jsonl >"$tmp/prompt"
    sed -n "${i}p" $golden/greedy.jsonl >"$tmp/greedy"
    text=$("$tools/jsoncheck" text <"$tmp/prompt"; printf x) text=${text%x}
    n=16
    [ "$i" = 3 ] && n=64 # one prompt to the end
    try "greedy text of golden prompt $i" 0 run $model -p "$text" -n $n --temp 0 --ignore-eos --json
    json_is prompt_ids "$("$tools/jsoncheck" ids <"$tmp/prompt")"
    got=$(json ids | tr -d '[]') want_ids=$("$tools/jsoncheck" ids <"$tmp/greedy" | tr -d '[]' | cut -d, -f1-$n)
    [ "$got" = "$want_ids" ] || wrong "ids $got, expected $want_ids"
    json_is finish_reason length; json_true timings.prefill_tps '>' 0; json_true timings.decode_tps '>' 0
    json_true timings.peak_rss '>' 1000000; json_has timings.load_s; err_empty
done
sed -n 2p $golden/greedy.jsonl >"$tmp/greedy"
want_text=$("$tools/jsoncheck" text <"$tmp/greedy" | head -c 30)
try "plain text is nothing but the text" 0 run $model -p "In the beginning God created" -n 16
err_empty
[ "$(head -c 30 "$out")" = "$want_text" ] || wrong "standard output is \"$(cat "$out")\""
cp "$out" "$tmp/plain"
try "positional prompt" 0 run $model "In the beginning God created" -n16
cmp -s "$out" "$tmp/plain" || wrong "another text"
printf 'In the beginning God created' >"$tmp/p.txt"
in=$tmp/p.txt
try "prompt on standard input" 0 run $model -n 16
cmp -s "$out" "$tmp/plain" || wrong "another text"
in=$tmp/p.txt
try "positional -" 0 run $model - --max-tokens=16
cmp -s "$out" "$tmp/plain" || wrong "another text"
try "prompt in a file" 0 run $model -f "$tmp/p.txt" -n 16
cmp -s "$out" "$tmp/plain" || wrong "another text"
try "prompt as ids" 0 run $model --ids "$(sed -n 2p $golden/prompts.jsonl | "$tools/jsoncheck" ids)" -n 16
cmp -s "$out" "$tmp/plain" || wrong "another text"
try "one thread" 0 run $model -f "$tmp/p.txt" -n 16 -t 1
cmp -s "$out" "$tmp/plain" || wrong "another text"
try "-v says how long it took" 0 run $model -f "$tmp/p.txt" -n 4 -v
err_has "tokens"
try "-- before a prompt with a dash" 0 run $model -n 1 -- --json
try "stop text" 0 run $model -p "In the beginning God created" -n 64 --stop "people," --stop xyzzy --json
json_is finish_reason stop; json_is text " the people of the "
try "logit bias forbids a token" 0 run $model -p "In the beginning God created" -n 1 --logit-bias 269=-inf --json
[ "$(json ids)" != "[269]" ] || wrong "the token came all the same"
try "logit bias makes a token certain" 0 run $model -p a -n 2 --logit-bias 100=1e5 --json
json_is ids "[100,100]"
try "sampling with a seed" 0 run $model -p "The" -n 12 --temp 1 --seed 7 --json
one=$(json ids)
try "the same seed, the same text" 0 run $model -p "The" -n 12 --temp 1 --seed 7 --json -t 1
json_is ids "$one"
try "another seed, another text" 0 run $model -p "The" -n 12 --temp 1 --seed 8 --json
[ "$(json ids)" != "$one" ] || wrong "the same text"
try "top-k 1 is greedy" 0 run $model -p "In the beginning God created" -n 16 --temp 1 --top-k 1 --seed 3
cmp -s "$out" "$tmp/plain" || wrong "another text"
try "neutral settings" 0 run $model -f "$tmp/p.txt" -n 16 --top-p 1 --min-p 0 --typical 1 --repeat-penalty 1 --presence-penalty 0 --frequency-penalty 0
cmp -s "$out" "$tmp/plain" || wrong "another text"
try "penalties change the text" 0 run $model -f "$tmp/p.txt" -n 16 --repeat-penalty 1.5 --repeat-last-n -1
cmp -s "$out" "$tmp/plain" && wrong "the same text"
try "repeat-last-n 0 switches penalties off" 0 run $model -f "$tmp/p.txt" -n 16 --repeat-penalty 1.5 --repeat-last-n 0
cmp -s "$out" "$tmp/plain" || wrong "another text"
try "chat template" 0 run $model --chat -p "What is printf?" -n 4 --json
json_is prompt_ids "$(sed -n 8p $golden/prompts.jsonl | "$tools/jsoncheck" ids)"
try "system message" 0 run $model --chat --system "Be brief." -p "Hi" -n 2 --json
try "prompt longer than the context" 3 run $model -p "one two three four five six seven eight nine ten" --ctx 4
out_empty; err_has pare:
try "prompt of no tokens" 2 run $model -p "" --no-bos -n 2
try "f32 activations" 0 run $model -f "$tmp/p.txt" -n 16 --activations f32
cmp -s "$out" "$tmp/plain" || wrong "another text: the model has float weights"
try "f16 cache" 0 run $model -f "$tmp/p.txt" -n 4 --kv f16
if [ -w /dev/full ]; then
    finish
    name="full disk" why=
    "$pare" run $model -p a -n 4 >/dev/full 2>"$err"
    judge $? 1
    err_has "standard output"
fi

printf 'Hello\n/reset\nWhat is printf?\n/exit\nnever read\n' >"$tmp/talk"
in=$tmp/talk
try "chat from a pipe" 0 chat $model -n 3 --temp 0
[ "$(wc -l <"$out")" -ge 2 ] || wrong "fewer than two answers"
in=$tmp/talk
try "chat says nothing with -q" 0 chat $model -n 3 --temp 0 -q
err_empty
