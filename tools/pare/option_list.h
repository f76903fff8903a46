/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/option_list.h: one row per flag: the parser, the environment twin, --help, the manual page and the completion are all
 * made from it. A name may stand in several rows when it means different things to different verbs; their verbs do not overlap.
 * OPT(id, name, letter, verbs, kind, argument as shown, least, most, default as shown, choices, help)
 * verbs: V(...) joined by |. The environment twin of --some-name is PARE_SOME_NAME. */
/* clang-format off */
#define V_GEN   (V(run) | V(chat))
#define V_ALL   0xffffffffu

/* Prompt and text. */
OPT(prompt, "prompt", 'p', V(run) | V(tokenize), TEXT, "TEXT", 0, 0, NULL, NULL, "the text; - reads standard input")
OPT(file, "file", 'f', V(run) | V(tokenize), TEXT, "FILE", 0, 0, NULL, NULL, "read the text from a file; - is standard input")
OPT(ids, "ids", 0, V(detokenize) | V(logits), TEXT, "LIST", 0, 0, NULL, NULL, "token ids with commas between them, or - for JSON arrays on standard input, one a line")
OPT(run_ids, "ids", 0, V(run), TEXT, "LIST", 0, 0, NULL, NULL, "continue these token ids, with commas between them, instead of a text")
OPT(no_bos, "no-bos", 0, V(run) | V(tokenize), FLAG, NULL, 0, 0, NULL, NULL, "put no begin token in front")
OPT(special, "special", 0, V(run) | V(tokenize), FLAG, NULL, 0, 0, NULL, NULL, "special tokens written out in the text become their ids")
OPT(skip_special, "skip-special", 0, V(detokenize), FLAG, NULL, 0, 0, NULL, NULL, "special tokens give no text")
OPT(all, "all", 0, V(logits), FLAG, NULL, 0, 0, NULL, NULL, "scores after every id, not only the last")

/* Generation. */
OPT(max_tokens, "max-tokens", 'n', V(run), INT, "N", -1, 2147483647, "128", NULL, "tokens to generate at most; -1: until the context is full")
OPT(chat_max_tokens, "max-tokens", 'n', V(chat), INT, "N", -1, 2147483647, "-1", NULL, "tokens in an answer at most; -1: until the context is full")
OPT(temp, "temp", 0, V(run), REAL, "T", 0, 100, "0", NULL, "temperature; 0 always takes the likeliest token")
OPT(chat_temp, "temp", 0, V(chat), REAL, "T", 0, 100, "0.7", NULL, "temperature; 0 always takes the likeliest token")
OPT(gen_seed, "seed", 0, V_GEN, INT, "N", 0, 9.2e18, "0", NULL, "the same seed gives the same text")
OPT(top_k, "top-k", 0, V_GEN, INT, "N", 0, 2147483647, "0", NULL, "keep the N likeliest tokens; 0 keeps all")
OPT(top_p, "top-p", 0, V_GEN, REAL, "P", 0, 1, "1", NULL, "keep the likeliest tokens that make up P; 1 keeps all")
OPT(min_p, "min-p", 0, V(run), REAL, "P", 0, 1, "0", NULL, "drop tokens less likely than P times the likeliest; 0 drops none")
OPT(chat_min_p, "min-p", 0, V(chat), REAL, "P", 0, 1, "0.05", NULL, "drop tokens less likely than P times the likeliest; 0 drops none")
OPT(typical, "typical", 0, V_GEN, REAL, "P", 0, 1, "1", NULL, "keep the locally typical tokens that make up P; 1 keeps all")
OPT(repeat_penalty, "repeat-penalty", 0, V_GEN, REAL, "X", 0.01, 100, "1", NULL, "divide the score of tokens seen lately by X")
OPT(repeat_last_n, "repeat-last-n", 0, V_GEN, INT, "N", -1, 2147483647, "64", NULL, "how many tokens count as lately; -1: the whole context")
OPT(presence_penalty, "presence-penalty", 0, V_GEN, REAL, "X", -100, 100, "0", NULL, "subtract X from the score of tokens seen lately")
OPT(frequency_penalty, "frequency-penalty", 0, V_GEN, REAL, "X", -100, 100, "0", NULL, "subtract X for each time a token was seen lately")
OPT(logit_bias, "logit-bias", 0, V_GEN, LIST, "ID=BIAS", 0, 0, NULL, NULL, "add BIAS to the score of a token (may be repeated; -inf forbids it)")
OPT(stop, "stop", 0, V_GEN, LIST, "TEXT", 0, 0, NULL, NULL, "end before this text (may be repeated)")
OPT(ignore_eos, "ignore-eos", 0, V_GEN, FLAG, NULL, 0, 0, NULL, NULL, "go on after the end token")
OPT(chat, "chat", 0, V(run), FLAG, NULL, 0, 0, NULL, NULL, "put the prompt into the model's chat template")
OPT(system, "system", 0, V_GEN, TEXT, "TEXT", 0, 0, NULL, NULL, "system message that the talk begins with")

/* Budgets of fit. */
OPT(out, "out", 'o', V(fit) | V(convert), TEXT, "FILE", 0, 0, NULL, NULL, "the file to write")
OPT(size, "size", 0, V(fit), SIZE, "S", 1, 0, NULL, NULL, "budget: bytes of the whole file")
OPT(bpw, "bpw", 0, V(fit), REAL, "X", 0.01, 64, NULL, NULL, "budget: bits per weight, scales and tables included")
OPT(ram, "ram", 0, V(fit), SIZE, "S", 1, 0, NULL, NULL, "budget: peak memory of `pare run` at --ctx")
OPT(loss, "loss", 0, V(fit), REAL, "KLD", 0, 1000, NULL, NULL, "budget: mean divergence from the original, nats a token")
OPT(decode, "decode", 0, V(fit), REAL, "T/S", 0.0001, 1e9, NULL, NULL, "budget: tokens a second generated, on this machine")
OPT(prefill, "prefill", 0, V(fit), REAL, "T/S", 0.0001, 1e9, NULL, NULL, "budget: tokens a second read, on this machine")
OPT(fit_ctx, "ctx", 'c', V(fit), INT, "N", 1, 16777216, "2048 or the model's maximum", NULL, "context length that --ram counts with")
OPT(fit_text, "text", 0, V(fit), TEXT, "FILE", 0, 0, "built in", NULL, "calibration text, or self to sample it from the model")
OPT(fit_eval, "eval", 0, V(fit), TEXT, "FILE", 0, 0, "built in", NULL, "text to prove the result on")
OPT(eval_chunks, "eval-chunks", 0, V(fit), INT, "N", 1, 1000000, "by the model's size", NULL, "windows of 512 tokens to prove on at most")
OPT(plan, "plan", 0, V(fit), TEXT, "FILE", 0, 0, NULL, NULL, "carry out this plan instead of searching for one")
OPT(plan_only, "plan-only", 0, V(fit), FLAG, NULL, 0, 0, NULL, NULL, "stop after planning and show the prediction")
OPT(portable, "portable", 0, V(fit), FLAG, NULL, 0, 0, NULL, NULL, "only types that other GGUF engines read")
OPT(work_ram, "work-ram", 0, V(fit), SIZE, "S", 1, 0, "half of what is free", NULL, "memory that fit itself may use")
OPT(resume, "resume", 0, V(fit) | V(convert), FLAG, NULL, 0, 0, NULL, NULL, "continue a run that was interrupted")
OPT(report, "report", 0, V(fit), TEXT, "FILE", 0, 0, NULL, NULL, "write a report as an HTML page")
OPT(fit_methods, "methods", 0, V(fit), TEXT, "LIST", 0, 0, "all", NULL, "methods or types allowed, with commas between them")
OPT(fit_seed, "seed", 0, V(fit), INT, "N", 0, 9.2e18, "0", NULL, "the same seed and model give the same bytes")
OPT(no_proof, "no-proof", 0, V(fit), FLAG, NULL, 0, 0, NULL, NULL, "rewrite only, do not measure the result")
OPT(effort, "effort", 0, V(fit), INT, "1..5", 1, 5, "3", NULL, "1: little text, one plan; 2: plain rounding; 3: error feedback; 4, 5: more text, more plans tried")
OPT(explain, "explain", 0, V(fit), FLAG, NULL, 0, 0, NULL, NULL, "tell for every tensor what came second and what it would have cost")

/* Eval, bench, inspect, convert. */
OPT(eval_text, "text", 0, V(eval), TEXT, "FILE", 0, 0, "built in", NULL, "the text to score; - is standard input")
OPT(base, "base", 0, V(eval), TEXT, "MODEL", 0, 0, NULL, NULL, "compare with this model")
OPT(eval_ctx, "ctx", 'c', V(eval), INT, "N", 2, 16777216, "512", NULL, "tokens in a window")
OPT(chunks, "chunks", 0, V(eval), INT, "N", 1, 1000000000, "all", NULL, "windows to score at most")
OPT(skip_chunks, "skip-chunks", 0, V(eval), INT, "N", 0, 1000000000, "0", NULL, "windows to leave out at the beginning")
OPT(bos, "bos", 0, V(eval), FLAG, NULL, 0, 0, NULL, NULL, "each window is the begin token and --ctx less one tokens")
OPT(score, "score", 0, V(eval), CHOICE, "WHAT", 0, 0, "all", "all|half", "half scores only the second half of each window, as llama.cpp's tool does")
OPT(noise_floor, "noise-floor", 0, V(eval), FLAG, NULL, 0, 0, NULL, NULL, "also the divergence of the base from itself: other threads, cache in f16, int8 activations")
OPT(seen, "seen", 0, V(eval), TEXT, "FILE", 0, 0, NULL, NULL, "a calibration text: says how much of the scored text stands in it, and refuses the same text")
OPT(task, "task", 0, V(eval), CHOICE, "NAME", 0, 0, NULL, "piqa|gsm8k|humaneval", "score answers to questions instead of a text; humaneval writes code and does not run it")
OPT(data, "data", 0, V(eval), TEXT, "FILE", 0, 0, NULL, NULL, "the questions of --task, as the public data set has them (JSON lines)")
OPT(limit, "limit", 0, V(eval), INT, "N", 1, 1000000000, "all", NULL, "questions of --task at most")
OPT(shots, "shots", 0, V(eval), INT, "N", 0, 1000, "0", NULL, "examples in front of each question, the first N of --shots-data")
OPT(shots_data, "shots-data", 0, V(eval), TEXT, "FILE", 0, 0, NULL, NULL, "where the examples come from")
OPT(samples, "samples", 0, V(eval), TEXT, "FILE", 0, 0, NULL, NULL, "write what was answered to each question, one JSON line each")
OPT(compare_types, "types", 0, V(compare), TEXT, "LIST", 0, 0, "q8_0,q6_k,q5_k,q4_k,q3_k,q2_k", NULL, "types or model files to compare, with commas between them")
OPT(compare_text, "text", 0, V(compare), TEXT, "FILE", 0, 0, "built in", NULL, "the text to score")
OPT(folder, "folder", 0, V(compare), TEXT, "DIR", 0, 0, "/tmp", NULL, "where the converted files lie meanwhile")
OPT(compare_task, "task", 0, V(compare), CHOICE, "NAME", 0, 0, NULL, "piqa|gsm8k|humaneval", "questions that count as accuracy")
OPT(compare_data, "data", 0, V(compare), TEXT, "FILE", 0, 0, NULL, NULL, "the questions of --task (JSON lines)")
OPT(compare_limit, "limit", 0, V(compare), INT, "N", 1, 1000000000, "all", NULL, "questions of --task at most")
OPT(compare_ctx, "ctx", 'c', V(compare), INT, "N", 2, 16777216, "128", NULL, "tokens in a window")
OPT(compare_chunks, "chunks", 0, V(compare), INT, "N", 1, 1000000000, "16", NULL, "windows to score at most")
OPT(no_speed, "no-speed", 0, V(compare), FLAG, NULL, 0, 0, NULL, NULL, "leave out what is timed")
OPT(tests, "tests", 0, V(bench), TEXT, "LIST", 0, 0, "pp512,tg128", NULL, "the tests, with commas between them")
OPT(repeat, "repeat", 'r', V(bench), INT, "N", 1, 1000, "3", NULL, "times each test is run")
OPT(synthetic, "synthetic", 0, V(bench), TEXT, "SHAPE", 0, 0, NULL, NULL, "random weights in memory instead of a model: llama-1.1b, llama-3.2-1b, llama-3.1-8b, qwen3-0.6b, llama-135m, demo")
OPT(bench_type, "type", 0, V(bench), TEXT, "T", 0, 0, "q8_0", NULL, "type of the random weights, and of the test quantize")
OPT(roofline, "roofline", 0, V(bench), FLAG, NULL, 0, 0, NULL, NULL, "count operations and bytes of each operator and predict the tests from this machine's measured peaks")
OPT(kernels, "kernels", 0, V(bench), FLAG, NULL, 0, 0, NULL, NULL, "measure single kernels")
OPT(check, "check", 0, V(inspect), FLAG, NULL, 0, 0, NULL, NULL, "read all weights, count what is no number")
OPT(hamming, "hamming", 0, V(inspect), FLAG, NULL, 0, 0, NULL, NULL, "share of one bits in the matrices at 8 bits, and after a constant shift")
OPT(pack, "pack", 0, V(convert), FLAG, NULL, 0, 0, NULL, NULL, "store matrices as the kernels read them: loading copies nothing, and several processes share them; --type is keep unless given")
OPT(convert_type, "type", 0, V(convert), TEXT, "T", 0, 0, NULL, NULL, "type of all matrices: f32, f16, bf16, q8_0, q4_k, ...; keep changes the container only")

/* Template. */
OPT(messages, "messages", 0, V(template), TEXT, "FILE", 0, 0, NULL, NULL, "messages as JSON; - is standard input")
OPT(template, "template", 0, V(template), TEXT, "FILE", 0, 0, NULL, NULL, "a template to use instead of the model's")
OPT(tools, "tools", 0, V(template), TEXT, "FILE", 0, 0, NULL, NULL, "tools as a JSON array")
OPT(no_generation_prompt, "no-generation-prompt", 0, V(template), FLAG, NULL, 0, 0, NULL, NULL, "do not begin the model's turn at the end")
OPT(date, "date", 0, V(template), TEXT, "YYYY-MM-DD", 0, 0, "today", NULL, "the date that the template sees")
OPT(set, "set", 0, V(template), LIST, "NAME=JSON", 0, 0, NULL, NULL, "give the template a variable (may be repeated)")

/* How a model is opened. */
OPT(ctx, "ctx", 'c', V_GEN | V(logits), INT, "N", 1, 16777216, "the model's own, at most 4096", NULL, "context length in tokens")
OPT(kv, "kv", 0, V_GEN | V(logits) | V(eval) | V(bench), CHOICE, "TYPE", 0, 0, "auto", "auto|f32|f16|q8_0|q5_0|q4_0", "how the cache of keys and values is stored")

/* Help. */
OPT(man, "man", 0, V(help), FLAG, NULL, 0, 0, NULL, NULL, "print the manual page")
OPT(markdown, "markdown", 0, V(methods), FLAG, NULL, 0, 0, NULL, NULL, "a page with acceptance tests and what they measured")
OPT(completion_bash, "completion-bash", 0, V(help), FLAG, NULL, 0, 0, NULL, NULL, "print a completion script for bash")

/* Everywhere. */
OPT(threads, "threads", 't', V_ALL, INT, "N", 1, 1024, "the cores of the affinity mask", NULL, "threads to compute with")
OPT(cpu_mask, "cpu-mask", 0, V_ALL, CHOICE, "TIER", 0, 0, "what the machine has", "base|avx2|avx512|vnni", "use no instructions above this tier; the results stay the same")
OPT(activations, "activations", 0, V_ALL, CHOICE, "TYPE", 0, 0, "int8", "int8|f32", "how quantized weights are multiplied; f32 is the slow reference")
OPT(json, "json", 0, V_ALL, FLAG, NULL, 0, 0, NULL, NULL, "print one JSON document and nothing else")
OPT(quiet, "quiet", 'q', V_ALL, FLAG, NULL, 0, 0, NULL, NULL, "no progress and no notes, errors only")
OPT(verbose, "verbose", 'v', V_ALL, FLAG, NULL, 0, 0, NULL, NULL, "say more on standard error")
OPT(help, "help", 'h', V_ALL, FLAG, NULL, 0, 0, NULL, NULL, "show this help")
/* clang-format on */
#undef V_GEN
#undef V_ALL
