/* SPDX-License-Identifier: Apache-2.0
 * Rows of methods that have no file of their own: they are carried out by a room's common code. */
#include "compress/method.h"

#include <string.h>
#include <strings.h>

#include "base/status.h"
#include "tensor/dtype.h"

static const struct pare_method_option rtn_options[] = {
    { "type", "name", "every writable type", "chosen by the solver", "storage format of the tensor" },
};
static const struct pare_method_option text_options[] = {
    { "text", "file", "\"self\" or a path", "built in", "calibration text" },
};
static const struct pare_method_option kv_options[] = {
    { "kv", "name", "f32, f16, q8_0", "auto", "type of cached keys and values" },
};

const struct pare_method pare_method_keep = {
    .id = "keep", .module = "compress/rewrite", .title = "The tensor keeps its own type, byte for byte.", .source = "-",
    .stage = PARE_STAGE_ROUND, .guarantee = "lossless", .neutral = "always neutral", .tested = "tests/golden/test_fit.c",
};
const struct pare_method pare_method_rtn = {
    .id = "rtn", .module = "tensor/enc_*", .title = "Round to nearest in a block format, scales found by search.",
    .source = "GGUF block formats; docs/own-types.md", .stage = PARE_STAGE_ROUND, .guarantee = "bounded",
    .neutral = "type = the original's type", .tested = "tests/unit/test_encode.c", PARE_OPTIONS(rtn_options),
};
const struct pare_method pare_method_importance = {
    .id = "importance", .module = "compress/observe", .title = "Squared error weighted by E[x^2] of each input channel.",
    .source = "llama.cpp imatrix; compression-facts 1.8", .stage = PARE_STAGE_OBSERVE, .guarantee = "bounded",
    .neutral = "equal weights give plain rounding", .tested = "tests/unit/test_encode.c, tests/golden/test_fit.c", PARE_OPTIONS(text_options),
};
const struct pare_method pare_method_sensitivity = {
    .id = "sensitivity", .module = "compress/sense", .title = "Output divergence under an injected error of known size, per tensor.",
    .source = "HIGGS, arXiv 2411.17525", .stage = PARE_STAGE_OBSERVE, .guarantee = "bounded",
    .neutral = "no injected error: divergence exactly 0", .tested = "tests/golden/test_fit.c",
};
const struct pare_method pare_method_mixed = {
    .id = "mixed", .module = "compress/solve", .title = "One type per tensor under one or several budgets, solved exactly.",
    .source = "Kellerer, Pferschy, Pisinger: Knapsack Problems, ch. 11", .stage = PARE_STAGE_PLAN, .guarantee = "bounded",
    .neutral = "a budget above the original's size keeps every tensor", .tested = "tests/unit/test_solve.c, tests/golden/test_fit.c",
};
const struct pare_method pare_method_int8_activations = {
    .id = "int8_activations", .module = "kernel/gemmq", .title = "Activations rounded to 8 bits in blocks of 32 at run time.",
    .source = "docs/kernels.md", .stage = PARE_STAGE_RUN, .guarantee = "bounded", .neutral = "--activations f32",
    .tested = "tests/kernel/test_gemmq.c",
};
const struct pare_method pare_method_kv_cache = {
    .id = "kv_cache", .module = "store/kv", .title = "Keys and values kept in fewer bits.", .source = "compression-facts 1.11",
    .stage = PARE_STAGE_RUN, .guarantee = "bounded", .neutral = "--kv f32", .tested = "tests/unit/test_kv.c", PARE_OPTIONS(kv_options),
};
const struct pare_method pare_method_divergence = {
    .id = "divergence", .module = "eval/measure", .title = "Perplexity, KL divergence and first choices against the original.",
    .source = "compression-facts 2.4", .stage = PARE_STAGE_MEASURE, .guarantee = "lossless", .neutral = "base = model: exactly 0",
    .tested = "tests/golden/test_eval.c",
};

static const struct pare_method_option trellis_options[] = {
    { "type", "name", "tc2, tc3, tc4", "chosen by the solver", "bits of a code" },
};
const struct pare_method pare_method_trellis = {
    .id = "trellis", .module = "tensor/enc_tc", .title = "Codes whose windows of 12 bits give the values; the best path is searched.",
    .source = "Marcellin and Fischer 1990; QTIP, arXiv 2406.11235; docs/own-types.md", .stage = PARE_STAGE_ROUND, .guarantee = "bounded",
    .neutral = "type = the original's type", .tested = "tests/unit/test_trellis.c, tests/method/test_trellis_fit.c", PARE_OPTIONS(trellis_options),
    .acceptance = "tc2 (2.06 bits) diverges less than pq2 (2.31 bits), tc3 (3.06) less than pq3 (3.31), on held-out text",
    .measured = "-",
};

#define METHOD(id) &pare_method_##id,
static const struct pare_method *const rows[] = {
#include "compress/method_list.h"
};
#undef METHOD

const struct pare_method *const *pare_methods(size_t *n)
{
    *n = sizeof rows / sizeof *rows;
    return rows;
}

static const struct pare_method *row_of(const char *id, size_t len)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strlen(rows[i]->id) == len && strncasecmp(rows[i]->id, id, len) == 0) return rows[i];
    return NULL;
}

bool pare_method_allowed(const char *list, const char *id)
{
    const struct pare_method *asked = row_of(id, strlen(id));
    bool                      others = false;

    if (list == NULL || asked == NULL) return true;
    for (const char *p = list; *p != '\0';) {
        size_t                    len = strcspn(p, ",");
        const struct pare_method *m = row_of(p, len);
        if (m == asked) return true;
        others = others || (m != NULL && m->stage == asked->stage);
        p += len + (p[len] == ',');
    }
    return !others;
}

int pare_methods_check(const char *list, struct pare_diag *diag)
{
    for (const char *p = list == NULL ? "" : list; *p != '\0';) {
        size_t len = strcspn(p, ",");
        char   name[24] = { 0 };
        if (len < sizeof name) memcpy(name, p, len);
        PARE_FAIL_IF(diag, pare_dtype_by_name(name) == NULL && row_of(p, len) == NULL, PARE_E_USAGE,
                     "\"%.*s\" is neither a method nor a type (see pare methods)", len > 40 ? 40 : (int)len, p);
        p += len + (p[len] == ',');
    }
    return PARE_OK;
}
