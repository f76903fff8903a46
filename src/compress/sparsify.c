/* SPDX-License-Identifier: Apache-2.0
 * src/compress/sparsify.c: magnitude, Wanda and SparseGPT, and the rows of the registry for what stores their results. */
#include "compress/sparsify.h"

#include "base/mem.h"
#include "base/status.h"
#include "compress/method.h"

int pare_sparsify(enum pare_sparsify_how how, const struct pare_mask_rule *rule, const struct pare_second *in, const struct pare_columns *c,
                  float *w, struct pare_mask *mask, struct pare_job *job, struct pare_diag *diag)
{
    float *score;
    int    rc;

    if (how == PARE_SPARSIFY_SPARSEGPT) {
        PARE_FAIL_IF(diag, c == NULL, PARE_E_USAGE, "SparseGPT needs the factor of the input's second moment");
        return pare_columns_sweep(c, w, mask, rule, NULL, job, diag);
    }
    score = pare_alloc_array(mask->rows * mask->cols, sizeof *score);
    if (score == NULL) return PARE_NOMEM(diag);
    rc = pare_mask_score(how == PARE_SPARSIFY_WANDA ? PARE_SCORE_WANDA : PARE_SCORE_MAGNITUDE, w, mask->rows, mask->cols, in, NULL, score, job, diag);
    if (rc == PARE_OK) rc = pare_mask_choose(mask, score, rule, job, diag);
    if (rc == PARE_OK) pare_mask_apply(mask, w);
    pare_free(score);
    return rc;
}

static const struct pare_method_option share_options[] = {
    { "remove", "number", "0 .. 1", "0.5", "share of the weights to remove; 0 removes none" },
    { "pattern", "name", "row, matrix, n:m", "row (Wanda), matrix (magnitude, SparseGPT)", "which weights are compared with each other; n:m keeps n of m neighbours" },
};

const struct pare_method pare_method_magnitude = {
    .id = "magnitude", .module = "compress/sparsify", .title = "The smallest weights are removed.", .source = "Han et al., arXiv 1506.02626",
    .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "remove = 0", .tested = "tests/unit/test_mask.c, tests/method/test_sparse_methods.c",
    .acceptance = "unstructured loses less than 4:8, 4:8 less than 2:4", .measured = "demo-llama, 50 %: divergence 0.197; 4:8 0.436; 2:4 0.615",
    PARE_OPTIONS(share_options),
};
const struct pare_method pare_method_wanda = {
    .id = "wanda", .module = "compress/sparsify", .title = "Weights are removed by |w| times the size of their input, compared within each row.",
    .source = "Sun et al., arXiv 2306.11695", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "remove = 0",
    .tested = "tests/unit/test_mask.c, tests/method/test_sparse_methods.c",
    .acceptance = "loses less than magnitude in n:m patterns; unstructured less than 4:8, 4:8 less than 2:4",
    .measured = "demo-llama, 50 %: divergence 0.179 (magnitude 0.197); 4:8 0.322 (0.436); 2:4 0.493 (0.615)", PARE_OPTIONS(share_options),
};
const struct pare_method pare_method_sparsegpt = {
    .id = "sparsegpt", .module = "compress/columns", .title = "Weights are removed column by column, and those behind make up for them.",
    .source = "Frantar & Alistarh, arXiv 2301.00774", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "remove = 0",
    .tested = "tests/unit/test_mask.c, tests/method/test_sparse_methods.c",
    .acceptance = "less than 0.7 of magnitude's divergence, and less than Wanda's, at 50 %, 4:8 and 2:4",
    .measured = "demo-llama, 50 %: divergence 0.060 (Wanda 0.179, magnitude 0.197); 4:8 0.139; 2:4 0.191", PARE_OPTIONS(share_options),
};

static const struct pare_method_option store_options[] = {
    { "remove", "number", "0 .. 1", "0.8", "share of the weights to remove before they are stored" },
};
const struct pare_method pare_method_flash_llm = {
    .id = "flash-llm", .module = "kernel/sparse (TILED)", .title = "Weights as (f16, 16-bit position) pairs, scattered into a tile in the first cache and multiplied densely.",
    .source = "Flash-LLM, arXiv 2309.10285", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "remove = 0: the dense product, bit for bit",
    .tested = "tests/kernel/test_sparse.c, tests/method/test_sparse_methods.c",
    .acceptance = "products equal the dense ones of the matrix with zeros bit for bit; at 80 % removed at most 0.45 of the f16 bytes; at 40 % the verdict says that nothing is gained and names the break-even",
    .measured = "one core (Xeon, AVX-512, 16 GB/s): at 80 % removed 0.404 of the bytes and 1.13, 1.05, 1.24, 1.18 times as fast as dense f16 for 1, 2, 4, 8 tokens; as fast as dense at density 0.24",
    PARE_OPTIONS(store_options),
};
const struct pare_method pare_method_sparsebytenn = {
    .id = "sparsebytenn", .module = "kernel/sparse (WIDE)", .title = "Columns removed for 16 outputs at once: one index a vector, none a weight.",
    .source = "SparseByteNN, arXiv 2310.17949", .stage = PARE_STAGE_ROUND, .guarantee = "bounded", .neutral = "remove = 0: the dense product, bit for bit",
    .tested = "tests/kernel/test_sparse.c, tests/method/test_sparse_methods.c",
    .acceptance = "with 30 % of the columns of each 16 rows removed products equal the dense ones of the matrix with zeros bit for bit, in less than 0.76 of the f16 bytes",
    .measured = "demo-llama, blk.0.ffn_gate: 0.759 of the bytes (the matrix is small: panels end at multiples of 64)",
    PARE_OPTIONS(store_options),
};
