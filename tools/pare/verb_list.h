/* SPDX-License-Identifier: Apache-2.0
 * tools/pare/verb_list.h: one row per verb, in the order the help shows them.
 * VERB(id, positionals as shown, least, most, summary, description, example) */
/* clang-format off */
VERB(fit, "MODEL -o OUT.gguf", 1, 1, "make a model fit a budget, and prove what was lost",
     "Observes the model on a text, plans what each tensor is stored as, rewrites it, and proves the result on text that was not "
     "used for planning. Give one budget or several: --size, --bpw, --ram, --loss, --decode, --prefill. MODEL is a GGUF file, a "
     "Hugging Face folder or a llama2.c file. Nothing stands under the final name until the whole file is written; an interrupted "
     "run continues with --resume and ends with the same bytes.",
     "pare fit model.gguf --ram 2G -o small.gguf")
VERB(run, "MODEL [PROMPT]", 1, 2, "complete a prompt",
     "Writes the continuation of the prompt to standard output as it is generated. The prompt is the PROMPT argument, -p, -f or "
     "standard input. With --chat the prompt is one question to the model, put into its chat template.",
     "pare run small.gguf -p \"Once upon a time\" -n 64 --temp 0")
VERB(chat, "MODEL", 1, 1, "talk to a model in the terminal",
     "Keeps the history of the talk and puts it into the model's chat template. Ctrl-C stops the answer; /reset forgets the talk, "
     "/exit or Ctrl-D leaves. A line that ends in \\ continues on the next one.",
     "pare chat small.gguf --system \"You answer in one sentence.\"")
VERB(eval, "MODEL", 1, 1, "perplexity on a text, and divergence from a base model",
     "Cuts the text into windows that do not overlap and scores every token but the first of each. With --base the same text "
     "goes through the base model as well: the result is the Kullback-Leibler divergence from it and how often both agree on the "
     "next token, each with its standard error. Errors by drawing whole windows again stand beside them. With --task questions are "
     "scored instead, as the public harness scores them.",
     "pare eval small.gguf --base model.gguf --text wiki.txt --chunks 20")
VERB(compare, "MODEL", 1, 1, "one model in several forms, on every track",
     "Stores the model in each type of --types for a while (a name with a slash or a dot is a model file that is there already) and "
     "measures loss, generality, robustness, cost of compression, size, speed and likeness of the text it writes, each beside the "
     "original. The marks are quadratic means of ratios to the original; their formulas are printed.",
     "pare compare model.gguf --types q8_0,q4_k,q2_k")
VERB(bench, "[MODEL]", 0, 1, "speed, beside what this machine can do",
     "Measures tests named ppN (prompt of N tokens), tgN (N tokens generated), bN (N sequences at once), tgN@D and ppN@D (at depth D), load (open the weights once more) and quantize (f16 weights to --type), "
     "and prints each beside the limit that follows from the memory bandwidth and the arithmetic measured in the same process.",
     "pare bench small.gguf --tests pp512,tg128,tg128@4096")
VERB(inspect, "MODEL", 1, 1, "metadata, tensors and sizes of a model file",
     "Shows what a file holds without loading it. With --check every byte of the weights is read, and values that are no numbers "
     "are counted. With --hamming each matrix is rounded to 8 bits and its share of one bits shown, before and after a constant shift.",
     "pare inspect small.gguf --check")
VERB(convert, "MODEL -o OUT.gguf", 1, 1, "write a model as GGUF with one type for all matrices",
     "A change of container or type without a search: `pare fit` does better at the same size. A matrix whose width does not "
     "suit the type keeps its own, and is named.",
     "pare convert llama-folder -o llama-q8.gguf --type q8_0")
VERB(tokenize, "MODEL", 1, 1, "token ids of a text",
     "Reads the text from -p, -f or standard input, as bytes, and prints the ids with commas between them: what `pare logits` "
     "and `pare detokenize` take.",
     "pare tokenize small.gguf -p \"Hello world\"")
VERB(detokenize, "MODEL", 1, 1, "text of token ids",
     "Writes the bytes that the ids stand for to standard output, and nothing else.",
     "pare detokenize small.gguf --ids 1,2,3")
VERB(template, "MODEL", 1, 1, "render the chat template",
     "Puts messages into the model's chat template, or into the one in --template (MODEL may then be -), and writes the result "
     "without a newline of its own. The file holds an array of messages, or an object with \"messages\" and perhaps \"tools\" and "
     "more variables.",
     "pare template small.gguf --messages talk.json")
VERB(logits, "MODEL", 1, 1, "raw scores of the next token",
     "Writes the scores after the last id, or after each with --all, to standard output as little-endian 32-bit floats, one row "
     "of the vocabulary's size per position. With --ids - each line of standard input is one JSON array of ids.",
     "pare logits small.gguf --ids 1,2,3 > scores.f32")
VERB(methods, "", 0, 0, "the methods that pare knows",
     "Lists every compression and acceleration method with its guarantee: lossless, bounded (the loss is measured) or trained.",
     "pare methods --json")
VERB(doctor, "", 0, 0, "what this machine has, and what pare makes of it",
     "Shows the processor's tier and why it was chosen, cores, memory, measured bandwidth, and the kernels in use.",
     "pare doctor")
VERB(version, "", 0, 0, "version of the command and the library",
     "With -v also the tiers this machine has and the one in use.",
     "pare version -v")
VERB(help, "[VERB]", 0, 1, "this help, or that of a verb",
     "With --man the manual page, with --completion-bash a completion script; both come from the same table as the parser.",
     "pare help run")
/* clang-format on */
