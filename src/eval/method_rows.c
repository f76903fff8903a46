/* SPDX-License-Identifier: Apache-2.0
 * src/eval/method_rows.c: rows of methods that measure: they choose nothing and change nothing. */
#include "compress/method.h"

static const struct pare_method_option roofline_options[] = {
    { "roofline", "flag", "pare bench --roofline", "off", "prints counts and predictions beside the tests" },
};
const struct pare_method pare_method_llm_viewer = {
    .id = "llm-viewer", .module = "eval/roofline", .title = "Operations and bytes of each operator, and the time that a machine of measured peaks takes.",
    .source = "LLM-Viewer, arXiv 2402.16363; compression-facts 7", .stage = PARE_STAGE_MEASURE, .guarantee = "lossless",
    .neutral = "nothing is changed; without measured costs: the plain roofline", .tested = "tests/unit/test_roofline.c",
    .acceptance = "counts against numbers worked out by hand; tests/method/bench_roofline.c: predicted decode within 30 % of measured for 3 sizes x 3 "
                  "formats, crossover batch within a factor of 2",
    .measured = "one thread, processor time, predicted / measured decode: qwen3-0.6b q8_0 0.92, q4_k 0.93, q6_k 0.92; llama-135m q8_0 1.09, q4_0 1.08, "
                "q5_1 1.06; demo (in the cache) q8_0 0.83, q4_k 0.75, q6_k 0.80; crossover 16.6 for 17.9, 9.6 for 10.1, 11.9 for 12.6, 14.6 for 13.6, "
                "9.0 for 8.5, 11.0 for 10.7, demo 6.9 for 3.8, 3.6 for 2.5, 4.6 for 2.7",
    PARE_OPTIONS(roofline_options),
};

static const struct pare_method_option compare_options[] = {
    { "types", "list", "types or model files", "q8_0,q6_k,q5_k,q4_k,q3_k,q2_k", "forms to compare" },
};
const struct pare_method pare_method_llmcbench = {
    .id = "llmcbench", .module = "eval/compare", .title = "Forms of one model on tracks of loss, generality, robustness, cost, size and speed.",
    .source = "LLMCBench, arXiv 2410.21352; compression-facts 6", .stage = PARE_STAGE_MEASURE, .guarantee = "lossless",
    .neutral = "the original has 1 on every track, exactly", .tested = "tests/method/test_compare.c",
    .acceptance = "six forms on all tracks but the timed ones: the original exactly 1, two runs equal, a damaged model last",
    .measured = "demo-llama, 8 windows of 64: quality 1.0000, q8_0 0.9991, q6_k 0.9963, q5_0 0.9937, q4_k 0.9926, q3_k 0.8968, damaged 0.0130", PARE_OPTIONS(compare_options),
};
const struct pare_method pare_method_bf16_or_death = {
    .id = "bf16-or-death", .module = "eval/compare", .title = "Accuracy kept, likeness of generated text, and tokens a second alone and in a batch, for each format.",
    .source = "Kurtic et al., arXiv 2411.02355", .stage = PARE_STAGE_MEASURE, .guarantee = "lossless",
    .neutral = "the original recovers 100 %, with likeness 1", .tested = "tests/method/test_compare.c",
    .acceptance = "pare compare prints recovery, likeness, one_tps, many_tps of every format and which is fastest alone and with eight; all "
                  "quantized formats here multiply 8-bit activations, so the paper's W4A16 against W8A8 is fewer weight bits against 8",
    .measured = "demo-llama, 16 windows of 128: recovery q8_0 99.72 %, q6_k 99.07, q5_k 99.04, q4_k 98.44, q3_k 79.81, q2_k 55.47; likeness 0.85, 0.57, "
                "0.71, 0.52, 0.58, 0.14; alone q4_k 6591 tokens a second, q8_0 4518, original 2455; eight at once q4_k 15027, q8_0 14400, original 6727: "
                "8 bits do not lead in the batch here", PARE_OPTIONS(compare_options),
};
