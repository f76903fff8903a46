/* SPDX-License-Identifier: Apache-2.0
 * src/compress/lowrank_method.c: rows of the methods that lowrank.c carries out. */
#include "compress/method.h"

static const struct pare_method_option asvd_options[] = {
    { "rank", "int", "0 .. the smaller side", "chosen by the solver", "rank that is kept; above rows * cols / (rows + cols) the dense matrix is smaller" },
    { "alpha", "number", "0 .. 1", "0.5", "power of the mean input magnitude that columns are scaled by; 0 is plain" },
};
static const struct pare_method_option svd_llm_options[] = {
    { "rank", "int", "0 .. the smaller side", "chosen by the solver", "rank that is kept; above rows * cols / (rows + cols) the dense matrix is smaller" },
};
static const struct pare_method_option lorc_options[] = {
    { "rank", "int", "0 .. the smaller side", "8", "rank of the branch beside the rounded weight" },
    { "factors", "name", "f16, q8_0", "f16", "storage format of the factors" },
};

const struct pare_method pare_method_asvd = {
    .id = "asvd", .module = "compress/lowrank", .title = "A weight as two thin factors, its columns scaled by the size of their inputs.",
    .source = "ASVD, arXiv 2312.05821", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "rank = the smaller side: logits within 1e-4",
    .tested = "tests/method/test_lowrank.c",
    .acceptance = "at 90 and 80 % of the layers' weights: perplexity below that of plain SVD; ranks by measured sensitivity below equal ranks; "
                  "keys and values from half of the cached bytes, one whitened B for both: perplexity within 1 % (holds on demo-llama, not on SmolLM2-135M)",
    .measured = "demo-llama, 4 windows: perplexity 378.5 instead of 424.1 (90 %), 475.3 instead of 528.7 (80 %); ranks by sensitivity 250.1 and 288.4, original "
                "245.4. Half of the KV bytes, 20 windows: each by itself +1.6 +- 1.1 % (asvd), -1.2 +- 0.8 % (svd-llm); keys and values from one "
                "whitened B +0.4 +- 0.4 %. SmolLM2-135M, 8 of 30 layers, 4 windows: 1042 instead of 51923 (90 %), 2120 instead of 62769 (80 %); by "
                "sensitivity 86.8 and 107.3, original 80.2. Half of the KV bytes in all 30 layers fails there: +12.3 +- 2.3 % from one whitened B, +89 % each "
                "by itself (192 keys and 192 values a token of 576 channels: presumably little is left to leave out)",
    PARE_OPTIONS(asvd_options),
};
const struct pare_method pare_method_svd_llm = {
    .id = "svd-llm", .module = "compress/lowrank", .title = "A weight as two thin factors with the least error of its outputs.",
    .source = "SVD-LLM, arXiv 2403.07378", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "rank = the smaller side: logits within 1e-4",
    .tested = "tests/method/test_lowrank.c",
    .acceptance = "at 90 and 80 % of the layers' weights: perplexity below that of plain SVD and of asvd at equal ranks; the dropped singular values are "
                  "the output error, to rounding",
    .measured = "demo-llama, 4 windows: perplexity 250.4 (90 %) and 256.2 (80 %), plain SVD 424.1 and 528.7, asvd 378.5 and 475.3, original 245.4. SmolLM2-135M, "
                "8 of 30 layers: 106.3 and 128.0, plain 51923 and 62769, asvd 1042 and 2120, original 80.2",
    PARE_OPTIONS(svd_llm_options),
};
const struct pare_method pare_method_zeroquant_v2 = {
    .id = "zeroquant-v2", .module = "compress/lowrank", .title = "A rank-8 branch beside a rounded weight takes back part of its error (LoRC).",
    .source = "ZeroQuant-V2, arXiv 2303.08302", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "rank = 0: the rounded weight, bit for bit",
    .tested = "tests/method/test_lowrank.c",
    .acceptance = "pq3 and pq4 with rank 8: smaller weight error and smaller output error on held-out text for every matrix, smaller divergence and perplexity; "
                  "f16 factors add 8 * (rows + cols) * 2 bytes",
    .measured = "demo-llama, 4 windows: pq3 divergence 0.0743 instead of 0.0853, pq4 0.0154 instead of 0.0174; output error at pq3 93.8 %; 467 KB added to 1948 KB "
                "(248 KB with q8_0 factors, the same divergence). pq4 without the branch takes 2537 KB and has 0.0174: more bits are the better use of the bytes. SmolLM2-135M, 8 of 30 layers: pq3 divergence 0.303 instead of 0.361, "
                "perplexity 96.6 instead of 106.5",
    PARE_OPTIONS(lorc_options),
};
